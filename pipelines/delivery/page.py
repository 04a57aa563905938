"""The page of a night: one file that opens without a network, for a rep who has five seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from pipelines.delivery.night import Night

_TEMPLATE = Path(__file__).with_name("page.html.j2")
_LISTED_LIMIT = 50_000


def page(night: Night) -> bytes:
    """A self-contained HTML page: the list per rep, sortable and searchable, each lead with its reasons and its past scores.

    The same night gives the same bytes. Everything that came from the company is data, never markup: it enters as JSON whose "<", ">" and "&"
    are escaped, and is shown as text.
    """
    leads = night.leads.head(_LISTED_LIMIT)
    listed = leads[leads["listed"]]
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    text = environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        company=night.company,
        day=f"{night.day:%A, %d %B %Y}",
        horizon=night.horizon_days,
        outcome=night.outcome,
        open_leads=len(night.leads),
        listed=len(listed),
        expected=float(listed["probability"].sum()),
        rate=float(night.leads["probability"].mean()),
        belief=night.belief,
        notices=night.notices,
        owners=sorted({str(owner) for owner in leads["owner"]}),
        data=_data(leads, night.currency),
    )
    return text.encode("utf-8")


def _data(leads: pd.DataFrame, currency: str) -> Any:
    """The leads as JSON that cannot end its script element."""
    rows = [
        [
            lead.rank,
            lead.owner_rank,
            lead.tier,
            lead.lead_id,
            lead.name,
            lead.company,
            lead.owner,
            round(lead.probability, 4),
            None if pd.isna(lead.expected_value) else round(lead.expected_value),
            None if pd.isna(lead.change) else round(lead.change, 4),
            int(lead.listed),
            int(lead.explored),
            [[reason["words"], reason["contribution"]] for reason in lead.reasons],
            [[day, round(p, 4)] for day, p in lead.history],
        ]
        for lead in leads.itertuples(index=False)
    ]
    text = json.dumps({"currency": currency, "leads": rows}, ensure_ascii=False, separators=(",", ":"), default=_plain)
    for sign, code in (("&", "\\u0026"), ("<", "\\u003c"), (">", "\\u003e"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029")):
        text = text.replace(sign, code)
    return Markup(text)


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)
