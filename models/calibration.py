"""Scores to probabilities: rising maps of log-odds, which keep the order of the leads and of their reasons."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.isotonic import isotonic_regression
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import SplineTransformer

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
_TILT = 0.05
_BINS = 200


@dataclass(frozen=True)
class Calibration:
    """A curve through the log-odds z: `intercept + slope * z - bend * ln(p (1 - p))`. Slope 1, intercept 0 and bend 0 change nothing.

    Without a bend it is a line (Platt 1999, on log-odds). With one it is beta calibration (Kull, Silva Filho and Flach 2017), whose two
    coefficients are slope - bend and slope + bend: high scores are stretched otherwise than low ones.

    >>> Calibration(slope=0.5, intercept=0.0).apply(np.array([2.0])).tolist()
    [1.0]
    """

    slope: float = 1.0
    intercept: float = 0.0
    bend: float = 0.0

    @property
    def name(self) -> str:
        """ "identity", "sigmoid" or "beta"."""
        if self.bend:
            return "beta"
        return "identity" if (self.slope, self.intercept) == (1.0, 0.0) else "sigmoid"

    def apply(self, log_odds: Floats) -> Floats:
        """Calibrated log-odds."""
        bent = self.bend * (np.logaddexp(0, log_odds) + np.logaddexp(0, -log_odds)) if self.bend else 0.0
        return np.asarray(self.intercept + self.slope * log_odds + bent)

    def shifted(self, by: float) -> Calibration:
        """The same curve, all of it higher or lower."""
        return replace(self, intercept=self.intercept + by)


@dataclass(frozen=True)
class Knots:
    """Straight lines between knots: what isotonic, Venn-Abers and spline calibration come down to.

    Beyond the outermost knots it rises by a twentieth of the log-odds: enough to keep the order of the leads, too little to claim more than was
    seen.

    Parameters
    ----------
    name : which of the three.
    at, to : rising log-odds, before and after.

    >>> Knots("isotonic", (-1.0, 1.0), (-3.0, 1.0)).apply(np.array([0.0, 1.0, 3.0])).tolist()
    [-1.0, 1.0, 1.1]
    """

    name: str
    at: tuple[float, ...]
    to: tuple[float, ...]

    def apply(self, log_odds: Floats) -> Floats:
        """Calibrated log-odds."""
        beyond = log_odds - np.clip(log_odds, self.at[0], self.at[-1])
        return np.asarray(np.interp(log_odds, self.at, self.to) + _TILT * beyond)

    def shifted(self, by: float) -> Knots:
        """The same line, all of it higher or lower."""
        return replace(self, to=tuple(value + by for value in self.to))


Map: TypeAlias = Calibration | Knots


def restored(stored: dict[str, Any]) -> Map:
    """The map whose `dataclasses.asdict` went through JSON.

    >>> restored({"slope": 0.5, "intercept": 0.0}).name, restored({"name": "spline", "at": [0.0], "to": [0.5]}).to
    ('sigmoid', (0.5,))
    """
    return Knots(stored["name"], tuple(stored["at"]), tuple(stored["to"])) if "at" in stored else Calibration(**stored)


class Rising(Protocol):
    """Whatever takes log-odds to others and never turns their order round, or always does."""

    def apply(self, log_odds: Floats) -> Floats:
        """One number for each."""
        ...


def carried(contributions: pd.DataFrame, calibration: Rising) -> pd.DataFrame:
    """What each feature adds to the calibrated log-odds: rows sum to the calibrated sum, and signs and order of the reasons stay.

    The way from the bias to the lead's log-odds is as much longer or shorter as the map makes it, and every feature has its share of that; a line
    multiplies everything by its slope. Where a lead's features cancel out there is no way, and they stay as they are.

    Parameters
    ----------
    contributions : one row a lead, one column a feature, and "bias"; rows sum to log-odds.
    """
    each = contributions.drop(columns="bias")
    bias = contributions["bias"].to_numpy(dtype=float)
    shares = each.to_numpy(dtype=float)
    way = shares.sum(axis=1)
    start = calibration.apply(bias)
    moved = calibration.apply(bias + way) - start
    stretch = np.divide(moved, way, out=np.ones_like(way), where=np.abs(way) > 1e-9)
    # Made anew: what was put together column by column stays in so many pieces.
    return pd.DataFrame(shares * stretch[:, None], columns=each.columns, index=each.index).assign(bias=start)


def sigmoid(log_odds: Floats) -> Floats:
    """Log-odds to probabilities.

    >>> sigmoid(np.array([0.0])).tolist()
    [0.5]
    """
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(log_odds, -35, 35))))


def log_losses(converted: Bools, log_odds: Floats) -> Floats:
    """Log-loss of each row, in nats."""
    return np.asarray(np.logaddexp(0, log_odds) - np.where(converted, log_odds, 0.0))


def log_loss_of(converted: Bools, log_odds: Floats, weight: Floats) -> float:
    """Mean log-loss of log-odds, in nats."""
    return float(np.average(log_losses(converted, log_odds), weights=weight))


def fit_sigmoid(log_odds: Floats, converted: Bools, weight: Floats) -> Calibration:
    """The line that fits these outcomes best; identity when they are of one class, or contradict the order of the scores."""
    if converted.all() or not converted.any():
        return Calibration()
    line = LogisticRegression(C=1e6).fit(log_odds[:, None], converted, sample_weight=weight)
    slope, intercept = float(line.coef_[0, 0]), float(line.intercept_[0])
    return Calibration(slope, intercept) if slope > 0 else Calibration()


def fit_beta(log_odds: Floats, converted: Bools, weight: Floats) -> Calibration:
    """Beta calibration: a logistic model of ln p and -ln(1 - p) with coefficients that are not negative; identity as for `fit_sigmoid`."""
    if converted.all() or not converted.any():
        return Calibration()
    low, high, intercept = _rising_fit(np.column_stack([-np.logaddexp(0, -log_odds), np.logaddexp(0, log_odds)]), converted.astype(float), weight)
    return Calibration((low + high) / 2, intercept, (high - low) / 2) if low + high > 0 else Calibration()


def fit_isotonic(log_odds: Floats, converted: Bools, weight: Floats) -> Map:
    """The rising steps that fit best, joined at the middle of each (centred isotonic regression, Oron and Flournoy 2017).

    Parameters
    ----------
    weight : in leads: it sums to the number of leads, so that each of the two that are made up against certainty weighs one.
    """
    if converted.all() or not converted.any():
        return Calibration()
    at, rate, mass = _with_two_more(*_binned(log_odds, converted, weight))
    return _knots("isotonic", at, isotonic_regression(rate, sample_weight=mass), mass)


def fit_venn_abers(log_odds: Floats, converted: Bools, weight: Floats) -> Map:
    """Inductive Venn-Abers: at every score, isotonic regression with one more lead there that did not convert, and with one that did.

    The two rates are merged into p1 / (1 - p0 + p1), which is never certain. Source: Vovk and Petej (2014).

    Parameters
    ----------
    weight : in leads, as for `fit_isotonic`.
    """
    if converted.all() or not converted.any():
        return Calibration()
    at, rate, mass = _binned(log_odds, converted, weight)

    def with_one_more(place: int, outcome: float) -> float:
        rates, masses = rate.copy(), mass.copy()
        masses[place] += 1.0
        rates[place] += (outcome - rate[place]) / masses[place]
        return float(isotonic_regression(rates, sample_weight=masses)[place])

    lost, won = (np.array([with_one_more(place, outcome) for place in range(len(at))]) for outcome in (0.0, 1.0))
    return _knots("Venn-Abers", at, won / (1 - lost + won), mass)


def fit_spline(log_odds: Floats, converted: Bools, weight: Floats) -> Map:
    """A smooth rising curve: logistic regression on cubic splines with rising coefficients (I-splines, Ramsay 1988); a line for few scores.

    Parameters
    ----------
    weight : in leads, as for `fit_isotonic`.
    """
    if converted.all() or not converted.any():
        return Calibration()
    at, rate, mass = _with_two_more(*_binned(log_odds, converted, weight))
    ends = np.unique(np.quantile(at, np.linspace(0, 1, 5)))
    if len(ends) < 5:
        return fit_sigmoid(log_odds, converted, weight)
    basis = SplineTransformer(knots=ends[:, None], degree=3).fit_transform(at[:, None])
    # A sum of the B-splines from the i-th on rises, and so does every sum of such sums whose weights are not negative.
    rising = np.cumsum(basis[:, ::-1], axis=1)[:, ::-1][:, 1:]
    *weights, intercept = _rising_fit(rising, rate, mass)
    return _knots("spline", at, sigmoid(rising @ np.array(weights) + intercept), mass)


def _rising_fit(columns: Floats, rate: Floats, weight: Floats) -> list[float]:
    """Coefficients of a logistic model, none negative, and the intercept. The ridge is as good as none: it settles what the outcomes leave open."""
    table, share = np.column_stack([columns, np.ones(len(columns))]), weight / weight.sum()

    def loss(at: Floats) -> tuple[float, Floats]:
        line = table @ at
        value = share @ (np.logaddexp(0, line) - rate * line) + 1e-6 * at @ at
        return float(value), table.T @ (share * (sigmoid(line) - rate)) + 2e-6 * at

    bounds = [(0.0, None)] * columns.shape[1] + [(None, None)]
    closely = {"maxiter": 500, "ftol": 1e-12, "gtol": 1e-8}
    found = minimize(loss, np.zeros(table.shape[1]), jac=True, bounds=bounds, method="L-BFGS-B", options=closely)
    return [float(value) for value in found.x]


def _binned(log_odds: Floats, converted: Bools, weight: Floats) -> tuple[Floats, Floats, Floats]:
    """Scores in at most two hundred bins of equal weight, equal scores together: mean log-odds, conversion rate and weight of each."""
    order = np.argsort(log_odds, kind="stable")
    z, w, y = log_odds[order], weight[order], converted[order].astype(float)
    middle = np.cumsum(w) - w / 2
    # Equal scores go where the first of them goes.
    place = np.floor(middle / w.sum() * _BINS).astype(int)[np.searchsorted(z, z)]
    _, code = np.unique(place, return_inverse=True)
    mass = np.asarray(np.bincount(code, w), dtype=float)
    return np.bincount(code, w * z) / mass, np.bincount(code, w * y) / mass, mass


def _with_two_more(at: Floats, rate: Floats, mass: Floats) -> tuple[Floats, Floats, Floats]:
    """Two leads made up, so that nothing is certain: one among the lowest scores that converted, one among the highest that did not."""
    return np.r_[at[0], at, at[-1]], np.r_[1.0, rate, 0.0], np.r_[1.0, mass, 1.0]


def _knots(name: str, at: Floats, p: Floats, mass: Floats) -> Knots:
    """Knots at the middle of every stretch of equal probability, so that the map rises everywhere."""
    step = np.r_[0, np.cumsum(np.diff(np.maximum.accumulate(p)) > 1e-9)]
    sums = [np.bincount(step, mass * values) / np.bincount(step, mass) for values in (at, p)]
    return Knots(name, tuple(sums[0].tolist()), tuple(np.log(sums[1] / (1 - sums[1])).tolist()))
