"""The DuckDB file that holds a warehouse, or what a machine has fetched of a server's: open to one process, closed whatever happens."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import duckdb
import ibis

from features.problem import Problem
from models.deadline import bound
from pipelines.backup import is_damage, put_back
from pipelines.environment import collect_seldom, keep_private

# What DuckDB says of a disk that it could not write to.
_KEPT_OUT = re.compile("Could not (write|create|remove|move|truncate|sync)|Failed to commit: Cannot open|No space left|Read-only file system")
# What it says of a file that is whole, and not for this version of it or this machine.
_UNREADABLE = re.compile("version number|Out of Memory")
MEMORY = ":memory:"


Replace = Callable[[Path, str], bool]
"""Called with a file that is damaged or gone and which of the two; whether there is another in its place now."""


@contextmanager
def opened(url: str, replace: Replace = put_back) -> Iterator[Any]:
    """Open a file, making it where it is missing; where it is damaged or gone, its backup is put in its place.

    Parameters
    ----------
    url : the file; ":memory:" for none.
    replace : what to do about a file that is damaged or gone.

    Raises
    ------
    Problem : another process has it open, it cannot be written, it is no DuckDB file, or it is damaged and there is no backup.
    """
    # Every flow opens the warehouse first, whoever runs it; what DuckDB, MLflow and Prefect write from then on is private too.
    keep_private()
    collect_seldom()
    file = Path(url)
    connection = _connected(url) if url == MEMORY else _connection(file, replace)
    try:
        try:
            yield connection
        finally:
            # Ibis drops what `cache` made when it is garbage collected, which may be after the file is closed.
            for name in list(connection._cache_name_to_entry):
                connection._finalize_cached_table(name)
            connection.disconnect()
    except duckdb.Error as error:
        if _KEPT_OUT.search(str(error)):
            raise _not_written(file, error) from error
        if not is_damage(error):
            raise
        if not replace(file, f"damaged ({_first(error)})"):
            raise _damaged(file, error) from error
        raise Problem(f"The warehouse {file} was found damaged ({_first(error)}) and was replaced: run again.") from error


def let_go(file: Path, because: str) -> bool:
    """Of a file that only holds what a server has: it is made again, and everything fetched."""
    for part in (file, file.with_name(f"{file.name}.wal")):
        part.unlink(missing_ok=True)
    return True


def _connection(file: Path, replace: Replace) -> Any:
    """The file open, or another one that took its place."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not file.exists():
            replace(file, "gone")
        connection = _connected(str(file))
    except OSError as error:
        raise Problem(f"The folder of the warehouse {file} cannot be made ({error.strerror}): check the path and its permissions.") from error
    except duckdb.Error as error:
        if "lock on file" in str(error):
            raise Problem(f"Another process works on the warehouse {file}: wait until it is done and run again.") from error
        if _KEPT_OUT.search(str(error)):
            raise _not_written(file, error) from error
        if _UNREADABLE.search(str(error)) or not (file.is_file() and os.access(file, os.R_OK | os.W_OK)):
            raise Problem(f"The warehouse {file} cannot be opened ({_first(error)}): check the path and its permissions.") from error
        if not replace(file, f"damaged ({_first(error)})"):
            raise _damaged(file, error) from error
        connection = _connected(str(file))
    file.chmod(0o600)
    return connection


def _connected(url: str) -> Any:
    """A DuckDB file as soon as nobody else has it open: whoever only looks, such as `leadscore status`, lets go of it in a moment."""
    until = monotonic() + bound("connect")
    while True:
        try:
            return ibis.duckdb.connect(url)
        except duckdb.Error as error:
            if "lock on file" not in str(error) or monotonic() > until:
                raise
        sleep(0.1)


def _first(error: duckdb.Error) -> str:
    return str(error).splitlines()[0]


def _not_written(file: Path, error: duckdb.Error) -> Problem:
    return Problem(
        f"The warehouse {file} could not be written ({_first(error)}): free the disk or correct its permissions, and run again; "
        "nothing is half-written."
    )


def _damaged(file: Path, error: duckdb.Error) -> Problem:
    return Problem(
        f"The warehouse {file} is damaged or no DuckDB file ({_first(error)}), and there is no backup of it: put back a copy, or move it away "
        "and run `leadscore extract`; the scores of past nights are lost with it."
    )
