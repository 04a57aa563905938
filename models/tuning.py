"""The search for better parameters of the boosted trees, inside the training past only."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import optuna
import pandas as pd
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import DatabaseError

from features.feature import Feature
from models.encoding import PLAIN, Encoder, Style
from models.trees import DEFAULTS, directed, early_stopped, lesson_of, settings_of

_ROWS = 40_000
_WORTH = 0.99
_EVERY, _WARM_UP = 20, 40
_ENOUGH = 2
_KEPT = 20
_VERSION = 1
_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)

SPACE: dict[str, BaseDistribution] = {
    "learning_rate": FloatDistribution(0.01, 0.2, log=True),
    "num_leaves": IntDistribution(4, 128, log=True),
    "min_data_in_leaf": IntDistribution(1, 800, log=True),
    "feature_fraction": FloatDistribution(0.15, 1.0),
    "bagging_fraction": FloatDistribution(0.4, 1.0),
    "lambda_l2": FloatDistribution(0.001, 300.0, log=True),
}
"""Wide enough to hold the published settings, and trees that are held strongly: snapshots of a lead repeat each other."""

PUBLISHED: tuple[dict[str, Any], ...] = (
    # FLAML 2.7, where its search starts (`LGBMEstimator.search_space`): the cheapest trees, and nothing left out. Wang et al. (2021).
    {"learning_rate": 0.1, "num_leaves": 4, "min_data_in_leaf": 20, "feature_fraction": 1.0, "bagging_fraction": 1.0, "lambda_l2": 1.0},
    # AutoGluon 1.6, portfolio cpu_2025_12_18, LightGBM_r104.
    {"learning_rate": 0.0433, "num_leaves": 19, "min_data_in_leaf": 18, "feature_fraction": 0.661, "bagging_fraction": 0.933, "lambda_l2": 1.27},
    # The same portfolio, LightGBM_r63.
    {"learning_rate": 0.0309, "num_leaves": 24, "min_data_in_leaf": 1, "feature_fraction": 0.49, "bagging_fraction": 0.78, "lambda_l2": 0.581},
    # LGBM-TD for classification, of Holzmüller et al. (2024); no lambda_l2.
    {"learning_rate": 0.04, "num_leaves": 50, "min_data_in_leaf": 40, "feature_fraction": 1.0, "bagging_fraction": 0.75, "lambda_l2": 0.001},
)
"""Settings that did well on many other tables. Left out of them is what this search does not vary, such as lambda_l1 and max_bin."""

STARTS: tuple[dict[str, Any], ...] = ({name: DEFAULTS[name] for name in SPACE}, *PUBLISHED)


@dataclass(frozen=True)
class Search:
    """What the search came to.

    Parameters
    ----------
    params : LightGBM's, complete; the defaults where nothing was clearly better.
    tried, wanted : how many settings were tried, and how many should have been.
    minutes : the budget that cut it short, where fewer were.
    """

    params: dict[str, Any] = field(default_factory=lambda: dict(DEFAULTS))
    tried: int = 0
    wanted: int = 0
    minutes: float = 0.0

    @property
    def sentences(self) -> tuple[str, ...]:
        """What a report says of it: nothing, unless time ran out.

        >>> Search(tried=3, wanted=8, minutes=5.0).sentences[0][:53]
        'The search for parameters ended after 3 of 8 settings'
        """
        return (
            f"The search for parameters ended after {self.tried} of {self.wanted} settings, for the minutes of [training] search_minutes = "
            f"{self.minutes:g} were over: give it more, and it goes on from there.",
        ) * (self.tried < self.wanted)


def tune(
    past: pd.DataFrame,
    features: Sequence[Feature],
    trials: int,
    seed: int,
    minutes: float = 5.0,
    storage: str | None = None,
    monotone: Mapping[str, int] | None = None,
    style: Style = PLAIN,
) -> Search:
    """Parameters that beat the defaults on held-out leads of this past by more than one percent of log-loss; else the defaults.

    First come the defaults, then settings that are published as good ones (Holzmüller et al. 2024, "Better by default"; AutoGluon's portfolio, as of
    Salinas and Erickson 2024, "TabRepo"; FLAML, Wang et al. 2021), then Optuna's TPE goes on from there (Bergstra et al. 2011). A setting that
    falls behind is given up, see `falls_behind`.

    To the business: a search that was interrupted goes on where it stopped and comes to what an undisturbed one comes to; one that is finished is
    not repeated for the same examples.

    Parameters
    ----------
    past : the examples before the first fold's gap, so that no test night of the backtest has a say. Held out are leads and not nights: so short
        a past has no room for another gap of one horizon.
    trials : how many settings are tried, the defaults being the first. 0 or 1: none but the defaults, and nothing is searched.
    minutes : no further setting is tried once those tried have taken so long together, in this run and those it goes on from. 5: some two
        hundred settings of 26,000 examples with 160 columns, on one core.
    storage : file that remembers what was tried (SQLite); None: nothing is remembered. A file that cannot be read is begun anew.
    monotone : see `models.trees.fit_boosted`.
    style : how categories and texts become numbers, see `models.encoding.Style`.
    """
    thin = past.iloc[:: max(1, -(-len(past) // _ROWS))]
    if trials <= 1 or not len(thin):
        return Search()
    encoder, values = Encoder.fit_transform(thin, features, style)
    lesson, fixed = lesson_of(thin, values, encoder.categorical), directed(encoder, monotone)
    name = _digest(thin, values, [column.name for column in encoder.columns], fixed, seed)

    def loss(trial: optuna.Trial) -> float | None:
        settings = {**settings_of(trial.params, len(thin), seed), **fixed}
        grown = early_stopped(lesson, settings, [_watched(trial)])
        return None if grown is None else float(grown.best_score["valid_0"]["binary_logloss"])

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with _kept(storage) as keeper:
        study = optuna.create_study(storage=keeper, study_name=name, load_if_exists=True)
        judged = _tried(study, loss, trials, seed, timedelta(minutes=minutes))
        return _concluded(study, trials, minutes) if judged else Search()


def _tried(study: optuna.Study, loss: Callable[[optuna.Trial], float | None], trials: int, seed: int, budget: timedelta) -> bool:
    """Try settings until there are as many as wanted or time is up; False where they cannot be judged.

    What is tried next depends on the seed and on what was finished before it, and on nothing else.
    """
    for killed in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(killed.number, state=TrialState.FAIL)
    while len(done := _done(study)) < trials and (not done or sum((one.duration or timedelta() for one in done), timedelta()) < budget):
        study.sampler = optuna.samplers.TPESampler(seed=seed + len(done), n_startup_trials=len(STARTS))
        if len(done) < len(STARTS) and not study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            study.enqueue_trial(STARTS[len(done)])
        trial = study.ask(SPACE)
        try:
            found = loss(trial)
        except optuna.TrialPruned:
            study.tell(trial, state=TrialState.PRUNED)
            continue
        if found is None:
            study.tell(trial, state=TrialState.FAIL)
            return False
        study.tell(trial, found)
    return True


def _done(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=_FINISHED)


def _concluded(study: optuna.Study, trials: int, minutes: float) -> Search:
    # A study that had more trials before is taken as far as is wanted now: the same settings come to the same.
    done = _done(study)[:trials]
    complete = [trial for trial in done if trial.state == TrialState.COMPLETE]
    best = min(complete, key=lambda trial: trial.value or 0.0)
    better = (best.value or 0.0) < (done[0].value or 0.0) * _WORTH
    return Search({**DEFAULTS, **best.params} if better else dict(DEFAULTS), len(done), trials, minutes)


def falls_behind(lowest: Sequence[float], ended: Sequence[float]) -> bool:
    """Whether a setting is given up: going on for as many rounds again at its latest pace, it would still be behind the median of those finished.

    Losses after the same number of rounds do not compare: a tenth of the learning rate needs ten times the rounds, and trees that are held strongly
    start slowly and end well. What a setting may still come to, by its own pace, does compare with what others came to. A curve of losses flattens,
    so that its pace flatters it.

    Replayed on the curves of 18 settings each for three real companies and a made-up one, ten at a time in random order, this takes 0.6 of the time
    and costs 0.02 % of the log-loss found; the median after equal rounds takes 0.5 and costs 0.23 %, that after equal rounds times learning rate
    0.75 and 0.11 %.

    Parameters
    ----------
    lowest : the lowest loss so far, round by round.
    ended : what the settings that were grown to their end came to; of fewer than two, nothing is given up.

    >>> falls_behind([0.40 - 0.001 * n for n in range(40)], [0.33, 0.35]), falls_behind([0.40 - 0.001 * n for n in range(40)], [0.30, 0.31])
    (False, True)
    """
    if len(ended) < _ENOUGH or len(lowest) < _WARM_UP:
        return False
    pace = (lowest[-1 - _EVERY] - lowest[-1]) / _EVERY
    return bool(lowest[-1] - pace * len(lowest) > np.median(ended))


def _watched(trial: optuna.Trial) -> Callable[[lgb.callback.CallbackEnv], None]:
    """Looks every few rounds whether the setting falls behind, and then ends its growing."""
    lowest: list[float] = []
    ended = [one.value for one in _done(trial.study) if one.state == TrialState.COMPLETE and one.value is not None]

    def after_a_round(env: lgb.callback.CallbackEnv) -> None:
        lowest.append(min([*lowest[-1:], *(found[2] for found in env.evaluation_result_list or [])]))
        if len(lowest) % _EVERY == 0 and falls_behind(lowest, ended):
            # Of settings that were given up, TPE asks how far they came.
            trial.report(lowest[-1], len(lowest))
            raise optuna.TrialPruned

    return after_a_round


def _digest(thin: pd.DataFrame, values: np.ndarray[Any, Any], columns: list[str], fixed: dict[str, Any], seed: int) -> str:
    """What is searched on: other examples, features, seed or space are another search."""
    said = repr((_VERSION, SPACE, STARTS, DEFAULTS, columns, fixed, seed, lgb.__version__, optuna.__version__))
    digest = sha256(said.encode())
    digest.update(pd.util.hash_pandas_object(thin[["lead_id", "converted", "weight"]], index=False).to_numpy().tobytes())
    digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()[:16]


@contextmanager
def _kept(storage: str | None) -> Iterator[optuna.storages.BaseStorage | None]:
    """Where studies are kept, the newest twenty of them, closed again afterwards."""
    if storage is None:
        yield None
        return
    keeper = _opened(Path(storage))
    try:
        studies = optuna.get_all_study_summaries(keeper, include_best_trial=False)
        dated = sorted((str(study.datetime_start or ""), study.study_name) for study in studies)
        for _, name in dated[:-_KEPT]:
            optuna.delete_study(study_name=name, storage=keeper)
        yield keeper
    finally:
        keeper.remove_session()
        keeper.engine.dispose()


def _opened(path: Path) -> optuna.storages.RDBStorage:
    """Open it; what is in it is only a help, so one that another version wrote, or that is no database, is begun anew."""

    def connected() -> sqlite3.Connection:
        connection = sqlite3.connect(path, check_same_thread=False)
        # Waiting for the disk after every word takes longer than small trees do; what a power cut breaks is begun anew.
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    def opened() -> optuna.storages.RDBStorage:
        return optuna.storages.RDBStorage(f"sqlite:///{path}", engine_kwargs={"creator": connected})

    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return opened()
    except (RuntimeError, DatabaseError):
        path.unlink(missing_ok=True)
        return opened()
