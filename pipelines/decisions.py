"""What people decide about a lead by hand: shown as theirs, kept apart from the score, and never learned from."""

from __future__ import annotations

from datetime import date, datetime

import pandas as pd

from features.problem import Problem
from pipelines.report import Report
from pipelines.settings import DEFAULT, Settings
from pipelines.warehouse import Warehouse


def decide(settings: Settings, lead: str, place: int | None, until: date, because: str, by: str, now: datetime) -> Report:
    """Keep a decision for the lists from the next night on, until the day that it names.

    To the business: a rep who knows better has the last word, and everybody sees whose word it was, why, and for how long. It is no label: whom
    somebody puts first is called first, and would teach a model only that.

    Parameters
    ----------
    place : where on its owner's list the lead is to stand; 0: nowhere; None: where its score puts it.
    until : the last day on which the decision holds.
    because, by : why, and whose word it is.
    now : when it is given; it is of no night before.

    Raises
    ------
    Problem : there is no such lead, no reason, or the day is over.
    """
    if place is not None and not because.strip():
        raise Problem("A decision needs a reason, which everybody sees beside it: add --because.")
    if until < now.date():
        raise Problem(f"The decision would hold until {until}, which is over: name a later day with --until.")
    with Warehouse.of(settings) as warehouse, warehouse.transaction("decisions"):
        if not warehouse.knows(lead):
            raise Problem(f"There is no lead {lead} in the last extract: check the id, or run `leadscore extract` first.")
        remember(warehouse, lead, place, until, because.strip(), by.strip(), now, settings.chosen)
    what = "its score decides" if place is None else "off the lists" if place == 0 else f"place {place} of its owner's list"
    facts = {"lead": lead, "decision": what, **({} if place is None else {"until": str(until)})}
    return Report("decision", facts, (), ("It shows from the next night that is scored.",))


def remember(
    warehouse: Warehouse, lead_id: str, place: int | None, until: date, because: str, given_by: str, given_at: datetime, outcome: str = DEFAULT
) -> None:
    """Remember what a person decided about a lead; of several decisions the last holds.

    Parameters
    ----------
    place : where on its owner's list it is to stand; 0: nowhere; None: wherever its score puts it.
    until : the last day on which the decision holds.
    """
    warehouse.raw.execute("INSERT INTO decisions VALUES (?, ?, ?, ?, ?, ?, ?)", [outcome, lead_id, place, until, because, given_by, given_at])


def held(warehouse: Warehouse, as_of: datetime, day: date, outcome: str = DEFAULT) -> pd.DataFrame:
    """What people had decided by a night and still holds on its day: lead_id, place, until, because, given_by.

    Of two decisions the one that was kept last holds: one that was given while the clock was ahead does not outlive those that follow it.
    """
    return warehouse.raw.execute(
        "SELECT * EXCLUDE (outcome, given_at) FROM (SELECT * FROM decisions WHERE outcome = ? AND given_at < ?"
        " QUALIFY row_number() OVER (PARTITION BY lead_id ORDER BY rowid DESC) = 1)"
        " WHERE place IS NOT NULL AND until >= ? ORDER BY lead_id",
        [outcome, as_of, day],
    ).df()
