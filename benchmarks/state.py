"""What a company's folder holds for whoever reads it: tables, nights, lists, files; and what is wrong with it beside one that nothing befell."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

import duckdb

from features.contract import SCHEMAS
from pipelines.catalog import kinds_of
from pipelines.delivery.folder import changed, nights
from pipelines.schema import LEDGER
from pipelines.seals import altered_nights, sealed, table_digest, unaccounted
from pipelines.settings import DEFAULT, Settings, on_a_server
from pipelines.warehouse import Warehouse

Digest = tuple[int, str]
# What other programs keep there, and what a run that broke leaves for whoever mends it.
_OTHERS = ("prefect", "journal", "matplotlib", "mlflow.db", "mlartifacts", "unexpected.log")


@dataclass(frozen=True)
class State:
    """What a company's folder holds.

    Parameters
    ----------
    tables : the clean tables: rows, digest of them.
    nights : the nights of the ledger: leads, digest of their rows.
    lists : the nights that are shown, each with its files.
    files : the names of all other files, as far as they are the product's own.
    wrong : what is wrong with it by itself, one sentence each.
    waiting : how many scores wait to be handed back.
    """

    tables: dict[str, Digest]
    nights: dict[datetime, Digest]
    lists: dict[str, dict[str, bytes]]
    files: set[str]
    wrong: tuple[str, ...] = ()
    waiting: int = 0


def state(settings: Settings) -> State:
    """What a reader sees now."""
    home, lists = settings.home_folder, settings.lists_folder
    shown = {one.name: {file.name: file.read_bytes() for file in sorted(one.iterdir())} for one in nights(lists) if one.exists()}
    files = {str(path.relative_to(home)) for path in home.rglob("*") if path.relative_to(home).parts[0].removesuffix("-journal") not in _OTHERS}
    with reading(settings) as raw:
        tables = {name: _digest(raw, name) for name in SCHEMAS if kinds_of(raw, name)}
        scored = {night: (leads, digest) for _, night, leads, digest in raw.execute(sealed(LEDGER)).fetchall()}
        wrong = [f"{night}: {what}" for night, what in altered_nights(raw, LEDGER, DEFAULT)] + unaccounted(raw) + _lost(raw)
        waiting = raw.execute("SELECT count(*) FROM writebacks WHERE state = 'waiting'").fetchall()[0][0]
    wrong += [f"the list of {night} is not whole" for night in changed(lists)]
    wrong += [f"there is a list of {day}, and no ledger" for day in sorted(shown.keys() - {str(settings.timeline.day(night)) for night in scored})]
    return State(tables, scored, shown, files, tuple(wrong), waiting)


def _lost(raw: duckdb.DuckDBPyConnection) -> list[str]:
    """Tables that were read whole, of which there are other rows than the last extract counted."""
    last = "QUALIFY row_number() OVER (PARTITION BY table_name ORDER BY rowid DESC) = 1"
    found = raw.execute(f"SELECT table_name, clean FROM extracts WHERE newest_cursor IS NULL {last}")
    there = {name: clean for name, clean in found.fetchall() if kinds_of(raw, name)}
    sizes = {name: raw.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0] for name in there}
    return [f"{name} has {sizes[name]} rows, and {clean} were clean" for name, clean in there.items() if sizes[name] != clean]


def _digest(raw: duckdb.DuckDBPyConnection, table: str) -> Digest:
    return raw.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0], table_digest(raw, table)


@contextmanager
def reading(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse as another machine would see it: a copy of the file, or what the server holds."""
    if on_a_server(settings.warehouse_url):
        with Warehouse.open(settings.warehouse_url) as warehouse:
            yield warehouse.raw
        return
    with tempfile.TemporaryDirectory() as place:
        for file in settings.home_folder.glob("warehouse.duckdb*"):
            shutil.copy(file, place)
        with duckdb.connect(f"{place}/warehouse.duckdb") as raw:
            yield raw


def torn(tried: State, plain: State) -> list[str]:
    """What a reader may not see however a night ended: anything but the old nights, and tonight's whole or not at all."""
    old = plain.nights.keys() - {max(plain.nights)}
    return [
        *tried.wrong,
        *(f"the night of {night:%Y-%m-%d} is another one" for night, digest in tried.nights.items() if plain.nights.get(night) != digest),
        *(f"the night of {night:%Y-%m-%d} is gone" for night in sorted(old - tried.nights.keys())),
        *(f"the list of {day} is another one" for day, files in tried.lists.items() if plain.lists.get(day) != files),
    ]


def torn_by_a_wrong_clock(tried: State, plain: State) -> list[str]:
    """The same where the clock is wrong: tonight is then made of other hours, until the next run; no older night may be another one."""
    tonight = max(plain.nights)
    nights = {night: digest for night, digest in tried.nights.items() if night != tonight}
    lists = {day: files for day, files in tried.lists.items() if day != f"{tonight:%Y-%m-%d}"}
    return torn(replace(tried, nights=nights, lists=lists), plain)


# The warehouse of one may be a file, and the other's a copy of what a server holds.
_OF_A_COPY = {"copy.duckdb", "copy.duckdb.lock"}
_OF_A_FILE = {"warehouse.duckdb", "warehouse.duckdb.backup", "warehouse.duckdb.lock"}


def differing(tried: State, plain: State) -> list[str]:
    """What is not as it would be had nothing happened."""
    ledgers = ({f"{night:%Y-%m-%d}": digest for night, digest in one.nights.items()} for one in (tried, plain))
    return [
        *tried.wrong,
        *[f"{tried.waiting} scores wait to be handed back"] * bool(tried.waiting),
        *(f"{name} holds other rows" for name in sorted(plain.tables) if plain.tables[name] != tried.tables.get(name)),
        *_compared("ledger", *ledgers),
        *_compared("list", tried.lists, plain.lists),
        *(f"{name} was left behind" for name in sorted(tried.files - plain.files - _OF_A_COPY)),
        *(f"{name} is missing" for name in sorted(plain.files - tried.files - _OF_A_FILE)),
    ]


def _compared(what: str, there: Mapping[str, object], wanted: Mapping[str, object]) -> list[str]:
    """The nights of which something is another one, missing, or one too many."""
    return [
        *(f"the {what} of {night} is another one" for night in sorted(wanted.keys() & there.keys()) if wanted[night] != there[night]),
        *(f"the {what} of {night} is missing" for night in sorted(wanted.keys() - there.keys())),
        *(f"the {what} of {night} is one too many" for night in sorted(there.keys() - wanted.keys())),
    ]
