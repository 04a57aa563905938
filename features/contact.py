"""Whom sales must not call, whatever they are worth: who asked not to be contacted, and who is a customer already."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from features.crm import Crm
from features.outcome import Outcome, purchases
from features.plan import Plan


def contact(crm: Crm, spine: ir.Table, plan: Plan) -> ir.Table:
    """What stands against calling a lead on a night.

    Who has taken back consent since is not called on a past night that is scored again either: a wish counts from when we know of it, also backwards.
    Never a feature: that somebody unsubscribed may be known only from how the story ended.

    Parameters
    ----------
    spine : lead_id, as_of.
    plan : its outcome says whether customers are whom it is about.

    Returns
    -------
    lead_id, as_of, unsubscribed, do_not_contact, customer (has bought anything, as known by then), all true or false.
    """
    keys = spine.select("lead_id", "as_of")
    wishes = crm.leads.select("unsubscribed", "do_not_contact", wishing="lead_id")
    joined = keys.left_join(wishes, keys.lead_id == wishes.wishing)
    # Whatever the outcome counts, who has bought anything is a customer.
    bought = purchases(crm, Outcome()).select(buyer="lead_id", known="known_at")
    won = keys.join(bought, [keys.lead_id == bought.buyer, bought.known < keys.as_of])
    customers = won.group_by("lead_id", "as_of").agg(deals=won.count())
    known = joined.left_join(customers, ["lead_id", "as_of"])
    customer = ibis.literal(False) if plan.outcome.of_customers else known.deals.fill_null(0) > 0
    return known.select(
        "lead_id",
        "as_of",
        unsubscribed=known.unsubscribed.fill_null(False),
        do_not_contact=known.do_not_contact.fill_null(False),
        customer=customer,
    )
