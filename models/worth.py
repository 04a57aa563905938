"""Whether expected value takes an amount of each lead's own: models of it compete out of time with the average, which stays unless it is beaten.

A large company that is unlikely to sign may be worth more than a small one that surely will. But amounts are few, skewed, and the same on every night
of a lead, so that a model of them has to prove itself beyond doubt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from features.feature import Feature
from features.labels import as_known, ripe
from features.plan import Plan
from features.timeline import Timeline
from models.amount import CANDIDATES, AmountModel, Floats, gamma_losses, winsorised
from models.backtest import QUARTERS, folds, quarter_of
from models.choice import Trial
from models.metrics import Estimate, Judged, redraw

AVERAGE = "average"
FEWEST_AMOUNTS = 100
"""Leads that converted with an amount, below which nothing is learned: as few as [training] min_conversions asks for."""
_FEWEST_BEFORE = 50
_NIGHTS_A_LEAD = 4
_BLOCKS = 2
_DEVIANCE = "gamma deviance"


@dataclass(frozen=True)
class Worth:
    """The amount model that is used, and how all candidates did.

    Parameters
    ----------
    model : None: the average stays.
    losses : mean gamma deviance of each candidate on later conversions; empty when there were none to judge by.
    differences : the same minus the average's, with 95 % interval.
    totals : the sum of the expected amounts over the sum of the true ones; 1 is perfect.
    leads : so many were judged by.
    """

    model: AmountModel | None = None
    losses: Mapping[str, float] = field(default_factory=dict)
    differences: Mapping[str, Estimate] = field(default_factory=dict)
    totals: Mapping[str, Estimate] = field(default_factory=dict)
    because: str = "no other was tried"
    leads: int = 0

    @property
    def name(self) -> str:
        """Which candidate is used."""
        return self.model.name if self.model else AVERAGE

    def sentence(self, who: str, value: float | None) -> str:
        """What was chosen and why, with figures.

        Parameters
        ----------
        who : one of those scored, see `features.outcome.Words`.
        value : the average, see `features.outcome.value_of`.
        """
        if value is None:
            return "Expected value is left empty: no amount is known of what is counted."
        own, same = f"the amount expected of each {who} ({self.name})", f"the average amount ({value:,.2f}), the same for every {who}"
        head = f"Expected value is probability times {own if self.model else same}"
        if not self.losses:
            return f"{head}: {self.because}."
        told = self.name if self.model else min(self.differences, key=lambda name: self.losses[name])
        change, total = self.differences[told], self.totals[self.name]
        return (
            f"{head}: {self.because} ({self.losses[told]:.3f} against {self.losses[AVERAGE]:.3f} of the average, difference {change.value:+.3f}, "
            f"95 % interval {change.low:+.3f} to {change.high:+.3f}); over {self.leads:,} later conversions what is used expected {total.value:.2f} "
            f"times what was paid ({total.low:.2f} to {total.high:.2f})."
        )

    def table(self) -> pd.DataFrame:
        """candidate, gamma_deviance, difference, low, high, total, total_low, total_high, chosen: one row a candidate."""
        none = Estimate(0.0, 0.0, 0.0)
        rows = [
            (name, loss, *_ends(self.differences.get(name, none)), *_ends(self.totals[name]), name == self.name) for name, loss in self.losses.items()
        ]
        names = ["candidate", "gamma_deviance", "difference", "low", "high", "total", "total_low", "total_high", "chosen"]
        return pd.DataFrame(rows, columns=names)

    def figures(self) -> dict[str, Estimate]:
        """What a run keeps: the total of what is used, and every candidate's difference; empty where nothing was judged."""
        changes = {f"amount.{name.replace('-', '_')}.difference": found for name, found in self.differences.items()}
        return {"amount.total": self.totals[self.name], **changes} if self.totals else {}


def _ends(found: Estimate) -> tuple[float, float, float]:
    return found.value, found.low, found.high


def fit_amount(frame: pd.DataFrame, features: Sequence[Feature], plan: Plan, seed: int = 7) -> Worth:
    """The amount model with the lowest loss on later conversions, if it is lower than the average's beyond doubt; else the average.

    Each of two blocks of later nights judges what was learned from conversions known before it, quarter by quarter of the leads, so that none
    judges a model that knows it. The judge is gamma deviance: like squared error it is lowest for the true mean (a consistent score; Gneiting
    2011), but it counts a miss by its share of the amount, where squared error would listen to the largest deals alone. The winner is learned
    once more, from all.

    Parameters
    ----------
    frame : examples as known at the end of the extract, see `features.labels.as_known`; with `amount`, else the average stays.
    """
    if not plan.outcome.is_purchase:
        return Worth(because="what is counted is no deal, and so has no amount of its own")
    bought = paid(frame)
    if bought.loc[bought["amount"] > 0, "lead_id"].nunique() < FEWEST_AMOUNTS:
        return Worth(because=f"fewer than {FEWEST_AMOUNTS} {plan.outcome.words.who}s {plan.outcome.words.rate} with an amount that is known")
    said = _said_before(bought, list(ripe(frame)["as_of"].unique()), features, plan.timeline, seed)
    if said.empty:
        return Worth(because="too few amounts were known before the later nights, so that no other was tried")
    return _judged(said, bought, features, seed)


