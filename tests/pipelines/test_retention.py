"""What is kept no longer than the company says goes with the night, whole, and nothing goes by a slip of the pen."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from reps import NIGHT, TEAM, night, publish
from stories import company_of

from features.problem import Problem
from pipelines.decisions import remember
from pipelines.deliveries import note_delivery
from pipelines.delivery.lists import publish_lists
from pipelines.report import Report
from pipelines.retention import keep_to_time, silent
from pipelines.settings import Settings
from pipelines.warehouse import Warehouse

NOW = datetime(2026, 1, 1)


def _ago(days: int) -> datetime:
    return NIGHT - timedelta(days=days)


# All came in long ago; each but L0 has one younger sign of life.
STORY: dict[str, list[dict[str, Any]]] = {
    "leads": [{"lead_id": f"L{n}", "created_at": _ago(400)} for n in range(6)]
    + [{"lead_id": "young", "created_at": _ago(99)}, {"lead_id": "merged", "created_at": _ago(400), "merged_into": "L1"}],
    "activities": [{"lead_id": "L1", "kind": "mail", "occurred_at": _ago(99)}, {"lead_id": "L5", "kind": "mail", "occurred_at": _ago(101)}],
    "lead_changes": [{"lead_id": "L2", "field": "stage", "new_value": "open", "changed_at": _ago(99)}],
    "deals": [
        {"lead_id": "L3", "created_at": _ago(99)},
        {"lead_id": "L4", "created_at": _ago(300), "closed_at": _ago(99), "outcome": "lost"},
    ],
}


def _settings(folder: Path, **people: int) -> Settings:
    tables = {"leads": {"table": "leads.csv"}, "deals": {"table": "deals.csv"}}
    return Settings(source={"tables": tables}, people=people, folder=folder)  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A company with a night of last month and one of today."""
    settings = _settings(tmp_path)
    with Warehouse.open(settings.warehouse_url) as warehouse:
        company_of(STORY, warehouse.ibis)
        warehouse.raw.execute("INSERT INTO extracts (extracted_at, table_name) VALUES (?, 'leads')", [NIGHT])
        for as_of in (NIGHT, _ago(30)):
            seen = night(*TEAM, as_of=as_of, day=as_of.date())
            publish(warehouse, seen)
            publish_lists(settings.lists_folder / str(seen.day), seen)
            warehouse.raw.execute("INSERT INTO quarantine VALUES (?, 'leads', 7, 'created_at', 'Eva', 'is no date')", [as_of])
            note_delivery(warehouse, as_of, "mail", "ann", "d", "sent", as_of)
            remember(warehouse, "L1", 1, as_of.date(), "a friend", "Ann", as_of)
    return tmp_path


def _leads(folder: Path) -> list[str]:
    with Warehouse.open(_settings(folder).warehouse_url) as warehouse:
        return [lead for (lead,) in warehouse.raw.execute("SELECT lead_id FROM leads ORDER BY lead_id").fetchall()]


def test_by_default_nothing_is_ever_removed(folder: Path) -> None:
    assert keep_to_time(_settings(folder), NOW) == Report("retention")
    assert len(_leads(folder)) == 8


def test_whoever_gave_no_sign_of_life_for_so_long_is_erased(folder: Path) -> None:
    told = keep_to_time(_settings(folder, keep_days=100), NOW)
    assert told.facts == {"leads erased": 2}
    # Of one person, merged, each sign of life counts.
    assert _leads(folder) == ["L1", "L2", "L3", "L4", "merged", "young"]
    with Warehouse.open(_settings(folder).warehouse_url) as warehouse:
        assert warehouse.raw.execute("SELECT DISTINCT because FROM erasures").fetchall() == [("kept long enough",)]
    assert keep_to_time(_settings(folder, keep_days=100), NOW).facts == {}


def test_a_sign_of_life_on_the_day_itself_still_counts(folder: Path) -> None:
    with Warehouse.open(_settings(folder).warehouse_url) as warehouse:
        assert silent(warehouse, _ago(400)) == []
        assert silent(warehouse, _ago(101)) == ["L0"]
        assert silent(warehouse, _ago(100)) == ["L0", "L5"]


def test_old_nights_go_with_all_that_belongs_to_them(folder: Path) -> None:
    told = keep_to_time(_settings(folder, keep_nights_days=10), NOW)
    assert told.facts == {"nights removed": 1}
    assert sorted(path.name for path in _settings(folder).lists_folder.glob("2*")) == ["2025-03-04"]
    with Warehouse.open(_settings(folder).warehouse_url) as warehouse:
        for table in ("ledger", "quarantine", "deliveries", "decisions"):
            clock = {"quarantine": "extracted_at", "decisions": "until"}.get(table, "as_of")
            kept = {
                moment.date() if isinstance(moment, datetime) else moment
                for (moment,) in warehouse.raw.execute(f"SELECT {clock} FROM {table}").fetchall()
            }
            assert kept == {NIGHT.date()}, table
    assert len(_leads(folder)) == 8


def test_a_slip_of_the_pen_erases_nobody(folder: Path) -> None:
    with pytest.raises(Problem, match=r"keep_days = 1 would erase 8 of 8 leads for good, more than \[source\] shrink_limit = 50% allows: nobody"):
        keep_to_time(_settings(folder, keep_days=1, keep_nights_days=10), NOW)
    assert len(_leads(folder)) == 8
    with Warehouse.open(_settings(folder).warehouse_url) as warehouse:
        assert warehouse.raw.execute("SELECT count(DISTINCT as_of) FROM ledger").fetchall() == [(2,)]
