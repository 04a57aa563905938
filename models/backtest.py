"""Rolling-origin folds with a gap of one horizon: every judgement is made on nights that came later, of leads that the past does not hold.

Each fold judges a quarter of the leads, drawn by their id, and learns from the other three quarters. Keeping out of the past *whoever is still open
later* would be simpler and wrong: those are the leads that did not convert, and a past without them looks too rosy.

nights:  |---- past: learn ----|== gap: horizon + settle lag ==|-- test --|
                                                                (next fold: everything one block later)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.feature import Feature
from features.labels import as_known, ripe
from features.problem import Problem
from features.timeline import Timeline
from models.metrics import Judged

Floats = NDArray[np.float64]
QUARTERS = 4
_FEWEST = 5
Fit = Callable[[pd.DataFrame, Sequence[Feature]], Any]


def quarter_of(lead_ids: pd.Series, cut: int = 0) -> NDArray[np.int64]:
    """Which quarter of the leads each belongs to, by its id alone: the same in every fold, run and machine.

    Parameters
    ----------
    cut : another number cuts the leads into other quarters, each of which holds a quarter of every one of the first.
    """
    codes, distinct = pd.factorize(lead_ids)
    place = pd.util.hash_array(distinct.to_numpy(dtype=object)) >> np.uint64(16 * cut)
    return np.asarray((place % QUARTERS).astype(np.int64)[codes])


def held_out(lead_ids: pd.Series) -> NDArray[np.bool_]:
    """A quarter of the leads, on which a racer may choose its own settings; cut across the quarters that folds judge, so that no past lacks it."""
    return quarter_of(lead_ids, cut=1) == 0


@dataclass(frozen=True)
class Fold:
    """A block of later nights to judge on, and the newest night that may be learned from; `number` says which quarter of the leads is judged."""

    number: int
    learn_until: pd.Timestamp
    first: pd.Timestamp
    last: pd.Timestamp
    timeline: Timeline = field(default_factory=Timeline)

    def past(self, frame: pd.DataFrame) -> pd.DataFrame:
        """What could have been learned: the examples as known on the first night of the test, without any snapshot of a lead that is judged."""
        return as_known(frame[~self._judged(frame)], self.first.to_pydatetime(), self.timeline)

    def test(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The later block, of the leads that are judged."""
        answered = ripe(frame)
        return answered[((answered["as_of"] >= self.first) & (answered["as_of"] <= self.last)).to_numpy() & self._judged(answered)]

    def _judged(self, frame: pd.DataFrame) -> NDArray[np.bool_]:
        return quarter_of(frame["lead_id"]) == self.number % QUARTERS


def folds(nights: Sequence[pd.Timestamp], timeline: Timeline, k: int) -> list[Fold]:
    """Split the later half of what can be judged into k blocks, each with its past.

    Parameters
    ----------
    nights : the distinct as-of dates of the ripe examples.
    k : how many blocks. Fewer, if there are fewer nights.

    Raises
    ------
    Problem : history is too short for a single night with a past.

    >>> weeks = list(pd.date_range("2025-01-01", periods=40, freq="7D"))
    >>> [(fold.learn_until.strftime("%m-%d"), fold.first.strftime("%m-%d")) for fold in folds(weeks, Timeline(horizon_days=30, settle_days=5), 2)]
    [('04-30', '06-04'), ('07-02', '08-06')]
    """
    ordered = sorted(set(nights))
    gap = timeline.gap
    span = ordered[-1] - ordered[0]
    if span <= gap:
        raise Problem(
            f"History is too short to be tested: the ripe nights run from {ordered[0]:%Y-%m-%d} to {ordered[-1]:%Y-%m-%d}, and a test needs more "
            f"than {gap.days} days between (horizon {timeline.horizon_days} and settle lag {timeline.settle_days}). "
            "Extract more history, or shorten the horizon."
        )
    earliest = ordered[0] + gap + (span - gap) / 2
    later = [night for night in ordered if night >= earliest]
    blocks = [block for block in np.array_split(np.arange(len(later)), min(k, len(later))) if len(block)]
    return [Fold(n, later[block[0]] - gap, later[block[0]], later[block[-1]], timeline) for n, block in enumerate(blocks)]


