"""Customers use what they bought, renew it or leave, and how likely each was to leave is exact."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from pipelines.crm.simulator import parameters as p
from pipelines.crm.simulator.customers import Customers, keep, leaving, steps
from pipelines.crm.simulator.days import live
from pipelines.crm.simulator.parameters import World
from pipelines.crm.simulator.people import People, draw_people
from pipelines.crm.simulator.rows import block_rows

WORLD = World(leads=3_000, seed=5, days=480, retention=True)


@pytest.fixture(scope="module")
def kept() -> tuple[People, Customers]:
    people = draw_people(WORLD, 0, 0, WORLD.leads)
    return people, keep(WORLD, 0, people, live(WORLD, 0, people))


def _night(day: int) -> datetime:
    return datetime(2024, 1, 1, 2) + timedelta(days=day)


def _knowable(people: People, customers: Customers, at: int, today: int) -> float:
    """One customer's chance to leave from all usage and renewals before a day: the forward filter in plain loops."""
    moves = steps(people.appeal[customers.row[[at]]])[0].tolist()
    bought, belief = int(customers.bought[at]), list(p.FIRST_MOOD)
    for day in range(bought + 1, today):
        if day > bought + 1:
            belief = [sum(belief[i] * moves[i][j] for i in range(3)) for j in range(3)]
        weekday = p.WEEKDAY_FACTOR[(date(2024, 1, 1) + timedelta(days=day)).weekday()]
        for mood in range(3):
            for kind, times in enumerate(customers.usage[at, day].tolist()):
                rate = p.USAGE_RATES[kind][mood] * weekday
                belief[mood] *= rate**times * math.exp(-rate)
            belief[mood] *= p.RENEW[mood] if (day - bought) % p.TERM_DAYS == 0 else 1.0
        belief = [one / sum(belief) for one in belief]
    start = max(today - 1, bought + 1)
    due = bought + p.TERM_DAYS * -(-(today - bought) // p.TERM_DAYS)
    for _ in range(due - start):
        belief = [sum(belief[i] * moves[i][j] for i in range(3)) for j in range(3)]
    return 1.0 - sum(belief[i] * p.RENEW[i] for i in range(3))


@pytest.mark.parametrize("today", [200, 333, 480])
def test_what_can_be_known_equals_its_loop(kept: tuple[People, Customers], today: int) -> None:
    people, customers = kept
    told = leaving(WORLD, people, customers, [_night(today)]).set_index("lead_id")["knowable"]
    places = {lead: at for at, lead in enumerate(people.ids[customers.row])}
    # Some of each age, and everybody whose term ends today or who came yesterday.
    chosen = [lead for n, lead in enumerate(told.index) if n % 9 == 0 or (today - customers.bought[places[lead]]) % p.TERM_DAYS in (0, 1)]
    assert len(chosen) > 10
    for lead in chosen:
        assert told[lead] == pytest.approx(_knowable(people, customers, places[lead], today), abs=1e-9)


def test_as_many_leave_as_the_truth_says(kept: tuple[People, Customers]) -> None:
    people, customers = kept
    terms = customers.terms(WORLD.days).assign(lead_id=lambda t: people.ids[t["row"]])
    for column in ("knowable", "informed"):
        surprise, variance = 0.0, 0.0
        for today in (120, 210, 300, 390):
            told = leaving(WORLD, people, customers, [_night(today)]).set_index("lead_id")[column]
            ends = terms[(terms["due"] >= today) & (terms["due"] < today + p.TERM_DAYS)].set_index("lead_id")
            assert sorted(ends.index) == sorted(told.index)
            surprise += float((ends["renewed"].eq(False) - told).sum())
            variance += float((told * (1 - told)).sum())
        assert abs(surprise) < 3 * math.sqrt(variance)


def test_terms_follow_each_other_until_one_is_not_renewed() -> None:
    """Won on day 10: renewed on day 100, left on day 190. Another was won on day 250 and has not come to its end."""
    mood = np.full((2, 301), -1, dtype=np.int8)
    mood[0, 11:191] = 0
    mood[1, 251:] = 1
    customers = Customers(np.array([3, 4]), np.array([10, 250]), mood, np.zeros((2, 300, 3), dtype=np.int8))
    assert customers.terms(300).to_dict("records") == [
        {"row": 3, "number": 1, "due": 100, "renewed": True},
        {"row": 3, "number": 2, "due": 190, "renewed": False},
        {"row": 4, "number": 1, "due": 340, "renewed": None},
    ]


def test_keeping_customers_changes_nothing_of_how_they_were_won() -> None:
    people = draw_people(WORLD, 0, 0, 400)
    diary = live(WORLD, 0, people)
    (plain, _), (kept, _) = block_rows(WORLD, 0, people, diary), block_rows(WORLD, 0, people, diary, keep(WORLD, 0, people, diary))
    for table in ("lead_changes", "accounts"):
        pd.testing.assert_frame_equal(plain[table], kept[table])
    ours = kept["deals"].query("deal_type == 'new business'").drop(columns="deal_type").drop_duplicates("deal_id")
    won = plain["deals"].drop_duplicates("deal_id")
    true = won[won["deal_id"].str.fullmatch(r"D\d+")].reset_index(drop=True)
    pd.testing.assert_frame_equal(ours[ours["deal_id"].str.fullmatch(r"D\d+")].reset_index(drop=True), true)
    used = kept["activities"][kept["activities"]["kind"].isin(p.USAGE_KINDS)]
    assert set(used["lead_id"].dropna()) - {"L-gone"} <= set(true.loc[true["outcome"] == "won", "lead_id"])
