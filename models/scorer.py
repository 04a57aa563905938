"""Boosted trees; and the scorer: a model, its calibration, and the features it needs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, Self

import lightgbm as lgb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.feature import Feature
from features.plan import Plan
from features.problem import Problem
from models.amount import AmountModel
from models.backtest import held_out
from models.baseline import LinearModel, PointsTable, by_feature, relative_weight
from models.calibration import Map, carried, restored, sigmoid
from models.categories import CATEGORICAL
from models.encoding import PLAIN, Encoder, Style
from models.merit import MeritedModel

Floats = NDArray[np.float64]

DEFAULTS: dict[str, Any] = {
    "learning_rate": 0.1,
    "num_leaves": 6,
    "min_data_in_leaf": 300,
    "feature_fraction": 0.3,
    "bagging_fraction": 0.5,
    "lambda_l2": 100.0,
    "max_bin": 63,
}
"""Small-leaved and strongly held: snapshots of a lead repeat each other, so a leaf needs many of them before it has seen many leads."""
_FIXED = {"objective": "binary", "verbosity": -1, "bagging_freq": 1, "deterministic": True, "force_col_wise": True}
_MOST_ROUNDS, _PATIENCE, _FEW_ROUNDS = 800, 40, 60
_LEAVES_FOR = 200


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


@dataclass(frozen=True)
class BoostedModel:
    """LightGBM on encoded columns, stored as its own text format."""

    encoder: Encoder
    booster: lgb.Booster
    name: str = "boosted trees"

    def log_odds(self, frame: pd.DataFrame) -> Floats:
        """One number an example."""
        return np.asarray(self.booster.predict(self.encoder.transform(frame), raw_score=True), dtype=float)

    def contributions(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Exact TreeSHAP values, summed per feature, and "bias". Source: Lundberg et al. (2020)."""
        each = np.asarray(self.booster.predict(self.encoder.transform(frame), pred_contrib=True), dtype=float)
        return by_feature(each[:, :-1], self.encoder, each[:, -1], frame.index)

    def importance(self) -> pd.Series:
        """Total gain a feature, largest first."""
        gain = pd.Series(self.booster.feature_importance("gain"), index=[c.feature for c in self.encoder.columns])
        return gain.groupby(level=0).sum().sort_values(ascending=False)

    def save(self, folder: Path) -> None:
        """Write model.lgb and encoder.json."""
        (folder / "model.lgb").write_text(self.booster.model_to_string(), encoding="utf-8")
        (folder / "encoder.json").write_text(json.dumps(self.encoder.to_dict(), ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        encoder = Encoder.from_dict(json.loads((folder / "encoder.json").read_text(encoding="utf-8")))
        return cls(encoder, lgb.Booster(model_str=(folder / "model.lgb").read_text(encoding="utf-8")))


def fit_boosted(
    frame: pd.DataFrame,
    features: Sequence[Feature],
    seed: int = 7,
    params: dict[str, Any] | None = None,
    rounds: int | None = None,
    monotone: Mapping[str, int] | None = None,
    style: Style = PLAIN,
) -> BoostedModel:
    """Boosted trees with as many rounds as help on leads held out, then learned on all of them.

    Parameters
    ----------
    params : LightGBM parameters over `DEFAULTS`.
    rounds : fixed number of rounds; then nothing is held back.
    monotone : feature -> 1 or -1: the log-odds may only rise, or only fall, with this number, all else being equal.
    style : how categories and texts become numbers, see `models.encoding.Style`; by default one column a frequent level or word.
    """
    encoder, values = Encoder.fit_transform(frame, features, style)
    settings = {**settings_of(params, len(frame), seed), **directed(encoder, monotone)}
    rounds = rounds or _rounds(frame, values, settings, encoder.categorical)
    return BoostedModel(encoder, lgb.train(settings, _dataset(frame, values, settings, encoder.categorical), rounds))


def settings_of(params: dict[str, Any] | None, rows: int, seed: int) -> dict[str, Any]:
    """LightGBM's settings: `params` over the defaults, leaves small enough for a small table."""
    settings = {**_FIXED, **CATEGORICAL, **DEFAULTS, **(params or {}), "seed": seed}
    return {**settings, "min_data_in_leaf": max(5, min(settings["min_data_in_leaf"], rows // _LEAVES_FOR))}


def directed(encoder: Encoder, monotone: Mapping[str, int] | None) -> dict[str, Any]:
    """LightGBM's settings by which the columns of some numbers may only raise the log-odds, or only lower them; nothing where none is named.

    >>> from models.encoding import Column
    >>> encoder = Encoder((Column("employees", "employees"), Column("source = web", "source", "web")), {})
    >>> directed(encoder, {"employees": 1})["monotone_constraints"]
    [1, 0]
    """
    signs = [(monotone or {}).get(column.feature, 0) if column.level is None else 0 for column in encoder.columns]
    # The basic method, which LightGBM has by default, holds trees back more than it has to.
    return {"monotone_constraints": signs, "monotone_constraints_method": "intermediate"} if any(signs) else {}


def _dataset(
    frame: pd.DataFrame, values: Floats, settings: dict[str, Any], categorical: Sequence[int], like: lgb.Dataset | None = None
) -> lgb.Dataset:
    bins = {"max_bin": settings["max_bin"], "verbosity": -1}
    won, weight = frame["converted"].to_numpy(dtype=float), relative_weight(frame)
    return lgb.Dataset(values, won, weight=weight, params=bins, reference=like, categorical_feature=list(categorical))


def early_stopped(
    frame: pd.DataFrame,
    values: Floats,
    settings: dict[str, Any],
    categorical: Sequence[int] = (),
    callbacks: Sequence[Callable[..., None]] = (),
) -> lgb.Booster | None:
    """Trees grown on three quarters of the leads for as long as the last quarter gains; None when too few of either converted.

    Stopping on the newest nights instead mistakes a moving base rate for overfitting.

    Parameters
    ----------
    values : the encoded frame.
    settings : see `settings_of`.
    categorical : the columns that hold codes of levels, see `models.encoding.Encoder.categorical`.
    callbacks : LightGBM's, called after every round.
    """
    judged = held_out(frame["lead_id"])
    if min(frame.loc[judged, "converted"].sum(), frame.loc[~judged, "converted"].sum()) < 10:
        return None
    learn = _dataset(frame[~judged], values[~judged], settings, categorical)
    judge = _dataset(frame[judged], values[judged], settings, categorical, like=learn)
    return lgb.train(settings, learn, _MOST_ROUNDS, valid_sets=[judge], callbacks=[*callbacks, lgb.early_stopping(_PATIENCE, verbose=False)])


def _rounds(frame: pd.DataFrame, values: Floats, settings: dict[str, Any], categorical: Sequence[int]) -> int:
    found = early_stopped(frame, values, settings, categorical)
    if found is None:
        return _FEW_ROUNDS
    # More leads bear more rounds: those held out come back for the last fit.
    return max(int(found.best_iteration * np.sqrt(4 / 3)), 20)


_MODELS: dict[str, Any] = {"points table": PointsTable, "logistic": LinearModel, "boosted trees": BoostedModel}


@dataclass(frozen=True)
class Scorer:
    """All that a night needs: the model, its calibration, the plan of its features, and what is usual.

    Parameters
    ----------
    last_night : the newest night it learned from; later ones are honest judges of it.
    known_until : the end of the extract it learned from. It may score any night after that, and no earlier one.
    usual : per feature, the median or most frequent value among the training leads: what a reason compares with.
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
        }
        (folder / "scorer.json").write_text(json.dumps(stored, ensure_ascii=False, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Scorer:
        """Read what `save` wrote; nothing stored is ever executed.

        Raises
        ------
        Problem : a newer version of the product made it, of a kind that this one does not know.
        """
        stored = json.loads((folder / "scorer.json").read_text(encoding="utf-8"))
        if stored["model"] not in _MODELS:
            raise Problem(f"The stored model is of a kind ({stored['model']}) that this version of leadscore does not know: install a newer one.")
        return cls(
            MeritedModel.load(folder, _MODELS[stored["model"]].load(folder)),
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
        )


def base_rate_of(answered: pd.DataFrame) -> float:
    """The share of ripe examples that converted."""
    return float(np.average(answered["converted"].astype(float), weights=answered["weight"]))


def usual_values(frame: pd.DataFrame, features: Sequence[Feature]) -> dict[str, Any]:
    """What is usual: the median of a number, the most frequent value of anything else; None when mostly missing."""
    usual: dict[str, Any] = {}
    for feature in features:
        values = frame[feature.name].dropna()
        if values.empty:
            usual[feature.name] = None
        elif feature.kind in ("number", "flag"):
            usual[feature.name] = float(values.median())
        else:
            usual[feature.name] = str(values.mode().iloc[0])
    return usual
