"""The exact probability that a lead converts within the horizon.

*Knowable* is what a perfect scorer could say from what the CRM knew by then: the forward filter of the hidden intent over everything visible
(stages, contacts, what the lead did, less the rows that were still late), followed by the chain's transition powers. *Informed* knows the
hidden state itself, which no scorer can. Source: the forward algorithm for hidden Markov models (Rabiner 1989), with Poisson emissions.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.crm.simulator import parameters as p
from pipelines.crm.simulator.chain import advances, first_intent, intent_steps, stage_likelihood, win_chances
from pipelines.crm.simulator.days import Diary, Standing, move, one_day, rates
from pipelines.crm.simulator.parameters import World
from pipelines.crm.simulator.people import People

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_NIGHT = time(2)


def day_of(world: World, as_of: datetime) -> int:
    """The day of the world whose small hours a night is in; everything of the day before is known, nothing of this one."""
    return (as_of - datetime.combine(world.first_day, _NIGHT)).days


def block_truth(
    world: World, people: People, diary: Diary, as_of: list[datetime], horizon_days: int = 90, max_age_days: int = 365, draws: int = 2_000
) -> pd.DataFrame:
    """The truth of one block on some nights: lead_id, as_of, knowable, informed; one row for each lead open then.

    Parameters
    ----------
    draws : simulated continuations a lead, used only where contact has an effect and the chain alone no longer tells.
    """
    wanted = sorted(as_of)
    settled = _settled_beliefs(world, people, diary, [day_of(world, night) - 1 - p.LATE_DAYS for night in wanted])
    parts = []
    for night, belief in zip(wanted, settled, strict=True):
        today = day_of(world, night)
        belief = belief.copy()
        for day in range(max(today - p.LATE_DAYS, 0), today):
            _update(world, people, diary, belief, day, today - 1 - day)
        rows = _open(world, people, diary, today, max_age_days)
        stage = diary.stage[rows, today - 1 - people.arrival[rows]].astype(np.int64)
        intent = diary.intent[rows, today - 1 - people.arrival[rows]].astype(np.int64)
        if world.contact_effect:
            chances = _simulated(world, people, diary, rows, today, stage, horizon_days, draws)
        else:
            chances = win_chances(people.appeal[rows], horizon_days)[np.arange(len(rows)), stage]
        parts.append(
            pd.DataFrame(
                {
                    "lead_id": people.ids[rows],
                    "as_of": night,
                    "knowable": (belief[rows] * chances).sum(axis=1),
                    "informed": chances[np.arange(len(rows)), intent],
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _settled_beliefs(world: World, people: People, diary: Diary, days: list[int]) -> list[Floats]:
    """The filter after each of some days, with every late row of those days in; a belief of zeros before a lead comes in."""
    belief = np.zeros((len(people), 3))
    kept, reached = {}, -1
    for day in sorted(set(days)):
        for passed in range(reached + 1, day + 1):
            _update(world, people, diary, belief, passed, p.LATE_DAYS)
        reached = max(day, reached)
        kept[day] = belief.copy()
    return [kept[day] for day in days]


def _update(world: World, people: People, diary: Diary, belief: Floats, day: int, since: int) -> None:
    """Take one day into the belief, in place: yesterday's belief through the step that was seen, times today's evidence.

    Parameters
    ----------
    since : full days since then: rows later than that are not known yet.
    """
    age = day - people.arrival
    inside = np.flatnonzero((age >= 0) & (age < diary.stage.shape[1]))
    inside = inside[(diary.stage[inside, age[inside]] >= 0) & (diary.stage[inside, age[inside]] < p.WON)]
    ages, appeal = age[inside], people.appeal[inside]
    now = diary.stage[inside, ages].astype(np.int64)
    new = ages == 0
    was = diary.stage[inside, np.maximum(ages - 1, 0)].astype(np.int64)
    touched = np.any(diary.contact[inside, np.maximum(ages - 1, 0)], axis=1).astype(float)
    seen = belief[inside] * stage_likelihood(advances(appeal), was, now)
    moved = (seen[:, :, None] * intent_steps(appeal, world.contact_effect * touched)).sum(axis=1)
    prior = np.where(new[:, None], first_intent(appeal), moved)
    posterior = prior * _evidence(world, diary, inside, ages, now, people.arrival[inside], since)
    belief[inside] = posterior / posterior.sum(axis=1, keepdims=True)


def _evidence(world: World, diary: Diary, rows: Ints, ages: Ints, stage: Ints, arrival: Ints, since: int) -> Floats:
    """How likely what was known of a day is under each intent, up to a factor that is the same for all; shape (leads, 3)."""
    weekday = (world.first_day.weekday() + arrival + ages) % 7
    rate = rates(stage, diary.contact[rows, ages], weekday)
    on_time = diary.on_time[rows, ages].astype(float)
    arrived = diary.delay[rows, ages] <= since
    late = np.where(arrived, diary.late[rows, ages], 0).astype(float)
    log_rate = np.log(rate)
    log = ((on_time + late)[:, None, :] * log_rate - rate * (1 - p.LATE_SHARE)).sum(axis=2)
    share = min(since, p.LATE_DAYS) / p.LATE_DAYS
    none_late = np.log(1 - share + share * np.exp(-rate * p.LATE_SHARE)) if share < 1 else -rate * p.LATE_SHARE
    log += np.where(late[:, None, :] > 0, -rate * p.LATE_SHARE, none_late).sum(axis=2)
    return np.asarray(np.exp(log - log.max(axis=1, keepdims=True)))


def _open(world: World, people: People, diary: Diary, today: int, max_age_days: int) -> Ints:
    """Leads that came in before today, are neither won, lost nor disqualified, and not too old; the population that is scored."""
    age = today - 1 - people.arrival
    rows = np.flatnonzero((age >= 0) & (age < max_age_days) & (age < diary.stage.shape[1]))
    stage = diary.stage[rows, age[rows]]
    return rows[(stage >= 0) & (stage < p.WON) & ~diary.disqualified[rows, age[rows]]]


def _simulated(world: World, people: People, diary: Diary, rows: Ints, today: int, stage: Ints, days: int, draws: int) -> Floats:
    """Chance to be won from each intent, counted over simulated lives; shape (leads, 3)."""
    chances = np.zeros((len(rows), 3))
    for at, row in enumerate(rows):
        for intent in range(3):
            chances[at, intent] = continue_life(world, people, diary, int(row), today, int(stage[at]), intent, days, draws)
    return chances


def continue_life(world: World, people: People, diary: Diary, row: int, today: int, stage: int, intent: int, days: int, draws: int) -> float:
    """The share of so many simulated lives of one lead, from yesterday's state on, that are won within the horizon.

    An independent check of the transition powers, and the truth itself where contact has an effect.

    Parameters
    ----------
    today : day of the world; yesterday's state was (`stage`, `intent`).
    """
    rng = np.random.default_rng([world.seed, 5, people.first_lead + row, today, intent])
    appeal = np.full(draws, people.appeal[row])
    steps, advance = intent_steps(appeal), advances(appeal)
    age = today - 1 - int(people.arrival[row])
    active = np.asarray(np.any(diary.on_time[row, : age + 1], axis=1))
    silent = age - int(np.flatnonzero(active)[-1]) if active.any() else age + 1
    off = bool(diary.disqualified[row, age])
    # Yesterday is known: its contact, not a drawn one, works overnight.
    touched = world.contact_effect * np.full(draws, float(diary.contact[row, age].any()))
    state = move(rng, np.full(draws, stage), np.full(draws, intent), intent_steps(appeal, touched), advance)
    lives = Standing(*state, np.full(draws, off), np.full(draws, bool(active[age])), np.full(draws, silent))
    won = 0
    for passed in range(days):
        won += int((lives.stage == p.WON).sum())
        lives = lives.of(np.flatnonzero(lives.stage < p.WON))
        n = len(lives.stage)
        if not n or passed + 1 == days:
            break
        weekday = np.full(n, (world.first_day.weekday() + today + passed) % 7)
        lives, *_ = one_day(rng, world, lives, np.full(n, age + 1 + passed), weekday, steps[:n], advance[:n], appeal[:n])
    return won / draws


def night_of(world: World, day: int) -> datetime:
    """The nightly run in the small hours of a day of the world."""
    return datetime.combine(world.first_day, _NIGHT) + timedelta(days=day)
