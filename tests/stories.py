"""Small companies told as stories, and random ones, on any engine."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import Phase, settings

from features.contract import SCHEMAS
from features.crm import Crm

# Hypothesis draws only the seed of a random company, and a seed does not shrink to anything simpler: trying takes minutes.
RANDOM_COMPANIES = settings(max_examples=12, deadline=None, phases=(Phase.explicit, Phase.generate))
DAY_ONE = datetime(2025, 1, 1, 2)
Rows = list[dict[str, Any]]
EXTRA = {
    "leads": {"source": "string", "job_title": "string", "stage": "string", "employees": "float64"},
    "accounts": {"industry": "string"},
    "deals": {"product": "string"},
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


def company_of(tables: dict[str, Rows], connection: Any = None, folder: Path | None = None) -> Crm:
    """A whole company, on DuckDB unless told otherwise; tables the story does not mention are empty.

    With a folder, the tables come as Parquet files: Spark would read a missing text in a frame as "NaN".
    """
    connection = connection or ibis.duckdb.connect()
    built = {}
    for name, canonical in SCHEMAS.items():
        kinds = {**dict(canonical.items()), **{k: ibis.dtype(v) for k, v in EXTRA.get(name, {}).items()}}
        schema = ibis.schema(kinds)
        rows = pa.Table.from_pandas(frame(name, tables.get(name, [])), schema=schema.to_pyarrow(), preserve_index=False)
        if folder:
            pq.write_table(rows, folder / f"{name}.parquet")
            built[name] = connection.read_parquet(str(folder / f"{name}.parquet"))
            continue
        built[name] = connection.create_table(name, rows, schema=schema, overwrite=True)
    return Crm(**built)


def nights(*numbers: float) -> ibis.expr.types.Table:
    """Nights of the story as the one-column table that features want."""
    return ibis.memtable({"as_of": [day(n) for n in numbers]}, schema={"as_of": "timestamp(6)"})


def random_company(seed: int, leads: int = 8) -> dict[str, Rows]:
    """A small company without rhyme or reason: late rows, changed owners, won, lost and reopened deals, shared accounts."""
    rng = random.Random(seed)

    def some(low: float, high: float) -> datetime:
        return day(low) + timedelta(seconds=rng.randint(0, int((high - low) * 86_400)))

    def late(at: datetime) -> datetime:
        return at + timedelta(days=rng.choice([0, 0, 0, 1, 9]), seconds=rng.randint(0, 3_600))

    tables: dict[str, Rows] = {name: [] for name in SCHEMAS}
    for number in range(leads):
        lead, came = f"L{number}", some(0, 60)
        tables["leads"].append(
            {
                "lead_id": lead,
                "created_at": came,
                "known_at": late(came),
                "account_id": rng.choice([None, "A1", "A2"]),
                "owner_id": rng.choice([None, "ann", "bob"]),
                "source": rng.choice([None, "web", "ads"]),
                "stage": rng.choice(["none", "open"]),
                "status": rng.choice(["working", "disqualified"]),
            }
        )
        for _ in range(rng.randint(0, 9)):
            at = came + timedelta(seconds=rng.randint(0, 100 * 86_400))
            kind, direction = rng.choice([("open", "in"), ("call", "in"), ("call", "out")])
            tables["activities"].append({"lead_id": lead, "kind": kind, "direction": direction, "occurred_at": at, "known_at": late(at)})
        for field, values in (("owner_id", ["ann", "bob", None]), ("stage", ["none", "open"]), ("status", ["working", "disqualified", None])):
            for _ in range(rng.choice([0, 0, 1, 3])):
                at = came + timedelta(seconds=rng.randint(0, 100 * 86_400))
                change = {"lead_id": lead, "field": field, "old_value": rng.choice(values), "new_value": rng.choice(values) or "new"}
                tables["lead_changes"].append({**change, "changed_at": at, "known_at": late(at)})
        for _ in range(rng.choice([0, 1, 1, 2])):
            opened = came + timedelta(seconds=rng.randint(0, 40 * 86_400))
            outcome = rng.choice(["open", "won", "lost"])
            closed = None if outcome == "open" else opened + timedelta(seconds=rng.randint(0, 60 * 86_400))
            deal = {"lead_id": lead, "created_at": opened, "outcome": outcome, "closed_at": closed, "amount": rng.choice([None, 10.0, 250.0])}
            tables["deals"].append({**deal, "account_id": rng.choice([None, None, "A1"]), "known_at": late(closed or opened)})
    tables["accounts"] = [{"account_id": "A1", "industry": "retail"}, {"account_id": "A2", "industry": None}]
    return tables


def random_customers(seed: int, leads: int = 8) -> dict[str, Rows]:
    """The same, in which some buy again and again, of two product lines, and some leads are merged into others, now and then in a chain."""
    tables, rng = random_company(seed, leads), random.Random(f"{seed} buys again")
    for deal in tables["deals"]:
        deal["product"] = rng.choice(["crane", "crane", "lift", None])
    for deal in [d for d in tables["deals"] if d["outcome"] == "won"]:
        closed = deal["closed_at"]
        for _ in range(rng.choice([0, 1, 3])):
            opened, closed = closed, closed + timedelta(seconds=rng.randint(0, 40 * 86_400))
            again = {
                "created_at": opened,
                "closed_at": closed,
                "known_at": closed + timedelta(days=rng.choice([0, 0, 7])),
                "amount": rng.choice([None, 7.5]),
            }
            tables["deals"].append({**deal, **again, "product": rng.choice(["crane", "lift"])})
    for lead in rng.sample(tables["leads"], 3):
        lead["merged_into"] = rng.choice(tables["leads"])["lead_id"]
        lead["merged_at"] = rng.choice([None, lead["created_at"] + timedelta(days=rng.randint(1, 90))])
    return tables
