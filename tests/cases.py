"""A company for the benchmarks: weekly nights, a horizon of 30 days and a settle lag of 5."""

from __future__ import annotations

import learnable
import pandas as pd

from benchmarks.companies import Case
from features.plan import Plan
from features.timeline import Timeline
from pipelines.settings import Settings
from pipelines.study import Study

PLAN = Plan(timeline=Timeline(horizon_days=30, settle_days=5))
SETTINGS = Settings(source={"tables": {"leads": {"table": "leads.csv"}, "deals": {"table": "deals.csv"}}}, training={"folds": 2, "trials": 0})


def case(leads: int = 60, truth: pd.DataFrame | None = None) -> Case:
    """So many leads on thirty nights from 2025-01-01; the later half of what can be judged begins on 2025-04-30."""
    frame = learnable.examples(leads)
    return Case("made here", 7, Study(PLAN, learnable.FEATURES, frame, {}), SETTINGS, truth)
