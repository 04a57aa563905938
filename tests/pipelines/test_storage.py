"""The file of a warehouse: private, open to one process, and never called damaged because a disk is full or somebody else is at work."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import duckdb
import ibis
import pytest

from features.problem import Problem
from pipelines.warehouse import Warehouse


def test_the_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "warehouse.duckdb"
    with Warehouse.open(str(file)):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_a_file_of_another_kind_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "warehouse.duckdb"
    file.write_text("this is no database, " * 400, encoding="utf-8")
    with (
        pytest.raises(Problem, match=r"The warehouse .*warehouse\.duckdb is damaged or no DuckDB file .*`leadscore extract`; the"),
        Warehouse.open(str(file)),
    ):
        pass
    assert file.read_text(encoding="utf-8").startswith("this is no database")


def test_a_block_that_is_spoilt_is_a_damage_and_no_other_process(tmp_path: Path) -> None:
    file = tmp_path / "warehouse.duckdb"
    with Warehouse.open(str(file)):
        pass
    spoilt = bytearray(file.read_bytes())
    spoilt[20_000:] = b"x" * len(spoilt[20_000:])
    file.write_bytes(spoilt)
    with pytest.raises(Problem, match=r"The warehouse .*warehouse\.duckdb is damaged or no DuckDB file"), Warehouse.open(str(file)):
        pass


def test_a_second_writer_is_told_to_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEADSCORE_CONNECT_SECONDS", "0.3")
    file = str(tmp_path / "warehouse.duckdb")
    hold = f"import duckdb, sys; held = duckdb.connect({file!r}); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(Problem, match=r"Another process works on the warehouse .*: wait until it is done and run again"), Warehouse.open(file):
            pass
        other.communicate("", timeout=20)
    with Warehouse.open(file) as free:
        assert free.extracted_at() is None


def test_whoever_only_looks_holds_up_no_night(tmp_path: Path) -> None:
    file = str(tmp_path / "warehouse.duckdb")
    hold = f"import duckdb, time; held = duckdb.connect({file!r}); print('open', flush=True); time.sleep(1)"
    with subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with Warehouse.open(file) as free:
            assert free.extracted_at() is None


def test_a_folder_in_which_nobody_may_write_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "warehouse.duckdb"
    with Warehouse.open(str(file)):
        pass

    def kept_out(url: str) -> None:
        raise duckdb.IOException(f'IO Error: Could not remove file "{url}.wal": Permission denied')

    monkeypatch.setattr(ibis.duckdb, "connect", kept_out)
    with (
        pytest.raises(Problem, match=r"could not be written \(IO Error: Could not remove .*: free the disk or correct its"),
        Warehouse.open(str(file)),
    ):
        pass


def test_a_file_of_a_newer_database_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "warehouse.duckdb"
    with Warehouse.open(str(file)) as warehouse, warehouse.transaction():
        pass
    there = file.read_bytes()

    def newer(url: str) -> None:
        raise duckdb.IOException("IO Error: Trying to read a database file with version number 999, but we can only read versions between 64 and 68.")

    monkeypatch.setattr(ibis.duckdb, "connect", newer)
    with pytest.raises(Problem, match=r"cannot be opened \(.*version number 999.*\): check the path"), Warehouse.open(str(file)):
        pass
    assert file.read_bytes() == there
    assert sorted(one.name for one in tmp_path.iterdir()) == ["warehouse.duckdb", "warehouse.duckdb.backup"]


def test_what_was_fetched_of_a_server_is_fetched_again_where_the_file_is_damaged(postgres_url: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.duckdb"
    with Warehouse.open(postgres_url, copy) as warehouse, warehouse.transaction("notices"):
        warehouse.raw.execute("INSERT INTO notices VALUES ('on the server')")
    copy.write_bytes(b"\xff" * copy.stat().st_size)
    with Warehouse.open(postgres_url, copy) as warehouse:
        assert warehouse.notices() == ("on the server",)
    assert [file.name for file in tmp_path.iterdir()] == ["copy.duckdb"]
