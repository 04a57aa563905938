"""An account is one customer, whoever of its people signs: one story a rule, and plain loops over rows for the rest."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import ibis
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import Oracle, same
from stories import RANDOM_COMPANIES, Rows, company_of, day, frame, nights, random_customers

from features import examples
from features.accountwise import as_population, by_account, linked
from features.contract import SCHEMAS
from features.crm import Crm
from features.history import cut
from features.leakage import truncation_audit
from features.outcome import Outcome, ever, united
from features.plan import Attribute, Plan
from features.timeline import Timeline

LINE = Timeline(horizon_days=90, settle_days=7, max_age_days=400)
SHORT = Timeline(horizon_days=30, settle_days=3, max_age_days=90)
RENEWAL = Outcome("renewal", population="accounts")
OUTCOMES = (Outcome("next purchase", population="accounts"), Outcome("churn", deals=(("product", ("crane", "lift")),), population="accounts"))
ATTRIBUTES = (Attribute("product", "deals", "category", "creation"), Attribute("industry", "accounts", "category", "creation"))
BUYER = {"lead_id": "buyer", "account_id": "acme", "created_at": day(0), "owner_id": "ann", "name": "Eva Grau", "company": "Acme Ltd"}
COLLEAGUE = {"lead_id": "colleague", "account_id": "acme", "created_at": day(200), "owner_id": "bob", "status": "disqualified", "source": "web"}
SIGNED = {"deal_id": "D1", "lead_id": "buyer", "created_at": day(10), "outcome": "won", "closed_at": day(40), "amount": 100.0}
RENEWED = {"deal_id": "D2", "lead_id": "colleague", "created_at": day(380), "outcome": "won", "closed_at": day(400), "amount": 300.0}
ACME: dict[str, Rows] = {"leads": [BUYER, COLLEAGUE], "deals": [SIGNED, RENEWED]}


def told(crm: Crm, outcome: Outcome, *numbers: float) -> dict[str, list[bool | None]]:
    """Of each customer: did it come to the outcome within 90 days of each night on which it is scored?"""
    plan = examples.plan_from(crm, LINE, outcome=outcome)
    found = examples.labelled(crm, nights(*numbers), plan, day(900)).execute().sort_values(["lead_id", "as_of"])
    return {str(name): [None if value is None else bool(value) for value in rows] for name, rows in found.groupby("lead_id")["converted"]}


def rows_of(table: Any, *columns: str) -> list[tuple[Any, ...]]:
    """Some columns of a table, in order, missing as None."""
    rows = table.select(*columns).execute()
    return sorted(rows.astype(object).where(rows.notna(), None).itertuples(index=False, name=None), key=str)


def test_acmes_buyer_signed_on_day_40_and_her_colleague_renewed_on_day_400() -> None:
    crm = company_of(ACME)
    assert told(crm, Outcome("renewal"), 60, 350, 420) == {"buyer": [False, False, False], "colleague": [False]}
    assert told(by_account(crm), RENEWAL, 60, 350, 420) == {"acme": [False, True, False]}
    assert told(by_account(crm), Outcome("churn", population="accounts"), 60, 350, 420) == {"acme": [True, False, True]}
    assert (ever(crm, Outcome("renewal")), ever(by_account(crm), RENEWAL)) == ([], ["acme"])


def test_an_account_is_its_first_contact_without_what_is_the_contacts_own() -> None:
    columns = ("lead_id", "account_id", "created_at", "owner_id", "name", "company", "status")
    crm = by_account(company_of(ACME))
    assert rows_of(crm.leads, *columns) == [("acme", "acme", day(0), "ann", "Eva Grau", "Acme Ltd", None)]
    assert crm.leads.columns == tuple(SCHEMAS["leads"])
    listed = company_of({**ACME, "accounts": [{"account_id": "acme"}]})
    named = listed._replace(accounts=listed.accounts.mutate(name=ibis.literal("Acme Group")))
    assert rows_of(by_account(named).leads, "lead_id", "name", "company") == [("acme", "Eva Grau", "Acme Group")]


def test_the_first_contact_is_whom_we_knew_first_and_its_owner_is_told_as_it_stood() -> None:
    late = {**BUYER, "known_at": day(300)}
    moves = [
        {"lead_id": "colleague", "field": "owner_id", "old_value": "cid", "new_value": "bob", "changed_at": day(450)},
        {"lead_id": "buyer", "field": "owner_id", "old_value": "ann", "new_value": "dan", "changed_at": day(405)},
        {"lead_id": "colleague", "field": "stage", "old_value": "none", "new_value": "offer", "changed_at": day(390)},
        {"lead_id": "colleague", "field": "status", "old_value": "new", "new_value": "merged", "changed_at": day(391)},
    ]
    crm = by_account(company_of({**ACME, "leads": [late, COLLEAGUE], "lead_changes": moves}))
    assert rows_of(crm.leads, "lead_id", "created_at", "known_at", "owner_id") == [("acme", day(200), day(200), "bob")]
    assert rows_of(crm.lead_changes, "field", "new_value") == [("owner_id", "bob"), ("stage", "offer")]
    plan = examples.plan_from(crm, LINE, outcome=RENEWAL)
    found = examples.snapshot(crm, nights(250, 301, 410, 460), plan).execute().sort_values("as_of")
    # What the buyer had bought was known when the buyer was.
    assert found["as_of"].tolist() == [day(301), day(410), day(460)]
    assert found["owner_id"].tolist() == ["cid", "cid", "bob"]
    assert found["purchases"].tolist() == [1.0, 2.0, 2.0]
    assert found["bought_amount"].tolist() == [100.0, 400.0, 400.0]


def test_a_lead_without_an_account_stays_who_it_is_and_nobody_is_taken_for_another() -> None:
    lone = {"lead_id": "acme", "created_at": day(5), "status": "working", "name": "Ada"}
    bought = {**SIGNED, "deal_id": "D3", "lead_id": "acme", "closed_at": day(50)}
    crm = by_account(company_of({"leads": [BUYER, COLLEAGUE, lone], "deals": [SIGNED, RENEWED, bought]}))
    assert rows_of(crm.leads, "lead_id", "account_id", "name", "status") == [
        ("account acme", "acme", "Eva Grau", None),
        ("acme", None, "Ada", "working"),
    ]
    assert rows_of(crm.deals, "deal_id", "lead_id", "account_id") == [
        ("D1", "account acme", "acme"),
        ("D2", "account acme", "acme"),
        ("D3", "acme", None),
    ]


def test_what_a_contact_did_is_known_of_the_account_once_the_contact_is() -> None:
    deeds = [{"lead_id": "colleague", "kind": "call", "occurred_at": day(199.5)}, {"lead_id": "buyer", "kind": "call", "occurred_at": day(2)}]
    crm = by_account(company_of({**ACME, "activities": deeds}))
    assert rows_of(crm.activities, "lead_id", "occurred_at", "known_at") == [("acme", day(2), day(2)), ("acme", day(199.5), day(200))]


def test_a_contact_whose_history_says_when_it_came_to_the_account_counts_from_then_on() -> None:
    came = {"lead_id": "colleague", "field": "account_id", "old_value": "beta", "new_value": "acme", "changed_at": day(410)}
    crm = company_of({**ACME, "lead_changes": [came]})
    assert (linked(crm), linked(company_of(ACME))) == ((2, 1), (2, 2))
    assert rows_of(by_account(crm).deals, "deal_id", "created_at", "known_at") == [("D1", day(10), day(40)), ("D2", day(410), day(410))]
    assert by_account(crm).lead_changes.count().execute() == 0
    stayed = {**came, "old_value": "acme", "new_value": "beta"}
    back = {**came, "changed_at": day(420)}
    assert rows_of(by_account(company_of({**ACME, "lead_changes": [stayed, back]})).deals, "known_at") == [(day(40),), (day(400),)]


def test_a_deal_that_names_another_account_than_its_contacts_is_that_accounts() -> None:
    beta = {"lead_id": "dee", "account_id": "beta", "created_at": day(0)}
    elsewhere, unknown = {**RENEWED, "account_id": "beta"}, {**SIGNED, "account_id": "nobody's"}
    crm = by_account(company_of({"leads": [BUYER, COLLEAGUE, beta], "deals": [unknown, elsewhere]}))
    assert rows_of(crm.deals, "deal_id", "lead_id", "account_id") == [("D1", "acme", "acme"), ("D2", "beta", "beta")]


def test_what_two_contacts_share_since_they_were_merged_counts_once() -> None:
    gone = {**COLLEAGUE, "merged_into": "buyer", "merged_at": day(500)}
    call = {"lead_id": "colleague", "kind": "call", "occurred_at": day(250)}
    crm = by_account(united(company_of({"leads": [BUYER, gone], "deals": [SIGNED, RENEWED], "activities": [call]}), day(900)))
    assert rows_of(crm.deals, "deal_id", "lead_id", "known_at") == [("D1", "acme", day(40)), ("D2", "acme", day(400))]
    assert rows_of(crm.activities, "lead_id", "known_at") == [("acme", day(250))]
    assert told(crm, RENEWAL, 350, 450, 550) == {"acme": [True, False, False]}


def test_where_leads_are_scored_nothing_is_moved() -> None:
    crm = company_of(ACME)
    assert as_population(crm, Outcome("renewal")) is crm


def moving(seed: int) -> dict[str, Rows]:
    """Customers of whom some came to their account later, or from another, as `lead_changes` say."""
    tables = random_customers(seed)
    for number, lead in enumerate(tables["leads"]):
        if (seed + number) % 3 == 0:
            at = lead["created_at"] + pd.Timedelta(days=(seed + number) % 50)
            move = {
                "lead_id": lead["lead_id"],
                "field": "account_id",
                "old_value": [None, "A1", "A2"][seed % 3],
                "new_value": lead["account_id"] or "A1",
            }
            tables["lead_changes"].append({**move, "changed_at": at, "known_at": at + pd.Timedelta(days=seed % 2)})
    if seed % 2:
        # A lead that is called like an account.
        tables = {
            name: [{**row, **{k: "A1" for k in ("lead_id", "merged_into") if row.get(k) == "L0"}} for row in rows] for name, rows in tables.items()
        }
    return tables


def population_of(seed: int, today: datetime) -> tuple[Crm, dict[str, Rows]]:
    tables = moving(seed)
    return by_account(united(company_of(tables), today)), tables


@settings(RANDOM_COMPANIES, max_examples=8)
@given(seed=st.integers(0, 10_000), night=st.integers(20, 130), outcome=st.sampled_from(OUTCOMES))
def test_every_account_and_every_feature_and_label_of_it_equals_its_loop(seed: int, night: int, outcome: Outcome) -> None:
    today, as_of = day(170), day(night)
    crm, tables = population_of(seed, today)
    plan = examples.plan_from(crm, SHORT, ATTRIBUTES, outcome=outcome)
    oracle = Oracle({name: frame(name, tables[name]) for name in SCHEMAS}, plan)
    oracle.unite(today)
    oracle.house()
    assert sorted(crm.leads.execute()["lead_id"]) == sorted(lead["lead_id"] for lead in oracle.leads)
    scored = {lead["lead_id"]: lead for lead in oracle.leads if oracle.is_scored(lead, as_of)}
    found = examples.snapshot(crm, nights(night), plan).execute().set_index("lead_id")
    assert set(found.index) == set(scored)
    for name, lead in scored.items():
        expected = oracle.features(lead, as_of)
        assert [key for key in expected if not same(found.at[name, key], expected[key])] == []
    labels = examples.labelled(crm, nights(night), plan, today).execute().set_index("lead_id")
    assert [name for name, lead in scored.items() if not same(labels.at[name, "amount"], oracle.amount(lead, as_of, today))] == []
    assert {name: None if value is None or value != value else bool(value) for name, value in labels["converted"].items()} == {
        name: oracle.label(lead, as_of, today) for name, lead in scored.items()
    }


@settings(RANDOM_COMPANIES, max_examples=8)
@given(seed=st.integers(0, 10_000), night=st.integers(20, 130))
def test_cutting_off_the_future_changes_nothing_of_an_account(seed: int, night: int) -> None:
    crm, _ = population_of(seed, day(170))
    plan = examples.plan_from(crm, SHORT, ATTRIBUTES, outcome=RENEWAL)
    assert truncation_audit(crm, day(night), plan) == []


@settings(RANDOM_COMPANIES, max_examples=8)
@given(seed=st.integers(0, 10_000), night=st.integers(20, 130))
def test_the_accounts_of_a_company_as_it_stood_are_what_its_accounts_were(seed: int, night: int) -> None:
    """Also the other way round: what was not known on the night has no part in who is one with whom, as far as links have not moved since."""
    tables, as_of = random_customers(seed), day(night)
    for row in (*tables["deals"], *tables["leads"]):
        row.update({"account_id": row["account_id"] if "source" in row else None, "merged_into": None} if "source" in row else {"account_id": None})
    crm = company_of(tables)
    plan: Plan = examples.plan_from(by_account(crm), SHORT, ATTRIBUTES, outcome=RENEWAL)
    one, other = (examples.snapshot(each, nights(night), plan).execute() for each in (by_account(crm), by_account(cut(crm, as_of))))
    one, other = (each.sort_values("lead_id", ignore_index=True) for each in (one, other))
    pd.testing.assert_frame_equal(one, other, check_dtype=False, rtol=1e-9)


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_plan_knows_whom_its_model_learned_of(outcome: Outcome) -> None:
    plan = Plan(outcome=outcome)
    assert Plan.from_dict(plan.to_dict()).outcome == outcome
    stored = plan.to_dict()
    del stored["outcome"]["population"]
    assert Plan.from_dict(stored).outcome.population == "leads"
