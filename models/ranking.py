"""Probabilities to a list: rank, tier, each owner's own order, and who is called tonight."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

TIERS = ("A", "B", "C", "D", "E")


def rank(
    scores: pd.DataFrame, capacity: Mapping[str, int], default_capacity: int = 25, explore: float = 0.0, seed: int = 7, as_of: datetime | None = None
) -> pd.DataFrame:
    """Put the leads of a night in the order in which they are worth a call.

    Tiers follow capacity, not fixed cut-offs, so that an A always means "tonight": A are the listed ones; B, C and D would fit into the second, third
    and fourth night's capacity of their owner; E is the rest. Equal probabilities are ordered by lead id, so that a list never flickers.

    Parameters
    ----------
    scores : lead_id, probability, owner_id (None: nobody's), and anything else.
    capacity : calls a night by owner; `default_capacity` for those not named, and for the leads that nobody owns, together.
    explore : share of each owner's capacity that is drawn at random among the rest, to measure what scoring brings.
    seed, as_of : make the draw the same when a night is scored again.

    Returns
    -------
    The same rows in the order of their rank, with score (0-100), rank, owner_rank, tier, listed, explored.
    """
    ordered = scores.sort_values(["probability", "lead_id"], ascending=[False, True]).reset_index(drop=True)
    owner = ordered["owner_id"].fillna("").astype(str)
    room = owner.map(lambda one: capacity.get(one, default_capacity)).to_numpy(dtype=int)
    owner_rank = ordered.groupby(owner).cumcount().to_numpy() + 1
    # Rounded first: 50 calls at 0.58 are 29, and only floating point says 28.999.
    drawn = np.floor(np.round(room * explore, 9)).astype(int)
    best = owner_rank <= room - drawn
    explored = _drawn(owner, best, drawn, seed, as_of)
    nights = np.where(room > 0, (owner_rank - 1) // np.maximum(room, 1), len(TIERS) - 1)
    tier = np.array(TIERS)[np.minimum(nights, len(TIERS) - 1)]
    listed = best | explored
    return ordered.assign(
        owner_id=owner.to_numpy(),
        score=np.round(100 * ordered["probability"]).astype(int),
        rank=np.arange(1, len(ordered) + 1),
        owner_rank=owner_rank,
        tier=np.where(listed, "A", np.where(tier == "A", "B", tier)),
        listed=listed,
        explored=explored,
    )


def likely_tier(scores: pd.DataFrame) -> pd.Series:
    """The tier of leads of which only some were scored: the third of ten scored leads of an owner who has forty is taken for the eleventh.

    Parameters
    ----------
    scores : as_of, lead_id, owner_id, probability, open (how many leads the owner had that night), room (calls a night).
    """
    ordered = scores.sort_values(["probability", "lead_id"], ascending=[False, True])
    owner = ordered.groupby(["as_of", "owner_id"], dropna=False)["lead_id"]
    before = (owner.cumcount() + 0.5) / owner.transform("size") * ordered["open"]
    nights = np.where(ordered["room"] > 0, before // np.maximum(ordered["room"], 1), len(TIERS) - 1).astype(int)
    return pd.Series(np.array(TIERS, dtype=object)[np.minimum(nights, len(TIERS) - 1)], index=ordered.index).reindex(scores.index)


def _drawn(owner: pd.Series, best: np.ndarray, drawn: np.ndarray, seed: int, as_of: datetime | None) -> np.ndarray:
    """For each owner, so many of the leads that did not make it by merit."""
    # Counted from the epoch and not by `timestamp()`, which would read the night in the machine's own zone.
    night = 0 if as_of is None else (as_of - datetime(1970, 1, 1)) // timedelta(seconds=1)
    luck = np.random.default_rng([seed, abs(night)]).random(len(owner))
    luck[best] = 2.0
    place = pd.Series(luck).groupby(owner.to_numpy()).rank(method="first").to_numpy()
    return np.asarray((place <= drawn) & ~best)
