"""Recency: how much an old night still has to say about tonight.

A business changes its prices, its market and its reps; what was learned before may no longer hold. Forgetting has a price too, for a short past
holds few customers. How far back to look is for the backtest to say, and so each way of forgetting runs as a racer of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.feature import Feature
from features.labels import customers
from models.backtest import Fit

Floats = NDArray[np.float64]
FEWEST_CUSTOMERS = 100


def recent(fit: Fit, days: float) -> Fit:
    """A racer that learns from the newest nights alone.

    To the business: what was true before the new price list is forgotten, and not averaged with what is true now.

    Parameters
    ----------
    fit : what learns; it sees fewer rows and nothing else changes.
    days : how far back, from the newest night of its past. Where fewer than 100 leads converted since, it learns from everything: too few
        customers mislead more than old ones.

    >>> past = pd.DataFrame({"lead_id": [f"L{n}" for n in range(400)], "as_of": pd.date_range("2025-01-01", periods=400), "converted": True})
    >>> [recent(lambda learned_from, features: len(learned_from), days)(past, ()) for days in (150, 50)]
    [150, 400]
    """

    def learned(past: pd.DataFrame, features: Sequence[Feature]) -> Any:
        newer = past[_ages(past) < days]
        return fit(newer if customers(newer) >= FEWEST_CUSTOMERS else past, features)

    return learned


def fading(fit: Fit, half_life_days: float) -> Fit:
    """A racer to which a night counts half as much as one that is a half-life newer.

    To the business: a slow change is followed without forgetting last year's customers altogether. Source: exponential forgetting, as in the
    recursive least squares of control (Ljung and Söderström 1983).

    Parameters
    ----------
    fit : what learns. It has to mind `weight`, which `models.baseline.relative_weight` brings back to a mean of one: a penalty holds the model as
        tightly as without fading.
    half_life_days : counted from the newest night of its past.

    >>> past = pd.DataFrame({"as_of": pd.to_datetime(["2024-07-05", "2025-01-01"]), "weight": [2.0, 2.0]})
    >>> fading(lambda learned_from, features: learned_from["weight"].tolist(), half_life_days=180)(past, ())
    [1.0, 2.0]
    """
    return lambda past, features: fit(past.assign(weight=past["weight"].to_numpy(dtype=float) * 0.5 ** (_ages(past) / half_life_days)), features)


def _ages(past: pd.DataFrame) -> Floats:
    """How many days each night lies before the newest: no clock has a say."""
    return ((past["as_of"].max() - past["as_of"]) / pd.Timedelta(days=1)).to_numpy(dtype=float)
