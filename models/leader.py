"""Who leads: the racer with the lowest log-loss on nights it had not seen, or a blend of several that is better than it beyond doubt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import numpy as np
import pandas as pd

from features.feature import Feature
from models.backtest import Backtest, Fit
from models.blend import BLEND, Blend, BlendModel, fit_blend
from models.calibration import Bools, Floats, log_loss_of, log_losses
from models.choice import EARNED, FEWEST, Choice, Trial, calibrated, choose, in_leads, known_before
from models.metrics import Estimate

ENOUGH = 100
"""Customers in a fold's past, below which it may be too poor to choose who leads."""


@dataclass(frozen=True)
class Blending:
    """Whether a blend leads, and how it did on later nights.

    Parameters
    ----------
    blend : learned from all nights of the backtest; None where none was tried.
    by_fold : the blend as it was known by the first night of each fold; a fold is missing where too little was known.
    beside : the best single racer, calibrated as it would be used: what the blend had to beat.
    losses : log-loss of every racer and of the blend on the nights that it was judged on.
    difference : the blend's log-loss minus that of `beside`, on the same nights.
    """

    blend: Blend | None = None
    by_fold: Mapping[int, Blend] = field(default_factory=dict)
    beside: str = ""
    losses: Mapping[str, float] = field(default_factory=dict)
    difference: Estimate | None = None
    because: str = f"fewer than {FEWEST} conversions of the backtest were known before its later nights"

    @property
    def leads(self) -> bool:
        """Whether it earned its place, and is made of more than one racer."""
        return self.because == EARNED

    @property
    def sentence(self) -> str:
        """What it is made of, and why it leads or does not."""
        if self.blend is None:
            return f"No blend of the models was tried: {self.because}."
        if len(self.blend.members) < 2:
            return f"No blend of the models leads: {self.because}."
        found = self.difference
        told = f"{found.value:+.4f}, 95 % interval {found.low:+.4f} to {found.high:+.4f}" if found else ""
        return f"A blend of {self.blend.made_of} {self.because} (difference to {self.beside} alone, calibrated as it is used, {told})."

    def table(self) -> pd.DataFrame:
        """racer, weight, log_loss: one row a racer, on the nights that the blend was judged on, and the blend's own, which has no weight."""
        weights = self.blend.weights if self.blend else {}
        rows = [(name, None if name == BLEND else weights.get(name, 0.0), loss) for name, loss in self.losses.items()]
        return pd.DataFrame(rows, columns=["racer", "weight", "log_loss"])


@dataclass(frozen=True)
class Leader:
    """Who leads, how it is calibrated, and the backtest: with the blend as one more racer where it leads, as it was where not."""

    name: str
    backtest: Backtest
    choice: Choice
    blending: Blending

    def fit(self, racers: Mapping[str, Fit]) -> Fit:
        """How it learns, see `fit_of`."""
        return fit_of(self.name, racers, self.blending)


def lead(backtest: Backtest, gap: timedelta, seed: int = 7) -> Leader:
    """The racer of lowest log-loss, or a blend where that lowers log-loss on later nights beyond doubt.

    Parameters
    ----------
    gap : horizon and settle lag; a younger night had no outcome yet.
    """
    losses = losses_of(backtest)
    best = min(losses, key=losses.__getitem__)
    choice = _calibration(backtest, best, gap, seed)
    blending = tried(backtest, best, choice, gap, seed)
    if not blending.leads:
        return Leader(best, backtest, choice, blending)
    whole = with_blend(backtest, blending)
    return Leader(BLEND, whole, _calibration(whole, BLEND, gap, seed), blending)


def losses_of(backtest: Backtest) -> dict[str, float]:
    """Every racer's log-loss on the later nights of the folds that may choose, see `choosing`."""
    told = backtest.rows["fold"].isin(choosing(backtest)).to_numpy()
    judged = {name: backtest.judged(name).of(told) for name in backtest.log_odds}
    return {name: log_loss_of(rows.converted, rows.log_odds, rows.weight) for name, rows in judged.items()}


def choosing(backtest: Backtest) -> list[int]:
    """Numbers of the folds that may choose who leads: those that learned from enough customers to say how a racer does that learns from all.

    A fold is left out if it learned from fewer than 100 customers and from fewer than half of those of the richest fold. At the beginning of a short
    history the simplest racer wins, and one such fold would outvote all that came after it. Calibrations and figures are of every fold.
    """
    least = min(ENOUGH, max(backtest.customers, default=0) / 2)
    counted = backtest.customers or (0,) * len(backtest.folds)
    return [fold.number for fold, customers in zip(backtest.folds, counted, strict=True) if customers >= least]


