"""No feature changes when the future is cut off, and one that would is caught."""

from __future__ import annotations

from collections.abc import Callable

import ibis
import ibis.expr.types as ir
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from stories import RANDOM_COMPANIES, company_of, day, nights, random_company

from features import engagement, examples
from features.crm import Crm
from features.history import cut
from features.leakage import truncation_audit
from features.plan import Attribute, Plan
from features.timeline import Timeline

LINE = Timeline(horizon_days=30, settle_days=3, max_age_days=90)
STAGE = Attribute("stage", "leads", "category", "history")


@RANDOM_COMPANIES
@example(seed=4547, night=57).via("a colleague's deeds were known before the colleague was")
@example(seed=3, night=35).via("so was a colleague's deal")
@given(seed=st.integers(0, 10_000), night=st.integers(1, 130))
def test_cutting_off_the_future_changes_nothing(seed: int, night: int) -> None:
    crm = company_of(random_company(seed))
    plan = examples.plan_from(crm, LINE, (STAGE,))
    assert truncation_audit(crm, day(night), plan) == []


def test_a_feature_that_counts_tomorrow_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    crm = company_of(
        {
            "leads": [{"lead_id": "a", "created_at": day(0)}],
            "activities": [{"lead_id": "a", "kind": "open", "occurred_at": day(1)}, {"lead_id": "a", "kind": "open", "occurred_at": day(9)}],
        }
    )
    plan = examples.plan_from(crm, LINE)
    honest: Callable[[Crm, ir.Table, Plan], ir.Table] = engagement.table

    def leaking(crm: Crm, spine: ir.Table, plan: Plan) -> ir.Table:
        everything = crm.activities.group_by("lead_id").agg(total=crm.activities.count()).rename(actor="lead_id")
        joined = honest(crm, spine, plan).left_join(everything, ibis._.lead_id == everything.actor)
        return joined.mutate(in_ever=joined.total).drop("actor", "total")

    monkeypatch.setattr(engagement, "table", leaking)
    (leak,) = truncation_audit(crm, day(5), plan)
    assert str(leak) == "in_ever (1 leads, e.g. a: 2.0 with the future, 1.0 without)"


def test_what_is_known_exactly_at_as_of_is_the_future() -> None:
    crm = company_of(
        {
            "leads": [{"lead_id": "a", "created_at": day(0)}],
            "activities": [{"lead_id": "a", "kind": "open", "occurred_at": day(4), "known_at": day(5)}],
        }
    )
    plan = examples.plan_from(crm, LINE)
    assert examples.snapshot(crm, nights(5, 6), plan).order_by("as_of").execute()["in_ever"].tolist() == [0.0, 1.0]
    assert cut(crm, day(5)).activities.count().execute() == 0


def test_a_later_win_is_undone_by_the_cut() -> None:
    crm = company_of(
        {
            "leads": [{"lead_id": "a", "created_at": day(0)}],
            "deals": [{"lead_id": "a", "created_at": day(1), "outcome": "won", "closed_at": day(10), "amount": 9.0}],
        }
    )
    deal = cut(crm, day(5)).deals.execute().iloc[0]
    assert (deal["outcome"], deal["amount"] != deal["amount"]) == ("open", True)
