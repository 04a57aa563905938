"""Values that the field history shows only once a deal is closed: harmless where they are replayed, and where they are not, a leak.

`lead_changes` says when a value was entered. A stage "won" or a contract number that is only ever entered at the closing or after it tells the
outcome. Replay (`features.history`) hides it from every night before, provided that its entry was logged: a field that has only been tracked
since last year falls back on today's value for every lead that closed before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from features.crm import Crm
from features.endings import endings
from features.finding import Finding
from features.plan import Attribute

_ANY = "any value"


@dataclass(frozen=True)
class Thresholds:
    """When a value belongs to the time after the closing.

    Parameters
    ----------
    late : share of the leads with the value to whom it came at the closing or later; who is still open counts against it. 0.95: the made-up
        stages "won" and "lost" reach 1.0, "negotiation" 0.0; a rep who enters a win before its deal is booked stays under one in twenty.
    leads : entries fewer than these prove nothing. 20: of so many, one may be an exception.
    grace_days : a rep closes in two steps, in any order. 1: on the same day.
    unlogged : share of the leads that have the value today without an entry in the history, from which replay no longer hides it.
    """

    late: float = 0.95
    leads: int = 20
    grace_days: int = 1
    unlogged: float = 0.05


@dataclass(frozen=True)
class Late:
    """A value of a field that comes with the closing, or its first value, whatever it is."""

    field: str
    value: str
    leads: int
    share: float


def late_values(crm: Crm, limits: Thresholds | None = None) -> list[Late]:
    """Every value in the field history that (nearly) only appears when a deal is closed, in alphabetical order.

    Parameters
    ----------
    crm : the whole of it, not cut at a night.
    """
    limits = limits or Thresholds()
    changes = crm.lead_changes.filter(crm.lead_changes.new_value.notnull())
    entered = changes.group_by("lead_id", "field", value=changes.new_value).agg(entered=changes.known_at.min())
    blank = changes.filter(changes.old_value.isnull())
    first = blank.group_by("lead_id", "field").agg(entered=blank.known_at.min()).mutate(value=ibis.literal(_ANY))
    every = entered.union(first.select(*entered.columns))
    closed = endings(crm).select(closer="lead_id", ended_at="ended_at")
    beside = every.left_join(closed, every.lead_id == closed.closer)
    after = (beside.entered >= beside.ended_at - ibis.interval(days=limits.grace_days)).fill_null(False)
    counted = beside.group_by("field", "value").agg(leads=beside.count(), late=beside.count(where=after))
    found = counted.filter(counted.leads >= limits.leads, counted.late >= counted.leads * limits.late).order_by("field", "value").execute()
    return [Late(row.field, row.value, int(row.leads), row.late / row.leads) for row in found.itertuples()]


def aftermath(crm: Crm, attributes: Sequence[Attribute], limits: Thresholds | None = None) -> tuple[list[Finding], list[str]]:
    """Accuse the fields whose late values past nights would see, and say of the others that replay keeps them safe.

    Parameters
    ----------
    crm : the whole of it, not cut at a night.
    attributes : all fields in use, whatever is known of their past.

    Returns
    -------
    Findings, and one sentence for each field with late values that is safe.
    """
    limits = limits or Thresholds()
    late = late_values(crm, limits)
    findings, safe = [], []
    for attribute in attributes:
        values = [one for one in late if one.field == attribute.name]
        # `lead_changes` is about leads: of a deal's field it tells where no lead's has the name, of an account's never.
        theirs = attribute.origin == "accounts" or (attribute.origin == "deals" and attribute.name in crm.leads.columns)
        if not values or theirs:
            continue
        words = " or ".join(one.value if one.value == _ANY else f"'{one.value}'" for one in values[:3])
        shown = f"its history shows {words} only once a deal is closed ({min(one.share for one in values):.0%} of {values[0].leads:,} leads)"
        if attribute.known != "history":
            advice = "map that history as the field's own, or do not use it"
            findings.append(Finding(attribute.name, attribute.origin, "history", f"{shown}, and past nights would see today's", advice))
            continue
        unlogged = _unlogged(crm, attribute.name, values, limits)
        if unlogged > limits.unlogged:
            evidence = f"{shown}, and for {unlogged:.0%} of the leads that have it today no entry was logged, so that past nights would see it"
            findings.append(Finding(attribute.name, attribute.origin, "history", evidence, "export its history from the start, or do not use it"))
        else:
            safe.append(f"{attribute.name} ({attribute.origin}): {shown}; it is replayed, so that no night before sees it.")
    return findings, safe


def _unlogged(crm: Crm, field: str, values: list[Late], limits: Thresholds) -> float:
    """Of the leads that have a late value today, the share that has ended and whose entry does not stand in the history.

    0 where open leads have it without an entry too: they have had it since they came in.
    """
    today = crm.leads.select("lead_id", value=crm.leads[field].cast("string"))
    names = [one.value for one in values]
    holders = today.filter(today.value.notnull() if _ANY in names else today.value.isin(names))
    logged = crm.lead_changes.filter(crm.lead_changes.field == field).select(logged="lead_id").distinct()
    closed = endings(crm).select(closer="lead_id")
    beside = holders.left_join(logged, holders.lead_id == logged.logged)
    beside = beside.left_join(closed, beside.lead_id == closed.closer)
    unlogged = beside.logged.isnull()
    counts: ir.Table = beside.agg(
        holders=beside.count(), unlogged=beside.count(where=unlogged), ended=beside.count(where=unlogged & beside.closer.notnull())
    )
    row = counts.execute().iloc[0]
    only_then = row["ended"] >= limits.late * row["unlogged"]
    return float(row["ended"]) / max(1, int(row["holders"])) if only_then else 0.0
