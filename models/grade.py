"""Two sub-scores for marketing: who a lead is, and what it did; and the grid from A1 to C3 that they make.

A lead is handed to sales when it fits and is engaged. Both are parts of the one score, so that they never contradict it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features import engagement
from features.feature import Feature
from features.plan import Plan
from models.calibration import sigmoid

_HIGH, _LOW = 60, 40


def grades(contributions: pd.DataFrame, features: Sequence[Feature], plan: Plan, fit_from: int = 50, engagement_from: int = 60) -> pd.DataFrame:
    """How well each lead fits, how engaged it is, its place in the grid, and whether it is qualified.

    Fit is what its fields (source, industry, title: who it is) add to its log-odds, engagement what its own activity adds, each as 100 / (1 + e **
    -x): 50 is neither better nor worse than the average lead, 60 has half as much again of the odds, 40 a third less. A is a fit of 60 or more, B of
    40 or more, C the rest; 1, 2 and 3 are the same of engagement. What sales did to a lead, its company's other leads and its deals count for
    neither.

    Parameters
    ----------
    contributions : one row a lead, one column a feature, and "bias"; see `models.scorer.Scorer.contributions`.
    plan : which of the features are engagement.
    fit_from, engagement_from : from which sub-scores on, both of them, a lead of marketing's is one of sales' (MQL to SQL). It fits no worse than
        the average, and is clearly more engaged.

    Returns
    -------
    fit, engagement (0-100), grade ("A1" to "C3"), qualified.

    >>> source, opens = Feature("source", "category", "source", "", profile=True), Feature("in_in_7d", "number", "activity", "")
    >>> pulls = pd.DataFrame({"source": [0.5, -0.6], "in_in_7d": [0.9, 0.0], "bias": -2.0})
    >>> grades(pulls, [source, opens], Plan()).values.tolist()
    [[62, 71, 'A1', True], [35, 50, 'C2', False]]
    """
    deeds = {feature.name for feature in engagement.features(plan)}
    fit = _sub_score(contributions, [feature.name for feature in features if feature.profile])
    engaged = _sub_score(contributions, [feature.name for feature in features if feature.name in deeds])
    grade = np.char.add(np.array(["C", "B", "A"])[_level(fit)], np.array(["3", "2", "1"])[_level(engaged)]).astype(object)
    qualified = (fit >= fit_from) & (engaged >= engagement_from)
    return pd.DataFrame({"fit": fit, "engagement": engaged, "grade": grade, "qualified": qualified}, index=contributions.index)


def _sub_score(contributions: pd.DataFrame, names: Sequence[str]) -> NDArray[np.int64]:
    # Not every feature of a plan has a part in every model.
    added = contributions[[name for name in names if name in contributions]].to_numpy(dtype=float).sum(axis=1)
    return np.round(100 * sigmoid(added)).astype(np.int64)


def _level(score: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.searchsorted([_LOW, _HIGH], score, side="right")
