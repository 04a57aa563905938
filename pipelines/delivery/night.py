"""A night as sales sees it: the ranked leads, what to believe, and what to mind."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pandas as pd

from features.outcome import WORDS, Words


@dataclass(frozen=True)
class Night:
    """Everything a page or a sheet shows.

    Parameters
    ----------
    day : the local day the night is named after.
    leads : in the order of rank: lead_id, name, company, owner_id, owner, probability, score, tier, rank, owner_rank, listed, explored,
        expected_value, change, reasons (list of dictionaries), history (list of [day, probability]).
    outcome, words : its name, and how it is said.
    belief : sentences on how far to believe the scores.
    notices : sentences on what was refused, left out or spread.
    """

    company: str
    currency: str
    day: date
    horizon_days: int
    outcome: str
    leads: pd.DataFrame
    belief: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    model: dict[str, Any] = field(default_factory=dict)
    words: Words = WORDS["first purchase"]
