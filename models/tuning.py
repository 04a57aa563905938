"""A modest search for better parameters, inside the training past only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import optuna
import pandas as pd

from features.feature import Feature
from features.timeline import Timeline
from models.backtest import folds
from models.calibration import log_loss_of
from models.scorer import DEFAULTS, fit_boosted

_ROWS = 40_000
_WORTH = 0.995


def tune(past: pd.DataFrame, features: Sequence[Feature], timeline: Timeline, trials: int, seed: int) -> dict[str, Any]:
    """Parameters that beat the defaults on later nights of this past by more than half a percent of log-loss; else the defaults.

    Parameters
    ----------
    past : the examples before the first fold's gap, so that no test night of the backtest has a say.
    trials : how many settings are tried, the defaults being the first. 0: none. Source of the search: Optuna's TPE (Bergstra et al. 2011).
    """
    every = max(1, -(-len(past) // _ROWS))
    thin = past.iloc[::every]
    nights = sorted(thin["as_of"].unique())
    if trials <= 1 or len(nights) < 4 or nights[-1] - nights[0] <= timeline.gap:
        return dict(DEFAULTS)
    inner = folds(nights, timeline, 1)[0]
    learn, judge = inner.past(thin), inner.test(thin)
    if min(learn["converted"].sum(), judge["converted"].sum()) < 20:
        return dict(DEFAULTS)
    return _search(learn, judge, features, trials, seed)


def _search(learn: pd.DataFrame, judge: pd.DataFrame, features: Sequence[Feature], trials: int, seed: int) -> dict[str, Any]:
    converted, weight = judge["converted"].to_numpy(dtype=bool), judge["weight"].to_numpy(dtype=float)

    def loss(trial: optuna.Trial) -> float:
        params = {
            "num_leaves": trial.suggest_int("num_leaves", 4, 24),
            "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 50, 800, log=True),
            "feature_fraction": trial.suggest_float("feature_fraction", 0.15, 0.8),
            "lambda_l2": trial.suggest_float("lambda_l2", 1.0, 200.0, log=True),
        }
        model = fit_boosted(learn, features, seed, {**params, "learning_rate": 0.08}, rounds=120)
        return log_loss_of(converted, model.log_odds(judge), weight)

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial({name: DEFAULTS[name] for name in ("num_leaves", "min_data_in_leaf", "feature_fraction", "lambda_l2")})
    study.optimize(loss, n_trials=trials)
    first = study.trials[0].value or float("inf")
    return {**DEFAULTS, **study.best_params} if study.best_value < first * _WORTH else dict(DEFAULTS)
