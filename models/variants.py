"""Variants: the same models learned from other parts of the past, each of which has to earn its place in the backtest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from models.backtest import Fit
from models.calendar import timeless
from models.recency import fading, recent
from models.segmented import segmented

Variant = Literal["recent", "fading", "timeless"]


@dataclass(frozen=True)
class Variants:
    """Which of them run; none by default, since each costs as much again as the model that it varies.

    Parameters
    ----------
    names : "recent" and "fading" forget old nights, see `models.recency`; "timeless" does without fields that tell the time, see `models.calendar`.
    recent_days : how far back "recent" looks. 365: a year has every season once.
    half_life_days : after how long a night counts half to "fading". 180: a year ago counts a quarter.
    segment_by : the feature whose segments may have models of their own, see `models.segmented`; empty: there are none.
    """

    names: tuple[Variant, ...] = ()
    recent_days: float = 365.0
    half_life_days: float = 180.0
    segment_by: str = ""

    def by_past(self, plain: Mapping[str, Fit]) -> dict[str, Fit]:
        """Every racer once for each way of forgetting that is named, as "logistic, recent".

        >>> from models.trees import fit_boosted
        >>> list(Variants(names=("recent", "timeless")).by_past({"boosted trees": fit_boosted}))
        ['boosted trees, recent']
        """
        ways: dict[str, Callable[[Fit], Fit]] = {
            "recent": partial(recent, days=self.recent_days),
            "fading": partial(fading, half_life_days=self.half_life_days),
        }
        return {f"{racer}, {name}": ways[name](fit) for name in self.names if name in ways for racer, fit in plain.items()}

    def of_trees(self, trees: Fit, seed: int) -> dict[str, Fit]:
        """Trees by segment, where they are asked for."""
        return {f"boosted trees, by {self.segment_by}": segmented(trees, self.segment_by, seed)} if self.segment_by else {}

    def without_time(self, racers: Mapping[str, Fit], seed: int) -> dict[str, Fit]:
        """Every racer once without the features that tell the time, if that is asked for.

        Parameters
        ----------
        racers : with their merit, which is made of fields too. They share it with no racer that sees all features.
        """
        return {f"{racer}, timeless": timeless(fit, seed) for racer, fit in racers.items()} if "timeless" in self.names else {}


def remarks(model: Any) -> tuple[str, ...]:
    """What a model has to say of itself: what it does without, which segments it tells apart.

    >>> remarks(object())
    ()
    """
    found = []
    while model is not None:
        found += [model.sentence] if hasattr(model, "sentence") else []
        model = getattr(model, "model", None)
    return tuple(found)
