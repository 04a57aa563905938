"""Adversarial validation: can a classifier tell leads of past nights from tonight's, and is what it goes by the outcome?

One field at a time may look alike on both sides while several together do not. A classifier that sees all of them is asked which leads are of
past nights. That it can tell is no crime: campaigns come and go. But where it takes a lead for a past one because the lead has ended, its score
is a field that knows the outcome, and is judged like one (`features.likeness`); the fields it leans on are accused, one after the other, until
what remains is innocent. Source: Pan et al. (2020), Adversarial validation approach to concept drift problem in user targeting automation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold

from features.endings import Ending
from features.finding import Finding
from features.likeness import Nights
from features.plan import Attribute

_ROWS = 4_000
_FOLDS = 3
_BINS = 20
# A field is accused if without it the score promises at least so much more. What it costs in AUC is counted from a small loss on, which shuffling
# noise costs too. On three made-up companies a trap gained 5 to 9 times its cost, a campaign that came and went at most once.
_RISE = 0.05
_LOST = 0.02


@dataclass(frozen=True)
class Trial:
    """What the classifier could tell, and by what.

    Parameters
    ----------
    findings : the fields that know the outcome, in the order in which they were accused.
    auc : ROC AUC of telling past leads from tonight's by the others, on leads it had not seen; 0.5 when they are alike or too few.
    by : the fields it then goes by, most telling first, with the AUC that is lost without them.
    """

    auc: float = 0.5
    by: tuple[tuple[str, float], ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def sentence(self) -> str:
        """How far tonight's leads are from past ones, as a line of a report."""
        by = ", ".join(name for name, _ in self.by[:3]) or "no field by itself"
        return f"Leads of past nights can be told from tonight's by {by} (ROC AUC {self.auc:.2f}): the world moves, and nothing is left out for it."


def adversary(nights: Nights, attributes: Sequence[Attribute], seed: int = 7) -> Trial:
    """Accuse the fields by which leads of past nights are told from tonight's because they have ended since.

    Parameters
    ----------
    nights : see `features.likeness.Nights`; at most 4,000 leads of either side are drawn, which tells an AUC to 0.01.
    attributes : the fields in question, of which only today's value exists.
    seed : of the draw, the folds and the classifier.
    """
    if len(nights.tonight) < nights.limits.leads or not nights.endings() or not attributes:
        return Trial()
    sample = _drawn(nights, seed)
    suspects = list(attributes)
    findings: list[Finding] = []
    while suspects:
        classifier = _Classifier(sample, suspects, seed)
        accused = classifier.accused()
        if accused is None:
            return Trial(classifier.auc(classifier.score), classifier.by(), tuple(findings))
        findings.append(accused[1])
        suspects.remove(accused[0])
    return Trial(findings=tuple(findings))


def _drawn(nights: Nights, seed: int) -> Nights:
    """The newest training nights and tonight, at most so many rows of each."""
    rng = np.random.default_rng(seed)
    kept = [frame.iloc[np.sort(rng.permutation(len(frame))[:_ROWS])] for frame in (nights.past[nights.newest], nights.tonight)]
    return Nights(kept[0], kept[1], nights.limits, newest=1.0, said=nights.said)


class _Classifier:
    """Boosted trees of a few leaves, each row scored by trees that have not seen its lead."""

    def __init__(self, nights: Nights, attributes: Sequence[Attribute], seed: int) -> None:
        self.nights, self.attributes = nights, list(attributes)
        self.codes = np.column_stack([pd.factorize(np.concatenate(nights.levels(attribute.column)))[0] for attribute in attributes])
        self.past = np.arange(len(self.codes)) < len(nights.past)
        leads = pd.concat([nights.past["lead_id"], nights.tonight["lead_id"]]).to_numpy(dtype=object)
        folds = GroupKFold(_FOLDS, shuffle=True, random_state=seed)
        self.folds = [(self._fitted(learn, seed), judge) for learn, judge in folds.split(self.codes, self.past, leads)]
        self.score = self._score(self.codes)
        self.rng = np.random.default_rng(seed)

    def _fitted(self, rows: np.ndarray, seed: int) -> HistGradientBoostingClassifier:
        trees = HistGradientBoostingClassifier(
            max_iter=40,
            max_leaf_nodes=8,
            min_samples_leaf=20,
            early_stopping=False,
            categorical_features=range(self.codes.shape[1]),
            random_state=seed,
        )
        return trees.fit(self.codes[rows], self.past[rows])

    def _score(self, codes: np.ndarray) -> np.ndarray:
        score = np.empty(len(codes))
        for trees, judge in self.folds:
            score[judge] = trees.predict_proba(codes[judge])[:, 1]
        return score

    def _without(self, column: int) -> np.ndarray:
        """The score when one field is shuffled, so that it tells nothing."""
        codes = self.codes.copy()
        codes[:, column] = self.rng.permutation(codes[:, column])
        return self._score(codes)

    def auc(self, score: np.ndarray) -> float:
        """How well a score tells past leads from tonight's."""
        return float(roc_auc_score(self.past, score))

    def by(self) -> tuple[tuple[str, float], ...]:
        """Fields with the AUC that is lost without them."""
        lost = [(attribute.name, round(self.auc(self.score) - self.auc(self._without(n)), 4)) for n, attribute in enumerate(self.attributes)]
        return tuple(sorted((one for one in lost if one[1] >= _LOST), key=lambda one: -one[1]))

    def promise(self, score: np.ndarray, ending: Ending) -> float:
        """What the score, cut into bins, promises of tonight's leads."""
        edges = np.unique(np.quantile(self.score, np.linspace(0, 1, _BINS + 1)[1:-1]))
        level = np.searchsorted(edges, score)
        return self.nights.promise(level[self.past], level[~self.past], ending)

    def accused(self) -> tuple[Attribute, Finding] | None:
        """The field that tells the outcome rather than the night, where the score knows the outcome.

        Without any telling field the score promises more, because it tells less; without the guilty one it promises much more for little.
        """
        promises = {ending: self.promise(self.score, ending) for ending in self.nights.endings()}
        ending = min(promises, key=lambda one: promises[one], default=None)
        if ending is None or promises[ending] >= self.nights.limits.promise:
            return None
        shuffled = [self._without(n) for n in range(len(self.attributes))]
        rises = np.array([self.promise(score, ending) - promises[ending] for score in shuffled])
        lost = np.array([max(0.0, self.auc(self.score) - self.auc(score)) for score in shuffled])
        worst = int(np.argmax(np.where(rises >= _RISE, rises / (lost + _LOST), 0.0)))
        if rises[worst] < _RISE:
            return None
        attribute = self.attributes[worst]
        became = self.nights.said.did if ending == "won" else "were lost"
        evidence = (
            f"a classifier tells leads of past nights from tonight's (ROC AUC {self.auc(self.score):.2f}) by it, and those that it tells "
            f"{became}: tonight has {promises[ending]:.2f} times as many of their kind"
        )
        advice = "it seems to be written when a lead ends, so map its field history, or allow it if it is known before"
        return attribute, Finding(attribute.name, attribute.origin, "adversary", evidence, advice)
