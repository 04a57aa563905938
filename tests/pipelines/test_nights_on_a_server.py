"""A team's PostgreSQL server holds the very nights that a file does."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import psycopg
import pytest
from conftest import MadeUp

from pipelines.extract import extract
from pipelines.score import score
from pipelines.settings import Settings, read_settings
from pipelines.warehouse import Warehouse

pytestmark = pytest.mark.xdist_group("company")


def _kept(settings: Settings, table: str) -> pd.DataFrame:
    with Warehouse.of(settings) as warehouse:
        return warehouse.raw.execute(f"SELECT * FROM {table} ORDER BY ALL").df()


def _lists(settings: Settings) -> dict[str, bytes]:
    return {str(path.relative_to(settings.lists_folder)): path.read_bytes() for path in sorted(settings.lists_folder.glob("2*/*"))}


def test_the_same_night_in_a_file_and_on_a_server_is_an_equal_ledger_and_an_equal_list(
    company: MadeUp, own_company: MadeUp, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_a_file, lists = _kept(read_settings(company.config), "ledger"), _lists(read_settings(company.config))
    settings = read_settings(own_company.config)
    monkeypatch.setenv("LEADSCORE_WAREHOUSE", postgres_url)
    extract(own_company.config)
    score(own_company.config)
    pd.testing.assert_frame_equal(in_a_file, _kept(settings, "ledger"))
    assert len(lists) > 3
    assert _lists(settings) == lists
    with psycopg.connect(postgres_url) as server:
        assert server.execute("SELECT count(*) FROM leadscore.ledger").fetchall() == [(len(in_a_file),)]


def test_a_machine_without_a_copy_sees_the_nights_of_the_others(own_company: MadeUp, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read_settings(own_company.config)
    monkeypatch.setenv("LEADSCORE_WAREHOUSE", postgres_url)
    extract(own_company.config)
    before = {table: _kept(settings, table) for table in ("leads", "activities", "extracts", "attributes", "quarantine")}
    assert settings.copy_file.stat().st_mode & 0o077 == 0
    Path(settings.copy_file).unlink()
    for table, rows in before.items():
        pd.testing.assert_frame_equal(_kept(settings, table), rows)
    assert len(before["activities"]) > 1_000
