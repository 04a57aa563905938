"""Whose turn it is: one process at a time works on a warehouse's file, from looking whether it is there to renewing its backup.

DuckDB has a lock of its own, which ends when the file is closed, or when anybody in the same process has read it; what happens to the file before and
after needs one that does not.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from features.problem import Problem
from models.deadline import bound

_mine: set[Path] = set()
"""The files whose turn is this process's."""


@contextmanager
def turn(file: Path) -> Iterator[None]:
    """Wait until nobody else works on a file, and keep others waiting meanwhile. It ends with the process, however that ends.

    Parameters
    ----------
    file : it need not be there; `file.lock` beside it is what is locked, and stays.

    Raises
    ------
    Problem : another process still works on it after LEADSCORE_CONNECT_SECONDS.
    OSError : nothing can be written beside it.
    """
    if file in _mine:
        yield
        return
    lock = os.open(file.with_name(f"{file.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _wait(lock, file)
        _mine.add(file)
        yield
    finally:
        _mine.discard(file)
        os.close(lock)


def _wait(lock: int, file: Path) -> None:
    until = monotonic() + bound("connect")
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if monotonic() > until:
                raise busy(file) from None
        else:
            return
        sleep(0.05)


def busy(file: Path) -> Problem:
    """What is said of a file that another process works on."""
    return Problem(f"Another process works on the warehouse {file}: wait until it is done and run again.")
