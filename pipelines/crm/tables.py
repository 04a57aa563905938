"""Reads CSV, Parquet, DuckDB, SQLite or any database that SQLAlchemy knows, as rows of texts.

CSV is read leniently and refused precisely: a line that is not UTF-8 is read as Windows-1252, a line with too many or too few cells is
rejected with its number, and no line is ever dropped in silence.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from features.problem import Problem
from pipelines.crm.base import CrmSource, Piece, Reject

_BATCH = 50_000
_FILES = (".csv", ".tsv", ".txt", ".parquet")


def open_source(location: str, encoding: str = "utf-8") -> CrmSource:
    """The source at a place: a folder of files, a DuckDB or SQLite file, or a database URL.

    Raises
    ------
    Problem : there is nothing there, or nothing that can be read.
    """
    if "://" in location:
        return _open_database(location)
    path = Path(location)
    if path.is_dir():
        return Files(path, encoding)
    if not path.exists():
        raise Problem(f"[source] location is {path}, and there is nothing there: correct it in leadscore.toml.")
    if path.suffix in (".duckdb", ".ddb"):
        return DuckDbFile(path)
    if path.suffix in (".sqlite", ".sqlite3", ".db"):
        return _open_database(f"sqlite:///{path}")
    raise Problem(f"[source] location is {path}, which is no folder, .duckdb or .sqlite file and no database URL: correct it in leadscore.toml.")


class Files:
    """A folder of CSV and Parquet files; a table is a file."""

    def __init__(self, folder: Path, encoding: str) -> None:
        self.folder, self.encoding = folder, encoding

    def tables(self) -> list[str]:
        """The files that can be read, in alphabetical order."""
        return sorted(p.name for p in self.folder.iterdir() if p.suffix.lower() in _FILES)

    def columns(self, table: str) -> list[str]:
        """See `CrmSource`."""
        path = self._path(table)
        if path.suffix == ".parquet":
            return _parquet(path).columns
        with path.open("rb") as file:
            header = next(self._records(file, path), None)
            return header if isinstance(header, list) else []

    def pieces(self, table: str, cursor: str | None = None, since: datetime | None = None) -> Iterator[Piece]:
        """See `CrmSource`. A CSV is read whole."""
        path = self._path(table)
        if path.suffix == ".parquet":
            yield from _as_texts(_parquet(path), cursor, since)
            return
        with path.open("rb") as file:
            records = self._records(file, path)
            header = next(records, None)
            if not isinstance(header, list) or not header:
                raise Problem(f"{path} has no header line that can be read: export it again, or take it out of leadscore.toml.")
            numbered = ((n, record) for n, record in enumerate(records, start=2) if record)
            while batch := list(islice(numbered, _BATCH)):
                fits = [(n, record) for n, record in batch if isinstance(record, list) and len(record) == len(header)]
                rejects = [
                    Reject(n, ",".join(record)[:200], f"has {len(record)} cells where the header has {len(header)}")
                    if isinstance(record, list)
                    else Reject(n, "", f"cannot be taken apart into cells ({record})")
                    for n, record in batch
                    if not isinstance(record, list) or len(record) != len(header)
                ]
                yield _texts(header, [cells for _, cells in fits], [n for n, _ in fits]), rejects

    def _path(self, table: str) -> Path:
        path = self.folder / table
        if not path.is_file():
            there = ", ".join(self.tables()) or "no CSV or Parquet file"
            raise Problem(f"There is no table {table} in {self.folder}, only {there}: correct its `table` in leadscore.toml.")
        return path

    def _records(self, file: Iterable[bytes], path: Path) -> Iterator[list[str] | csv.Error]:
        """Row by row its cells, or why it has none."""
        csv.field_size_limit(sys.maxsize)
        lines = (_decoded(line, self.encoding, first) for first, line in _firsts(file))
        delimiter = "\t" if path.suffix == ".tsv" else ","
        head = next(lines, "")
        if delimiter == "," and head.count(";") > head.count(","):
            delimiter = ";"
        reader = csv.reader(_again(head, lines), delimiter=delimiter)
        while True:
            try:
                yield next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield error


def _firsts(file: Iterable[bytes]) -> Iterator[tuple[bool, bytes]]:
    return ((number == 0, line) for number, line in enumerate(file))


def _again(head: str, rest: Iterator[str]) -> Iterator[str]:
    if head:
        yield head
        yield from rest


def _decoded(line: bytes, encoding: str, first: bool) -> str:
    try:
        return line.decode("utf-8-sig" if first and encoding == "utf-8" else encoding)
    except UnicodeDecodeError:
        return line.decode("cp1252", errors="replace")


def _texts(header: list[str], rows: list[list[str]], numbers: list[int]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(header)
    arrays = [pa.array(numbers, pa.int64()), *(pa.array(column, pa.string()) for column in columns)]
    return pa.Table.from_arrays(arrays, names=["row", *header])


def _parquet(path: Path) -> duckdb.DuckDBPyRelation:
    try:
        return duckdb.connect().read_parquet(str(path))
    except duckdb.Error as error:
        raise Problem(f"{path} is no Parquet file that can be read ({str(error).splitlines()[0]}): export it again.") from error


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _as_texts(rows: duckdb.DuckDBPyRelation, cursor: str | None, since: datetime | None) -> Iterator[Piece]:
    kinds = dict(zip(rows.columns, map(str, rows.types), strict=True))
    texts = ", ".join(f"CAST({_quoted(c)} AS VARCHAR) AS {_quoted(c)}" for c in rows.columns)
    numbered = rows.project(f"row_number() OVER () AS row, {texts}")
    if cursor and since and kinds[cursor].startswith("TIMESTAMP"):
        numbered = numbered.filter(f"{_quoted(cursor)} IS NULL OR {_quoted(cursor)} >= TIMESTAMP '{since}'")
    reader = numbered.fetch_arrow_reader(_BATCH * 4)
    for batch in reader:
        yield pa.Table.from_batches([batch]), []


class DuckDbFile:
    """A DuckDB file, read only."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connection = duckdb.connect(str(path), read_only=True)

    def tables(self) -> list[str]:
        """The tables of the file."""
        return sorted(name for (name,) in self.connection.sql("SELECT table_name FROM duckdb_tables()").fetchall())

    def columns(self, table: str) -> list[str]:
        """See `CrmSource`."""
        return self._table(table).columns

    def pieces(self, table: str, cursor: str | None = None, since: datetime | None = None) -> Iterator[Piece]:
        """See `CrmSource`."""
        yield from _as_texts(self._table(table), cursor, since)

    def _table(self, table: str) -> duckdb.DuckDBPyRelation:
        if table not in self.tables():
            raise Problem(f"There is no table {table} in {self.path}, only {', '.join(self.tables())}: correct its `table` in leadscore.toml.")
        return self.connection.table(_quoted(table))