def poor_folds(backtest: Backtest) -> str:
    """Which folds did not choose, and why, in a sentence; nothing where all did."""
    chose = choosing(backtest)
    poor = [
        f"{fold.first:%Y-%m-%d} ({customers})"
        for fold, customers in zip(backtest.folds, backtest.customers, strict=False)
        if fold.number not in chose
    ]
    return f"Folds that had too few customers to learn from had no say in it: those from {', '.join(poor)}." if poor else ""


def _calibration(backtest: Backtest, name: str, gap: timedelta, seed: int) -> Choice:
    return choose(backtest.judged(name), backtest.rows["fold"].to_numpy(), np.timedelta64(gap), seed)


def tried(backtest: Backtest, best: str, choice: Choice, gap: timedelta, seed: int = 7) -> Blending:
    """Judge a blend as `models.choice.choose` judges a calibration: on each fold with weights learned from what was known by its first night.

    What it has to beat is the best racer calibrated as it would be used. Beside the plain one, a blend would win where all that it brings is a line
    through the log-odds of one racer, which calibration draws for less. The weights that are used are learned once more, from everything.

    Parameters
    ----------
    best : who leads without it.
    choice : how that one is calibrated.
    gap : horizon and settle lag; a younger night had no outcome yet.
    """
    rows, fold = backtest.judged(best), backtest.rows["fold"].to_numpy()
    known = known_before(rows, fold, np.timedelta64(gap))
    if not known:
        return Blending()
    by_fold = {number: _fitted(backtest, before) for number, before in known.items()}
    whole = _fitted(backtest, np.ones(len(fold), dtype=bool))
    judged = np.isin(fold, list(by_fold))
    said = {**backtest.log_odds, BLEND: _said(backtest, best, by_fold)}
    trial = Trial.on(rows, fold, judged, seed)
    losses = {name: log_losses(trial.rows.converted, odds[judged]) for name, odds in said.items()}
    as_used = log_losses(trial.rows.converted, calibrated(rows.log_odds, fold, choice.by_fold)[judged])
    because = trial.verdict(losses[BLEND], as_used) if len(whole.members) > 1 else f"beside {whole.members[0]} no other counts for anything"
    means = {name: trial.loss(each) for name, each in losses.items()}
    return Blending(whole, by_fold, best, means, trial.difference(losses[BLEND], as_used), because)


def _fitted(backtest: Backtest, some: Bools) -> Blend:
    """A blend learned from some rows of the backtest."""
    rows = backtest.judged(next(iter(backtest.log_odds))).of(some)
    return fit_blend({name: odds[some] for name, odds in backtest.log_odds.items()}, rows.converted, in_leads(rows))


def _said(backtest: Backtest, best: str, by_fold: Mapping[int, Blend]) -> Floats:
    """What the blend of each fold said of its later nights; the best racer alone, where there was no blend yet."""
    said, fold = backtest.log_odds[best].copy(), backtest.rows["fold"].to_numpy()
    for number, learned in by_fold.items():
        inside = fold == number
        said[inside] = learned.of({name: odds[inside] for name, odds in backtest.log_odds.items()})
    return said


def with_blend(backtest: Backtest, blending: Blending) -> Backtest:
    """The backtest with the blend as one more racer.

    On folds before which too little was known to learn weights, it says what the best single racer says, and that one's model stands for it.
    """
    models = [
        BlendModel(learned, {name: backtest.models[name][at] for name in learned.members}) if learned else backtest.models[blending.beside][at]
        for at, learned in enumerate(blending.by_fold.get(fold.number) for fold in backtest.folds)
    ]
    said = _said(backtest, blending.beside, blending.by_fold)
    return replace(backtest, log_odds={**backtest.log_odds, BLEND: said}, models={**backtest.models, BLEND: tuple(models)})


def fit_of(leader: str, racers: Mapping[str, Fit], blending: Blending) -> Fit:
    """How a leader learns, whether it is one of the racers or a blend: every member once, with the weights that the backtest gave them.

    Parameters
    ----------
    leader : its name, as the race gave it.
    racers : see `models.race.racers_of`.
    blending : see `lead`.
    """
    made = blending.blend
    if leader != BLEND or made is None:
        return racers[leader]

    def fit(past: pd.DataFrame, features: Sequence[Feature]) -> BlendModel:
        return BlendModel(made, {name: racers[name](past, features) for name in made.members})

    return fit
