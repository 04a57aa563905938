"""Which leads were open, and so worth scoring, at as_of."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from features.crm import Crm
from features.history import closing_known, value_at
from features.plan import Plan


def open_leads(crm: Crm, nights: ir.Table, plan: Plan) -> ir.Table:
    """Every lead that sales could have worked on each night: known, young enough, and neither won, lost nor taken off.

    Training and scoring ask this one function, so that a model meets at night the kind of leads it learned from.

    Parameters
    ----------
    nights : one column as_of.
    plan : `max_age_days` of its timeline, `closed_statuses`, and which fields are tracked. A `status` without history cannot say since when
        it stands, so it takes no lead off a past night.

    Returns
    -------
    lead_id, as_of, created_at, account_id, owner_id (as it stood).
    """
    leads = crm.leads
    eldest = nights.as_of - ibis.interval(days=plan.timeline.max_age_days)
    there = nights.join(leads, [leads.known_at < nights.as_of, leads.created_at < nights.as_of, leads.created_at >= eldest]).select(
        "lead_id", "as_of", "created_at", "account_id"
    )
    working = _still_on(crm, _not_closed(crm, there), plan)
    owner = value_at(crm, working, "owner_id", "owner_id" in plan.tracked).rename(owner_id="value")
    return working.left_join(owner, ["lead_id", "as_of"]).select("lead_id", "as_of", "created_at", "account_id", "owner_id")


def _not_closed(crm: Crm, there: ir.Table) -> ir.Table:
    """Without the leads that have a known win, or whose every deal is known to be lost."""
    deals = crm.deals.select("lead_id", "created_at", "outcome", closing=closing_known(crm.deals)).rename(deal_lead="lead_id", opened="created_at")
    keys = there.select("lead_id", "as_of")
    theirs = keys.join(deals, [keys.lead_id == deals.deal_lead, deals.opened < keys.as_of])
    closed = ibis.and_(theirs.outcome != "open", theirs.closing < theirs.as_of)
    states = theirs.group_by("lead_id", "as_of").agg(
        standing=theirs.count(where=ibis.or_(theirs.outcome == "open", theirs.closing >= theirs.as_of)),
        won=theirs.count(where=ibis.and_(closed, theirs.outcome == "won")),
    )
    over = states.filter(ibis.or_(states.won > 0, states.standing == 0))
    return _without(there, over)


def _still_on(crm: Crm, there: ir.Table, plan: Plan) -> ir.Table:
    """Without the leads whose status, as it stood, takes them off."""
    if "status" not in plan.tracked or not plan.closed_statuses:
        return there
    status = value_at(crm, there, "status")
    off = status.filter(status.value.lower().isin([closed.lower() for closed in plan.closed_statuses]))
    return _without(there, off)


def _without(there: ir.Table, those: ir.Table) -> ir.Table:
    """An anti join in words that every engine knows."""
    marks = those.select("as_of", off="lead_id")
    joined = there.left_join(marks, [there.lead_id == marks.off, there.as_of == marks.as_of])
    return joined.filter(joined.off.isnull()).select(*there.columns)
