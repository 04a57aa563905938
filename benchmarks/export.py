"""A made-up company's nightly export: a folder of Parquet files, as far as the company has come by an instant."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import duckdb

_LATER = "try_cast({} AS TIMESTAMP) BETWEEN $until AND $last"
_KNOWN = {
    "leads": f"SELECT * FROM there WHERE ({_LATER.format('created_at')}) IS NOT TRUE",
    "lead_changes": f"SELECT * FROM there WHERE ({_LATER.format('changed_at')}) IS NOT TRUE",
    # What is malformed, or claims to be of years to come, an export has every night; nobody is called, see `benchmarks.account`.
    "activities": f"SELECT * FROM there WHERE direction = 'in' AND ({_LATER.format('known_at')}) IS NOT TRUE",
    "deals": "SELECT * EXCLUDE (closed) REPLACE (CASE WHEN closed THEN outcome ELSE 'open' END AS outcome,"
    " CASE WHEN closed THEN closed_at END AS closed_at, CASE WHEN closed THEN stage ELSE 'qualified' END AS stage) FROM (SELECT *,"
    f" ({_LATER.format('closed_at')}) IS NOT TRUE AS closed FROM there WHERE ({_LATER.format('created_at')}) IS NOT TRUE)",
    "accounts": "SELECT * FROM there",
    "owners": "SELECT * FROM there",
}


class Export:
    """One export, written anew every night.

    Parameters
    ----------
    whole : the tables that `simulate` wrote.
    folder : where the export lies.
    last : the end of the simulated days.
    """

    def __init__(self, whole: Path, folder: Path, last: datetime) -> None:
        self.whole, self.folder, self.last = whole, folder, last
        folder.mkdir()

    def advance(self, until: datetime) -> None:
        """Export what happened before an instant."""
        for name, known in _KNOWN.items():
            half = self.folder / f"{name}.half"
            with duckdb.connect() as raw:
                raw.execute(f"CREATE VIEW there AS SELECT * FROM read_parquet('{self.whole / name}.parquet')")
                instants = {key: value for key, value in {"until": until, "last": self.last}.items() if f"${key}" in known}
                raw.execute(f"CREATE TABLE known AS {known}", instants)
                raw.execute(f"COPY known TO '{half}' (FORMAT parquet)")
            os.replace(half, self.folder / f"{name}.parquet")
