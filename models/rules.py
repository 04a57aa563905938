"""Rules for a company that has too few conversions to learn from: the points table, and said to be no more than that.

A learned model of a few dozen conversions knows its own past by heart and nothing else; commercial tools refuse then, or score with other companies'
data. A list is wanted all the same, so leads are ranked by the few fields that tell most, with smoothed rates held close to the average. How much
that is worth is asked of later nights, as of any racer, beside the base rate alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.feature import Feature
from features.labels import customers
from features.plan import Plan
from models.backtest import Fit, run
from models.baseline import PointsTable, fit_points
from models.calibration import Calibration
from models.metrics import Estimate, evaluate, paired
from models.race import Learned, of_ripe
from models.scorer import Scorer, base_rate_of, lifts_of, usual_values

RULES, BASE_RATE = "rules", "base rate"
_PRIOR = 20.0
# What a probability that is the same for everybody can be asked for: it puts nobody before another.
_OF_A_RATE = ("average_precision", "log_loss", "brier", "predicted_over_realised")


def rules(
    answered: pd.DataFrame, features: Sequence[Feature], plan: Plan, known_until: datetime, conversions: int, needed: int, value: float | None = None
) -> tuple[Scorer, pd.DataFrame]:
    """The points table as a scorer that says what it is, wherever its scores are shown.

    Parameters
    ----------
    answered : ripe examples.
    conversions, needed : leads that converted, and how many a learned model needs.
    value : average amount of a conversion, if known.

    Returns
    -------
    The scorer, and its table as a person reads it: field, value, points.
    """
    table, rate = fit_points(answered, features), base_rate_of(answered)
    scorer = Scorer(
        table,
        towards_average(conversions, rate),
        plan,
        tuple(features),
        pd.Timestamp(answered["as_of"].max()).to_pydatetime(),
        known_until,
        rate,
        usual_values(answered, features),
        value,
        caveat=f"rules, not learned yet: {conversions} of {needed} conversions",
        lifts=lifts_of(answered, features),
    )
    return scorer, table.table()


def towards_average(conversions: int, rate: float) -> Calibration:
    """Log-odds drawn towards those of the average lead as if twenty more conversions had come from average leads.

    Parameters
    ----------
    conversions : leads that converted: of 20 half of the way is left, of 80 four fifths.
    rate : share of the examples that converted.

    >>> towards_average(20, 0.5).slope, towards_average(80, 0.5).slope
    (0.5, 0.8)
    """
    trust = conversions / (conversions + _PRIOR)
    return Calibration(trust, (1 - trust) * float(np.log(rate / (1 - rate))))


@dataclass(frozen=True)
class Drawn:
    """What rules say as a racer: a points table, or nothing but the base rate, drawn towards the average.

    Parameters
    ----------
    table : None: everybody is an average lead.
    """

    table: PointsTable | None
    calibration: Calibration

    def log_odds(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """One number an example."""
        return self.calibration.apply(np.zeros(len(frame)) if self.table is None else self.table.log_odds(frame))


def fit_rules(answered: pd.DataFrame, features: Sequence[Feature]) -> Drawn:
    """The rules that a past with so many conversions would have made, from ripe examples."""
    return Drawn(fit_points(answered, features), towards_average(customers(answered), base_rate_of(answered)))


def fit_base_rate(answered: pd.DataFrame, features: Sequence[Feature]) -> Drawn:
    """The share of a past that converted, for everybody; what rules have to beat."""
    return Drawn(None, towards_average(0, base_rate_of(answered)))


def try_rules(
    frame: pd.DataFrame,
    scorer: Scorer,
    points: pd.DataFrame,
    k: int = 4,
    seed: int = 7,
    progress: Callable[[float, str], None] = lambda share, words: None,
) -> Learned:
    """Let rules and base rate run every fold that can be judged; the rules are who goes on, whichever of the two did better.

    To the business: before a single thing is learned it is known whether the list in use finds more than chance would.

    Parameters
    ----------
    frame : examples, ripe or not.
    scorer, points : the rules of everything ripe, see `rules`.
    k : folds of the backtest.

    Raises
    ------
    Problem : history is too short for a fold, or no fold has five examples of either outcome in its past and in its test.
    """
    racers: dict[str, Fit] = {RULES: of_ripe(fit_rules), BASE_RATE: of_ripe(fit_base_rate)}
    backtest = run(frame, scorer.features, scorer.plan.timeline, racers, k, progress)
    asked = partial(evaluate, seed=seed)
    metrics = {RULES: asked(backtest.judged(RULES)), BASE_RATE: asked(backtest.judged(BASE_RATE), names=_OF_A_RATE)}
    return Learned(scorer, backtest, metrics, RULES, {}, points)


def gained(tried: Learned, seed: int = 7) -> Estimate:
    """Log-loss of the rules minus that of the base rate, on the same later nights: below zero, they know more than the average."""
    return paired(tried.backtest.judged(RULES), tried.backtest.judged(BASE_RATE), ("log_loss",), seed)["log_loss"]
