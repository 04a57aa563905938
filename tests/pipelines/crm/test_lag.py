"""The lag of a source is measured where both clocks exist, and held against what it declares where they do not."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from pipelines.crm.lag import Lag, advice, measured
from pipelines.crm.load import load
from pipelines.crm.tables import open_source
from pipelines.settings import Settings
from pipelines.warehouse import Warehouse

NOON = datetime(2025, 3, 1, 12)


def _extracted(folder: Path, calls: list[tuple[datetime, datetime | None]], lag_hours: float = 0.0) -> list[str]:
    """What an extract says of a company whose one lead was called at some instants, each known at another."""
    (folder / "leads.csv").write_text("lead_id,created_at\nL1,2025-01-01\n", encoding="utf-8")
    (folder / "deals.csv").write_text("deal_id,lead_id,created_at,outcome,closed_at\nD1,L1,2025-01-05,won,2025-04-01\n", encoding="utf-8")
    rows = "".join(f"L1,call,{occurred},{known or ''}\n" for occurred, known in calls)
    (folder / "activities.csv").write_text("lead_id,kind,occurred_at,known_at\n" + rows, encoding="utf-8")
    tables = {name: {"table": f"{name}.csv", "lag_hours": lag_hours} for name in ("leads", "deals", "activities")}
    settings = Settings(source={"location": str(folder), "tables": tables}, folder=folder)  # type: ignore[arg-type]
    with Warehouse.open(str(folder / "warehouse.duckdb")) as warehouse:
        return list(load(settings, open_source(str(folder)), warehouse, datetime(2025, 6, 1), lambda share, words: None).notices)


def test_calls_known_after_two_hours_and_one_after_four_days(tmp_path: Path) -> None:
    calls: list[tuple[datetime, datetime | None]] = [(NOON + timedelta(hours=n), NOON + timedelta(hours=n + 2)) for n in range(20)]
    said = _extracted(tmp_path, [*calls, (NOON + timedelta(days=1), NOON + timedelta(days=5))])
    assert "activities: half of the rows were known within 2.0 hours, nineteen of twenty within 2.0." in said
    assert [sentence for sentence in said if "lag_hours" in sentence] == [
        f"{table} has no known_at and lag_hours = 0, but of activities one row in twenty was known only after 2.0: if the same system writes both, "
        f"set lag_hours = 2 in [source.tables.{table}]."
        for table in ("leads", "deals")
    ]


def test_a_row_that_does_not_say_when_it_was_known_is_not_measured(tmp_path: Path) -> None:
    said = _extracted(tmp_path, [(NOON, NOON + timedelta(hours=10)), *((NOON + timedelta(minutes=n), None) for n in range(1, 40))])
    assert "activities: half of the rows were known within 10.0 hours, nineteen of twenty within 10.0." in said


def test_who_declares_as_much_as_was_measured_is_left_in_peace(tmp_path: Path) -> None:
    assert not [one for one in _extracted(tmp_path, [(NOON, NOON + timedelta(hours=10))], lag_hours=9.5) if "lag_hours" in one]


def test_the_slowest_table_is_the_measure() -> None:
    lags = [Lag("activities", 0.0, 5.0), Lag("lead_changes", 1.0, 30.0)]
    (said,) = advice(lags, {"leads": 30.0, "deals": 12.0})
    assert said.startswith("deals has no known_at and lag_hours = 12, but of lead_changes one row in twenty was known only after 30.0")
    assert advice([], {"deals": 0.0}) == []


@pytest.mark.parametrize(("closed", "hours"), [("TIMESTAMP '2025-02-01'", 24.0), ("NULL", 768.0)])
def test_a_deal_is_known_when_it_closes_if_it_has(closed: str, hours: float) -> None:
    deal = f"(SELECT TIMESTAMP '2025-01-01' AS created_at, CAST({closed} AS TIMESTAMP) AS closed_at, TIMESTAMP '2025-02-02' AS known_at)"
    assert measured(duckdb.connect(), "deals", deal) == Lag("deals", hours, hours)


def test_a_table_without_a_clock_or_without_rows_has_no_lag() -> None:
    connection = duckdb.connect()
    assert measured(connection, "owners", "(SELECT 1)") is None
    assert measured(connection, "leads", "(SELECT TIMESTAMP '2025-01-01' AS created_at, TIMESTAMP '2025-01-01' AS known_at LIMIT 0)") is None
