"""Who takes part, and on what terms.

Everybody gets the same examples and features and says how likely each lead of a later night converts. Peers in an environment of their own get a
limit of seconds for each fit, and learn less often than the others as time goes on: in the time of twelve fits each would find little.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pandas as pd

from benchmarks.companies import Case
from benchmarks.exchange import Said, consult, later_of, log_odds_of, past_of
from benchmarks.peers import fit_lightgbm, rows_per_second, spent
from features.labels import ripe
from models.backtest import Fit
from models.baseline import fit_logistic, fit_points
from models.leader import fit_of
from models.metrics import Floats
from models.race import Learned, learn, racers_of

OURS = "ours"
BLOCKS = 12
"""Times that somebody learns as time goes on."""
RACES_EVERY = 3
"""Of how many times the product races once: four races, as the peers learn four times."""
Speaker = Callable[[pd.DataFrame, pd.DataFrame], Said]
_Score = Callable[[pd.DataFrame], Floats]


@dataclass(frozen=True)
class Terms:
    """How often one learns, and for how long each time.

    Parameters
    ----------
    fits : times, spread evenly over the later nights.
    seconds : limit for one fit; None where there is no limit to give.
    """

    fits: int
    seconds: float | None = None


@dataclass(frozen=True)
class Contestant:
    """Somebody who learns a past and speaks of later nights.

    Parameters
    ----------
    begin : a fresh speaker for one company and one set of terms: called with (the past as known by then, later) for each fit, in the order of time.
    static, prequential : its terms when it learns once, and when it learns as nights ripen.
    """

    name: str
    begin: Callable[[Case, Terms], Speaker]
    static: Terms
    prequential: Terms

    def terms(self, mode: str) -> Terms:
        """Its terms in a mode, "static" or "prequential"."""
        return self.static if mode == "static" else self.prequential


def contestants(budget: float = 1.0) -> list[Contestant]:
    """Everybody, the simplest first and the product last.

    Parameters
    ----------
    budget : times the usual limits of the peers. At 1 eight companies take about an hour on two cores. Much below, a peer may find no
        model in time, and fails.
    """
    return [
        _free("points table", lambda case: fit_points),
        _free("logistic", lambda case: partial(fit_logistic, seed=case.settings.training.seed)),
        Contestant("LightGBM defaults", _lightgbm, Terms(1), Terms(BLOCKS)),
        _peer("FLAML", Terms(1, 30 * budget), Terms(4, 10 * budget)),
        _peer("AutoGluon medium", Terms(1, 60 * budget), Terms(4, 15 * budget)),
        _peer("AutoGluon good", Terms(1, 90 * budget), Terms(2, 60 * budget)),
        Contestant(OURS, lambda case, terms: Ours(case), Terms(1), Terms(BLOCKS)),
    ]


def _free(name: str, fit_for: Callable[[Case], Fit]) -> Contestant:
    def begin(case: Case, terms: Terms) -> Speaker:
        return lambda past, later: _speak(lambda: fit_for(case)(ripe(past), case.study.features).log_odds, later)

    return Contestant(name, begin, Terms(1), Terms(BLOCKS))


def _speak(learned: Callable[[], _Score], later: pd.DataFrame) -> Said:
    score, cpu = spent(learned)
    return Said(score(later), cpu, rows_per_second(score, later))


def _lightgbm(case: Case, terms: Terms) -> Speaker:
    """LightGBM needs no environment of its own: the product has it."""
    features, seed = case.study.features, case.settings.training.seed

    def speak(past: pd.DataFrame, later: pd.DataFrame) -> Said:
        said = _speak(lambda: fit_lightgbm(past_of(ripe(past), features), 0, seed, Path()), later_of(later, features))
        return replace(said, log_odds=log_odds_of(said.log_odds))

    return speak


def _peer(name: str, static: Terms, prequential: Terms) -> Contestant:
    def begin(case: Case, terms: Terms) -> Speaker:
        features, seed = case.study.features, case.settings.training.seed
        return lambda past, later: consult(name, terms.seconds or 0, seed, past_of(ripe(past), features), later_of(later, features))

    return Contestant(name, begin, static, prequential)


class Ours:
    """The product: the whole race with search, backtest and calibration, as `leadscore train` runs it; then the one it chose learns again, until the
    next race, so that it races as often as the peers learn.

    All of it is counted as learning, the intervals of the backtest's figures included.
    """

    def __init__(self, case: Case) -> None:
        self._case = case
        self._chosen: Learned | None = None
        self._fits = 0

    def __call__(self, past: pd.DataFrame, later: pd.DataFrame) -> Said:
        """Learn, and speak of later nights."""
        return _speak(lambda: self._learned(past), later)

    def _learned(self, past: pd.DataFrame) -> _Score:
        study, training = self._case.study, self._case.settings.training
        self._fits += 1
        if self._chosen is None or self._fits % RACES_EVERY == 1:
            until = pd.Timestamp(ripe(past)["as_of"].max()).to_pydatetime() + study.plan.timeline.gap
            self._chosen = learn(past, study.features, study.plan, until, seed=training.seed, k=training.folds, trials=training.trials)
            return self._chosen.scorer.log_odds
        racers = racers_of(study.plan, self._chosen.params, training.seed)
        leader = fit_of(self._chosen.leader, racers, self._chosen.blending)
        model, calibration = leader(past, study.features), self._chosen.scorer.calibration
        return lambda frame: calibration.apply(model.log_odds(frame))
