"""How long does a night's write-back take to be kept, in a DuckDB file and on a PostgreSQL server?

    make bench NAME=writebacks

Ten nights lie in the warehouse; of the next, every lead is due, and every batch is kept before the following one, as `leadscore writeback` does it
with a CRM that answers at once. The time is that of keeping alone, for each quarter of the batches. Where it grows from the first quarter to the
last, what is kept is the slower the more there is. A shorter run, by the environment:

    LEADS=2000
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.nights import a_server
from benchmarks.results import say, tell
from pipelines.outbox import Outbox
from pipelines.warehouse import Warehouse

LEADS, BATCH, BEFORE = int(os.environ.get("LEADS", "20000")), 100, 10
NIGHT = datetime(2025, 10, 11, 2)


def main() -> None:
    """Print a row for every place of the warehouse: seconds to say what is due, and to keep the answers of each quarter of the batches."""
    with tempfile.TemporaryDirectory() as folder, a_server(Path(folder) / "postgres") as url:
        places = {"in a file": (str(Path(folder) / "w.duckdb"), None), "on a server": (url, Path(folder) / "copy.duckdb")}
        rows = [{"warehouse": name, "leads": LEADS, **kept(*place)} for name, place in places.items()]
    tell("writebacks", rows, (f"{LEADS:,} leads in batches of {BATCH}, after {BEFORE} nights of as many.",))


def kept(url: str, copy: Path | None) -> dict[str, Any]:
    """The seconds of one night's keeping."""
    leads = [f"L{n:08d}" for n in range(LEADS)]
    with Warehouse.open(url, copy) as warehouse:
        say(f"{BEFORE} nights before")
        with warehouse.transaction("writebacks"):
            for past in range(BEFORE):
                night = NIGHT - timedelta(days=BEFORE - past)
                rows = pd.DataFrame({"lead_id": leads}).assign(
                    outcome="default", as_of=night, target="hubspot", digest=f"{past:016d}", state="sent", reason="", at=night
                )
                warehouse.raw.register("past", rows)
                warehouse.raw.execute("INSERT INTO writebacks BY NAME SELECT * FROM past")
                warehouse.raw.unregister("past")
        outbox = Outbox(warehouse, "default", NIGHT, "hubspot", "contacts", NIGHT)
        say("a night")
        began = time.perf_counter()
        due = outbox.due(dict.fromkeys(leads, "new"))
        asked = time.perf_counter() - began
        quarters = list(_quarters(outbox, due))
        digest = warehouse.raw.execute("SELECT count(*), bit_xor(md5_number(writebacks::VARCHAR)) FROM writebacks").fetchall()
    with Warehouse.open(url) as another:
        same = another.raw.execute("SELECT count(*), bit_xor(md5_number(writebacks::VARCHAR)) FROM writebacks").fetchall()
    names = ("first_quarter_s", "second_s", "third_s", "last_quarter_s")
    return {"due_s": round(asked, 2), **dict(zip(names, quarters, strict=True)), "kept_the_same": digest == same}


def _quarters(outbox: Outbox, due: list[str]) -> Iterator[float]:
    quarter = len(due) // 4
    for at in range(0, 4 * quarter, quarter):
        began = time.perf_counter()
        for start in range(at, at + quarter, BATCH):
            outbox.settle(due[start : min(start + BATCH, at + quarter)], [])
        yield round(time.perf_counter() - began, 2)


if __name__ == "__main__":
    main()
