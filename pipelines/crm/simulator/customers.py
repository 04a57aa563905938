"""What becomes of those who bought: how content they are, how they use what they bought, whether they renew.

A customer's mood moves in daily steps, more kindly the better the product fits its profile. Each day it uses the product as its mood has it. At the
end of each term it renews with a chance that depends on that day's mood, or leaves for good. Usage is known on its day, moods never.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.crm.simulator import parameters as p
from pipelines.crm.simulator.days import Diary
from pipelines.crm.simulator.parameters import World
from pipelines.crm.simulator.people import People
from pipelines.crm.simulator.truth import day_of

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_RATES, _RENEW = np.asarray(p.USAGE_RATES).T, np.asarray(p.RENEW)


@dataclass(frozen=True)
class Customers:
    """The customers among a block of leads; axis 0 is the customer, axis 1 the day of the world.

    Parameters
    ----------
    row : their places in the block. bought : the day of the world on which each was won.
    mood : 0 content, 1 doubtful, 2 unhappy; -1 on days on which it was no customer.
    usage : how often it did what, by kind.
    """

    row: Ints
    bought: Ints
    mood: NDArray[np.int8]
    usage: NDArray[np.int8]

    def terms(self, days: int) -> pd.DataFrame:
        """Every term that has ended or will: row, number (1 for the first), due (a day of the world), renewed (None while it is still to come)."""
        begins = self.bought[:, None] + p.TERM_DAYS * np.arange(days // p.TERM_DAYS + 1)[None]
        at, number = np.nonzero(begins < days)
        there = self._present(at, begins[at, number] + 1, days)
        at, number = at[there], number[there]
        due = begins[at, number] + p.TERM_DAYS
        renewed = self._present(at, due + 1, days).astype(object)
        renewed[due >= days] = None
        return pd.DataFrame({"row": self.row[at], "number": number + 1, "due": due, "renewed": renewed})

    def _present(self, at: Ints, day: Ints, days: int) -> NDArray[np.bool_]:
        """Whether each was a customer on a day; beyond the day after the history nobody knows."""
        return np.asarray(self.mood[at, np.minimum(day, days)] >= 0)


def steps(appeal: Floats) -> Floats:
    """Chance of each mood tomorrow given today's, for each customer; shape (customers, 3, 3)."""
    fit = np.exp(p.APPEAL_ON_MOOD * appeal)
    moves = np.zeros((len(appeal), 3, 3))
    moves[:, 0, 1], moves[:, 1, 2] = np.minimum(p.MOOD_FALL[0] / fit, 0.5), np.minimum(p.MOOD_FALL[1] / fit, 0.4)
    moves[:, 1, 0], moves[:, 2, 1] = np.minimum(p.MOOD_RISE[0] * fit, 0.4), np.minimum(p.MOOD_RISE[1] * fit, 0.5)
    moves[:, range(3), range(3)] = 1.0 - moves.sum(axis=2)
    return moves


def keep(world: World, block: int, people: People, diary: Diary) -> Customers:
    """Live the customers of a block from the day after each was won until they leave or the history ends."""
    rng = np.random.default_rng([world.seed, 8, block])
    row = np.flatnonzero((diary.stage == p.WON).any(axis=1))
    bought = people.arrival[row] + (diary.stage[row] == p.WON).argmax(axis=1)
    moves = np.cumsum(steps(people.appeal[row]), axis=2)
    # One day beyond the history, on which it shows who renewed on the last.
    mood = np.full((len(row), world.days + 1), -1, dtype=np.int8)
    usage = np.zeros((len(row), world.days, len(p.USAGE_KINDS)), dtype=np.int8)
    now, left = (rng.random(len(row))[:, None] > np.cumsum(p.FIRST_MOOD)).sum(axis=1), np.zeros(len(row), dtype=bool)
    for day in range(world.days):
        here, draw = (day > bought) & ~left, rng.random((len(row), 2))
        mood[here, day] = now[here]
        usage[here, day] = np.minimum(rng.poisson(_RATES[now[here]] * _weekday(world, day)), 100)
        left |= here & ((day - bought) % p.TERM_DAYS == 0) & (draw[:, 0] >= _RENEW[now])
        tomorrow = (draw[:, 1][:, None] > moves[np.arange(len(row)), now]).sum(axis=1)
        now = np.where(here, np.minimum(tomorrow, 2), now)
    mood[~left, world.days] = now[~left]
    return Customers(row, bought, mood, usage)


def _weekday(world: World, day: int) -> float:
    return p.WEEKDAY_FACTOR[(world.first_day.weekday() + day) % 7]


def leaving(world: World, people: People, customers: Customers, as_of: Sequence[datetime]) -> pd.DataFrame:
    """The exact probability that each customer does not renew at the end of its term, on some nights.

    *Knowable* follows from all usage and renewals known by then: the forward filter of the hidden mood, followed by the chain's steps to the
    end of the term. *Informed* knows yesterday's mood itself.

    Returns
    -------
    lead_id, as_of, knowable, informed; one row for each customer on that night.
    """
    renews, days = _renewing(people.appeal[customers.row]), {day_of(world, night): night for night in sorted(as_of)}
    parts = []
    for day, belief in _beliefs(world, people, customers, max(days, default=-1)):
        if day not in days:
            continue
        here = np.flatnonzero((customers.bought < day) & (customers.mood[:, day] >= 0))
        fresh = customers.bought[here] == day - 1
        left = p.TERM_DAYS - (day - 1 - customers.bought[here]) % p.TERM_DAYS - fresh
        chance = renews[here, left]
        yesterday = np.where(fresh, 0, customers.mood[here, day - 1])
        informed = np.where(fresh, chance @ np.asarray(p.FIRST_MOOD), chance[np.arange(len(here)), yesterday])
        knowable = (belief[here] * chance).sum(axis=1)
        ids = people.ids[customers.row[here]]
        parts.append(pd.DataFrame({"lead_id": ids, "as_of": days[day], "knowable": 1.0 - knowable, "informed": 1.0 - informed}))
    return pd.concat(parts, ignore_index=True)


def _renewing(appeal: Floats) -> Floats:
    """Chance to renew so many days before the end of the term, by mood; shape (customers, days to go, 3)."""
    moves, chance = steps(appeal), np.tile(_RENEW, (len(appeal), 1))
    every = [chance]
    for _ in range(p.TERM_DAYS):
        chance = np.einsum("nij,nj->ni", moves, chance)
        every.append(chance)
    return np.stack(every, axis=1)


def _beliefs(world: World, people: People, customers: Customers, last: int) -> Iterator[tuple[int, Floats]]:
    """Each night with what can be known then of yesterday's mood; of who bought yesterday, of today's."""
    belief = np.tile(np.asarray(p.FIRST_MOOD), (len(customers.row), 1))
    moves = steps(people.appeal[customers.row])
    for day in range(last + 1):
        yield day, belief
        if day == world.days:
            return
        here = np.flatnonzero(customers.mood[:, day] >= 0)
        old = here[customers.bought[here] < day - 1]
        prior = belief.copy()
        prior[old] = np.einsum("ni,nij->nj", belief[old], moves[old])
        rate = _RATES * _weekday(world, day)
        log = customers.usage[here, day].astype(float) @ np.log(rate).T - rate.sum(axis=1)
        renewed = ((day - customers.bought[here]) % p.TERM_DAYS == 0)[:, None]
        posterior = prior[here] * np.exp(log - log.max(axis=1, keepdims=True)) * np.where(renewed, _RENEW, 1.0)
        belief = prior
        belief[here] = posterior / posterior.sum(axis=1, keepdims=True)
