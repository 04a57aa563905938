"""The field whose segments may have models of their own, because the company says so."""

from __future__ import annotations

from collections.abc import Sequence

from features.feature import Feature
from features.plan import Attribute
from features.problem import Problem
from pipelines.section import misnamed


def segment_of(wanted: str, attributes: Sequence[Attribute], features: Sequence[Feature]) -> str:
    """What [training] segment_by names, as the column that models see; empty where it names nothing.

    To the business: markets that work differently are told apart by the word that the company has for them.

    Parameters
    ----------
    wanted : a category of the company's own by its column name, or a column of ours by its own (`features.json` of a training's run lists them).
    attributes : the company's own fields. One that is not learned from (protected, or flagged by the leakage screen) parts nobody.
    features : what is learned from.

    Raises
    ------
    Problem : the name is no field, the field of that name is no category, or more than one table has it.

    >>> segment_of("country", [Attribute("country", "leads", "category", "creation")], [Feature("lead__country", "category", "country", "")])
    'lead__country'
    """
    kinds = {a.kind for a in attributes if a.name == wanted} | {f.kind for f in features if f.name == wanted}
    if wanted and not kinds:
        raise misnamed("segment_by", wanted, "no field of leads, accounts or deals in the last extract, nor a column of ours")
    if wanted and "category" not in kinds:
        raise misnamed("segment_by", wanted, "no category")
    named = {a.column for a in attributes if a.name == wanted} | {wanted}
    found = sorted(f.name for f in features if f.name in named and f.kind == "category")
    if len(found) > 1:
        raise Problem(f"[training] segment_by names {wanted}, which several tables have: write one of {', '.join(found)} in leadscore.toml.")
    return found[0] if found else ""
