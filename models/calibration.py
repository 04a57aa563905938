"""Scores to probabilities, corrected only where that proved right on later nights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Calibration:
    """A straight line through the log-odds: `intercept + slope * log_odds`. Slope 1 and intercept 0 change nothing.

    Being a line, it scales contributions with it, so that reasons still add up to the probability shown.
    Source: Platt (1999), on log-odds.

    >>> Calibration(slope=0.5, intercept=0.0).apply(np.array([2.0])).tolist()
    [1.0]
    """

    slope: float = 1.0
    intercept: float = 0.0

    @property
    def name(self) -> str:
        """ "identity" or "sigmoid"."""
        return "identity" if (self.slope, self.intercept) == (1.0, 0.0) else "sigmoid"

    def apply(self, log_odds: Floats) -> Floats:
        """Calibrated log-odds."""
        return np.asarray(self.intercept + self.slope * log_odds)


def sigmoid(log_odds: Floats) -> Floats:
    """Log-odds to probabilities.

    >>> sigmoid(np.array([0.0])).tolist()
    [0.5]
    """
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(log_odds, -35, 35))))


def log_loss_of(converted: Bools, log_odds: Floats, weight: Floats) -> float:
    """Mean log-loss of log-odds, in nats."""
    return float(np.average(np.logaddexp(0, log_odds) - np.where(converted, log_odds, 0.0), weights=weight))


def fit_sigmoid(log_odds: Floats, converted: Bools, weight: Floats) -> Calibration:
    """The line that fits these outcomes best; identity when they are of one class."""
    if converted.all() or not converted.any():
        return Calibration()
    line = LogisticRegression(C=1e6).fit(log_odds[:, None], converted, sample_weight=weight)
    return Calibration(float(line.coef_[0, 0]), float(line.intercept_[0]))


def choose(log_odds: Floats, converted: Bools, weight: Floats, fold: NDArray[np.int64]) -> Calibration:
    """The sigmoid if, learned on the folds before, it lowers log-loss on the last one; else the identity.

    Parameters
    ----------
    log_odds : out-of-time predictions of the backtest.
    fold : which fold each comes from, in the order of time; with fewer than two there is nothing to prove it on.
    """
    last = fold == fold.max(initial=0)
    if last.all():
        return Calibration()
    tried = fit_sigmoid(log_odds[~last], converted[~last], weight[~last])
    better = log_loss_of(converted[last], tried.apply(log_odds[last]), weight[last]) < log_loss_of(converted[last], log_odds[last], weight[last])
    return fit_sigmoid(log_odds, converted, weight) if better else Calibration()
