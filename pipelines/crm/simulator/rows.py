"""The CRM's tables of one block of leads, with the mess of a real one.

Every malformed, doubled or foreign row is one too many: no true row is ever damaged, so that the truth stays exact. Dates are texts, as exports
have them. `leads` holds today's values: overwritten fields, and three that are only filled in once the deal is won (the traps).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.crm.simulator import parameters as p
from pipelines.crm.simulator.customers import Customers
from pipelines.crm.simulator.days import Diary
from pipelines.crm.simulator.mess import Frames, messed_up
from pipelines.crm.simulator.parameters import World
from pipelines.crm.simulator.people import OWNERS, People

Ints = NDArray[np.int64]
_DAY, _HOUR = 86_400, 3_600
_CHANNELS = dict(zip(p.IN_KINDS, ("web", "email", "email", "web", "web", "email", "meeting"), strict=True))
TRAPS = ("contract_number", "onboarding_date", "customer_tier")


def block_rows(world: World, block: int, people: People, diary: Diary, customers: Customers | None = None) -> tuple[Frames, dict[str, int]]:
    """All rows of one block, table by table, and how many rows of each kind of mess they hold.

    Parameters
    ----------
    customers : of a company that keeps them: their usage and renewals are added.
    """
    rng = np.random.default_rng([world.seed, 6, block])
    came = people.arrival * _DAY + rng.integers(6 * _HOUR, 9 * _HOUR, len(people))
    closed = _closings(rng, people, diary)
    clean = {
        "leads": _leads(rng, world, people, diary, came, closed),
        "lead_changes": _changes(rng, world, people, diary),
        "activities": _activities(rng, world, people, diary),
        "deals": _deals(rng, world, people, diary, closed),
        "accounts": _accounts(people),
    }
    if customers is not None:
        clean |= _kept(world, block, people, customers, clean)
    return messed_up(rng, clean, _stamp(world, [(world.days + 400) * _DAY])[0])


def owner_rows(world: World) -> pd.DataFrame:
    """The sales team: one territory and one team a region."""
    number = np.arange(OWNERS)
    region = np.asarray(p.REGIONS, dtype=object)[number // (OWNERS // len(p.REGIONS))]
    return pd.DataFrame(
        {
            "owner_id": [f"O{n:02d}" for n in number],
            "name": [f"Rep {n + 1}" for n in number],
            "email": [f"rep{n + 1}@seller.example" for n in number],
            "team": "Team " + region,
            "capacity": 20 + 5 * (number % 3),
            "quota": 8_000.0 * (20 + 5 * (number % 3)),
            "territory": region,
        }
    )


def _stamp(world: World, seconds: Any) -> Any:
    """Seconds of the world as ISO texts."""
    return np.datetime_as_string(np.datetime64(world.first_day, "s") + np.asarray(seconds, dtype="timedelta64[s]")).astype(object)


def _business(rng: np.random.Generator, days: Ints) -> Ints:
    """A second of the working day on each of some days."""
    return np.asarray(days * _DAY + rng.integers(9 * _HOUR, 22 * _HOUR, len(days)))


def _owner_ids(numbers: Ints) -> Any:
    return np.array([f"O{n:02d}" for n in range(OWNERS)], dtype=object)[numbers]


def _last_age(diary: Diary) -> Ints:
    """The last day that the history knows of each lead."""
    lived = diary.stage >= 0
    return np.asarray(lived.shape[1] - 1 - lived[:, ::-1].argmax(axis=1))


def _closings(rng: np.random.Generator, people: People, diary: Diary) -> pd.DataFrame:
    """Which leads were won or lost, and when: row, outcome, second."""
    last = _last_age(diary)
    final = diary.stage[np.arange(len(people)), last]
    row = np.flatnonzero(final >= p.WON)
    outcome = np.where(final[row] == p.WON, "won", "lost").astype(object)
    return pd.DataFrame({"row": row, "outcome": outcome, "second": _business(rng, people.arrival[row] + last[row])})


def _leads(rng: np.random.Generator, world: World, people: People, diary: Diary, came: Ints, closed: pd.DataFrame) -> pd.DataFrame:
    n, last = len(people), _last_age(diary)
    ids, text = people.ids, np.asarray(p.STAGES, dtype=object)
    won = closed[closed["outcome"] == "won"]
    contract, onboarding, tier = (np.full(n, None, dtype=object) for _ in range(3))
    contract[won["row"]] = np.char.add("C-", (won["second"].to_numpy() % 99_991).astype(str)).astype(object)
    onboarding[won["row"]] = _stamp(world, won["second"].to_numpy() + 3 * _DAY)
    tier[won["row"]] = np.asarray(("gold", "silver", "bronze"), dtype=object)[rng.integers(0, 3, len(won))]
    status = _status(diary, last)
    first, family = zip(*(name.lower().split() for name in people.name), strict=True)
    language = np.asarray(("en", "de", "fr", "es"), dtype=object)[np.where(rng.random(n) < 0.7, people.region, rng.integers(0, 4, n))]
    changed = _change_ages(world, people)
    return pd.DataFrame(
        {
            "lead_id": ids,
            "created_at": _stamp(world, came),
            "account_id": np.char.add("A", people.account.astype(str)).astype(object),
            "owner_id": _owner_ids(np.where(changed["owner"] <= last, people.next_owner, people.owner)),
            "name": people.name,
            "email": [f"{a}.{b}.{i}@example.com" for a, b, i in zip(first, family, ids, strict=True)],
            "company": people.company,
            "status": status,
            "stage": text[diary.stage[np.arange(n), last]],
            "source": np.asarray(p.SOURCES, dtype=object)[people.source],
            "campaign": people.campaign,
            "country_region": np.asarray(p.REGIONS, dtype=object)[people.region],
            "job_title": np.where(changed["title"] <= last, people.next_title, people.title),
            "newsletter": rng.random(n) < 0.2 + 0.3 * (people.source >= 4),
            "language": language,
            **dict(zip(TRAPS, (contract, onboarding, tier), strict=True)),
        }
    )


def _status(diary: Diary, last: Ints) -> Any:
    """Today's status, as sales sets it: new until the first contact, then working, nurture after weeks of silence, disqualified."""
    touched = diary.contact.any(axis=(1, 2))
    off = diary.disqualified[np.arange(len(last)), last] | diary.disqualified[np.arange(len(last)), np.maximum(last - 1, 0)]
    return np.where(off, "disqualified", np.where(touched, "working", "new")).astype(object)


