"""Sales sees names, where a lead belongs, what happened with it, who is new on the list, and what is to be reached."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import learnable
import pytest
from reps import NIGHT, TEAM, night, publish
from stories import company_of

from features.plan import Attribute, Plan
from features.problem import Problem
from models.registry import Champion
from models.rules import rules
from pipelines.company import Company
from pipelines.delivery.goals import Goals
from pipelines.delivery.night import Night
from pipelines.settings import read_settings
from pipelines.tonight import tonight
from pipelines.warehouse import Warehouse

TABLES = '[source.tables.leads]\ntable = "leads.csv"\n[source.tables.deals]\ntable = "deals.csv"\n'
LIST = '[list]\nterritory = "industry"\nquota = { north = 900 }\nquota_of = "wins"\n'


def _ago(**since: float) -> datetime:
    return NIGHT - timedelta(**since)


STORY: dict[str, list[dict[str, Any]]] = {
    "leads": [
        {
            "lead_id": f"L{n}",
            "created_at": _ago(days=30),
            "name": f"lead {n}",
            "source": "web" if n < 3 else None,
            "account_id": "A1" if n == 1 else None,
        }
        for n in range(1, 6)
    ],
    "accounts": [{"account_id": "A1", "industry": "retail"}],
    "owners": [
        {"owner_id": "o1", "name": "Ann", "team": "north", "quota": 40.0},
        {"owner_id": "o2", "name": "Bob"},
    ],
    "activities": [
        {"lead_id": "L1", "kind": "call", "direction": "out", "occurred_at": _ago(hours=3)},
        # Both on one day in Berlin; by the clock in London the first was on the day before.
        {"lead_id": "L1", "kind": "open", "direction": "in", "occurred_at": datetime(2025, 2, 10, 23, 30)},
        {"lead_id": "L1", "kind": "open", "direction": "in", "occurred_at": datetime(2025, 2, 11, 8)},
        {"lead_id": "L1", "kind": "open", "direction": "in", "occurred_at": NIGHT + timedelta(hours=1)},
    ],
    "deals": [
        {"lead_id": "L5", "created_at": _ago(days=20), "outcome": "won", "closed_at": _ago(days=9), "amount": 100.0},
        {"lead_id": "L4", "created_at": _ago(days=20), "outcome": "won", "closed_at": _ago(days=8), "amount": 300.0},
        {"lead_id": "L3", "created_at": _ago(days=20), "outcome": "won", "closed_at": NIGHT + timedelta(days=1), "amount": 9_000.0},
    ],
}


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Company]:
    """Northwind in Berlin, with the night of its reps in the ledger."""
    config = tmp_path / "leadscore.toml"
    config.write_text(f'[company]\nname = "Northwind"\ntime_zone = "Europe/Berlin"\n{LIST}{TABLES}', encoding="utf-8")
    settings = read_settings(config)
    with Warehouse.open(settings.warehouse_url) as warehouse:
        company_of(STORY, warehouse.ibis)
        publish(warehouse, night(*TEAM))
        yield Company(settings, warehouse, warehouse.crm(), NIGHT, (Attribute("source", "leads", "category", "creation"),))


def _seen(company: Company) -> Night:
    scorer, _ = rules(learnable.examples(leads=60, weeks=4), learnable.FEATURES, Plan(), NIGHT, 3, needed=100)
    return tonight(company, Champion("1", "run", scorer), NIGHT)


def test_a_lead_has_its_names_and_where_it_belongs(opened: Company) -> None:
    leads = _seen(opened).leads.set_index("lead_id")
    shown = ["name", "owner", "team", "source", "territory"]
    assert leads.loc["L1", shown].tolist() == ["lead 1", "Ann", "north", "web", "retail"]
    assert leads.loc["L3", shown].tolist() == ["lead 3", "Bob", "", "", ""]
    assert leads.loc["L5", shown].tolist() == ["lead 5", "", "", "", ""]


def test_what_happened_is_told_by_the_days_of_the_company_and_until_the_night(opened: Company) -> None:
    leads = _seen(opened).leads.set_index("lead_id")
    assert leads.loc["L1", "diary"] == [("2025-03-04", "us", "call", 1), ("2025-02-11", "lead", "open", 2)]
    assert leads.loc["L4", "diary"] == [("2025-02-24", "", "deal won", 1), ("2025-02-12", "", "deal opened", 1)]
    assert leads["diary"].isna().tolist() == [False, True, False, False, False]


def test_who_was_not_listed_the_night_before_is_new_and_on_a_first_night_nobody_is(opened: Company) -> None:
    assert not _seen(opened).leads["new"].any()
    publish(opened.warehouse, night(*TEAM[1:], as_of=NIGHT - timedelta(days=1)))
    leads = _seen(opened).leads
    # L4 and L5 are on no list.
    assert leads.loc[leads["new"], "lead_id"].tolist() == ["L1"]


def test_quotas_come_from_the_owners_and_from_the_settings_and_sizes_from_deals_won_by_the_night(opened: Company) -> None:
    assert _seen(opened).goals == Goals({"o1": 40.0}, {"north": 900.0}, "wins", (0.5, 1.5), {"o1": 25, "o2": 25})


def test_a_source_that_is_no_field_is_said(opened: Company) -> None:
    wanted = opened.settings.list.model_copy(update={"source": "origin"})
    lost = Company(opened.settings.model_copy(update={"list": wanted}), opened.warehouse, opened.crm, NIGHT, ())
    with pytest.raises(Problem, match="source names 'origin', which is no field of leads or accounts: correct the name"):
        _seen(lost)
