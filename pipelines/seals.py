"""Seals in the warehouse: what a table was when it was extracted and a night when it was published, and whether every row is accounted for."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256

import duckdb

from pipelines.catalog import kinds_of
from pipelines.crm.mapping import quoted


def sealed(columns: Iterable[str]) -> str:
    """The statement that counts and seals every night of the ledger: outcome, as_of, leads, digest.

    A night's digest does not depend on the order of its rows, nor on columns that it has nothing in: those that a later release adds leave it alone.
    A million rows take a few seconds.
    """
    row = ", ".join(f"{column} := {column}" for column in sorted(columns) if column != "PRIMARY")
    text = f"json_merge_patch('{{}}', to_json(struct_pack({row})))::VARCHAR"
    return f"SELECT outcome, as_of, count(*) AS leads, bit_xor(md5_number({text}))::VARCHAR AS digest FROM ledger GROUP BY outcome, as_of"


def table_digest(raw: duckdb.DuckDBPyConnection, table: str) -> str:
    """What the rows and columns of a table are, in whatever order; "" where there is no such table.

    Five million activities take three seconds.

    >>> with duckdb.connect() as raw:
    ...     _ = raw.execute("CREATE TABLE owners AS SELECT * FROM (VALUES ('ann', 30), ('bob', 20)) AS t(owner_id, capacity)")
    ...     _ = raw.execute("CREATE TABLE turned AS SELECT * FROM owners ORDER BY owner_id DESC")
    ...     table_digest(raw, "owners") == table_digest(raw, "turned"), table_digest(raw, "leads")
    (True, '')
    """
    kinds = kinds_of(raw, table)
    if not kinds:
        return ""
    row = f"json_array({', '.join(map(quoted, sorted(kinds)))})::VARCHAR"
    rows, mixed = raw.execute(f"SELECT count(*), bit_xor(md5_number({row})) FROM {table}").fetchall()[0]
    return sha256(f"{sorted(kinds)} {rows} {mixed}".encode()).hexdigest()[:16]


def altered_tables(raw: duckdb.DuckDBPyConnection, extracted_at: datetime | None) -> list[str]:
    """The tables of an extract, the last one, that are not what was extracted; one that an earlier release extracted says nothing of itself."""
    query = "SELECT table_name, digest FROM extracts WHERE digest IS NOT NULL AND extracted_at = ? ORDER BY ALL"
    said = raw.execute(query, [extracted_at]).fetchall()
    return [table for table, digest in said if table_digest(raw, table) != digest]


def altered_nights(raw: duckdb.DuckDBPyConnection, columns: Iterable[str], outcome: str) -> list[tuple[datetime, str]]:
    """The nights of an outcome that are not what was published, each with what is wrong with it in words."""
    found = raw.execute(
        f"SELECT as_of, said.leads, said.digest, there.leads, there.digest FROM (SELECT * FROM nights WHERE outcome = $1) said"
        f" FULL JOIN (SELECT * FROM ({sealed(columns)}) WHERE outcome = $1) there USING (as_of)"
        " WHERE said.digest IS NOT NULL AND (said.leads, said.digest) IS DISTINCT FROM (there.leads, there.digest) ORDER BY as_of",
        [outcome],
    ).fetchall()
    return [(as_of, _difference(said, there or 0)) for as_of, said, _, there, _ in found]


def _difference(said: int, there: int) -> str:
    return f"{said:,} leads were published and {there:,} are there" if said != there else f"a value of its {said:,} leads was changed"


def misattributed_nights(raw: duckdb.DuckDBPyConnection, outcome: str) -> list[datetime]:
    """The nights of an outcome whose lineage names another model than their scores do."""
    found = raw.execute(
        "SELECT DISTINCT as_of FROM ledger JOIN lineage USING (outcome, as_of) WHERE outcome = ?"
        " AND ledger.model_version IS DISTINCT FROM lineage.model_version ORDER BY as_of",
        [outcome],
    ).fetchall()
    return [as_of for (as_of,) in found]


def unsealed_nights(raw: duckdb.DuckDBPyConnection, outcome: str) -> int:
    """How many nights of an outcome nobody can check: an earlier release published them without a seal."""
    counted = "SELECT count(DISTINCT as_of) FROM ledger ANTI JOIN nights USING (outcome, as_of) WHERE outcome = ?"
    return int(raw.execute(counted, [outcome]).fetchall()[0][0])


def unaccounted(raw: duckdb.DuckDBPyConnection) -> list[str]:
    """The tables of every extract whose rows do not add up, or whose refused rows are not in quarantine, one sentence each."""
    found = raw.execute(
        "SELECT extracted_at, table_name, rows_in, clean, quarantined, superseded, coalesce(kept, 0) FROM extracts"
        " FULL JOIN (SELECT extracted_at, table_name, count(*) AS kept FROM quarantine GROUP BY ALL) USING (extracted_at, table_name)"
        " WHERE rows_in IS DISTINCT FROM clean + quarantined + superseded OR quarantined IS DISTINCT FROM coalesce(kept, 0) ORDER BY ALL"
    ).fetchall()
    return [_unaccounted(*row) for row in found]


def _unaccounted(at: datetime, table: str, rows_in: int | None, clean: int, quarantined: int, superseded: int, kept: int) -> str:
    what = f"{table}, extracted until {at:%Y-%m-%d %H:%M}"
    if rows_in is None:
        return f"{what}: {kept:,} rows are in quarantine, and the extract itself is not written down."
    if rows_in != clean + quarantined + superseded:
        return (
            f"{what}: {rows_in:,} rows were read, and {clean:,} clean, {quarantined:,} refused and {superseded:,} superseded ones are accounted for."
        )
    return f"{what}: {quarantined:,} rows were refused, and {kept:,} are in quarantine."
