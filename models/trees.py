"""Boosted trees: LightGBM on encoded columns, small-leaved, grown for as long as leads held out gain by it, and the mean of several seeds.

Which rows and columns a tree sees is drawn by a seed. What bags of trees of different seeds agree on is the lead's; what they do not is luck.
Log-loss is convex in log-odds, so that their mean is never worse than they are on average (Breiman 1996, Bagging predictors; of seeds alone,
Lakshminarayanan et al. 2017).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import lightgbm as lgb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.feature import Feature
from models.backtest import held_out
from models.baseline import relative_weight
from models.categories import CATEGORICAL
from models.encoding import PLAIN, Encoder, Style
from models.shapley import shapley_values

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
_FEWEST = 10
_LEAVES_FOR = 200


@dataclass(frozen=True)
class BoostedModel:
    """LightGBM on encoded columns, stored as its own text format.

    Parameters
    ----------
    bags : trees of one seed each; what they say, and why, is their mean.
    """

    encoder: Encoder
    bags: tuple[lgb.Booster, ...]
    name: str = "boosted trees"

    def log_odds(self, frame: pd.DataFrame) -> Floats:
        """One number an example."""
        values = self.encoder.transform(frame)
        return np.asarray(np.mean([bag.predict(values, raw_score=True) for bag in self.bags], axis=0), dtype=float)

    def contributions(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Exact Shapley values, summed per feature, and "bias"."""
        names, at = self.encoder.grouped
        return pd.DataFrame(shapley_values(self.bags, self.encoder.transform(frame), at), columns=[*names, "bias"], index=frame.index)

    def importance(self) -> pd.Series:
        """Total gain a feature, the mean of the bags, largest first."""
        gain = pd.Series(np.mean([bag.feature_importance("gain") for bag in self.bags], axis=0), index=[c.feature for c in self.encoder.columns])
        return gain.groupby(level=0).sum().sort_values(ascending=False)

    def save(self, folder: Path) -> None:
        """Write encoder.json, model.lgb, and each further bag as model-2.lgb and so on."""
        for number, bag in enumerate(self.bags, start=1):
            (folder / _file(number)).write_text(bag.model_to_string(), encoding="utf-8")
        (folder / "encoder.json").write_text(json.dumps(self.encoder.to_dict(), ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        encoder = Encoder.from_dict(json.loads((folder / "encoder.json").read_text(encoding="utf-8")))
        files = itertools.takewhile(Path.is_file, (folder / _file(number) for number in itertools.count(1)))
        return cls(encoder, tuple(lgb.Booster(model_str=file.read_text(encoding="utf-8")) for file in files))


def _file(number: int) -> str:
    # The first is called as the only one was before there were bags.
    return "model.lgb" if number == 1 else f"model-{number}.lgb"


def fit_boosted(
    frame: pd.DataFrame,
    features: Sequence[Feature],
    seed: int = 7,
    params: dict[str, Any] | None = None,
    rounds: int | None = None,
    monotone: Mapping[str, int] | None = None,
    style: Style = PLAIN,
    bags: int = 1,
) -> BoostedModel:
    """Boosted trees with as many rounds as help on leads held out, then learned on all of them.

    Parameters
    ----------
    seed : of the first bag; the others follow it.
    params : LightGBM parameters over `DEFAULTS`.
    rounds : fixed number of rounds; then nothing is held back.
    monotone : feature -> 1 or -1: the log-odds may only rise, or only fall, with this number, all else being equal.
    style : how categories and texts become numbers, see `models.encoding.Style`; by default one column a frequent level or word.
    bags : of so many seeds the mean is taken. Growing them and a night's scores take as many times as long; how long to grow is found out once. The
        luck that is left has one over so many of its variance.
    """
    encoder, values = Encoder.fit_transform(frame, features, style)
    settings = {**settings_of(params, len(frame), seed), **directed(encoder, monotone)}
    lesson = lesson_of(frame, values, encoder.categorical)
    rounds = rounds or _rounds(lesson, settings)
    return BoostedModel(encoder, tuple(grown(lesson, {**settings, "seed": seed + number}, rounds) for number in range(bags)))


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


@dataclass(frozen=True)
class Lesson:
    """What trees are grown on: one row an example.

    Parameters
    ----------
    answer : what they are to say, such as whether it converted.
    judged : which rows are of the leads held out while it is found out how long to grow.
    start : where each row starts from, on the scale of the trees; None: all from the same.
    categorical : the columns that hold codes of levels, see `models.encoding.Encoder.categorical`.
    """

    values: Floats
    answer: Floats
    weight: Floats
    judged: NDArray[np.bool_]
    start: Floats | None = None
    categorical: Sequence[int] = ()

    def rows(self, which: NDArray[np.bool_], settings: dict[str, Any], like: lgb.Dataset | None = None) -> lgb.Dataset:
        """Some of it, as LightGBM wants it; cut into bins like another part."""
        bins, codes = {"max_bin": settings["max_bin"], "verbosity": -1}, list(self.categorical)
        values, answer, weight = self.values[which], self.answer[which], self.weight[which]
        start = None if self.start is None else self.start[which]
        return lgb.Dataset(values, answer, weight=weight, init_score=start, params=bins, reference=like, categorical_feature=codes)


def lesson_of(frame: pd.DataFrame, values: Floats, categorical: Sequence[int] = ()) -> Lesson:
    """Whether each example converted, from its encoded values."""
    return Lesson(values, frame["converted"].to_numpy(dtype=float), relative_weight(frame), held_out(frame["lead_id"]), categorical=categorical)


def early_stopped(lesson: Lesson, settings: dict[str, Any], callbacks: Sequence[Callable[..., None]] = ()) -> lgb.Booster | None:
    """Trees grown on three quarters of the leads for as long as the last quarter gains; None when too few of either converted.

    Stopping on the newest nights instead mistakes a moving base rate for overfitting.

    Parameters
    ----------
    settings : see `settings_of`.
    callbacks : LightGBM's, called after every round.
    """
    judged = lesson.judged
    if min(lesson.answer[judged].sum(), lesson.answer[~judged].sum()) < _FEWEST:
        return None
    learn = lesson.rows(~judged, settings)
    judge = lesson.rows(judged, settings, like=learn)
    return lgb.train(settings, learn, _MOST_ROUNDS, valid_sets=[judge], callbacks=[*callbacks, lgb.early_stopping(_PATIENCE, verbose=False)])


def grown(lesson: Lesson, settings: dict[str, Any], rounds: int | None = None) -> lgb.Booster:
    """Trees grown on all of it, for as many rounds as help on leads held out unless their number is given."""
    everything = np.ones(len(lesson.answer), dtype=bool)
    return lgb.train(settings, lesson.rows(everything, settings), rounds or _rounds(lesson, settings))


def _rounds(lesson: Lesson, settings: dict[str, Any]) -> int:
    found = early_stopped(lesson, settings)
    if found is None:
        return _FEW_ROUNDS
    # More leads bear more rounds: those held out come back for the last fit.
    return max(int(found.best_iteration * np.sqrt(4 / 3)), 20)
