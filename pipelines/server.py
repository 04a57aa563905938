"""A PostgreSQL server that holds the tables of a warehouse: what is asked of it and said to it, all of it with time-outs.

A table there has the columns that the copy of whoever wrote it last has, and `position`, the place of a row in its table. No table is ever dropped,
so that what was granted on it stays granted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from time import monotonic
from typing import Any, NamedTuple

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from features.problem import Problem
from models.deadline import bound
from pipelines.views import views_on_a_server

SCHEMA, LISTS, STORED = "leadscore", "leadscore_lists", "stored"
PARTED = {
    **dict.fromkeys(("ledger", "nights", "lineage", "shifts", "writebacks", "feedback", "deliveries"), ("outcome", "as_of")),
    "quarantine": ("extracted_at",),
}
_KINDS = {"VARCHAR": "text", "DOUBLE": "double precision", "TIMESTAMP": "timestamp"}
# Of an identifier PostgreSQL keeps so many bytes, without a word.
_LONGEST = 63
_AT_ONCE = 50_000
_KEEPALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 60_000}
# An extract holds its transaction for as long as its source takes; a machine that died holds none for long.
_LIMITS = {
    "lock_timeout": "60s",
    "idle_in_transaction_session_timeout": "12h",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "timezone": "UTC",
}
_LOCK = int.from_bytes(sha256(b"leadscore").digest()[:7])


class Part(NamedTuple):
    """What is known of a part of a table: how many rows, a digest of them in any order, and the table's columns as JSON: name, kind."""

    rows: int
    digest: str
    columns: str

    @property
    def names(self) -> list[str]:
        """The columns' names."""
        return [name for name, _ in json.loads(self.columns)]


Parts = dict[tuple[str, str], Part]


class _Punctual(psycopg.Connection[Any]):
    """One that is given up where a statement is not answered in time: a server that was halted keeps neither its own time-outs nor hangs up."""

    def wait(self, gen: Any, *how: Any, **more: Any) -> Any:
        """See `psycopg.Connection.wait`."""
        # A server that is well says itself that a statement took too long.
        try:
            return super().wait(_until(gen, bound("statement") + bound("silence")), *how, **more)
        except TimeoutError as late:
            self.close()
            raise psycopg.OperationalError(str(late)) from None


def _until(generator: Any, seconds: float) -> Any:
    """What a generator of psycopg asks for and gives, as long as there is time."""
    end = monotonic() + seconds
    try:
        wanted = next(generator)
        while True:
            ready = yield wanted
            if monotonic() > end:
                raise TimeoutError(f"no whole answer within {seconds:g} seconds")
            wanted = generator.send(ready)
    except StopIteration as done:
        return done.value


