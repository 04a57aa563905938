"""The CSV of a night: opens in any spreadsheet, and no cell of it can run as a formula."""

from __future__ import annotations

import re

import pandas as pd

from pipelines.delivery.night import Night, said

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
    "model",
    "selection_probability",
    "left_out",
    "by_hand",
    "grade",
    "fit",
    "engagement",
    "qualified",
    "next_step",
    "team",
    "territory",
    "source",
    "new",
)
# A cell begins where the text does; and where Excel splits lines at another sign than the comma, as most of Europe's does, after that sign too.
_BLANK = '[" \u00a0\ufeff]*'
_FORMULA = re.compile(rf"\A(?={_BLANK}[\t\r\n])|(?:\A|(?<=[;,\t\r\n]))(?={_BLANK}[=+\-@＝＋－＠])")


def inert(text: object) -> object:
    """A text that a spreadsheet shows and never runs, whichever sign it splits lines at. Source: OWASP, CSV injection.

    >>> inert("=HYPERLINK(1)"), inert("x;=HYPERLINK(1)"), inert("Acme; Bonn"), inert(-3.5)
    ("'=HYPERLINK(1)", "x;'=HYPERLINK(1)", 'Acme; Bonn', -3.5)
    """
    return _FORMULA.sub("'", text) if isinstance(text, str) else text


def sheet(night: Night) -> bytes:
    """The whole night in the order of rank, UTF-8 with a byte order mark so that Excel reads names right; the same night, the same bytes."""
    leads = night.complete
    flat = leads.assign(
        **{
            "for": [said(reasons, 1) for reasons in leads["reasons"]],
            "against": [said(reasons, -1) for reasons in leads["reasons"]],
            "model": leads["model_name"],
            "probability": leads["probability"].round(4),
            "change": leads["change"].round(4),
            "expected_value": leads["expected_value"].round(2),
        }
    )
    safe: pd.DataFrame = flat[list(_COLUMNS)].map(inert)
    return b"\xef\xbb\xbf" + safe.to_csv(index=False, lineterminator="\r\n").encode("utf-8")
