"""Small companies told as stories, on an in-memory engine."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import ibis
import pandas as pd
import pytest

from features.contract import SCHEMAS
from features.crm import Crm

DAY_ONE = datetime(2025, 1, 1, 2)
Rows = list[dict[str, Any]]
EXTRA = {
    "leads": {"source": "string", "job_title": "string", "stage": "string", "employees": "float64"},
    "accounts": {"industry": "string"},
}


def day(number: float) -> datetime:
    """The n-th day of the story, at the hour of the nightly run."""
    return DAY_ONE + timedelta(days=number)


def frame(name: str, rows: Rows) -> pd.DataFrame:
    """Rows as a typed table; what a row does not say is missing, `known_at` is when it happened unless it says otherwise."""
    schema = {**dict(SCHEMAS[name].items()), **{k: ibis.dtype(v) for k, v in EXTRA.get(name, {}).items()}}
    clock = {"leads": "created_at", "lead_changes": "changed_at", "activities": "occurred_at"}.get(name)
    filled = []
    for number, row in enumerate(rows):
        full = {**dict.fromkeys(schema), **row}
        if name == "activities":
            full["activity_id"] = full["activity_id"] or f"A{number}"
            full["direction"] = full["direction"] or "in"
        if name == "deals":
            full["deal_id"] = full["deal_id"] or f"D{number}"
            full["outcome"] = full["outcome"] or "open"
            full["known_at"] = full["known_at"] or full["closed_at"] or full["created_at"]
        if clock:
            full["known_at"] = full["known_at"] or full[clock]
        filled.append(full)
    table = pd.DataFrame(filled, columns=list(schema))
    for column, kind in schema.items():
        if kind.is_timestamp():
            table[column] = pd.to_datetime(table[column])
        elif kind.is_floating():
            table[column] = table[column].astype("float64")
    return table


def company_of(tables: dict[str, Rows]) -> Crm:
    """A whole company on DuckDB; tables the story does not mention are empty."""
    connection = ibis.duckdb.connect()
    built = {}
    for name, schema in SCHEMAS.items():
        kinds = {**dict(schema.items()), **{k: ibis.dtype(v) for k, v in EXTRA.get(name, {}).items()}}
        built[name] = connection.create_table(name, frame(name, tables.get(name, [])), schema=ibis.schema(kinds))
    return Crm(**built)


def nights(*numbers: float) -> ibis.expr.types.Table:
    """Nights of the story as the one-column table that features want."""
    return ibis.memtable({"as_of": [day(n) for n in numbers]}, schema={"as_of": "timestamp(6)"})


@pytest.fixture
def company() -> Callable[..., Crm]:
    """Builds a company: company(leads=[...], activities=[...])."""
    return lambda **tables: company_of(tables)
