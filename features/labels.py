"""Did it convert within the horizon, and may we know yet?

What counts is said in `features.outcome`. An open lead is never a lost lead: until its night is ripe it has no label at all.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd

from features.crm import Crm
from features.outcome import Outcome, amounts, events, firsts
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
    The spine with `ripe` (is horizon and settle lag over?), `happened_at` (when what counts next happened, however late; null: not yet),
    `over` (it happens once, such as a first purchase, and had in truth happened before, and we did not know), and `converted`: true when what
    counts falls on or after as_of and before the end of the horizon, false when it does not (the other way round for an absence), null when the
    night is unripe, or over; and `amount` (what the purchase that it converted with brought; null where it did not, or nobody knows).
    """
    wanted = outcome or Outcome()
    happened = (events if wanted.of_customers else firsts)(crm, wanted).select("happened_at", doer="lead_id")
    keys = spine.select("lead_id", "as_of")
    theirs = keys.join(happened, keys.lead_id == happened.doer)
    counted = theirs.group_by("lead_id", "as_of").agg(
        happened_at=theirs.happened_at.min(where=theirs.happened_at >= theirs.as_of), before=theirs.count(where=theirs.happened_at < theirs.as_of)
    )
    joined = spine.left_join(counted, ["lead_id", "as_of"]).drop("lead_id_right", "as_of_right")
    ripe = joined.as_of <= ibis.literal(extracted_at - timeline.gap, "timestamp(6)")
    over = ibis.and_(ibis.literal(not wanted.of_customers), joined.before.fill_null(0) > 0)
    came = ibis.and_(joined.happened_at.notnull(), joined.happened_at < joined.as_of + ibis.interval(days=timeline.horizon_days))
    converted = ibis.cases((ibis.or_(~ripe, over), ibis.null("boolean")), else_=~came if wanted.is_absence else came)
    told = joined.mutate(ripe=ripe, over=over, converted=converted).drop("before")
    return _with_amounts(crm, told, wanted)


def _with_amounts(crm: Crm, told: ir.Table, wanted: Outcome) -> ir.Table:
    if not wanted.is_purchase:
        return told.mutate(amount=ibis.null("float64"))
    bought = amounts(crm, wanted).select("amount", buyer="lead_id", bought_at="happened_at")
    joined = told.left_join(bought, [told.lead_id == bought.buyer, told.happened_at == bought.bought_at])
    amount = ibis.cases((joined.converted, joined.amount), else_=ibis.null("float64"))
    return joined.mutate(amount=amount).drop("buyer", "bought_at")


def as_known(examples: pd.DataFrame, until: datetime, timeline: Timeline) -> pd.DataFrame:
    """The examples as an extract of `until` would have shown them: answers that had not ripened are gone, later wins too, later nights altogether.

    Parameters
    ----------
    examples : lead_id, as_of, happened_at, converted (null where unripe), amount (if amounts are asked for), and anything else.

    Returns
    -------
    The same columns, and what following each lead from its night had shown so far: whether what counts had `happened`, and after how many
    `followed_days` it did or the lead was last seen. What is entered up to the settle lag late is not missed, so that nobody is followed into the
    last days of an extract.

    >>> night = datetime(2025, 1, 1)
    >>> rows = pd.DataFrame({"as_of": [night] * 2, "happened_at": [datetime(2025, 1, 5), datetime(2025, 3, 1)], "converted": [True, True]})
    >>> as_known(rows, datetime(2025, 2, 7), Timeline())[["converted", "happened", "followed_days"]].to_numpy(dtype=object).tolist()
    [[<NA>, True, 4.0], [<NA>, False, 30.0]]
    """
    seen = pd.Timestamp(until - timedelta(days=timeline.settle_days))
    there = examples[(examples["as_of"] < seen).to_numpy()]
    happened_at = pd.to_datetime(there["happened_at"])
    happened = (happened_at < seen).to_numpy()
    left = happened_at.where(happened, seen)
    ripe = (there["as_of"] <= pd.Timestamp(until - timeline.gap)).to_numpy()
    return there.assign(
        converted=there["converted"].astype("boolean").where(ripe),
        **({"amount": there["amount"].where(ripe)} if "amount" in there else {}),
        happened=happened,
        followed_days=(left - there["as_of"]).dt.total_seconds().to_numpy() / 86_400,
    )


def ripe(examples: pd.DataFrame) -> pd.DataFrame:
    """The examples that have an answer; the others are no evidence of anything yet."""
    return examples[examples["converted"].notna().to_numpy()]


def customers(examples: pd.DataFrame) -> int:
    """How many leads are known to have converted, whatever number of nights tells of each.

    >>> customers(pd.DataFrame({"lead_id": ["A", "A", "B", "C"], "converted": pd.array([True, True, False, None], dtype="boolean")}))
    1
    """
    return int(examples.loc[examples["converted"].fillna(False).astype(bool).to_numpy(), "lead_id"].nunique())
