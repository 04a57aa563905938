"""Who is called tonight keeps to every rule at once: room, teams, accounts, who must not be called, what was decided by hand."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.ranking import Rules, rank

MONDAY = datetime(2025, 3, 3, 2)
OWNERS, ACCOUNTS, WHERE = ["ann", "bob", "cleo", ""], ["acme", "blum", None], ["DE", "FR", ""]
RULES = st.builds(
    Rules,
    by=st.sampled_from(["probability", "expected value", "blend"]),
    capacity=st.integers(0, 4),
    explore=st.sampled_from([0.0, 0.3, 1.0]),
    per_account=st.integers(0, 2),
    hold=st.sampled_from([0.0, 0.2]),
    boost=st.sampled_from([0.0, 0.5]),
    teams=st.just({"ann": "north", "bob": "north"}),
    team_capacity=st.sampled_from([{}, {"north": 3}]),
    route=st.booleans(),
    covers=st.sampled_from([{}, {"ann": ("DE",), "bob": ("FR", "DE"), "cleo": ()}]),
)


def _leads(*rows: dict[str, Any]) -> pd.DataFrame:
    plain = {"owner_id": "ann", "probability": 0.5}
    return pd.DataFrame([{**plain, "lead_id": f"L{n}", **row} for n, row in enumerate(rows)])


def _listed(ranked: pd.DataFrame) -> list[str]:
    return ranked.loc[ranked["listed"], "lead_id"].tolist()


@st.composite
def nights(draw: st.DrawFn) -> pd.DataFrame:
    leads = draw(st.integers(1, 14))
    kinds = {
        "probability": st.sampled_from([0.1, 0.2, 0.4]),
        "expected_value": st.sampled_from([10.0, 100.0]),
        "owner_id": st.sampled_from(OWNERS),
        "account_id": st.sampled_from(ACCOUNTS),
        "territory": st.sampled_from(WHERE),
        "left_out": st.sampled_from(["", "", "unsubscribed"]),
        "fresh": st.booleans(),
        "before": st.booleans(),
        "place": st.sampled_from([None, None, None, 1.0, 2.0]),
    }
    columns = {name: draw(st.lists(kind, min_size=leads, max_size=leads)) for name, kind in kinds.items()}
    return pd.DataFrame({"lead_id": [f"L{n}" for n in range(leads)], **columns}).astype({"place": float})


@settings(max_examples=150, deadline=None)
@given(night=nights(), rules=RULES, ann=st.integers(0, 3), data=st.data())
def test_every_rule_holds_whatever_the_others_ask(night: pd.DataFrame, rules: Rules, ann: int, data: st.DataObject) -> None:
    ranked = rank(night, {"ann": ann}, rules, as_of=MONDAY)
    called, kept = ranked[ranked["listed"]], ranked["left_out"] == ""
    assert sorted(ranked["lead_id"]) == sorted(night["lead_id"])
    assert ranked["rank"].tolist() == list(range(1, len(night) + 1))
    for owner, calls in called.groupby("owner_id").size().items():
        assert calls <= (ann if owner == "ann" else rules.capacity)
    if rules.team_capacity:
        assert called["owner_id"].isin(["ann", "bob"]).sum() <= 3
    assert (called["left_out"] == "").all()
    assert set(ranked.loc[~kept, "tier"]) <= {"E"}
    if rules.per_account:
        assert all(times <= rules.per_account for account, times in Counter(called["account_id"].dropna()).items())
    # Who owns a lead keeps it; nobody's may go to who covers its territory.
    before, after = (frame.set_index("lead_id")["owner_id"] for frame in (night, ranked))
    assert all(after[lead] == owner for lead, owner in before.items() if owner)
    given_away = ranked[ranked["routed"]]
    assert rules.route or given_away.empty
    assert all(where in rules.covers.get(owner, (where,)) for owner, where in zip(given_away["owner_id"], given_away["territory"], strict=True))
    # Each owner's list counts from one, those who may be called before those who may not.
    for _, mine in ranked.groupby("owner_id"):
        inorder = mine.sort_values("owner_rank")
        assert inorder["owner_rank"].tolist() == list(range(1, len(mine) + 1))
        assert (inorder["left_out"] != "").is_monotonic_increasing
    assert ((ranked["selection_probability"] > 0) | ~ranked["listed"]).all()
    assert ((ranked["selection_probability"] == 0) | kept).all()
    shuffled = night.iloc[data.draw(st.permutations(range(len(night))))]
    pd.testing.assert_frame_equal(rank(shuffled, {"ann": ann}, rules, as_of=MONDAY), ranked)


@settings(max_examples=80, deadline=None)
@given(night=nights(), rules=RULES)
def test_on_unchanged_data_the_list_does_not_change(night: pd.DataFrame, rules: Rules) -> None:
    first = rank(night, {}, rules, as_of=MONDAY)
    by_merit = set(first.loc[first["listed"] & ~first["explored"], "lead_id"])
    again = night.assign(before=night["lead_id"].isin(by_merit))
    if set(night.loc[night["before"], "lead_id"]) <= by_merit:
        second = rank(again, {}, rules, as_of=MONDAY + timedelta(days=1))
        assert set(second.loc[second["listed"] & ~second["explored"], "lead_id"]) == by_merit


@pytest.mark.parametrize(("newcomer", "listed"), [(0.53, "stays"), (0.549, "stays"), (0.56, "newcomer")])
def test_a_lead_is_pushed_off_by_a_better_one_and_not_by_noise(newcomer: float, listed: str) -> None:
    leads = _leads({"lead_id": "stays", "before": True}, {"lead_id": "newcomer", "probability": newcomer, "before": False})
    assert _listed(rank(leads, {"ann": 1}, Rules(hold=0.1))) == [listed]
    assert _listed(rank(leads, {"ann": 1})) == ["newcomer"]


def test_a_list_that_is_held_changes_less_under_noise() -> None:
    rng = np.random.default_rng(3)
    chance = rng.beta(2, 20, 400)

    def changed(hold: float) -> float:
        before, shares = set[str](), []
        for night in range(12):
            noise = np.random.default_rng(night).normal(0, 0.03, 400)
            leads = pd.DataFrame({"lead_id": [f"L{n:03}" for n in range(400)], "owner_id": "ann", "probability": chance * np.exp(noise)})
            called = set(_listed(rank(leads.assign(before=leads["lead_id"].isin(before)), {"ann": 40}, Rules(hold=hold))))
            shares.append(len(called - before) / 40)
            before = called
        return float(np.mean(shares[1:]))

    assert changed(0.1) < 0.02 < changed(0.0)


def test_worth_is_the_probability_the_value_or_between_them() -> None:
    leads = _leads(
        {"lead_id": "sure", "probability": 0.4, "expected_value": 400.0},
        {"lead_id": "dear", "probability": 0.1, "expected_value": 1000.0},
        {"lead_id": "fair", "probability": 0.3, "expected_value": 900.0},
    )
    assert rank(leads, {})["lead_id"].tolist() == ["sure", "fair", "dear"]
    assert rank(leads, {}, Rules(by="expected value"))["lead_id"].tolist() == ["dear", "fair", "sure"]
    assert rank(leads, {}, Rules(by="blend", value_weight=0.5))["lead_id"].tolist() == ["fair", "sure", "dear"]
    assert rank(leads.assign(expected_value=np.nan), {}, Rules(by="expected value"))["lead_id"].tolist() == ["sure", "fair", "dear"]


def test_a_brand_new_inbound_lead_is_called_before_a_slightly_better_old_one() -> None:
    leads = _leads({"lead_id": "old", "probability": 0.4, "fresh": False}, {"lead_id": "new", "probability": 0.3, "fresh": True})
    assert rank(leads, {}, Rules(boost=0.5))["lead_id"].tolist() == ["new", "old"]
    assert rank(leads, {}, Rules(boost=0.3))["lead_id"].tolist() == ["old", "new"]


def test_a_lead_that_is_left_out_keeps_its_reason_and_frees_its_place() -> None:
    leads = _leads({"probability": 0.9, "left_out": "unsubscribed"}, {"probability": 0.5, "left_out": ""}, {"probability": 0.1, "left_out": ""})
    ranked = rank(leads, {"ann": 1})
    assert _listed(ranked) == ["L1"]
    assert ranked[["lead_id", "owner_rank", "tier", "left_out"]].to_numpy().tolist() == [
        ["L0", 3, "E", "unsubscribed"],
        ["L1", 1, "A", ""],
        ["L2", 2, "B", ""],
    ]


def test_of_one_account_only_the_best_are_called() -> None:
    leads = _leads(*({"account_id": "acme", "probability": 0.9 - n / 10} for n in range(4)), {"account_id": None, "probability": 0.1})
    ranked = rank(leads, {"ann": 5}, Rules(per_account=2))
    assert _listed(ranked) == ["L0", "L1", "L4"]
    assert ranked["left_out"].tolist() == ["", "", "its account has 2 better leads", "its account has 2 better leads", ""]


def test_a_lead_has_the_place_that_somebody_gave_it() -> None:
    leads = _leads(*({"probability": 0.9 - n / 10, "place": {3: 1.0, 4: 3.0}.get(n)} for n in range(5)))
    ranked = rank(leads, {"ann": 3})
    assert ranked.sort_values("owner_rank")["lead_id"].tolist() == ["L3", "L0", "L4", "L1", "L2"]
    assert sorted(_listed(ranked)) == ["L0", "L3", "L4"]
    # The score knows nothing of it.
    assert ranked["lead_id"].tolist() == ["L0", "L1", "L2", "L3", "L4"]


def test_a_team_makes_no_more_calls_than_it_can_whoever_has_the_best_leads() -> None:
    leads = _leads(*({"owner_id": owner, "probability": p} for owner, p in [("ann", 0.9), ("ann", 0.8), ("bob", 0.7), ("cleo", 0.1)]))
    rules = Rules(capacity=2, teams={"ann": "north", "bob": "north"}, team_capacity={"north": 2})
    ranked = rank(leads, {}, rules)
    assert _listed(ranked) == ["L0", "L1", "L3"]
    assert ranked.set_index("lead_id")["tier"]["L2"] == "B"


def test_nobodys_leads_go_to_the_rep_who_has_room_where_they_are() -> None:
    leads = _leads(
        {"owner_id": "ann", "probability": 0.2, "territory": "DE"},
        {"owner_id": None, "probability": 0.9, "territory": "FR"},
        {"owner_id": None, "probability": 0.8, "territory": "DE"},
        {"owner_id": None, "probability": 0.7, "territory": "IT"},
        {"owner_id": None, "probability": 0.6, "territory": "DE"},
        {"owner_id": None, "probability": 0.5, "territory": "FR", "left_out": "unsubscribed"},
    ).fillna({"left_out": ""})
    ranked = rank(leads, {"ann": 2, "bob": 1}, Rules(covers={"ann": ("DE",), "bob": ("FR",)})).set_index("lead_id")
    assert ranked["owner_id"].to_dict() == {"L0": "ann", "L1": "bob", "L2": "ann", "L3": "", "L4": "", "L5": ""}
    assert ranked.index[ranked["routed"]].tolist() == ["L1", "L2"]


def test_how_often_a_lead_is_drawn_is_the_probability_that_is_logged() -> None:
    leads = pd.DataFrame({"lead_id": [f"L{n}" for n in range(10)], "owner_id": "ann", "probability": 0.5 - np.arange(10) / 100})
    times = Counter[str]()
    logged = pd.Series(dtype=float)
    for night in range(400):
        ranked = rank(leads, {"ann": 4}, Rules(explore=0.5), as_of=MONDAY + timedelta(days=night))
        times.update(_listed(ranked))
        logged = ranked.set_index("lead_id")["selection_probability"]
    assert logged.to_dict() == {f"L{n}": 1.0 if n < 2 else 0.25 for n in range(10)}
    # 0.25 of 400 nights; 30 is three and a half standard deviations.
    assert all(times[f"L{n}"] == pytest.approx(100, abs=30) for n in range(2, 10))
    assert times["L0"] == times["L1"] == 400
