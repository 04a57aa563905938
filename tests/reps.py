"""A night of a company with reps, as their workbooks and letters tell it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pandas as pd

from pipelines.delivery.night import Night
from pipelines.warehouse import Warehouse

NIGHT = datetime(2025, 3, 4, 2)
LEAD: dict[str, Any] = {
    "lead_id": "L1",
    "name": "Zoë Zorn",
    "company": "Acme, Inc.",
    "owner_id": "o1",
    "owner": "Ann",
    "probability": 0.123456,
    "score": 12,
    "tier": "A",
    "rank": 1,
    "owner_rank": 1,
    "listed": True,
    "explored": False,
    "expected_value": 1234.567,
    "change": -0.01234,
    "model_name": "boosted trees",
    "reasons": [
        {"field": "opens", "words": "opened 3 e-mails", "contribution": 0.7},
        {"field": "age", "words": "came in 90 days ago", "contribution": -0.2},
        {"field": "source", "words": "source: web", "contribution": 0.1},
    ],
    "history": [],
}
BOB = {"owner_id": "o2", "owner": "Bob"}
# Ann calls two and keeps one, Bob calls one, and one is nobody's.
TEAM = (
    {},
    {"lead_id": "L2", "rank": 2, "owner_rank": 2},
    {"lead_id": "L3", "rank": 3, **BOB},
    {"lead_id": "L4", "rank": 4, "tier": "B", "listed": False, "owner_rank": 3},
    {"lead_id": "L5", "rank": 5, "tier": "B", "listed": False, "owner_id": "", "owner": ""},
)


def night(*leads: dict[str, Any], **rest: Any) -> Night:
    """A night of such leads, each said by what it has of its own."""
    told = {
        "company": "Northwind",
        "currency": "EUR",
        "day": date(2025, 3, 4),
        "horizon_days": 90,
        "outcome": "first purchase",
        "leads": pd.DataFrame([{**LEAD, **lead} for lead in leads]),
        "as_of": NIGHT,
    }
    return Night(**{**told, **rest})


def publish(warehouse: Warehouse, scored: Night) -> None:
    """Keep the scores of such a night in the ledger."""
    assert scored.as_of is not None
    more = {"as_of": scored.as_of, "scored_at": scored.as_of, "model_version": "1", "run_id": "r", "features_digest": "d"}
    warehouse.publish_night(scored.as_of, scored.leads.drop(columns=["name", "company", "owner", "history"]).assign(**more), outcome=scored.chosen)
