"""Examples from which something can be learned: leads that open many e-mails convert, and come night after night."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.feature import Feature

FEATURES = (
    Feature("opens_7d", "number", "e-mail opens", "opened {value} e-mails in the last 7 days"),
    Feature("source", "category", "source", "source: {value}"),
    Feature("job_title", "text", "job title", "job title: {value}"),
    Feature("met", "flag", "met us", "met us: {value}"),
)


def examples(leads: int = 300, weeks: int = 30, seed: int = 3) -> pd.DataFrame:
    """Every lead on every weekly night from 2025-01-01 02:00: what was known of it, its weight, and whether it converted (a day later)."""
    rng = np.random.default_rng(seed)
    nights = pd.date_range("2025-01-01 02:00", periods=weeks, freq="7D")
    lead = pd.DataFrame({"lead_id": [f"L{n:04}" for n in range(leads)], "eager": rng.normal(0, 1.5, leads)})
    lead["source"] = rng.choice(["web", "ads", None], leads)
    lead["job_title"] = rng.choice(["Head of IT", "Clerk", None], leads)
    lead["met"] = (rng.random(leads) < 0.3).astype(float)
    frame = lead.merge(pd.DataFrame({"as_of": nights}), how="cross")
    frame["opens_7d"] = rng.poisson(np.exp(frame["eager"] * 0.7)).astype(float)
    pull = 1.5 * frame["eager"] + (frame["source"] == "web") - 2.2
    frame["converted"] = rng.random(len(frame)) < 1 / (1 + np.exp(-pull))
    frame["happened_at"] = (frame["as_of"] + pd.Timedelta(days=1)).where(frame["converted"])
    return frame.drop(columns="eager").assign(weight=1.0)
