"""What a run leaves behind, and how it is read again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from models.metrics import Estimate
from models.scorer import Scorer

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Training:
    """All that a training leaves behind.

    Parameters
    ----------
    params, metrics, tags, figures, texts, counts : logged under their names; metrics with their intervals as NAME, NAME_low and NAME_high.
    tables : logged as Parquet files under their names.
    folds : the same metrics, fold by fold, logged as nested runs.
    scorer : the model.
    example : features of nobody, for signature and input example, see `models.scorer.Scorer.average`.
    """

    name: str
    params: Mapping[str, Any]
    metrics: Mapping[str, Estimate]
    folds: Mapping[str, Mapping[str, float]]
    scorer: Scorer
    example: pd.DataFrame
    figures: Mapping[str, Figure] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """A run as it is read again: a training or an experiment.

    Parameters
    ----------
    version : of the model that was registered from it; None for an experiment.
    metrics : with their intervals.
    features : names of the columns that its models learned from.
    predictions : what its leader said of nights it had not seen, see `models.backtest.Backtest.predictions`.
    """

    run_id: str
    name: str
    version: str | None
    params: Mapping[str, str]
    metrics: Mapping[str, Estimate]
    features: tuple[str, ...]
    predictions: pd.DataFrame

    @property
    def short(self) -> str:
        """How a person names it: as version of the model, else by the beginning of its id."""
        return f"version {self.version}" if self.version else f"run {self.run_id[:8]}"
