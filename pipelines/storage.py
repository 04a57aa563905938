"""The DuckDB file that holds a warehouse, or what a machine has fetched of a server's: open to one process, closed whatever happens."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import duckdb
import ibis

from features.problem import Problem
from models.deadline import bound
from pipelines.backup import beside, drop, is_damage, keep, mend_log, put_back, told
from pipelines.crm.mapping import literal
from pipelines.environment import collect_seldom, keep_private
from pipelines.progress import step
from pipelines.turn import busy, turn

# What DuckDB says of a disk that it could not write to.
_KEPT_OUT = re.compile("Could not (write|create|remove|move|truncate|sync)|Failed to commit: Cannot open|No space left|Read-only file system")
# What it says of a file that is whole, and not for this version of it or this machine.
_UNREADABLE = re.compile("version number|Out of Memory|Too many open files")
MEMORY = ":memory:"
_OWED = "to-be-rewritten"


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
    if url == MEMORY:
        with _closing(_connected(url)) as connection:
            yield connection
        return
    file = Path(url).resolve()
    if Path(url).is_symlink() and not file.exists() and not beside(file, "backup").exists():
        raise Problem(f"The warehouse {url} is a link to {file}, where nothing is: mount the disk that it lies on, or correct the link.")
    with ExitStack() as stack:
        _come_at(file, stack)
        try:
            with _closing(_connection(file, replace)) as connection:
                yield connection
        except duckdb.Error as error:
            if _KEPT_OUT.search(str(error)):
                raise _not_written(file, error) from error
            if not is_damage(error):
                raise
            if not replace(file, f"damaged ({told(error)})"):
                raise _damaged(file, error) from error
            raise Problem(f"The warehouse {file} was found damaged ({told(error)}) and was replaced: run again.") from error


def rewrite(file: Path, backed_up: bool) -> None:
    """Write a file anew, so that no byte of what was deleted stays in it or beside it; whoever reads it sees the old one or the new one.

    Parameters
    ----------
    backed_up : whether it has a backup, which is then made anew.

    Raises
    ------
    Problem : there is no room for both, or it is damaged; nothing is changed then, and it is still owed.
    """
    if not file.is_file():
        return
    fresh = beside(file, "fresh")
    with ExitStack() as stack, step("Writing the warehouse anew"):
        _come_at(file, stack)
        try:
            fresh.unlink(missing_ok=True)
            with duckdb.connect() as both:
                both.execute(f"ATTACH {literal(str(file))} AS old (READ_ONLY)")
                both.execute(f"ATTACH {literal(str(fresh))} AS fresh")
                both.execute("COPY FROM DATABASE old TO fresh")
            fresh.chmod(0o600)
            os.replace(fresh, file)
            beside(file, "wal").unlink(missing_ok=True)
            # Only now: until then they were all that there was, should the file be damaged.
            drop(file)
            if backed_up:
                with duckdb.connect(str(file)) as raw:
                    keep(raw, file)
            beside(file, _OWED).unlink(missing_ok=True)
        except (OSError, duckdb.Error) as error:
            with suppress(OSError):
                fresh.unlink(missing_ok=True)
            raise Problem(
                f"The rows are erased, but the warehouse {file} could not be written anew ({told(error)}), so that their bytes may still be there: "
                "free as much disk as it takes, or correct the permissions; the next `leadscore erase` or `leadscore nightly` tries again."
            ) from error


def owe_rewriting(file: Path) -> None:
    """Remember that a file is to be written anew, before anything is deleted: a run may be killed before it comes to that."""
    beside(file, _OWED).touch(0o600)


def is_owed(file: Path) -> bool:
    """Whether a file is still to be written anew."""
    return beside(file, _OWED).exists()


def _come_at(file: Path, stack: ExitStack) -> None:
    """Make the folder of a file, and wait for this process's turn."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise Problem(f"The folder of the warehouse {file} cannot be made ({error.strerror}): check the path and its permissions.") from error
    try:
        stack.enter_context(turn(file))
    except OSError as error:
        raise _not_written(file, error) from error


@contextmanager
def _closing(connection: Any) -> Iterator[Any]:
    try:
        yield connection
    finally:
        # Ibis drops what `cache` made when it is garbage collected, which may be after the file is closed.
        for name in list(connection._cache_name_to_entry):
            connection._finalize_cached_table(name)
        connection.disconnect()


def let_go(file: Path, because: str) -> bool:
    """Of a file that only holds what a server has: it is made again, and everything fetched."""
    for part in (file, beside(file, "wal")):
        part.unlink(missing_ok=True)
    return True


def _connection(file: Path, replace: Replace) -> Any:
    """The file open, or another one that took its place."""
    if not file.exists():
        replace(file, "gone")
    try:
        connection = _connected(str(file))
    except duckdb.Error as error:
        _mend(file, error, replace)
        connection = _connected(str(file))
    if stat.S_IMODE(file.stat().st_mode) != 0o600:
        with suppress(OSError):
            file.chmod(0o600)
    return connection


def _mend(file: Path, error: duckdb.Error, replace: Replace) -> None:
    """See that a file which could not be opened now can.

    Raises
    ------
    Problem : it cannot, or nothing is wrong with it.
    """
    if "lock on file" in str(error):
        raise busy(file) from error
    if _KEPT_OUT.search(str(error)):
        raise _not_written(file, error) from error
    if _UNREADABLE.search(str(error)) or not (file.is_file() and os.access(file, os.R_OK | os.W_OK)):
        raise Problem(f"The warehouse {file} cannot be opened ({told(error)}): check the path and its permissions.") from error
    # What is fetched of a server is fetched again, whatever was logged of it.
    if replace is not let_go and mend_log(file, error):
        with suppress(duckdb.Error):
            duckdb.connect(str(file)).close()
            return
    if not replace(file, f"damaged ({told(error)})"):
        raise _damaged(file, error) from error


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


def _not_written(file: Path, error: Exception) -> Problem:
    return Problem(
        f"The warehouse {file} could not be written ({told(error)}): free the disk or correct its permissions, and run again; "
        "nothing is half-written."
    )


def _damaged(file: Path, error: duckdb.Error) -> Problem:
    return Problem(
        f"The warehouse {file} is damaged or no DuckDB file ({told(error)}), and there is no backup of it: put back a copy, or move it away "
        "and run `leadscore extract`; the scores of past nights are lost with it."
    )
