"""Are tonight's open leads like those that were open on past nights? A leak makes them differ where the outcome is; drift does not.

A field that is written when a lead is won or lost is filled on past nights, because we look at them from today, and empty tonight, because the
leads of tonight have not ended yet. That is a difference in fill rate and distribution, but so is every new campaign. What tells them apart:

    promise = endings that tonight's values stand for on past nights / endings that the values of the newest training nights stand for

An honest field moves with the world, and its promise stays near 1: tonight's leads hold as many future customers as those of a past night did,
whatever their campaigns are called. A field that knows the outcome promises tonight's leads fewer endings, because the values that stand for an
ending are not there yet. Only that is an accusation; a difference without it is told as drift.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.spatial.distance import jensenshannon

from features.endings import ENDINGS, Ending
from features.finding import Finding
from features.levels import MISSING, levels
from features.outcome import WORDS, Words
from features.plan import Attribute

_AGES, _TIMES = 10, 6
_PRIOR = 20.0


@dataclass(frozen=True)
class Thresholds:
    """When a difference is an accusation, and when it is drift.

    Parameters
    ----------
    promise : tonight's values stand for less than this share of the endings they should. 0.8: on three made-up companies and three real ones no
        honest field, however it drifted, promised less than 0.87, X Education's `Last Activity` promises 0.79, Maven's account fields, which are
        filled in for every closed deal and a third of the open ones, 0.60, and a made-up contract number 0.01 (`make bench NAME=leakage`).
    doubt : standard errors by which the promise must fall short of 1. 4: fifty fields and two endings are looked at, every week.
    drift : Jensen-Shannon distance, less what the number of leads explains, from which a difference is worth a word. 0.2: of made-up
        sources, whose mix moves over two years, it is 0.02, of campaigns that come and go 0.3.
    leads : tonight, of one age, ended in one way: where there are fewer, nothing is said.
    """

    promise: float = 0.8
    doubt: float = 4.0
    drift: float = 0.2
    leads: int = 50


@dataclass(frozen=True)
class Shift:
    """How one field differs between the newest training nights and tonight.

    Parameters
    ----------
    distance : Jensen-Shannon, in bits, from 0 (the same) to 1 (nothing in common). Source: Lin (1991), Divergence measures based on the
        Shannon entropy.
    excess : the same less what two samples of one distribution would show.
    filled_then, filled_tonight : shares of leads where it is filled.
    ending, promise : the ending of which tonight's values promise the least, and how much; 1 where nothing can be said.
    """

    attribute: Attribute
    distance: float
    excess: float
    filled_then: float
    filled_tonight: float
    ending: Ending = "won"
    promise: float = 1.0

    def accused(self, limits: Thresholds) -> bool:
        """Whether the difference is connected with the outcome."""
        return self.promise < limits.promise


class Nights:
    """The leads of past nights beside those of tonight, to be compared by any field.

    Parameters
    ----------
    past : one row per lead and training night: lead_id, as_of, lead_age_days, ending, and the fields.
    tonight : the same of one night, without ending.
    newest : which share of the past rows tonight is compared with. A quarter: the world drifts, and the newest nights are the most like tonight.
    said : the outcome in words.
    """

    def __init__(
        self, past: pd.DataFrame, tonight: pd.DataFrame, limits: Thresholds | None = None, newest: float = 0.25, said: Words = WORDS["first purchase"]
    ) -> None:
        self.past, self.tonight, self.limits, self.said = past, tonight, limits or Thresholds(), said
        self.newest = (past["as_of"] >= past["as_of"].quantile(1 - newest)).to_numpy()
        since = (tonight["as_of"].max() - past["as_of"].max()) / pd.Timedelta(days=1)
        self._grown = [(frame["lead_age_days"] >= since).to_numpy() for frame in (past, tonight)]
        edges = np.quantile(past["lead_age_days"], np.linspace(0, 1, _AGES + 1)[1:-1])
        self._age = [np.searchsorted(edges, frame["lead_age_days"].to_numpy()) for frame in (past, tonight)]
        self._time = np.minimum(past["as_of"].rank(pct=True).to_numpy() * _TIMES, _TIMES - 1).astype(int)
        # A lead of twelve nights is one lead.
        self._prior = _PRIOR * len(past) / max(1, past["lead_id"].nunique())

    def levels(self, column: str) -> tuple[np.ndarray, np.ndarray]:
        """A field's levels on past nights, and tonight."""
        level = levels(pd.concat([self.past[column], self.tonight[column]], ignore_index=True))
        return level[: len(self.past)], level[len(self.past) :]

    def endings(self) -> list[Ending]:
        """The endings that enough leads came to."""
        leads = self.past.drop_duplicates("lead_id")["ending"].value_counts()
        return [ending for ending in ENDINGS if min(leads.get(ending, 0), len(self.tonight)) >= self.limits.leads]

    def promise(self, then: np.ndarray, now: np.ndarray, ending: Ending) -> float:
        """Endings that tonight's levels stand for, over those that they should; 1 where the difference may be chance.

        A level stands for the rate at which its leads ended over the rate that is usual at their ages and in their time (indirect standardisation):
        a count that grows with age, and a form that was replaced, tell when a lead came in and not how it ended. The promise must be short among
        all leads, and among those that are old enough to have been there on the newest training night: what the company has changed since, a new
        form, a channel given up, shows in the younger ones alone.
        """
        ended = (self.past["ending"] == ending).to_numpy(dtype=float)
        usual, tonight = self._usual(ended)
        worth = self._worth(then, ended, usual)
        stands = usual * worth.reindex(then).to_numpy(), tonight * worth.reindex(now).fillna(1.0).to_numpy()
        everyone = self.newest, np.ones(len(now), dtype=bool)
        grown = self.newest & self._grown[0], self._grown[1]
        found = [self._kept(stands, (usual, tonight), rows) for rows in (everyone, grown)]
        return max((promise for promise in found if promise is not None), default=1.0)

    def _usual(self, ended: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The rate of an ending among leads of the same age on nights of the same time, for past rows; of the newest time, for tonight's."""
        (age, ages), time = self._age, self._time
        sums, counts = (np.bincount(age * _TIMES + time, weights, _AGES * _TIMES) for weights in (ended, np.ones(len(ended))))
        rate = (sums + self._prior * ended.mean()) / (counts + self._prior)
        return rate[age * _TIMES + time], rate[ages * _TIMES + _TIMES - 1]

    def _worth(self, level: np.ndarray, ended: np.ndarray, usual: np.ndarray) -> pd.Series:
        """How many times as often as usual the leads of each level ended so; few leads count little."""
        sums = pd.DataFrame({"ended": ended, "usual": usual}).groupby(level).sum()
        prior = self._prior * float(ended.mean())
        return (sums["ended"] + prior) / (sums["usual"] + prior)

    def _kept(self, stands: tuple[np.ndarray, np.ndarray], usual: tuple[np.ndarray, np.ndarray], rows: tuple[np.ndarray, np.ndarray]) -> float | None:
        """The promise of some rows; none where they are too few."""
        then, now = rows
        leads, tonight = self.past["lead_id"][then].nunique(), int(now.sum())
        if min(leads, tonight) < self.limits.leads:
            return None
        due = stands[0][then].sum() / usual[0][then].sum()
        promise = stands[1][now].sum() / usual[1][now].sum() / due
        error = stands[0][then].std() / usual[0][then].mean() / due * np.sqrt(1 / leads + 1 / tonight)
        return float(promise) if 1 - promise > self.limits.doubt * error else 1.0


def shift(nights: Nights, attribute: Attribute) -> Shift:
    """Compare the newest training nights with tonight by one field."""
    then, now = nights.levels(attribute.column)
    recent = then[nights.newest]
    names = np.union1d(recent, now)
    shares = [pd.Series(level).value_counts(normalize=True).reindex(names, fill_value=0.0).to_numpy() for level in (recent, now)]
    # Of equal shares the distance is the root of a rounding error, which may be negative.
    with np.errstate(invalid="ignore"):
        distance = float(np.nan_to_num(jensenshannon(*shares, base=2)))
    leads = nights.past["lead_id"][nights.newest].nunique()
    chance = (len(names) - 1) / (8 * np.log(2)) * (1 / leads + 1 / len(now))
    promises = {ending: nights.promise(then, now, ending) for ending in nights.endings()}
    ending: Ending = min(promises, key=lambda one: promises[one], default="won")
    return Shift(
        attribute,
        distance,
        float(np.sqrt(max(0.0, distance**2 - chance))),
        float((recent != MISSING).mean()),
        float((now != MISSING).mean()),
        ending,
        promises.get(ending, 1.0),
    )


def shifts(nights: Nights, attributes: Sequence[Attribute]) -> list[Shift]:
    """Compare by every field; none where either side has too few leads to say anything."""
    if len(nights.tonight) < nights.limits.leads or nights.past["lead_id"].nunique() < nights.limits.leads:
        return []
    return [shift(nights, attribute) for attribute in attributes]


def accusation(found: Shift, said: Words = WORDS["first purchase"]) -> Finding:
    """What is held against a field that promises tonight's leads too little; `said` is the outcome in words."""
    ends = said.become if found.ending == "won" else "be lost"
    evidence = (
        f"it is filled for {found.filled_then:.0%} of the leads of past nights and {found.filled_tonight:.0%} of tonight's (Jensen-Shannon distance "
        f"{found.distance:.2f}), and by its values tonight's leads would {ends} {found.promise:.2f} times as often as those did"
    )
    advice = "it seems to be written when a lead ends, so map its field history, or allow it if it is known before"
    return Finding(found.attribute.name, found.attribute.origin, "tonight", evidence, advice)


def drift(found: Shift) -> str:
    """A difference without a leak, in words."""
    return (
        f"{found.attribute.name} ({found.attribute.origin}) has drifted: between past nights and tonight its Jensen-Shannon distance is "
        f"{found.distance:.2f}, but not where the outcome is, so it is used."
    )
