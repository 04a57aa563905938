"""Lift, precision and gain at capacity, log-loss, reliability: each with an interval from resampling leads.

Lists are made night by night, so precision and lift take the best share *of each night*. Snapshots of a lead are not independent, so intervals
come from a bootstrap that draws whole leads (cluster bootstrap; Cameron, Gelbach and Miller 2008), the same draws for every model compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.calibration import sigmoid

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
SHARES = (5, 10, 20)
_FOUND = 0.9


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval.

    >>> str(Estimate(0.5, 0.41, 0.58))
    '0.500 (0.410 to 0.580)'
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True)
class Judged:
    """Predictions beside outcomes: one row an example.

    Parameters
    ----------
    log_odds : calibrated or not; what is judged.
    lead : an id per row, the unit of the bootstrap.
    night : the unit in which lists are made.
    """

    converted: Bools
    log_odds: Floats
    weight: Floats
    lead: NDArray[np.object_]
    night: NDArray[np.datetime64]

    def of(self, rows: Bools) -> Judged:
        """Some of the rows."""
        return Judged(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def top(self, share: float) -> Bools:
        """The best share of each night; ties by lead id, so that the answer is always the same."""
        frame = pd.DataFrame({"night": self.night, "score": -self.log_odds, "lead": self.lead})
        place = frame.sort_values(["night", "score", "lead"]).groupby("night").cumcount().reindex(frame.index).to_numpy()
        size = frame.groupby("night")["lead"].transform("size").to_numpy()
        return np.asarray(place < np.ceil(size * share))


Measure = Callable[[Floats], float]


def measures(rows: Judged, capacity: float | None = None) -> dict[str, Measure]:
    """Every figure as a function of row weights, everything that does not depend on them prepared once, and only when it is asked for.

    Parameters
    ----------
    capacity : share of a night's leads that sales can work; with it, `gain_at_capacity` is the share of the conversions found by working them.
    """
    y, z = rows.converted.astype(float), rows.log_odds
    p = sigmoid(z)
    loss = np.logaddexp(0, z) - y * z
    brier = (p - y) ** 2
    order, ends = _places(z)

    def curve(w: Floats) -> tuple[Floats, Floats]:
        won, lost = np.cumsum((w * y)[order])[ends], np.cumsum((w * (1 - y))[order])[ends]
        return won, lost

    def auc(w: Floats) -> float:
        won, lost = (np.concatenate([[0.0], side]) for side in curve(w))
        return float(np.trapezoid(won, lost) / (won[-1] * lost[-1])) if won[-1] and lost[-1] else float("nan")

    def average_precision(w: Floats) -> float:
        won, lost = curve(w)
        found = np.diff(won, prepend=0.0) / won[-1] if won[-1] else np.full_like(won, np.nan)
        return float((found * won / np.maximum(won + lost, 1e-12)).sum())

    def worked(w: Floats) -> float:
        won, lost = curve(w)
        if not won[-1]:
            return float("nan")
        at = int(np.searchsorted(won, _FOUND * won[-1]))
        return float((won[at] + lost[at]) / (won[-1] + lost[-1]))

    @cache
    def fitted() -> tuple[float, float]:
        return _line(y, z, rows.weight)

    def line(w: Floats) -> tuple[float, float]:
        return _line(y, z, w, start=fitted())

    found: dict[str, Measure] = {
        "roc_auc": auc,
        "average_precision": average_precision,
        "log_loss": lambda w: float(np.average(loss, weights=w)),
        "brier": lambda w: float(np.average(brier, weights=w)),
        "calibration_slope": lambda w: line(w)[0],
        "calibration_intercept": lambda w: line(w)[1],
        "predicted_over_realised": lambda w: float(w @ p) / won if (won := float(w @ y)) else float("nan"),
        "worked_share": worked,
    }
    best = cache(rows.top)
    if capacity is not None:
        found["gain_at_capacity"] = lambda w: _gain(w, y, best(capacity))
    for share in SHARES:
        found[f"precision_at_{share}"] = lambda w, share=share: _rate(w, y, best(share / 100))  # type: ignore[misc]
        found[f"lift_at_{share}"] = lambda w, share=share: _lift(w, y, best(share / 100))  # type: ignore[misc]
    return found


def _places(z: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows from the best score to the worst, and where in that order each group of equal scores ends."""
    order = np.argsort(-z, kind="stable")
    return order, np.append(np.flatnonzero(np.diff(z[order])), len(z) - 1)


def _rate(w: Floats, y: Floats, best: Bools) -> float:
    return float((w * y)[best].sum() / max(w[best].sum(), 1e-12))


def _lift(w: Floats, y: Floats, best: Bools) -> float:
    base = float(np.average(y, weights=w))
    return _rate(w, y, best) / base if base else float("nan")


def _gain(w: Floats, y: Floats, best: Bools) -> float:
    won = float(w @ y)
    return float(w[best] @ y[best]) / won if won else float("nan")


def _line(y: Floats, z: Floats, w: Floats, start: tuple[float, float] = (1.0, 0.0)) -> tuple[float, float]:
    """Slope and intercept of a logistic line through log-odds; 1 and 0 are perfect (Cox 1958). Newton's method with halved steps.

    `start` is a line nearby, such as that of the rows from which a draw was made: then a step or two are enough.
    """
    beta = np.array(start[::-1])

    def loss(at: Floats) -> float:
        line = at[0] + at[1] * z
        return float(w @ (np.logaddexp(0, line) - y * line))

    now = loss(beta)
    for _ in range(25):
        p = sigmoid(beta[0] + beta[1] * z)
        bend, miss = w * p * (1 - p), w * (y - p)
        bent = bend * z
        curvature = np.array([[bend.sum() + 1e-9, bent.sum()], [bent.sum(), bent @ z + 1e-9]])
        rise = np.array([miss.sum(), miss @ z])
        step = np.linalg.solve(curvature, rise)
        if rise @ step < 1e-9 * abs(now):
            break
        for _half in range(12):
            then = loss(beta + step)
            if then <= now:
                break
            step = step / 2
        else:
            break
        beta, now = beta + step, then
    return float(beta[1]), float(beta[0])