def _open_database(url: str) -> CrmSource:
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError

    try:
        engine = create_engine(url)
        with engine.connect():
            return Database(url)
    except (SQLAlchemyError, ImportError) as error:
        raise Problem(f"The database of [source] location cannot be reached ({type(error).__name__}): check its URL, driver and password.") from error


class Database:
    """Any database that SQLAlchemy knows."""

    def __init__(self, url: str) -> None:
        from sqlalchemy import create_engine

        self.engine = create_engine(url)

    def tables(self) -> list[str]:
        """The tables and views of the default schema."""
        from sqlalchemy import inspect

        seen = inspect(self.engine)
        return sorted([*seen.get_table_names(), *seen.get_view_names()])

    def columns(self, table: str) -> list[str]:
        """See `CrmSource`."""
        from sqlalchemy import inspect

        if table not in self.tables():
            raise Problem(f"There is no table {table} in the database, only {', '.join(self.tables())}: correct its `table` in leadscore.toml.")
        return [column["name"] for column in inspect(self.engine).get_columns(table)]

    def pieces(self, table: str, cursor: str | None = None, since: datetime | None = None) -> Iterator[Piece]:
        """See `CrmSource`. Rows are streamed; the database itself filters by the cursor."""
        from sqlalchemy import DateTime, column, inspect, or_, select
        from sqlalchemy import table as named

        header = self.columns(table)
        query: Any = select(*(column(name) for name in header)).select_from(named(table))
        kinds = {one["name"]: one["type"] for one in inspect(self.engine).get_columns(table)}
        if cursor and since and isinstance(kinds[cursor], DateTime):
            query = query.where(or_(column(cursor).is_(None), column(cursor, DateTime()) >= since))
        with self.engine.connect().execution_options(stream_results=True) as connection:
            result, first = connection.execute(query), 1
            for rows in result.partitions(_BATCH):
                texts = [[_text(value) for value in row] for row in rows]
                yield _texts(header, texts, list(range(first, first + len(rows)))), []  # type: ignore[arg-type]
                first += len(rows)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
