"""Fields that know the outcome because somebody filled them in afterwards: what tells on them among past leads alone.

A CRM shows every field as it stands today. A field that sales writes after the deal ("contract number", "tags", "last activity") predicts
past outcomes splendidly and tonight's not at all. Fields whose past is known (replayed from field history, or fixed at creation) need no
such screen; a field of which only today's value exists must pass it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss, roc_auc_score

from features.endings import ENDINGS
from features.finding import Finding
from features.levels import MISSING, levels
from features.outcome import WORDS, Words
from features.plan import Attribute

_OVERWRITTEN = re.compile(
    r"\b(last|latest|recent|tags?|stage|status|result|reason|outcome|grade|rating|scores?|index|won|lost|closed?|contract|invoice|onboarding)\b"
    r"|\blead (quality|profile)\b",
    re.IGNORECASE,
)
_PRIOR = 20.0
_COHORTS = 10


@dataclass(frozen=True)
class Thresholds:
    """How much a field of unknown past may know.

    Parameters
    ----------
    explained : share of the outcome's log-loss one field may remove on its own. 0.25: on the X Education set `Lead Quality` removes 0.28
        and `Tags` 0.54 while the strongest honest field, minutes on the website, removes 0.17.
    explained_if_named : the same for a field whose name says that it is overwritten as the lead goes along ("last", "tags", "score").
    filled_ended : a field that is rarely filled, and whose filled leads ended in one way at this rate or more, was filled afterwards. 0.9: made-up
        contract numbers and all twelve columns of Olist's deals reach 1.0.
    filled_ratio : how many times the rate of all leads that came in at the same time that must be. A field that the company gave up long ago is
        filled only for old leads, most of which have ended: they are measured against other old ones.
    usual : where more of these ended so anyway, null-ness proves nothing. 0.75.
    filled_leads : where fewer leads have it, null-ness proves nothing. 10: by chance they end alike once in ten thousand times at a rate of 0.4.
    """

    explained: float = 0.25
    explained_if_named: float = 0.005
    filled_ended: float = 0.9
    filled_ratio: float = 2.0
    usual: float = 0.75
    filled_leads: int = 10


def proxies(
    past: pd.DataFrame, attributes: Sequence[Attribute], seed: int = 7, thresholds: Thresholds | None = None, said: Words = WORDS["first purchase"]
) -> list[Finding]:
    """Name every field whose values among past leads look filled in or overwritten after the outcome.

    To the business: the score stays as good tomorrow as it looked in training.

    Parameters
    ----------
    past : one row per lead of the training nights: ending ("won", "lost" or missing), created_at, and one column per attribute
        (`Attribute.column`). Today's value of a field is the same on every night of a lead; whether the lead was ever won, within a horizon
        or not, is what it would give away.
    attributes : the fields in question, of which only today's value exists.
    seed : which leads a field's rates are learned on, and which they are judged on.
    said : the outcome in words.
    """
    limits = thresholds or Thresholds()
    won = (past["ending"] == "won").to_numpy(dtype=bool)
    if won.all() or not won.any():
        return []
    found = []
    for attribute in attributes:
        level = levels(past[attribute.column])
        found += [*_null_ness(attribute, level, past, limits, said), *_power(attribute, level, won, limits, seed, said)]
    return found


def _null_ness(attribute: Attribute, level: np.ndarray, past: pd.DataFrame, limits: Thresholds, said: Words) -> list[Finding]:
    """Whether being filled tells how it ended."""
    filled = level != MISSING
    if filled.all() or filled.sum() < limits.filled_leads:
        return []
    cohort = pd.qcut(past["created_at"].rank(), _COHORTS, labels=False, duplicates="drop").to_numpy()
    found = []
    for ending in ENDINGS:
        ended = (past["ending"] == ending).to_numpy(dtype=bool)
        usual = float(pd.Series(ended).groupby(cohort).transform("mean").to_numpy()[filled].mean())
        rate = float(ended[filled].mean())
        if usual <= limits.usual and rate >= max(limits.filled_ended, min(1.0, limits.filled_ratio * usual)):
            became, when = (said.did, said.known) if ending == "won" else ("were lost", "the lead is lost")
            evidence = f"{rate:.0%} of the {said.who}s where it is filled {became}, and it is filled for {filled[~ended].mean():.0%} of all others"
            advice = f"it seems to be written once {when}, so tonight's {said.those} cannot have it"
            found.append(Finding(attribute.name, attribute.origin, "null-ness", evidence, advice))
    return found


def _power(attribute: Attribute, level: np.ndarray, won: np.ndarray, limits: Thresholds, seed: int, said: Words) -> list[Finding]:
    """Whether it alone explains too much of who was won, for any field or for one of its name."""
    explained, auc = explained_by(level, won, seed)
    found = []
    if explained > limits.explained:
        evidence = f"it alone explains {explained:.0%} of who {said.rate} (ROC AUC {auc:.2f})"
        advice = "map its field history, or allow it if it is known before the outcome"
        found.append(Finding(attribute.name, attribute.origin, "power", evidence, advice))
    if explained > limits.explained_if_named and _OVERWRITTEN.search(attribute.name.replace("_", " ")):
        evidence = f"its name says that it is overwritten as the lead goes along, and it explains {explained:.1%} of who {said.rate}"
        advice = "map its field history, or allow it if it never changes after creation"
        found.append(Finding(attribute.name, attribute.origin, "name", evidence, advice))
    return found


def explained_by(level: np.ndarray, won: np.ndarray, seed: int) -> tuple[float, float]:
    """Share of log-loss removed, and ROC AUC, by the conversion rate of a field's values learned on other leads.

    Parameters
    ----------
    level : a field's levels, one a lead, see `features.levels`.
    won : what they are to explain, and what is not the same for all leads.
    seed : on which half of the leads the rates are learned that judge the other half.
    """
    base = float(won.mean())
    half = np.random.default_rng(seed).random(len(level)) < 0.5
    predicted = np.empty(len(level))
    for learn, judge in ((half, ~half), (~half, half)):
        counts = pd.DataFrame({"level": level[learn], "won": won[learn]}).groupby("level")["won"].agg(["sum", "count"])
        rates = (counts["sum"] + _PRIOR * base) / (counts["count"] + _PRIOR)
        predicted[judge] = pd.Series(level[judge]).map(rates).fillna(base).to_numpy()
    reference = log_loss(won, np.full(len(won), base))
    return 1 - float(log_loss(won, predicted)) / float(reference), float(roc_auc_score(won, predicted))
