"""Which leads, or which customers, were worth scoring at as_of."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from features.crm import Crm
from features.history import closing_known, value_at
from features.outcome import events, matching, purchases
from features.plan import Plan


def population(crm: Crm, nights: ir.Table, plan: Plan) -> ir.Table:
    """Everybody whose outcome a model of this plan may be asked for: open leads, or customers.

    Training and scoring ask this one function, so that a model meets at night the kind of leads it learned from.

    Parameters
    ----------
    nights : one column as_of.

    Returns
    -------
    lead_id, as_of, created_at, account_id, owner_id (as it stood).
    """
    return (customers if plan.outcome.of_customers else open_leads)(crm, nights, plan)


def open_leads(crm: Crm, nights: ir.Table, plan: Plan) -> ir.Table:
    """Every lead that sales could have worked on each night: known, of the right age, and neither won, lost nor taken off.

    Of an outcome that is a meeting, those are off too who have met. Only the deals that the outcome counts can win or lose a lead.

    Parameters
    ----------
    nights : one column as_of.
    plan : `min_age_days` and `max_age_days` of its timeline, `closed_statuses`, and which fields are tracked. A `status` without history cannot
        say since when it stands, so it takes no lead off a past night.

    Returns
    -------
    lead_id, as_of, created_at, account_id, owner_id (as it stood).
    """
    leads = crm.leads
    youngest, eldest = (nights.as_of - ibis.interval(days=days) for days in (plan.timeline.min_age_days, plan.timeline.max_age_days))
    there = nights.join(leads, [*_known(leads, nights), leads.created_at < youngest, leads.created_at >= eldest])
    there = _not_closed(crm, there.select("lead_id", "as_of", "created_at", "account_id"), plan)
    if plan.outcome.kind == "meeting":
        there = _without(there, _come_to(crm, there, plan))
    return _with_owner(crm, _still_on(crm, there, plan), plan)


def customers(crm: Crm, nights: ir.Table, plan: Plan) -> ir.Table:
    """Every customer on each night: a known lead whose last purchase that we knew of is of the right age, and who is not taken off.

    Parameters, Returns : as of `open_leads`; ages are those of the last purchase.
    """
    eldest = nights.as_of - ibis.interval(days=plan.timeline.max_age_days)
    bought = purchases(crm, plan.outcome).select("happened_at", "known_at", buyer="lead_id")
    last = nights.join(bought, [bought.known_at < nights.as_of, bought.happened_at >= eldest])
    last = last.group_by("buyer", "as_of").agg(bought_at=last.happened_at.max())
    last = last.filter(last.bought_at < last.as_of - ibis.interval(days=plan.timeline.min_age_days))
    there = last.join(crm.leads, [last.buyer == crm.leads.lead_id, *_known(crm.leads, last)])
    return _with_owner(crm, _still_on(crm, there.select("lead_id", "as_of", "created_at", "account_id"), plan), plan)


def _known(leads: ir.Table, nights: ir.Table) -> list[ir.BooleanValue]:
    """There, known, and not merged into another that we knew of."""
    return [leads.known_at < nights.as_of, leads.created_at < nights.as_of, ibis.or_(leads.merged_at.isnull(), leads.merged_at >= nights.as_of)]


def _with_owner(crm: Crm, working: ir.Table, plan: Plan) -> ir.Table:
    owner = value_at(crm, working, "owner_id", "owner_id" in plan.tracked).rename(owner_id="value")
    return working.left_join(owner, ["lead_id", "as_of"]).select("lead_id", "as_of", "created_at", "account_id", "owner_id")


def _come_to(crm: Crm, there: ir.Table, plan: Plan) -> ir.Table:
    """The lead-nights on which the outcome is known to have come already."""
    happened = events(crm, plan.outcome).select(known="known_at", doer="lead_id")
    keys = there.select("lead_id", "as_of")
    return keys.join(happened, [keys.lead_id == happened.doer, happened.known < keys.as_of]).select("lead_id", "as_of").distinct()


def _not_closed(crm: Crm, there: ir.Table, plan: Plan) -> ir.Table:
    """Without the leads that have a known win, or whose every deal is known to be lost."""
    counting = matching(crm.deals, plan.outcome.deals)
    deals = counting.select("outcome", deal_lead="lead_id", opened="created_at", closing=closing_known(counting))
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
    closed = (*plan.closed_statuses, *plan.outcome.statuses)
    if "status" not in plan.tracked or not closed:
        return there
    status = value_at(crm, there, "status")
    off = status.filter(status.value.lower().isin([value.lower() for value in closed]))
    return _without(there, off)


def _without(there: ir.Table, those: ir.Table) -> ir.Table:
    """An anti join in words that every engine knows."""
    marks = those.select("as_of", off="lead_id")
    joined = there.left_join(marks, [there.lead_id == marks.off, there.as_of == marks.as_of])
    return joined.filter(joined.off.isnull()).select(*there.columns)
