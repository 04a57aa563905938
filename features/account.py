"""What the lead's company did: its other leads, their activity, its deals with us."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from features.crm import Crm
from features.feature import Feature
from features.history import closing_known, days_between
from features.plan import Plan

_SPANS = (30, 90)


def features(plan: Plan) -> tuple[Feature, ...]:
    """The columns of `table`, in order."""
    activity = tuple(
        Feature(
            f"siblings_in_{days}d",
            "number",
            "colleagues' activity",
            f"colleagues were active {{value}} in the last {days} days",
            "times",
        )
        for days in _SPANS
    )
    return (
        Feature("siblings", "number", "colleagues", "colleagues who are leads too: {value}"),
        *activity,
        Feature("account_won_deals", "number", "account's past deals", "the account has bought {value}", "times"),
        Feature("account_won_amount", "number", "account's past deals", "the account has bought for {value}", "money"),
        Feature("account_open_deals", "number", "account's open deals", "other open deals at the account: {value}"),
    )


def table(crm: Crm, spine: ir.Table, plan: Plan) -> ir.Table:
    """The account of every lead-night: lead_id, as_of, and the columns of `features`. A lead without an account has no colleagues."""
    housed = spine.filter(spine.account_id.notnull()).select("lead_id", "as_of", "account_id")
    parts = (_siblings(crm, housed), _activity(crm, housed), _deals(crm, housed))
    joined = spine.select("lead_id", "as_of")
    for part in parts:
        joined = joined.left_join(part, ["lead_id", "as_of"]).drop("lead_id_right", "as_of_right")
    return joined.select("lead_id", "as_of", **{f.name: joined[f.name].fill_null(0) for f in features(plan)})


def _siblings(crm: Crm, housed: ir.Table) -> ir.Table:
    others = crm.leads.select("merged_at", sibling="lead_id", home="account_id", lead_known=_lead_known(crm))
    known = housed.join(
        others,
        [
            housed.account_id == others.home,
            housed.lead_id != others.sibling,
            others.lead_known < housed.as_of,
            _still_itself(others, housed),
        ],
    )
    return known.group_by("lead_id", "as_of").agg(siblings=known.count())


def _activity(crm: Crm, housed: ir.Table) -> ir.Table:
    """All of the account's activity less the lead's own, so that each activity is read once per account and not once per colleague."""
    leads = crm.leads.select("merged_at", actor="lead_id", home="account_id", lead_known=_lead_known(crm))
    inward = crm.activities.filter(crm.activities.direction == "in").select("lead_id", "occurred_at", deed_known="known_at")
    joined = inward.join(leads, inward.lead_id == leads.actor)
    deeds = joined.select("actor", "home", "occurred_at", "merged_at", known_at=ibis.greatest(joined.deed_known, joined.lead_known))
    homes = housed.select("account_id", "as_of").distinct()
    total = _counted(homes, deeds, homes.account_id == deeds.home, ("account_id", "as_of"))
    own = _counted(housed, deeds, housed.lead_id == deeds.actor, ("lead_id", "as_of"))
    both = housed.left_join(total, ["account_id", "as_of"]).drop("account_id_right", "as_of_right")
    both = both.left_join(own.rename(**{f"own_{days}": f"recent_{days}" for days in _SPANS}), ["lead_id", "as_of"])
    sums = {f"siblings_in_{d}d": both[f"recent_{d}"].fill_null(0) - both[f"own_{d}"].fill_null(0) for d in _SPANS}
    return both.select("lead_id", "as_of", **sums)


def _lead_known(crm: Crm) -> ir.TimestampValue:
    """Since when we know whose colleague a lead is: what it did before, the account did not do yet."""
    return ibis.greatest(crm.leads.known_at, crm.leads.created_at)


def _still_itself(others: ir.Table, nights: ir.Table) -> ir.BooleanValue:
    """Not yet merged into another, of whom its deeds and deals are known from then on."""
    return ibis.or_(others.merged_at.isnull(), others.merged_at >= nights.as_of)


def _counted(keys: ir.Table, deeds: ir.Table, same: ir.BooleanValue, by: tuple[str, str]) -> ir.Table:
    recent = keys.join(
        deeds,
        [
            same,
            _still_itself(deeds, keys),
            deeds.known_at < keys.as_of,
            deeds.occurred_at < keys.as_of,
            deeds.occurred_at >= keys.as_of - ibis.interval(days=max(_SPANS)),
        ],
    )
    age = days_between(recent.as_of, recent.occurred_at)
    return recent.group_by(*by).agg(**{f"recent_{days}": recent.count(where=age <= days) for days in _SPANS})


def _deals(crm: Crm, housed: ir.Table) -> ir.Table:
    """Deals of the account's other leads, as they were known. A deal that names no account is its lead's account's, once that lead is known."""
    homes = crm.leads.select("merged_at", buyer="lead_id", lead_home="account_id", lead_known=_lead_known(crm))
    deals = crm.deals.select("lead_id", "account_id", "outcome", "amount", opened=crm.deals.created_at, closing=closing_known(crm.deals))
    placed = deals.left_join(homes, deals.lead_id == homes.buyer)
    opened = placed.account_id.isnull().ifelse(ibis.greatest(placed.opened, placed.lead_known), placed.opened)
    home = ibis.coalesce(placed.account_id, placed.lead_home)
    placed = placed.select("outcome", "amount", "closing", "merged_at", dealer="lead_id", home=home, visible=opened)
    theirs = [housed.account_id == placed.home, housed.lead_id != placed.dealer, placed.visible < housed.as_of, _still_itself(placed, housed)]
    known = housed.join(placed, theirs)
    closed = ibis.and_(known.outcome != "open", known.closing < known.as_of)
    won = ibis.and_(closed, known.outcome == "won")
    return known.group_by("lead_id", "as_of").agg(
        account_won_deals=known.count(where=won),
        # Rounded, because engines add up in any order and a night scored again must be the same to the byte.
        account_won_amount=known.amount.sum(where=won).round(4),
        account_open_deals=known.count(where=ibis.or_(known.outcome == "open", known.closing >= known.as_of)),
    )
