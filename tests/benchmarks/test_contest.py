"""Everybody is judged on the same later nights, and nobody has learned a night whose outcome could not be known when it spoke."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from cases import case
from sklearn.metrics import log_loss

from benchmarks.contest import Contest, hold, judged_rows, spoken
from benchmarks.contestants import Contestant, Terms
from benchmarks.exchange import Said
from features.labels import ripe
from features.problem import Problem
from models.calibration import sigmoid

CASE = case()
FRAME = CASE.study.frame
LATER = FRAME["as_of"] >= "2025-04-30 02:00"
Say = Callable[[pd.DataFrame, pd.DataFrame], np.ndarray]


@dataclass
class Remembers:
    """Keeps the nights it was shown, and says what it is told to."""

    say: Say
    shown: list[tuple[pd.Series, pd.Series]] = field(default_factory=list)

    def __call__(self, past: pd.DataFrame, later: pd.DataFrame) -> Said:
        self.shown.append((ripe(past)["as_of"], later["as_of"]))
        return Said(self.say(past, later), 1.5, 100.0 * len(self.shown))


def _contestant(name: str, say: Say, fits: int = 4) -> tuple[Contestant, Remembers]:
    speaker = Remembers(say)
    return Contestant(name, lambda case, terms: speaker, Terms(1), Terms(fits)), speaker


def _flat(past: pd.DataFrame, later: pd.DataFrame) -> np.ndarray:
    return np.zeros(len(later))


def _opens(past: pd.DataFrame, later: pd.DataFrame) -> np.ndarray:
    return later["opens_7d"].to_numpy() / 2 - 1


@pytest.mark.parametrize(("mode", "fits"), [("static", 1), ("prequential", 4)])
def test_a_night_is_learned_only_when_its_outcome_may_be_known(mode: str, fits: int) -> None:
    contestant, speaker = _contestant("opens", _opens)
    hold(CASE, mode, [contestant])
    assert len(speaker.shown) == fits
    for past, later in speaker.shown:
        expected = [night for night in FRAME["as_of"].unique() if night + timedelta(days=35) <= later.min()]
        assert sorted(past.unique()) == expected
    told = [night for _, later in speaker.shown for night in sorted(later.unique())]
    assert told == sorted(FRAME.loc[LATER, "as_of"].unique())


def test_both_modes_judge_the_same_rows_and_every_lead() -> None:
    contestant, _ = _contestant("opens", _opens)
    static, prequential = (hold(CASE, mode, [contestant]).entries[0] for mode in ("static", "prequential"))
    assert static.judged.log_odds.tolist() == prequential.judged.log_odds.tolist() == (FRAME.loc[LATER, "opens_7d"] / 2 - 1).tolist()
    assert static.judged.converted.tolist() == FRAME.loc[LATER, "converted"].tolist()
    assert set(static.judged.lead) == set(FRAME["lead_id"])


def test_the_cost_of_every_fit_counts() -> None:
    contestant, _ = _contestant("opens", _opens)
    entry = hold(CASE, "prequential", [contestant]).entries[0]
    assert entry.cpu_seconds == 6.0
    assert entry.rows_per_second == 250.0


def test_figures_are_scikit_learns_and_the_first_is_the_best_of_each() -> None:
    contest = hold(CASE, "static", [_contestant("flat", _flat)[0], _contestant("opens", _opens)[0]])
    flat, opens = contest.entries
    wanted = log_loss(FRAME.loc[LATER, "converted"], sigmoid(FRAME.loc[LATER, "opens_7d"].to_numpy() / 2 - 1))
    assert opens.found["log_loss"].value == pytest.approx(wanted)
    assert flat.found["log_loss"].value == pytest.approx(np.log(2))
    assert flat.information is None
    for figure in ("log_loss", "average_precision", "roc_auc"):
        assert contest.first(figure) is opens
        assert contest.behind(opens, figure).value == 0
        gap = contest.behind(flat, figure)
        assert 0 < gap.low < gap.value < gap.high
    assert contest.behind(flat, "log_loss").value == pytest.approx(np.log(2) - wanted)


def test_one_that_fails_is_left_out_with_the_reason() -> None:
    def fail(past: pd.DataFrame, later: pd.DataFrame) -> np.ndarray:
        raise Problem("It had no time.")

    contest = hold(CASE, "static", [_contestant("hasty", fail)[0], _contestant("flat", _flat)[0]])
    assert contest.absent == ("made here, seed 7, static: hasty is left out. It had no time.",)
    assert [entry.contestant for entry in contest.entries] == ["flat"]
    assert contest.entry("hasty") is None


def test_silence_on_a_lead_is_no_way_to_be_judged_on_the_others() -> None:
    def silent(past: pd.DataFrame, later: pd.DataFrame) -> np.ndarray:
        return np.where(later["source"].isna(), np.nan, 0.0)

    contest = hold(CASE, "static", [_contestant("silent", silent)[0]])
    unsaid = int(FRAME.loc[LATER, "source"].isna().sum())
    assert 0 < unsaid < 780
    assert contest.absent == (f"made here, seed 7, static: silent is left out. It said nothing of {unsaid} of 780 lead-nights.",)


def test_fewer_nights_than_fits_are_counted_as_they_were() -> None:
    assert hold(CASE, "prequential", [_contestant("eager", _opens, fits=40)[0]]).entries[0].terms.fits == 13


def _known(share: float) -> pd.DataFrame:
    rows = FRAME.loc[LATER, ["lead_id", "as_of"]]
    return rows.assign(knowable=np.where(np.arange(len(rows)) % 2 == 0, share, 1 - share)).sample(frac=1, random_state=3)


def test_a_made_up_company_is_judged_by_its_truth_whatever_happened() -> None:
    known = _known(0.2)
    told = case(truth=known)
    truth = FRAME[["lead_id", "as_of"]].merge(known, how="left")["knowable"].to_numpy()

    def knows(past: pd.DataFrame, later: pd.DataFrame) -> np.ndarray:
        return np.log(truth[later.index] / (1 - truth[later.index]))

    contest: Contest = hold(told, "static", [_contestant("knows", knows)[0], _contestant("flat", _flat)[0]])
    best, flat = contest.entries
    assert best.information == pytest.approx(1)
    assert flat.information == pytest.approx(0, abs=1e-6)
    assert best.found["log_loss"].value == pytest.approx(-(0.2 * np.log(0.2) + 0.8 * np.log(0.8)))


def test_beyond_what_intervals_can_be_made_of_whole_nights_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.contest._MOST_JUDGED", 300)
    log_odds, _, _ = spoken(CASE, _contestant("flat", _flat)[0], Terms(1), lambda words: None)
    kept = FRAME[judged_rows(CASE, log_odds)]
    # 13 nights of 60 leads are 780 rows: every third night.
    assert sorted(kept["as_of"].unique()) == sorted(FRAME.loc[LATER, "as_of"].unique())[::3]
    assert kept.groupby("as_of")["lead_id"].nunique().tolist() == [60] * 5
