"""Training table and nights: one function, equal to plain loops over rows, whatever the history."""

from __future__ import annotations

from datetime import timedelta

import ibis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import Oracle, same
from stories import RANDOM_COMPANIES, company_of, day, frame, nights, random_company

from features import examples
from features.contract import SCHEMAS
from features.labels import ripe
from features.plan import Attribute
from features.timeline import Timeline

ATTRIBUTES = (
    Attribute("source", "leads", "category", "creation"),
    Attribute("stage", "leads", "category", "history"),
    Attribute("industry", "accounts", "category", "today"),
)
LINE = Timeline(horizon_days=30, settle_days=3, max_age_days=90)


@RANDOM_COMPANIES
@given(seed=st.integers(0, 10_000), night=st.integers(1, 130))
def test_every_feature_equals_its_loop(seed: int, night: int) -> None:
    tables = random_company(seed)
    crm = company_of(tables)
    plan = examples.plan_from(crm, LINE, ATTRIBUTES)
    oracle = Oracle({name: frame(name, tables[name]) for name in SCHEMAS}, plan)
    found = examples.snapshot(crm, nights(night), plan).execute().set_index("lead_id")
    as_of = day(night)
    assert set(found.index) == {lead["lead_id"] for lead in oracle.leads if oracle.is_scored(lead, as_of)}
    for lead in oracle.leads:
        if lead["lead_id"] in found.index:
            expected, row = oracle.features(lead, as_of), found.loc[lead["lead_id"]]
            assert set(expected) == {feature.name for feature in examples.features_of(plan)}
            assert [name for name in expected if not same(row[name], expected[name])] == []


@RANDOM_COMPANIES
@given(seed=st.integers(0, 10_000), extracted=st.integers(40, 200))
def test_every_label_equals_its_loop(seed: int, extracted: int) -> None:
    tables = random_company(seed)
    crm = company_of(tables)
    plan = examples.plan_from(crm, LINE, ATTRIBUTES)
    oracle = Oracle({name: frame(name, tables[name]) for name in SCHEMAS}, plan)
    told = examples.labelled(crm, nights(10, 35, 60, 85), plan, day(extracted)).execute()
    by_id = {lead["lead_id"]: lead for lead in oracle.leads}
    for row in told.itertuples():
        expected = oracle.label(by_id[row.lead_id], row.as_of.to_pydatetime(), day(extracted))
        assert (None if row.converted is None or row.converted != row.converted else bool(row.converted)) == expected
        assert same(row.amount, oracle.amount(by_id[row.lead_id], row.as_of.to_pydatetime(), day(extracted)))


def test_acme_replied_on_day_3_and_signed_for_12_000_on_day_40() -> None:
    crm = company_of(
        {
            "leads": [{"lead_id": "acme", "created_at": day(0)}],
            "activities": [
                {"lead_id": "acme", "kind": "call", "direction": "out", "occurred_at": day(2)},
                {"lead_id": "acme", "kind": "reply", "occurred_at": day(3)},
            ],
            "deals": [{"lead_id": "acme", "created_at": day(20), "outcome": "won", "closed_at": day(40), "amount": 12_000.0}],
        }
    )
    plan = examples.plan_from(crm, LINE)
    told = examples.training(crm, nights(3, 5, 9, 12, 39, 41), plan, day(100)).execute()
    assert told["happened_at"].tolist() == [day(40)] * 5
    assert told["as_of"].tolist() == [day(3), day(5), day(9), day(12), day(39)]
    assert told["converted"].tolist() == [False, False, False, True, True]
    assert told["amount"].isna().tolist() == [True, True, True, False, False]
    assert told["amount"].dropna().tolist() == [12_000.0, 12_000.0]
    # The night of day 12 is ripe on day 45; on that of day 39, on the same day, nobody may know yet.
    early = examples.training(crm, nights(12, 39), plan, day(45)).execute()
    assert early["amount"].fillna(-1.0).tolist() == [12_000.0, -1.0]
    assert told["reply_in_ever"].tolist() == [0.0, 1.0, 1.0, 1.0, 1.0]
    assert told["reply_in_in_7d"].tolist() == [0.0, 1.0, 1.0, 0.0, 0.0]
    assert told["hours_to_response"].tolist()[1:] == [72.0] * 4
    assert told["unanswered"].tolist() == [1.0, 0.0, 0.0, 0.0, 0.0]
    assert told["open_deals"].tolist() == [0.0, 0.0, 0.0, 0.0, 1.0]


