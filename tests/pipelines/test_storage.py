"""The file of a warehouse: private, open to one process, and never called damaged because a disk is full or somebody else is at work."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from time import sleep

import duckdb
import ibis
import pytest

from features.problem import Problem
from pipelines.backup import losses
from pipelines.storage import is_owed, owe_rewriting, rewrite
from pipelines.warehouse import Warehouse

ROOT = Path(__file__).parents[2]


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
    assert sorted(one.name for one in tmp_path.iterdir()) == ["warehouse.duckdb", "warehouse.duckdb.backup", "warehouse.duckdb.lock"]


def test_what_was_fetched_of_a_server_is_fetched_again_where_the_file_is_damaged(postgres_url: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.duckdb"
    with Warehouse.open(postgres_url, copy) as warehouse, warehouse.transaction("notices"):
        warehouse.raw.execute("INSERT INTO notices VALUES ('on the server')")
    copy.write_bytes(b"\xff" * copy.stat().st_size)
    with Warehouse.open(postgres_url, copy) as warehouse:
        assert warehouse.notices() == ("on the server",)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["copy.duckdb", "copy.duckdb.lock"]


def test_a_warehouse_that_is_a_link_stays_one_and_is_never_made_where_its_disk_is_missing(tmp_path: Path) -> None:
    disk, link = tmp_path / "disk", tmp_path / "warehouse.duckdb"
    disk.mkdir()
    link.symlink_to(disk / "w.duckdb")
    with pytest.raises(Problem, match=r"warehouse\.duckdb is a link to .*w\.duckdb, where nothing is: mount the disk"), Warehouse.open(str(link)):
        pass
    with Warehouse.open(str(disk / "w.duckdb")) as warehouse, warehouse.transaction():
        warehouse.raw.execute("INSERT INTO notices VALUES ('on the disk')")
    rewrite(link.resolve(), backed_up=True)
    with Warehouse.open(str(link)) as warehouse:
        assert warehouse.notices() == ("on the disk",)
    assert link.is_symlink()
    assert sorted(file.name for file in disk.iterdir()) == ["w.duckdb", "w.duckdb.backup", "w.duckdb.lock"]


def _die_after(file: Path, *statements: str) -> None:
    """Commit some statements in a process that then dies without a word."""
    program = "import duckdb, os, sys\nraw = duckdb.connect(sys.argv[1])\nfor one in sys.argv[2:]: raw.execute(one)\nos._exit(9)"
    subprocess.run([sys.executable, "-c", program, str(file), *statements], check=False)


def test_the_log_of_a_process_that_died_counts_as_far_as_it_can_be_read(tmp_path: Path) -> None:
    file = tmp_path / "warehouse.duckdb"
    with Warehouse.open(str(file)) as warehouse, warehouse.transaction():
        warehouse.raw.execute("INSERT INTO notices VALUES ('before')")
    _die_after(file, *(f"INSERT INTO notices VALUES ('{n}')" for n in range(20)))
    log = file.with_name(f"{file.name}.wal")
    whole = log.read_bytes()
    # What power that fails can leave: the length is written, what should stand there is not.
    log.write_bytes(whole[:-40] + bytes(40))
    with Warehouse.open(str(file)) as warehouse:
        there = warehouse.notices()
    assert there[0] == "before"
    assert there[1:] == tuple(map(str, range(len(there) - 1)))
    assert len(there) >= 15
    assert losses(file)[0].startswith(
        "The log beside the warehouse ended in what cannot be read, or was of another file: what a command recorded after"
    )


def test_a_file_of_ones_own_that_is_put_back_stays_whatever_log_lies_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "warehouse.duckdb"
    for sentence in ("mine", "later"):
        with Warehouse.open(str(file)) as warehouse, warehouse.transaction():
            warehouse.raw.execute("INSERT INTO notices VALUES (?)", [sentence])
        if sentence == "mine":
            kept = file.read_bytes()
    _die_after(file, "INSERT INTO notices VALUES ('lost')")
    file.write_bytes(kept)
    with Warehouse.open(str(file)) as warehouse:
        assert warehouse.notices() == ("mine",)


def test_whoever_waits_for_a_file_that_is_written_anew_finds_the_new_one(tmp_path: Path) -> None:
    file = tmp_path / "warehouse.duckdb"
    with Warehouse.open(str(file)):
        pass
    record = (
        "import sys; from pipelines.warehouse import Warehouse\n"
        "for n in range(12):\n"
        "    with Warehouse.open(sys.argv[1]) as warehouse, warehouse.transaction():\n"
        "        warehouse.raw.execute('INSERT INTO notices VALUES (?)', [str(n)])\n"
    )
    with subprocess.Popen([sys.executable, "-c", record, str(file)], cwd=ROOT) as other:
        while other.poll() is None:
            rewrite(file, backed_up=True)
            # Nobody who waits is called: they look twenty times a second whether it is their turn.
            sleep(0.2)
        assert other.returncode == 0
    with Warehouse.open(str(file)) as warehouse:
        assert warehouse.notices() == tuple(map(str, range(12)))


def test_a_file_that_is_damaged_is_not_written_anew_and_keeps_its_backup(tmp_path: Path) -> None:
    file = tmp_path / "warehouse.duckdb"
    with Warehouse.open(str(file)) as warehouse, warehouse.transaction():
        warehouse.raw.execute("INSERT INTO notices VALUES ('kept')")
    owe_rewriting(file)
    with file.open("r+b") as blocks:
        blocks.seek(12_288)
        blocks.write(os.urandom(64))
    with pytest.raises(Problem, match=r"could not be written anew \(.*Corrupt database file"):
        rewrite(file, backed_up=True)
    assert is_owed(file)
    with Warehouse.open(str(file)) as warehouse:
        assert warehouse.notices() == ("kept",)
    rewrite(file, backed_up=True)
    assert not is_owed(file)