@dataclass(frozen=True)
class Backtest:
    """What every racer said of nights it had not seen: the test rows of all folds, pooled.

    Parameters
    ----------
    rows : lead_id, as_of, converted, weight, fold.
    log_odds : racer -> one number a row.
    skipped : why folds were left out.
    models : racer -> what it had learned by each of the folds.
    customers : of the leads that each fold could learn from, those that had converted; empty where nobody counted.
    """

    folds: tuple[Fold, ...]
    rows: pd.DataFrame
    log_odds: Mapping[str, Floats]
    skipped: tuple[str, ...] = ()
    models: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    customers: tuple[int, ...] = ()

    def judged(self, racer: str, log_odds: Floats | None = None) -> Judged:
        """One racer's predictions beside the outcomes."""
        return self.beside_outcomes(self.rows, self.log_odds[racer] if log_odds is None else log_odds)

    def predictions(self, racer: str) -> pd.DataFrame:
        """One racer's log-odds beside what became of each lead: lead_id, as_of, converted, weight, log_odds."""
        return self.rows[["lead_id", "as_of", "converted", "weight"]].assign(log_odds=self.log_odds[racer])

    def judged_fold(self, racer: str, fold: int) -> Judged:
        """The same for one fold."""
        inside = (self.rows["fold"] == fold).to_numpy()
        return self.beside_outcomes(self.rows[inside], self.log_odds[racer][inside])

    @staticmethod
    def beside_outcomes(rows: pd.DataFrame, log_odds: Floats) -> Judged:
        """Predictions of some examples beside their outcomes."""
        return Judged(
            rows["converted"].to_numpy(dtype=bool),
            log_odds,
            rows["weight"].to_numpy(dtype=float),
            rows["lead_id"].to_numpy(dtype=object),
            rows["as_of"].to_numpy(),
        )


def run(
    frame: pd.DataFrame, features: Sequence[Feature], timeline: Timeline, racers: Mapping[str, Fit], k: int, tell: Callable[[float, str], None]
) -> Backtest:
    """Let every racer learn each fold's past and speak on its later nights.

    Parameters
    ----------
    frame : examples, see `features.examples.training`.
    racers : name -> a function that learns (examples as known then, features) and returns something with `log_odds(frame)`.

    Raises
    ------
    Problem : no fold can be judged.
    """
    parts: list[pd.DataFrame] = []
    said: dict[str, list[Floats]] = {name: [] for name in racers}
    models: dict[str, list[Any]] = {name: [] for name in racers}
    kept, skipped, customers = [], [], []
    every = folds(list(ripe(frame)["as_of"].unique()), timeline, k)
    for fold in every:
        past, test = fold.past(frame), fold.test(frame)
        sides = [part["converted"].astype(bool) == side for part in (ripe(past), test) for side in (True, False)]
        if min(int(side.sum()) for side in sides) < _FEWEST:
            skipped.append(f"The fold from {fold.first:%Y-%m-%d} has too few leads of either outcome in its past or its test to be judged.")
            continue
        for number, (name, fit) in enumerate(racers.items()):
            tell((fold.number + number / len(racers)) / len(every), f"fold {fold.number + 1} of {len(every)}, {name}")
            models[name].append(fit(past, features))
            said[name].append(models[name][-1].log_odds(test))
        parts.append(test[["lead_id", "as_of", "converted", "weight"]].assign(fold=fold.number))
        kept.append(fold)
        customers.append(customers_of(past))
    if not kept:
        raise Problem(f"No later block of nights can be judged. {skipped[0]} Extract more history, or lower [training] folds.")
    pooled = {name: np.concatenate(odds) for name, odds in said.items()}
    learned = {name: tuple(each) for name, each in models.items()}
    return Backtest(tuple(kept), pd.concat(parts, ignore_index=True), pooled, tuple(skipped), learned, tuple(customers))


def customers_of(past: pd.DataFrame) -> int:
    """Leads that had converted, each counted once however many nights saw it."""
    answered = ripe(past)
    return int(answered.loc[answered["converted"].astype(bool), "lead_id"].nunique())
