"""The truth equals plain loops over what the CRM knew by then, agrees with simulated lives, and comes true."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from pipelines.crm.simulator import parameters as p
from pipelines.crm.simulator import simulate, truth
from pipelines.crm.simulator.chain import advances, intent_steps, losses
from pipelines.crm.simulator.days import Diary, live
from pipelines.crm.simulator.parameters import World
from pipelines.crm.simulator.people import People, draw_people
from pipelines.crm.simulator.rows import block_rows
from pipelines.crm.simulator.truth import block_truth, continue_life, day_of, night_of

LEADS, SEED = 2_500, 31
WORLD = World(leads=LEADS, seed=SEED)
TABLES = ("leads", "activities", "lead_changes", "deals")
NIGHTS = [night_of(WORLD, day) for day in (200, 420, 635)]


@dataclass(frozen=True)
class Company:
    """What a reader of the files has, and what happened."""

    world: World
    leads: pd.DataFrame
    activities: pd.DataFrame
    changes: pd.DataFrame
    deals: pd.DataFrame
    people: People
    diary: Diary


def _company(world: World, people: People, diary: Diary, tables: dict[str, pd.DataFrame]) -> Company:
    leads, deeds, changes, deals = (tables[name].copy() for name in TABLES)
    # Without the mess: doubled, foreign, future and unreadable rows.
    leads = leads.drop_duplicates().dropna(subset="created_at").set_index("lead_id")
    deeds = deeds.drop_duplicates()[lambda t: t["lead_id"].isin(leads.index) & (t["occurred_at"] < "2026") & ~np.isinf(t["value"])]
    deals = deals[lambda t: t["lead_id"].isin(leads.index) & (t["amount"] > 0) & ((t["outcome"] != "won") | t["closed_at"].notna())]
    for table in (leads, deeds, changes, deals):
        for clock in {"created_at", "occurred_at", "known_at", "changed_at", "closed_at"} & set(table.columns):
            table[clock] = pd.to_datetime(table[clock])
    return Company(world, leads, deeds, changes, deals, people, diary)


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Company:
    folder = tmp_path_factory.mktemp("crm")
    simulate(folder, leads=LEADS, seed=SEED)
    people = draw_people(WORLD, 0, 0, LEADS)
    return _company(WORLD, people, live(WORLD, 0, people), {name: pd.read_parquet(folder / f"{name}.parquet") for name in TABLES})


@pytest.fixture(scope="module")
def table(company: Company) -> pd.DataFrame:
    """The truth of three nights, and what came of it."""
    told = block_truth(WORLD, company.people, company.diary, NIGHTS, 90, 365)
    won = company.deals[company.deals["outcome"] == "won"].set_index("lead_id")["closed_at"].reindex(told["lead_id"]).to_numpy()
    return told.assign(converted=(won >= told["as_of"]) & (won < told["as_of"] + timedelta(days=90)))


def _poisson(count: int, mean: float) -> float:
    return math.exp(-mean) * mean**count / math.factorial(count)


def _late(count: int, mean: float, since: int) -> float:
    """Chance that so many late rows of one kind and day are in: sum over all numbers of rows and all delays from 1 to 10 days."""
    return sum(_poisson(rows, mean) / 10 for rows in range(count + 4) for delay in range(1, 11) if (rows if delay <= since else 0) == count)


def _intents(appeal: float, lift: float = 0.0) -> list[list[float]]:
    rise = [chance * math.exp(appeal) * (1 + lift) for chance in (p.COLD_TO_WARM, p.WARM_TO_HOT)]
    return [[1 - rise[0], rise[0], 0.0], [p.WARM_TO_COLD, 1 - p.WARM_TO_COLD - rise[1], rise[1]], [0.0, p.HOT_TO_WARM, 1 - p.HOT_TO_WARM]]


def _stage_step(appeal: float, was: int, now: int, intent: int) -> float:
    onward, lost = p.ADVANCE[was][intent] * math.exp(p.APPEAL_ON_ADVANCE * appeal), p.LOSE[intent] if was else 0.0
    return {was: 1 - onward - lost, was + 1: onward, p.LOST: lost}[now]


def _filtered(company: Company, lead: str, night: datetime, hindsight: bool = False) -> tuple[int, list[float]]:
    """Stage, and chances of the intents, on the eve of a night: loops over one lead's rows, with only its appeal taken from the world."""
    appeal, came, today = _appeal(company, lead), company.leads.at[lead, "created_at"].date(), night.date()
    seen: Counter[tuple[date, str, bool]] = Counter()
    for row in company.activities[company.activities["lead_id"] == lead].itertuples():
        if row.occurred_at < night and (hindsight or row.known_at < night):
            seen[row.occurred_at.date(), row.kind if row.direction == "in" else "contact", row.known_at > row.occurred_at] += 1
    moves = company.changes[(company.changes["lead_id"] == lead) & (company.changes["field"] == "stage") & (company.changes["changed_at"] < night)]
    moved = {row.changed_at.date(): p.STAGES.index(row.new_value) for row in moves.itertuples()}
    belief = [share * math.exp(tilt * appeal) for share, tilt in zip(p.FIRST_INTENT, (0.0, 0.5, 0.8), strict=True)]
    stage, touched = 0, False
    for day in (came + timedelta(days=number) for number in range((today - came).days)):
        since = 10 if hindsight else (today - day).days - 1
        if day > came:
            now, steps = moved.get(day, stage), _intents(appeal, company.world.contact_effect * touched)
            belief = [sum(belief[i] * _stage_step(appeal, stage, now, i) * steps[i][j] for i in range(3)) for j in range(3)]
            stage = now
        touched = seen[day, "contact", False] > 0
        for i in range(3):
            for kind, rates in zip(p.IN_KINDS, p.RATES, strict=True):
                rate = rates[i] * p.WEEKDAY_FACTOR[day.weekday()]
                rate *= {"reply": 10.0, "meeting": 6.0}.get(kind, 1.0) if touched else 1.0
                rate *= {"reply": 1.5, "meeting": 2.0}.get(kind, 1.0) if stage else 1.0
                belief[i] *= _poisson(seen[day, kind, False], 0.98 * rate) * _late(seen[day, kind, True], 0.02 * rate, since)
        belief = [one / sum(belief) for one in belief]
    return stage, belief


