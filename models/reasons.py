"""Signed contributions per field, in the words of a rep: of every lead of a night, without looking at one lead after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from features.feature import Feature

Floats = NDArray[np.float64]
Texts = NDArray[np.object_]
REASON = pa.struct({"field": pa.string(), "words": pa.string(), "contribution": pa.float64()})
_SMALLEST = 0.05
_HOURS = {"hours": 1.0, "days": 24.0}
_DAY = 24.0


@dataclass(frozen=True)
class Yardstick:
    """What a lead is compared with.

    Parameters
    ----------
    usual : what each feature usually is.
    lifts : of a category, how many times as often as the average the leads at a level come to the outcome: see `models.scorer.lifts_of`.
    rate : what they do, as in "converted 3.1 times as often as the average".
    """

    usual: Mapping[str, Any] = field(default_factory=dict)
    lifts: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    rate: str = "converted"


def fields(contributions: pd.DataFrame, features: Sequence[Feature]) -> pd.DataFrame:
    """Contributions summed per field a rep knows, and "bias": rows still sum to the log-odds.

    >>> features = (Feature("a_7d", "number", "opens", ""), Feature("a_30d", "number", "opens", ""))
    >>> fields(pd.DataFrame({"a_7d": [1.0], "a_30d": [0.5], "bias": [-2.0]}), features).iloc[0].to_dict()
    {'bias': -2.0, 'opens': 1.5}
    """
    known = {feature.name: feature.field for feature in features}
    # Set aside first: a company may have a field of its own that is called bias.
    bias, each = contributions["bias"], contributions.drop(columns="bias")
    columns = pd.Series(range(each.shape[1])).groupby([known.get(name, name) for name in each.columns]).agg(list)
    values = each.to_numpy(dtype=float)
    summed = pd.DataFrame({name: values[:, at].sum(axis=1) for name, at in columns.items()}, index=each.index)
    summed.insert(0, "bias", bias, allow_duplicates=True)
    return summed


def reasons(
    contributions: pd.DataFrame, frame: pd.DataFrame, features: Sequence[Feature], by: Yardstick, most_for: int = 3, most_against: int = 2
) -> pd.Series:
    """Why each lead is where it is: at most three reasons for and two against, the strongest first.

    To the business: what a rep reads before the call, of a million leads in seconds.

    Parameters
    ----------
    contributions : one row a lead, one column a feature, and "bias"; see `models.scorer.Scorer.contributions`.
    frame : the same leads' features, for the words.
    by : for the comparison.

    Returns
    -------
    Per lead, an Arrow list of {field, words, contribution}; a contribution under 0.05 of log-odds is noise and is not told.

    >>> source = Feature("source", "category", "source", "source: {value}", profile=True)
    >>> lead, pulls = pd.DataFrame({"source": ["referral"]}), pd.DataFrame({"source": [0.9], "bias": [-2.0]})
    >>> reasons(pulls, lead, [source], Yardstick(lifts={"source": {"referral": 3.06}}))[0][0]["words"]
    'source: referral (converted 3.1 times as often as the average)'
    """
    summed = fields(contributions, features).iloc[:, 1:]
    values = summed.to_numpy()
    told = _told(values, most_for, most_against)
    words = np.empty(told.shape, dtype=object)
    for at, name in enumerate(summed.columns):
        row, slot = np.nonzero(told == at)
        own = [feature for feature in features if feature.field == name and feature.name in contributions]
        columns = [feature.name for feature in own]
        words[row, slot] = _words(own, contributions[columns].iloc[row], frame[columns].iloc[row], values[row, at], by)
    row, slot = np.nonzero(told >= 0)
    which = told[row, slot]
    names, pulls = summed.columns.to_numpy(dtype=object)[which], np.round(values[row, which], 4)
    each = pa.StructArray.from_arrays([pa.array(names, pa.string()), pa.array(words[row, slot], pa.string()), pa.array(pulls)], fields=list(REASON))
    ends = np.cumsum((told >= 0).sum(axis=1), dtype=np.int32)
    lists = pa.ListArray.from_arrays(np.concatenate([np.zeros(1, np.int32), ends]), each)
    return pd.Series(pd.arrays.ArrowExtensionArray(lists), index=frame.index)


def _told(values: Floats, most_for: int, most_against: int) -> NDArray[np.int64]:
    """Which columns are told of each row, the strongest for it first, then the strongest against it; -1 where there is no more to tell."""
    order = np.argsort(-values, axis=1, kind="stable")
    best, worst = order[:, :most_for], order[:, : -most_against - 1 : -1]
    strong = [np.take_along_axis(values, best, axis=1) >= _SMALLEST, np.take_along_axis(values, worst, axis=1) <= -_SMALLEST]
    return np.where(np.hstack(strong), np.hstack([best, worst]), -1)


def _words(features: Sequence[Feature], pulls: pd.DataFrame, frame: pd.DataFrame, way: Floats, by: Yardstick) -> Texts:
    """One field of some leads in the words of the feature that pulls most its way, a plain one if there is any."""
    plain = [feature for feature in features if feature.plain] or list(features)
    strongest = (pulls[[feature.name for feature in plain]].to_numpy() * way[:, None]).argmax(axis=1)
    words = np.empty(len(frame), dtype=object)
    for at, feature in enumerate(plain):
        its = strongest == at
        words[its] = _phrases(feature, frame[feature.name][its], way[its], by)
    return words


def _phrases(feature: Feature, values: pd.Series, way: Floats, by: Yardstick) -> Texts:
    """What a feature says of some leads; what it says of many is put into words once."""
    codes, distinct = pd.factorize(_as_shown(values, feature), use_na_sentinel=True)
    unknown = f"no {feature.field} known"
    for_it, against_it = (np.array([*(_phrase(feature, value, sign, by) for value in distinct), unknown], dtype=object) for sign in (1, -1))
    return np.asarray(np.where(way > 0, for_it[codes], against_it[codes]))


def _phrase(feature: Feature, value: Any, sign: int, by: Yardstick) -> str:
    shown, usual = _shown(value, feature), by.usual.get(feature.name)
    # Not `format`: a company's own field may have braces in its name.
    said = feature.words.replace("{value}", shown)
    lift = by.lifts.get(feature.name, {}).get(str(value))
    # What speaks against itself is no reason: a level that is rare among customers may still pull up, by what comes with it.
    if lift is not None and (lift - 1) * sign > 0:
        return f"{said} ({by.rate} {lift:.1f} times as often as the average)"
    # A ratio says itself what it is to be compared with.
    compared = feature.unit != "ratio" and usual is not None and _shown(usual, feature) != shown
    return f"{said} (usual: {_shown(usual, feature)})" if compared else said


def _as_shown(values: pd.Series, feature: Feature) -> Any:
    """The values as far apart as words can tell them, so that there are few different ones."""
    if feature.kind != "number":
        return values.to_numpy(dtype=object, na_value=None)
    numbers = values.to_numpy(dtype=float, na_value=np.nan)
    if feature.unit in _HOURS:
        hours = np.rint(numbers * _HOURS[feature.unit])
        lasts = np.where(numbers * _HOURS[feature.unit] < 48, hours, np.rint(hours / _DAY) * _DAY)
        return np.where(numbers * _HOURS[feature.unit] < 1, 0.0, lasts) / _HOURS[feature.unit]
    if feature.unit == "share":
        return np.round(numbers, 3)
    return np.where(np.abs(numbers) >= 100, np.rint(numbers), np.round(numbers, 1))


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
