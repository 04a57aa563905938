"""How long after a thing happens the source knows of it: measured where a table has both clocks, and held against what the others declare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from features.contract import CLOCKS

_WORTH_A_WORD = 1.0


@dataclass(frozen=True)
class Lag:
    """The hours from happening to knowing, of the rows of one table.

    Parameters
    ----------
    median, late : half of the rows were known within `median` hours, nineteen of twenty within `late`.
    """

    table: str
    median: float
    late: float

    @property
    def sentence(self) -> str:
        """The measurement as a line of a report.

        >>> print(Lag("activities", 0.5, 30).sentence)
        activities: half of the rows were known within 0.5 hours, nineteen of twenty within 30.0.
        """
        return f"{self.table}: half of the rows were known within {self.median:,.1f} hours, nineteen of twenty within {self.late:,.1f}."


def measured(raw: duckdb.DuckDBPyConnection, table: str, rows: str) -> Lag | None:
    """The lag of rows with both clocks; None where the table has no clock, or no row.

    Parameters
    ----------
    table : which canonical table they are. A deal is known when it closes, if it has.
    rows : what the database selects them from.
    """
    if table not in CLOCKS:
        return None
    happened = "greatest(created_at, closed_at)" if table == "deals" else CLOCKS[table]
    hours = f"date_diff('minute', {happened}, known_at) / 60.0"
    found = raw.execute(f"SELECT quantile_cont({hours}, [0.5, 0.95]) FROM {rows}").fetchall()[0][0]
    return Lag(table, *map(float, found)) if found else None


def advice(lags: Sequence[Lag], declared: Mapping[str, float]) -> list[str]:
    """One sentence for each table without a second clock whose `lag_hours` is shorter than what the others of the same source show.

    To the business: features of a past night then know what the system of that night did not yet, and the backtest flatters.

    Parameters
    ----------
    lags : of the tables that have both clocks.
    declared : `lag_hours` of the tables that have one. An hour less than measured is worth no word.

    >>> print(*advice([Lag("activities", 0.5, 30)], {"lead_changes": 0.0, "deals": 48.0}))
    lead_changes has no known_at and lag_hours = 0, but of activities one row in twenty was known only after 30.0: if the same system \
writes both, set lag_hours = 30 in [source.tables.lead_changes].
    """
    if not lags:
        return []
    slowest = max(lags, key=lambda lag: lag.late)
    return [
        f"{table} has no known_at and lag_hours = {hours:g}, but of {slowest.table} one row in twenty was known only after {slowest.late:,.1f}: "
        f"if the same system writes both, set lag_hours = {slowest.late:.0f} in [source.tables.{table}]."
        for table, hours in declared.items()
        if hours + _WORTH_A_WORD <= slowest.late
    ]
