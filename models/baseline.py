"""The points table that sales uses today, and a logistic model: always in the race, so that boosting has to earn its place."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from features.feature import Feature
from models.encoding import Encoder

Floats = NDArray[np.float64]
_FAR = 4.0


@dataclass(frozen=True)
class LinearModel:
    """Log-odds as a weighted sum of encoded columns: exactly as explainable as it looks.

    Numbers enter as signed logarithms, so that the tenth page view counts less than the first; a missing number enters as the average of training.
    """

    name: str
    encoder: Encoder
    centre: Floats
    scale: Floats
    weights: Floats
    intercept: float

    def log_odds(self, frame: pd.DataFrame) -> Floats:
        """One number an example; above zero means more likely than not."""
        return np.asarray(_standard(self.encoder.transform(frame), self.centre, self.scale) @ self.weights + self.intercept)

    def contributions(self, frame: pd.DataFrame) -> pd.DataFrame:
        """What each feature adds to the log-odds, and "bias"; rows sum to `log_odds`."""
        each = _standard(self.encoder.transform(frame), self.centre, self.scale) * self.weights
        return by_feature(each, self.encoder, np.full(len(frame), self.intercept), frame.index)

    def save(self, folder: Path) -> None:
        """Write model.json."""
        arrays = {name: getattr(self, name).tolist() for name in ("centre", "scale", "weights")}
        stored = {"name": self.name, "encoder": self.encoder.to_dict(), "intercept": self.intercept, **arrays}
        (folder / "model.json").write_text(json.dumps(stored, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        stored: dict[str, Any] = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        arrays = {name: np.array(stored[name], dtype=float) for name in ("centre", "scale", "weights")}
        return cls(stored["name"], Encoder.from_dict(stored["encoder"]), intercept=stored["intercept"], **arrays)


def by_feature(each: Floats, encoder: Encoder, bias: Floats, index: pd.Index) -> pd.DataFrame:
    """Contributions of encoded columns, summed per feature."""
    names = list(dict.fromkeys(column.feature for column in encoder.columns))
    at = np.array([names.index(column.feature) for column in encoder.columns], dtype=int)
    summed = np.zeros((len(each), len(names)))
    np.add.at(summed.T, at, each.T)
    return pd.DataFrame(summed, columns=names, index=index).assign(bias=bias)


def _standard(values: Floats, centre: Floats, scale: Floats) -> Floats:
    logged = np.sign(values) * np.log1p(np.abs(values))
    # A line must not be followed far beyond what it was drawn through.
    return np.clip(np.nan_to_num((logged - centre) / scale, nan=0.0), -_FAR, _FAR)


def fit_logistic(frame: pd.DataFrame, features: Sequence[Feature], seed: int = 7, strength: float = 0.05) -> LinearModel:
    """A logistic model with ridge penalty.

    Parameters
    ----------
    strength : scikit-learn's C. 0.05: held tightly, since snapshots of a lead repeat each other.
    """
    encoder = Encoder.fit(frame, features)
    values = encoder.transform(frame)
    logged = np.sign(values) * np.log1p(np.abs(values))
    with np.errstate(invalid="ignore"):
        centre = np.nan_to_num(np.nanmean(np.where(np.isnan(logged).all(axis=0), 0.0, logged), axis=0))
        scale = np.nanstd(np.where(np.isnan(logged).all(axis=0), 0.0, logged), axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    model = LogisticRegression(C=strength, max_iter=300, random_state=seed)
    model.fit(_standard(values, centre, scale), frame["converted"].to_numpy(dtype=bool), sample_weight=frame["weight"].to_numpy(dtype=float))
    return LinearModel("logistic", encoder, centre, scale, model.coef_[0], float(model.intercept_[0]))


@dataclass(frozen=True)
class PointsTable:
    """What sales uses today: a few fields, each value worth so many points, the sum read off as a conversion rate.

    Points are whole numbers, so that a rep can add them up; the rates behind the sums come from history.
    """

    name: str
    kinds: dict[str, str]
    points: dict[str, list[tuple[str, int]]]
    edges: dict[str, list[float]]
    slope: float
    intercept: float

    def log_odds(self, frame: pd.DataFrame) -> Floats:
        """One number an example."""
        return np.asarray(self.intercept + self.slope * self._points(frame).sum(axis=1).to_numpy())

    def contributions(self, frame: pd.DataFrame) -> pd.DataFrame:
        """What each field's points add to the log-odds, and "bias"."""
        return (self._points(frame) * self.slope).assign(bias=self.intercept)

    def table(self) -> pd.DataFrame:
        """The table as a person reads it: field, value, points."""
        rows = [(field, level, points) for field, levels in self.points.items() for level, points in levels]
        return pd.DataFrame(rows, columns=["field", "value", "points"])

    def _points(self, frame: pd.DataFrame) -> pd.DataFrame:
        worth = {f: bands(frame[f], self.edges.get(f)).map(dict(levels)).fillna(0).to_numpy(dtype=float) for f, levels in self.points.items()}
        return pd.DataFrame(worth, index=frame.index)

    def save(self, folder: Path) -> None:
        """Write model.json."""
        (folder / "model.json").write_text(json.dumps(self.__dict__, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        return cls(**json.loads((folder / "model.json").read_text(encoding="utf-8")))


def bands(values: pd.Series, edges: list[float] | None) -> pd.Series:
    """A field in the bands of a points table: its level, or between which edges a number lies."""
    if edges is None:
        return values.astype("object").where(values.notna(), "missing").astype(str)
    texts = np.array([f"below {edges[0]:g}", *(f"{a:g} to {b:g}" for a, b in pairwise(edges)), f"{edges[-1]:g} or more", "missing"])
    numbers = values.to_numpy(dtype=float, na_value=np.nan)
    return pd.Series(texts[np.where(np.isnan(numbers), len(texts) - 1, np.searchsorted(edges, numbers, side="right"))], index=values.index)


def fit_points(frame: pd.DataFrame, features: Sequence[Feature], seed: int = 7, fields: int = 6) -> PointsTable:
    """Choose the few most telling fields and give each of their values points.

    Parameters
    ----------
    fields : how many fields a rep can keep in mind. 6.
    """
    converted = frame["converted"].to_numpy(dtype=bool)
    scored: list[tuple[float, str, str]] = []
    worth: dict[str, dict[str, float]] = {}
    edges: dict[str, list[float]] = {}
    chosen = [f for f in features if f.kind != "text"]
    for feature in chosen:
        values = frame[feature.name]
        if feature.kind in ("number", "flag"):
            cuts = sorted(set(np.nanquantile(values.to_numpy(dtype=float, na_value=np.nan), [0.5, 0.8, 0.95]))) if values.notna().any() else []
            if not cuts:
                continue
            edges[feature.name] = [float(cut) for cut in cuts]
        worth[feature.name], told = _evidence(bands(values, edges.get(feature.name)), converted)
        scored.append((told, feature.name, feature.field))
    best: dict[str, str] = {}
    for _, name, field in sorted(scored, reverse=True):
        best.setdefault(field, name)
    picked = list(best.values())[:fields]
    points = {name: [(level, round(5 * value)) for level, value in sorted(worth[name].items())] for name in picked}
    blank = PointsTable("points table", {f.name: f.kind for f in chosen}, points, {n: edges[n] for n in picked if n in edges}, 1.0, 0.0)
    line = LogisticRegression(C=1e6).fit(blank.log_odds(frame)[:, None], converted, sample_weight=frame["weight"].to_numpy(dtype=float))
    return PointsTable(blank.name, blank.kinds, points, blank.edges, float(line.coef_[0, 0]), float(line.intercept_[0]))


def _evidence(levels: pd.Series, converted: NDArray[np.bool_]) -> tuple[dict[str, float], float]:
    """Weight of evidence of each level (smoothed by twenty examples at the overall rate), and the field's information value."""
    base = converted.mean()
    counts = pd.DataFrame({"level": levels.to_numpy(), "won": converted}).groupby("level")["won"].agg(["sum", "count"])
    rate = (counts["sum"] + 20 * base) / (counts["count"] + 20)
    evidence = np.log(rate / (1 - rate)) - np.log(base / (1 - base))
    won, lost = counts["sum"] / converted.sum(), (counts["count"] - counts["sum"]) / (~converted).sum()
    return evidence.to_dict(), float(((won - lost) * evidence).sum())
