"""A list never flickers, never overflows, and tries its luck only where it said so."""

from __future__ import annotations

import math
import time
from collections import Counter
from datetime import datetime

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.ranking import Rules, likely_tier, rank

MONDAY, TUESDAY = datetime(2025, 3, 3, 2), datetime(2025, 3, 4, 2)
Row = tuple[str, float, str | None]


def _scores(rows: list[Row]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["lead_id", "probability", "owner_id"])


def _anns(leads: int) -> pd.DataFrame:
    """Leads of one owner, the first the best."""
    return _scores([(f"L{n:03}", 0.9 - n / 1_000, "ann") for n in range(leads)])


LEADS = st.dictionaries(
    st.text("abc", min_size=1, max_size=4), st.tuples(st.sampled_from([0.1, 0.25, 0.5]), st.sampled_from(["ann", "bob", None])), min_size=1
).map(lambda found: [(lead, *rest) for lead, rest in found.items()])


def test_the_likelier_lead_comes_first_and_equal_ones_by_their_id() -> None:
    ranked = rank(_scores([("d", 0.2, "ann"), ("c", 0.5, "bob"), ("b", 0.2, "bob"), ("a", 0.2, None)]), {}, Rules(route=False))
    assert ranked["lead_id"].tolist() == ["c", "a", "b", "d"]
    assert ranked["rank"].tolist() == [1, 2, 3, 4]
    assert ranked["score"].tolist() == [50, 20, 20, 20]
    assert dict(zip(ranked["lead_id"], ranked["owner_rank"], strict=True)) == {"c": 1, "b": 2, "d": 1, "a": 1}


@settings(max_examples=60, deadline=None)
@given(rows=LEADS, explore=st.sampled_from([0.0, 0.5]), data=st.data())
def test_the_order_in_which_leads_come_changes_nothing(rows: list[Row], explore: float, data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(rows))
    one, other = (rank(_scores(each), {"ann": 2, "bob": 4}, Rules(capacity=3, explore=explore), as_of=MONDAY) for each in (rows, shuffled))
    pd.testing.assert_frame_equal(one, other)


