"""Did it convert within the horizon, and may we know yet?

The one definition of conversion: the lead's first won deal, dated `closed_at`. An open lead is never a lost lead: until its night is ripe
it has no label at all.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd

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
    The spine with `ripe` (is horizon and settle lag over?), `won_at` (the first win, however late; null: none so far), and `converted`: true when
    the first win falls on or after as_of and before the end of the horizon, false when it does not, null when the night is unripe or the lead
    was in truth won before and we did not know.
    """
    wins = first_wins(crm).rename(winner="lead_id")
    joined = spine.left_join(wins, spine.lead_id == wins.winner).drop("winner")
    edge = ibis.literal(extracted_at - timeline.gap, "timestamp(6)")
    ripe = joined.as_of <= edge
    earlier = ibis.and_(joined.won_at.notnull(), joined.won_at < joined.as_of)
    within = ibis.and_(joined.won_at.notnull(), joined.won_at < joined.as_of + ibis.interval(days=timeline.horizon_days))
    converted = ibis.cases((~ripe, ibis.null("boolean")), (earlier, ibis.null("boolean")), else_=within)
    return joined.mutate(ripe=ripe, converted=converted)


def as_known(examples: pd.DataFrame, until: datetime, timeline: Timeline) -> pd.DataFrame:
    """The examples as an extract of `until` would have shown them: labels that had not ripened are gone, later wins too, later nights altogether.

    Parameters
    ----------
    examples : lead_id, as_of, won_at, converted (null where unripe), and anything else.

    Returns
    -------
    The same columns, and what following each lead from its night had shown so far: `won`, and after how many `followed_days` it was won or else
    was last seen. Wins entered up to the settle lag late are not missed, so that nobody is followed into the last days of an extract.

    >>> night = datetime(2025, 1, 1)
    >>> rows = pd.DataFrame({"as_of": [night] * 2, "won_at": [datetime(2025, 1, 5), datetime(2025, 3, 1)], "converted": [True, True]})
    >>> as_known(rows, datetime(2025, 2, 7), Timeline())[["converted", "won", "followed_days"]].to_numpy(dtype=object).tolist()
    [[<NA>, True, 4.0], [<NA>, False, 30.0]]
    """
    seen = pd.Timestamp(until - timedelta(days=timeline.settle_days))
    there = examples[(examples["as_of"] < seen).to_numpy()]
    won_at = pd.to_datetime(there["won_at"])
    won = (won_at < seen).to_numpy()
    left = won_at.where(won, seen)
    ripe = (there["as_of"] <= pd.Timestamp(until - timeline.gap)).to_numpy()
    return there.assign(
        converted=there["converted"].astype("boolean").where(ripe),
        won=won,
        followed_days=(left - there["as_of"]).dt.total_seconds().to_numpy() / 86_400,
    )


def ripe(examples: pd.DataFrame) -> pd.DataFrame:
    """The examples that have an answer; the others are no evidence of anything yet."""
    return examples[examples["converted"].notna().to_numpy()]
