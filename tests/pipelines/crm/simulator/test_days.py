"""Leads live by the table of rates, sales sees nothing hidden, and what has ended stays ended."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from pipelines.crm.simulator import parameters as p
from pipelines.crm.simulator.chain import advances, first_intent, intent_steps
from pipelines.crm.simulator.days import Diary, live
from pipelines.crm.simulator.parameters import World
from pipelines.crm.simulator.people import People, draw_people

WORLD = World(leads=3_000, seed=12)
KINDS = list(p.IN_KINDS)


@pytest.fixture(scope="module")
def people() -> People:
    return draw_people(WORLD, 0, 0, 3_000)


@pytest.fixture(scope="module")
def diary(people: People) -> Diary:
    return live(WORLD, 0, people)


@pytest.fixture(scope="module")
def lived(people: People, diary: Diary) -> pd.DataFrame:
    """One row for each day that a lead lived through with its deal, if any, still open."""
    lead, age = np.nonzero((diary.stage >= 0) & (diary.stage < p.WON))
    before = np.maximum(age - 1, 0)
    after = np.minimum(age + 1, diary.stage.shape[1] - 1)
    table = pd.DataFrame({"lead": lead, "age": age, "stage": diary.stage[lead, age], "intent": diary.intent[lead, age]})
    table["weekday"] = (WORLD.first_day.weekday() + people.arrival[lead] + age) % 7
    table["call"], table["email"] = diary.contact[lead, age].T
    table["touched"] = (table["call"] + table["email"]) > 0
    table["active_yesterday"] = diary.on_time[lead, before].any(axis=1) & (age > 0)
    table["off"] = diary.disqualified[lead, before] & (age > 0)
    table["next_stage"], table["next_intent"] = diary.stage[lead, after], diary.intent[lead, after]
    for kind, name in enumerate(KINDS):
        table[name], table[f"late {name}"] = diary.on_time[lead, age, kind], diary.late[lead, age, kind]
    # The history ends for a lead at the horizon of its life or of the world, unseen.
    table["seen_on"] = (after > age) & (table["next_stage"] >= 0)
    return table


def test_what_leads_do_follows_the_table_of_rates(lived: pd.DataFrame) -> None:
    # By intent and kind, and by weekday.
    expected, seen = np.zeros((3, 7, 7)), np.zeros((3, 7, 7))
    for (intent, weekday, touched, stage), days in lived.groupby(["intent", "weekday", "touched", "stage"]):
        for kind, name in enumerate(KINDS):
            rate = p.RATES[kind][intent] * p.WEEKDAY_FACTOR[weekday]
            if name == "reply":
                rate *= (10.0 if touched else 1.0) * (1.5 if stage > 0 else 1.0)
            if name == "meeting":
                rate *= (6.0 if touched else 1.0) * (2.0 if stage > 0 else 1.0)
            expected[intent, kind, weekday] += rate * len(days)
            seen[intent, kind, weekday] += days[name].sum() + days[f"late {name}"].sum()
    # A sum of Poisson counts is as variable as it is large.
    for axis in (2, (0, 1)):
        assert (np.abs(seen.sum(axis) - expected.sum(axis)) < 4 * np.sqrt(expected.sum(axis))).all()
    late = lived[[f"late {name}" for name in KINDS]].to_numpy().sum()
    assert abs(late - 0.02 * expected.sum()) < 4 * np.sqrt(0.02 * expected.sum())


def test_a_late_row_is_one_to_ten_days_late_each_as_likely(diary: Diary) -> None:
    days = diary.delay[diary.late > 0]
    seen = np.bincount(days, minlength=11)
    assert (seen[0], len(seen), len(days) > 1_000) == (0, 11, True)
    assert (np.abs(seen[1:] - len(days) / 10) < 4 * np.sqrt(len(days) * 0.09)).all()


def test_stage_and_intent_move_by_the_chain(people: People, lived: pd.DataFrame) -> None:
    open_days = lived[lived["seen_on"]]
    advance, steps = advances(people.appeal), intent_steps(people.appeal)
    for (stage, intent), days in open_days.groupby(["stage", "intent"]):
        onward, lost = advance[days["lead"], stage, intent], p.LOSE[intent] if stage else 0.0
        for target, chance in ((stage + 1, onward), (p.LOST, np.full(len(days), lost))):
            spread = np.sqrt((chance * (1 - chance)).sum())
            assert abs((days["next_stage"] == target).sum() - chance.sum()) <= 4 * spread
        assert set(days["next_stage"]) <= {stage, stage + 1, p.LOST}
        # The intent after the last day of a deal is drawn too, but nobody lives it.
        stayed = days[days["next_stage"] < p.WON]
        for target in range(3):
            chance = steps[stayed["lead"], intent, target]
            assert abs((stayed["next_intent"] == target).sum() - chance.sum()) <= 4 * np.sqrt((chance * (1 - chance)).sum())
    begun, chance = np.bincount(lived.loc[lived["age"] == 0, "intent"], minlength=3), first_intent(people.appeal)
    assert (np.abs(begun - chance.sum(axis=0)) < 4 * np.sqrt((chance * (1 - chance)).sum(axis=0))).all()


def test_sales_sees_stage_activity_and_age_and_never_the_intent(lived: pd.DataFrame) -> None:
    for (stage, active, fresh, off, _intent), days in lived.groupby(["stage", "active_yesterday", lived["age"] < 2, "off", "intent"]):
        chance = 0.0 if off else p.CALL_BY_STAGE[stage] + p.CALL_IF_ACTIVE * active + p.CALL_IF_FRESH * fresh
        for kind, expected in (("call", chance), ("email", chance * p.EMAIL_PER_CALL)):
            spread = np.sqrt(len(days) * expected * (1 - expected))
            # Over a hundred comparisons, so four and a half standard errors.
            assert abs(days[kind].sum() - len(days) * expected) <= 4.5 * spread


def test_only_who_was_silent_for_long_and_has_no_deal_is_given_up_for_good(diary: Diary) -> None:
    given_up = np.flatnonzero(diary.disqualified.any(axis=1))
    assert len(given_up) > 50
    for lead in given_up:
        day = int(diary.disqualified[lead].argmax())
        assert day >= 120
        assert diary.stage[lead, day] == 0
        assert not diary.on_time[lead, day - 59 : day + 1].any()
        assert not diary.contact[lead, day + 1 :].any()
        open_days = (diary.stage[lead, day:] >= 0) & (diary.stage[lead, day:] < p.WON)
        assert diary.disqualified[lead, day:][open_days].all()


def test_a_life_runs_from_arrival_to_its_end_without_a_gap_and_nothing_after(people: People, diary: Diary) -> None:
    for lead in range(len(people)):
        days = np.flatnonzero(diary.stage[lead] >= 0)
        end = int(days[-1])
        assert days.tolist() == list(range(end + 1))
        assert diary.stage[lead, 0] == 0
        assert (diary.stage[lead, :end] < p.WON).all()
        closed = diary.stage[lead, end] >= p.WON
        assert closed or end == min(p.LIFE_DAYS, WORLD.days - people.arrival[lead]) - 1
        nothing = slice(end + (not closed), None)
        assert [book[lead, nothing].any() for book in (diary.on_time, diary.late, diary.contact)] == [False] * 3
        assert (diary.intent[lead, nothing] == -1).all()


@pytest.mark.parametrize("effect", [0.0, 1.5])
def test_a_contact_makes_intent_rise_only_where_it_has_an_effect(people: People, effect: float) -> None:
    diary = live(dataclasses.replace(WORLD, contact_effect=effect), 0, people)
    lead, age = np.nonzero((diary.intent[:, 1:] >= 0) & (diary.intent[:, :-1] < 2))
    rose = diary.intent[lead, age + 1] > diary.intent[lead, age]
    plain = intent_steps(people.appeal)[lead, diary.intent[lead, age], diary.intent[lead, age] + 1]
    touched = diary.contact[lead, age].any(axis=1)
    for days, chance in ((~touched, plain[~touched]), (touched, plain[touched] * (1 + effect))):
        assert abs(rose[days].sum() - chance.sum()) < 4 * np.sqrt((chance * (1 - chance)).sum())
    # Enough contacts to tell the effect from none.
    assert plain[touched].sum() > 150


def test_the_same_seed_lives_the_same_days_and_tells_how_far_it_is(people: People, diary: Diary) -> None:
    told: list[float] = []
    again, other = live(WORLD, 0, people, told.append), live(WORLD, 1, people)
    for field in dataclasses.fields(Diary):
        assert np.array_equal(getattr(diary, field.name), getattr(again, field.name))
    assert not np.array_equal(diary.stage, other.stage)
    assert told == sorted(told)
    assert told[0] == 0.0
    assert told[-1] < 1.0
