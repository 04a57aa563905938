"""Opens whatever the tables lie in, and reads CSV, Parquet and DuckDB as rows of texts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from features.problem import Problem
from pipelines.crm import csvfile
from pipelines.crm.base import CrmSource, Piece, Unreachable, see_cursor
from pipelines.crm.database import open_database, open_sqlite
from pipelines.crm.engine import SCHEME, open_engine
from pipelines.crm.mapping import quoted
from pipelines.crm.vendors import open_vendor, scheme

_FILES = (".csv", ".tsv", ".txt", ".parquet")


def open_source(location: str, encoding: str = "utf-8") -> CrmSource:
    """The source at a place: a folder of files, a DuckDB or SQLite file, a database URL, or a CRM that is reached through its API.

    Raises
    ------
    Unreachable : it does not answer now, or another process holds it.
    Problem : there is nothing there, or nothing that can be read.
    """
    if vendor := scheme(location):
        return open_vendor(vendor)
    if location.startswith(SCHEME):
        return open_engine(location)
    if "://" in location:
        return open_database(location)
    path = Path(location)
    if path.is_dir():
        return Files(path, csvfile.known_encoding(encoding))
    if not path.exists():
        raise Problem(f"[source] location is {path}, and there is nothing there: correct it in leadscore.toml.")
    if path.suffix.lower() in (".duckdb", ".ddb"):
        return DuckDbFile(path)
    if path.suffix.lower() in (".sqlite", ".sqlite3", ".db"):
        return open_sqlite(path)
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
                raise Unreachable(f"Another process works on {path}, the [source] location: wait until it is done, or read a copy.") from error
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