@settings(max_examples=60, deadline=None)
@given(rows=LEADS, ann=st.integers(1, 4), default=st.integers(1, 4), explore=st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_everybody_gets_as_many_calls_as_fit_and_no_more(rows: list[Row], ann: int, default: int, explore: float) -> None:
    ranked = rank(_scores(rows), {"ann": ann}, Rules(capacity=default, explore=explore, route=False), as_of=MONDAY)
    assert sorted(ranked["lead_id"]) == sorted(lead for lead, _, _ in rows)
    for owner, leads in Counter(owner or "" for _, _, owner in rows).items():
        room = ann if owner == "ann" else default
        mine = ranked[ranked["owner_id"] == owner]
        merit = min(leads, room - math.floor(room * explore))
        assert mine["listed"].sum() == min(leads, room)
        assert mine["explored"].sum() == min(leads, room) - merit
        # By merit are the first; luck chooses among the others.
        assert mine["owner_rank"].tolist() == list(range(1, leads + 1))
        assert (mine["listed"] & ~mine["explored"]).tolist() == [True] * merit + [False] * (leads - merit)


def test_capacity_is_each_owners_own_or_the_default() -> None:
    rows = [(f"{owner}{n}", 0.5, owner) for owner in ("ann", "bob", "cleo") for n in range(5)]
    ranked = rank(_scores(rows), {"ann": 1, "bob": 3}, Rules(capacity=2))
    assert ranked.groupby("owner_id")["listed"].sum().to_dict() == {"ann": 1, "bob": 3, "cleo": 2}


@pytest.mark.parametrize("nobody", [None, ""])
@pytest.mark.parametrize("kind", ["object", "str", "string"])
def test_leads_that_nobody_owns_share_one_default_capacity(nobody: str | None, kind: str) -> None:
    scores = _scores([(f"L{n}", 0.9 - n / 10, nobody) for n in range(4)]).astype({"owner_id": kind})
    ranked = rank(scores, {"ann": 9}, Rules(capacity=2, route=False))
    assert ranked["owner_id"].tolist() == [""] * 4
    assert ranked["listed"].tolist() == [True, True, False, False]
    assert ranked["tier"].tolist() == ["A", "A", "B", "B"]


def test_tiers_are_the_nights_that_a_lead_would_wait() -> None:
    ranked = rank(_anns(12), {"ann": 2})
    assert "".join(ranked["tier"]) == "AABBCCDDEEEE"
    assert (ranked["tier"] == "A").tolist() == ranked["listed"].tolist()


def test_a_lucky_lead_is_an_a_and_the_one_it_displaced_a_b() -> None:
    ranked = rank(_anns(40), {"ann": 4}, Rules(explore=0.25), as_of=MONDAY)
    assert ranked["tier"].tolist()[:4] == ["A", "A", "A", "A" if ranked["explored"][3] else "B"]
    assert (ranked["tier"] == "A").tolist() == ranked["listed"].tolist()
    assert set(ranked[16:].query("not listed")["tier"]) == {"E"}


def test_the_explored_slice_has_its_size_and_is_drawn_among_the_rest() -> None:
    rows = [(f"{owner}{n:02}", 0.9 - n / 100, owner) for owner in ("ann", "bob") for n in range(50)]
    ranked = rank(_scores(rows), {"ann": 10, "bob": 25}, Rules(explore=0.2), as_of=MONDAY)
    assert ranked[ranked["explored"]].groupby("owner_id").size().to_dict() == {"ann": 2, "bob": 5}
    assert ranked[ranked["explored"]].groupby("owner_id")["owner_rank"].min().gt(pd.Series({"ann": 8, "bob": 20})).all()


def test_without_exploring_nothing_is_left_to_luck() -> None:
    assert not rank(_anns(40), {"ann": 4}, as_of=MONDAY)["explored"].any()


def test_a_slice_under_one_call_is_none_and_a_short_list_needs_no_luck() -> None:
    assert not rank(_anns(40), {"ann": 4}, Rules(explore=0.2), as_of=MONDAY)["explored"].any()
    short = rank(_anns(3), {"ann": 4}, Rules(explore=0.25), as_of=MONDAY)
    assert (short["listed"].tolist(), short["explored"].tolist()) == ([True] * 3, [False] * 3)


def test_a_night_scored_again_draws_the_same_and_another_night_another() -> None:
    def drawn(night: datetime, seed: int = 7) -> list[str]:
        ranked = rank(_anns(200), {"ann": 20}, Rules(explore=0.5), seed=seed, as_of=night)
        return ranked.loc[ranked["explored"], "lead_id"].tolist()

    assert drawn(MONDAY) == drawn(MONDAY)
    assert drawn(MONDAY) != drawn(TUESDAY)
    assert drawn(MONDAY) != drawn(MONDAY, seed=8)


def test_everyone_of_the_rest_has_the_same_chance() -> None:
    nights = [datetime(2025, month, day, 2) for month in range(1, 11) for day in range(1, 29)]
    drawn: Counter[int] = Counter()
    for night in nights:
        ranked = rank(_anns(10), {"ann": 4}, Rules(explore=0.5), as_of=night)
        drawn.update(ranked.loc[ranked["explored"], "owner_rank"].tolist())
    # Two of eight on each of 280 nights: 70 times each; 26 is three and a half standard deviations.
    assert sorted(drawn) == [3, 4, 5, 6, 7, 8, 9, 10]
    assert all(times == pytest.approx(70, abs=26) for times in drawn.values())


def test_whatever_else_a_lead_has_stays_with_it() -> None:
    scores = _scores([("b", 0.1, "ann"), ("a", 0.3, "ann")]).assign(reasons=[["late"], ["early"]])
    assert rank(scores, {})[["lead_id", "reasons"]].to_numpy().tolist() == [["a", ["early"]], ["b", ["late"]]]


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
def test_the_draw_is_the_same_whatever_zone_the_machine_is_in(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def drawn(place: str) -> list[str]:
        monkeypatch.setenv("TZ", place)
        time.tzset()
        ranked = rank(_anns(200), {"ann": 20}, Rules(explore=0.5), as_of=MONDAY)
        return ranked.loc[ranked["explored"], "lead_id"].tolist()

    try:
        assert drawn(zone) == drawn("UTC")
    finally:
        monkeypatch.undo()
        time.tzset()


def test_an_owner_who_makes_no_calls_has_no_night_that_any_lead_fits_into() -> None:
    ranked = rank(_anns(6), {"ann": 0})
    assert (ranked["listed"].any(), "".join(ranked["tier"])) == (False, "EEEEEE")


def test_a_share_of_capacity_is_not_one_call_short() -> None:
    assert rank(_anns(200), {"ann": 50}, Rules(explore=0.58))["explored"].sum() == 29


def test_where_all_leads_were_scored_the_likely_tier_is_the_tier() -> None:
    scores = pd.concat([_anns(13), _scores([("X1", 0.9, "bob"), ("X2", 0.8, "bob")])], ignore_index=True)
    ranked = rank(scores, {"ann": 3, "bob": 0}).set_index("lead_id")
    some = scores.assign(as_of=MONDAY, open=[13] * 13 + [2] * 2, room=[3] * 13 + [0] * 2)
    assert likely_tier(some).tolist() == ranked["tier"][scores["lead_id"]].tolist()


def test_of_a_few_scored_leads_each_stands_for_as_many_of_the_others() -> None:
    # Two of ann's eighty leads were scored: they stand for places 20 and 60.
    some = _anns(2).assign(as_of=MONDAY, open=80, room=25)
    assert likely_tier(some.iloc[::-1]).to_dict() == {1: "C", 0: "A"}
    nobodys = _scores([("L1", 0.5, None)]).assign(as_of=MONDAY, open=10, room=5)
    assert likely_tier(nobodys).tolist() == ["B"]
