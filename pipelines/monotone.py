"""The numbers with which a probability may only rise, or only fall, because the company says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from features.feature import Feature
from features.plan import Attribute
from pipelines.section import misnamed

_SIGN = {"up": 1, "down": -1}
_NUMBERS = ("number", "flag")


def monotone_of(wanted: Mapping[str, str], attributes: Sequence[Attribute], features: Sequence[Feature]) -> dict[str, int]:
    """What [training] monotone names, as the columns that models see.

    To the business: what everybody in sales knows (a larger firm is never worth less) holds for every single lead, also where the past is too thin
    to show it.

    Parameters
    ----------
    wanted : a field of the company's own by its column name, as in `allow` and `protected`, or a number of ours by its own
        (`features.json` of a training's run lists them) -> "up" or "down".
    attributes : the company's own fields. One that is not learned from (protected, or flagged by the leakage screen) has nothing to obey.
    features : what is learned from.

    Raises
    ------
    Problem : a name is no field, or the field of that name is no number.

    >>> monotone_of({"employees": "up"}, [Attribute("employees", "leads", "number", "creation")], [])
    {}
    """
    kinds = {name: set[str]() for name in wanted}
    for name, kind in [*((a.name, a.kind) for a in attributes), *((f.name, f.kind) for f in features)]:
        kinds.get(name, set()).add(kind)
    _refused([name for name in wanted if not kinds[name]], "no field of leads, accounts or deals in the last extract, nor a number of ours")
    _refused([name for name in wanted if not kinds[name] & set(_NUMBERS)], "no number")
    columns = {(a.name, a.column) for a in attributes} | {(f.name, f.name) for f in features}
    named = {column: _SIGN[wanted[name]] for name, column in columns if name in wanted}
    return {f.name: named[f.name] for f in features if f.name in named and f.kind in _NUMBERS}


def _refused(names: Sequence[str], what: str) -> None:
    if names:
        raise misnamed("monotone", ", ".join(sorted(names)), what)
