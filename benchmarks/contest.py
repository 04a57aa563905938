"""Everybody learns the same pasts and is judged on the same later nights, in two ways.

*static*: one fit on everything that was ripe before the later half of the nights, judged on all of them. *prequential*: score the next block of
nights, then learn it as it ripens, and so on (Dawid 1984); whatever learning again costs is counted. The blocks are the folds of
`models.backtest`, with their gap of one horizon and settle lag. Unlike there, a lead that was open on a past night may be judged on a later one,
for that is how a company uses its scores; and every lead is judged, not a quarter of them.

A made-up company is judged by its exact truth: the figures are expectations, and their intervals tell only which leads there happen to be.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from benchmarks.companies import Case
from benchmarks.contestants import Contestant, Terms
from benchmarks.truth import expected, knowable_information
from features.labels import as_known
from features.problem import Problem
from models.backtest import folds
from models.metrics import Estimate, Floats, Judged, evaluate, paired

MODES = ("static", "prequential")
FIGURES = ("average_precision", "roc_auc", "log_loss")
JUDGED_BY = ("average_precision", "log_loss")
_MOST_JUDGED = 60_000


@dataclass(frozen=True)
class Entry:
    """One contestant's showing in one mode on one company.

    Parameters
    ----------
    judged : what it said beside what happened, or beside the truth.
    found : its figures.
    information : share of what could be known that it knows; None for a real company.
    cpu_seconds : of all its learning.
    rows_per_second : of scoring, the median over its fits.
    """

    contestant: str
    terms: Terms
    judged: Judged
    found: dict[str, Estimate]
    information: float | None
    cpu_seconds: float
    rows_per_second: float


@dataclass(frozen=True)
class Contest:
    """What came of one mode on one company; `absent` says who could not take part, and why."""

    case: Case
    mode: str
    entries: tuple[Entry, ...]
    absent: tuple[str, ...] = ()

    def entry(self, name: str) -> Entry | None:
        """One contestant's showing; None if it did not take part."""
        return next((entry for entry in self.entries if entry.contestant == name), None)

    def first(self, figure: str) -> Entry:
        """Who has the best value: the lowest log-loss, the highest of anything else."""
        return min(self.entries, key=lambda entry: direction(figure) * -entry.found[figure].value)

    def behind(self, entry: Entry, figure: str) -> Estimate:
        """By how much one is worse than the first, on the same rows under the same draws of leads; below zero it is better."""
        found = paired(self.first(figure).judged, entry.judged, (figure,))[figure]
        return found if direction(figure) > 0 else Estimate(-found.value, -found.high, -found.low)


def direction(figure: str) -> int:
    """1 where more is better, -1 where less is.

    >>> direction("log_loss")
    -1
    """
    return -1 if figure == "log_loss" else 1


def hold(case: Case, mode: str, everybody: Sequence[Contestant], tell: Callable[[str], None] = lambda words: None) -> Contest:
    """Let everybody learn and speak; one that fails, or finds the history too short, is left out with the reason.

    Parameters
    ----------
    mode : "static" or "prequential".
    tell : told who is at it.
    """
    entries, absent = [], []
    for contestant in everybody:
        try:
            entries.append(_entry(case, contestant, contestant.terms(mode), tell))
        except Problem as problem:
            absent.append(f"{case.data}, seed {case.seed}, {mode}: {contestant.name} is left out. {problem}")
    return Contest(case, mode, tuple(entries), tuple(absent))


def _entry(case: Case, contestant: Contestant, terms: Terms, tell: Callable[[str], None]) -> Entry:
    log_odds, cpu, speeds = spoken(case, contestant, terms, tell)
    kept = judged_rows(case, log_odds)
    rows = case.study.frame[kept]
    truth = _truth_of(case, rows)
    if truth is None:
        judged = Judged(
            rows["converted"].to_numpy(dtype=bool),
            log_odds[kept],
            rows["weight"].to_numpy(dtype=float),
            rows["lead_id"].to_numpy(dtype=object),
            rows["as_of"].to_numpy(),
        )
    else:
        judged = expected(rows, truth, log_odds[kept])
    information = None if truth is None else knowable_information(judged, truth)
    return Entry(
        contestant.name, replace(terms, fits=len(speeds)), judged, evaluate(judged, names=FIGURES), information, cpu, float(np.median(speeds))
    )


def spoken(case: Case, contestant: Contestant, terms: Terms, tell: Callable[[str], None]) -> tuple[Floats, float, list[float]]:
    """What one says of every example, NaN of those before the later nights; the processor seconds of all its fits; and its speed at each."""
    frame = case.study.frame
    log_odds, cpu, speeds = np.full(len(frame), np.nan), 0.0, []
    speak = contestant.begin(case, terms)
    for fold in folds(case.nights, case.study.plan.timeline, terms.fits):
        tell(f"{contestant.name}, fit {fold.number + 1} of {terms.fits}")
        past = as_known(frame, fold.first.to_pydatetime(), case.study.plan.timeline)
        later = (frame["as_of"].between(fold.first, fold.last) & frame["converted"].notna()).to_numpy()
        said = speak(past, frame[later])
        if not np.isfinite(said.log_odds).all():
            raise Problem(f"It said nothing of {int((~np.isfinite(said.log_odds)).sum())} of {len(said.log_odds)} lead-nights.")
        log_odds[later] = said.log_odds
        cpu += said.cpu_seconds
        speeds.append(said.rows_per_second)
    return log_odds, cpu, speeds


def judged_rows(case: Case, log_odds: Floats) -> np.ndarray:
    """The examples that were spoken of; whole nights at even distances where there are more than intervals can be made of in seconds."""
    spoken_of = np.isfinite(log_odds)
    nights = case.study.frame["as_of"]
    size = int(spoken_of.sum()) * (1 if case.truth is None else 2)
    every = -(-size // _MOST_JUDGED)
    return np.asarray(spoken_of & nights.isin(sorted(nights[spoken_of].unique())[::every]).to_numpy())


def _truth_of(case: Case, rows: pd.DataFrame) -> Floats | None:
    if case.truth is None:
        return None
    known = rows[["lead_id", "as_of"]].merge(case.truth, on=["lead_id", "as_of"], how="left", validate="one_to_one")
    return known["knowable"].to_numpy(dtype=float)
