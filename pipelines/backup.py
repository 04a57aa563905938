"""A second copy of the warehouse's file, renewed whenever a command has changed it, and put back where the file turns out damaged or gone.

    warehouse.duckdb            the warehouse
    warehouse.duckdb.backup     the same as the last command that changed it left it
    warehouse.duckdb.damaged    what was found damaged, until somebody removes it

A process that is killed while DuckDB writes its checkpoint can leave a file that nobody can open, and so can a disk; neither may cost the nights.
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
from pipelines.progress import say, step

# What DuckDB says of blocks that are not what it wrote.
_DAMAGE = re.compile("Corrupt database file|Could not read enough bytes")


def keep(raw: duckdb.DuckDBPyConnection, file: Path) -> None:
    """Renew the backup of a warehouse, the last thing before it is closed, while nobody else may write it.

    A disk that has no room for it stops no night: that is said, and the backup of before stays.
    """
    half, backup = _beside(file, "backup.half"), _beside(file, "backup")
    try:
        raw.execute("CHECKPOINT")
        shutil.copyfile(file, half)
        if not _opens(half):
            raise OSError("what was copied cannot be opened")
        _settle(half, backup)
    except (OSError, duckdb.Error) as error:
        with suppress(OSError):
            half.unlink(missing_ok=True)
        age = f"that of {_written(backup)} stays" if backup.exists() else "there is none"
        say(f"The backup of the warehouse {file} could not be renewed ({str(error).splitlines()[0]}), {age}: see that the disk has room for both.")


def put_back(file: Path, because: str) -> bool:
    """Put the backup in the place of a warehouse that is damaged or gone; whether there was one that can be opened.

    Parameters
    ----------
    because : what is wrong with the file, for whoever watches.

    Raises
    ------
    Problem : there is no room for it.
    """
    backup, half = _beside(file, "backup"), _beside(file, "backup.half")
    if not _opens(backup):
        return False
    with step(f"The warehouse {file} is {because}: putting back its backup of {_written(backup)}"):
        try:
            shutil.copyfile(backup, half)
            # What was not yet written to the damaged file would be written to the other one.
            for ending in (".wal", ""):
                if (part := file.with_name(f"{file.name}{ending}")).exists():
                    os.replace(part, _beside(file, f"damaged{ending}"))
            _settle(half, file)
        except OSError as error:
            with suppress(OSError):
                half.unlink(missing_ok=True)
            raise Problem(
                f"The warehouse {file} is {because}, and its backup cannot be put back ({error.strerror}): free "
                f"{backup.stat().st_size / 1e6:,.0f} MB beside it or correct its permissions, and run again."
            ) from error
    return True


def drop(file: Path) -> None:
    """Remove every copy that leadscore ever kept beside a warehouse: whoever is erased from it stands in them too."""
    for ending in ("backup*", "damaged*", "before-version-*"):
        for copy in file.parent.glob(f"{file.name}.{ending}"):
            copy.unlink()


def is_damage(error: duckdb.Error) -> bool:
    """Whether blocks of the file are not what was written."""
    return _DAMAGE.search(str(error)) is not None


def losses(file: Path) -> tuple[str, ...]:
    """That a backup was put back, in a sentence that is said until somebody has removed the damaged file."""
    damaged = _beside(file, "damaged")
    if not damaged.exists():
        return ()
    return (
        f"The warehouse was found damaged after it was written on {_written(damaged)}, and its backup was put back: what was recorded in between, "
        f"such as replies and decisions, has to be recorded again. Remove {damaged} when that is done.",
    )


def _written(file: Path) -> str:
    return f"{datetime.fromtimestamp(file.stat().st_mtime, UTC):%Y-%m-%d %H:%M} UTC"


def _beside(file: Path, ending: str) -> Path:
    return file.with_name(f"{file.name}.{ending}")


def _opens(file: Path) -> bool:
    """Whether a file is a warehouse that can be opened."""
    try:
        with duckdb.connect(str(file), read_only=True):
            return True
    except duckdb.Error:
        return False


def _settle(half: Path, place: Path) -> None:
    """Show a file that is written in its place; whoever looks sees the old one or this one, also after the power failed."""
    half.chmod(0o600)
    with half.open("rb") as written:
        os.fsync(written.fileno())
    os.replace(half, place)
