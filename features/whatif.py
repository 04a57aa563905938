"""The company as it would stand had we done one more thing: for asking a model what history associates with it."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from features.crm import Crm

_BEFORE = ibis.interval(hours=1)
_ID = "what if"


def touches(crm: Crm, most: int = 3, share: float = 0.02) -> list[str]:
    """The kinds of what sales does to leads, the most frequent first: what is done most often costs least.

    Parameters
    ----------
    most : so many at most.
    share : a kind that is a smaller share of all touches is none that anybody would be told to do.
    """
    out = crm.activities.filter(crm.activities.direction == "out")
    counts = out.group_by("kind").agg(times=out.count()).execute().sort_values(["times", "kind"], ascending=[False, True])
    return [str(kind) for kind in counts.loc[counts["times"] >= share * counts["times"].sum(), "kind"].head(most)]


def with_one_more(crm: Crm, spine: ir.Table, touch: ir.Table) -> Crm:
    """The company had each of some leads got one more touch of a kind, an hour before its night.

    Parameters
    ----------
    spine : lead_id, as_of.
    touch : one row with one column, kind: to say the whole in SQL takes longer than to ask it, and so it is said once for every kind.
    """
    each = spine.cross_join(touch)
    at = each.as_of - _BEFORE
    said = {"lead_id": each.lead_id, "kind": each.kind, "direction": ibis.literal("out"), "occurred_at": at, "known_at": at}
    schema = crm.activities.schema()
    told = {**said, "activity_id": ibis.literal(_ID)}
    extra = each.select(**{name: told.get(name, ibis.null(kind_of)).cast(kind_of) for name, kind_of in schema.items()})
    return crm._replace(activities=crm.activities.union(extra))