def evaluate(rows: Judged, seed: int = 7, resamples: int = 200, names: tuple[str, ...] = ()) -> dict[str, Estimate]:
    """Every figure with its 95 % interval.

    `worked_share` is the mission's figure: the share of the leads that must be worked, best first, to win nine of ten deals. Working them in random
    order takes 90 of 100.

    Parameters
    ----------
    resamples : draws of whole leads. 200 settle a 95 % interval to about a tenth of its width.
    names : only these figures, in a fraction of the time; by default all.
    """
    asked = {name: measure for name, measure in measures(rows).items() if not names or name in names}
    draws = [{name: measure(w) for name, measure in asked.items()} for w in redraw(rows, seed, resamples)]
    spread = pd.DataFrame(draws)
    low, high = spread.quantile(0.025), spread.quantile(0.975)
    return {name: Estimate(measure(rows.weight), float(low[name]), float(high[name])) for name, measure in asked.items()}


def paired(
    one: Judged,
    other: Judged,
    names: Sequence[str],
    seed: int = 7,
    resamples: int = 400,
    capacity: float | None = None,
    seen_as: Callable[[float], float] = float,
    tail: float = 0.025,
) -> dict[str, Estimate]:
    """`one` minus `other` on the same rows under the same draws: is the difference real?

    Parameters
    ----------
    capacity : see `measures`.
    seen_as : what is compared of each figure, where it is not the figure itself: its distance from the perfect one, say.
    tail : share of the draws beyond either end of the interval. 0.05 where only one end is asked for.
    """
    left, right = measures(one, capacity), measures(other, capacity)

    def differences(w: Floats) -> dict[str, float]:
        return {name: seen_as(left[name](w)) - seen_as(right[name](w)) for name in names}

    spread = pd.DataFrame([differences(w) for w in redraw(one, seed, resamples)])
    low, high = spread.quantile(tail), spread.quantile(1 - tail)
    return {name: Estimate(value, float(low[name]), float(high[name])) for name, value in differences(one.weight).items()}


def average(values: Floats, rows: Judged, seed: int = 7, resamples: int = 400) -> Estimate:
    """The weighted mean of one number a row, under the same draws of whole leads as everything else: equal to `paired`, and a hundred times faster.

    Parameters
    ----------
    values : one a row; where the weight of some rows is zero, the mean is of the others.
    """
    code, leads = pd.factorize(rows.lead)
    total, weight = np.bincount(code, rows.weight * values), np.bincount(code, rows.weight)
    rng = np.random.default_rng(seed)
    drawn = (np.bincount(rng.integers(0, len(leads), len(leads)), minlength=len(leads)) for _ in range(resamples))
    means = [float(times @ total / mass) for times in drawn if (mass := times @ weight) > 0]
    low, high = np.quantile(means, [0.025, 0.975]) if means else (np.nan, np.nan)
    return Estimate(float(total.sum() / weight.sum()) if weight.sum() else float("nan"), float(low), float(high))


def redraw(rows: Judged, seed: int, resamples: int) -> Iterator[Floats]:
    """Row weights of so many draws of whole leads: a lead that was drawn twice counts twice, on all its nights."""
    code, leads = pd.factorize(rows.lead)
    rng = np.random.default_rng(seed)
    for _ in range(resamples):
        yield rows.weight * np.bincount(rng.integers(0, len(leads), len(leads)), minlength=len(leads))[code]


def reliability_table(rows: Judged, bins: int = 10) -> pd.DataFrame:
    """Predicted beside realised rate in bins of equal size, with Wilson's 95 % interval on the number of leads (not of snapshots).

    Returns
    -------
    predicted, realised, low, high, leads.
    """
    order = np.argsort(np.argsort(rows.log_odds, kind="stable"), kind="stable")
    return reliability_of(rows, pd.Series(order * bins // len(order))).reset_index(drop=True)


def reliability_of(rows: Judged, group: pd.Series) -> pd.DataFrame:
    """The same for groups of any kind: one row a group, in the order of the groups; rows whose group is missing are in none.

    Parameters
    ----------
    group : one value a row.
    """
    p = sigmoid(rows.log_odds)
    frame = pd.DataFrame({"p": p * rows.weight, "y": rows.converted * rows.weight, "w": rows.weight, "lead": rows.lead})
    sums = frame.groupby(group.to_numpy()).agg(p=("p", "sum"), y=("y", "sum"), w=("w", "sum"), leads=("lead", "nunique"))
    rate, n, z = sums["y"] / sums["w"], sums["leads"], 1.96
    middle = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return pd.DataFrame({"predicted": sums["p"] / sums["w"], "realised": rate, "low": middle - half, "high": middle + half, "leads": n})


def gain_curve(rows: Judged, points: int = 101) -> pd.DataFrame:
    """Share of the conversions found by working the best share of the leads: worked, found. Equal scores are worked in random order."""
    order, ends = _places(rows.log_odds)
    won, all_ = np.cumsum((rows.weight * rows.converted)[order])[ends], np.cumsum(rows.weight[order])[ends]
    worked = np.linspace(0, 1, points)
    return pd.DataFrame({"worked": worked, "found": np.interp(worked, np.r_[0, all_ / all_[-1]], np.r_[0, won / max(won[-1], 1e-12)])})
