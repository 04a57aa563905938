"""Signed contributions per field, in the words of a rep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from features.feature import Feature

Reason = dict[str, Any]
_SMALLEST = 0.05
_HOURS = {"hours": 1.0, "days": 24.0}


def fields(contributions: pd.DataFrame, features: Sequence[Feature]) -> pd.DataFrame:
    """Contributions summed per field a rep knows, and "bias": rows still sum to the log-odds.

    >>> features = (Feature("a_7d", "number", "opens", ""), Feature("a_30d", "number", "opens", ""))
    >>> fields(pd.DataFrame({"a_7d": [1.0], "a_30d": [0.5], "bias": [-2.0]}), features).iloc[0].to_dict()
    {'bias': -2.0, 'opens': 1.5}
    """
    field = {feature.name: feature.field for feature in features}
    # Set aside first: a company may have a field of its own that is called bias.
    bias, each = contributions["bias"], contributions.drop(columns="bias")
    summed = each.T.groupby(lambda name: field.get(str(name), str(name))).sum().T
    summed.insert(0, "bias", bias, allow_duplicates=True)
    return summed


def reasons(
    contributions: pd.DataFrame, frame: pd.DataFrame, features: Sequence[Feature], usual: Mapping[str, Any], most_for: int = 3, most_against: int = 2
) -> list[list[Reason]]:
    """Why each lead is where it is: at most three reasons for and two against, the strongest first.

    Parameters
    ----------
    contributions : one row a lead, one column a feature, and "bias"; see `models.scorer.Scorer.contributions`.
    frame : the same leads' features, for the words.
    usual : what each feature usually is, for the comparison.

    Returns
    -------
    Per lead, a list of {field, words, contribution}; a contribution under 0.05 of log-odds is noise and is not told.
    """
    summed = fields(contributions, features).iloc[:, 1:]
    by_field: dict[str, list[Feature]] = {}
    for feature in features:
        if feature.name in contributions.columns:
            by_field.setdefault(feature.field, []).append(feature)
    names, values = list(summed.columns), summed.to_numpy()
    order = np.argsort(-values, axis=1, kind="stable")
    words = _Words(contributions, frame, usual)
    told = []
    for row in range(len(values)):
        best = [at for at in order[row, :most_for] if values[row, at] >= _SMALLEST]
        worst = [at for at in order[row, : -most_against - 1 : -1] if values[row, at] <= -_SMALLEST]
        told.append(
            [
                {"field": names[at], "words": words.of(row, by_field[names[at]], values[row, at]), "contribution": round(float(values[row, at]), 4)}
                for at in [*best, *worst]
            ]
        )
    return told


class _Words:
    """Phrases for the feature of a field that pulls most its field's way, a plain one if there is any, with the lead's value and the usual one."""

    def __init__(self, contributions: pd.DataFrame, frame: pd.DataFrame, usual: Mapping[str, Any]) -> None:
        self.pulls = {name: contributions[name].to_numpy() for name in contributions.columns}
        self.values = {name: frame[name].to_numpy() for name in contributions.columns if name in frame}
        self.usual = usual

    def of(self, row: int, features: list[Feature], way: float) -> str:
        """The words for one lead's row; `way` has the sign of the field's contribution."""
        plain = [feature for feature in features if feature.plain] or features
        feature = max(plain, key=lambda one: way * self.pulls[one.name][row])
        value, usual = self.values[feature.name][row], self.usual.get(feature.name)
        if _missing(value):
            return f"no {feature.field} known"
        # Not `format`: a company's own field may have braces in its name.
        said = feature.words.replace("{value}", _shown(value, feature))
        # A ratio says itself what it is to be compared with.
        compared = feature.unit != "ratio" and usual is not None and _shown(usual, feature) != _shown(value, feature)
        return f"{said} (usual: {_shown(usual, feature)})" if compared else said


def _missing(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value))


def _shown(value: Any, feature: Feature) -> str:
    """A value as a person says it.

    >>> [_shown(value, Feature("n", "number", "n", "", unit)) for value, unit in ((0.0734, "share"), (3.06, "ratio"), (1.0, "times"), (1.7, "days"))]
    ['7.3 %', '3.1 times', 'once', '41 hours']
    """
    if feature.kind == "flag":
        return "yes" if value else "no"
    if feature.kind != "number":
        return str(value)[:80]
    if feature.unit in _HOURS:
        return _duration(value * _HOURS[feature.unit])
    if feature.unit == "share":
        return f"{100 * value:.1f} %"
    if feature.unit == "ratio":
        return f"{value:.1f} times"
    plain = f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 100 else f"{value:.1f}"
    if feature.unit == "times":
        return "once" if plain == "1" else f"{plain} times"
    return plain


def _duration(hours: float) -> str:
    """Hours as a person says them.

    >>> [_duration(hours) for hours in (0.0, 0.4, 1.2, 30.0, 47.9, 48.0, 200.0)]
    ['less than an hour', 'less than an hour', '1 hour', '30 hours', '48 hours', '2 days', '8 days']
    """
    if hours < 1:
        return "less than an hour"
    amount, noun = (hours, "hour") if hours < 48 else (hours / 24, "day")
    return f"{amount:,.0f} {noun}{'' if round(amount) == 1 else 's'}"
