"""Did it convert within the horizon, and may we know yet?

What counts is said in `features.outcome`. An open lead is never a lost lead: until its night is ripe it has no label at all.
"""

from __future__ import annotations

from datetime import datetime

import ibis
import ibis.expr.types as ir

from features.crm import Crm
from features.outcome import Outcome, events, firsts
from features.timeline import Timeline


def label(crm: Crm, spine: ir.Table, timeline: Timeline, extracted_at: datetime, outcome: Outcome | None = None) -> ir.Table:
    """What became of each lead-night, where that may be known.

    Parameters
    ----------
    spine : lead_id, as_of, and anything else.
    extracted_at : until when the tables are complete.
    outcome : what counts; default: the first purchase.

    Returns
    -------
    The spine with `ripe` (is horizon and settle lag over?) and `converted`: true when what counts falls on or after as_of and before the end of
    the horizon, false when it does not (the other way round for an absence), null when the night is unripe. Of what happens once, such as a first
    purchase, it is null too when it had in truth happened before and we did not know.
    """
    wanted = outcome or Outcome()
    happened = (events if wanted.of_customers else firsts)(crm, wanted).select("happened_at", doer="lead_id")
    keys = spine.select("lead_id", "as_of")
    theirs = keys.join(happened, [keys.lead_id == happened.doer, happened.happened_at < keys.as_of + ibis.interval(days=timeline.horizon_days)])
    counted = theirs.group_by("lead_id", "as_of").agg(
        within=theirs.count(where=theirs.happened_at >= theirs.as_of), before=theirs.count(where=theirs.happened_at < theirs.as_of)
    )
    joined = spine.left_join(counted, ["lead_id", "as_of"]).drop("lead_id_right", "as_of_right")
    ripe = joined.as_of <= ibis.literal(extracted_at - timeline.gap, "timestamp(6)")
    came = joined.within.fill_null(0) > 0
    known_late = ibis.and_(ibis.literal(not wanted.of_customers), joined.before.fill_null(0) > 0)
    converted = ibis.cases(
        (~ripe, ibis.null("boolean")), (known_late, ibis.null("boolean")), else_=joined.within.fill_null(0) == 0 if wanted.is_absence else came
    )
    return joined.mutate(ripe=ripe, converted=converted).drop("within", "before")
