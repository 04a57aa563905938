"""Every judgement is made a horizon later, on leads that the past does not hold, and what is not judged is said."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.feature import Feature
from features.labels import ripe
from features.problem import Problem
from features.timeline import Timeline
from models.backtest import QUARTERS, folds, held_out, quarter_of, run

LINE = Timeline(horizon_days=30, settle_days=5)
NOTHING: tuple[Feature, ...] = ()


def _weeks(count: int, every: int = 7) -> list[pd.Timestamp]:
    return list(pd.date_range("2025-01-01 02:00", periods=count, freq=f"{every}D"))


def _examples(weeks: int = 40, leads: int = 80) -> pd.DataFrame:
    """Every lead on every night; every fourth converts, every time."""
    rows = pd.MultiIndex.from_product([[f"L{n}" for n in range(leads)], _weeks(weeks)], names=["lead_id", "as_of"]).to_frame(index=False)
    converted = rows["lead_id"].str[1:].astype(int) % 4 == 0
    return rows.assign(converted=converted, happened_at=(rows["as_of"] + pd.Timedelta(days=1)).where(converted), weight=1.0)


@dataclass
class Remembers:
    """A racer that keeps what it was shown and says each lead's number."""

    pasts: list[pd.DataFrame] = field(default_factory=list)

    def __call__(self, past: pd.DataFrame, features: object) -> Remembers:
        self.pasts.append(past)
        return self

    def log_odds(self, frame: pd.DataFrame) -> np.ndarray:
        return frame["lead_id"].str[1:].astype(float).to_numpy()


def _silent(share: float, words: str) -> None:
    assert 0 <= share < 1, words


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 60),
    every=st.integers(1, 14),
    horizon=st.integers(1, 120),
    settle=st.integers(0, 14),
    k=st.integers(1, 6),
    leads=st.integers(1, 12),
    data=st.data(),
)
def test_a_fold_never_learns_from_the_gap_nor_from_a_lead_it_judges(
    count: int, every: int, horizon: int, settle: int, k: int, leads: int, data: st.DataObject
) -> None:
    nights, gap = _weeks(count, every), pd.Timedelta(days=horizon + settle)
    line = Timeline(horizon_days=horizon, settle_days=settle)
    if nights[-1] - nights[0] <= gap:
        with pytest.raises(Problem, match="History is too short to be tested"):
            folds(nights, line, k)
        return
    frame = pd.DataFrame([(f"L{n}", night) for n in range(leads) for night in nights], columns=["lead_id", "as_of"])
    waited = pd.Series(data.draw(st.lists(st.integers(0, 150), min_size=len(frame), max_size=len(frame))))
    frame["happened_at"] = frame["as_of"] + pd.to_timedelta(waited, unit="D")
    frame["converted"] = waited < horizon
    frame = frame.sample(frac=1, random_state=data.draw(st.integers(0, 99)))
    cut = folds(data.draw(st.permutations(nights)), line, k)
    assert 1 <= len(cut) <= k
    for one in cut:
        past, test = one.past(frame), one.test(frame)
        # A win up to the horizon after a learned night, entered up to the settle lag later, is known when the first judged night comes.
        assert one.learn_until + gap == one.first
        judged = {lead for lead in frame["lead_id"].unique() if quarter_of(pd.Series([lead]))[0] == one.number % QUARTERS}
        others = frame[~frame["lead_id"].isin(judged)]
        assert (frame["as_of"] + gap <= one.first).any()
        known = others[others["as_of"] + gap <= one.first]
        pd.testing.assert_frame_equal(ripe(past)[["lead_id", "as_of"]], known[["lead_id", "as_of"]])
        assert ripe(past)["converted"].tolist() == known["converted"].tolist()
        # What is not ripe then says who had been won by then, and nothing else.
        seen = one.first - pd.Timedelta(days=settle)
        there = others[others["as_of"] < seen]
        assert past["as_of"].tolist() == there["as_of"].tolist()
        assert past["happened"].tolist() == [won < seen for won in there["happened_at"]]
        ends = [min(won, seen) - night for night, won in zip(there["as_of"], there["happened_at"], strict=True)]
        assert past["followed_days"].tolist() == [end / pd.Timedelta(days=1) for end in ends]
        assert set(test["lead_id"]) <= judged
        assert all(one.first <= night <= one.last for night in test["as_of"])
    # The blocks follow each other and together are every night of the later half.
    assert all(earlier.last < later.first for earlier, later in pairwise(cut))
    inside = [night for night in nights if any(one.first <= night <= one.last for one in cut)]
    assert inside == [night for night in nights if night - nights[0] >= gap + (nights[-1] - nights[0] - gap) / 2]


def test_one_snapshot_more_than_the_gap_is_a_history() -> None:
    gap = pd.Timedelta(days=35)
    start = pd.Timestamp("2025-01-01")
    (only,) = folds([start, start + gap + pd.Timedelta(seconds=1)], LINE, 4)
    assert (only.first, only.learn_until) == (start + gap + pd.Timedelta(seconds=1), start + pd.Timedelta(seconds=1))