def paid(frame: pd.DataFrame) -> pd.DataFrame:
    """The ripe examples that converted with an amount, at most four nights a lead at even distances, of a weight that sums to one a lead."""
    if "amount" not in frame:
        return frame.head(0).assign(amount=0.0)
    answered = ripe(frame)
    found = answered[(answered["converted"].astype(bool) & (answered["amount"] >= 0)).to_numpy()].sort_values(["lead_id", "as_of"])
    nights = found.groupby("lead_id")["as_of"]
    nth, size = nights.cumcount(), nights.transform("size")
    most = np.minimum(size, _NIGHTS_A_LEAD)
    return _once_a_lead(found[((nth + 1) * most // size > nth * most // size).to_numpy()])


def _once_a_lead(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(weight=1.0 / rows.groupby("lead_id")["lead_id"].transform("size"))


def _said_before(bought: pd.DataFrame, nights: list[pd.Timestamp], features: Sequence[Feature], line: Timeline, seed: int) -> pd.DataFrame:
    """Every later conversion with what each candidate, learned from other leads before it, expected of it: a column a candidate."""
    quarter, parts = quarter_of(bought["lead_id"]), [pd.DataFrame()]
    for fold in folds(nights, line, _BLOCKS):
        later = bought["as_of"].between(fold.first, fold.last).to_numpy()
        for number in range(QUARTERS):
            past = ripe(as_known(bought[quarter != number], fold.first.to_pydatetime(), line))
            test = bought[later & (quarter == number)]
            if len(test) and past.loc[past["amount"] > 0, "lead_id"].nunique() >= _FEWEST_BEFORE:
                parts.append(_said(_once_a_lead(past), test, features, seed).assign(block=fold.number))
    return pd.concat(parts, ignore_index=True)


def _said(past: pd.DataFrame, test: pd.DataFrame, features: Sequence[Feature], seed: int) -> pd.DataFrame:
    cap, level = winsorised(past)
    cut = past.assign(amount=past["amount"].clip(upper=cap))
    each = {name: fit(cut, features, seed).of(test) for name, fit in CANDIDATES.items()}
    return test[["lead_id", "as_of", "amount"]].assign(**{AVERAGE: _mean(cut)}, **each, cut=test["amount"].clip(upper=cap), level=level)


def _mean(past: pd.DataFrame) -> float:
    return float(np.average(past["amount"], weights=past["weight"]))


def _judged(said: pd.DataFrame, bought: pd.DataFrame, features: Sequence[Feature], seed: int) -> Worth:
    said = _once_a_lead(said)
    everybody = np.ones(len(said), dtype=bool)
    rows = Judged(everybody, np.zeros(len(said)), said["weight"].to_numpy(), said["lead_id"].to_numpy(dtype=object), said["as_of"].to_numpy())
    trial = Trial(rows, (said["block"] == said["block"].max()).to_numpy(), seed, _DEVIANCE)
    losses = {name: gamma_losses(said["cut"].to_numpy(), said[name].to_numpy()) for name in (AVERAGE, *CANDIDATES)}
    means = {name: trial.loss(each) for name, each in losses.items()}
    verdicts = {name: trial.verdict(losses[name], losses[AVERAGE]) for name in CANDIDATES}
    good = [name for name in verdicts if verdicts[name] == trial.earned]
    told = min(good or verdicts, key=means.__getitem__)
    return Worth(
        _learned(told, bought, features, seed) if good else None,
        means,
        {name: trial.difference(losses[name], losses[AVERAGE]) for name in CANDIDATES},
        {name: _total(rows, (said[name] * said["level"]).to_numpy(), said["amount"].to_numpy(), seed) for name in losses},
        f"{told} {verdicts[told]}",
        said["lead_id"].nunique(),
    )


def _learned(name: str, bought: pd.DataFrame, features: Sequence[Feature], seed: int) -> AmountModel:
    cap, level = winsorised(bought)
    return CANDIDATES[name](bought.assign(amount=bought["amount"].clip(upper=cap)), features, seed).times(level)


def _total(rows: Judged, expected: Floats, amount: Floats, seed: int) -> Estimate:
    """Sum of the expected over sum of the true amounts, with the interval that drawing whole leads gives."""
    draws = [float(w @ expected / paid_then) for w in redraw(rows, seed, 200) if (paid_then := float(w @ amount)) > 0]
    low, high = np.quantile(draws, [0.025, 0.975])
    return Estimate(float(rows.weight @ expected / (rows.weight @ amount)), float(low), float(high))
