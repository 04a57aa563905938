"""A blend: the racers' log-odds added up, each with a weight that is never negative.

Racers that err on different leads know more together than the best of them does alone. How much each counts is learned from nights that none of
them had seen, so that one that learns its past by heart gains nothing by it (stacking: Breiman 1996; with weights that are not negative: Ting and
Witten 1999). A blend costs as much to train and to score as all its members do; whether it is worth that, `models.leader` finds out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from scipy.optimize import minimize

from models.calibration import Bools, Floats, log_loss_of, sigmoid

BLEND = "blend"
LEAST_SHARE = 0.05
"""A racer that counts for less is left out: a night would wait for it, and nobody would see the difference."""
_PRIOR = 0.5


@dataclass(frozen=True)
class Blend:
    """How much the log-odds of each racer count, and what is added to their sum.

    Parameters
    ----------
    weights : racer -> its weight, above zero; racers that count for nothing are not named.

    >>> half = Blend({"logistic": 0.5, "hazard": 0.5}, intercept=0.1)
    >>> half.of({"logistic": np.array([1.0]), "hazard": np.array([-2.0]), "points table": np.array([9.0])}).tolist(), half.made_of
    ([-0.4], '50 % logistic and 50 % hazard')
    """

    weights: Mapping[str, float]
    intercept: float = 0.0

    @property
    def members(self) -> tuple[str, ...]:
        """The racers that it is made of."""
        return tuple(self.weights)

    def of(self, log_odds: Mapping[str, Floats]) -> Floats:
        """Log-odds of the blend, from those of its racers."""
        return np.asarray(sum((weight * log_odds[name] for name, weight in self.weights.items()), np.float64(self.intercept)))

    @property
    def made_of(self) -> str:
        """Its racers and their shares in words, the largest first; weights need not sum to one, shares do."""
        total = sum(self.weights.values())
        ordered = sorted(self.weights.items(), key=lambda one: -one[1])
        *others, last = [f"{100 * weight / total:.0f} % {name}" for name, weight in ordered]
        return f"{', '.join(others)} and {last}" if others else last


def fit_blend(log_odds: Mapping[str, Floats], converted: Bools, weight: Floats) -> Blend:
    """The weights with the lowest log-loss, none of them negative, held near the best racer alone.

    Each weight has a normal prior of standard deviation 0.5 around what it is in the best racer alone: 1 for that one, 0 for every other. With
    hundreds of conversions it is hardly felt; with twenty it keeps luck from making odd weights. Racers whose share comes to less than a twentieth
    are left out and the others learned again. A blend of one is that racer as it is: to bend its log-odds is the business of calibration.

    Parameters
    ----------
    log_odds : racer -> its log-odds of examples that it had not seen.
    weight : in leads, as for `models.calibration.fit_isotonic`, so that the prior weighs as much as it says.
    """
    names = list(log_odds)
    while True:
        best = min(names, key=lambda name: log_loss_of(converted, log_odds[name], weight))
        if converted.all() or not converted.any():
            return Blend({best: 1.0})
        *found, intercept = _weights(np.column_stack([log_odds[name] for name in names]), converted, weight, names.index(best))
        kept = [name for name, each in zip(names, found, strict=True) if each >= LEAST_SHARE * sum(found)]
        if len(kept) < 2 or not sum(found):
            return Blend({kept[0] if len(kept) == 1 else best: 1.0})
        if kept == names:
            return Blend(dict(zip(names, found, strict=True)), intercept)
        names = kept


def _weights(columns: Floats, converted: Bools, weight: Floats, best: int) -> list[float]:
    """One weight a column, and the intercept, on which nothing holds: the base rate is known best of all."""
    table, share, y = np.column_stack([columns, np.ones(len(columns))]), weight / weight.sum(), converted.astype(float)
    start = np.eye(table.shape[1])[best]
    held = np.append(np.full(columns.shape[1], 1 / (_PRIOR**2 * weight.sum())), 0.0)

    def loss(at: Floats) -> tuple[float, Floats]:
        line, away = table @ at, at - start
        value = share @ (np.logaddexp(0, line) - y * line) + away @ (held * away) / 2
        return float(value), table.T @ (share * (sigmoid(line) - y)) + held * away

    bounds = [(0.0, None)] * columns.shape[1] + [(None, None)]
    found = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B", options={"maxiter": 500, "ftol": 1e-13, "gtol": 1e-9})
    return [round(float(value), 6) for value in found.x]


@dataclass(frozen=True)
class BlendModel:
    """The models of a blend's racers, and how much each of them counts.

    Parameters
    ----------
    models : racer -> what it has learned, for each that the blend names.
    """

    blend: Blend
    models: Mapping[str, Any]
    name: str = BLEND

    def log_odds(self, frame: pd.DataFrame) -> Floats:
        """One number an example."""
        return self.blend.of({name: np.asarray(self.models[name].log_odds(frame)) for name in self.blend.members})

    def contributions(self, frame: pd.DataFrame) -> pd.DataFrame:
        """What each feature adds to the log-odds, and "bias": those of the members by their weights; rows sum to `log_odds`."""
        summed = pd.DataFrame({"bias": np.full(len(frame), self.blend.intercept)}, index=frame.index)
        for name, weight in self.blend.weights.items():
            summed = summed.add(self.models[name].contributions(frame) * weight, fill_value=0.0)
        return summed[[*summed.columns.drop("bias"), "bias"]]

    def save(self, folder: Path) -> None:
        """Write blend.json, and each member's own files into a folder of its own."""
        members = [
            {"racer": racer, "weight": weight, "model": self.models[racer].name, "folder": f"member_{number}"}
            for number, (racer, weight) in enumerate(self.blend.weights.items(), start=1)
        ]
        for member in members:
            (folder / str(member["folder"])).mkdir(exist_ok=True)
            self.models[str(member["racer"])].save(folder / str(member["folder"]))
        stored = {"intercept": self.blend.intercept, "members": members}
        (folder / "blend.json").write_text(json.dumps(stored, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, load: Callable[[Path, str], Any]) -> Self:
        """Read what `save` wrote.

        Parameters
        ----------
        load : reads a member from its folder, given the name of its kind.
        """
        stored = json.loads((folder / "blend.json").read_text(encoding="utf-8"))
        members = stored["members"]
        models = {member["racer"]: load(folder / member["folder"], member["model"]) for member in members}
        return cls(Blend({member["racer"]: member["weight"] for member in members}, stored["intercept"]), models)
