"""A modest search for better parameters, inside the training past only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import optuna
import pandas as pd

from features.feature import Feature
from models.encoding import PLAIN, Encoder, Style
from models.scorer import DEFAULTS, early_stopped, settings_of

_ROWS = 40_000
_WORTH = 0.99
_SEARCHED = ("num_leaves", "min_data_in_leaf", "feature_fraction", "lambda_l2")


def tune(past: pd.DataFrame, features: Sequence[Feature], trials: int, seed: int, style: Style = PLAIN) -> dict[str, Any]:
    """Parameters that beat the defaults on held-out leads of this past by more than one percent of log-loss; else the defaults.

    Parameters
    ----------
    past : the examples before the first fold's gap, so that no test night of the backtest has a say. Held out are leads and not nights: so short
        a past has no room for another gap of one horizon.
    trials : how many settings are tried, the defaults being the first. 0: none. Source of the search: Optuna's TPE (Bergstra et al. 2011).
    style : how categories and texts become numbers, see `models.encoding.Style`.
    """
    every = max(1, -(-len(past) // _ROWS))
    thin = past.iloc[::every]
    if trials <= 1 or not len(thin):
        return dict(DEFAULTS)
    encoder, values = Encoder.fit_transform(thin, features, style)

    def loss(trial: optuna.Trial) -> float:
        params = {
            "num_leaves": trial.suggest_int("num_leaves", 4, 24),
            "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 50, 800, log=True),
            "feature_fraction": trial.suggest_float("feature_fraction", 0.15, 0.8),
            "lambda_l2": trial.suggest_float("lambda_l2", 1.0, 200.0, log=True),
        }
        grown = early_stopped(thin, values, settings_of(params, len(thin), seed), encoder.categorical)
        if grown is None:
            trial.study.stop()
            return float("inf")
        return float(grown.best_score["valid_0"]["binary_logloss"])

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial({name: DEFAULTS[name] for name in _SEARCHED})
    study.optimize(loss, n_trials=trials)
    of_defaults = study.trials[0].value or float("inf")
    return {**DEFAULTS, **study.best_params} if study.best_value < of_defaults * _WORTH else dict(DEFAULTS)
