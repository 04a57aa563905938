"""Bags: the same trees grown several times by different luck, and their mean.

Which rows and columns a tree sees is drawn by a seed. What trees of different seeds agree on is the lead's; what they do not is luck, and the mean
has less of it. Source: Breiman (1996), Bagging predictors; of seeds alone, Lakshminarayanan et al. (2017).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.feature import Feature
from models.backtest import Fit
from models.trees import BoostedModel

Floats = NDArray[np.float64]
_STORED = "bags.json"


@dataclass(frozen=True)
class BaggedModel:
    """The mean log-odds of several boosted trees, and so the mean of what each feature adds to them."""

    bags: tuple[BoostedModel, ...]
    name: str = "bagged trees"

    def log_odds(self, frame: pd.DataFrame) -> Floats:
        """One number an example."""
        return np.asarray(np.mean([model.log_odds(frame) for model in self.bags], axis=0))

    def contributions(self, frame: pd.DataFrame) -> pd.DataFrame:
        """What each feature adds to the log-odds, and "bias"; rows sum to `log_odds`."""
        each = [model.contributions(frame) for model in self.bags]
        # All bags have seen the same examples, so that their columns are the same.
        return pd.DataFrame(sum(each[1:], each[0]) / len(each))

    def save(self, folder: Path) -> None:
        """Write bags.json, which says how many there are, and each in a sub-folder of its own."""
        for number, model in enumerate(self.bags):
            (folder / f"bag-{number}").mkdir(exist_ok=True)
            model.save(folder / f"bag-{number}")
        (folder / _STORED).write_text(json.dumps(len(self.bags)), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        many = json.loads((folder / _STORED).read_text(encoding="utf-8"))
        return cls(tuple(BoostedModel.load(folder / f"bag-{number}") for number in range(many)))


def bagged(fit: Callable[..., BoostedModel], bags: int, seed: int = 7) -> Fit:
    """A racer that grows trees of as many seeds, and says the mean.

    To the business: two leads change places less often for no reason but luck.

    Parameters
    ----------
    fit : what grows trees; called with `seed` beside the past and the features, such as `models.trees.fit_boosted`.
    bags : how many; training and a night's scores take as many times as long. The luck that is left has one over so many of its variance.
    seed : the first; the others follow it.
    """

    def learned(past: pd.DataFrame, features: Sequence[Feature]) -> Any:
        return BaggedModel(tuple(fit(past, features, seed=seed + number) for number in range(bags)))

    return learned
