"""Reads any database that SQLAlchemy knows, as rows of texts, and gives up one that does not answer in time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from features.problem import Problem
from models.deadline import Bound, bound, within
from pipelines.crm import csvfile
from pipelines.crm.base import CrmSource, Piece, Unreachable, see_cursor, text

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine

T = TypeVar("T")


class _Held(Unreachable):
    """Somebody is writing to the file just now."""


def open_sqlite(path: Path) -> CrmSource:
    """A SQLite file.

    Raises
    ------
    Unreachable : another process holds it.
    Problem : it is none that can be read.
    """
    from sqlalchemy import URL

    try:
        return open_database(URL.create("sqlite", database=str(path)))
    except _Held:
        raise
    except Problem as problem:
        raise Problem(f"[source] location is {path}, which is no SQLite file that can be read: correct it.") from problem


def open_database(url: str | URL) -> CrmSource:
    """The database at a URL.

    Raises
    ------
    Unreachable : it does not answer, or not now.
    Problem : the URL, its driver or its password is wrong.
    """
    from sqlalchemy import create_engine, make_url
    from sqlalchemy.exc import OperationalError, SQLAlchemyError
    from sqlalchemy.pool import NullPool

    try:
        url = make_url(url)
        if url.drivername in ("postgresql", "postgres"):
            # As PostgreSQL itself writes it: the driver is the one that leadscore brings.
            url = url.set(drivername="postgresql+psycopg")
        # Without a pool a connection is closed by whoever opened it, and nothing is left to dispose of.
        engine = create_engine(url, poolclass=NullPool)
        _see_file(engine.url.drivername, engine.url.database)
        return Database(engine)
    except (SQLAlchemyError, ImportError, ValueError) as error:
        # A URL that cannot be taken apart stands in its error, password and all.
        cause = None if isinstance(error, ValueError) else error
        # SQLite itself waits for five seconds.
        if "database is locked" in str(error):
            raise _Held(f"Another process holds {engine.url.database}, the [source] location: wait until it is done, or read a copy.") from cause
        kind = Unreachable if isinstance(error, OperationalError) else Problem
        raise kind(f"The database of [source] location cannot be reached ({type(error).__name__}): check its URL, driver and password.") from cause


def _see_file(driver: str, file: str | None) -> None:
    """SQLite makes the file that it is asked to read; we only read what is there."""
    if driver.startswith("sqlite") and file and file != ":memory:" and not file.startswith("file:") and not Path(file).is_file():
        raise Problem(f"[source] location is a SQLite URL, and there is no file {file}: correct it in leadscore.toml.")


class Database:
    """Any database that SQLAlchemy knows: the tables and views of its default schema."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._names()

    def tables(self) -> list[str]:
        """See `CrmSource`."""
        with _told("The list of tables"):
            return self._names()

    def columns(self, table: str) -> list[str]:
        """See `CrmSource`."""
        with _told(table):
            return list(self._kinds(table))

    def pieces(self, table: str, cursor: str | None = None, since: datetime | None = None) -> Iterator[Piece]:
        """See `CrmSource`. Rows are streamed; the database itself filters by the cursor."""
        from sqlalchemy import DateTime, column, or_, select
        from sqlalchemy import table as named

        with _told(table):
            kinds = self._kinds(table)
        see_cursor(table, list(kinds), cursor)
        query: Any = select(*(column(name) for name in kinds)).select_from(named(table))
        if cursor and since and isinstance(kinds[cursor], DateTime):
            query = query.where(or_(column(cursor).is_(None), column(cursor, DateTime()) >= since))
        first = 1
        with _told(table, lambda: first - 1):
            for rows in self._rows(table, query):
                texts = [[text(value) for value in row] for row in rows]
                yield csvfile.texts(list(kinds), texts, list(range(first, first + len(rows)))), []
                first += len(rows)

    def _names(self) -> list[str]:
        from sqlalchemy import inspect

        def ask() -> list[str]:
            seen = inspect(self.engine)
            return sorted([*seen.get_table_names(), *seen.get_view_names()])

        return self._answer("answer", "list its tables", ask)

    def _rows(self, table: str, query: Any) -> Iterator[Any]:
        """The rows of a query, some at a time; one connection that is closed at the end, unless nobody answers on it."""
        what = f"read {table}"
        connection = self._answer("answer", what, lambda: self.engine.connect().execution_options(stream_results=True))
        try:
            parts = self._answer("statement", what, lambda: connection.execute(query).partitions(csvfile.BATCH))
            while rows := self._answer("statement", what, lambda: next(parts, None)):
                yield rows
        finally:
            with suppress(Problem):
                self._answer("silence", what, connection.close)

    def _kinds(self, table: str) -> dict[str, Any]:
        """Column by column the type that the database says it has."""
        from sqlalchemy import inspect

        if table not in (there := self._names()):
            raise Problem(f"There is no table {table} in the database, only {', '.join(there)}: correct its `table` in leadscore.toml.")
        columns = self._answer("answer", f"describe {table}", lambda: inspect(self.engine).get_columns(table))
        return {column["name"]: column["type"] for column in columns}

    def _answer(self, name: Bound, what: str, ask: Callable[[], T]) -> T:
        """What the database answers in time. A file answers at once, and wants no other thread."""
        if self.engine.dialect.name == "sqlite":
            return ask()
        try:
            return within(bound(name), ask)
        except TimeoutError:
            # Whoever was waited for half an hour is not waited for again within this run.
            kind = Unreachable if name == "answer" else Problem
            raise kind(
                f"The database of [source] location did not {what} within {bound(name):g} seconds: see whether it answers, and run again, "
                f"or wait longer by LEADSCORE_{name.upper()}_SECONDS."
            ) from None


@contextmanager
def _told(what: str, come: Callable[[], int] = lambda: 0) -> Iterator[None]:
    """A failure of the database as a sentence, with how many rows had come before it."""
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    try:
        yield
    except SQLAlchemyError as error:
        cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
        where = f"{what} cannot be read to its end ({(str(cause).splitlines() or [type(cause).__name__])[0]})"
        raise Unreachable(f"{where}, {come():,} rows having come: see whether the database answers, and run `leadscore check`.") from error
