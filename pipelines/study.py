"""What a training looks at: the examples of past nights, and how groups of leads fared."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from features.feature import Feature
from features.plan import Plan
from features.screen import Screening
from models import fairness, segments


@dataclass(frozen=True)
class Study:
    """What a model is learned from: the plan of its features, the examples of past nights, and what was found wrong with them."""

    plan: Plan
    features: tuple[Feature, ...]
    frame: pd.DataFrame
    counts: dict[str, int]
    screening: Screening = field(default_factory=Screening)


@dataclass(frozen=True)
class Groups:
    """How groups of leads fared on later nights: where calibration fails, and what the lists did to those who are protected."""

    segments: pd.DataFrame
    fairness: pd.DataFrame

    @property
    def sentences(self) -> tuple[str, ...]:
        """Both tables in words."""
        return segments.sentence(self.segments), *fairness.sentences(self.fairness)