def _change_ages(world: World, people: People) -> Mapping[str, Ints]:
    """At which age a lead's owner or title is corrected; beyond any age where it never is."""
    rng = np.random.default_rng([world.seed, 7, people.first_lead])
    never = np.int64(1_000_000)
    age = rng.integers(5, 120, (2, len(people)))
    return {
        "owner": np.where(people.next_owner != people.owner, age[0], never),
        "title": np.where(people.next_title != people.title, age[1], never),
    }


def _changes(rng: np.random.Generator, world: World, people: People, diary: Diary) -> pd.DataFrame:
    """The field history: stage, status, owner and job title, each with the value before and after."""
    last, changed = _last_age(diary), _change_ages(world, people)
    stages = np.asarray(p.STAGES, dtype=object)
    row, age = np.nonzero((diary.stage[:, 1:] >= 0) & (diary.stage[:, 1:] != diary.stage[:, :-1]))
    parts = [_change(people, row, age + 1, "stage", stages[diary.stage[row, age]], stages[diary.stage[row, age + 1]])]
    touched = np.asarray(np.any(diary.contact, axis=2))
    working = np.flatnonzero(touched.any(axis=1))
    parts.append(_change(people, working, touched[working].argmax(axis=1), "status", "new", "working"))
    off = np.flatnonzero(diary.disqualified.any(axis=1))
    before = np.where(touched[off].any(axis=1), "working", "new").astype(object)
    parts.append(_change(people, off, diary.disqualified[off].argmax(axis=1), "status", before, "disqualified"))
    for field, old, new in (
        ("owner_id", _owner_ids(people.owner), _owner_ids(people.next_owner)),
        ("job_title", people.title, people.next_title),
    ):
        age_then = changed["owner" if field == "owner_id" else "title"]
        row = np.flatnonzero(age_then <= last)
        parts.append(_change(people, row, age_then[row], field, old[row], new[row]))
    changes = pd.concat(parts, ignore_index=True)
    changes["changed_at"] = _stamp(world, _business(rng, changes.pop("day").to_numpy()))
    return changes


def _change(people: People, row: Ints, age: Ints, field: str, old: Any, new: Any) -> pd.DataFrame:
    return pd.DataFrame({"lead_id": people.ids[row], "field": field, "old_value": old, "new_value": new, "day": people.arrival[row] + age})


def _activities(rng: np.random.Generator, world: World, people: People, diary: Diary) -> pd.DataFrame:
    parts = []
    for counts, delay in ((diary.on_time, None), (diary.late, diary.delay)):
        row, age, kind = np.nonzero(counts)
        times = counts[row, age, kind]
        days_late = delay[row, age, kind] if delay is not None else np.zeros(len(row))
        parts.append(_done(people, row, age, np.asarray(p.IN_KINDS, dtype=object)[kind], "in", times, days_late))
    row, age, kind = np.nonzero(diary.contact)
    parts.append(_done(people, row, age, np.asarray(p.OUT_KINDS, dtype=object)[kind], "out", diary.contact[row, age, kind], np.zeros(len(row))))
    done = pd.concat(parts, ignore_index=True)
    second = _business(rng, done.pop("day").to_numpy(dtype=np.int64))
    known = second + done.pop("late").to_numpy(dtype=np.int64) * _DAY
    done["occurred_at"], done["known_at"] = _stamp(world, second), _stamp(world, known)
    done["channel"] = done["kind"].map({**_CHANNELS, "call": "phone", "email": "email"})
    done["value"] = np.where(done["kind"] == "page_view", rng.gamma(2.0, 40.0, len(done)).round(1), np.nan)
    done = done[known < world.days * _DAY]
    return done.iloc[rng.permutation(len(done))].reset_index(drop=True)