def _won(appeal: float, stage: int, belief: list[float], days: int) -> float:
    """The chance to be won within so many days: all the mass of stage and intent, moved forward day by day."""
    steps = _intents(appeal)
    mass = {(s, i): belief[i] if s == stage else 0.0 for s in range(6) for i in range(3)}
    for _ in range(days):
        after = {(s, i): mass[s, i] if s >= p.WON else 0.0 for s, i in mass}
        for s, i in ((s, i) for s in range(4) for i in range(3)):
            for now in {s, s + 1, p.LOST}:
                for j in range(3):
                    after[now, j] += mass[s, i] * _stage_step(appeal, s, now, i) * steps[i][j]
        mass = after
    return sum(mass[p.WON, i] for i in range(3))


def _appeal(company: Company, lead: str) -> float:
    return float(company.people.appeal[int(lead[1:])])


@pytest.mark.parametrize("night", NIGHTS, ids=lambda night: f"{night:%Y-%m-%d}")
def test_knowable_is_a_filter_over_the_rows_known_by_then(company: Company, table: pd.DataFrame, night: datetime) -> None:
    told = table[table["as_of"] == night].set_index("lead_id")["knowable"]
    deeds = company.activities[company.activities["lead_id"].isin(told.index)]
    pending = deeds[(deeds["occurred_at"] < night) & (deeds["known_at"] >= night)]["lead_id"].unique()
    arrived = deeds[(deeds["known_at"] < night) & (deeds["known_at"] > deeds["occurred_at"]) & (deeds["occurred_at"] > night - timedelta(days=10))]
    dealing = company.deals[(company.deals["created_at"] < night) & company.deals["lead_id"].isin(told.index)]["lead_id"]
    chosen = {*pending[:3], *arrived["lead_id"][:3], *dealing[:3], *told.index[:3]}
    assert len(chosen) >= 10
    for lead in chosen:
        assert told[lead] == pytest.approx(_won(_appeal(company, lead), *_filtered(company, lead, night), 90), rel=1e-9)
    # The rows that are still to come would change it.
    for lead in pending[:3]:
        assert told[lead] != pytest.approx(_won(_appeal(company, lead), *_filtered(company, lead, night, hindsight=True), 90), rel=1e-6)


@pytest.mark.parametrize("night", NIGHTS, ids=lambda night: f"{night:%Y-%m-%d}")
def test_every_open_lead_of_a_night_has_a_truth_and_no_other(company: Company, table: pd.DataFrame, night: datetime) -> None:
    leads, changes, deals = company.leads, company.changes, company.deals
    given_up = changes[(changes["new_value"] == "disqualified") & (changes["changed_at"] < night)]["lead_id"]
    closed = deals[deals["closed_at"] < night]["lead_id"]
    young = leads[(leads["created_at"] < night) & (leads["created_at"] > night - timedelta(days=365))]
    assert set(table.loc[table["as_of"] == night, "lead_id"]) == set(young.index) - set(given_up) - set(closed)


@pytest.mark.parametrize(("stage", "intent", "days"), [(0, 1, 15), (1, 0, 20), (1, 2, 20), (2, 1, 20), (3, 0, 45)])
def test_a_million_simulated_lives_are_won_as_often_as_the_chain_says(company: Company, stage: int, intent: int, days: int) -> None:
    people, diary, today, draws = company.people, company.diary, 420, 200_000
    age = today - 1 - people.arrival
    inside = np.flatnonzero((age >= 0) & (age < 365))
    row = next(int(row) for row in inside if (diary.stage[row, age[row]], diary.intent[row, age[row]]) == (stage, intent))
    told = block_truth(WORLD, people, diary, [NIGHTS[1]], days, 365).set_index("lead_id").at[people.ids[row], "informed"]
    won = continue_life(WORLD, people, diary, row, today, stage, intent, days, draws)
    assert abs(won - told) < 4 * math.sqrt(told * (1 - told) / draws)


