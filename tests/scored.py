"""A night of the ledger as scoring leaves it, for whoever takes it from there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pandas as pd


def scored(ids: Sequence[str], night: datetime) -> pd.DataFrame:
    """These leads, the first one best; five of them on the list."""
    blank = dict.fromkeys(["expected_value", "owner_id", "owner_rank", "explored", "model_name", "model_version", "run_id", "features_digest"])
    return pd.DataFrame(
        [
            {
                **blank,
                "as_of": night,
                "lead_id": one,
                "probability": 1 - rank / 100,
                "score": 100 - rank,
                "tier": "A",
                "rank": rank,
                "listed": rank <= 5,
                "reasons": [{"words": "was active"}, {"words": "is big"}],
                "change": None if rank == 1 else 0.1,
                "scored_at": night,
            }
            for rank, one in enumerate(ids, start=1)
        ]
    )
