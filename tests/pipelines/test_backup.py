"""A warehouse that is found damaged or gone is what the last command left, and people are told; nothing a person erased comes back by it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import MadeUp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.problem import Problem
from pipelines.backup import drop, losses
from pipelines.nightly import nightly
from pipelines.settings import read_settings
from pipelines.standing import standing
from pipelines.warehouse import Warehouse

WRITTEN = datetime(2025, 3, 3, 2, 5, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A warehouse of two commands, the last of them on Monday at five past two."""
    file = tmp_path / "warehouse.duckdb"
    _record(file, "first")
    _record(file, "second")
    for one in (file, _beside(file, "backup")):
        os.utime(one, (WRITTEN.timestamp(), WRITTEN.timestamp()))
    return file


def _record(file: Path, sentence: str) -> None:
    with Warehouse.open(str(file)) as warehouse, warehouse.transaction():
        warehouse.raw.execute("INSERT INTO notices VALUES (?)", [sentence])


def _recorded(file: Path) -> tuple[str, ...]:
    with Warehouse.open(str(file)) as warehouse:
        return warehouse.notices()


def _beside(file: Path, ending: str) -> Path:
    return file.with_name(f"{file.name}.{ending}")


def _spoil(file: Path) -> None:
    """What a process that is killed in the midst of a checkpoint can leave."""
    with file.open("r+b") as blocks:
        blocks.seek(12_288)
        blocks.write(os.urandom(64))


