"""The company's own fields: what kind each is, how its past is known, and which of them say who somebody is."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import duckdb

from features.contract import SCHEMAS
from features.personal import CONTACT, identifying, protected
from pipelines.catalog import kinds_of
from pipelines.crm.mapping import quoted
from pipelines.settings import Settings, TableName
from pipelines.warehouse import Warehouse

_MANY = 50


def remember_attributes(settings: Settings, warehouse: Warehouse, tables: Collection[TableName]) -> list[str]:
    """Decide the kind of each attribute and how its past is known, and keep both; what says who somebody is, is none.

    Returns
    -------
    What a person should know of them: which are never learned from, and of which only today's value is known.
    """
    history = set()
    if warehouse.has("lead_changes"):
        history = {field for (field,) in warehouse.raw.execute("SELECT DISTINCT field FROM lead_changes").fetchall()}
    found: list[tuple[str, str, str, str]] = []
    personal: list[str] = []
    for origin in ("leads", "accounts", "deals"):
        if origin not in tables:
            continue
        fixed = settings.source.tables[origin].fixed_at_creation
        for column, kind in kinds_of(warehouse.raw, origin).items():
            if column not in SCHEMAS[origin]:
                known = "history" if origin == "leads" and column in history else "creation" if column in fixed else "today"
                kind = _kind(warehouse, origin, column, kind, known)
                if _says_who(warehouse, origin, column, kind):
                    personal.append(f"{origin}.{column}")
                else:
                    found.append((origin, column, kind, known))
    warehouse.raw.execute("DELETE FROM attributes")
    for row in found:
        warehouse.raw.execute("INSERT INTO attributes VALUES (?, ?, ?, ?)", list(row))
    today = [f"{origin}.{name}" for origin, name, _, known in found if known == "today"]
    guarded = [f"{origin}.{name}" for origin, name, _, _ in found if protected(name) and name not in settings.training.allow]
    return [
        *([f"{', '.join(personal)}: names, addresses and numbers of people are never learned from."] if personal else []),
        *([f"{', '.join(guarded)}: protected, and not learned from unless [training] allow names it."] if guarded else []),
        *([f"Only today's value is known of {', '.join(today)}: each must pass the leakage screen before it is used."] if today else []),
    ]


def _says_who(warehouse: Warehouse, origin: str, column: str, kind: str) -> bool:
    """Whether an attribute is a name, an address or a number of people: by its own name, or because half of its values can be written or called."""
    return kind != "flag" and (identifying(column) or reached(warehouse.raw, origin, quoted(column)))


def reached(raw: duckdb.DuckDBPyConnection, table: str, column: str) -> bool:
    """Whether half of a column's values are addresses or telephone numbers."""
    among = f"SELECT count(*) FILTER (regexp_full_match(CAST({column} AS VARCHAR), ?)) * 2 >= count({column}) AND count({column}) > 0 FROM {table}"
    return bool(raw.execute(among, [CONTACT]).fetchall()[0][0])


def _kind(warehouse: Warehouse, origin: str, column: str, data_type: str, known: str) -> str:
    if data_type == "DOUBLE" and known != "history":
        return "number"
    name = quoted(column)
    values: list[Any] = warehouse.raw.execute(
        f"SELECT DISTINCT lower(CAST({name} AS VARCHAR)) FROM {origin} WHERE {name} IS NOT NULL LIMIT {_MANY + 1}"
    ).fetchall()
    if values and {value for (value,) in values} <= {"true", "false"}:
        return "flag"
    return "category" if len(values) <= _MANY else "text"
