"""Points table, logistic model, boosted trees and hazard run every fold; the best of them, or a blend, learns everything and is the challenger."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from features.feature import Feature
from features.labels import as_known, ripe
from features.plan import Plan
from models.backtest import Backtest, Fit, folds, run
from models.baseline import PointsTable, fit_logistic, fit_points
from models.baserate import Following, follow
from models.choice import Choice, calibrated
from models.encoding import STYLES
from models.hazard import fit_hazard
from models.leader import Blending, lead, losses_of
from models.merit import with_merit
from models.metrics import Estimate, Judged, evaluate, measures
from models.scorer import Scorer, base_rate_of, lifts_of, usual_values
from models.trees import fit_boosted
from models.tuning import Search, tune
from models.variants import Variants
from models.worth import Worth, fit_amount

_JUDGED = 60_000


@dataclass(frozen=True)
class Learned:
    """The challenger, and everything that says how far to believe it."""

    scorer: Scorer
    backtest: Backtest
    metrics: dict[str, dict[str, Estimate]]
    leader: str
    params: dict[str, Any]
    points: pd.DataFrame
    choice: Choice = field(default_factory=Choice)
    following: Following = field(default_factory=Following)
    search: Search = field(default_factory=Search)
    worth: Worth = field(default_factory=Worth)
    blending: Blending = field(default_factory=Blending)

    def losses(self) -> dict[str, float]:
        """Every racer's log-loss on the nights that chose, with the blend's where that leads: the lowest leads."""
        return losses_of(self.backtest)

    def judged(self) -> Judged:
        """The leader on nights it had not seen, calibrated as it is used, by what was known before them."""
        odds = calibrated(self.backtest.log_odds[self.leader], self.backtest.rows["fold"].to_numpy(), self.choice.by_fold)
        return self.backtest.judged(self.leader, self.following.applied(odds))

    def fold_metrics(self, fold: int) -> dict[str, float]:
        """The leader's figures on one fold."""
        rows = self.backtest.judged_fold(self.leader, fold)
        return {name: value for name, measure in measures(rows).items() if np.isfinite(value := measure(rows.weight))}


def racers_of(
    plan: Plan,
    params: dict[str, Any],
    seed: int,
    monotone: Mapping[str, int] | None = None,
    encodings: Sequence[str] = (),
    variants: Variants | None = None,
    bags: int = 3,
) -> dict[str, Fit]:
    """Everybody who runs, the simplest first.

    Parameters
    ----------
    monotone : binds the trees, see `models.trees.fit_boosted`.
    encodings : names of `models.encoding.STYLES`; trees run once more in each.
    variants : of the logistic model, the trees and the hazard, see `models.variants.Variants`; by default none.
    bags : seeds of which trees are the mean, see `models.trees.fit_boosted`. 3: the second and the third take two thirds of the luck away.
    """
    asked = variants or Variants()
    horizon, absence = plan.timeline.horizon_days, plan.outcome.is_absence
    boosted = partial(fit_boosted, seed=seed, params=params, monotone=monotone, bags=bags)
    plain: dict[str, Fit] = {"logistic": partial(fit_logistic, seed=seed), "boosted trees": boosted}
    answered = {name: of_ripe(fit) for name, fit in plain.items()}
    hazard: Fit = partial(fit_hazard, horizon_days=horizon, absence=absence, seed=seed, params=params, monotone=monotone)
    of_profile: dict[str, Fit] = {
        **answered,
        **{f"boosted trees, {name}": of_ripe(partial(boosted, style=STYLES[name])) for name in encodings},
        **{name: of_ripe(fit) for name, fit in {**asked.by_past(plain), **asked.of_trees(boosted, seed)}.items()},
        "hazard": hazard,
    }
    merited, apart = (with_merit(fits, without=monotone or ()) for fits in (of_profile, {**answered, "hazard": hazard}))
    return {"points table": of_ripe(fit_points), **merited, **asked.without_time(apart, seed)}


def of_ripe(fit: Fit) -> Fit:
    """A racer that learns from examples with an answer only."""
    return lambda past, features: fit(ripe(past), features)


def learn(
    frame: pd.DataFrame,
    features: Sequence[Feature],
    plan: Plan,
    known_until: datetime,
    value: float | None = None,
    seed: int = 7,
    k: int = 4,
    trials: int = 8,
    progress: Callable[[float, str], None] = lambda share, words: None,
    *,
    search_minutes: float = 5.0,
    storage: str | None = None,
    monotone: Mapping[str, int] | None = None,
    encodings: Sequence[str] = (),
    variants: Variants | None = None,
    bags: int = 3,
) -> Learned:
    """Race, choose who leads, calibrate, refit.

    Parameters
    ----------
    frame : examples, ripe or not, see `features.examples.training`.
    known_until : end of the extract.
    k : folds of the backtest.
    trials, search_minutes, storage : settings tried by the search, how long it may take, and the file that remembers it: see `models.tuning.tune`.
    monotone : feature -> 1 or -1, see `models.trees.fit_boosted`.
    encodings, variants, bags : see `racers_of`.
    """
    timeline = plan.timeline
    progress(0.0, "searching for parameters in the past")
    frame, answered = as_known(frame, known_until, timeline), ripe(frame)
    first = folds(list(answered["as_of"].unique()), timeline, k)[0]
    search = tune(ripe(first.past(frame)), features, trials, seed, search_minutes, storage, monotone)
    racers = racers_of(plan, search.params, seed, monotone, encodings, variants, bags)
    backtest = run(frame, features, timeline, racers, k, lambda share, words: progress(0.1 + 0.6 * share, words))
    leader = lead(backtest, timeline.gap, seed)
    backtest, choice = leader.backtest, leader.choice
    following = follow(backtest, leader.name, answered, choice, timeline.gap, seed)
    progress(0.7, "measuring with intervals")
    thinned = _thinned(backtest)
    metrics = {name: evaluate(thinned.judged(name), seed) for name in backtest.log_odds}
    progress(0.9, f"learning {leader.name} on everything ripe")
    model = leader.fit(racers)(frame, features)
    worth = fit_amount(frame, features, plan, seed)
    points = model if isinstance(model, PointsTable) else fit_points(answered, features)
    scorer = Scorer(
        model,
        choice.calibration,
        plan,
        tuple(features),
        pd.Timestamp(answered["as_of"].max()).to_pydatetime(),
        known_until,
        base_rate_of(answered),
        usual_values(answered, features),
        value,
        following.days,
        amount=worth.model,
        lifts=lifts_of(answered, features),
    )
    return Learned(scorer, backtest, metrics, leader.name, search.params, points.table(), choice, following, search, worth, leader.blending)


def _thinned(backtest: Backtest) -> Backtest:
    """Whole nights at even distances, so that lists keep their length and intervals take seconds."""
    every = max(1, -(-len(backtest.rows) // _JUDGED))
    kept = backtest.rows["as_of"].isin(sorted(backtest.rows["as_of"].unique())[::every]).to_numpy()
    odds = {name: z[kept] for name, z in backtest.log_odds.items()}
    return Backtest(backtest.folds, backtest.rows[kept].reset_index(drop=True), odds, backtest.skipped)
