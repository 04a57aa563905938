"""What has happened with a lead, for whoever is about to call it: the newest touches, changes and deals known before a night."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from features.crm import Crm
from features.history import closing_known

# Who somebody is stands beside the score anyway; a change of it is no news to a caller.
_PERSONAL = ("name", "company", "email", "phone")
_LONGEST = 60


def diary(crm: Crm, spine: ir.Table, most: int = 40) -> ir.Table:
    """The newest things that were known of each lead strictly before its night.

    Never a feature: it is what a person reads. Texts of messages are not in it.

    Parameters
    ----------
    spine : lead_id, as_of.
    most : so many a lead. 40: they become about eight lines, where what happened often on a day is told once.

    Returns
    -------
    lead_id, occurred_at, who ("lead", "us" or "": the CRM), what; the newest first within a lead, equal instants in the order of the words.
    """
    keys = spine.select("lead_id", "as_of")
    every = ibis.union(_touches(crm), _changes(crm), _deals(crm))
    mine = keys.join(every, "lead_id").filter(lambda t: t.known_at < t.as_of)
    newest = ibis.window(group_by=["lead_id", "as_of"], order_by=[ibis.desc("occurred_at"), "what", "who"])
    kept = mine.mutate(place=ibis.row_number().over(newest)).filter(lambda t: t.place < most)
    return kept.order_by("lead_id", "place").select("lead_id", "occurred_at", "who", "what")


def _touches(crm: Crm) -> ir.Table:
    """What the lead did and what we did."""
    of = crm.activities
    who = ibis.cases((of.direction == "in", "lead"), (of.direction == "out", "us"), else_="")
    return of.select("lead_id", "occurred_at", known_at=ibis.greatest(of.occurred_at, of.known_at), who=who, what=of.kind.substr(0, _LONGEST))


def _changes(crm: Crm) -> ir.Table:
    """What the CRM wrote anew of the lead."""
    of = crm.lead_changes.filter(~crm.lead_changes.field.isin(_PERSONAL))
    what = of.field.substr(0, _LONGEST) + ": " + of.new_value.fill_null("none").substr(0, _LONGEST)
    known_at = ibis.greatest(of.changed_at, of.known_at)
    return of.select("lead_id", occurred_at=of.changed_at, known_at=known_at, who=ibis.literal(""), what=what)


def _deals(crm: Crm) -> ir.Table:
    """Deals that were opened, won and lost."""
    of, nobody = crm.deals, ibis.literal("")
    opened = of.select("lead_id", occurred_at=of.created_at, known_at=of.created_at, who=nobody, what=ibis.literal("deal opened"))
    ended = of.filter(of.outcome.isin(["won", "lost"]), of.closed_at.notnull())
    closed = ended.select(
        "lead_id", occurred_at=ended.closed_at, known_at=closing_known(ended), who=nobody, what=ibis.literal("deal ") + ended.outcome
    )
    return opened.union(closed)
