"""Segments with models of their own: a country in which other things win a customer than elsewhere.

A model of one segment sees only its leads, and a global one sees all of them and may ask which segment a lead is of. Mostly the second is better.
A segment has a model of its own only where that proved better, on leads that neither had seen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.feature import Feature
from features.labels import customers
from models.backtest import Backtest, Fit, quarter_of
from models.encoding import require
from models.recency import FEWEST_CUSTOMERS
from models.setbacks import setbacks
from models.trees import BoostedModel

Floats = NDArray[np.float64]
_STORED = "segments.json"
_NOBODY = ""


@dataclass(frozen=True)
class SegmentedModel:
    """Boosted trees for all leads, and others for the segments where they proved better.

    Parameters
    ----------
    everywhere : speaks of every lead whose segment has no model of its own: its value is missing, new, or was none of the better ones.
    by : the feature whose values part the leads.
    own : its value -> the model of that segment.
    """

    everywhere: BoostedModel
    by: str
    own: Mapping[str, BoostedModel]
    name: str = "trees by segment"

    @property
    def sentence(self) -> str:
        """Which segments have a model of their own, as a line of a report."""
        which = ", ".join(self.own) or "none"
        return f"Segments of {self.by} with a model of their own, for it was better beyond doubt on leads held out: {which}."

    def log_odds(self, frame: pd.DataFrame) -> Floats:
        """One number an example."""
        said = np.empty(len(frame))
        for model, rows in self._parted(frame):
            said[rows] = model.log_odds(frame[rows])
        return said

    def contributions(self, frame: pd.DataFrame) -> pd.DataFrame:
        """What each feature adds to the log-odds, and "bias"; rows sum to `log_odds`. What a segment's model does not look at adds nothing there."""
        parted = self._parted(frame)
        parts = [model.contributions(frame[rows]) for model, rows in parted]
        names = dict.fromkeys(name for part in parts for name in part.columns if name != "bias")
        # Back in place by number, for nobody says that an index is unique.
        order = np.argsort(np.concatenate([np.flatnonzero(rows) for _, rows in parted]), kind="stable")
        whole = pd.concat([part.reindex(columns=[*names, "bias"], fill_value=0.0) for part in parts], ignore_index=True)
        return whole.iloc[order].set_axis(frame.index)

    def _parted(self, frame: pd.DataFrame) -> list[tuple[BoostedModel, NDArray[np.bool_]]]:
        """Every model that has something to say of these rows, and of which; everybody's model alone where there are none."""
        require([self.by], frame)
        value = _values(frame, self.by)
        each = [(self.everywhere, ~np.isin(value, list(self.own))), *((model, value == name) for name, model in self.own.items())]
        return [(model, rows) for model, rows in each if rows.any()] or each[:1]

    def save(self, folder: Path) -> None:
        """Write segments.json and every model in a sub-folder of its own."""
        for place, model in self._places().items():
            (folder / place).mkdir(exist_ok=True)
            model.save(folder / place)
        (folder / _STORED).write_text(json.dumps({"by": self.by, "own": list(self.own)}, ensure_ascii=False), encoding="utf-8")

    def _places(self) -> dict[str, BoostedModel]:
        # Numbered: a segment's name may be no name for a folder.
        return {"everywhere": self.everywhere, **{f"segment-{number}": model for number, model in enumerate(self.own.values())}}

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        stored = json.loads((folder / _STORED).read_text(encoding="utf-8"))
        own = {name: BoostedModel.load(folder / f"segment-{number}") for number, name in enumerate(stored["own"])}
        return cls(BoostedModel.load(folder / "everywhere"), stored["by"], own)


def segmented(fit: Fit, by: str, seed: int = 7) -> Fit:
    """A racer that has a model of its own for each segment where that is better beyond doubt, and one model for all others.

    To the business: a market that works differently is not scored by the habits of the largest one, and one that does not is not left alone with
    its few customers.

    Parameters
    ----------
    fit : what grows boosted trees.
    by : the feature, a category, whose values part the leads. Segments of less than 100 leads that converted are not tried.
    seed : of the bootstrap that judges, see `models.setbacks.setbacks`: its intervals hold for all segments together, so that of twenty
        companies in which no segment differs one is found to have such a segment.
    """

    def learned(past: pd.DataFrame, features: Sequence[Feature]) -> Any:
        value = _values(past, by)
        found = _better(fit, past, features, by, seed)
        return SegmentedModel(fit(past, features), by, {name: fit(past[value == name], features) for name in found})

    return learned


def _better(fit: Fit, past: pd.DataFrame, features: Sequence[Feature], by: str, seed: int) -> list[str]:
    """The segments whose own model has the lower log-loss on a quarter of the leads that neither it nor everybody's had seen."""
    value = _values(past, by)
    large = sorted(name for name in pd.unique(value[value != _NOBODY]) if customers(past[value == name]) >= FEWEST_CUSTOMERS)
    # Everybody is no segment.
    if not large or len(pd.unique(value)) < 2:
        return []
    # Another quarter than the one by which trees choose how long to grow: they need theirs while they are judged, too.
    judged = quarter_of(past["lead_id"], cut=3) == 0
    everywhere, test = fit(past[~judged], features), past[judged]
    theirs = value[judged].copy()
    told = everywhere.log_odds(test)
    own = told.copy()
    for name in large:
        inside = theirs == name
        if inside.any():
            own[inside] = fit(past[~judged & (value == name)], features).log_odds(test[inside])
    theirs[~np.isin(theirs, large)] = None
    return sorted(
        found.value
        for found in setbacks(Backtest.beside_outcomes(test, told), Backtest.beside_outcomes(test, own), {by: theirs}, seed)
        if found.difference.low > 0
    )


def _values(frame: pd.DataFrame, by: str) -> NDArray[np.object_]:
    """Each row's segment as text; what is missing is none."""
    return frame[by].astype("object").where(frame[by].notna(), _NOBODY).map(str).to_numpy(dtype=object)
