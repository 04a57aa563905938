"""From the tables of an earlier version to those of this one: forwards only, whole or not at all, and what was there is kept beside it.

Columns that were added need no step: they are empty where nothing was known. A step is written where rows have to become others.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import duckdb

from features.problem import Problem
from pipelines.backup import beside, copy
from pipelines.catalog import kinds_of, whole

Raw = duckdb.DuckDBPyConnection
_TABLE = "version"


def _named_outcomes(raw: Raw) -> None:
    """A ledger of before there were several outcomes holds the nights of the default one."""
    kinds = kinds_of(raw, "ledger")
    if "outcome" in kinds or not kinds:
        return
    columns = ", ".join(f"{name} {kind}{' NOT NULL' if name in ('as_of', 'lead_id', 'probability') else ''}" for name, kind in kinds.items())
    raw.execute("ALTER TABLE ledger RENAME TO ledger_before")
    raw.execute(f"CREATE TABLE ledger (outcome VARCHAR NOT NULL, {columns}, PRIMARY KEY (outcome, as_of, lead_id))")
    raw.execute("INSERT INTO ledger BY NAME SELECT *, 'default' AS outcome FROM ledger_before")
    raw.execute("DROP TABLE ledger_before")


STEPS: tuple[Callable[[Raw], None], ...] = (_named_outcomes,)
"""Each from one version to the next; the first from files that do not say theirs."""


def migrate(raw: Raw, file: Path | None = None) -> None:
    """Bring a warehouse to this version of the tables.

    Parameters
    ----------
    raw : the warehouse, open.
    file : where it lies; a copy of it as it was is kept beside it. None: it is in memory, and gone with the process.

    Raises
    ------
    Problem : it was written by a newer version of the product, or no copy can be kept; it is left as it is.
    """
    there, now = version_of(raw), len(STEPS)
    refuse_newer(there)
    if there == now:
        return
    if file and kinds_of(raw, "ledger"):
        _keep_copy(raw, file, beside(file, f"before-version-{now}"))
    with whole(raw):
        for step in STEPS[there:]:
            step(raw)
        raw.execute(f"CREATE OR REPLACE TABLE {_TABLE} AS SELECT {now} AS version")


def refuse_newer(version: int) -> None:
    """See that this version of the product knows what it is about to read and write.

    Raises
    ------
    Problem : a newer version wrote it.
    """
    if version > len(STEPS):
        raise Problem(
            f"The warehouse has tables of version {version}, and this leadscore knows them up to version {len(STEPS)}: install the version that "
            "wrote them, or a newer one. Nothing was changed."
        )


def version_of(raw: Raw) -> int:
    """Which version the tables are of; 0 where they do not say."""
    if not kinds_of(raw, _TABLE):
        return 0
    return int(raw.execute(f"SELECT max(version) FROM {_TABLE}").fetchall()[0][0])


def _keep_copy(raw: Raw, file: Path, kept: Path) -> None:
    """The file as it is, beside it; one that is there already is older, and stays."""
    if kept.exists():
        return
    half = beside(kept, "half")
    try:
        raw.execute("CHECKPOINT")
        copy(file, half)
        os.replace(half, kept)
    except OSError as error:
        with suppress(OSError):
            half.unlink()
        raise Problem(
            f"The warehouse {file} is of an earlier version, and no copy of it can be kept ({error.strerror}): free "
            f"{file.stat().st_size / 1e6:,.0f} MB beside it and run again. Nothing was changed."
        ) from error