def test_too_short_a_history_says_how_long_it_is_and_what_to_do() -> None:
    with pytest.raises(Problem) as caught:
        folds(_weeks(6), LINE, 4)
    assert str(caught.value) == (
        "History is too short to be tested: the ripe nights run from 2025-01-01 to 2025-02-05, and a test needs more than 35 days between "
        "(horizon 30 and settle lag 5). Extract more history, or shorten the horizon."
    )


def test_a_lead_is_of_the_same_quarter_whoever_else_is_there() -> None:
    ids = pd.Series([f"L{n}" for n in range(4_000)])
    quarter = quarter_of(ids)
    assert np.bincount(quarter).tolist() == pytest.approx([1_000] * QUARTERS, rel=0.1)
    assert quarter_of(ids[::-1]).tolist() == quarter.tolist()[::-1]
    assert quarter_of(ids[7:9]).tolist() == quarter.tolist()[7:9]
    # Written down, so that another machine or version draws the same.
    assert quarter_of(pd.Series(["acme", "L1", "L2", "Zoë", "acme"])).tolist() == [0, 0, 3, 2, 0]


def test_leads_held_out_for_settings_are_a_quarter_of_every_quarter() -> None:
    ids = pd.Series([f"L{n}" for n in range(4_000)])
    shares = pd.Series(held_out(ids)).groupby(quarter_of(ids)).mean()
    assert shares.tolist() == pytest.approx([0.25] * QUARTERS, abs=0.04)


def test_every_racer_learns_the_same_past_and_speaks_of_the_same_rows() -> None:
    frame, one, other = _examples(), Remembers(), Remembers()
    found = run(frame, NOTHING, LINE, {"one": one, "other": other}, 4, _silent)
    assert len(one.pasts) == len(other.pasts) == len(found.folds) == 4
    for number, fold in enumerate(found.folds):
        pd.testing.assert_frame_equal(one.pasts[number], fold.past(frame))
        pd.testing.assert_frame_equal(other.pasts[number], fold.past(frame))
        rows = found.judged_fold("one", number)
        test = fold.test(frame)
        assert rows.lead.tolist() == test["lead_id"].tolist()
        assert pd.to_datetime(rows.night).tolist() == test["as_of"].tolist()
        assert rows.log_odds.tolist() == [float(lead[1:]) for lead in test["lead_id"]]
        assert rows.converted.tolist() == [int(lead[1:]) % 4 == 0 for lead in test["lead_id"]]
    assert len(found.judged("other").lead) == sum(len(fold.test(frame)) for fold in found.folds)
    assert found.skipped == ()


def test_other_predictions_can_be_judged_on_the_same_rows() -> None:
    found = run(_examples(), NOTHING, LINE, {"one": Remembers()}, 2, _silent)
    half = found.judged("one", found.log_odds["one"] / 2)
    assert half.log_odds.tolist() == (found.judged("one").log_odds / 2).tolist()
    assert half.lead.tolist() == found.judged("one").lead.tolist()


def test_every_fold_that_is_left_out_is_said() -> None:
    frame = _examples()
    cut = folds(_weeks(40), LINE, 4)
    # Nobody had converted yet on any night that the first two folds may learn from.
    frame["converted"] &= frame["as_of"] > cut[1].learn_until
    racer = Remembers()
    found = run(frame, NOTHING, LINE, {"one": racer}, 4, _silent)
    assert found.folds == tuple(cut[2:])
    said = "The fold from {:%Y-%m-%d} has too few leads of either outcome in its past or its test to be judged."
    assert found.skipped == (said.format(cut[0].first), said.format(cut[1].first))
    assert set(found.rows["fold"]) == {2, 3}
    assert len(racer.pasts) == 2


def test_when_no_fold_can_be_judged_the_first_reason_is_told() -> None:
    frame = _examples().assign(converted=False)
    first = folds(_weeks(40), LINE, 4)[0].first
    words = f"No later block of nights can be judged. The fold from {first:%Y-%m-%d} has too few leads of either outcome .* Extract more history"
    with pytest.raises(Problem, match=words):
        run(frame, NOTHING, LINE, {"one": Remembers()}, 4, _silent)


def test_predictions_are_kept_beside_what_became_of_each_lead() -> None:
    tested = run(_examples(), NOTHING, LINE, {"numbers": Remembers()}, 2, _silent)
    kept = tested.predictions("numbers")
    assert list(kept.columns) == ["lead_id", "as_of", "converted", "weight", "log_odds"]
    assert len(kept) == len(tested.rows)
    assert kept["log_odds"].tolist() == kept["lead_id"].str[1:].astype(float).tolist()
    assert (kept["converted"] == (kept["log_odds"] % 4 == 0)).all()


def test_customers_of_a_fold_are_the_leads_of_its_past_that_had_converted_each_counted_once() -> None:
    frame = _examples()
    kept = run(frame, NOTHING, LINE, {"number": Remembers()}, 2, _silent)
    counted = []
    for fold in kept.folds:
        past = fold.past(frame)
        counted.append(len({lead for lead, won in zip(past["lead_id"], past["converted"], strict=True) if pd.notna(won) and won}))
    assert list(kept.customers) == counted
    # Eighty leads, every fourth converts; a quarter of them, by their ids, is judged and not learned from.
    assert all(10 <= customers < 20 for customers in kept.customers)
