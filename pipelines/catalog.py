"""What every file that holds a warehouse is asked and told alike: which columns a table has, and to change all of something or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb


def kinds_of(raw: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    """Name and kind of a table's columns, in their order; of a table that is not there, none.

    >>> with duckdb.connect() as raw:
    ...     _ = raw.execute("CREATE TABLE owners (owner_id VARCHAR, capacity BIGINT)")
    ...     kinds_of(raw, "owners"), kinds_of(raw, "leads")
    ({'owner_id': 'VARCHAR', 'capacity': 'BIGINT'}, {})
    """
    query = "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ? AND NOT internal ORDER BY column_index"
    return dict(raw.execute(query, [table]).fetchall())


@contextmanager
def whole(raw: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All of what happens inside, or none of it."""
    raw.execute("BEGIN TRANSACTION")
    try:
        yield
    except BaseException:
        raw.execute("ROLLBACK")
        raise
    raw.execute("COMMIT")
