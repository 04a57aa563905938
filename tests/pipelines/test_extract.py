"""The extract flow: every row ends in exactly one place, and only what may recover is tried again."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import duckdb
import pytest
from conftest import MadeUp
from prefect import flow
from prefect.client.orchestration import get_client
from sqlalchemy.exc import OperationalError

from features.problem import Problem
from pipelines.crm.base import Unreachable
from pipelines.crm.load import Load, Loaded
from pipelines.extract import extract, tell
from pipelines.settings import read_settings
from pipelines.warehouse import Warehouse

pytestmark = pytest.mark.xdist_group("company")


def test_rows_in_are_clean_quarantined_or_superseded(company: MadeUp) -> None:
    report = company.reports["extract"]
    for row in report.rows:
        assert row["rows_in"] == row["clean"] + row["quarantined"] + row["superseded"]
    assert report.facts["rows in"] == sum(row["rows_in"] for row in report.rows)
    assert report.refused
    with Warehouse.open(read_settings(company.config).warehouse_url) as warehouse:
        kept = {name: warehouse.size(name) for name in ("leads", "activities", "deals", "lead_changes", "accounts", "owners")}
        assert kept == {row["table"]: row["clean"] for row in report.rows}
        assert warehouse.size("quarantine") == report.facts["quarantined"]
        assert warehouse.size("leads") == 1_500


def test_the_lag_of_the_source_is_measured_where_both_clocks_exist(company: MadeUp) -> None:
    lag = {row["table"]: row["lag_hours"] for row in company.reports["extract"].rows}
    # Two in a hundred activities are late, so nineteen of twenty are known at once; other tables have one clock only.
    assert lag == {"accounts": None, "owners": None, "leads": None, "lead_changes": None, "activities": 0.0, "deals": None}


def test_how_far_a_cursor_came_is_told_with_the_counts(prefect_server: str) -> None:
    loaded = Load((Loaded("leads", 3, 2, 1, 0, None, datetime(2025, 6, 1, 2, 30)),), datetime(2025, 6, 1), ())
    report = flow(lambda: tell(loaded), name="told")()
    assert report.rows[0]["newest_cursor"] == datetime(2025, 6, 1, 2, 30)
    with get_client(sync_client=True) as client:
        (kept,) = [json.loads(str(one.data)) for one in client.read_latest_artifacts() if one.key == "extract"]
    assert [(row["rows_in"], row["newest_cursor"]) for row in kept] == [(3, "2025-06-01 02:30:00")]


def test_an_extract_that_fails_leaves_the_warehouse_as_it_was(own_company: MadeUp) -> None:
    (own_company.folder / "leads.parquet").write_bytes(b"not Parquet")
    with pytest.raises(Problem, match=r"leads\.parquet is no Parquet file that can be read"):
        extract(own_company.config)
    with Warehouse.open(read_settings(own_company.config).warehouse_url) as warehouse:
        assert warehouse.size("leads") == 1_500


def test_a_wrong_table_is_not_read_again_but_a_network_is(untouched: Path, prefect_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines import extract as module

    calls: list[str] = []

    def failing(error: Exception) -> object:
        def load(*args: object) -> object:
            calls.append(type(error).__name__)
            raise error

        return load

    quick = module.read_source.with_options(retry_delay_seconds=0)
    monkeypatch.setattr(module, "read_source", quick)
    for error in (Problem("no such column"), OperationalError("select", {}, Exception("gone away")), Unreachable("no answer")):
        monkeypatch.setattr(module, "load", failing(error))
        with pytest.raises(type(error)):
            extract(untouched)
    assert calls == ["Problem"] + ["OperationalError"] * 3 + ["Unreachable"] * 3


@pytest.mark.parametrize(("held_for", "tries"), [(2, 2), (60, 3)])
def test_a_source_that_is_locked_for_a_moment_is_read_once_it_is_free(
    held_for: int, tries: int, untouched: Path, prefect_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines import extract as module

    place = untouched.parent / "crm.duckdb"
    with duckdb.connect(str(place)) as made:
        for file in untouched.parent.glob("*.parquet"):
            made.execute(f"CREATE TABLE {file.stem} AS FROM read_parquet('{file}')")
    text = untouched.read_text(encoding="utf-8").replace(".parquet", "")
    untouched.write_text(re.sub(r'(?m)^location = ".*"$', 'location = "crm.duckdb"', text), encoding="utf-8")
    opened, open_source = list[str](), module.open_source

    def counted(location: str, encoding: str) -> object:
        opened.append(location)
        return open_source(location, encoding)

    monkeypatch.setattr(module, "open_source", counted)
    monkeypatch.setattr(module, "read_source", module.read_source.with_options(retry_delay_seconds=[4, 0]))
    hold = "import duckdb, sys, time; c = duckdb.connect(sys.argv[1]); print('held', flush=True); time.sleep(int(sys.argv[2]))"
    with subprocess.Popen([sys.executable, "-c", hold, str(place), str(held_for)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        if tries < 3:
            assert extract(untouched).facts["rows in"] > 1_500
        else:
            with pytest.raises(Unreachable, match=r"Another process works on .*crm\.duckdb, the \[source\] location: wait until it is done"):
                extract(untouched)
        other.kill()
    assert len(opened) == tries
