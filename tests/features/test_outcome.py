"""What counts as a conversion, and what becomes of leads and deals in a CRM: one story a rule, and plain loops over rows for the rest."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import Oracle, same
from stories import RANDOM_COMPANIES, company_of, day, frame, nights, random_customers

from features import examples
from features.contract import SCHEMAS
from features.crm import Crm
from features.leakage import truncation_audit
from features.outcome import Outcome, events, ever, firsts, united, value_of
from features.plan import Attribute, Plan
from features.problem import Problem
from features.timeline import Timeline

LINE = Timeline(horizon_days=30, settle_days=3, max_age_days=200)
LATE = day(400)
ATTRIBUTES = (Attribute("source", "leads", "category", "creation"), Attribute("product", "deals", "category", "creation"))
ACME = {"lead_id": "acme", "created_at": day(0)}
ANY = (("outcome", ("won",)),)
OUTCOMES = (
    Outcome(deals=(("product", ("crane",)),)),
    Outcome("meeting", activities=("call",), statuses=("disqualified",)),
    Outcome("next purchase"),
    Outcome("renewal", deals=(("product", ("lift",)),), customers=ANY),
    Outcome("churn", deals=(("product", ("crane", "lift")),)),
    Outcome("churn", statuses=("disqualified",)),
)


def won(opened: float, closed: float, **more: Any) -> dict[str, Any]:
    return {"lead_id": "acme", "created_at": day(opened), "outcome": "won", "closed_at": day(closed), **more}


def lost(opened: float, closed: float, **more: Any) -> dict[str, Any]:
    return {**won(opened, closed), "outcome": "lost", **more}


def told(crm: Crm, outcome: Outcome, *numbers: float, line: Timeline = LINE, lead: str = "acme") -> dict[float, bool | None]:
    """Of each night on which the lead is scored: did it come to the outcome within 30 days?"""
    plan = examples.plan_from(crm, line, closed_statuses=("disqualified",), outcome=outcome)
    found = examples.labelled(crm, nights(*numbers), plan, LATE).execute()
    found = found[found["lead_id"] == lead].set_index("as_of")["converted"]
    return {n: None if found[day(n)] is None else bool(found[day(n)]) for n in numbers if day(n) in found.index}


def test_a_closed_lost_lead_is_scored_until_it_is_lost_and_was_no_conversion() -> None:
    crm = company_of({"leads": [ACME], "deals": [lost(5, 20)]})
    assert told(crm, Outcome(), 1, 10, 20, 21, 60) == {1: False, 10: False, 20: False}


def test_a_lost_lead_with_a_new_deal_is_scored_again_and_its_win_counts() -> None:
    crm = company_of({"leads": [ACME], "deals": [lost(5, 20), won(50, 70)]})
    assert told(crm, Outcome(), 10, 30, 51, 71) == {10: False, 51: True}


def test_a_reopened_deal_is_won_on_the_day_of_its_win() -> None:
    """It was lost on day 20; the CRM has overwritten that, and today it is won on day 45."""
    crm = company_of({"leads": [ACME], "deals": [won(5, 45)]})
    assert told(crm, Outcome(), 10, 30, 46) == {10: False, 30: True}


def test_a_deal_won_and_opened_again_is_no_win() -> None:
    crm = company_of({"leads": [ACME], "deals": [{"lead_id": "acme", "created_at": day(5), "outcome": "open"}]})
    assert told(crm, Outcome(), 10, 30) == {10: False, 30: False}


def test_a_recycled_lead_is_scored_again_from_the_night_it_comes_back() -> None:
    moves = [("new", "disqualified", 10), ("disqualified", "working", 50)]
    rows = [{"lead_id": "acme", "field": "status", "old_value": a, "new_value": b, "changed_at": day(n)} for a, b, n in moves]
    crm = company_of({"leads": [{**ACME, "status": "working"}], "lead_changes": rows, "deals": [won(55, 60)]})
    assert told(crm, Outcome(), 5, 11, 49, 51) == {5: False, 51: True}


def test_of_several_deals_the_first_win_is_the_first_purchase_and_every_later_one_the_next() -> None:
    crm = company_of({"leads": [ACME], "deals": [lost(1, 5), won(6, 20), won(30, 60), won(61, 100)]})
    assert told(crm, Outcome(), 6.5, 19, 21) == {6.5: True, 19: True}
    assert told(crm, Outcome("next purchase"), 19, 21, 31, 59, 61, 75, 101) == {21: False, 31: True, 59: True, 61: False, 75: True, 101: False}


def test_who_leaves_is_who_does_not_buy_again_within_the_horizon() -> None:
    crm = company_of({"leads": [ACME], "deals": [won(1, 20), won(30, 60)]})
    assert told(crm, Outcome("churn"), 10, 21, 31, 61) == {21: True, 31: False, 61: True}
    assert told(crm, Outcome("renewal"), 10, 21, 31, 61) == {21: False, 31: True, 61: False}


def test_what_cannot_be_known_yet_is_no_loss() -> None:
    crm = company_of({"leads": [ACME], "deals": [won(1, 20)]})
    plan = examples.plan_from(crm, LINE, outcome=Outcome("churn"))
    unripe = examples.labelled(crm, nights(25), plan, day(57)).execute()
    assert unripe["converted"].tolist() == [None]


def test_a_customer_is_scored_from_the_youngest_age_to_the_oldest_after_the_last_purchase() -> None:
    line = Timeline(horizon_days=30, settle_days=3, max_age_days=60, min_age_days=40)
    crm = company_of({"leads": [ACME], "deals": [won(1, 20), won(30, 70)]})
    assert list(told(crm, Outcome("churn"), 21, 60, 61, 69, 71, 110, 111, 130, 131, line=line)) == [61, 69, 111, 130]


def test_a_purchase_counts_from_the_night_it_was_known() -> None:
    crm = company_of({"leads": [ACME], "deals": [won(1, 20, known_at=day(25))]})
    assert list(told(crm, Outcome("churn"), 21, 25, 26)) == [26]


def test_a_customer_who_said_that_it_leaves_has_left_on_that_day() -> None:
    gone = {"lead_id": "acme", "field": "status", "old_value": "customer", "new_value": "Cancelled", "changed_at": day(50)}
    crm = company_of({"leads": [{**ACME, "status": "Cancelled"}], "lead_changes": [gone], "deals": [won(1, 10)]})
    assert told(crm, Outcome("churn", statuses=("cancelled",)), 11, 30, 49, 51) == {11: False, 30: True, 49: True}


def test_a_meeting_is_the_first_of_its_kind_and_takes_the_lead_off() -> None:
    deeds = [{"lead_id": "acme", "kind": kind, "occurred_at": day(n)} for kind, n in (("page view", 3), ("demo", 40), ("demo", 80))]
    crm = company_of({"leads": [ACME], "activities": deeds})
    assert told(crm, Outcome("meeting", activities=("demo",)), 5, 20, 39, 41, 70) == {5: False, 20: True, 39: True}


def test_a_meeting_may_be_a_status() -> None:
    move = {"lead_id": "acme", "field": "status", "old_value": "new", "new_value": "Met", "changed_at": day(40)}
    crm = company_of({"leads": [{**ACME, "status": "Met"}], "lead_changes": [move]})
    assert told(crm, Outcome("meeting", statuses=("met",)), 5, 20, 41) == {5: False, 20: True}


def test_product_lines_are_outcomes_of_their_own() -> None:
    crm = company_of({"leads": [ACME], "deals": [won(1, 20, product="crane"), won(30, 60, product="lift")]})
    crane, lift = (Outcome(deals=(("product", (name,)),)) for name in ("crane", "lift"))
    assert told(crm, crane, 5, 21) == {5: True}
    assert told(crm, lift, 5, 21, 40, 61) == {5: False, 21: False, 40: True}
    assert told(crm, Outcome("churn", deals=(("product", ("crane",)),)), 21, 40) == {21: True, 40: True}
    assert told(crm, Outcome("next purchase", deals=(("product", ("lift",)),), customers=ANY), 19, 21, 40) == {21: False, 40: True}


def test_a_column_that_deals_lack_is_named() -> None:
    with pytest.raises(Problem, match="An outcome counts deals by 'line', which deals do not have: correct its `deals` or `customers`"):
        events(company_of({}), Outcome(deals=(("line", ("A",)),)))


TWINS = {
    "leads": [{**ACME, "merged_into": "acme ltd", "merged_at": day(30)}, {"lead_id": "acme ltd", "created_at": day(2)}],
    "activities": [{"lead_id": "acme", "kind": "reply", "occurred_at": day(4)}, {"lead_id": "acme ltd", "kind": "reply", "occurred_at": day(6)}],
    "deals": [won(35, 50, lead_id="acme ltd")],
}


def test_of_leads_merged_into_one_the_one_that_remains_is_scored_and_knows_what_the_other_did() -> None:
    crm = united(company_of(TWINS), LATE)
    plan = examples.plan_from(crm, LINE)
    known = examples.snapshot(crm, nights(25, 30, 31), plan).order_by("as_of", "lead_id").execute()
    assert known[["lead_id", "reply_in_ever"]].to_numpy().tolist() == [["acme", 1], ["acme ltd", 1], ["acme", 1], ["acme ltd", 1], ["acme ltd", 2]]


def test_what_one_of_them_bought_is_the_outcome_of_both_on_every_night_before() -> None:
    crm = united(company_of(TWINS), LATE)
    assert told(crm, Outcome(), 5, 25, 31) == {5: False, 25: True}
    assert told(crm, Outcome(), 5, 25, 31, 51, lead="acme ltd") == {5: False, 25: True, 31: True}


def test_a_win_of_the_merged_lead_is_known_of_the_other_from_the_merge_on() -> None:
    crm = united(company_of({**TWINS, "deals": [won(5, 10)]}), LATE)
    assert told(crm, Outcome(), 9, 20, 31, lead="acme ltd") == {9: True, 20: None}
    assert told(crm, Outcome("next purchase"), 11, 20, 31, lead="acme ltd") == {31: False}


@pytest.mark.parametrize(("logged", "known"), [([], LATE), ([{"changed_at": day(12), "known_at": day(14)}], day(14))])
def test_a_merge_without_a_date_is_known_from_its_log_or_from_today(logged: list[dict[str, Any]], known: datetime) -> None:
    moves = [{"lead_id": "acme", "field": "merged_into", "new_value": "acme ltd", **one} for one in logged]
    leads = [{**ACME, "merged_into": "acme ltd"}, {"lead_id": "acme ltd", "created_at": day(2), "merged_into": "acme ltd"}]
    found = united(company_of({"leads": leads, "lead_changes": moves}), LATE).leads.order_by("lead_id").execute()
    assert [None if at != at else at for at in found["merged_at"]] == [known, None]


def test_two_merges_in_a_row_end_with_the_last_and_a_ring_is_no_end() -> None:
    chain = [("a", "b", 10), ("b", "c", 20), ("c", None, None), ("x", "y", 5), ("y", "x", 6)]
    leads = [{"lead_id": a, "created_at": day(0), "merged_into": b, "merged_at": n and day(n)} for a, b, n in chain]
    crm = united(company_of({"leads": leads, "deals": [won(1, 2, lead_id="a")]}), LATE)
    assert sorted(crm.deals.execute()[["lead_id", "known_at"]].to_numpy().tolist()) == [["a", day(2)], ["b", day(10)], ["c", day(20)]]


def paid(crm: Crm, outcome: Outcome, *numbers: float) -> list[float | None]:
    """Of each night: what the purchase brought with which acme converted."""
    plan = examples.plan_from(crm, LINE, closed_statuses=("disqualified",), outcome=outcome)
    found = examples.labelled(crm, nights(*numbers), plan, LATE).order_by("as_of").execute()
    return [None if amount != amount else amount for amount in found["amount"].astype(float)]


def test_the_amount_is_that_of_the_purchase_the_night_converted_with() -> None:
    deals = [won(1, 20, amount=500.0), won(30, 60, amount=80.0, product="lift"), won(31, 60, amount=20.0), won(61, 100)]
    crm = company_of({"leads": [ACME], "deals": [*deals, lost(2, 5, amount=9_999.0)]})
    assert paid(crm, Outcome(), 6, 19) == [500.0, 500.0]
    # Nobody bought within 30 days of day 21; two deals of one day are one purchase; what nobody wrote down is unknown.
    assert paid(crm, Outcome("next purchase"), 21, 31, 59, 75) == [None, 100.0, 100.0, None]
    assert paid(crm, Outcome("renewal", deals=(("product", ("lift",)),), customers=ANY), 59) == [80.0]


def test_a_loss_and_a_meeting_have_no_amount() -> None:
    gone = {"lead_id": "acme", "field": "status", "old_value": "customer", "new_value": "cancelled", "changed_at": day(50)}
    demo = {"lead_id": "acme", "kind": "demo", "occurred_at": day(15)}
    crm = company_of({"leads": [ACME], "activities": [demo], "lead_changes": [gone], "deals": [won(1, 20, amount=500.0)]})
    assert paid(crm, Outcome("churn"), 21) == [None]
    assert paid(crm, Outcome("churn", statuses=("cancelled",)), 30) == [None]
    assert paid(crm, Outcome("meeting", activities=("demo",)), 5) == [None]


def test_who_ever_came_to_it_and_what_it_is_worth() -> None:
    deals = [won(1, 20, amount=10.0), won(30, 60, amount=30.0, product="lift"), won(3, 9, lead_id="other", amount=5.0)]
    crm = company_of({"leads": [ACME, {**ACME, "lead_id": "other"}], "deals": deals})
    assert ever(crm, Outcome()) == ["acme", "other"]
    assert ever(crm, Outcome("next purchase")) == ["acme"]
    assert ever(crm, Outcome("churn")) == []
    assert (value_of(crm, Outcome()), value_of(crm, Outcome("churn"))) == (15.0, 15.0)
    assert (value_of(crm, Outcome(deals=(("product", ("lift",)),))), value_of(crm, Outcome("meeting", activities=("demo",)))) == (30.0, None)
    assert firsts(crm, Outcome()).order_by("lead_id").execute()["happened_at"].tolist() == [day(20), day(9)]


def test_a_plan_of_before_there_were_outcomes_learned_the_first_purchase() -> None:
    stored = Plan().to_dict()
    del stored["outcome"]
    assert Plan.from_dict(stored).outcome == Outcome()


@settings(RANDOM_COMPANIES, max_examples=6)
@given(seed=st.integers(0, 10_000), night=st.integers(20, 130), outcome=st.sampled_from(OUTCOMES))
def test_whoever_is_scored_for_whatever_every_feature_and_label_equals_its_loop(seed: int, night: int, outcome: Outcome) -> None:
    tables, today, as_of = random_customers(seed), day(170), day(night)
    crm = united(company_of(tables), today)
    line = Timeline(horizon_days=30, settle_days=3, max_age_days=90, min_age_days=seed % 2 * 10)
    plan = examples.plan_from(crm, line, ATTRIBUTES, outcome=outcome)
    oracle = Oracle({name: frame(name, tables[name]) for name in SCHEMAS}, plan)
    oracle.unite(today)
    scored = {lead["lead_id"]: lead for lead in oracle.leads if oracle.is_scored(lead, as_of)}
    found = examples.snapshot(crm, nights(night), plan).execute().set_index("lead_id")
    assert set(found.index) == set(scored)
    for name, lead in scored.items():
        expected = oracle.features(lead, as_of)
        assert set(expected) == {feature.name for feature in examples.features_of(plan)}
        assert [key for key in expected if not same(found.at[name, key], expected[key])] == []
    told = examples.labelled(crm, nights(night), plan, today).execute().set_index("lead_id")
    assert [name for name, lead in scored.items() if not same(told.at[name, "amount"], oracle.amount(lead, as_of, today))] == []
    labels = told["converted"]
    assert {name: None if value is None or value != value else bool(value) for name, value in labels.items()} == {
        name: oracle.label(lead, as_of, today) for name, lead in scored.items()
    }
    assert truncation_audit(crm, as_of, plan) == []
