"""Who the lead is: its age, and the company's own fields about it, its account and its deal, as far as their past is known."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from features.crm import Crm
from features.feature import Feature
from features.history import days_between, value_at
from features.plan import Attribute, Plan


def features(plan: Plan) -> tuple[Feature, ...]:
    """The columns of `table`, in order.

    >>> plan = Plan(attributes=(Attribute("job_title", "leads", "text", "history"),))
    >>> [(f.name, f.words) for f in features(plan)]
    [('lead_age_days', 'came in {value} ago'), ('lead__job_title', 'job title: {value}')]
    """
    age = Feature("lead_age_days", "number", "age of the lead", "came in {value} ago", "days")
    own = (Feature(a.column, a.kind, _field(a), f"{_field(a)}: {{value}}", profile=True) for a in plan.attributes)
    return (age, *own)


def _field(attribute: Attribute) -> str:
    plain = attribute.name.replace("_", " ").strip()
    return {"leads": plain, "accounts": f"account's {plain}", "deals": f"deal's {plain}"}[attribute.origin]


def table(crm: Crm, spine: ir.Table, plan: Plan) -> ir.Table:
    """The profile of every lead-night: lead_id, as_of, and the columns of `features`."""
    known = spine.select("lead_id", "as_of", "account_id", lead_age_days=days_between(spine.as_of, spine.created_at))
    for attribute in plan.attributes:
        if attribute.origin == "leads" and attribute.known == "history":
            then = value_at(crm, spine, attribute.name).select("lead_id", "as_of", **{attribute.column: _typed(ibis._.value, attribute)})
            known = known.left_join(then, ["lead_id", "as_of"]).drop("lead_id_right", "as_of_right")
    known = _joined(known, crm.leads, "lead_id", [a for a in plan.attributes if a.origin == "leads" and a.known != "history"])
    known = _joined(known, crm.accounts, "account_id", [a for a in plan.attributes if a.origin == "accounts"])
    known = _joined(known, _latest_deals(crm), "lead_id", [a for a in plan.attributes if a.origin == "deals" and a.known != "creation"])
    known = _newest_deals(crm, known, [a for a in plan.attributes if a.origin == "deals" and a.known == "creation"])
    return known.select("lead_id", "as_of", *(feature.name for feature in features(plan)))


def _joined(known: ir.Table, source: ir.Table, key: str, attributes: list[Attribute]) -> ir.Table:
    if not attributes:
        return known
    columns = source.select(**{f"{key}_there": source[key]}, **{a.column: _typed(source[a.name], a) for a in attributes})
    return known.left_join(columns, known[key] == columns[f"{key}_there"]).drop(f"{key}_there")


def _typed(value: ir.Value, attribute: Attribute) -> ir.Value:
    if attribute.kind == "flag":
        return value.cast("boolean").cast("int64").cast("float64")
    return value.cast("float64" if attribute.kind == "number" else "string")


def _latest_deals(crm: Crm) -> ir.Table:
    """Each lead's newest deal as it stands today: only for the leakage screen to judge."""
    order = ibis.window(group_by="lead_id", order_by=[ibis.desc("created_at"), "deal_id"])
    numbered = crm.deals.mutate(nth=ibis.row_number().over(order))
    return numbered.filter(numbered.nth == 0)


def _newest_deals(crm: Crm, known: ir.Table, attributes: list[Attribute]) -> ir.Table:
    """What never changes of the deal that was each lead's newest on each night."""
    if not attributes:
        return known
    deals = crm.deals.select("deal_id", buyer="lead_id", opened="created_at", **{a.column: _typed(crm.deals[a.name], a) for a in attributes})
    keys = known.select("lead_id", "as_of")
    theirs = keys.join(deals, [keys.lead_id == deals.buyer, deals.opened < keys.as_of])
    order = ibis.window(group_by=["lead_id", "as_of"], order_by=[ibis.desc("opened"), "deal_id"])
    numbered = theirs.mutate(nth=ibis.row_number().over(order))
    newest = numbered.filter(numbered.nth == 0).select("lead_id", "as_of", *(a.column for a in attributes))
    return known.left_join(newest, ["lead_id", "as_of"]).drop("lead_id_right", "as_of_right")
