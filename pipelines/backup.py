"""A second copy of the warehouse's file, renewed whenever a command has changed it, and put back where the file turns out damaged or gone.

    warehouse.duckdb                            the warehouse
    warehouse.duckdb.backup                     the same as the last command that changed it left it
    warehouse.duckdb.damaged-20250303T020500    what was found damaged, by when it was last written
    warehouse.duckdb.restored                   what that may have cost, in words; said until somebody removes it

A process that is killed while DuckDB writes its checkpoint can leave a file that nobody can open, and so can a disk; neither may cost the nights.
Everything here happens in the `turn` of the process that does it.
"""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from features.problem import Problem
from pipelines.crm.mapping import quoted
from pipelines.progress import say, step

# What DuckDB says of blocks that are not what it wrote.
_DAMAGE = re.compile("Corrupt database file|Could not read enough bytes")
_OURS = r"backup(\.half)?|damaged-\d{8}T\d{6}(\.wal)?|before-version-\d+(\.half)?|fresh|tmp"


def keep(raw: duckdb.DuckDBPyConnection, file: Path) -> None:
    """Renew the backup of a warehouse, the last thing before it is closed.

    A disk that has no room for it stops no night: that is said, and the backup of before stays. So it does where not every row of the new one can be
    read: a backup is worth what it gives back.

    Raises
    ------
    duckdb.Error : the warehouse itself is damaged.
    """
    half, backup = beside(file, "backup.half"), beside(file, "backup")
    try:
        raw.execute("CHECKPOINT")
        copy(file, half)
        _read(half)
        os.replace(half, backup)
    except (OSError, duckdb.Error) as error:
        with suppress(OSError):
            half.unlink(missing_ok=True)
        if isinstance(error, duckdb.Error) and is_damage(error):
            raise
        age = f"that of {_written(backup)} stays" if backup.exists() else "there is none"
        say(f"The backup of the warehouse {file} could not be renewed ({told(error)}), {age}: see that the disk has room for both.")


def put_back(file: Path, because: str) -> bool:
    """Put the backup in the place of a warehouse that is damaged or gone; whether there is one.

    Parameters
    ----------
    because : what is wrong with the file, for whoever watches.

    Raises
    ------
    Problem : there is a backup, and it cannot be read, or there is no room for it; the file is left as it is.
    """
    backup, half = beside(file, "backup"), beside(file, "backup.half")
    if not backup.exists():
        return False
    say(f"The warehouse {file} is {because}.")
    with step(f"Putting back its backup of {_written(backup)}"):
        try:
            copy(backup, half)
            _read(half)
            _note(file, _cost(file, because))
            # What was not yet written to the damaged file would be written to the other one.
            aside = beside(file, f"damaged-{_stamp(file)}")
            for part, place in ((beside(file, "wal"), aside.with_name(f"{aside.name}.wal")), (file, aside)):
                if part.exists():
                    os.replace(part, place)
            os.replace(half, file)
        except (OSError, duckdb.Error) as error:
            with suppress(OSError):
                half.unlink(missing_ok=True)
            raise Problem(
                f"The warehouse {file} is {because}, and its backup {backup} cannot be put back ({told(error)}): free "
                f"{backup.stat().st_size / 1e6:,.0f} MB beside it, correct its permissions, or put back a copy of your own, and run again."
            ) from error
    return True


def mend_log(file: Path, error: duckdb.Error) -> bool:
    """Take what cannot be read off the log that a process left beside a whole file when it died; whether there was something to take off.

    Power that fails may leave a log that ends in nothing, and who puts back a file of their own may leave the log of another. What was logged before
    the end counts; the log as it was is kept.
    """
    log = beside(file, "wal")
    if "WAL" not in str(error) or not log.exists():
        return False
    aside = beside(file, f"damaged-{_stamp(file)}.wal")
    copy(log, aside)
    _note(
        file,
        f"The log beside the warehouse ended in what cannot be read, or was of another file: what a command recorded after {_written(file)} may be "
        f"missing, and has to be recorded again. Remove {beside(file, 'restored')} and {aside}, which is the log as it was, when that is done.",
    )
    good = re.search(r"byte position (\d+)", str(error))
    if good and 0 < int(good[1]) < log.stat().st_size:
        os.truncate(log, int(good[1]))
    else:
        log.unlink()
    return True


def drop(file: Path) -> None:
    """Remove every copy that leadscore ever kept beside a warehouse, and what DuckDB left there: whoever is erased from it stands in them too."""
    ours = re.compile(rf"{re.escape(file.name)}\.({_OURS})")
    for other in [other for other in file.parent.iterdir() if ours.fullmatch(other.name)]:
        shutil.rmtree(other) if other.is_dir() else other.unlink()


def is_damage(error: duckdb.Error) -> bool:
    """Whether blocks of the file are not what was written."""
    return _DAMAGE.search(str(error)) is not None


def losses(file: Path) -> tuple[str, ...]:
    """What putting back a backup may have cost, in sentences that are said until somebody removes the note of it."""
    note = beside(file, "restored")
    return tuple(note.read_text(encoding="utf-8").splitlines()) if note.exists() else ()


def beside(file: Path, ending: str) -> Path:
    """The file of that ending beside another."""
    return file.with_name(f"{file.name}.{ending}")


def _note(file: Path, sentence: str) -> None:
    with os.fdopen(os.open(beside(file, "restored"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8") as lines:
        lines.write(f"{sentence}\n")


def _cost(file: Path, because: str) -> str:
    """What it may cost that a backup is put back."""
    when = f"after it was written on {_written(file)}" if file.exists() else "by a command"
    found = f" and {beside(file, f'damaged-{_stamp(file)}')}, which is what was found," if file.exists() else ""
    return (
        f"The warehouse was found {because.partition(' (')[0]} {when}, and its backup of {_written(beside(file, 'backup'))} was put back: what was "
        f"recorded in between, such as replies, decisions and erasures, has to be recorded again. Remove {beside(file, 'restored')}{found} when that "
        "is done."
    )


def copy(source: Path, half: Path) -> None:
    """A copy that is on the disk and belongs to whom the source does, whoever copies it."""
    shutil.copyfile(source, half)
    half.chmod(0o600)
    there = source.stat()
    with suppress(OSError):
        os.chown(half, there.st_uid, there.st_gid)
    with half.open("rb") as written:
        os.fsync(written.fileno())


def _read(file: Path) -> None:
    """Read every row of a file, so that no spoilt block of it goes unseen.

    Raises
    ------
    duckdb.Error : one cannot be read.
    """
    with duckdb.connect(str(file), read_only=True) as raw:
        for (table,) in raw.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal").fetchall():
            raw.execute(f"SELECT bit_xor(hash(rows)) FROM {quoted(table)} AS rows").fetchall()


def told(error: Exception) -> str:
    """What a database or a disk says, in a line."""
    return error.strerror or str(error) if isinstance(error, OSError) else str(error).splitlines()[0]


def _instant(file: Path) -> datetime:
    return datetime.fromtimestamp(file.stat().st_mtime if file.exists() else 0, UTC)


def _written(file: Path) -> str:
    return f"{_instant(file):%Y-%m-%d %H:%M} UTC"


def _stamp(file: Path) -> str:
    return f"{_instant(file):%Y%m%dT%H%M%S}"
