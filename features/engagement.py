"""What a lead did: counts over windows, counts that fade, recency, distinct active days, velocity, first and last touch.

A window of w days as of a night holds the activities with occurred_at in [as_of - w days, as_of) that were known by then. In a fading count of
half-life h an activity of age a counts 2^(-a/h), so that yesterday's is worth more than last week's without a border between them. Direction "in" is
what came from the lead, "out" is what sales or marketing sent it.
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from features.crm import Crm
from features.feature import Feature
from features.history import days_between
from features.plan import Deed, Plan

_EVER = "ever"
# Parts of whole numbers add up the same in any order, so that a night scored again is the same to the byte.
_PARTS = 2.0**40


def features(plan: Plan) -> tuple[Feature, ...]:
    """The columns of `table`, in order.

    >>> [f.name for f in features(Plan(windows=(7,)))][:3]
    ['in_in_7d', 'in_ever', 'in_fading_5d']
    """
    spans = [(f"in_{w}d", f"in the last {w} days" if w > 1 else "in the last day") for w in plan.windows] + [(_EVER, "so far")]
    fading = [(_fading(days), f"lately, each counting half after {days} days") for days in plan.half_lives]
    columns = [Feature(f"in_{span}", "number", "activity", f"was active {{value}} {words}", "times") for span, words in spans]
    columns += [Feature(f"in_{span}", "number", "activity", f"was active {{value}} {words}", "times", plain=False) for span, words in fading]
    columns += [
        Feature(f"active_days_in_{days}d", "number", "active days", f"was active on {{value}} of the last {days} days")
        for days in plan.windows
        if days > 1
    ]
    columns += [
        Feature(f"active_days_{_EVER}", "number", "active days", "days with activity so far: {value}"),
        Feature("days_since_in", "number", "last activity", "last active {value} ago", "days"),
        Feature("days_since_first_in", "number", "first activity", "first active {value} ago", "days"),
        Feature("velocity", "number", "pace", "active {value} times as often this week as over the month"),
    ]
    for deed in plan.deeds:
        said = f"{deed.words}: {{value}}"
        columns += [Feature(f"{deed.column}_{span}", "number", deed.words, f"{said} {words}", "times") for span, words in spans]
        columns += [Feature(f"{deed.column}_{span}", "number", deed.words, f"{said} {words}", "times", plain=False) for span, words in fading]
        columns.append(Feature(f"{deed.column}_recency", "number", deed.words, f"last {deed.words} {{value}} ago", "days"))
    return tuple(columns)


def table(crm: Crm, spine: ir.Table, plan: Plan) -> ir.Table:
    """Engagement of every lead-night that has any: lead_id, as_of, and the columns of `features`.

    One join and one aggregation, whatever the number of windows, so that the engine reads the activities once.
    """
    seen = _faded(known_activities(crm, spine), plan)
    inward = seen.direction == "in"
    wanted = {feature.name for feature in features(plan)}
    counts: dict[str, ir.Value] = {}
    for span, inside in _windows(seen, plan):
        counts[f"in_{span}"] = seen.count(where=inward & inside)
        if f"active_days_{span}" in wanted:
            counts[f"active_days_{span}"] = seen.day.nunique(where=inward & inside)
        for deed in plan.deeds:
            counts[f"{deed.column}_{span}"] = seen.count(where=_is(seen, deed) & inside)
    for span in map(_fading, plan.half_lives):
        counts[f"in_{span}"] = seen[span].sum(where=inward) / _PARTS
        counts |= {f"{deed.column}_{span}": seen[span].sum(where=_is(seen, deed)) / _PARTS for deed in plan.deeds}
    lasts: dict[str, ir.Value] = {f"{deed.column}_last": seen.occurred_at.max(where=_is(seen, deed)) for deed in plan.deeds}
    ends = {"last_in": seen.occurred_at.max(where=inward), "first_in": seen.occurred_at.min(where=inward)}
    sums = seen.group_by("lead_id", "as_of").agg(
        **counts,
        **lasts,
        **ends,
        week=seen.count(where=inward & (seen.age_days <= 7)),
        month=seen.count(where=inward & (seen.age_days <= 30)),
    )
    recency = {f"{deed.column}_recency": days_between(sums.as_of, sums[f"{deed.column}_last"]) for deed in plan.deeds}
    pace = (sums.week.cast("float64") + 1.0) / (sums.month.cast("float64") * (7.0 / 30.0) + 1.0)
    full = sums.mutate(
        **recency,
        days_since_in=days_between(sums.as_of, sums.last_in),
        days_since_first_in=days_between(sums.as_of, sums.first_in),
        velocity=pace,
    )
    return full.select("lead_id", "as_of", *(feature.name for feature in features(plan)))


def known_activities(crm: Crm, spine: ir.Table) -> ir.Table:
    """Each lead-night beside the activities of that lead that were known strictly before it.

    Returns
    -------
    lead_id, as_of, kind, direction, occurred_at, day (the calendar day it happened), age_days.
    """
    deeds = crm.activities.select("kind", "direction", "occurred_at", "known_at", actor="lead_id", day=crm.activities.occurred_at.truncate("D"))
    keys = spine.select("lead_id", "as_of")
    seen = keys.join(deeds, [keys.lead_id == deeds.actor, deeds.known_at < keys.as_of, deeds.occurred_at < keys.as_of])
    return seen.select("lead_id", "as_of", "kind", "direction", "occurred_at", "day", age_days=days_between(seen.as_of, seen.occurred_at))


def _faded(seen: ir.Table, plan: Plan) -> ir.Table:
    """Activities with what each counts in every count that fades, in parts of `_PARTS`."""
    left = {_fading(days): ibis.literal(2.0) ** (seen.age_days / -float(days)) * _PARTS for days in plan.half_lives}
    return seen.mutate(**{span: part.round().cast("int64") for span, part in left.items()})


def _fading(half_life: int) -> str:
    return f"fading_{half_life}d"


def _windows(seen: ir.Table, plan: Plan) -> list[tuple[str, ir.BooleanValue]]:
    bounded = [(f"in_{days}d", seen.age_days <= days) for days in plan.windows]
    return [*bounded, (_EVER, ibis.literal(True))]


def _is(seen: ir.Table, deed: Deed) -> ir.BooleanValue:
    kind = seen.kind == deed.kind
    return kind & (seen.direction == deed.direction) if deed.direction else kind & seen.direction.isnull()
