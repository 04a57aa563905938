"""Reads CSV, Parquet, DuckDB, SQLite or any database that SQLAlchemy knows, as rows of texts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from features.problem import Problem
from pipelines.crm import csvfile
from pipelines.crm.base import CrmSource, Piece, Unreachable, see_cursor
from pipelines.crm.mapping import quoted
from pipelines.crm.vendors import open_vendor, scheme

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine

_FILES = (".csv", ".tsv", ".txt", ".parquet")


def open_source(location: str, encoding: str = "utf-8") -> CrmSource:
    """The source at a place: a folder of files, a DuckDB or SQLite file, a database URL, or a CRM that is reached through its API.

    Raises
    ------
    Problem : there is nothing there, or nothing that can be read.
    """
    if vendor := scheme(location):
        return open_vendor(vendor)
    if "://" in location:
        return _open_database(location)
    path = Path(location)
    if path.is_dir():
        return Files(path, csvfile.known_encoding(encoding))
    if not path.exists():
        raise Problem(f"[source] location is {path}, and there is nothing there: correct it in leadscore.toml.")
    if path.suffix.lower() in (".duckdb", ".ddb"):
        return DuckDbFile(path)
    if path.suffix.lower() in (".sqlite", ".sqlite3", ".db"):
        return _open_sqlite(path)
    raise Problem(f"[source] location is {path}, which is no folder, .duckdb or .sqlite file and no database URL: correct it in leadscore.toml.")


class Files:
    """A folder of CSV and Parquet files; a table is a file."""

    def __init__(self, folder: Path, encoding: str) -> None:
        self.folder, self.encoding = folder, encoding

    def tables(self) -> list[str]:
        """See `CrmSource`."""
        return sorted(p.name for p in self.folder.iterdir() if p.suffix.lower() in _FILES)

    def columns(self, table: str) -> list[str]:
        """See `CrmSource`."""
        path = self._path(table)
        return _parquet(path).columns if _is_parquet(path) else csvfile.header(path, self.encoding)

    def pieces(self, table: str, cursor: str | None = None, since: datetime | None = None) -> Iterator[Piece]:
        """See `CrmSource`. A CSV is read whole."""
        path = self._path(table)
        if _is_parquet(path):
            yield from _as_texts(table, _parquet(path), cursor, since)
            return
        if cursor is not None:
            see_cursor(table, self.columns(table), cursor)
        yield from csvfile.pieces(path, self.encoding)

    def _path(self, table: str) -> Path:
        path = self.folder / table
        if not path.is_file():
            there = ", ".join(self.tables()) or "no CSV or Parquet file"
            raise Problem(f"There is no table {table} in {self.folder}, only {there}: correct its `table` in leadscore.toml.")
        return path


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() == ".parquet"


def _parquet(path: Path) -> duckdb.DuckDBPyRelation:
    try:
        return duckdb.connect().read_parquet(str(path))
    except duckdb.Error as error:
        raise Problem(f"{path} is no Parquet file that can be read ({_first_line(error)}): export it again.") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _as_texts(table: str, rows: duckdb.DuckDBPyRelation, cursor: str | None, since: datetime | None) -> Iterator[Piece]:
    """Numbered as they lie, then filtered while the cursor is still a timestamp, then made texts."""
    see_cursor(table, rows.columns, cursor)
    kinds = dict(zip(rows.columns, map(str, rows.types), strict=True))
    numbered = rows.project('row_number() OVER () AS "row number", *')
    if cursor and since and kinds[cursor].startswith("TIMESTAMP"):
        numbered = numbered.filter(f"{quoted(cursor)} IS NULL OR {quoted(cursor)} >= TIMESTAMP '{since}'")
    texts = ", ".join(f"CAST({quoted(c)} AS VARCHAR) AS {quoted(c)}" for c in rows.columns)
    try:
        for batch in numbered.project(f'"row number" AS row, {texts}').to_arrow_reader(csvfile.BATCH * 4):
            yield pa.Table.from_batches([batch]), []
    # Its end said what is in it; that its middle is damaged shows only when it is read.
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        raise Problem(f"{table} cannot be read to its end ({_first_line(error)}): export it again.") from error


class DuckDbFile:
    """A DuckDB file, read only: the tables and views of its main schema."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.connection = duckdb.connect(str(path), read_only=True)
        except duckdb.Error as error:
            if "lock on file" in str(error):
                raise Problem(f"Another process works on {path}, the [source] location: wait until it is done, or read a copy.") from error
            raise Problem(f"[source] location is {path}, which is no DuckDB file that can be read ({_first_line(error)}): correct it.") from error

    def tables(self) -> list[str]:
        """See `CrmSource`."""
        here = "table_catalog = current_database() AND table_schema = current_schema()"
        return sorted(name for (name,) in self.connection.sql(f"SELECT table_name FROM information_schema.tables WHERE {here}").fetchall())

    def columns(self, table: str) -> list[str]:
        """See `CrmSource`."""
        return self._table(table).columns

    def pieces(self, table: str, cursor: str | None = None, since: datetime | None = None) -> Iterator[Piece]:
        """See `CrmSource`."""
        yield from _as_texts(table, self._table(table), cursor, since)

    def _table(self, table: str) -> duckdb.DuckDBPyRelation:
        if table not in self.tables():
            raise Problem(f"There is no table {table} in {self.path}, only {', '.join(self.tables())}: correct its `table` in leadscore.toml.")
        try:
            return self.connection.table(quoted(table))
        except duckdb.Error as error:
            raise Problem(
                f"{table} of {self.path} cannot be read ({_first_line(error)}): correct the view, or its `table` in leadscore.toml."
            ) from error


