"""What the lists of a workbook show of each lead, column by column."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipelines.delivery.night import Night, said


@dataclass(frozen=True)
class Column:
    """A column of a list: its head, its width in signs, the format of its cells, and what a lead has in it.

    Parameters
    ----------
    needs : what the night has to say of some lead on such a list, or the column would be empty; "": it is there whatever the night says.
    """

    head: str
    width: int
    form: str
    of: Callable[[Any], object]
    needs: str = ""


def columns_of(night: Night, today: bool) -> list[Column]:
    """The columns of a list: the same in every rep's workbook, without those in which no lead of any rep's has anything.

    Parameters
    ----------
    today : whether it is of the leads listed for today, or of all others.
    """
    record = [Column("CRM", 7, "link", lambda lead: night.record(str(lead.lead_id)))] if night.crm_link else []
    every = [
        Column("Rank", 6, "whole", lambda lead: lead.rank),
        Column("Tier", 6, "mark", lambda lead: lead.tier),
        Column("Name", 18, "wrapped", lambda lead: lead.name),
        Column("Company", 20, "wrapped", lambda lead: lead.company),
        Column("Source", 14, "wrapped", lambda lead: lead.source, "source"),
        Column("Territory", 12, "wrapped", lambda lead: lead.territory, "territory"),
        Column("Probability", 12, "percent", lambda lead: _rounded(lead.probability, 4)),
        Column("Change", 9, "points", lambda lead: _rounded(lead.change, 4, 100)),
        # Seven digits and the currency: of a number that does not fit Excel shows only ####.
        Column("Expected value", 10 + min(len(night.currency), 20), "money", lambda lead: _rounded(lead.expected_value, 2)),
        Column("Grade", 7, "mark", lambda lead: lead.grade, "grade"),
        Column("Fit", 6, "score", lambda lead: lead.fit, "grade"),
        Column("Engagement", 12, "score", lambda lead: lead.engagement, "grade"),
        Column("Qualified", 10, "mark", lambda lead: None if pd.isna(lead.qualified) or not lead.qualified else "yes", "qualified"),
        Column("Reasons for", 38, "wrapped", _for),
        Column("Reasons against", 28, "wrapped", lambda lead: said(lead.reasons, -1)),
        Column("What would change it", 28, "wrapped", lambda lead: lead.next_step, "next_step"),
        Column("By hand", 22, "wrapped", lambda lead: lead.by_hand, "by_hand"),
        Column("Left out", 22, "wrapped", lambda lead: lead.left_out, "left_out"),
        *record,
        Column("Lead ID", 12, "wrapped", lambda lead: lead.lead_id),
        Column("Feedback", 20, "entry", lambda lead: None),
        Column("Note", 28, "entry", lambda lead: None),
    ]
    return [column for column in every if not column.needs or column.needs in night.told[today]]


def _rounded(value: Any, digits: int, times: int = 1) -> float | None:
    return None if pd.isna(value) else round(times * round(float(value), digits), digits)


def _for(lead: Any) -> str:
    drawn = "drawn at random whatever its score, to measure what scoring brings"
    return "; ".join(part for part in (drawn if lead.explored else "", said(lead.reasons, 1)) if part)
