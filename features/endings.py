"""How the story of each lead has ended by now: won, lost, or not yet."""

from __future__ import annotations

from typing import Literal

import ibis
import ibis.expr.types as ir

from features.crm import Crm
from features.history import closing_known

Ending = Literal["won", "lost"]
ENDINGS: tuple[Ending, ...] = ("won", "lost")


def endings(crm: Crm, closed_statuses: tuple[str, ...] = ()) -> ir.Table:
    """Every lead whose story is over, however long after any horizon: what a field of which only today's value exists may have seen.

    Parameters
    ----------
    closed_statuses : values of today's `status` that end a story without a deal.

    Returns
    -------
    lead_id, ending ("won": some deal was; "lost": every deal was, or the status says so), ended_at (when the first win, or the last loss, could
    be known; null where only the status tells).
    """
    deals = crm.deals.select("lead_id", "outcome", closing=closing_known(crm.deals))
    stories = deals.group_by("lead_id").agg(
        wins=deals.count(where=deals.outcome == "won"),
        standing=deals.count(where=deals.outcome == "open"),
        won_at=deals.closing.min(where=deals.outcome == "won"),
        lost_at=deals.closing.max(where=deals.outcome == "lost"),
    )
    told = crm.leads.select("lead_id", "status").left_join(stories.rename(dealer="lead_id"), [("lead_id", "dealer")])
    off = told.status.lower().isin([closed.lower() for closed in closed_statuses]) if closed_statuses else ibis.literal(False)
    lost = ibis.and_(told.wins.fill_null(0) == 0, told.standing.fill_null(0) == 0, ibis.or_(told.lost_at.notnull(), off.fill_null(False)))
    ending = ibis.cases((told.wins > 0, "won"), (lost, "lost"), else_=ibis.null("string"))
    told = told.mutate(ending=ending, ended_at=ibis.coalesce(told.won_at, told.lost_at))
    return told.filter(told.ending.notnull()).select("lead_id", "ending", "ended_at")