def _open_sqlite(path: Path) -> CrmSource:
    from sqlalchemy import URL

    try:
        return _open_database(URL.create("sqlite", database=str(path)))
    except Problem as problem:
        raise Problem(
            f"[source] location is {path}, which is no SQLite file that can be read, or one that another process holds: correct it."
        ) from problem


def _open_database(url: str | URL) -> CrmSource:
    from sqlalchemy import create_engine
    from sqlalchemy.exc import OperationalError, SQLAlchemyError
    from sqlalchemy.pool import NullPool

    try:
        # Without a pool a connection is closed by whoever opened it, and nothing is left to dispose of.
        engine = create_engine(url, poolclass=NullPool)
        _see_file(engine.url.drivername, engine.url.database)
        database = Database(engine)
        database.tables()
    except (SQLAlchemyError, ImportError, ValueError) as error:
        # A URL that cannot be taken apart stands in its error, password and all.
        cause = None if isinstance(error, ValueError) else error
        kind = Unreachable if isinstance(error, OperationalError) else Problem
        raise kind(f"The database of [source] location cannot be reached ({type(error).__name__}): check its URL, driver and password.") from cause
    return database


def _see_file(driver: str, file: str | None) -> None:
    """SQLite makes the file that it is asked to read; we only read what is there."""
    if driver.startswith("sqlite") and file and file != ":memory:" and not file.startswith("file:") and not Path(file).is_file():
        raise Problem(f"[source] location is a SQLite URL, and there is no file {file}: correct it in leadscore.toml.")


class Database:
    """Any database that SQLAlchemy knows: the tables and views of its default schema."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def tables(self) -> list[str]:
        """See `CrmSource`."""
        from sqlalchemy import inspect

        seen = inspect(self.engine)
        return sorted([*seen.get_table_names(), *seen.get_view_names()])

    def columns(self, table: str) -> list[str]:
        """See `CrmSource`."""
        return list(self._kinds(table))

    def pieces(self, table: str, cursor: str | None = None, since: datetime | None = None) -> Iterator[Piece]:
        """See `CrmSource`. Rows are streamed; the database itself filters by the cursor."""
        from sqlalchemy import DateTime, column, or_, select
        from sqlalchemy import table as named
        from sqlalchemy.exc import DBAPIError, SQLAlchemyError

        kinds = self._kinds(table)
        see_cursor(table, list(kinds), cursor)
        query: Any = select(*(column(name) for name in kinds)).select_from(named(table))
        if cursor and since and isinstance(kinds[cursor], DateTime):
            query = query.where(or_(column(cursor).is_(None), column(cursor, DateTime()) >= since))
        first = 1
        try:
            with self.engine.connect().execution_options(stream_results=True) as connection:
                for rows in connection.execute(query).partitions(csvfile.BATCH):
                    texts = [[_text(value) for value in row] for row in rows]
                    yield csvfile.texts(list(kinds), texts, list(range(first, first + len(rows)))), []
                    first += len(rows)
        except SQLAlchemyError as error:
            where = f"{table} cannot be read to its end ({_first_line(error.orig if isinstance(error, DBAPIError) and error.orig else error)})"
            raise Unreachable(f"{where}, {first - 1:,} rows having come: see whether the database answers, and run `leadscore check`.") from error

    def _kinds(self, table: str) -> dict[str, Any]:
        """Column by column the type that the database says it has."""
        from sqlalchemy import inspect

        if table not in self.tables():
            raise Problem(f"There is no table {table} in the database, only {', '.join(self.tables())}: correct its `table` in leadscore.toml.")
        return {column["name"]: column["type"] for column in inspect(self.engine).get_columns(table)}


def _text(value: object) -> str | None:
    return None if value is None else str(value)
