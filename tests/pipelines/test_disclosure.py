"""A person is told all that is known of them, where from and since when, what it counted for, who decides, and what they may ask."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import learnable
import numpy as np
import pytest
from conftest import MadeUp
from reps import NIGHT, night, publish
from stories import company_of

from features.examples import features_of, plan_from
from features.problem import Problem
from models.rules import rules
from models.run import Training
from pipelines.company import open_company
from pipelines.disclosure import disclose
from pipelines.registry import registry_of
from pipelines.settings import Settings, read_settings
from pipelines.warehouse import Warehouse

pytestmark = pytest.mark.xdist_group("company")
Typed = Callable[..., tuple[int, str, str]]


def test_a_person_who_is_scored_is_told_in_plain_words(company: MadeUp, leadscore: Typed) -> None:
    lead = company.reports["score"].rows[0]["lead"]
    code, out, _ = leadscore("explain", lead, "--for-the-person", "--config", company.config)
    assert code == 0
    with open_company(read_settings(company.config)) as opened:
        mine = opened.crm.leads.filter(opened.crm.leads.lead_id == lead).execute().iloc[0]
    for said in (mine["name"], mine["email"], "leads.parquet", f"{mine['created_at']:%Y-%m-%d}"):
        assert said in out
    assert re.search(r"of 100 leads about which as much speaks, about \d+ come to a first purchase within 90 days", out)
    assert re.search(r"Counted for it: [^\n]+\.\n", out)
    assert "Names, addresses, telephone numbers and the texts of messages never count" in out
    assert "A person decides." in out
    assert "It is kept for as long as the CRM keeps it, or until it is erased" in out
    for right in ("To know", "To have it corrected", "To be erased", "To object", "To have a person look at it again", "To complain"):
        assert f"- {right}" in out
    assert [word for word in ("log-odds", "probability", "%", "feature", "model ") if word in out] == []


def test_a_machine_gets_a_copy_of_every_row(company: MadeUp, leadscore: Typed) -> None:
    lead = company.reports["score"].rows[0]["lead"]
    code, out, _ = leadscore("explain", lead, "--for-the-person", "--json", "--config", company.config)
    told = json.loads(out)
    assert (code, told["lead"]) == (0, lead)
    with open_company(read_settings(company.config)) as opened:
        for table in ("leads", "activities", "lead_changes", "ledger"):
            rows = opened.warehouse.raw.execute(f"SELECT count(*) FROM {table} WHERE lead_id = ?", [lead]).fetchall()[0][0]
            assert len(told["copy"].get(table, [])) == rows, table
    assert list(told["scores"]) == ["first purchase"]


def test_a_customer_is_told_why_there_is_no_score(company: MadeUp) -> None:
    settings = read_settings(company.config)
    with open_company(settings) as opened:
        deals = opened.crm.deals
        customer = deals.filter(deals.outcome == "won").lead_id.min().execute()
    told = disclose(settings, customer).text()
    assert "There is no score of any night." in told
    assert "This person is not scored now, being not among the open leads of 2025-08-23: too new or too old, closed, or merged into another." in told


def test_who_is_unknown_is_one_sentence(company: MadeUp) -> None:
    with pytest.raises(Problem, match="There is no lead L-nobody in the warehouse: check the id"):
        disclose(read_settings(company.config), "L-nobody")


def test_before_there_is_a_model_what_is_known_is_told_all_the_same(tmp_path: Path) -> None:
    tables = {"leads": {"table": "people.csv"}, "deals": {"table": "deals.csv"}, "activities": {"table": "mails.csv"}}
    settings = Settings(
        source={"tables": tables},
        writeback={"target": "hubspot"},
        people={"keep_days": 730, "keep_nights_days": 90},
        folder=tmp_path,  # type: ignore[arg-type]
    )
    with Warehouse.open(settings.warehouse_url) as warehouse:
        company_of(
            {
                "leads": [
                    {"lead_id": "L1", "created_at": NIGHT, "name": "Eva", "merged_into": "L2"},
                    {"lead_id": "L2", "created_at": NIGHT, "name": "Eva G."},
                ],
                "activities": [{"lead_id": "L2", "kind": "mail", "occurred_at": NIGHT, "text": "Dear Eva", "direction": "out"}],
            },
            warehouse.ibis,
        )
        warehouse.raw.execute("INSERT INTO extracts (extracted_at, table_name) VALUES (?, 'leads')", [NIGHT])
        publish(warehouse, night({}))
    told = disclose(settings, "L1")
    known = {(one["what"], one["value"], one["from"], one["since"]) for one in told.known}
    assert known >= {
        ("name", "Eva", "people.csv", "2025-03-04"),
        # The same person under another id.
        ("name", "Eva G.", "people.csv", "2025-03-04"),
        ("mail by the company", "once", "mails.csv", "2025-03-04"),
        ("mail by the company: its text", "Dear Eva", "mails.csv", "2025-03-04"),
        ("scores", "nights: 1, last 2025-03-04", "ledger (made here)", "2025-03-04"),
    }
    assert told.scores["first purchase"][-1] == "There is no model that could score tonight: nothing counted for anything."
    assert told.kept[1:] == (
        "It is seen by the sales team, on lists and in letters, and whoever has access to the CRM (hubspot). Nobody else is given any of it.",
        "It is kept for 730 days after the last sign of life, and then erased.",
        "Scores and lists are kept for 90 days.",
    )


def test_of_an_account_that_is_scored_each_of_its_people_is_told_the_score_of_the_account(tmp_path: Path) -> None:
    tables = {"leads": {"table": "people.csv"}, "deals": {"table": "deals.csv"}}
    outcome = {"kind": "renewal", "population": "accounts"}
    settings = Settings(source={"tables": tables}, outcome=outcome, folder=tmp_path)  # type: ignore[arg-type]
    came, won = NIGHT - timedelta(days=200), NIGHT - timedelta(days=50)
    with Warehouse.open(settings.warehouse_url) as warehouse:
        crm = company_of(
            {
                "leads": [{"lead_id": lead, "created_at": came, "account_id": "A1", "name": lead} for lead in ("Eva", "Ida")],
                "accounts": [{"account_id": "A1"}],
                "deals": [{"lead_id": "Eva", "created_at": came, "outcome": "won", "closed_at": won, "amount": 10.0}],
            },
            warehouse.ibis,
        )
        warehouse.raw.execute("INSERT INTO extracts (extracted_at, table_name) VALUES (?, 'leads')", [NIGHT])
        plan = plan_from(crm, settings.timeline, outcome=settings.outcome.rule)
        publish(warehouse, night({"lead_id": "A1"}))
    past, features, drawn = learnable.examples(leads=60, weeks=4), features_of(plan), np.random.default_rng(3)
    past = past.assign(**{feature.name: drawn.normal(size=len(past)) for feature in features})
    scorer, _ = rules(past, features, plan, NIGHT, 3, needed=100)
    registry = registry_of(settings)
    registry.conclude(registry.log(Training("train", {}, {}, {}, scorer, scorer.average())), True, ("the first",), NIGHT)
    for lead in ("Eva", "Ida"):
        (said,) = disclose(settings, lead).scores.values()
        assert said[1] == "This is the score of the person's account, to which what this person did adds."
        assert said[2] == "Nights with a score: 1, from 2025-03-04 to 2025-03-04."
        assert re.search(r"of 100 customers about which as much speaks, about \d+ renew within 90 days", said[3])


def test_a_night_or_an_outcome_is_not_chosen_for_a_person(company: MadeUp, leadscore: Typed) -> None:
    for choice in (("--as-of", "2025-08-01"), ("--outcome", "renewal")):
        assert leadscore("explain", "L1", "--for-the-person", *choice, "--config", company.config)[0] == 2
