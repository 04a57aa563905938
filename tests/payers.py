"""Leads that convert and pay: what they pay may depend on how large the company is."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd

from features.feature import Feature
from features.labels import as_known
from features.plan import Plan
from features.timeline import Timeline

PLAN = Plan(timeline=Timeline(horizon_days=30, settle_days=5))
FEATURES = (
    Feature("employees", "number", "employees", "{value} employees"),
    Feature("source", "category", "source", "source: {value}"),
    Feature("luck", "number", "luck", "luck: {value}"),
)


def examples(leads: int, size: float, seed: int, sigma: float = 0.6) -> pd.DataFrame:
    """Leads on six weekly nights each of a year from 2025-01-01; half of them buy, for exp(7.5 + noise) * employees ** size, known on the last four.

    Parameters
    ----------
    sigma : standard deviation of the noise.
    """
    rng = np.random.default_rng(seed)
    lead = pd.DataFrame({"lead_id": [f"L{n:05}" for n in range(leads)]})
    lead["employees"] = rng.choice([12.0, 45.0, 180.0, 700.0, 3000.0], leads)
    lead["source"] = rng.choice(["web", "ads", "fair"], leads)
    lead["paid"] = np.exp(rng.normal(7.5, sigma, leads)) * lead["employees"] ** size
    lead["buys"], lead["first"] = rng.random(leads) < 0.5, rng.integers(0, 44, leads)
    frame = lead.loc[lead.index.repeat(6)].reset_index(drop=True)
    nth = np.tile(np.arange(6), leads)
    frame["as_of"] = pd.Timestamp("2025-01-01 02:00") + pd.to_timedelta(7 * (frame["first"] + nth), "D")
    frame["converted"] = frame["buys"] & (nth >= 2)
    signed = pd.Timestamp("2025-01-02 02:00") + pd.to_timedelta(7 * (frame["first"] + 5), "D")
    frame["happened_at"], frame["amount"] = signed.where(frame["buys"]), frame["paid"].where(frame["converted"])
    frame["luck"] = rng.normal(size=len(frame))
    known = as_known(frame.drop(columns=["buys", "first", "paid"]).assign(weight=1.0), datetime(2026, 6, 1), PLAN.timeline)
    return known.sort_values(["lead_id", "as_of"], ignore_index=True)
