"""What is wrong with the tables of a real CRM: rows doubled, malformed, foreign, out of order. Each is one too many; no true row is damaged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

Frames = dict[str, pd.DataFrame]


def messed_up(rng: np.random.Generator, clean: Frames, future: Any) -> tuple[Frames, dict[str, int]]:
    """The same tables with extra rows, and how many there are of each kind.

    Parameters
    ----------
    future : an instant that has not come yet, as the CRM writes it.
    """
    deeds, deals, leads = clean["activities"], clean["deals"], clean["leads"]
    extra = {
        "activities": {
            "doubled": _some(rng, deeds, 0.003),
            "unparsable date": _some(rng, deeds, 0.0004).assign(occurred_at="31/31/2024 25:00"),
            "no lead": _some(rng, deeds, 0.0003).assign(lead_id=None),
            "unknown lead": _some(rng, deeds, 0.0003).assign(lead_id="L-gone"),
            "not a number": _some(rng, deeds, 0.0002).assign(value=np.inf),
            "in the future": _some(rng, deeds, 0.0002).assign(occurred_at=future, known_at=future),
        },
        "deals": {
            "negative amount": _renamed(_some(rng, deals, 0.002), "deal_id", "-neg").assign(amount=-100.0),
            "won without a date": _renamed(_some(rng, deals, 0.002), "deal_id", "-date").assign(outcome="won", closed_at=None),
            "unknown lead": _renamed(_some(rng, deals, 0.001), "deal_id", "-gone").assign(lead_id="L-gone"),
        },
        "leads": {
            "doubled": _some(rng, leads, 0.002),
            "no creation date": _renamed(_some(rng, leads, 0.0005), "lead_id", "-new").assign(created_at=None),
        },
    }
    frames = dict(clean)
    counts: dict[str, int] = {}
    for table, kinds in extra.items():
        frames[table] = pd.concat([clean[table], *kinds.values()], ignore_index=True)
        counts |= {f"{table}: {kind}": len(rows) for kind, rows in kinds.items()}
    deeds = frames["activities"]
    deeds.insert(0, "activity_id", [None] * len(deeds))
    return frames, counts


def _some(rng: np.random.Generator, frame: pd.DataFrame, share: float) -> pd.DataFrame:
    """A few rows, never more than there are."""
    return frame.iloc[np.sort(rng.choice(len(frame), min(len(frame), max(1, int(len(frame) * share))), replace=False))].copy()


def _renamed(frame: pd.DataFrame, column: str, mark: str) -> pd.DataFrame:
    return frame.assign(**{column: frame[column] + mark})
