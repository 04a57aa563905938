"""What every source of leads can do, so that a file today and a CRM tomorrow load the same way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import pyarrow as pa


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

    def columns(self, table: str) -> list[str]:
        """The columns of a table of the source, in its own words."""
        ...

    def pieces(self, table: str, cursor: str | None = None, since: datetime | None = None) -> Iterator[Piece]:
        """Rows of a table, a piece at a time.

        A source whose cursor column is a true timestamp leaves out rows older than `since`; any other may bring them all, and they are left out
        later.
        """
        ...