def test_a_damaged_warehouse_is_what_the_last_command_left_and_people_are_told(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _spoil(file)
    spoilt = file.read_bytes()
    assert losses(file) == ()
    assert _recorded(file) == ("first", "second")
    said = capfd.readouterr().err
    assert f"The warehouse {file} is damaged (" in said
    assert "  Putting back its backup of 2025-03-03 02:05 UTC ...\n" in said
    (damaged,) = file.parent.glob("*.damaged-*")
    assert losses(file) == (
        f"The warehouse was found damaged after it was written on {datetime.fromtimestamp(damaged.stat().st_mtime, UTC):%Y-%m-%d %H:%M} UTC, and its "
        "backup of 2025-03-03 02:05 UTC was put back: what was recorded in between, such as replies, decisions and erasures, has to be recorded "
        f"again. Remove {_beside(file, 'restored')} and {damaged}, which is what was found, when that is done.",
    )
    assert damaged.read_bytes() == spoilt
    assert {stat.S_IMODE(one.stat().st_mode) for one in file.parent.iterdir()} == {0o600}
    assert _recorded(file) == ("first", "second")
    assert capfd.readouterr().err == ""


def test_what_was_still_to_be_written_to_the_damaged_file_is_not_written_to_its_backup(file: Path) -> None:
    _spoil(file)
    _beside(file, "wal").write_bytes(b"of another file")
    assert _recorded(file) == ("first", "second")
    (log,) = file.parent.glob("*.damaged-*.wal")
    assert log.read_bytes() == b"of another file"


def test_a_warehouse_that_is_gone_comes_back(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file.unlink()
    assert _recorded(file) == ("first", "second")
    assert f"  The warehouse {file} is gone.\n  Putting back its backup of 2025-03-03 02:05 UTC ...\n" in capfd.readouterr().err
    (said,) = losses(file)
    assert said.startswith("The warehouse was found gone by a command, and its backup of 2025-03-03 02:05 UTC was put back: what was recorded in")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(where=st.floats(0, 1), what=st.binary(min_size=1, max_size=5000), cut=st.booleans())
def test_wherever_it_is_spoilt_a_second_run_finds_everything(file: Path, where: float, what: bytes, cut: bool) -> None:
    whole, backup = file.read_bytes(), _beside(file, "backup").read_bytes()
    place = int(where * (len(whole) - 1))
    file.write_bytes(whole[:place] if cut else whole[:place] + what + whole[place + len(what) :])
    # What is met only when it is read ends the run that reads it.
    with suppress(Problem):
        _recorded(file)
    assert _recorded(file) == ("first", "second")
    drop(file)
    file.write_bytes(whole)
    _beside(file, "backup").write_bytes(backup)


def test_whoever_only_looks_leaves_the_backup_alone(file: Path) -> None:
    before = _beside(file, "backup").stat()
    _recorded(file)
    assert _beside(file, "backup").stat() == before


def test_where_there_is_no_room_for_a_backup_the_one_before_stays_and_people_are_told(
    file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(source: Path, half: Path) -> None:
        half.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipelines.backup.copy", full)
    _record(file, "third")
    assert capfd.readouterr().err == (
        f"  The backup of the warehouse {file} could not be renewed (No space left on device), that of 2025-03-03 02:05 UTC stays: "
        "see that the disk has room for both.\n"
    )
    assert not _beside(file, "backup.half").exists()
    _spoil(file)
    with pytest.raises(Problem, match=r"is damaged \(.*\), and its backup .* cannot be put back \(No space left on device\): free 1 MB"):
        _recorded(file)
    monkeypatch.undo()
    assert _recorded(file) == ("first", "second")


@pytest.mark.parametrize("what", [_spoil, Path.unlink])
def test_a_warehouse_whose_backup_is_damaged_too_is_left_as_it_is_and_never_begun_anew(file: Path, what: Callable[[Path], None]) -> None:
    what(file)
    _spoil(_beside(file, "backup"))
    before = {one.name: one.read_bytes() for one in file.parent.iterdir()}
    with pytest.raises(
        Problem, match=rf"and its backup {_beside(file, 'backup')} cannot be put back \(.*Corrupt database file.*\): free 1 MB beside"
    ):
        _recorded(file)
    assert {one.name: one.read_bytes() for one in file.parent.iterdir()} == before


def test_a_file_of_which_a_block_is_spoilt_takes_no_backups_place(tmp_path: Path) -> None:
    file = tmp_path / "warehouse.duckdb"
    with Warehouse.open(str(file)) as warehouse, warehouse.transaction():
        warehouse.raw.execute("CREATE TABLE large AS SELECT range AS n, hash(range)::VARCHAR AS text FROM range(200000)")
    backup = _beside(file, "backup").read_bytes()
    whole = file.read_bytes()
    for place in range(3 * 262_144, len(whole), 262_144):
        spoilt = bytearray(whole)
        spoilt[place : place + 64] = os.urandom(64)
        file.write_bytes(spoilt)
        # A command that has no need of the block sees nothing, or is told to run again.
        with suppress(Problem):
            _record(file, "small")
        with suppress(Problem), Warehouse.open(str(file)) as warehouse:
            warehouse.raw.execute("SELECT max(text) FROM large").fetchall()
        with Warehouse.open(str(file)) as warehouse:
            assert warehouse.raw.execute("SELECT count(text), max(n) FROM large").fetchall() == [(200_000, 199_999)]
        drop(file)
        file.write_bytes(whole)
        _beside(file, "backup").write_bytes(backup)


def test_what_was_committed_before_a_command_failed_is_in_the_backup(file: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        _fail(file)
    _spoil(file)
    assert _recorded(file) == ("first", "second", "third")


def _fail(file: Path) -> None:
    with Warehouse.open(str(file)) as warehouse:
        with warehouse.transaction():
            warehouse.raw.execute("INSERT INTO notices VALUES ('third')")
        raise ZeroDivisionError


def test_only_what_leadscore_left_beside_it_is_dropped(tmp_path: Path) -> None:
    file = tmp_path / "[acme].duckdb"
    ours = ["backup", "backup.half", "damaged-20250303T020500", "damaged-20250303T020500.wal", "before-version-1", "before-version-1.half"]
    theirs = ["backup-2025", "mine", "wal", "lock", "restored"]
    for ending in (*ours, *theirs):
        _beside(file, ending).touch()
    _beside(file, "tmp").mkdir()
    (_beside(file, "tmp") / "spilt").touch()
    drop(file)
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted(f"[acme].duckdb.{ending}" for ending in theirs)


@pytest.mark.xdist_group("company")
def test_a_night_after_a_damage_makes_the_list_and_says_so_until_somebody_has_read_it(own_company: MadeUp) -> None:
    config = own_company.config
    file, now = read_settings(config).warehouse_file, datetime(2025, 8, 23, 9)
    _record(file, "still there")
    page = (read_settings(config).lists_folder / "2025-08-23" / "index.html").read_bytes()
    _spoil(file)
    report = nightly(config)
    assert (report.refused, report.notices[0]) == (True, losses(file)[0])
    assert standing(read_settings(config), now).notices[0] == losses(file)[0]
    assert (read_settings(config).lists_folder / "2025-08-23" / "index.html").read_bytes() == page
    _beside(file, "restored").unlink()
    assert losses(file) == ()
    assert "damaged" not in " ".join(standing(read_settings(config), now).notices)
