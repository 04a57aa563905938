"""What is to be reached, beside what can be expected: wins and amount of the called leads with their 8-of-10 intervals, and the quota."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from models.forecast import between, worth_between


@dataclass(frozen=True)
class Goals:
    """Quotas for one horizon, and what is needed to say how far the called leads may carry.

    Parameters
    ----------
    owners, teams : id of an owner, name of a team -> quota. A team that is not named is to reach what its owners are, together.
    count : what quotas count, "wins" or "amount".
    sizes : amounts of past wins as multiples of their mean.
    rooms, team_rooms : id of an owner, name of a team -> calls a night.

    >>> Goals({"ann": 5.0, "bob": 4.0}, {"north": 10.0}).team("north", ["ann"]), Goals({"ann": 5.0}).team("north", ["ann", "bob"])
    (10.0, 5.0)
    """

    owners: Mapping[str, float] = field(default_factory=dict)
    teams: Mapping[str, float] = field(default_factory=dict)
    count: Literal["wins", "amount"] = "amount"
    sizes: tuple[float, ...] = (1.0,)
    rooms: Mapping[str, int] = field(default_factory=dict)
    team_rooms: Mapping[str, int] = field(default_factory=dict)

    def room(self, owners: list[str], team: str = "") -> int | None:
        """Calls a night that some owners can make together, of a team no more than it can; None where nothing is known of one of them."""
        if not owners or any(owner not in self.rooms for owner in owners):
            return None
        return min(sum(self.rooms[owner] for owner in owners), self.team_rooms.get(team, sys.maxsize))

    def of(self, owners: list[str]) -> float | None:
        """The quota of some owners together; None where none of them has one."""
        found = [self.owners[owner] for owner in owners if owner in self.owners]
        return sum(found) if found else None

    def team(self, name: str, owners: list[str]) -> float | None:
        """The quota of a team; None where neither it nor any of its owners has one."""
        return self.teams.get(name, self.of(owners))

    def everybody(self, teams: Mapping[str, list[str]]) -> float | None:
        """The quota of all teams together; None where nobody has one.

        Parameters
        ----------
        teams : name of a team ("": none) -> its owners.
        """
        found = [quota for name, owners in teams.items() if (quota := self.team(name, owners)) is not None]
        return sum(found) if found else None


def sums(leads: pd.DataFrame, goals: Goals, quota: float | None, room: int | None = None) -> dict[str, Any]:
    """What can be said of some leads together: how many, called today, expected of the called ones, with 8-of-10 intervals, and the quota.

    Parameters
    ----------
    leads : listed, probability, expected_value.
    quota, room : what whoever has these leads is to reach, and the calls a night they can make; None: not known.
    """
    listed = leads["listed"].to_numpy(dtype=bool)
    probability, worth = leads["probability"].to_numpy(), leads["expected_value"].to_numpy(dtype=float)
    low, high = between(probability[listed])
    return {
        "calls": int(listed.sum()),
        "expected": round(float(probability[listed].sum()), 4),
        "low": low,
        "high": high,
        "open": len(leads),
        "rate": round(float(probability.mean()), 4),
        "quota": quota,
        **({} if room is None else {"room": room}),
        **_amounts(probability[listed], worth[listed], goals),
    }


def _amounts(probability: np.ndarray, worth: np.ndarray, goals: Goals) -> dict[str, Any]:
    """What the called leads are expected to bring; nothing where no amount is known of one of them."""
    if not len(worth) or np.isnan(worth).any():
        return {}
    amount = np.divide(worth, probability, out=np.zeros(len(worth)), where=probability > 0)
    low, high = worth_between(probability, amount, np.array(goals.sizes))
    return {"amount": round(float(worth.sum())), "amount_low": round(low), "amount_high": round(high)}
