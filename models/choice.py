"""Which calibration earned its place: all compete out of time, and only a gain beyond doubt is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.calibration import (
    Bools,
    Calibration,
    Floats,
    Map,
    fit_beta,
    fit_isotonic,
    fit_sigmoid,
    fit_spline,
    fit_venn_abers,
    log_losses,
)
from models.metrics import Estimate, Judged, average

Folds = NDArray[np.int64]
CANDIDATES: Mapping[str, Callable[[Floats, Bools, Floats], Map]] = {
    "identity": lambda log_odds, converted, weight: Calibration(),
    "sigmoid": fit_sigmoid,
    "beta": fit_beta,
    "isotonic": fit_isotonic,
    "Venn-Abers": fit_venn_abers,
    "spline": fit_spline,
}
"""Everybody who competes, the simplest first."""
EARNED = "lowered log-loss on later nights beyond doubt"
_LOG_LOSS = "log-loss"
FEWEST = 20
"""Leads that converted before a night, below which nothing is learned for it."""


@dataclass(frozen=True)
class Choice:
    """The calibration that is used, and how all of them did.

    Parameters
    ----------
    by_fold : what the chosen kind had learned by the first night of each fold; a fold is missing where too little was known.
    losses : log-loss of each candidate on the nights it was judged on; empty when there were none.
    differences : log-loss minus the identity's on the same nights, with 95 % interval.
    """

    calibration: Map = field(default_factory=Calibration)
    by_fold: Mapping[int, Map] = field(default_factory=dict)
    losses: Mapping[str, float] = field(default_factory=dict)
    differences: Mapping[str, Estimate] = field(default_factory=dict)
    because: str = f"fewer than {FEWEST} conversions of the backtest were known before its later nights, so that no other was tried"

    def table(self) -> pd.DataFrame:
        """candidate, log_loss, difference, low, high, chosen: one row a candidate."""
        rows = [
            (name, self.losses[name], found.value, found.low, found.high, name == self.calibration.name) for name, found in self.differences.items()
        ]
        return pd.DataFrame(rows, columns=["candidate", "log_loss", "difference", "low", "high", "chosen"])


@dataclass(frozen=True)
class Trial:
    """Rows on which something is judged that was learned from what was known before them.

    Parameters
    ----------
    newest : which of the rows are of the newest fold.
    figure : the loss that they are judged by, in words.
    """

    rows: Judged
    newest: Bools
    seed: int = 7
    figure: str = _LOG_LOSS

    @classmethod
    def on(cls, rows: Judged, fold: Folds, judged: Bools, seed: int = 7) -> Trial:
        """A trial by log-loss on some of the rows of a backtest."""
        return cls(rows.of(judged), (fold == fold[judged].max())[judged], seed)

    def loss(self, losses: Floats) -> float:
        """Mean of one loss a row."""
        return float(np.average(losses, weights=self.rows.weight))

    def difference(self, one: Floats, other: Floats) -> Estimate:
        """Losses of one minus those of the other, with the interval that drawing whole leads gives."""
        return average(one - other, self.rows, self.seed)

    def verdict(self, one: Floats, other: Floats) -> str:
        """`earned`, or why `one` does not replace `other`: the interval must lie below zero, and the newest fold must not deny it."""
        change = self.difference(one, other)
        if not change.high < 0:
            return f"did not lower {self.figure} on later nights" + (" beyond doubt" if change.value < 0 else "")
        if np.average((one - other)[self.newest], weights=self.rows.weight[self.newest]) > 0:
            return "helped on older nights and did harm on the newest"
        return self.earned

    @property
    def earned(self) -> str:
        """The verdict of one that replaces another: `EARNED` where log-loss is the judge."""
        return EARNED.replace(_LOG_LOSS, self.figure)


def choose(rows: Judged, fold: Folds, gap: np.timedelta64, seed: int = 7) -> Choice:
    """The calibration with the lowest log-loss on later nights, if it is lower than without one beyond doubt; else none.

    For each fold every candidate learns from what was known by the fold's first night: out-of-time predictions of nights at least one gap
    before it. The fold then judges. Of those that earn their place the best wins; a simpler one that it does not beat beyond doubt goes before it.
    The winner is learned once more, from everything.

    Parameters
    ----------
    rows : out-of-time predictions of the backtest, uncalibrated.
    fold : which fold each comes from, in the order of time.
    gap : horizon and settle lag; a younger night had no outcome yet.
    """
    maps = _learned_before(rows, fold, gap)
    judged = np.isin(fold, list(maps["identity"]))
    if not judged.any():
        return Choice()
    trial = Trial.on(rows, fold, judged, seed)
    losses = {name: log_losses(trial.rows.converted, calibrated(trial.rows.log_odds, fold[judged], by_fold)) for name, by_fold in maps.items()}
    means = {name: trial.loss(each) for name, each in losses.items()}
    plain = losses["identity"]
    verdicts = {name: trial.verdict(each, plain) for name, each in losses.items() if name != "identity"}
    good = [name for name in verdicts if verdicts[name] == EARNED]
    best = min(good, key=means.__getitem__, default="identity")
    kept = next((name for name in good if trial.difference(losses[name], losses[best]).low <= 0), "identity")
    told = kept if good else min(verdicts, key=means.__getitem__)
    return Choice(
        CANDIDATES[kept](rows.log_odds, rows.converted, in_leads(rows)),
        maps[kept],
        means,
        {name: trial.difference(each, plain) for name, each in losses.items()},
        f"{told} {verdicts[told]}",
    )


def _learned_before(rows: Judged, fold: Folds, gap: np.timedelta64) -> dict[str, dict[int, Map]]:
    """What each candidate had learned by the first night of each fold, where enough was known."""
    weight = in_leads(rows)
    maps: dict[str, dict[int, Map]] = {name: {} for name in CANDIDATES}
    for number, known in known_before(rows, fold, gap).items():
        for name, fit in CANDIDATES.items():
            maps[name][number] = fit(rows.log_odds[known], rows.converted[known], weight[known])
    return maps


def known_before(rows: Judged, fold: Folds, gap: np.timedelta64) -> dict[int, Bools]:
    """Which rows had an outcome by the first night of each fold; a fold is missing where fewer than twenty of their leads had converted.

    Parameters
    ----------
    gap : see `choose`.
    """
    before = {int(number): rows.night <= rows.night[fold == number].min() - gap for number in np.unique(fold)}
    return {number: known for number, known in before.items() if len(pd.unique(rows.lead[known & rows.converted])) >= FEWEST}


def calibrated(log_odds: Floats, fold: Folds, by_fold: Mapping[int, Map]) -> Floats:
    """Log-odds of every fold under what had been learned before it; as they are where nothing had."""
    said = log_odds.copy()
    for number, learned in by_fold.items():
        said[fold == number] = learned.apply(log_odds[fold == number])
    return said


def in_leads(rows: Judged) -> Floats:
    """Weights that sum to the number of leads: snapshots of a lead repeat each other, and a prior is counted in leads."""
    leads = len(pd.unique(rows.lead))
    return np.asarray(rows.weight * (leads / rows.weight.sum()))
