"""Fields that know the outcome because somebody filled them in afterwards: found, named, and left out.

A CRM shows every field as it stands today. A field that sales writes after the deal ("contract number", "tags", "last activity") predicts
past outcomes splendidly and tonight's not at all. Fields whose past is known (replayed from field history, or fixed at creation) need no
such screen; a field of which only today's value exists must pass it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss, roc_auc_score

from features.outcome import WORDS, Words
from features.plan import Attribute

_OVERWRITTEN = re.compile(
    r"\b(last|latest|recent|tags?|stage|status|result|reason|outcome|grade|rating|scores?|index|won|lost|closed?|contract|invoice|onboarding)\b"
    r"|\blead (quality|profile)\b",
    re.IGNORECASE,
)
_LEVELS = 50
_PRIOR = 20.0


@dataclass(frozen=True)
class Finding:
    """A field accused of knowing the outcome, with the evidence and what to do.

    >>> finding = Finding("Tags", "leads", "it alone explains 55 % of who converted", "use its history")
    >>> print(finding.sentence)
    'Tags' (leads) is not used: it alone explains 55 % of who converted; use its history.
    """

    field: str
    origin: str
    evidence: str
    advice: str
    allowed: bool = False

    @property
    def sentence(self) -> str:
        """The finding as one line of a report."""
        verdict = "is used because the configuration allows it" if self.allowed else "is not used"
        return f"'{self.field}' ({self.origin}) {verdict}: {self.evidence}; {self.advice}."


@dataclass(frozen=True)
class Thresholds:
    """How much a field of unknown past may know.

    Parameters
    ----------
    explained : share of the outcome's log-loss one field may remove on its own. 0.25: on the X Education set `Lead Quality` removes 0.28
        and `Tags` 0.55 while the strongest honest field, minutes on the website, removes 0.17.
    explained_if_named : the same for a field whose name says that it is overwritten as the lead goes along ("last", "tags", "score").
    filled_conversion : a field that is rarely filled, and whose filled leads convert at this rate or more, was filled afterwards.
    filled_ratio : how many times the overall rate that must be.
    """

    explained: float = 0.25
    explained_if_named: float = 0.005
    filled_conversion: float = 0.9
    filled_ratio: float = 2.0


def screen(
    examples: pd.DataFrame,
    attributes: Sequence[Attribute],
    allow: Sequence[str] = (),
    thresholds: Thresholds | None = None,
    seed: int = 7,
    customers: Collection[str] = (),
    said: Words = WORDS["first purchase"],
) -> list[Finding]:
    """Name every field of which only today's value exists and which looks filled in or overwritten after the outcome.

    To the business: the score stays as good tomorrow as it looked in training.

    Parameters
    ----------
    examples : lead_id, converted, and one column per attribute (`Attribute.column`); one row per lead and night.
    attributes : the fields in question; those whose past is known are passed over.
    allow : names the user insists on; they are reported, and marked as allowed.
    seed : which leads a field's rates are learned on, and which they are judged on.
    customers : leads that were won at any time, within the horizon of an example or not.
    said : the outcome in words.
    """
    limits = thresholds or Thresholds()
    # Today's value of a field is the same on every night of a lead; whether the lead was ever won is what it would give away.
    one_each = examples.sort_values("converted", kind="stable").drop_duplicates("lead_id", keep="last")
    converted = (one_each["converted"].astype(bool) | one_each["lead_id"].isin(list(customers))).to_numpy(dtype=bool)
    if converted.all() or not converted.any():
        return []
    suspects = [attribute for attribute in attributes if attribute.known == "today" and attribute.column in one_each]
    found = []
    for attribute in suspects:
        verdict = _accuse(attribute, one_each[attribute.column], converted, limits, seed, said)
        if verdict:
            found.append(Finding(attribute.name, attribute.origin, *verdict, allowed=attribute.name in allow))
    return found


def _accuse(attribute: Attribute, values: pd.Series, converted: np.ndarray, limits: Thresholds, seed: int, said: Words) -> tuple[str, str] | None:
    filled = values.notna().to_numpy() & (values.astype(str).str.strip() != "").to_numpy()
    base = float(converted.mean())
    if filled.any() and not filled.all():
        rate = float(converted[filled].mean())
        if rate >= max(limits.filled_conversion, min(1.0, limits.filled_ratio * base)):
            share = float(filled[~converted].mean())
            evidence = f"{rate:.0%} of the {said.who}s where it is filled {said.did}, and it is filled for {share:.0%} of all others"
            when = "the deal is won" if said.get == "win" else "that is known"
            return evidence, f"it seems to be written once {when}, so tonight's {said.those} cannot have it"
    explained, auc = _power(values.where(filled), converted, seed)
    if explained > limits.explained:
        evidence = f"it alone explains {explained:.0%} of who {said.rate} (ROC AUC {auc:.2f})"
        return evidence, "map its field history, or allow it if it is known before the outcome"
    if explained > limits.explained_if_named and _OVERWRITTEN.search(attribute.name.replace("_", " ")):
        evidence = f"its name says that it is overwritten as the lead goes along, and it explains {explained:.1%} of who {said.rate}"
        return evidence, "map its field history, or allow it if it never changes after creation"
    return None


def _power(values: pd.Series, converted: np.ndarray, seed: int) -> tuple[float, float]:
    """Share of log-loss removed, and ROC AUC, by the conversion rate of a field's values learned on other leads."""
    level = _levels(values)
    base = float(converted.mean())
    half = np.random.default_rng(seed).random(len(level)) < 0.5
    predicted = np.empty(len(level))
    for learn, judge in ((half, ~half), (~half, half)):
        counts = pd.DataFrame({"level": level[learn], "won": converted[learn]}).groupby("level")["won"].agg(["sum", "count"])
        rates = (counts["sum"] + _PRIOR * base) / (counts["count"] + _PRIOR)
        predicted[judge] = pd.Series(level[judge]).map(rates).fillna(base).to_numpy()
    reference = log_loss(converted, np.full(len(converted), base))
    return 1 - float(log_loss(converted, predicted)) / float(reference), float(roc_auc_score(converted, predicted))


def _levels(values: pd.Series) -> np.ndarray:
    """A field as at most fifty levels: quantiles of a number, the most frequent values of anything else."""
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values) and values.nunique() > _LEVELS:
        return pd.qcut(values, 20, duplicates="drop").astype(str).to_numpy(dtype=object)
    text = values.astype("string").fillna("")
    common = text.value_counts().index[:_LEVELS]
    return text.where(text.isin(common), "other").to_numpy(dtype=object)
