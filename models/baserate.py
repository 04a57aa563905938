"""How far the base rate has moved since a model learned, and whether following it helps: a recent-window intercept."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from scipy.optimize import brentq

from models.backtest import Backtest
from models.calibration import Floats, log_losses, sigmoid
from models.choice import EARNED, Choice, Trial, calibrated, in_leads
from models.metrics import Estimate, Judged

WINDOW_DAYS = 90
"""A quarter of nights: a season and a campaign fit in, and enough leads to tell a move from luck."""
_WINDOW = timedelta(days=WINDOW_DAYS)
_PRIOR = 0.3


@dataclass(frozen=True)
class Shift:
    """What is added to all log-odds of a night, and what it rests on.

    Parameters
    ----------
    leads : how many leads were looked at, on nights from `first` to `last`.
    predicted, realised : their mean probability before the shift, and the share that converted.
    """

    value: float
    leads: int
    first: datetime
    last: datetime
    predicted: float
    realised: float

    @property
    def sentence(self) -> str:
        """The shift as one line of a page."""
        return (
            f"On the newest nights whose outcome is known ({self.first:%Y-%m-%d} to {self.last:%Y-%m-%d}, {self.leads:,} leads) "
            f"{self.realised:.1%} converted and {self.predicted:.1%} were predicted: all log-odds are shifted by {self.value:+.2f}."
        )


def recent_shift(rows: Judged) -> Shift | None:
    """The intercept that the newest ripe nights ask for, the slope held at one, drawn towards no change where they are few; None for no rows.

    A base rate drifts with market, price and season; the order of the leads does so less. The shift is the most likely one under a normal prior
    around zero of standard deviation 0.3 in log-odds, a third more or less of a small rate: some eleven conversions move it half of the way.

    Parameters
    ----------
    rows : calibrated predictions on the nights of the window, and what became of them.
    """
    if not len(rows.lead) or not rows.weight.sum():
        return None
    weight, y = in_leads(rows), rows.converted.astype(float)

    def pull(shift: float) -> float:
        return float(weight @ (sigmoid(rows.log_odds + shift) - y) + shift / _PRIOR**2)

    first, last = (pd.Timestamp(night).to_pydatetime() for night in (rows.night.min(), rows.night.max()))
    predicted, realised = (float(np.average(values, weights=weight)) for values in (sigmoid(rows.log_odds), y))
    return Shift(round(float(brentq(pull, -30, 30, xtol=1e-10)), 9), len(pd.unique(rows.lead)), first, last, predicted, realised)


@dataclass(frozen=True)
class Following:
    """Whether the base rate is followed, and how following it did on later nights.

    Parameters
    ----------
    shift : what would have been added to each row of the backtest.
    difference : log-loss with it minus log-loss without.
    """

    days: int = 0
    shift: Floats = field(default_factory=lambda: np.zeros(0))
    difference: Estimate | None = None
    because: str = "it was not tried"

    def applied(self, log_odds: Floats) -> Floats:
        """Log-odds of the backtest with the shift, if it earned its place."""
        return log_odds + self.shift if self.days else log_odds

    def table(self) -> pd.DataFrame:
        """The row that stands under those of the calibrations: see `models.choice.Choice.table`; the difference is to the one that was chosen."""
        if self.difference is None:
            return pd.DataFrame()
        found = self.difference
        return pd.DataFrame(
            [{"candidate": "recent intercept", "difference": found.value, "low": found.low, "high": found.high, "chosen": self.days > 0}]
        )


def follow(backtest: Backtest, leader: str, frame: pd.DataFrame, choice: Choice, gap: timedelta, seed: int = 7) -> Following:
    """Judge a recent-window intercept as `models.choice.choose` judges a calibration: each later night with what was known by then.

    For each judged night the fold's own model looks again at the nights whose outcome was known by then, at least one gap before it and not older
    than the window, of all leads: what the nightly run will do.

    Parameters
    ----------
    frame : the examples that the folds were cut from.
    choice : the calibration, on top of which the shift is made.
    gap : horizon and settle lag.
    """
    fold, night = backtest.rows["fold"].to_numpy(), backtest.rows["as_of"].to_numpy()
    shift = np.zeros(len(fold))
    for one, model in zip(backtest.folds, backtest.models[leader], strict=True):
        nights = pd.DatetimeIndex(np.unique(night[fold == one.number]))
        seen = frame[frame["as_of"].between(nights[0] - gap - _WINDOW, nights[-1] - gap)]
        odds = calibrated(model.log_odds(seen), np.full(len(seen), one.number), choice.by_fold)
        past = Backtest.beside_outcomes(seen, odds)
        for tonight in nights:
            known = (past.night >= tonight - gap - _WINDOW) & (past.night <= tonight - gap)
            found = recent_shift(past.of(known))
            shift[(fold == one.number) & (night == tonight)] = found.value if found else 0.0
    rows = backtest.judged(leader, calibrated(backtest.log_odds[leader], fold, choice.by_fold))
    trial = Trial(rows, fold == fold.max(), seed)
    without, with_it = (log_losses(rows.converted, rows.log_odds + moved) for moved in (0.0, shift))
    because = trial.verdict(with_it, without)
    return Following(WINDOW_DAYS if because == EARNED else 0, shift, trial.difference(with_it, without), because)
