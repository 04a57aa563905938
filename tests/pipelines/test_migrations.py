"""A warehouse goes forwards to the tables of this version, whole or not at all, with a copy beside it; a newer one is left alone."""

from __future__ import annotations

import stat
from datetime import datetime
from pathlib import Path

import duckdb
import psycopg
import pytest

from features.problem import Problem
from pipelines import migrations
from pipelines.migrations import STEPS
from pipelines.warehouse import Warehouse

MONDAY = datetime(2025, 3, 3, 2)
COPY = f"warehouse.duckdb.before-version-{len(STEPS)}"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The file of a version that knew one outcome only."""
    file = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(file)) as raw:
        raw.execute(
            "CREATE TABLE ledger (as_of TIMESTAMP NOT NULL, lead_id VARCHAR NOT NULL, probability DOUBLE NOT NULL, PRIMARY KEY (as_of, lead_id))"
        )
        raw.execute("INSERT INTO ledger VALUES (?, 'L1', 0.5), (?, 'L2', 0.4)", [MONDAY, MONDAY])
    return file


def _ledger(file: Path) -> list[tuple[object, ...]]:
    with duckdb.connect(str(file), read_only=True) as raw:
        return raw.execute("SELECT * FROM ledger ORDER BY lead_id").fetchall()


def test_an_old_file_opens_with_its_nights_and_lies_beside_itself_as_it_was(old: Path) -> None:
    for _ in range(2):
        with Warehouse.open(str(old)) as warehouse:
            assert warehouse.read_night(MONDAY)[["outcome", "lead_id", "probability"]].to_numpy().tolist() == [
                ["default", "L1", 0.5],
                ["default", "L2", 0.4],
            ]
            assert migrations.version_of(warehouse.raw) == len(STEPS)
    copy = old.with_name(COPY)
    assert _ledger(copy) == [(MONDAY, "L1", 0.5), (MONDAY, "L2", 0.4)]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert sorted(path.name for path in old.parent.iterdir()) == ["warehouse.duckdb", COPY, "warehouse.duckdb.lock"]


def test_a_new_file_is_of_this_version_and_has_nothing_to_keep(tmp_path: Path) -> None:
    with Warehouse.open(str(tmp_path / "warehouse.duckdb")) as warehouse:
        assert migrations.version_of(warehouse.raw) == len(STEPS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["warehouse.duckdb", "warehouse.duckdb.lock"]


def test_a_step_that_breaks_off_leaves_the_file_as_it_was(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(raw: duckdb.DuckDBPyConnection) -> None:
        raw.execute("DELETE FROM ledger")
        raise KeyboardInterrupt

    monkeypatch.setattr(migrations, "STEPS", (*STEPS, breaks))
    with pytest.raises(KeyboardInterrupt), Warehouse.open(str(old)):
        pass
    assert _ledger(old) == [(MONDAY, "L1", 0.5), (MONDAY, "L2", 0.4)]


def test_without_room_for_a_copy_nothing_is_begun(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(migrations, "copy", full)
    with pytest.raises(Problem, match=r"no copy of it can be kept \(No space left on device\): free .* MB"), Warehouse.open(str(old)):
        pass
    assert _ledger(old) == [(MONDAY, "L1", 0.5), (MONDAY, "L2", 0.4)]


def test_a_file_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "warehouse.duckdb"
    with Warehouse.open(str(file)) as warehouse:
        warehouse.raw.execute("UPDATE version SET version = 99")
    before = file.read_bytes()
    with pytest.raises(Problem, match=rf"tables of version 99, and this leadscore knows them up to version {len(STEPS)}"), Warehouse.open(str(file)):
        pass
    assert file.read_bytes() == before


def test_a_server_with_a_column_that_only_a_newer_version_knows_is_refused_and_left_alone(postgres_url: str, tmp_path: Path) -> None:
    with Warehouse.open(postgres_url, tmp_path / "newer.duckdb") as newer:
        newer.raw.execute("ALTER TABLE ledger ADD COLUMN mood VARCHAR")
        with newer.transaction():
            newer.raw.execute("INSERT INTO ledger (outcome, as_of, lead_id, probability, mood) VALUES ('default', ?, 'L1', 0.5, 'good')", [MONDAY])
    sentence = r"^The table ledger on the PostgreSQL server has a column mood that this leadscore does not know: install the version that wrote it"
    with pytest.raises(Problem, match=sentence), Warehouse.open(postgres_url, tmp_path / "older.duckdb"):
        pass
    with psycopg.connect(postgres_url) as server:
        assert server.execute("SELECT lead_id, mood FROM leadscore.ledger").fetchall() == [("L1", "good")]


def test_a_server_of_a_newer_version_is_refused(postgres_url: str) -> None:
    with Warehouse.open(postgres_url):
        pass
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute("UPDATE leadscore.version SET version = 99")
    with pytest.raises(Problem, match="tables of version 99"), Warehouse.open(postgres_url):
        pass
