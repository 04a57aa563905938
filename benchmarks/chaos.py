"""Does a night hold whatever befalls it? Two hundred nights, to each of which something happens, beside the same nights to which nothing does.

    make bench NAME=chaos

Two made-up companies live through one night after the other, each twice: once undisturbed, and once disturbed by a fault that is drawn, at a point that
is drawn. One company reads HubSpot, keeps its tables in a file and hands its scores back; the other reads an export and keeps its tables on a
PostgreSQL server. While the disturbed run is under way, and when it has ended, readers must see the old night or the new one, whole. Then the night is
run once more, as the next evening's schedule would, and everything must be as if nothing had happened. A shorter run, or another one, by the
environment:

    CHAOS_NIGHTS=30, CHAOS_LEADS=400, CHAOS_SEED=2
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

from benchmarks.faults import FAULTS, befalling
from benchmarks.nights import a_server
from benchmarks.results import keep, say, tell
from benchmarks.runs import nursery
from benchmarks.state import differing, state, torn
from benchmarks.twins import Twins, in_hubspot, on_a_server
from pipelines.environment import prepare

NIGHTS = int(os.environ.get("CHAOS_NIGHTS", "200"))
LEADS = int(os.environ.get("CHAOS_LEADS", "400"))
SEED = int(os.environ.get("CHAOS_SEED", "1"))
# Two hours and some minutes after midnight, when the schedule runs; enough of history lies before, and nights enough behind.
FIRST = datetime(2025, 3, 1, 2, 5)


def main() -> None:
    """Print a row for every night: what befell it, where, how the run ended, and how many invariants were broken."""
    from prefect.settings import get_current_settings
    from prefect.testing.utilities import prefect_test_harness

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        prepare(place / "home")
        with prefect_test_harness(server_startup_timeout=120), a_server(place / "postgres") as server:
            os.environ["PREFECT_API_URL"] = str(get_current_settings().api.url)
            for name in ("a", "b"):
                (place / name).mkdir()
            # One after the other: MLflow has one registry a process in mind.
            with (
                nursery(place) as born,
                in_hubspot(place / "a", born, LEADS, FIRST) as one,
                on_a_server(place / "b", born, LEADS, FIRST, server) as other,
            ):
                rows = told([one, other])
    broken = sum(row["broken"] for row in rows)
    tell("chaos", rows, (f"{len(rows)} nights, {broken} invariants broken.",), [{k: v for k, v in row.items() if k != "which"} for row in rows])


def told(pairs: list[Twins]) -> list[dict[str, Any]]:
    """The rows of all twins, who live at the same time."""
    rows: list[dict[str, Any]] = []

    def live(twins: Twins) -> None:
        for row in disturbed(twins, NIGHTS // len(pairs), SEED):
            rows.append(row)
            keep("chaos", rows)
            say(", ".join(f"{key} {value}" for key, value in row.items()))

    with ThreadPoolExecutor(len(pairs)) as pool:
        list(pool.map(live, pairs))
    return sorted(rows, key=lambda row: (row["warehouse"], row["night"]))


def disturbed(twins: Twins, nights: int, seed: int, faults: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """So many nights one after the other, each disturbed by a fault.

    Parameters
    ----------
    faults : one a night; None: each that may befall these twins comes as often as any other, in an order that is drawn.
    """
    draw = Random(f"{seed} {twins.kind}")
    there = befalling(twins)
    order = faults or [name for _ in range(nights // len(there) + 1) for name in draw.sample(there, len(there))]
    # Before the first there is a night already: readers have something to lose.
    now = FIRST
    plain = twins.undisturbed(now)
    before = twins.ended(twins.run(now))
    wrong = differing(state(twins.settings), plain)
    if before.code not in (0, 3) or wrong:
        raise RuntimeError(f"the two differ before anything happened: {wrong} {before.words}")
    for number, fault in enumerate(order[:nights]):
        now += timedelta(days=1)
        yield {"night": str(now.date()), "warehouse": twins.kind, **night(twins, now, fault, Random(f"{seed} {twins.kind} {number}"))}


def night(twins: Twins, now: datetime, fault: str, draw: Random) -> dict[str, Any]:
    """One night: undisturbed, disturbed, and once more."""
    began = monotonic()
    plain = twins.undisturbed(now)
    befallen = FAULTS[fault](twins, now, draw)
    broken = [*befallen.seen, *torn(state(twins.settings), plain)]
    again = twins.ended(twins.run(now))
    verified = twins.ended(twins.run(now, "verify"))
    if again.code not in (0, 3):
        broken.append(f"the next run failed: {again.words.strip().splitlines()[-1]}")
    if verified.code:
        broken.append(f"verify: {verified.words.strip()}")
    broken += differing(state(twins.settings), plain) + _handed_back(twins)
    return {"fault": fault, "point": befallen.point, "ended": how(befallen.run.code, befallen.run.words), "broken": len(broken), "seconds": round(monotonic() - began, 1), "which": "; ".join(broken)}


def _handed_back(twins: Twins) -> list[str]:
    """Contacts in the CRM whose scores are not those that they would have."""
    if not twins.accounts:
        return []
    plain, tried = (account.scores() for account in twins.accounts)
    differ = [n for n in plain if plain[n] != tried[n]]
    return [f"{len(differ)} contacts have other scores in HubSpot"] if differ else []


def how(code: int | None, words: str) -> str:
    """How a run ended, in a word; an error that is no sentence is told."""
    if "something unexpected went wrong" in words:
        return "unexpected: " + words.partition("something unexpected went wrong ")[2].splitlines()[0][:160]
    return {None: "killed", 0: "done", 3: "done", 1: "refused"}.get(code, f"code {code}")

if __name__ == "__main__":
    main()