class Server:
    """One connection to it.

    Parameters
    ----------
    url : as PostgreSQL writes it. What it says of time-outs goes before ours.

    Raises
    ------
    Problem : it cannot be reached, or does not let us in.
    """

    def __init__(self, url: str) -> None:
        limits = {**_LIMITS, "statement_timeout": f"{1000 * bound('statement'):.0f}"}
        with told("cannot be reached"):
            theirs = conninfo_to_dict(url)
            options = " ".join([*(f"-c {name}={value}" for name, value in limits.items()), str(theirs.get("options") or "")])
            wanted: dict[str, Any] = {"connect_timeout": f"{bound('connect'):.0f}", **_KEEPALIVE, **theirs, "options": options}
            self.connection = _Punctual.connect(autocommit=True, **wanted)

    def close(self) -> None:
        """Hang up."""
        self.connection.close()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """What is read inside was all there at one instant."""
        with told("could not be read"), self.connection.transaction():
            self.connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield

    @contextmanager
    def writing(self) -> Iterator[None]:
        """All of what is written inside, or none of it; nobody else writes meanwhile.

        Raises
        ------
        Problem : somebody is writing.
        """
        with told("could not be written"), self.connection.transaction():
            if not self._one("SELECT pg_try_advisory_xact_lock(%s)", _LOCK):
                raise Problem("Another process is writing to the PostgreSQL warehouse: wait until it is done and run again.")
            yield

    def is_new(self) -> bool:
        """Whether it never held a warehouse."""
        with told("could not be read"):
            return not self._kinds(STORED)

    def version(self) -> int:
        """Which version its tables are of, see `pipelines.migrations`."""
        with told("could not be read"):
            return int(self._one(f"SELECT max(version) FROM {SCHEMA}.version"))

    def set_up(self, version: int, tables: dict[str, Part]) -> None:
        """Make the schemas and empty tables."""
        with told("could not be set up"), self.connection.transaction():
            for schema in (SCHEMA, LISTS):
                self.connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            self.connection.execute(
                f"CREATE TABLE {SCHEMA}.{STORED} (table_name text, part text, rows bigint, digest text, columns text, PRIMARY KEY (table_name, part))"
            )
            self.connection.execute(f"CREATE TABLE {SCHEMA}.version AS SELECT {version} AS version")
            for table, part in tables.items():
                self._make(table, part)

    def parts(self) -> Parts:
        """Every part that it holds."""
        rows = self.connection.execute(f"SELECT table_name, part, rows, digest, columns FROM {SCHEMA}.{STORED}").fetchall()
        return {(table, part): Part(*rest) for table, part, *rest in rows}

    def rows(self, table: str, part: str, known: Part) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of a part in their order, some at a time."""
        names = sql.SQL(", ").join(sql.Identifier(_short(name)) for name in known.names)
        wanted = sql.SQL("SELECT {} FROM {}").format(names, _named(table)) + _of(table, part) + sql.SQL(" ORDER BY position")
        with self.connection.cursor(name="fetched", binary=True) as cursor:
            cursor.execute(wanted)
            while rows := cursor.fetchmany(_AT_ONCE):
                yield rows

    def replace(self, table: str, part: str, now: Part | None, rows: Iterable[tuple[Any, ...]] = (), leads: Sequence[str] | None = None) -> None:
        """Put other rows in the place of a part.

        Parameters
        ----------
        now : what the part is to be; None takes it away.
        rows : its columns and the position, in the order of both.
        leads : only their rows are replaced; none are named: all.
        """
        theirs = sql.SQL("" if leads is None else " AND lead_id = ANY({})").format(sql.Literal(list(leads or ())))
        self.connection.execute(f"DELETE FROM {SCHEMA}.{STORED} WHERE table_name = %s AND part = %s", [table, part])
        if now:
            self._make(table, now)
        if self._kinds(table):
            self.connection.execute(sql.SQL("DELETE FROM {}").format(_named(table)) + _of(table, part) + theirs)
        if now:
            self._copy(table, now.names, rows)
            self.connection.execute(f"INSERT INTO {SCHEMA}.{STORED} VALUES (%s, %s, %s, %s, %s)", [table, part, *now])

    def _copy(self, table: str, names: list[str], rows: Iterable[tuple[Any, ...]]) -> None:
        columns = sql.SQL(", ").join(sql.Identifier(_short(name)) for name in names)
        with (
            self.connection.cursor() as cursor,
            cursor.copy(sql.SQL("COPY {} ({}, position) FROM STDIN").format(_named(table), columns)) as copy,
        ):
            for row in rows:
                copy.write_row(row)

    def _make(self, table: str, part: Part) -> None:
        """See that a table has the columns that a copy has; one that is no longer extracted stays, empty."""
        wanted = {_short(name): _kind(kind) for name, kind in json.loads(part.columns)}
        there = self._kinds(table)
        if not there:
            each = sql.SQL(", ").join(sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, kind in wanted.items())
            self.connection.execute(sql.SQL("CREATE TABLE {} ({}, position bigint)").format(_named(table), each))
            if table in PARTED:
                parted = sql.SQL(", ").join(map(sql.Identifier, PARTED[table]))
                self.connection.execute(sql.SQL("CREATE INDEX ON {} ({})").format(_named(table), parted))
        changed = {name: kind for name, kind in wanted.items() if there and there.get(name) != kind}
        for name, kind in changed.items():
            if name in there:
                self.connection.execute(sql.SQL("ALTER TABLE {} DROP COLUMN {}").format(_named(table), sql.Identifier(name)))
            self.connection.execute(sql.SQL("ALTER TABLE {} ADD COLUMN {} {}").format(_named(table), sql.Identifier(name), sql.SQL(kind)))
        if table == "ledger" and (changed or not there):
            self._show()

    def _show(self) -> None:
        """The lists, for whoever may read nothing else, see `pipelines.views`; names come from the last extract."""
        for table, key in (("leads", "lead_id"), ("owners", "owner_id")):
            if not self._kinds(table):
                company = ", company text" if table == "leads" else ""
                self.connection.execute(f"CREATE TABLE {SCHEMA}.{table} ({key} text, name text{company}, position bigint)")
        for view in views_on_a_server(SCHEMA, LISTS):
            self.connection.execute(view)

    def _kinds(self, table: str) -> dict[str, str]:
        """Name and kind of the columns that the server has of a table."""
        rows = self.connection.execute(
            "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute"
            " WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped AND attname <> 'position'",
            [f"{SCHEMA}.{table}"],
        ).fetchall()
        return {name: kind.removesuffix(" without time zone") for name, kind in rows}

    def _one(self, query: str, *values: Any) -> Any:
        row = self.connection.execute(query, values).fetchone()
        return row[0] if row else None


@contextmanager
def told(what: str) -> Iterator[None]:
    """A server's complaint as a sentence, without the password that may stand in the address."""
    try:
        yield
    except psycopg.Error as error:
        lacks_right = isinstance(error, psycopg.errors.InsufficientPrivilege)
        advice = "Let the role do it: docs/postgresql.md says which may do what" if lacks_right else "See that it runs and its address is right"
        raise Problem(f"The PostgreSQL warehouse {what}: {_first(error)}. {advice}, and run again; nothing is half-written.") from None


def _first(error: psycopg.Error) -> str:
    """The first line of a complaint, which says what it is about."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _of(table: str, part: str) -> sql.Composable:
    """Which rows are of a part."""
    if table not in PARTED:
        return sql.SQL("")
    conditions = [
        sql.SQL("{} = {}" if column == "outcome" else "{} = {}::timestamp").format(sql.Identifier(column), sql.Literal(value))
        for column, value in values_of(table, part).items()
    ]
    return sql.SQL(" WHERE ") + sql.SQL(" AND ").join(conditions)


def values_of(table: str, part: str) -> dict[str, str]:
    """What every row of a part has in the columns by which its table is parted.

    >>> values_of("ledger", "default 2025-03-04 02:00:00"), values_of("quarantine", "2025-03-04 02:00:00")
    ({'outcome': 'default', 'as_of': '2025-03-04 02:00:00'}, {'extracted_at': '2025-03-04 02:00:00'})
    """
    *outcome, day, hour = part.split(" ")
    return dict(zip(PARTED[table], [*outcome, f"{day} {hour}"], strict=True))


def _named(table: str) -> sql.Identifier:
    return sql.Identifier(SCHEMA, table)


def _short(name: str) -> str:
    """A column's name as the server can keep it, still unlike every other."""
    if len(name.encode()) <= _LONGEST and name != "position":
        return name
    return f"{name.encode()[:50].decode(errors='ignore')}_{sha256(name.encode()).hexdigest()[:8]}"


def _kind(kind: str) -> str:
    return _KINDS.get(kind, kind.lower())
