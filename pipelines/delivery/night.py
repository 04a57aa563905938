"""A night as sales sees it: the ranked leads, what to believe, and what to mind."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.outcome import WORDS, Words
from pipelines.delivery.goals import Goals
from pipelines.deliveryrules import LEAD_ID
from pipelines.settings import DEFAULT

_LATER = {
    "left_out": "",
    "by_hand": "",
    "selection_probability": None,
    "fit": None,
    "engagement": None,
    "grade": "",
    "qualified": None,
    "next_step": "",
    "team": "",
    "territory": "",
    "source": "",
    "new": False,
}
SHOWN = 50_000


@dataclass(frozen=True)
class Night:
    """Everything a page, a sheet or a workbook shows.

    Parameters
    ----------
    day : the local day the night is named after.
    leads : in the order of rank: lead_id, name, company, owner_id, owner, probability, score, tier, rank, owner_rank, listed, explored,
        expected_value, change, reasons (list of dictionaries), history (list of [day, probability]); where they are known, left_out, by_hand,
        selection_probability, grade, fit, engagement, qualified, next_step, team, territory, source, new (listed, and not the night before), diary
        (list of [local day, who: "lead", "us" or "", what, how often], the newest first).
    outcome, words : its name, and how it is said.
    belief : sentences on how far to believe the scores.
    notices : sentences on what was refused, left out or spread.
    as_of, chosen : the instant and the outcome's name in leadscore.toml under which the ledger keeps the night; a workbook tells them when it is
        read back.
    goals : what is to be reached.
    crm_link : address of a lead's record in the CRM, with {lead_id}; "": none is known.
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
    as_of: datetime | None = None
    chosen: str = DEFAULT
    crm_link: str = ""
    goals: Goals = field(default_factory=Goals)

    @property
    def complete(self) -> pd.DataFrame:
        """The leads, with blanks for what nights of an earlier version do not say."""
        absent: dict[str, Any] = {name: value for name, value in _LATER.items() if name not in self.leads}
        if "diary" not in self.leads:
            absent["diary"] = [[]] * len(self.leads)
        return self.leads.assign(**absent)

    @cached_property
    def told(self) -> dict[bool, set[str]]:
        """What not every night says, and this one does: of any lead listed for today (True), and of any other (False)."""
        leads, listed = self.complete, self.leads["listed"].to_numpy(dtype=bool)
        return {of: {name for name in _LATER if leads.loc[listed == of, name].dropna().astype(bool).any()} for of in (True, False)}

    @property
    def chance(self) -> str:
        """What it is the probability of, with a name of the company's own: two product lines may both be lost."""
        named = "{name}" in self.words.chance or self.outcome in WORDS
        return self.words.chance.format(name=self.outcome) + ("" if named else f" ({self.outcome})")

    @property
    def means(self) -> str:
        """What a probability means, in two sentences."""
        means, who, days = self.words.means.format(name=self.outcome), self.words.who, self.horizon_days
        return f"20 % means: of 100 {who}s like it, about 20 {means} within {days} days. It speaks of many such {who}s, not of one."

    @property
    def graded(self) -> str:
        """What a grade is, in one sentence."""
        who = self.words.who
        return f"A grade is fit (A to C: who it is) and engagement (1 to 3: what it did), each from 0 to 100, where 50 is an average {who}."

    @property
    def owners(self) -> dict[str, str]:
        """Whose leads they are, id to name, whoever has the best lead first; the id of nobody is empty."""
        owned = self.leads.assign(owner_id=self.leads["owner_id"].fillna("")).drop_duplicates("owner_id")
        return {str(one): str(name) for one, name in zip(owned["owner_id"], owned["owner"].fillna(""), strict=True)}

    def leads_of(self, owner: str) -> pd.DataFrame:
        """One owner's leads in the order of rank; "": nobody's."""
        return self.complete[self.leads["owner_id"].fillna("").astype(str) == owner]

    def record(self, lead_id: str) -> str:
        """Where a lead's record stands in the CRM; "" where that is not known.

        An id is data: whatever signs it has, it stays one part of the address.
        """
        return self.crm_link.replace(LEAD_ID, quote(lead_id, safe="", errors="replace"))


def shown(leads: pd.DataFrame) -> NDArray[np.bool_]:
    """Whom a page holds: everybody who is called, and the best of the rest, until it is as large as a browser opens at once."""
    return np.asarray(leads["listed"].to_numpy(dtype=bool) | (np.arange(len(leads)) < SHOWN))


def said(reasons: list[dict[str, object]], sign: int) -> str:
    """The reasons that speak for a lead (1), or against it (-1), in one line.

    >>> said([{"words": "opened 3 e-mails", "contribution": 0.7}, {"words": "came in long ago", "contribution": -0.2}], -1)
    'came in long ago'
    """
    return "; ".join(str(reason["words"]) for reason in reasons if float(str(reason["contribution"])) * sign > 0)
