"""What every source of leads can do, so that a file today and a CRM tomorrow load the same way."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

import pyarrow as pa

from features.contract import RAW
from features.problem import Problem

# What the loader itself calls its columns on the way: no column of a company's can have these names.
_TAKEN = ("row", "lead_there", "lead_created", "_rule")


class Unreachable(Problem):
    """A source that does not answer now, and may the next time it is asked."""


@dataclass(frozen=True)
class Reject:
    """A row that could not even be read: its number, what was there, and why."""

    row: int
    value: str
    reason: str


Piece = tuple[pa.Table, list[Reject]]
"""Rows as texts, with their number in the source in a column `row`; and the rows that could not be read."""


class CrmSource(Protocol):
    """Where leads come from. Everything is read as text: what it means is decided once, in the mapping."""

    def tables(self) -> list[str]:
        """What there is to read, in alphabetical order."""
        ...

    def columns(self, table: str) -> list[str]:
        """The columns of a table of the source, in its own words."""
        ...

    def pieces(self, table: str, cursor: str | None = None, since: datetime | None = None) -> Iterator[Piece]:
        """Rows of a table, a piece at a time.

        A source whose cursor column is a true timestamp leaves out rows older than `since`; any other may bring them all, and they are left out
        later.

        Raises
        ------
        Problem : there is no such table, or it has no such cursor.
        """
        ...


@runtime_checkable
class Counted(Protocol):
    """A source that can say how large it is without being read."""

    def size(self, table: str) -> int | None:
        """How many rows a table has; None where nobody says."""
        ...


def named(header: Sequence[str]) -> list[str]:
    """A header in which every column has a name that a database can say, such as the one that pandas leaves out above its row numbers.

    >>> named(["", "lead_id"])
    ['nameless column 1', 'lead_id']
    """
    return [name if name.strip() and "\0" not in name else f"nameless column {place}" for place, name in enumerate(header, start=1)]


def nameless(column: str) -> bool:
    """Whether a column got its name from us.

    >>> nameless("nameless column 1"), nameless("name")
    (True, False)
    """
    return re.fullmatch(r"nameless column \d+", column) is not None


def tell_apart(table: str, columns: Sequence[str]) -> None:
    """See that every column can be named, in a database that takes City and city for the same.

    Raises
    ------
    Problem : two columns have the same name but for case, or one has no name or a name that the loader uses itself.
    """
    seen: dict[str, str] = {}
    for column in columns:
        if not column:
            raise Problem(f"{table} has a column without a name: give it one, in the table or in a view of it.")
        if "\0" in column:
            raise Problem(f"{table} has a column whose name holds a NUL byte: rename it, in the table or in a view of it.")
        if column.lower() in _TAKEN or column.lower().startswith(RAW):
            raise Problem(f"{table} has a column '{column}', a name that leadscore uses itself: rename it, in the table or in a view of it.")
        if column.lower() in seen:
            twice = f"two columns '{column}'" if seen[column.lower()] == column else f"the columns '{seen[column.lower()]}' and '{column}'"
            raise Problem(f"{table} has {twice}, which cannot be told apart: rename one of them, in the table or in a view of it.")
        seen[column.lower()] = column


def text(value: object) -> str | None:
    """A value of a database as the text that a file would have had.

    >>> text(1.5), text(datetime(2025, 1, 2, 3, 4, 5)), text(None)
    ('1.5', '2025-01-02 03:04:05', None)
    """
    return None if value is None else str(value)


def see_cursor(table: str, columns: Sequence[str], cursor: str | None) -> None:
    """See that a table has the column by which it is read from where the last read ended.

    Raises
    ------
    Problem : it has not.
    """
    if cursor is not None and cursor not in columns:
        raise Problem(f"{table} has no column '{cursor}', which its `cursor` names: it has {', '.join(columns)}. Correct leadscore.toml.")