def test_the_best_tenth_is_four_to_six_times_the_average(table: pd.DataFrame) -> None:
    for _, night in table.groupby("as_of"):
        best = night["knowable"].nlargest(len(night) // 10)
        assert 4.0 < best.mean() / night["knowable"].mean() < 6.0


def test_what_was_knowable_came_true(table: pd.DataFrame) -> None:
    for _, night in table.groupby("as_of"):
        tenths = pd.qcut(night["knowable"], 10, labels=False)
        for some in (night, *(part for _, part in night.groupby(tenths))):
            for column in ("knowable", "informed"):
                spread = math.sqrt((some[column] * (1 - some[column])).sum())
                assert abs(some["converted"].sum() - some[column].sum()) < 4 * spread


def test_who_knows_the_hidden_intent_is_surer_and_right_on_average(table: pd.DataFrame) -> None:
    for _, night in table.groupby("as_of"):
        seen, expected = {}, {}
        for column in ("knowable", "informed"):
            chance = night[column]
            seen[column] = -np.log(np.where(night["converted"], chance, 1 - chance)).mean()
            expected[column] = -(chance * np.log(chance) + (1 - chance) * np.log(1 - chance)).mean()
        assert seen["informed"] < seen["knowable"]
        assert expected["informed"] < 0.97 * expected["knowable"]
        difference = night["informed"] - night["knowable"]
        assert abs(difference.mean()) < 4 * difference.std() / math.sqrt(len(night))


def test_where_contact_has_an_effect_the_filter_knows_and_lives_tell_the_chance() -> None:
    world, night = World(leads=60, seed=9, contact_effect=4.0), night_of(WORLD, 500)
    people = draw_people(world, 0, 0, 60)
    diary = live(world, 0, people)
    helped = _company(world, people, diary, block_rows(world, 0, people, diary)[0])
    told = block_truth(world, people, diary, [night], 10, 365, draws=200).set_index("lead_id")["knowable"]
    assert len(told) > 10
    for lead, knowable in told.items():
        stage, belief = _filtered(helped, str(lead), night)
        row = int(str(lead)[1:])
        lives = [continue_life(world, people, diary, row, 500, stage, intent, 10, 200) for intent in range(3)]
        assert knowable == pytest.approx(sum(np.multiply(belief, lives)), rel=1e-9)


def test_where_contact_has_an_effect_more_lives_are_won(company: Company) -> None:
    row = int(np.flatnonzero(company.people.arrival == 400)[0])
    shares = [
        continue_life(dataclasses.replace(WORLD, contact_effect=effect), company.people, company.diary, row, 420, 1, 1, 90, 10_000)
        for effect in (0.0, 2.0)
    ]
    assert shares[1] - shares[0] > 4 * math.sqrt(2 * 0.25 / 10_000)


def test_a_night_has_the_same_truth_whatever_other_nights_are_asked_for(table: pd.DataFrame) -> None:
    told = truth(NIGHTS[1::-1], leads=LEADS, seed=SEED)
    pd.testing.assert_frame_equal(told, table.loc[table["as_of"] <= NIGHTS[1], list(told.columns)].reset_index(drop=True))


def test_a_night_is_in_the_small_hours_of_its_day() -> None:
    assert night_of(WORLD, 1) == datetime(2024, 1, 2, 2)
    assert [day_of(WORLD, datetime(2024, 1, 2, hour)) for hour in (1, 2, 23)] == [0, 1, 1]


@pytest.mark.parametrize("touched", [True, False])
def test_yesterdays_contact_is_known(touched: bool) -> None:
    world, today, draws = World(leads=1_000, seed=31, contact_effect=5.0), 420, 200_000
    people = draw_people(world, 0, 0, 1_000)
    diary = live(world, 0, people)
    age = today - 1 - people.arrival
    young = [int(row) for row in np.flatnonzero((age >= 2) & (age < 365)) if diary.stage[row, age[row]] == 0]
    row = next(row for row in young if diary.contact[row, age[row]].any() == touched)
    appeal = people.appeal[row : row + 1]
    advance, lose = advances(appeal)[0, 3], losses()[3]
    # Won overnight, or still in negotiation and won the night after, from whatever intent the contact leads to.
    step = intent_steps(appeal, 5.0 * touched)[0, 1]
    expected = advance[1] + (1 - advance[1] - lose[1]) * float(step @ advance)
    won = continue_life(world, people, diary, row, today, 3, 1, 2, draws)
    assert abs(won - expected) < 4 * math.sqrt(expected * (1 - expected) / draws)


def test_the_oldest_lead_that_is_scored_still_lives_a_whole_horizon() -> None:
    assert p.LIFE_DAYS >= 365 + 90