def _done(people: People, row: Ints, age: Ints, kind: Any, direction: str, times: Any, late: Any) -> pd.DataFrame:
    frame = pd.DataFrame({"lead_id": people.ids[row], "kind": kind, "direction": direction, "day": people.arrival[row] + age, "late": late})
    return frame.loc[frame.index.repeat(times.astype(int))]


def _deals(rng: np.random.Generator, world: World, people: People, diary: Diary, closed: pd.DataFrame) -> pd.DataFrame:
    """One deal for each lead whose stage ever left "none"; the amount goes with the size of the account."""
    dealing = (diary.stage >= 1).any(axis=1)
    row = np.flatnonzero(dealing)
    opened = (diary.stage[row] >= 1).argmax(axis=1)
    amount = np.exp(rng.normal(7.5, 0.6, len(row)) + 0.35 * np.log(np.asarray(p.SIZES))[people.size[row]])
    ends = closed.set_index("row").reindex(row)
    last = _last_age(diary)[row]
    second = np.minimum(_business(rng, people.arrival[row] + opened), ends["second"].fillna(np.inf).to_numpy() - 60).astype(np.int64)
    done = ends["outcome"].notna().to_numpy()
    closed_at = np.full(len(row), None, dtype=object)
    closed_at[done] = _stamp(world, ends["second"].to_numpy()[done])
    return pd.DataFrame(
        {
            "deal_id": np.char.add("D", np.char.lstrip(people.ids[row].astype(str), "L")).astype(object),
            "lead_id": people.ids[row],
            "created_at": _stamp(world, second),
            "outcome": np.where(done, ends["outcome"], "open").astype(object),
            "closed_at": closed_at,
            "amount": amount.round(2),
            "stage": np.asarray(p.STAGES, dtype=object)[diary.stage[row, last]],
        }
    )


def _accounts(people: People) -> pd.DataFrame:
    _, at = np.unique(people.account, return_index=True)
    return pd.DataFrame(
        {
            "account_id": np.char.add("A", people.account[at].astype(str)).astype(object),
            "name": people.company[at],
            "industry": np.asarray(p.INDUSTRIES, dtype=object)[people.industry[at]],
            "employees": np.asarray(p.SIZES, dtype=float)[people.size[at]],
            "region": np.asarray(p.REGIONS, dtype=object)[people.region[at]],
        }
    )


def _kept(world: World, block: int, people: People, customers: Customers, clean: Frames) -> Frames:
    """Activities with what customers did with the product, deals with a renewal for each term that is about to end or has."""
    rng = np.random.default_rng([world.seed, 9, block])
    at, day, kind = np.nonzero(customers.usage)
    times = customers.usage[at, day, kind].astype(int)
    used = pd.DataFrame({"lead_id": people.ids[customers.row[at]], "kind": np.asarray(p.USAGE_KINDS, dtype=object)[kind], "day": day})
    used = used.loc[used.index.repeat(times)].reset_index(drop=True)
    stamp = _stamp(world, _business(rng, used.pop("day").to_numpy()))
    used = used.assign(direction="in", occurred_at=stamp, known_at=stamp, channel="product", value=np.nan)
    deals = clean["deals"].assign(deal_type="new business")
    return {
        "activities": pd.concat([clean["activities"], used[clean["activities"].columns]], ignore_index=True),
        "deals": pd.concat([deals, _renewals(rng, world, people, customers, deals)[deals.columns]], ignore_index=True),
    }


def _renewals(rng: np.random.Generator, world: World, people: People, customers: Customers, deals: pd.DataFrame) -> pd.DataFrame:
    terms = customers.terms(world.days)
    opens = terms["due"].to_numpy() - p.RENEWAL_OPENS_DAYS
    terms, opens = terms[opens < world.days], opens[opens < world.days]
    done, renewed = terms["due"].to_numpy() < world.days, terms["renewed"].eq(True).to_numpy()
    closed_at = np.full(len(terms), None, dtype=object)
    closed_at[done] = _stamp(world, _business(rng, terms["due"].to_numpy()[done]))
    ids = people.ids[terms["row"]]
    first = deals.set_index("lead_id")["amount"]
    return pd.DataFrame(
        {
            "deal_id": np.char.lstrip(ids.astype(str), "L").astype(object) + "-R" + terms["number"].astype(str).to_numpy(dtype=object),
            "lead_id": ids,
            "created_at": _stamp(world, _business(rng, opens)),
            "outcome": np.where(done, np.where(renewed, "won", "lost"), "open").astype(object),
            "closed_at": closed_at,
            "amount": (first.loc[ids].to_numpy() * np.exp(rng.normal(0, 0.1, len(ids)))).round(2),
            "stage": np.where(done, np.where(renewed, "won", "lost"), "proposal").astype(object),
            "deal_type": "renewal",
        }
    )
