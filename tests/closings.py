"""Six thousand leads over two years, most of which have ended: what a field that is written at the end looks like, and what an honest one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.likeness import Nights
from features.plan import Attribute

FIELD = Attribute("field", "leads", "category", "today")
NIGHT = pd.Timestamp("2025-06-01")
LEADS, HORIZON = 6_000, 90


class Story:
    """Six thousand leads over two years: each ends within 200 days of coming in, one in five of them won, or is still open.

    A weekly grid of past nights until a horizon ago, and tonight.
    """

    def __init__(self, seed: int = 5) -> None:
        self.rng = np.random.default_rng(seed)
        self.came = self.rng.uniform(0, 730, LEADS)
        self.life = self.rng.uniform(5, 200, LEADS)
        self.over = self.came + self.life < 730
        self.won = self.rng.random(LEADS) < 0.2
        self.age = 730 - self.came

    def share(self, of_winners: float, of_others: float) -> NDArray[np.bool_]:
        """Whether each lead has a trait that winners have more often, whether or not they have won yet."""
        return np.asarray(self.rng.random(LEADS) < np.where(self.won, of_winners, of_others))

    def nights(self, values: Any) -> Nights:
        """Past and tonight, with one field as it stands today."""
        leads = pd.DataFrame({"lead_id": np.arange(LEADS).astype(str), "came": self.came, "end": self.came + self.life, "lead__field": values})
        leads["ending"] = np.where(self.over, np.where(self.won, "won", "lost"), None)

        def open_on(day: float) -> pd.DataFrame:
            there = leads[(leads["came"] < day) & (leads["end"] > day)]
            return there.assign(as_of=NIGHT + pd.Timedelta(days=day - 730), lead_age_days=day - there["came"])

        past = pd.concat([open_on(day) for day in range(50, 730 - HORIZON, 14)], ignore_index=True)
        return Nights(past, open_on(730).drop(columns="ending").reset_index(drop=True))


def traps(story: Story) -> dict[str, Any]:
    """Fields that are written when a lead ends."""
    ended = story.over
    return {
        "a number that is written at the win": np.where(ended & story.won, "C-1", None),
        "a note that is written at the loss": np.where(ended & ~story.won, "price", None),
        "an appointment that is cleared when it ends": np.where(ended, None, "noon"),
        "a mark that half of the won leads get": np.where(ended & story.won & (story.rng.random(LEADS) < 0.5), "vip", "plain"),
    }


def honest(story: Story) -> dict[str, Any]:
    """Fields that know nothing of the end, however they move."""
    strong = np.where(story.share(0.6, 0.1), "referral", "web")
    return {
        "noise": story.rng.choice(["a", "b", "c"], LEADS),
        "a strong honest field": strong,
        "campaigns that come and go": np.char.add("c", (story.came // 45).astype(int).astype(str)),
        "a count that grows with age": story.age // 14,
        "a field that was given up": np.where(story.came < 365, "yes", None),
        "a field that was added": np.where(story.came > 500, "yes", None),
        "a strong channel that was closed two months ago": np.where(story.came > 670, "web", strong),
    }
