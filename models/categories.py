"""A category of many levels as one number: the code of its level, or how often leads of its level convert."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import PredefinedSplit
from sklearn.preprocessing import TargetEncoder

from models.backtest import quarter_of

Floats = NDArray[np.float64]
FEWEST_LEADS = 20
MISSING = "missing"
CATEGORICAL: dict[str, Any] = {"cat_smooth": 10.0, "cat_l2": 50.0}
"""How LightGBM divides levels. A level of fewer rows than `cat_smooth` is not looked at, and half of the rows are in a tree's bag: more than 10 would
hide levels of twenty leads. It is the split that learns noise most readily, hence five times LightGBM's own penalty."""
_MOST_CODES = 500
_FEWEST_IN_RATE = 5
_PRIOR_LEADS = 20.0


@dataclass(frozen=True)
class LevelCodes:
    """The number of each level, for LightGBM to divide the levels in two by itself; 0 is every other level.

    A level that training saw on fewer than twenty leads, or never, is one of the others: new campaigns are read as small ones were.
    Missing is a level like any.

    >>> codes = LevelCodes(["ads", "missing", "web"])
    >>> codes.transform(pd.Series(["web", None, "never seen"])).tolist()
    [[3.0], [2.0], [0.0]]
    """

    levels: list[str]

    @property
    def marks(self) -> list[str]:
        """What its columns are called."""
        return ["code"]

    def transform(self, values: pd.Series) -> Floats:
        """One row a value, one column."""
        number = {level: at + 1.0 for at, level in enumerate(self.levels)}
        return _looked_up(values, number, 0.0)


def fit_codes(per_lead: pd.Series) -> LevelCodes | None:
    """The levels of enough leads, at most five hundred; None where they do not tell two leads apart.

    Parameters
    ----------
    per_lead : the value of each lead, once.
    """
    counts = _counts(per_lead)
    common = sorted((level for level, leads in counts.items() if leads >= FEWEST_LEADS), key=lambda level: (-counts[level], level))
    apart = common and counts[common[0]] < len(per_lead)
    return LevelCodes(sorted(common[:_MOST_CODES])) if apart else None


@dataclass(frozen=True)
class LevelRates:
    """How often leads of each level convert, drawn towards the average where few leads say so; `other` is the rate of every other level.

    >>> LevelRates({"web": 0.3, "missing": 0.1}, other=0.2).transform(pd.Series(["web", None, "never seen"])).tolist()
    [[0.3], [0.1], [0.2]]
    """

    rates: dict[str, float]
    other: float

    @property
    def marks(self) -> list[str]:
        """What its columns are called."""
        return ["rate"]

    def transform(self, values: pd.Series) -> Floats:
        """One row a value, one column."""
        return _looked_up(values, self.rates, self.other)


def fit_rates(frame: pd.DataFrame, name: str) -> tuple[LevelRates | None, Floats]:
    """The rates of a category's levels, and those of the frame's own rows as other leads tell them; None and zeros where all levels are one.

    A lead's own outcome never has a say in the rate that it is learned with: rates are crossed over quarters of the leads, since the snapshots of
    a lead repeat each other. A lead counts once for every level that it was at, however many snapshots it has there. Levels of fewer than five
    leads count as one, so that a field with a value of its own for each lead says nothing.

    Source: Micci-Barreca (2001), "A preprocessing scheme for high-cardinality categorical attributes". The average weighs as much as twenty leads,
    as in the points table; scikit-learn's "auto" lets it weigh about as much as one, and not at all where a level's leads all ended alike.

    Parameters
    ----------
    frame : examples: lead_id, converted, weight, and the category.
    """
    codes, names = _level_codes(frame[name])
    lead = pd.factorize(frame["lead_id"])[0]
    weight = frame["weight"].to_numpy(dtype=float)
    rows = pd.DataFrame({"lead": lead, "level": codes, "won": frame["converted"].to_numpy(dtype=float) * weight, "weight": weight})
    groups = rows.groupby(["lead", "level"], sort=False)
    pairs, at = groups[["won", "weight"]].sum().reset_index(), groups.ngroup().to_numpy()
    leads = np.bincount(pairs["level"], minlength=len(names))
    known = np.flatnonzero(leads >= _FEWEST_IN_RATE)
    levels = np.where(leads[pairs["level"]] >= _FEWEST_IN_RATE, pairs["level"], -1)
    quarter = quarter_of(frame["lead_id"], cut=3)[np.unique(at, return_index=True)[1]]
    if len(np.unique(levels)) < 2 or len(np.unique(quarter)) < 2:
        return None, np.zeros((len(frame), 1))
    encoder = TargetEncoder(target_type="continuous", smooth=_PRIOR_LEADS, cv=PredefinedSplit(quarter))
    crossed = encoder.fit_transform(levels[:, None], (pairs["won"] / pairs["weight"]).to_numpy())
    rate = dict(zip(encoder.categories_[0].tolist(), encoder.encodings_[0].tolist(), strict=True))
    return LevelRates({names[level]: rate[level] for level in known}, rate.get(-1, float(encoder.target_mean_))), crossed[at]


def distinct(values: pd.Series) -> tuple[NDArray[np.int64], list[str]]:
    """Which of the distinct texts each row has, -1 where it is missing; each is looked at once, however many rows have it.

    >>> distinct(pd.Series(["web", None, "web"]))[1]
    ['web']
    """
    codes, found = pd.factorize(values.astype("object").where(values.notna(), None))
    return codes, [str(each) for each in found]


def _level_codes(values: pd.Series) -> tuple[NDArray[np.int64], list[str]]:
    """The same with missing as a level."""
    codes, found = distinct(values)
    names = list(dict.fromkeys([*found, MISSING]))
    number = {name: at for at, name in enumerate(names)}
    return np.array([number[name] for name in [*found, MISSING]])[codes], names


def _counts(per_lead: pd.Series) -> dict[str, int]:
    codes, names = _level_codes(per_lead)
    return dict(zip(names, np.bincount(codes, minlength=len(names)).tolist(), strict=True))


def _looked_up(values: pd.Series, table: dict[str, float], other: float) -> Floats:
    codes, names = _level_codes(values)
    return np.array([table.get(name, other) for name in names])[codes][:, None]