def test_what_a_colleague_did_counts_once_the_colleague_is_known() -> None:
    home = {"account_id": "A1", "created_at": day(0)}
    crm = company_of(
        {
            "leads": [{"lead_id": "a", **home}, {"lead_id": "b", **home, "known_at": day(9)}],
            "activities": [{"lead_id": "b", "kind": "open", "occurred_at": day(2)}],
            "deals": [{"lead_id": "b", "created_at": day(3)}],
        }
    )
    told = examples.snapshot(crm, nights(5, 10), examples.plan_from(crm, LINE)).execute().query("lead_id == 'a'").sort_values("as_of")
    for name in ("siblings", "siblings_in_30d", "account_open_deals"):
        assert told[name].tolist() == [0.0, 1.0], name


def test_a_lead_has_no_owners_record_before_it_is_given_to_one() -> None:
    lead = {"owner_id": "ann", "created_at": day(0)}
    given = {"field": "owner_id", "old_value": None, "new_value": "ann"}
    crm = company_of(
        {
            "leads": [
                {"lead_id": "won", **lead},
                {"lead_id": "lost", "owner_id": "bob", "created_at": day(0)},
                {"lead_id": "new", **lead, "created_at": day(40)},
            ],
            "lead_changes": [{"lead_id": "new", **given, "changed_at": day(50)}],
            "deals": [{"lead_id": "won", "created_at": day(1), "outcome": "won", "closed_at": day(2)}],
        }
    )
    plan = examples.plan_from(crm, LINE)
    told = examples.snapshot(crm, nights(45, 55), plan).execute().query("lead_id == 'new'").sort_values("as_of")
    assert told["lift_owner_id"].tolist() == pytest.approx([1.0, (1 + plan.smoothing * 0.5) / (1 + plan.smoothing) / 0.5])


def test_an_unripe_night_is_counted_and_has_no_answer() -> None:
    crm = company_of({"leads": [{"lead_id": "a", "created_at": day(0)}]})
    plan = examples.plan_from(crm, LINE)
    extracted = day(5) + LINE.gap
    counted = examples.counts(crm, nights(5, 6), plan, extracted)
    assert counted == {"examples": 1, "conversions": 0, "unripe": 1, "known_late": 0}
    told = examples.training(crm, nights(5, 6), plan, extracted).execute()
    assert ripe(told)[["as_of", "converted"]].to_numpy().tolist() == [[day(5), False]]
    assert told["as_of"].tolist() == [day(5), day(6)]
    assert ripe(examples.training(crm, nights(5), plan, extracted - timedelta(seconds=1)).execute()).empty


def test_beyond_the_limit_every_other_night_counts_double() -> None:
    crm = company_of({"leads": [{"lead_id": f"L{n}", "created_at": day(0)} for n in range(3)]})
    plan = examples.plan_from(crm, LINE)
    told = examples.training(crm, nights(1, 8, 15, 22), plan, day(300), limit=6).execute()
    assert len(told) == 6
    assert told["weight"].tolist() == [2.0] * 6
    assert told.groupby("lead_id").size().tolist() == [2, 2, 2]


def test_hostile_kinds_of_activity_are_columns_like_any_other() -> None:
    kinds = ['"; DROP TABLE leads; --', "é" * 60, "é" * 61, "", "a b", "a_b"]
    crm = company_of(
        {
            "leads": [{"lead_id": "a", "created_at": day(0)}],
            "activities": [{"lead_id": "a", "kind": kind, "occurred_at": day(1)} for kind in kinds],
        }
    )
    plan = examples.plan_from(crm, LINE)
    row = examples.snapshot(crm, nights(2), plan).execute().iloc[0]
    assert [row[f"{deed.column}_ever"] for deed in plan.deeds] == [1.0] * 6
    assert isinstance(crm.leads, ibis.expr.types.Table)
