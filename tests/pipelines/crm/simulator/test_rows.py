"""The tables say what happened and hold the mess they count; no true row is damaged."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from pipelines.crm.simulator import parameters as p
from pipelines.crm.simulator import simulate
from pipelines.crm.simulator.days import Diary, live
from pipelines.crm.simulator.parameters import World
from pipelines.crm.simulator.people import People, draw_people
from pipelines.crm.simulator.rows import TRAPS

WORLD = World(leads=2_500, seed=21)
END = datetime(2025, 12, 31)


@dataclass(frozen=True)
class Company:
    people: People
    diary: Diary
    tables: dict[str, pd.DataFrame]
    mess: dict[str, int]
    # The tables without their mess, told apart by what is wrong with a row.
    true: dict[str, pd.DataFrame]


def _faults(tables: dict[str, pd.DataFrame]) -> dict[str, pd.Series]:
    """Each kind of mess as one who reads the tables finds it."""
    leads, deeds, deals = (tables[name] for name in ("leads", "activities", "deals"))
    dates, known = (pd.to_datetime(deeds[column], errors="coerce", format="ISO8601") for column in ("occurred_at", "known_at"))
    return {
        "activities: doubled": deeds.duplicated(),
        "activities: unparsable date": dates.isna() & known.notna(),
        "activities: no lead": deeds["lead_id"].isna(),
        "activities: unknown lead": deeds["lead_id"].notna() & ~deeds["lead_id"].isin(leads["lead_id"]),
        "activities: not a number": pd.Series(np.isinf(deeds["value"]), deeds.index),
        "activities: in the future": dates > END,
        "deals: negative amount": deals["amount"] < 0,
        "deals: won without a date": (deals["outcome"] == "won") & deals["closed_at"].isna(),
        "deals: unknown lead": ~deals["lead_id"].isin(leads["lead_id"]),
        "leads: doubled": leads.duplicated(),
        "leads: no creation date": leads["created_at"].isna(),
    }


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Company:
    folder = tmp_path_factory.mktemp("crm")
    counts = simulate(folder, leads=2_500, seed=21)
    tables = {name: pd.read_parquet(folder / f"{name}.parquet") for name in ("leads", "lead_changes", "activities", "deals", "accounts", "owners")}
    people = draw_people(WORLD, 0, 0, 2_500)
    diary = live(WORLD, 0, people)
    faults, true = _faults(tables), dict(tables)
    for kind, faulty in faults.items():
        name = kind.split(":")[0]
        true[name] = true[name][~faulty[true[name].index]]
    return Company(people, diary, tables, counts.mess, true)


def _day(text: str) -> int:
    return (datetime.fromisoformat(text).date() - WORLD.first_day).days


def test_every_kind_of_mess_is_there_as_often_as_it_is_counted(company: Company) -> None:
    assert {kind: int(faulty.sum()) for kind, faulty in _faults(company.tables).items()} == company.mess
    assert min(company.mess.values()) >= 1
    rows = {name: sum(number for kind, number in company.mess.items() if kind.startswith(name)) for name in company.tables}
    assert {name: len(company.tables[name]) - len(company.true[name]) for name in rows} == rows


def test_every_activity_of_every_lead_is_there_once_and_on_its_day(company: Company) -> None:
    expected: Counter[tuple[str, str, str, int, int]] = Counter()
    people, ids, diary = company.people, company.people.ids, company.diary
    for counts, direction, kinds in ((diary.on_time, "in", p.IN_KINDS), (diary.late, "in", p.IN_KINDS), (diary.contact, "out", p.OUT_KINDS)):
        for lead, age, kind in zip(*np.nonzero(counts), strict=True):
            day = int(people.arrival[lead] + age)
            late = int(diary.delay[lead, age, kind]) if counts is diary.late else 0
            # What arrives after the extraction is not there yet.
            if day + late < 730:
                expected[ids[lead], kinds[kind], direction, day, late] += int(counts[lead, age, kind])
    seen: Counter[tuple[str, str, str, int, int]] = Counter()
    for row in company.true["activities"].itertuples():
        late = datetime.fromisoformat(row.known_at) - datetime.fromisoformat(row.occurred_at)
        assert late == timedelta(days=late.days)
        seen[row.lead_id, row.kind, row.direction, _day(row.occurred_at), late.days] += 1
    assert seen == expected
    assert 0.01 < sum(times for (*_, late), times in seen.items() if late) / sum(seen.values()) < 0.03


def test_activities_come_out_of_order_and_without_an_id(company: Company) -> None:
    deeds = company.tables["activities"]
    assert deeds.columns[0] == "activity_id"
    assert deeds["activity_id"].isna().all()
    earlier = np.diff(pd.to_datetime(company.true["activities"]["occurred_at"])) < np.timedelta64(0)
    assert 0.4 < earlier.mean() < 0.6
    assert (company.true["activities"]["known_at"] < END.isoformat()).all()
    views = deeds["kind"] == "page_view"
    assert company.true["activities"]["value"].notna().equals(views[company.true["activities"].index])


def test_every_lead_is_there_once_and_nothing_precedes_it(company: Company) -> None:
    leads = company.true["leads"].set_index("lead_id")
    assert leads.index.tolist() == company.people.ids.tolist()
    assert [_day(text) for text in leads["created_at"]] == company.people.arrival.tolist()
    for name, clock in (("activities", "occurred_at"), ("lead_changes", "changed_at"), ("deals", "created_at")):
        rows = company.true[name]
        assert (rows[clock].to_numpy() > leads.loc[rows["lead_id"], "created_at"].to_numpy()).all()
    assert leads["source"].tolist() == [p.SOURCES[one] for one in company.people.source]


def test_a_lead_has_a_deal_from_its_first_stage_to_its_end(company: Company) -> None:
    deals = company.true["deals"].set_index("lead_id")
    for lead, lead_id in enumerate(company.people.ids):
        stages = company.diary.stage[lead][company.diary.stage[lead] >= 0]
        if not (stages >= 1).any():
            assert lead_id not in deals.index
            continue
        deal, came = deals.loc[lead_id], int(company.people.arrival[lead])
        assert deal["stage"] == p.STAGES[stages[-1]]
        assert _day(deal["created_at"]) == came + int((stages >= 1).argmax())
        assert deal["outcome"] == {4: "won", 5: "lost"}.get(int(stages[-1]), "open")
        if deal["outcome"] == "open":
            assert pd.isna(deal["closed_at"])
        else:
            assert _day(deal["closed_at"]) == came + len(stages) - 1
            assert deal["closed_at"] > deal["created_at"]


def test_the_traps_are_filled_for_won_leads_and_no_other(company: Company) -> None:
    deals = company.true["deals"].set_index("lead_id")
    won = set(deals.index[deals["outcome"] == "won"])
    leads = company.true["leads"].set_index("lead_id")
    assert TRAPS == ("contract_number", "onboarding_date", "customer_tier")
    for trap in TRAPS:
        assert set(leads.index[leads[trap].notna()]) == won
    assert 300 < len(won) < 1_000
    for lead in won:
        assert datetime.fromisoformat(leads.at[lead, "onboarding_date"]) - datetime.fromisoformat(deals.at[lead, "closed_at"]) == timedelta(days=3)
    assert set(leads["customer_tier"].dropna()) == {"gold", "silver", "bronze"}


def test_the_field_history_replays_to_todays_value(company: Company) -> None:
    leads, history = company.true["leads"].set_index("lead_id"), company.true["lead_changes"].sort_values("changed_at")
    assert set(history["field"]) == {"stage", "status", "owner_id", "job_title"}
    owners, titles = [f"O{number:02d}" for number in company.people.owner], company.people.title
    first = {"stage": ["none"] * 2_500, "status": ["new"] * 2_500, "owner_id": owners, "job_title": titles}
    for field, changes in history.groupby("field"):
        today = dict(zip(company.people.ids, first[str(field)], strict=True))
        for change in changes.itertuples():
            assert today[change.lead_id] == change.old_value != change.new_value
            today[change.lead_id] = change.new_value
        assert today == leads[field].to_dict()
    # The stage of every day of a life can be read from the history.
    days, lived = np.zeros_like(company.diary.stage), company.diary.stage >= 0
    for change in history[history["field"] == "stage"].itertuples():
        lead = int(change.lead_id[1:])
        days[lead, _day(change.changed_at) - company.people.arrival[lead] :] = p.STAGES.index(change.new_value)
    assert (days[lived] == company.diary.stage[lived]).all()


def test_accounts_and_owners_are_complete(company: Company) -> None:
    leads, accounts, owners = company.true["leads"], company.tables["accounts"].set_index("account_id"), company.tables["owners"]
    assert set(leads["account_id"]) == set(accounts.index)
    assert accounts.index.is_unique
    assert accounts.loc[leads["account_id"], "name"].tolist() == leads["company"].tolist()
    assert accounts.loc[leads["account_id"], "region"].tolist() == leads["country_region"].tolist()
    assert accounts.loc[leads["account_id"], "employees"].tolist() == [p.SIZES[one] for one in company.people.size]
    assert owners["owner_id"].tolist() == [f"O{number:02d}" for number in range(24)]
    territory = owners.set_index("owner_id")["territory"]
    assert territory[leads["owner_id"]].tolist() == leads["country_region"].tolist()
