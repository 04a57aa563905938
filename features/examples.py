"""The training table, and a night to be scored: (lead, as_of) x features, from one function.

A training set is a stack of past nights. `snapshot` builds the features of any set of nights; training calls it with a grid of ripe ones
and joins the labels, scoring calls it with tonight. Train/serve skew has no place to arise.
"""

from __future__ import annotations

from datetime import datetime

import ibis
import ibis.expr.types as ir

from features import account, deals, engagement, outreach, profile, purchases
from features.crm import Crm
from features.feature import Feature
from features.history import tracked_fields
from features.labels import label
from features.outcome import Outcome
from features.plan import NIGHTS_PER_LEAD, Attribute, Deed, Plan
from features.population import population
from features.timeline import Timeline

_SMALL = 150_000
_PARTS = (profile, engagement, deals, purchases, account, outreach)
_RATED = ("source", "campaign", "origin", "channel", "lead_source", "lead_origin", "utm_source", "utm_campaign")


def plan_from(
    crm: Crm,
    timeline: Timeline,
    attributes: tuple[Attribute, ...] = (),
    closed_statuses: tuple[str, ...] = Plan.closed_statuses,
    known_before: datetime | None = None,
    most: int = 12,
    outcome: Outcome | None = None,
) -> Plan:
    """Decide which features a model is made of, by looking at what the company records.

    Parameters
    ----------
    attributes : the company's own fields; those with history in `lead_changes` are marked so already.
    known_before : look only at activities known before this instant.
    most : at most so many kinds of activity get windows of their own; the rest count in the totals. 12 covers a busy CRM.
    outcome : what is predicted; default: the first purchase.
    """
    activities = (
        crm.activities if known_before is None else crm.activities.filter(crm.activities.known_at < ibis.literal(known_before, "timestamp(6)"))
    )
    counted = activities.group_by("kind", "direction").agg(times=activities.count())
    frequent = counted.execute().sort_values(["times", "kind", "direction"], ascending=[False, True, True], na_position="last")
    deeds = tuple(
        Deed(kind, direction or "")
        for kind, direction in frequent[["kind", "direction"]].astype(object).where(frequent.notna(), None).to_numpy()[:most]
    )
    steady = {a.name for a in attributes if a.origin == "leads" and a.kind == "category" and a.known == "creation"}
    rated = ("owner_id", *(name for name in _RATED if name in steady))
    return Plan(timeline, deeds, attributes, tracked_fields(crm), rated, closed_statuses=closed_statuses, outcome=outcome or Outcome())


def features_of(plan: Plan) -> tuple[Feature, ...]:
    """Every feature of a plan, in the order of the columns.

    >>> len({feature.name for feature in features_of(Plan())}) == len(features_of(Plan()))
    True
    """
    return tuple(feature for part in _PARTS for feature in part.features(plan))


def snapshot(crm: Crm, nights: ir.Table, plan: Plan) -> ir.Table:
    """What was known on each night of everybody worth scoring.

    Parameters
    ----------
    nights : one column as_of.

    Returns
    -------
    lead_id, as_of, owner_id, account_id, then the features in order.
    """
    return described(crm, population(crm, nights, plan), plan)


def described(crm: Crm, spine: ir.Table, plan: Plan) -> ir.Table:
    """The features of given lead-nights, whoever chose them: see `snapshot`."""
    keys = spine.select("lead_id", "as_of", "created_at", "account_id", "owner_id").cache()
    known = keys
    for part in _PARTS:
        known = known.left_join(part.table(crm, keys, plan), ["lead_id", "as_of"]).drop("lead_id_right", "as_of_right")
    columns = {f.name: known[f.name].cast("float64" if f.kind in ("number", "flag") else "string") for f in features_of(plan)}
    counts = {name: value.fill_null(0.0) for name, value in columns.items() if _is_count(name, plan)}
    steady = {"velocity": columns["velocity"].fill_null(1.0)}
    return known.select("lead_id", "as_of", "owner_id", "account_id", **{**columns, **counts, **steady})


def _is_count(name: str, plan: Plan) -> bool:
    """A lead that never did anything did it zero times, at a steady pace; only recency stays unknown."""
    unknown = {"days_since_in", "days_since_first_in", "velocity", *(f"{deed.column}_recency" for deed in plan.deeds)}
    return name in {f.name for f in engagement.features(plan)} - unknown


def labelled(crm: Crm, nights: ir.Table, plan: Plan, extracted_at: datetime) -> ir.Table:
    """Every lead-night of some nights with `ripe`, `converted` and `amount`: see `features.labels.label`."""
    return label(crm, population(crm, nights, plan), plan.timeline, extracted_at, plan.outcome)


def training(
    crm: Crm, nights: ir.Table, plan: Plan, extracted_at: datetime, limit: int = 2_000_000, nights_per_lead: int = NIGHTS_PER_LEAD
) -> ir.Table:
    """The examples of past nights: those of ripe ones with an answer, those of unripe ones with what is known so far.

    Every k-th night of each lead is kept and weighs k, so that sums stay what they were, where there would be more than one of these:

    Parameters
    ----------
    limit : ripe examples in all. Two million: what a laptop learns from in minutes.
    nights_per_lead : ripe examples a lead, on average. 8: successive nights of a lead say nearly the same, so that more cost time and teach little.
        A table of less than 150,000 examples is learned from whole.

    Returns
    -------
    lead_id, as_of, converted (null where the night is unripe), happened_at (null: not yet), amount (of the purchase that it converted with; null
    where there is none, or nobody knows), weight, then the features in order; one row per lead and night, in that order.
    """
    examples = labelled(crm, nights, plan, extracted_at)
    examples = examples.filter(~examples.over)
    answered = examples.filter(examples.ripe)
    size = answered.agg(rows=answered.count(), leads=answered.lead_id.nunique()).execute().iloc[0]
    every = -(-int(size["rows"]) // min(limit, max(nights_per_lead * int(size["leads"]), _SMALL)))
    if every > 1:
        order = ibis.window(order_by=["lead_id", "as_of"])
        examples = examples.mutate(nth=ibis.row_number().over(order))
        examples = examples.filter(examples.nth % every == 0).drop("nth")
    features = described(crm, examples, plan).drop("owner_id", "account_id")
    answers = examples.select("lead_id", "as_of", "converted", "happened_at", "amount", weight=ibis.literal(float(max(every, 1))))
    joined = answers.join(features, ["lead_id", "as_of"])
    return joined.order_by("lead_id", "as_of")


def counts(crm: Crm, nights: ir.Table, plan: Plan, extracted_at: datetime) -> dict[str, int]:
    """How many lead-nights are ripe, unripe, and won before we knew, so that every report can say so."""
    all_nights = labelled(crm, nights, plan, extracted_at)
    row = all_nights.agg(
        examples=all_nights.converted.count(),
        conversions=all_nights.count(where=all_nights.converted),
        unripe=all_nights.count(where=~all_nights.ripe),
        known_late=all_nights.count(where=ibis.and_(all_nights.ripe, all_nights.converted.isnull())),
    )
    return {name: int(value) for name, value in row.execute().iloc[0].items()}
