"""What a customer has bought, when, for how much, and in which rhythm. Nothing of it is asked where open leads are scored."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from features import outcome
from features.crm import Crm
from features.feature import Feature
from features.history import days_between
from features.plan import Plan


def features(plan: Plan) -> tuple[Feature, ...]:
    """The columns of `table`, in order.

    >>> features(Plan())
    ()
    """
    if not plan.outcome.of_customers:
        return ()
    return (
        Feature("purchases", "number", "past purchases", "bought {value} so far", "times"),
        Feature("bought_amount", "number", "past purchases", "has bought for {value} in all", "money"),
        Feature("days_since_purchase", "number", "last purchase", "last bought {value} ago", "days"),
        Feature("last_amount", "number", "last purchase", "last bought for {value}", "money"),
        Feature("days_since_first_purchase", "number", "time as a customer", "a customer for {value}", "days"),
        Feature("days_between_purchases", "number", "rhythm of purchases", "buys every {value} on average", "days"),
        Feature("rhythm_passed", "number", "rhythm of purchases", "{value} of its usual time between purchases has passed", "share"),
    )


def table(crm: Crm, spine: ir.Table, plan: Plan) -> ir.Table:
    """Purchases of every lead-night as they were known: lead_id, as_of, and the columns of `features`. A closed deal's amount no longer changes."""
    keys = spine.select("lead_id", "as_of")
    if not features(plan):
        return keys
    bought = outcome.purchases(crm, plan.outcome).select("deal_id", "amount", "happened_at", "known_at", buyer="lead_id")
    theirs = keys.join(bought, [keys.lead_id == bought.buyer, bought.known_at < keys.as_of])
    newest = ibis.window(group_by=["lead_id", "as_of"], order_by=[ibis.desc("happened_at"), "deal_id"])
    theirs = theirs.mutate(nth=ibis.row_number().over(newest))
    counted = theirs.group_by("lead_id", "as_of").agg(
        purchases=theirs.count(),
        # Rounded, because engines add up in any order and a night scored again must be the same to the byte.
        bought_amount=theirs.amount.sum().round(4),
        last_amount=theirs.amount.max(where=theirs.nth == 0),
        last=theirs.happened_at.max(),
        first=theirs.happened_at.min(),
    )
    joined = keys.left_join(counted, ["lead_id", "as_of"]).drop("lead_id_right", "as_of_right")
    since, rest = days_between(joined.as_of, joined["last"]), (joined.purchases - 1).cast("float64").nullif(0.0)
    rhythm = days_between(joined["last"], joined["first"]) / rest
    return joined.select(
        "lead_id",
        "as_of",
        purchases=joined.purchases.fill_null(0),
        bought_amount=joined.bought_amount,
        days_since_purchase=since,
        last_amount=joined.last_amount,
        days_since_first_purchase=days_between(joined.as_of, joined["first"]),
        days_between_purchases=rhythm,
        rhythm_passed=since / rhythm.nullif(0.0),
    )
