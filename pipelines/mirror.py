"""A PostgreSQL server as the team's warehouse: what one machine commits there, every other sees, whole or not at all.

DuckDB computes, PostgreSQL keeps. Every machine works on a copy of its own in a DuckDB file; when it is opened, what the server has that the copy has
not is fetched, and when a transaction ends, what it changed is sent, in one transaction of the server's. The same statements on the same engine
give the same scores, to the bit, whichever of the two holds them.

    server   leadscore.stored    one row a part of a table: how many rows, their digest
             leadscore.ledger    ... and the tables themselves, for whoever wants to read them there
             leadscore_lists     the views `tonight` and `lists`, for who may read nothing else
    copy     stored              the same, of what the copy holds: parts that differ are fetched, or were changed

A part is a night of an outcome where a table has nights, an extract where it has extracts, and otherwise the whole table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow as pa

from features.problem import Problem
from pipelines.catalog import kinds_of
from pipelines.crm.mapping import quoted
from pipelines.migrations import refuse_newer, version_of
from pipelines.server import PARTED, STORED, Part, Parts, Server, values_of

_AT_ONCE = 50_000


class Mirror:
    """One machine's copy of what a server holds.

    Parameters
    ----------
    url : of the server, as PostgreSQL writes it.
    raw : the copy.

    Raises
    ------
    Problem : the server cannot be reached, or does not let us in.
    """

    def __init__(self, url: str, raw: duckdb.DuckDBPyConnection) -> None:
        self.raw, self.server = raw, Server(url)
        self.raw.execute(f"CREATE TABLE IF NOT EXISTS {STORED} (table_name VARCHAR, part VARCHAR, rows BIGINT, digest VARCHAR, columns VARCHAR)")

    def close(self) -> None:
        """Hang up."""
        self.server.close()

    def fetch(self) -> None:
        """Bring the copy to what the server holds; an empty server is first given the tables that the copy has.

        Raises
        ------
        Problem : a newer version of the product wrote what the server holds, or part of it.
        """
        if self.server.is_new():
            self.server.set_up(version_of(self.raw), {table: Part(0, "0", _told(kinds_of(self.raw, table))) for table in self._tables()})
        refuse_newer(self.server.version())
        with self.server.reading():
            there, here = self.server.parts(), self._stored()
            held = {table for table, _ in there}
            for table, part in sorted(here.keys() - there.keys()):
                self._forget(table, part, drop=table not in PARTED and table not in held)
            for (table, part), known in sorted(there.items()):
                if here.get((table, part)) != known:
                    self._fetch(table, part, known)

    def altered(self) -> list[str]:
        """The parts of tables of which this copy, just made, got other rows than the server says it holds: somebody wrote past the product."""
        return [" ".join(key).strip() for key, known in sorted(self._stored().items()) if not self._is_whole(key, known)]

    def _is_whole(self, key: tuple[str, str], known: Part) -> bool:
        """Whether the rows of a part are those of its digest; columns that came later say nothing of it."""
        table, part = key
        row = _row(dict.fromkeys(known.names, ""), "" if table in PARTED else "row_number() OVER (), ")
        rows, digest = self.raw.execute(
            f"SELECT count(*), coalesce(bit_xor(md5_number(row)), 0) FROM (SELECT {row} AS row FROM {table} WHERE {_part_of(table)} = ?)", [part]
        ).fetchall()[0]
        return (rows, f"{digest:x}") == (known.rows, known.digest)

    @contextmanager
    def transaction(self, tables: Sequence[str]) -> Iterator[None]:
        """What happens to the copy inside happens to the server, or to neither; meanwhile nobody else writes.

        Parameters
        ----------
        tables : those that may be changed.

        Raises
        ------
        Problem : another machine is writing, or has changed what this one is about to; nothing is changed then.
        """
        with self.server.writing():
            yield
            self._send(tables)

    @contextmanager
    def amendment(self, table: str, part: str, leads: Sequence[str]) -> Iterator[None]:
        """The same for some leads of one part: all others are neither looked at nor sent, so that many small changes of a large part stay small.

        Parameters
        ----------
        table : one that has parts, with a lead_id in every row.
        leads : those whose rows may be changed.

        Raises
        ------
        Problem : see `transaction`.
        """
        key = (table, part)
        self.raw.register("amended_leads", pa.table({"lead_id": pa.array(leads, pa.string())}))
        try:
            with self.server.writing():
                gone = self._amended(key)
                yield
                come, before = self._amended(key), self._stored().get(key)
                if before and before.columns != come.columns:
                    self._send([table])
                elif come != gone:
                    self._see_unchanged([key], {key: before} if before else {})
                    now = _amended(before, gone, come)
                    self.server.replace(table, part, now, self._amended_rows(key), leads)
                    self._note(table, part, now)
        finally:
            self.raw.unregister("amended_leads")

    def _send(self, tables: Sequence[str]) -> None:
        """Write to the server every part of these tables that the copy now has otherwise."""
        before = self._stored()
        after = {key: part for table in tables for key, part in self._parts(table).items()}
        changed = sorted(key for key in before.keys() | after.keys() if key[0] in tables and before.get(key) != after.get(key))
        self._see_unchanged(changed, before)
        for table, part in changed:
            now = after.get((table, part))
            self.server.replace(table, part, now, self._rows(table, part) if now else ())
            self._note(table, part, now)

    def _see_unchanged(self, changed: Sequence[tuple[str, str]], before: Parts) -> None:
        """See that the server has what is about to be replaced as the copy had it."""
        there = self.server.parts()
        if overtaken := [" ".join(key).strip() for key in changed if there.get(key) != before.get(key)]:
            raise Problem(
                f"Another process has changed {', '.join(overtaken[:3])} in the PostgreSQL warehouse since this one began, and its work stands: "
                "nothing was written. Run again if anything is still missing."
            )

    def _amended(self, key: tuple[str, str]) -> Part:
        """What the copy has of the leads that are amended, in a part."""
        table, part = key
        kinds, (within, values) = kinds_of(self.raw, table), _within(table, part)
        rows, digest = self.raw.execute(
            f"SELECT count(*), coalesce(bit_xor(md5_number({_row(kinds)})), 0) FROM {table} SEMI JOIN amended_leads USING (lead_id) WHERE {within}",
            values,
        ).fetchall()[0]
        return Part(rows, f"{digest:x}", _told(kinds))

    def _amended_rows(self, key: tuple[str, str]) -> Iterator[tuple[Any, ...]]:
        """Their rows, each with its place in the part."""
        table, part = key
        within, values = _within(table, part)
        placed = f"SELECT *, row_number() OVER () FROM {table} WHERE {within}"
        yield from self.raw.execute(f"FROM ({placed}) SEMI JOIN amended_leads USING (lead_id)", values).fetchall()

    def _parts(self, table: str) -> Parts:
        """Every part of a table as the copy has it now; of one that is gone, none."""
        kinds = kinds_of(self.raw, table)
        if not kinds:
            return {}
        row = _row(kinds) if table in PARTED else _row(kinds, "row_number() OVER (), ")
        found = self.raw.execute(
            f"SELECT part, count(*), bit_xor(md5_number(row)) FROM (SELECT {_part_of(table)} AS part, {row} AS row FROM {table}) GROUP BY part"
        ).fetchall()
        told = _told(kinds)
        whole = {} if table in PARTED or found else {(table, ""): Part(0, "0", told)}
        return {**whole, **{(table, part): Part(rows, f"{digest:x}", told) for part, rows, digest in found}}

    def _tables(self) -> list[str]:
        own = [STORED, "version"]
        rows = self.raw.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal AND NOT list_contains(?, table_name)", [own]).fetchall()
        return sorted(table for (table,) in rows)

    def _stored(self) -> Parts:
        """Every part as the copy had it when it was last like the server."""
        rows = self.raw.execute(f"SELECT table_name, part, rows, digest, columns FROM {STORED}").fetchall()
        return {(table, part): Part(*rest) for table, part, *rest in rows}

    def _note(self, table: str, part: str, now: Part | None) -> None:
        self.raw.execute(f"DELETE FROM {STORED} WHERE table_name = ? AND part = ?", [table, part])
        if now:
            self.raw.execute(f"INSERT INTO {STORED} VALUES (?, ?, ?, ?, ?)", [table, part, *now])

    def _rows(self, table: str, part: str) -> Iterator[tuple[Any, ...]]:
        """The rows of a part with their places, in that order."""
        rows = self.raw.execute(f"SELECT *, row_number() OVER () FROM {table} WHERE {_part_of(table)} = ?", [part])
        while some := rows.fetchmany(_AT_ONCE):
            yield from some

    def _fetch(self, table: str, part: str, known: Part) -> None:
        """Bring a part of a table from the server to the copy."""
        if table in PARTED and (unknown := [name for name in known.names if name not in kinds_of(self.raw, table)]):
            raise Problem(
                f"The table {table} on the PostgreSQL server has a column {unknown[0]} that this leadscore does not know: install the version that "
                "wrote it, or a newer one. Nothing was changed."
            )
        self._forget(table, part, drop=table not in PARTED and _told(kinds_of(self.raw, table)) != known.columns)
        columns = ", ".join(f"{quoted(name)} {kind}" for name, kind in json.loads(known.columns))
        self.raw.execute(f"CREATE TABLE IF NOT EXISTS {table} ({columns})")
        for rows in self.server.rows(table, part, known):
            self._keep(table, known.names, rows)
        self._note(table, part, known)

    def _keep(self, table: str, names: list[str], rows: list[tuple[Any, ...]]) -> None:
        """Add rows to a table of the copy."""
        there: Any = self.raw.sql(f"SELECT {', '.join(map(quoted, names))} FROM {table} LIMIT 0").to_arrow_table()
        columns = [pa.array(values, kind.type) for values, kind in zip(zip(*rows, strict=True), there.schema, strict=True)]
        self.raw.register("fetched_rows", pa.table(columns, schema=there.schema))
        self.raw.execute(f"INSERT INTO {table} BY NAME SELECT * FROM fetched_rows")
        self.raw.unregister("fetched_rows")

    def _forget(self, table: str, part: str, drop: bool) -> None:
        """Take a part of a table off the copy."""
        self._note(table, part, None)
        if drop:
            self.raw.execute(f"DROP TABLE IF EXISTS {table}")
        elif kinds_of(self.raw, table):
            self.raw.execute(f"DELETE FROM {table} WHERE {_part_of(table)} = ?", [part])


def _part_of(table: str) -> str:
    """What a row's part is called, in DuckDB's words."""
    columns = PARTED.get(table, ())
    return f"concat_ws(' ', {', '.join(columns)})" if columns else "''"


def _within(table: str, part: str) -> tuple[str, list[str]]:
    """Which rows are of a part of a table that has parts, and the values of that condition: nothing else has to be computed of any row."""
    values = values_of(table, part)
    return " AND ".join(f"{column} = ?::{'VARCHAR' if column == 'outcome' else 'TIMESTAMP'}" for column in values), [*values.values()]


def _row(kinds: dict[str, str], place: str = "") -> str:
    """A row as the text of which the digest is taken."""
    return f"json_array({place}{', '.join(map(quoted, kinds))})::VARCHAR"


def _amended(before: Part | None, gone: Part, come: Part) -> Part:
    """A part of which some rows went and others came: its digest is that of its rows in any order, so that those which stayed need not be read."""
    had = before or Part(0, "0", come.columns)
    digest = int(had.digest, 16) ^ int(gone.digest, 16) ^ int(come.digest, 16)
    return Part(had.rows - gone.rows + come.rows, f"{digest:x}", come.columns)


def _told(kinds: dict[str, str]) -> str:
    """A table's columns as `Part` keeps them."""
    return json.dumps(list(map(list, kinds.items())))
