"""The scorer: a model, its calibration, and the features it needs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from lightgbm.basic import LightGBMError
from numpy.typing import NDArray

from features.feature import Feature
from features.plan import Plan
from features.problem import Problem
from models.amount import AmountModel
from models.baseline import LinearModel, PointsTable
from models.blend import BLEND, BlendModel
from models.calendar import TimelessModel
from models.calibration import Map, carried, restored, sigmoid
from models.categories import FEWEST_LEADS
from models.hazard import HazardModel
from models.merit import MeritedModel
from models.reasons import Yardstick
from models.segmented import SegmentedModel
from models.trees import BoostedModel

Floats = NDArray[np.float64]


class Model(Protocol):
    """What every racer can do."""

    @property
    def name(self) -> str:
        """Which of them it is."""
        ...

    def log_odds(self, frame: pd.DataFrame) -> Floats:
        """One number an example."""
        ...

    def contributions(self, frame: pd.DataFrame) -> pd.DataFrame:
        """What each feature adds to the log-odds, and "bias"."""
        ...

    def save(self, folder: Path) -> None:
        """Write it as text."""
        ...


_MODELS: dict[str, Any] = {
    "points table": PointsTable,
    "logistic": LinearModel,
    "boosted trees": BoostedModel,
    "hazard": HazardModel,
    "trees by segment": SegmentedModel,
}


@dataclass(frozen=True)
class Scorer:
    """All that a night needs: the model, its calibration, the plan of its features, and what is usual.

    Parameters
    ----------
    last_night : the newest night it learned from; later ones are honest judges of it.
    known_until : the end of the extract it learned from. It may score any night after that, and no earlier one.
    usual, lifts : what a reason compares with: per feature, the median or most frequent value among the training leads; per level of a category, how
        many times as often as the average its leads converted.
    value : average amount of a won deal; None when no amounts are known.
    amount : what each lead would buy for; None: every lead is taken to buy for `value`, see `models.worth`.
    caveat : what must be said wherever its scores are shown; empty for a learned model.
    recent_days : how far back the nights lie by which the base rate is followed, see `models.baserate`; 0: it is not followed.
    """

    model: Model
    calibration: Map
    plan: Plan
    features: tuple[Feature, ...]
    last_night: datetime
    known_until: datetime
    base_rate: float
    usual: dict[str, Any] = field(default_factory=dict)
    value: float | None = None
    recent_days: int = 0
    caveat: str = ""
    amount: AmountModel | None = None
    lifts: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What a list says that its scores come from."""
        return self.caveat or self.model.name

    def log_odds(self, frame: pd.DataFrame) -> Floats:
        """Calibrated log-odds."""
        return self.calibration.apply(self.model.log_odds(frame))

    def probability(self, frame: pd.DataFrame) -> Floats:
        """How likely each lead is to convert within the horizon."""
        return sigmoid(self.log_odds(frame))

    @property
    def yardstick(self) -> Yardstick:
        """What a lead is compared with, for a reason's words."""
        return Yardstick(self.usual, self.lifts, self.plan.outcome.words.rate)

    def average(self) -> pd.DataFrame:
        """One row of features that are nobody's: what is usual of each, typed as a night has it, "" where nothing is."""
        usual = {feature.name: self.usual.get(feature.name) for feature in self.features}
        numbers = {feature.name for feature in self.features if feature.kind in ("number", "flag")}
        return pd.DataFrame({name: [float("nan" if value is None else value) if name in numbers else value or ""] for name, value in usual.items()})

    def contributions(self, frame: pd.DataFrame) -> pd.DataFrame:
        """What each feature adds to the calibrated log-odds, and "bias"; rows sum to `log_odds`."""
        return carried(self.model.contributions(frame), self.calibration)

    def amounts(self, frame: pd.DataFrame) -> Floats:
        """What each lead would buy for if it bought, in money: its own amount, or the average where a model was no better; NaN where none is known.

        Probability times this is what a lead is worth on average.
        """
        if self.amount is None:
            return np.full(len(frame), np.nan if self.value is None else self.value)
        return self.amount.of(frame)

    def shifted(self, by: float) -> Scorer:
        """The same scorer after the base rate has moved: see `models.baserate.recent_shift`."""
        return replace(self, calibration=self.calibration.shifted(by))

    def save(self, folder: Path) -> None:
        """Write scorer.json, the model's own files and, where there is one, the amount model's."""
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save(folder)
        if self.amount:
            self.amount.save(folder)
        stored = {
            "model": self.model.name,
            "calibration": asdict(self.calibration),
            "plan": self.plan.to_dict(),
            "features": [asdict(f) for f in self.features],
            "last_night": self.last_night.isoformat(),
            "known_until": self.known_until.isoformat(),
            "base_rate": self.base_rate,
            "usual": self.usual,
            "value": self.value,
            "recent_days": self.recent_days,
            "caveat": self.caveat,
            "lifts": self.lifts,
        }
        (folder / "scorer.json").write_text(json.dumps(stored, ensure_ascii=False, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Scorer:
        """Read what `save` wrote; nothing stored is ever executed.

        Raises
        ------
        Problem : a newer version of the product made it, of a kind that this one does not know; or its files are damaged, or no such texts.
        """
        try:
            return cls._read(folder)
        except (OSError, ValueError, LookupError, TypeError, AttributeError, LightGBMError) as error:
            raise Problem(
                f"The stored model in {folder} cannot be read ({type(error).__name__}): put back a copy of it, or run `leadscore train`."
            ) from error

    @classmethod
    def _read(cls, folder: Path) -> Scorer:
        stored = json.loads((folder / "scorer.json").read_text(encoding="utf-8"))
        return cls(
            _loaded(folder, stored["model"]),
            restored(stored["calibration"]),
            Plan.from_dict(stored["plan"]),
            tuple(Feature(**one) for one in stored["features"]),
            datetime.fromisoformat(stored["last_night"]),
            datetime.fromisoformat(stored["known_until"]),
            stored["base_rate"],
            stored["usual"],
            stored["value"],
            stored.get("recent_days", 0),
            stored.get("caveat", ""),
            AmountModel.load(folder),
            stored.get("lifts", {}),
        )


def _loaded(folder: Path, kind: str) -> Any:
    """A model from its folder; the members of a blend lie in folders below it."""
    if kind == BLEND:
        return BlendModel.load(folder, _loaded)
    if kind not in _MODELS:
        raise Problem(f"The stored model is of a kind ({kind}) that this version of leadscore does not know: install a newer one.")
    return TimelessModel.load(folder, MeritedModel.load(folder, _MODELS[kind].load(folder)))


def base_rate_of(answered: pd.DataFrame) -> float:
    """The share of ripe examples that converted."""
    return float(np.average(answered["converted"].astype(float), weights=answered["weight"]))


def usual_values(frame: pd.DataFrame, features: Sequence[Feature]) -> dict[str, Any]:
    """What is usual: the median of a number, the most frequent value of anything else; None when mostly missing.

    Of texts none is usual that fewer than twenty leads share: it would be somebody's own.
    """
    usual: dict[str, Any] = {}
    for feature in features:
        values = frame[feature.name].dropna()
        if values.empty:
            usual[feature.name] = None
        elif feature.kind in ("number", "flag"):
            usual[feature.name] = float(values.median())
        else:
            most = values.mode().iloc[0]
            shared = feature.kind != "text" or frame.loc[values.index[values == most], "lead_id"].nunique() >= FEWEST_LEADS
            usual[feature.name] = str(most) if shared else None
    return usual


def lifts_of(answered: pd.DataFrame, features: Sequence[Feature]) -> dict[str, dict[str, float]]:
    """How many times as often as the average the leads at each level of a category converted, for the levels of at least twenty leads.

    A lead counts once, by its newest ripe night. A level of few leads is drawn towards the average by twenty leads' worth of it.

    >>> leads = pd.DataFrame({"lead_id": map(str, range(200)), "source": ["referral", "web", "web", "web"] * 50, "converted": [True, False] * 100})
    >>> lifts_of(leads, [Feature("source", "category", "source", "source: {value}")])
    {'source': {'referral': 1.71, 'web': 0.71}}
    """
    leads = answered.drop_duplicates("lead_id", keep="last")
    average = float(leads["converted"].mean())
    found: dict[str, dict[str, float]] = {}
    for feature in features:
        if feature.kind == "category" and average:
            counts = leads["converted"].astype(float).groupby(leads[feature.name]).agg(["size", "sum"])
            many = counts[counts["size"] >= FEWEST_LEADS]
            rate = (many["sum"] + FEWEST_LEADS * average) / (many["size"] + FEWEST_LEADS)
            found[feature.name] = {str(level): round(float(lift), 2) for level, lift in (rate / average).items()}
    return found
