"""Did it convert within the horizon, and may we know yet?

The one definition of conversion: the lead's first won deal, dated `closed_at`. An open lead is never a lost lead: until its night is ripe
it has no label at all.
"""

from __future__ import annotations

from datetime import datetime

import ibis
import ibis.expr.types as ir

from features.crm import Crm
from features.timeline import Timeline


def first_wins(crm: Crm) -> ir.Table:
    """When each customer was first won: lead_id, won_at."""
    won = crm.deals.filter(crm.deals.outcome == "won")
    return won.group_by("lead_id").agg(won_at=won.closed_at.min())


def label(crm: Crm, spine: ir.Table, timeline: Timeline, extracted_at: datetime) -> ir.Table:
    """What became of each lead-night, where that may be known.

    Parameters
    ----------
    spine : lead_id, as_of, and anything else.
    extracted_at : until when the tables are complete.

    Returns
    -------
    The spine with `ripe` (is horizon and settle lag over?) and `converted`: true when the first win falls on or after as_of and before the
    end of the horizon, false when it does not, null when the night is unripe or the lead was in truth won before and we did not know.
    """
    wins = first_wins(crm).rename(winner="lead_id")
    joined = spine.left_join(wins, spine.lead_id == wins.winner).drop("winner")
    edge = ibis.literal(extracted_at - timeline.gap, "timestamp(6)")
    ripe = joined.as_of <= edge
    earlier = ibis.and_(joined.won_at.notnull(), joined.won_at < joined.as_of)
    within = ibis.and_(joined.won_at.notnull(), joined.won_at < joined.as_of + ibis.interval(days=timeline.horizon_days))
    converted = ibis.cases((~ripe, ibis.null("boolean")), (earlier, ibis.null("boolean")), else_=within)
    return joined.mutate(ripe=ripe, converted=converted).drop("won_at")
