"""What leads and sales do, day after day.

Given today's stage, intent and contact, what a lead does today is independent of every other day. Sales sees the stage, yesterday's activity and
the age of the lead, never the intent; so its contacts say nothing about intent beyond what is visible, and a truth that filters on what
is visible may take them as given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.crm.simulator import parameters as p
from pipelines.crm.simulator.chain import advances, first_intent, intent_steps, losses
from pipelines.crm.simulator.parameters import World
from pipelines.crm.simulator.people import People

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Small = NDArray[np.int8]
_RATES = np.asarray(p.RATES)


@dataclass
class Standing:
    """Where some leads stand on a morning; what `live` carries from one day to the next."""

    stage: Ints
    intent: Ints
    disqualified: NDArray[np.bool_]
    active_yesterday: NDArray[np.bool_]
    silent_days: Ints

    def of(self, rows: NDArray[np.int64]) -> Standing:
        """The same of some leads only."""
        return Standing(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Diary:
    """All that happened to a block of leads, by age in days; axis 0 is the lead, axis 1 the age.

    `stage` and `intent` are the state during a day, -1 where the world had not begun or had ended for the lead. `on_time` and `late` count what the
    lead did by kind; `contact` holds calls and e-mails by us; `delay` says by how many days the late ones are late: one draw a lead, day and kind.
    `disqualified` is the standing at the end of the day.
    """

    stage: Small
    intent: Small
    on_time: Small
    late: Small
    delay: Small
    contact: Small
    disqualified: NDArray[np.bool_]


def rates(stage: Ints, contact: Small, weekday: Ints) -> Floats:
    """Expected number of activities today by intent and kind; shape (leads, 3, kinds)."""
    rate = np.broadcast_to(_RATES.T, (len(stage), 3, len(p.IN_KINDS))).copy()
    rate *= np.asarray(p.WEEKDAY_FACTOR)[weekday][:, None, None]
    touched, dealing = contact.any(axis=1), stage > 0
    for kind, boost in p.CONTACT_BOOST.items():
        rate[touched, :, kind] *= boost
    for kind, boost in p.OPEN_DEAL_BOOST.items():
        rate[dealing, :, kind] *= boost
    return rate


def begin(rng: np.random.Generator, appeal: Floats) -> Standing:
    """A lead comes in without a deal, with an intent that nobody sees."""
    edges = np.cumsum(first_intent(appeal), axis=1)
    intent = np.minimum((rng.random(len(appeal))[:, None] > edges).sum(axis=1), 2)
    none = np.zeros(len(appeal), dtype=bool)
    return Standing(np.zeros_like(intent), intent, none, none.copy(), np.zeros_like(intent))


def one_day(
    rng: np.random.Generator, world: World, now: Standing, age: Ints, weekday: Ints, steps: Floats, advance: Floats, appeal: Floats
) -> tuple[Standing, Small, Small, Small]:
    """Live one day.

    Returns
    -------
    The next morning; contacts (leads, 2); what the lead did on time and late (leads, kinds each).
    """
    contact = _contacts(rng, now, age)
    rate = rates(now.stage, contact, weekday)[np.arange(len(age)), now.intent]
    on_time = np.minimum(rng.poisson(rate * (1 - p.LATE_SHARE)), 100).astype(np.int8)
    late = np.minimum(rng.poisson(rate * p.LATE_SHARE), 100).astype(np.int8)
    active = np.asarray(np.any(on_time, axis=1))
    silent = np.where(active, 0, now.silent_days + 1)
    tired = (age >= p.DISQUALIFY_AFTER_DAYS) & (silent >= p.DISQUALIFY_SILENT_DAYS) & (now.stage == 0) & ~contact.any(axis=1)
    off = now.disqualified | (tired & (rng.random(len(age)) < p.DISQUALIFY_CHANCE))
    if world.contact_effect:
        steps = intent_steps(appeal, world.contact_effect * np.any(contact, axis=1).astype(float))
    stage, intent = move(rng, now.stage, now.intent, steps, advance)
    return Standing(stage, intent, off, active, silent), contact, on_time, late


def _contacts(rng: np.random.Generator, now: Standing, age: Ints) -> Small:
    chance = np.asarray(p.CALL_BY_STAGE)[now.stage] + p.CALL_IF_ACTIVE * now.active_yesterday + p.CALL_IF_FRESH * (age < 2)
    chance = np.where(now.disqualified, 0.0, chance)
    return (rng.random((len(age), 2)) < np.stack([chance, chance * p.EMAIL_PER_CALL], axis=1)).astype(np.int8)


def move(rng: np.random.Generator, stage: Ints, intent: Ints, steps: Floats, advance: Floats) -> tuple[Ints, Ints]:
    """From today's stage and intent to tomorrow's."""
    rows, draw = np.arange(len(stage)), rng.random((len(stage), 2))
    onward, lost = advance[rows, stage, intent], losses()[stage, intent]
    moved = np.where(draw[:, 0] < onward, stage + 1, np.where(draw[:, 0] < onward + lost, p.LOST, stage))
    edges = np.cumsum(steps[rows, intent], axis=1)
    return moved, np.minimum((draw[:, 1][:, None] > edges).sum(axis=1), 2)


def live(world: World, block: int, people: People, tell: Callable[[float], None] | None = None) -> Diary:
    """Live a block of leads from arrival until they are won or lost, too old, or the history ends."""
    rng = np.random.default_rng([world.seed, 4, block])
    n, ages = len(people), min(p.LIFE_DAYS, world.days)
    diary = _blank(n, ages)
    everyone = begin(rng, people.appeal)
    steps, advance = intent_steps(people.appeal), advances(people.appeal)
    rows = np.arange(n)
    for age in range(ages):
        keep = (people.arrival[rows] + age < world.days) & (everyone.stage < p.WON)
        rows, everyone = rows[keep], everyone.of(np.flatnonzero(keep))
        if not len(rows):
            break
        diary.stage[rows, age], diary.intent[rows, age] = everyone.stage, everyone.intent
        weekday = (world.first_day.weekday() + people.arrival[rows] + age) % 7
        ages_now = np.full(len(rows), age)
        everyone, contact, on_time, late = one_day(rng, world, everyone, ages_now, weekday, steps[rows], advance[rows], people.appeal[rows])
        diary.disqualified[rows, age] = everyone.disqualified
        diary.contact[rows, age], diary.on_time[rows, age], diary.late[rows, age] = contact, on_time, late
        diary.delay[rows, age] = rng.integers(1, p.LATE_DAYS + 1, late.shape, dtype=np.int8)
        if age + 1 < ages:
            ended = (everyone.stage >= p.WON) & (people.arrival[rows] + age + 1 < world.days)
            diary.stage[rows[ended], age + 1] = everyone.stage[ended]
        if tell and age % 50 == 0:
            tell(age / ages)
    return diary


def _blank(n: int, ages: int) -> Diary:
    kinds = len(p.IN_KINDS)
    return Diary(
        stage=np.full((n, ages), -1, dtype=np.int8),
        intent=np.full((n, ages), -1, dtype=np.int8),
        on_time=np.zeros((n, ages, kinds), dtype=np.int8),
        late=np.zeros((n, ages, kinds), dtype=np.int8),
        delay=np.ones((n, ages, kinds), dtype=np.int8),
        contact=np.zeros((n, ages, 2), dtype=np.int8),
        disqualified=np.zeros((n, ages), dtype=bool),
    )
