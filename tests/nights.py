"""Nights of a made-up company, and what a tab shows of them."""

from __future__ import annotations

from datetime import date
from typing import Any

import pandas as pd
from playwright.sync_api import Page

from pipelines.delivery.night import Night

Row = dict[str, Any]


def lead(n: int) -> Row:
    """The lead of rank n: numbers scattered by multiples of primes, so that no two columns have the same order."""
    return {
        "rank": n,
        "owner_rank": n,
        "tier": "ABCDE"[min((n - 1) // 12, 4)],
        "lead_id": f"L{n:02}",
        "name": f"lead {n * 7 % 61:02}",
        "company": f"firm {n % 5}",
        "owner": ["ann", "bob", "cleo"][n % 3],
        "probability": (61 - n) / 100,
        "expected_value": None if n % 10 == 0 else float(n * 17 % 61 * 100),
        "change": None if n % 7 == 0 else (n * 13 % 61 - 30) / 100,
        "listed": n <= 12,
        "explored": n == 12,
        "reasons": [{"words": f"opened {n} e-mails", "contribution": 0.5}, {"words": "came in long ago", "contribution": -0.25}],
        "history": [["2025-05-30", 0.25], ["2025-05-31", 0.05], ["2025-06-01", (61 - n) / 100]],
    }


LEADS = [lead(n) for n in range(1, 61)]


def night(leads: list[Row] = LEADS, leads_frame: pd.DataFrame | None = None, **rest: Any) -> Night:
    frame = pd.DataFrame(leads).astype({"expected_value": float, "change": float}) if leads_frame is None else leads_frame
    return Night(
        **{"company": "Northwind", "currency": "EUR", "day": date(2025, 6, 1), "horizon_days": 90, "outcome": "sale", "leads": frame, **rest}
    )


def shown(tab: Page, column: int = 1) -> list[str]:
    """The texts of a column, top to bottom."""
    return tab.eval_on_selector_all("tr.lead", f"rows => rows.map(row => row.cells[{column}].innerText.trim().split('\\n')[0])")


def names(leads: list[Row]) -> list[str]:
    return [lead["name"] + (" random pick" if lead["explored"] else "") for lead in leads]


def all_open(tab: Page) -> Page:
    tab.select_option("#tier", label="All open leads")
    return tab


def facts(tab: Page) -> list[str]:
    return [" ".join(fact.split()) for fact in tab.locator(".facts li").all_inner_texts()]
