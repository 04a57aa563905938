"""The base rate is followed as far as what was known by the night bears out, and only where that proved right."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.backtest import Backtest, Fold
from models.baserate import WINDOW_DAYS, Following, follow, recent_shift
from models.calibration import Calibration
from models.choice import Choice
from models.metrics import Judged

GAP = timedelta(days=35)


def _rows(odds: np.ndarray, won: np.ndarray, lead: list[str] | None = None, weight: float = 1.0) -> Judged:
    names = lead or [f"L{n}" for n in range(len(odds))]
    night = np.datetime64("2025-01-01T02", "us") + np.arange(len(odds)) % 3 * np.timedelta64(7, "D")
    return Judged(won, odds, np.full(len(odds), weight), np.array(names, dtype=object), night)


def test_many_leads_move_the_intercept_all_the_way() -> None:
    # Predicted 50 %, and 4,000 of 20,000 came.
    found = recent_shift(_rows(np.zeros(20_000), np.arange(20_000) < 4_000))
    assert found is not None
    assert found.value == pytest.approx(math.log(0.2 / 0.8), abs=0.01)
    assert (found.leads, found.predicted, found.realised) == (20_000, 0.5, 0.2)
    assert (found.first, found.last) == (datetime(2025, 1, 1, 2), datetime(2025, 1, 15, 2))
    assert found.sentence == (
        "On the newest nights whose outcome is known (2025-01-01 to 2025-01-15, 20,000 leads) 20.0% converted and 50.0% were predicted: "
        "all log-odds are shifted by -1.38."
    )


def test_a_few_leads_move_it_a_little() -> None:
    # Predicted 10 %; of forty leads none came. That is no proof that nobody ever will.
    found = recent_shift(_rows(np.full(40, math.log(1 / 9)), np.zeros(40, dtype=bool)))
    assert found is not None
    assert -0.35 < found.value < -0.2


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.floats(-4, 4)), min_size=1, max_size=30))
def test_it_is_the_most_likely_shift_under_a_prior_of_a_third(rows: list[tuple[bool, float]]) -> None:
    won, odds = (np.array(column) for column in zip(*rows, strict=True))
    found = recent_shift(_rows(odds, won))

    def unlikely(shift: float) -> float:
        return sum(math.log1p(math.exp(z + shift)) - (z + shift if y else 0) for y, z in rows) + shift**2 / (2 * 0.3**2)

    assert found is not None
    grid = [n / 100 for n in range(-300, 301)]
    assert found.value == pytest.approx(min(grid, key=unlikely), abs=0.011)


def test_a_lead_on_many_nights_is_one_lead() -> None:
    odds, won = np.array([-1.0, 0.5, -2.0]), np.array([True, False, False])
    once = recent_shift(_rows(odds, won, ["a", "b", "c"]))
    often = recent_shift(_rows(np.repeat(odds, 9), np.repeat(won, 9), [lead for lead in "abc" for _ in range(9)], weight=4.0))
    assert once is not None
    assert often is not None
    assert (often.value, often.leads) == (pytest.approx(once.value), once.leads)


def test_without_a_ripe_night_there_is_no_shift() -> None:
    assert recent_shift(_rows(np.zeros(0), np.zeros(0, dtype=bool))) is None


@dataclass(frozen=True)
class Fixed:
    """A model that says what stands in the frame."""

    def log_odds(self, frame: pd.DataFrame) -> np.ndarray:
        return frame["said"].to_numpy()


def _company(fall: float, seed: int = 1) -> tuple[pd.DataFrame, Backtest]:
    """Other leads every week for a year, and a model that does not notice that they convert less and less; its last half year is judged."""
    rng = np.random.default_rng(seed)
    nights = pd.date_range("2024-01-01 02:00", periods=52, freq="7D")
    frame = pd.DataFrame({"as_of": np.repeat(nights, 80), "said": rng.normal(-1, 1, 52 * 80), "weight": 1.0})
    frame["lead_id"] = [f"L{n:04}" for n in range(len(frame))]
    frame["converted"] = rng.random(len(frame)) < 1 / (1 + np.exp(-(frame["said"] - fall * np.arange(len(frame)) / len(frame))))
    folds = tuple(Fold(n, nights[26 + 13 * n] - GAP, nights[26 + 13 * n], nights[38 + 13 * n]) for n in (0, 1))
    parts = [frame[frame["as_of"].between(fold.first, fold.last)].assign(fold=fold.number) for fold in folds]
    rows = pd.concat(parts, ignore_index=True)
    return frame, Backtest(folds, rows, {"fixed": rows["said"].to_numpy()}, models={"fixed": (Fixed(), Fixed())})


def test_a_rate_that_keeps_falling_is_followed() -> None:
    frame, backtest = _company(fall=3.0)
    found = follow(backtest, "fixed", frame, Choice(), GAP)
    assert found.days == WINDOW_DAYS
    assert found.because == "lowered log-loss on later nights beyond doubt"
    assert found.difference is not None
    assert found.difference.high < 0
    assert (found.shift < 0).all()
    assert found.shift[-1] < found.shift[0]
    assert found.applied(np.zeros(len(found.shift))).tolist() == found.shift.tolist()
    assert found.table()[["candidate", "difference", "chosen"]].to_numpy().tolist() == [["recent intercept", found.difference.value, True]]


def test_a_rate_that_stays_is_left_alone() -> None:
    frame, backtest = _company(fall=0.0)
    found = follow(backtest, "fixed", frame, Choice(), GAP)
    assert found.days == 0
    assert found.applied(np.ones(3)).tolist() == [1, 1, 1]
    assert found.table()["chosen"].tolist() == [False]
    assert Following().table().empty


def test_every_night_is_shifted_by_what_was_known_by_then_and_by_nothing_else() -> None:
    frame, backtest = _company(fall=1.0)
    halved = {0: Calibration(0.5), 1: Calibration(0.5)}
    found = follow(backtest, "fixed", frame, Choice(by_fold=halved), GAP)
    night = backtest.rows["as_of"]
    for tonight in list(night.unique())[::5]:
        known = frame[[tonight - GAP - timedelta(days=WINDOW_DAYS) <= one <= tonight - GAP for one in frame["as_of"]]]
        alone = recent_shift(_rows(known["said"].to_numpy() / 2, known["converted"].to_numpy()))
        assert alone is not None
        assert found.shift[night == tonight].tolist() == pytest.approx([alone.value] * 80)
    # What came after the newest ripe night of the last fold is turned round, and nothing changes.
    edge = night.max() - GAP
    later = frame.assign(converted=np.where(frame["as_of"] > edge, ~frame["converted"], frame["converted"]).astype(bool))
    assert follow(backtest, "fixed", later, Choice(by_fold=halved), GAP).shift.tolist() == found.shift.tolist()
