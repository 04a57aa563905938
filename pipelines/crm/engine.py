"""Reads any engine that Ibis knows and SQLAlchemy may not, such as Snowflake, BigQuery or Spark, as rows of texts.

What is tested: PostgreSQL and Spark. Snowflake and BigQuery take the same path, by drivers of their own, and were never tried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from features.problem import Problem
from models.deadline import Bound, bound, within
from pipelines.crm import csvfile
from pipelines.crm.base import CrmSource, Piece, Unreachable, see_cursor, text

SCHEME = "ibis+"
"""What stands before the URL of an engine, as `ibis.connect` takes it, to tell it from one of SQLAlchemy's."""

_FILES = ("duckdb:", "sqlite:")
T = TypeVar("T")


def open_engine(location: str) -> CrmSource:
    """The engine at a location.

    Parameters
    ----------
    location : "ibis+snowflake://user:password@account/database/schema", "ibis+bigquery://project/dataset", "ibis+pyspark://".

    Raises
    ------
    Unreachable : it does not answer.
    Problem : the URL is none of Ibis's, or its driver is not installed.
    """
    import ibis

    url = location.removeprefix(SCHEME)
    if url.startswith(_FILES):
        raise Problem("[source] location names a DuckDB or SQLite file by a URL of Ibis: write the path of the file alone in leadscore.toml.")
    name = url.partition(":")[0]
    try:
        return Engine(within(bound("answer"), partial(ibis.connect, url)))
    except TimeoutError as late:
        raise Unreachable(f"The engine {name} of [source] location does not answer ({late}): see whether it runs, and run again.") from None
    except ImportError:
        advice = f"run `pip install 'ibis-framework[{name}]'`" if name.isidentifier() else "correct the URL"
        raise Problem(f"The engine {name} of [source] location needs a driver of its own, which is not installed: {advice}.") from None
    # Every engine has errors of its own, and in their words a password may stand.
    except Exception as error:
        raise Unreachable(
            f"The engine {name} of [source] location cannot be reached ({type(error).__name__}): check its URL and password, and whether it runs."
        ) from None


class Engine:
    """The tables and views of one database, or schema, of an engine.

    Parameters
    ----------
    connection : of Ibis.
    """

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def tables(self) -> list[str]:
        """See `CrmSource`."""
        return sorted(self._answer("The list of tables", "answer", self.connection.list_tables))

    def columns(self, table: str) -> list[str]:
        """See `CrmSource`."""
        return list(self._table(table).columns)

    def pieces(self, table: str, cursor: str | None = None, since: datetime | None = None) -> Iterator[Piece]:
        """See `CrmSource`. The engine itself filters by the cursor."""
        rows = self._table(table)
        names = list(rows.columns)
        see_cursor(table, names, cursor)
        if cursor and since and rows[cursor].type().is_timestamp():
            rows = rows.filter(rows[cursor].isnull() | (rows[cursor] >= since))
        first = 1
        batches = self._answer(table, "statement", lambda: iter(rows.to_pyarrow_batches(chunk_size=csvfile.BATCH)))
        while (batch := self._answer(table, "statement", lambda: next(batches, None))) is not None:
            texts = [[text(value) for value in row.values()] for row in batch.to_pylist()]
            yield csvfile.texts(names, texts, list(range(first, first + len(texts)))), []
            first += len(texts)

    def _table(self, table: str) -> Any:
        if table not in (there := self.tables()):
            raise Problem(f"There is no table {table} in the engine, only {', '.join(there)}: correct its `table` in leadscore.toml.")
        return self._answer(table, "answer", lambda: self.connection.table(table))

    def _answer(self, what: str, name: Bound, ask: Callable[[], T]) -> T:
        """What the engine answers in time."""
        try:
            return within(bound(name), ask)
        except Exception as error:
            why = (str(error).splitlines() or [""])[0] or type(error).__name__
            # Whoever was waited for half an hour is not waited for again within this run.
            kind = Problem if isinstance(error, TimeoutError) and name == "statement" else Unreachable
            raise kind(
                f"{what} cannot be read from the engine ({why}): see whether it answers, and run `leadscore check`, or wait longer by "
                f"LEADSCORE_{name.upper()}_SECONDS."
            ) from None
