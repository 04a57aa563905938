"""The whole company in blocks of leads, streamed to Parquet: bounded memory at any size, the same bytes for the same seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features.problem import Problem
from pipelines.crm.simulator.customers import keep, leaving
from pipelines.crm.simulator.days import Diary, live
from pipelines.crm.simulator.parameters import WON, World
from pipelines.crm.simulator.people import People, draw_people
from pipelines.crm.simulator.rows import block_rows, owner_rows
from pipelines.crm.simulator.truth import block_truth, night_of

BLOCK = 10_000
TRUTH, LEAVING = "truth/truth.parquet", "truth/leaving.parquet"
_TEXT, _NUMBER, _FLAG = pa.string(), pa.float64(), pa.bool_()
_SCHEMAS = {
    "leads": {"newsletter": _FLAG},
    "lead_changes": {},
    "activities": {"value": _NUMBER},
    "deals": {"amount": _NUMBER},
    "accounts": {"employees": _NUMBER},
}


@dataclass(frozen=True)
class Counts:
    """How many rows were written, and how many of them are mess of which kind."""

    leads: int = 0
    activities: int = 0
    deals: int = 0
    won: int = 0
    mess: dict[str, int] = field(default_factory=dict)


def _blocks(world: World, progress: Callable[[float, str], None] | None = None) -> Iterator[tuple[int, People, Diary]]:
    for block, first in enumerate(range(0, world.leads, BLOCK)):
        people = draw_people(world, block, first, min(BLOCK, world.leads - first))

        def tell(share: float, first: int = first, size: int = len(people)) -> None:
            if progress:
                progress((first + share * size) / world.leads, "living through the days")

        yield block, people, live(world, block, people, tell)


def simulate(
    folder: Path,
    leads: int = 20_000,
    seed: int = 7,
    days: int = 730,
    first_day: date = date(2024, 1, 1),
    progress: Callable[[float, str], None] | None = None,
    contact_effect: float = 0.0,
    drift: float = 1.0,
    truth_of: Sequence[datetime] = (),
    retention: bool = False,
) -> Counts:
    """Write a company's tables, the leadscore.toml that maps them, and its truth in a file of its own that no flow reads.

    Parameters
    ----------
    folder : created when missing; files in it are overwritten.
    leads, seed, days, first_day, contact_effect, drift, retention : see `World`.
    progress : told the share done.
    truth_of : nights at 02:00 UTC whose truth is written to `TRUTH`; default: the one right after the history ends, tonight. Where contact has
        an effect the truth is counted over simulated lives, a tenth of a second a lead, so only nights that are named are written. Where customers
        are kept, the truth of who leaves is written to `LEAVING` for the same nights.
    """
    world = World(leads, seed, days, first_day, drift, contact_effect, retention)
    (folder / TRUTH).parent.mkdir(parents=True, exist_ok=True)
    tonight = [] if contact_effect else [night_of(world, world.days)]
    nights = _within(world, list(truth_of) or tonight)
    total = Counts()
    with ExitStack() as stack:
        writers: dict[str, pq.ParquetWriter] = {}
        for block, people, diary in _blocks(world, progress):
            customers = keep(world, block, people, diary) if retention else None
            frames, mess = block_rows(world, block, people, diary, customers)
            tables = {f"{name}.parquet": _typed(name, frame) for name, frame in frames.items()}
            if nights:
                tables[TRUTH] = pa.Table.from_pandas(block_truth(world, people, diary, nights), preserve_index=False)
            if nights and customers:
                tables[LEAVING] = pa.Table.from_pandas(leaving(world, people, customers, nights), preserve_index=False)
            for name, table in tables.items():
                if name not in writers:
                    writers[name] = stack.enter_context(pq.ParquetWriter(folder / name, table.schema, compression="zstd"))
                writers[name].write_table(table)
            total = _added(total, frames, mess, int((diary.stage == WON).any(axis=1).sum()))
    pq.write_table(pa.Table.from_pandas(owner_rows(world), preserve_index=False), folder / "owners.parquet", compression="zstd")
    deals = 'fixed_at_creation = ["deal_type"]\n' if retention else ""
    text = _CONFIGURATION.format(until=world.last_day, deals=deals) + (_RETENTION if retention else "")
    (folder / "leadscore.toml").write_text(text, encoding="utf-8")
    return total


def _within(world: World, nights: list[datetime]) -> list[datetime]:
    there = {night_of(world, day) for day in range(1, world.days + 1)}
    outside = [night for night in nights if night not in there]
    if outside:
        raise Problem(
            f"The truth of {outside[0]:%Y-%m-%d %H:%M} cannot be told: the made-up history runs from {world.first_day} to {world.last_day}, each "
            "night at 02:00. Name one of these."
        )
    return nights


def _typed(name: str, frame: pd.DataFrame) -> pa.Table:
    schema = pa.schema([(c, _SCHEMAS[name].get(c, _TEXT)) for c in frame.columns])
    return pa.Table.from_pandas(frame, schema=schema, preserve_index=False)


def _added(total: Counts, frames: dict[str, pd.DataFrame], mess: dict[str, int], won: int) -> Counts:
    summed = {kind: total.mess.get(kind, 0) + number for kind, number in mess.items()}
    return Counts(
        total.leads + len(frames["leads"]),
        total.activities + len(frames["activities"]),
        total.deals + len(frames["deals"]),
        total.won + won,
        summed,
    )


def truth(
    as_of: list[datetime],
    leads: int = 20_000,
    seed: int = 7,
    days: int = 730,
    first_day: date = date(2024, 1, 1),
    contact_effect: float = 0.0,
    drift: float = 1.0,
    horizon_days: int = 90,
    max_age_days: int = 365,
) -> pd.DataFrame:
    """The true probability of conversion of every lead open on some nights of a made-up company.

    Parameters
    ----------
    as_of : nights at 02:00 UTC, at least one day into the history and at most the one right after its end.

    Returns
    -------
    lead_id, as_of, knowable, informed: see `pipelines.crm.simulator.truth`.
    """
    world = World(leads, seed, days, first_day, drift, contact_effect)
    return pd.concat([block_truth(world, people, diary, as_of, horizon_days, max_age_days) for _, people, diary in _blocks(world)], ignore_index=True)


_CONFIGURATION = """\
# The made-up company of `leadscore simulate`.
home = ".leadscore"

[company]
name = "Northwind Instruments (simulated)"
time_zone = "UTC"
currency = "EUR"

[source]
location = "."
extracted_at = {until}T00:00:00

[source.tables.leads]
table = "leads.parquet"
fixed_at_creation = ["source", "campaign", "country_region"]

[source.tables.lead_changes]
table = "lead_changes.parquet"

[source.tables.activities]
table = "activities.parquet"

[source.tables.deals]
table = "deals.parquet"
{deals}
[source.tables.accounts]
table = "accounts.parquet"
ignore = ["name"]

[source.tables.owners]
table = "owners.parquet"

[list]
territory = "country_region"
"""

_RETENTION = """
# Contracts run for 90 days: everybody's next renewal falls within the horizon, and who has not renewed by then has left.
[outcomes.churn]
kind = "churn"
horizon_days = 90
max_age_days = 90
"""
