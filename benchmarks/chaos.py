"""Does a night hold whatever befalls it? Two hundred nights, to each of which something happens, beside the same nights to which nothing does.

    make bench NAME=chaos

Two made-up companies live through one night after the other, each twice: once undisturbed, and once disturbed by a fault and at a point that are
drawn. One reads HubSpot, keeps its tables in a file and hands its scores back; the other reads an export and keeps its tables on a PostgreSQL server.
While the disturbed run is under way, and when it has ended, readers must see the old night or the new one, whole. Then the night is run again, and
everything must be as if nothing had happened. A full disk wants a machine that lets us mount one; elsewhere files that may not grow stand in for it.
A shorter run, or another one, by the environment:

    CHAOS_NIGHTS=30, CHAOS_LEADS=150, CHAOS_SEED=2
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

import duckdb

from benchmarks.faults import FAULTS, befalling
from benchmarks.nights import a_server
from benchmarks.results import keep, say, tell
from benchmarks.runs import nursery
from benchmarks.state import State, differing, state, torn, torn_by_a_wrong_clock
from benchmarks.twins import Twins, mount_apart, twins
from features.problem import Problem
from pipelines.environment import prepare

NIGHTS = int(os.environ.get("CHAOS_NIGHTS", "200"))
LEADS = int(os.environ.get("CHAOS_LEADS", "300"))
SEED = int(os.environ.get("CHAOS_SEED", "1"))
# Two hours and some minutes after midnight, when the schedule runs; enough of history lies before, and nights enough behind.
FIRST = datetime(2025, 3, 1, 2, 5)


def main() -> None:
    """Print a row for every night: what befell it, where, how the run ended, and how many invariants were broken."""
    # Before anything runs beside this process.
    mount_apart()
    from prefect.settings import get_current_settings
    from prefect.testing.utilities import prefect_test_harness

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        prepare(place / "home")
        with prefect_test_harness(server_startup_timeout=120), a_server(place / "postgres") as server:
            os.environ["PREFECT_API_URL"] = str(get_current_settings().api.url)
            # One after the other: MLflow has one registry a process in mind.
            with nursery() as born, ExitStack() as stack:
                pairs = []
                for name, hubspot, database in (("a", True, ""), ("b", False, server)):
                    (place / name).mkdir()
                    pairs.append(stack.enter_context(twins(place / name, born, LEADS, FIRST, hubspot, database)))
                rows = told(pairs)
    broken = sum(row["broken"] for row in rows)
    tell("chaos", rows, (f"{len(rows)} nights, {broken} invariants broken.",), [{k: v for k, v in row.items() if k != "which"} for row in rows])


def told(pairs: Sequence[Twins]) -> list[dict[str, Any]]:
    """The rows of all twins, who live at the same time."""
    rows: list[dict[str, Any]] = []

    def live(pair: Twins) -> None:
        for row in lives(pair, NIGHTS // len(pairs), SEED):
            rows.append(row)
            keep("chaos", rows)
            say(", ".join(f"{key} {value}" for key, value in row.items()))

    with ThreadPoolExecutor(len(pairs)) as pool:
        list(pool.map(live, pairs))
    return sorted(rows, key=lambda row: (row["kept in"], row["night"]))


def lives(pair: Twins, nights: int, seed: int) -> Iterator[dict[str, Any]]:
    """So many nights one after the other, each with a fault; each fault that may befall these twins comes as often as any other."""
    draw, there = Random(f"{seed} {pair.kind}"), befalling(pair)
    order = [name for _ in range(nights // len(there) + 1) for name in draw.sample(there, len(there))]
    begin(pair)
    for number, fault in enumerate(order[:nights]):
        yield night(pair, FIRST + timedelta(days=number + 1), [fault], Random(f"{seed} {pair.kind} {number}"))


def begin(pair: Twins) -> None:
    """A first night that nothing befalls: readers have something to lose.

    Raises
    ------
    RuntimeError : the two are not alike even so.
    """
    plain, first = pair.undisturbed(FIRST), pair.nursery.ended(pair.run(FIRST))
    if first.code not in (0, 3) or (wrong := differing(state(pair.settings), plain)):
        raise RuntimeError(f"twins of whom nothing befell either are not alike: {first.words if first.code not in (0, 3) else wrong}")


def night(pair: Twins, now: datetime, faults: Sequence[str], draw: Random) -> dict[str, Any]:
    """One night: undisturbed; disturbed, once by each fault; and once more."""
    began, plain = monotonic(), pair.undisturbed(now)
    points, ends, broken = [], [], []
    for fault in faults:
        befallen = FAULTS[fault](pair, now, draw)
        points.append(befallen.point)
        ends.append(how(befallen.run.code, befallen.run.words))
        broken += [*befallen.seen, *_wrong(pair, plain, torn_by_a_wrong_clock if fault == "clock jump" else torn)]
    again, verified = pair.nursery.ended(pair.run(now)), pair.nursery.ended(pair.run(now, "verify"))
    broken += [f"the next run failed: {_last(again.words)}"] * (again.code not in (0, 3))
    broken += [f"verify: {verified.words.strip()}"] * (verified.code != 0)
    broken += [*_wrong(pair, plain, differing), *_handed_back(pair)]
    if broken:
        pair.mend()
    return {
        "night": str(now.date()),
        "kept in": pair.kind,
        "fault": "; ".join(faults),
        "point": "; ".join(points),
        "ended": "; ".join(ends),
        "broken": len(broken),
        "seconds": round(monotonic() - began, 1),
        "which": "; ".join(broken),
    }


def _wrong(pair: Twins, plain: State, compare: Callable[[State, State], list[str]]) -> list[str]:
    """What is wrong with what a reader finds; that they find nothing is wrong too."""
    try:
        return compare(state(pair.settings), plain)
    except (duckdb.Error, Problem) as error:
        return [f"the warehouse cannot be read: {str(error).splitlines()[0]}"]


def _last(words: str) -> str:
    return (words.strip().splitlines() or ["it said nothing"])[-1]


def _handed_back(pair: Twins) -> list[str]:
    """Contacts in the CRM whose scores are not those that they would have."""
    if not pair.accounts:
        return []
    plain, tried = (account.scores() for account in pair.accounts)
    differ = [n for n in plain if plain[n] != tried[n]]
    return [f"{len(differ)} contacts have other scores in HubSpot"] if differ else []


def how(code: int | None, words: str) -> str:
    """How a run ended, in a word; an error that is no sentence is told."""
    if "something unexpected went wrong" in words:
        return "unexpected: " + words.partition("something unexpected went wrong ")[2].splitlines()[0][:160]
    return {None: "killed", 0: "done", 3: "done", 1: "refused"}.get(code, f"code {code}")


if __name__ == "__main__":
    main()
