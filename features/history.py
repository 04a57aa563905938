"""The CRM as it stood strictly before as_of: field history replayed, later rows unseen, later wins undone.

A CRM overwrites its fields in place. What a lead's stage or owner *was* on a past night stands only in `lead_changes`:

    value at as_of = the new value of the latest change known before as_of
                     else the old value of the first change ever known
                     else today's value
"""

from __future__ import annotations

from datetime import datetime

import ibis
import ibis.expr.types as ir

from features.crm import Crm

DAY = 86_400.0


def days_between(later: ir.TimestampValue, earlier: ir.TimestampValue) -> ir.FloatingValue:
    """Days from one instant to another, as a fraction, on every engine alike."""
    return (later.epoch_seconds() - earlier.epoch_seconds()).cast("float64") / DAY


def closing_known(deals: ir.Table) -> ir.TimestampValue:
    """When we could have known that a deal was won or lost; null while it is open."""
    return ibis.greatest(deals.closed_at, deals.known_at)


def tracked_fields(crm: Crm) -> tuple[str, ...]:
    """The lead fields whose past values stand in `lead_changes`, in alphabetical order."""
    return tuple(sorted(crm.lead_changes.select("field").distinct().execute()["field"]))


def changes_of(crm: Crm, field: str) -> ir.Table:
    """Every change of one lead field with the span of time in which it was the newest that we knew.

    A change is visible from `known_at` until a change that happened later becomes known. Changes of the same instant are ordered by when
    they became known, then by value, so that the answer does not depend on the order of rows.

    Returns
    -------
    lead_id, value, known_at, until (null: still standing).
    """
    changes = crm.lead_changes.filter(crm.lead_changes.field == field)
    later = ibis.window(group_by="lead_id", order_by=["changed_at", "known_at", "new_value"], rows=(1, None))
    return changes.select("lead_id", value=changes.new_value, known_at=changes.known_at, until=changes.known_at.min().over(later))


def first_values(crm: Crm, field: str) -> ir.Table:
    """What the CRM said of a field before the first change that we ever knew of.

    Returns
    -------
    lead_id, initial (null where the change logged the first entry itself), entered (the first value that was ever there), entry_known (when
    we knew of it; null where it was there from the start).
    """
    changes = crm.lead_changes.filter(crm.lead_changes.field == field)
    order = ibis.window(group_by="lead_id", order_by=["known_at", "changed_at", "new_value"])
    first = changes.mutate(nth=ibis.row_number().over(order))
    first = first.filter(first.nth == 0)
    return first.select(
        "lead_id",
        initial=first.old_value,
        entered=ibis.coalesce(first.old_value, first.new_value),
        entry_known=first.old_value.isnull().ifelse(first.known_at, ibis.null("timestamp(6)")),
    )


def value_at(crm: Crm, spine: ir.Table, field: str, tracked: bool = True) -> ir.Table:
    """A lead field as it stood strictly before each night.

    Parameters
    ----------
    spine : lead_id, as_of.
    field : a column of `leads`.
    tracked : whether its history stands in `lead_changes`; otherwise today's value is all there is.

    Returns
    -------
    lead_id, as_of, value. History is text, so a tracked value is text.
    """
    today = crm.leads.select("lead_id", today=crm.leads[field])
    keys = spine.select("lead_id", "as_of")
    if not tracked:
        return keys.left_join(today, "lead_id").select("lead_id", "as_of", value="today")
    spans = changes_of(crm, field).rename(change_lead="lead_id")
    known = keys.left_join(
        spans,
        [
            keys.lead_id == spans.change_lead,
            spans.known_at < keys.as_of,
            ibis.or_(spans.until.isnull(), keys.as_of <= spans.until),
        ],
    ).select("lead_id", "as_of", "change_lead", "value")
    firsts = first_values(crm, field).rename(first_lead="lead_id")
    joined = known.left_join(firsts, known.lead_id == firsts.first_lead).left_join(today.rename(today_lead="lead_id"), [("lead_id", "today_lead")])
    standing = ibis.cases(
        (joined.change_lead.notnull(), joined.value),
        (joined.first_lead.notnull(), joined.initial),
        else_=joined.today.cast("string"),
    )
    return joined.select("lead_id", "as_of", value=standing)


def cut(crm: Crm, as_of: datetime) -> Crm:
    """The whole CRM with everything that became known at or after `as_of` taken away.

    Features of this smaller company must equal the features of the full one: that is the truncation audit. It is also how a past night is
    trained or scored as it would have been. Attributes of which only today's value exists stay as they are; the leakage screen judges them.

    Parameters
    ----------
    as_of : a night, UTC.
    """
    night = ibis.literal(as_of, "timestamp(6)")
    leads = crm.leads.filter(crm.leads.known_at < night, crm.leads.created_at < night)
    for field in [name for name in tracked_fields(crm) if name in leads.columns and leads.schema()[name].is_string()]:
        then = value_at(crm, leads.select("lead_id").mutate(as_of=night), field).select("lead_id", then="value")
        leads = leads.left_join(then, "lead_id").drop("lead_id_right").mutate(**{field: ibis._.then}).drop("then")
    leads = leads.mutate(merged_at=(leads.merged_at < night).ifelse(leads.merged_at, ibis.null("timestamp(6)")))
    return crm._replace(
        leads=leads.select(*crm.leads.columns).cache(),
        lead_changes=crm.lead_changes.filter(crm.lead_changes.known_at < night),
        activities=crm.activities.filter(crm.activities.known_at < night),
        deals=_deals_before(crm.deals, night),
    )


def _deals_before(deals: ir.Table, night: ir.TimestampScalar) -> ir.Table:
    there = deals.filter(deals.created_at < night)
    closed = ibis.and_(there.outcome != "open", closing_known(there) < night)
    return there.mutate(
        outcome=closed.ifelse(there.outcome, "open"),
        closed_at=closed.ifelse(there.closed_at, ibis.null("timestamp(6)")),
        amount=closed.ifelse(there.amount, ibis.null("float64")),
        known_at=closed.ifelse(there.known_at, there.created_at),
    )
