"""The calendar among the features: fields that tell when a night was rather than which lead is better.

A campaign's number that rises with time, or a count of which every lead has more by now, parts old nights from new ones. Where business went up
or down meanwhile, such a field explains that well, and carries it on into nights where it no longer holds. Whether a model does better without is
for the backtest to say.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.feature import Feature
from features.levels import levels
from features.proxies import explained_by
from models.backtest import Fit

Floats = NDArray[np.float64]
_TELLING = 0.75
_LEADS = 20_000
_STORED = "timeless.json"


def telling_time(past: pd.DataFrame, features: Sequence[Feature], seed: int = 7, auc: float = _TELLING) -> tuple[str, ...]:
    """The features by which, one at a time, newer nights can be told from older ones.

    Of each lead one night is drawn, for many nights of one lead would tell each other. A feature's levels are given the share of newer nights that
    half of the leads have at them, and are judged by the other half, so that a field with a level a lead tells nothing.

    Parameters
    ----------
    past : lead_id, as_of and the features; 20,000 leads of it are enough to know a ROC AUC to 0.01.
    seed : which leads and nights are drawn.
    auc : from which ROC AUC on a feature tells the time. 0.75: a number that rises steadily has 1, one that the newest fifth of the nights alone
        have about 0.7, and a business that slowly changes its mix of leads stays below.

    >>> nights = pd.date_range("2025-01-01", periods=400)
    >>> past = pd.DataFrame({"lead_id": nights.strftime("L%j-%y"), "as_of": nights, "campaign": range(400), "size": [1.0, 5.0] * 200})
    >>> telling_time(past, (Feature("campaign", "number", "campaign", ""), Feature("size", "number", "size", "")))
    ('campaign',)
    """
    drawn = past.sample(frac=1.0, random_state=seed).drop_duplicates("lead_id").head(_LEADS)
    later = (drawn["as_of"] > drawn["as_of"].median()).to_numpy(dtype=bool)
    if not later.any():
        return ()
    return tuple(feature.name for feature in features if explained_by(levels(drawn[feature.name]), later, seed)[1] > auc)


@dataclass(frozen=True)
class TimelessModel:
    """A model that was learned without the features that tell the time.

    Parameters
    ----------
    without : their names, for whoever asks why a field has no part in a score.
    """

    model: Any
    without: tuple[str, ...]

    @property
    def name(self) -> str:
        """The model's own."""
        return str(self.model.name)

    @property
    def sentence(self) -> str:
        """What it does without, as a line of a report."""
        return f"The model does without {', '.join(self.without)}: by each of them alone, newer nights can be told from older ones."

    def log_odds(self, frame: pd.DataFrame) -> Floats:
        """One number an example."""
        return np.asarray(self.model.log_odds(frame))

    def contributions(self, frame: pd.DataFrame) -> pd.DataFrame:
        """What each feature adds to the log-odds, and "bias"."""
        return pd.DataFrame(self.model.contributions(frame))

    @classmethod
    def load(cls, folder: Path, model: Any) -> Any:
        """The model with the names that `save` wrote beside it, or as it is where there are none."""
        stored = folder / _STORED
        return cls(model, tuple(json.loads(stored.read_text(encoding="utf-8")))) if stored.is_file() else model

    def save(self, folder: Path) -> None:
        """Write timeless.json and the model's own files."""
        self.model.save(folder)
        (folder / _STORED).write_text(json.dumps(self.without, ensure_ascii=False), encoding="utf-8")


def timeless(fit: Fit, seed: int = 7) -> Fit:
    """A racer that learns without the features that tell the time; as it is where there are none, or no others.

    To the business: last year's boom is no lead's merit.

    Parameters
    ----------
    seed : see `telling_time`.
    """

    def learned(past: pd.DataFrame, features: Sequence[Feature]) -> Any:
        without = telling_time(past, features, seed)
        kept = tuple(feature for feature in features if feature.name not in without)
        return TimelessModel(fit(past, kept), without) if without and kept else fit(past, features)

    return learned
