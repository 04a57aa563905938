"""What a lead would buy for, learned from what others paid: two kinds of trees, and what is done about the largest deals.

Every lead counts once, however many of its nights are looked at. Amounts above the 99th percentile, and always the two largest, enter as the next
smaller one (winsorised), into the learning and into the comparison: one deal of a hundred times the usual size decides neither what a leaf says nor
who wins. What was cut off is given back to everybody in proportion, the same share to whoever competes, so that the sum stays true.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.feature import Feature
from models.backtest import quarter_of
from models.encoding import Encoder

Floats = NDArray[np.float64]
_LARGEST, _FEWEST_LARGEST = 0.01, 2
_MOST_ROUNDS, _PATIENCE, _FEWEST_ROUNDS = 300, 20, 5
# Weights sum to one a lead, so that a leaf holds ten leads or more and is drawn to the rest as if by ten others.
_SETTINGS: dict[str, Any] = {
    "learning_rate": 0.1,
    "num_leaves": 6,
    "min_data_in_leaf": 10,
    "min_sum_hessian_in_leaf": 10.0,
    "lambda_l2": 10.0,
    "feature_fraction": 0.5,
    "max_bin": 63,
    "verbosity": -1,
    "deterministic": True,
    "force_col_wise": True,
}


@dataclass(frozen=True)
class AmountModel:
    """Boosted trees for the logarithm of an amount, and the factor that makes a mean of it.

    Parameters
    ----------
    factor : expected amount over exp(trees): back-transformation, balance, and what was cut off the largest amounts.
    """

    name: str
    encoder: Encoder
    booster: lgb.Booster
    factor: float = 1.0

    def of(self, frame: pd.DataFrame) -> Floats:
        """The amount that each lead would buy for on average, if it bought; in money."""
        return np.asarray(self.factor * np.exp(self.booster.predict(self.encoder.transform(frame), raw_score=True)), dtype=float)

    def times(self, level: float) -> AmountModel:
        """The same with every amount so many times as large."""
        return replace(self, factor=self.factor * level)

    def save(self, folder: Path) -> None:
        """Write amount.lgb and amount.json."""
        (folder / "amount.lgb").write_text(self.booster.model_to_string(), encoding="utf-8")
        stored = {"name": self.name, "factor": self.factor, "encoder": self.encoder.to_dict()}
        (folder / "amount.json").write_text(json.dumps(stored, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> AmountModel | None:
        """Read what `save` wrote; None where nothing is: of models before there were amounts, and of those for which the average stayed."""
        if not (folder / "amount.json").is_file():
            return None
        stored = json.loads((folder / "amount.json").read_text(encoding="utf-8"))
        booster = lgb.Booster(model_str=(folder / "amount.lgb").read_text(encoding="utf-8"))
        return cls(stored["name"], Encoder.from_dict(stored["encoder"]), booster, stored["factor"])


def winsorised(past: pd.DataFrame) -> tuple[float, float]:
    """Above what amounts are cut for learning, and how many times as large as the average of what is left the true average is.

    >>> deals = pd.DataFrame({"amount": [100.0] * 79 + [10_000.0], "weight": 1.0})
    >>> [round(value, 2) for value in winsorised(deals)]
    [100.0, 2.24]
    """
    amount, weight = (past[name].to_numpy(dtype=float) for name in ("amount", "weight"))
    # Half a lead more: sums of thirds and quarters are not exact.
    largest = max(_LARGEST, (_FEWEST_LARGEST + 0.5) / weight.sum())
    cap = float(np.quantile(amount, 1 - largest, weights=weight, method="inverted_cdf"))
    return cap, float(weight @ amount / (weight @ np.minimum(amount, cap)))


def fit_log_normal(past: pd.DataFrame, features: Sequence[Feature], seed: int = 7) -> AmountModel:
    """Squared error on the logarithm, and back by Duan's smearing: the mean of amount / exp(expected logarithm).

    exp(expected logarithm) is nearly the median, a fifth too low where amounts scatter by a factor of two. exp(variance / 2) mends that for a normal
    residual and no other; the smearing estimate does so whatever its shape is (Duan 1983). It is taken on leads that the trees had not seen: what
    trees leave of their own leads is too small. An amount of zero has no logarithm; it counts in the smearing.

    Parameters
    ----------
    past : lead_id, amount, weight (see `paid`), and the features.
    """
    encoder = Encoder.fit(past, features)
    values, amount, weight = _arrays(past, encoder)
    above = amount > 0
    booster, unseen = _grown(values[above], np.log(amount[above]), weight[above], past.loc[above, "lead_id"], {"objective": "l2"}, seed)
    smearing = float(weight[above] @ (amount[above] / np.exp(unseen)) / weight.sum())
    return AmountModel("log-normal", encoder, booster, smearing)


def fit_gamma(past: pd.DataFrame, features: Sequence[Feature], seed: int = 7) -> AmountModel:
    """Gamma deviance with a logarithmic link: exp(trees) is the mean itself, and nothing is to be transformed back.

    Trees that are held back stay too close to the average, and under this link that costs the sum a few percent (the balance that boosting loses;
    Denuit, Charpentier and Trufin 2021). The sum is put right on leads that the trees had not seen.

    Parameters
    ----------
    past : see `fit_log_normal`.
    """
    encoder = Encoder.fit(past, features)
    values, amount, weight = _arrays(past, encoder)
    booster, unseen = _grown(values, amount, weight, past["lead_id"], {"objective": "gamma"}, seed)
    return AmountModel("gamma", encoder, booster, float(weight @ amount / (weight @ np.exp(unseen))))


CANDIDATES: Mapping[str, Callable[[pd.DataFrame, Sequence[Feature], int], AmountModel]] = {"log-normal": fit_log_normal, "gamma": fit_gamma}
"""Who competes with the average."""


def _arrays(past: pd.DataFrame, encoder: Encoder) -> tuple[Floats, Floats, Floats]:
    return encoder.transform(past), past["amount"].to_numpy(dtype=float), past["weight"].to_numpy(dtype=float)


def _grown(values: Floats, target: Floats, weight: Floats, lead: pd.Series, objective: dict[str, str], seed: int) -> tuple[lgb.Booster, Floats]:
    """Trees of as many rounds as help on leads held out; and, of each lead, what those trees say that were grown without it (before any link)."""
    settings = {**_SETTINGS, **objective, "metric": "None", "seed": seed}
    data = lgb.Dataset(values, target, weight=weight, params={"max_bin": settings["max_bin"], "verbosity": -1})
    quarter = quarter_of(lead, cut=3)
    sides = [(np.flatnonzero(quarter != each), np.flatnonzero(quarter == each)) for each in np.unique(quarter)]
    stop = lgb.early_stopping(_PATIENCE, verbose=False)
    found: Any = lgb.cv(settings, data, _MOST_ROUNDS, folds=sides, feval=_loss_of(objective), callbacks=[stop], return_cvbooster=True)["cvbooster"]
    rounds, unseen = max(found.best_iteration, _FEWEST_ROUNDS), np.zeros(len(target))
    for booster, (_, held) in zip(found.boosters, sides, strict=True):
        unseen[held] = booster.predict(values[held], raw_score=True, num_iteration=rounds)
    return lgb.train(settings, data, rounds), unseen


def _loss_of(objective: dict[str, str]) -> Any:
    def loss(said: Floats, data: lgb.Dataset) -> tuple[str, float, bool]:
        target = np.asarray(data.get_label())
        # None where all are equal.
        weight: Any = data.get_weight()
        losses = gamma_losses(target, said) if objective["objective"] == "gamma" else (target - said) ** 2
        return "loss", float(np.average(losses, weights=weight)), False

    return loss


def gamma_losses(amount: Floats, expected: Floats) -> Floats:
    """Gamma deviance of each amount, lowest on average for the true mean; of an amount of zero without the term that no expectation changes.

    >>> gamma_losses(np.array([200.0, 50.0]), np.array([100.0, 100.0])).round(3).tolist()
    [0.614, 0.386]
    """
    return np.asarray(2 * (amount / expected - 1 + np.log(expected) - np.log(np.where(amount > 0, amount, 1.0))))
