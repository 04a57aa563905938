"""What deals a lead has had, and how its present one moves."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from features.crm import Crm
from features.feature import Feature
from features.history import closing_known, days_between
from features.plan import Plan


def features(plan: Plan) -> tuple[Feature, ...]:
    """The columns of `table`, in order."""
    return (
        Feature("open_deals", "number", "open deal", "open deals: {value}"),
        Feature("open_deal_days", "number", "open deal", "its newest deal was opened {value} ago", "days"),
        Feature("lost_deals", "number", "earlier deals", "deals lost before: {value}"),
        Feature("days_since_stage_change", "number", "deal stage", "the stage last moved {value} ago", "days"),
    )


def table(crm: Crm, spine: ir.Table, plan: Plan) -> ir.Table:
    """Deals of every lead-night: lead_id, as_of, and the columns of `features`. Amounts of open deals change, so they are no feature."""
    keys = spine.select("lead_id", "as_of")
    deals = crm.deals.select("outcome", buyer="lead_id", opened=crm.deals.created_at, closing=closing_known(crm.deals))
    theirs = keys.join(deals, [keys.lead_id == deals.buyer, deals.opened < keys.as_of])
    closed = ibis.and_(theirs.outcome != "open", theirs.closing < theirs.as_of)
    standing = ibis.or_(theirs.outcome == "open", theirs.closing >= theirs.as_of)
    counted = theirs.group_by("lead_id", "as_of").agg(
        open_deals=theirs.count(where=standing),
        newest=theirs.opened.max(where=standing),
        lost_deals=theirs.count(where=ibis.and_(closed, theirs.outcome == "lost")),
    )
    moved = _stage_moves(crm, keys)
    joined = keys.left_join(counted, ["lead_id", "as_of"]).drop("lead_id_right", "as_of_right").left_join(moved, ["lead_id", "as_of"])
    return joined.select(
        "lead_id",
        "as_of",
        open_deals=joined.open_deals.fill_null(0),
        open_deal_days=days_between(joined.as_of, joined.newest),
        lost_deals=joined.lost_deals.fill_null(0),
        days_since_stage_change=days_between(joined.as_of, joined.moved_at),
    )


def _stage_moves(crm: Crm, keys: ir.Table) -> ir.Table:
    moves = crm.lead_changes.filter(crm.lead_changes.field == "stage").select("changed_at", "known_at", mover="lead_id")
    known = keys.join(moves, [keys.lead_id == moves.mover, moves.known_at < keys.as_of, moves.changed_at < keys.as_of])
    return known.group_by("lead_id", "as_of").agg(moved_at=known.changed_at.max())
