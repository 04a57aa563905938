"""The points table that sales uses today, and a logistic model: always in the race, so that boosting has to earn its place."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from features.feature import Feature
from models.calibration import fit_sigmoid
from models.categories import FEWEST_LEADS
from models.encoding import Encoder, bands, edges_of, require

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
        return np.asarray(self._columns(frame) @ self.weights + self.intercept)

    def contributions(self, frame: pd.DataFrame) -> pd.DataFrame:
        """What each feature adds to the log-odds, and "bias"; rows sum to `log_odds`."""
        each = self._columns(frame) * self.weights
        return by_feature(each, self.encoder, np.full(len(frame), self.intercept), frame.index)

    def _columns(self, frame: pd.DataFrame) -> Floats:
        return _standard(_logged(self.encoder.transform(frame)), self.centre, self.scale)

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
    names, at = encoder.grouped
    summed = np.zeros((len(each), len(names)))
    np.add.at(summed.T, at, each.T)
    return pd.DataFrame(summed, columns=names, index=index).assign(bias=bias)


def _logged(values: Floats) -> Floats:
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)))


def _standard(logged: Floats, centre: Floats, scale: Floats) -> Floats:
    # A line must not be followed far beyond what it was drawn through.
    return np.clip(np.nan_to_num((logged - centre) / scale, nan=0.0), -_FAR, _FAR)


def relative_weight(frame: pd.DataFrame) -> Floats:
    """Weights of mean one: how many nights a sampled example stands for says nothing of how strongly to hold a model."""
    weight = frame["weight"].to_numpy(dtype=float)
    return np.asarray(weight / weight.mean())


def fit_logistic(frame: pd.DataFrame, features: Sequence[Feature], seed: int = 7, strength: float = 0.05) -> LinearModel:
    """A logistic model with ridge penalty.

    Parameters
    ----------
    strength : scikit-learn's C. 0.05: held tightly, since snapshots of a lead repeat each other.
    """
    encoder = Encoder.fit(frame, features)
    converted, weight = frame["converted"].to_numpy(dtype=bool), relative_weight(frame)
    if not encoder.columns:
        none = np.zeros(0)
        rate = float(np.average(converted, weights=weight))
        return LinearModel("logistic", encoder, none, none, none, float(np.log(rate / (1 - rate))))
    logged = _logged(encoder.transform(frame))
    with np.errstate(invalid="ignore"):
        told = np.where(np.isnan(logged).all(axis=0), 0.0, logged)
        centre, scale = np.nanmean(told, axis=0), np.nanstd(told, axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    # Many rows and few columns: Newton's method with a Cholesky factor takes a handful of steps.
    model = LogisticRegression(C=strength, max_iter=300, random_state=seed, solver="newton-cholesky")
    model.fit(_standard(logged, centre, scale), converted, sample_weight=weight)
    return LinearModel("logistic", encoder, centre, scale, model.coef_[0], float(model.intercept_[0]))


@dataclass(frozen=True)
class PointsTable:
    """What sales uses today: a few fields, each value worth so many points, the sum read off as a conversion rate.

    Points are whole numbers, so that a rep can add them up; the rates behind the sums come from history.
    """

    name: str
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
        require(self.points, frame)
        worth = {f: bands(frame[f], self.edges.get(f)).map(dict(levels)).fillna(0).to_numpy(dtype=float) for f, levels in self.points.items()}
        return pd.DataFrame(worth, index=frame.index)

    def save(self, folder: Path) -> None:
        """Write model.json."""
        (folder / "model.json").write_text(json.dumps(self.__dict__, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        stored = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        points = {field: [(level, worth) for level, worth in levels] for field, levels in stored["points"].items()}
        return cls(**{**stored, "points": points})


def fit_points(frame: pd.DataFrame, features: Sequence[Feature], fields: int = 6) -> PointsTable:
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
            cuts = edges_of(values, [0.5, 0.8, 0.95])
            if not cuts:
                continue
            edges[feature.name] = cuts
        worth[feature.name], told = _evidence(bands(values, edges.get(feature.name)), frame["lead_id"], converted)
        scored.append((told, feature.name, feature.field))
    best: dict[str, str] = {}
    for _, name, field in sorted(scored, reverse=True):
        best.setdefault(field, name)
    picked = list(best.values())[:fields]
    points = {name: [(level, round(5 * value)) for level, value in sorted(worth[name].items())] for name in picked}
    blank = PointsTable("points table", points, {n: edges[n] for n in picked if n in edges}, 1.0, 0.0)
    line = fit_sigmoid(blank.log_odds(frame), converted, relative_weight(frame))
    return PointsTable(blank.name, points, blank.edges, line.slope, line.intercept)


def _evidence(levels: pd.Series, leads: pd.Series, converted: NDArray[np.bool_]) -> tuple[dict[str, float], float]:
    """Weight of evidence of each level (smoothed by twenty examples at the overall rate), and the field's information value.

    A level of less than twenty leads is worth nothing: it would be learned by heart.
    """
    base = converted.mean()
    each = pd.DataFrame({"level": levels.to_numpy(), "won": converted, "lead": leads.to_numpy()}).groupby("level")
    counts = each["won"].agg(["sum", "count"])[each["lead"].nunique() >= FEWEST_LEADS]
    rate = (counts["sum"] + 20 * base) / (counts["count"] + 20)
    evidence = np.log(rate / (1 - rate)) - np.log(base / (1 - base))
    won, lost = counts["sum"] / converted.sum(), (counts["count"] - counts["sum"]) / (~converted).sum()
    return evidence.to_dict(), float(((won - lost) * evidence).sum())
