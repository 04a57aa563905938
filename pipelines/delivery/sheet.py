"""The CSV of a night: opens in any spreadsheet, and no cell of it can run as a formula."""

from __future__ import annotations

import pandas as pd

from pipelines.delivery.night import Night

_COLUMNS = (
    "rank",
    "owner",
    "owner_rank",
    "tier",
    "lead_id",
    "name",
    "company",
    "probability",
    "score",
    "expected_value",
    "change",
    "listed",
    "explored",
    "for",
    "against",
)
_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def inert(text: object) -> object:
    """A text that a spreadsheet shows and never runs. Source: OWASP, CSV injection.

    >>> inert("=HYPERLINK(1)"), inert("Acme"), inert(3.5)
    ("'=HYPERLINK(1)", 'Acme', 3.5)
    """
    return f"'{text}" if isinstance(text, str) and text.lstrip(" \u00a0\ufeff").startswith(_STARTS) else text


def sheet(night: Night) -> bytes:
    """The whole night in the order of rank, UTF-8 with a byte order mark so that Excel reads names right; the same night, the same bytes."""
    leads = night.leads
    flat = leads.assign(
        **{
            "for": [_said(reasons, 1) for reasons in leads["reasons"]],
            "against": [_said(reasons, -1) for reasons in leads["reasons"]],
            "probability": leads["probability"].round(4),
            "change": leads["change"].round(4),
            "expected_value": leads["expected_value"].round(2),
        }
    )
    safe: pd.DataFrame = flat[list(_COLUMNS)].map(inert)
    return b"\xef\xbb\xbf" + safe.to_csv(index=False, lineterminator="\r\n").encode("utf-8")


def _said(reasons: list[dict[str, object]], sign: int) -> str:
    return "; ".join(str(reason["words"]) for reason in reasons if float(str(reason["contribution"])) * sign > 0)
