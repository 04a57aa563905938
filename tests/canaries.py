"""People who are nobody, planted wherever a CRM names people, and a search for them in every byte that was written."""

from __future__ import annotations

import gzip
import io
import shutil
import sqlite3
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
from conftest import QUICK

# In every planted name and address, and in every planted number.
NAME, NUMBER = "qanary", "1719876"


def plant(simulated: Path, folder: Path) -> Path:
    """A copy of a made-up company in which everybody has such names, addresses and numbers; its leadscore.toml."""
    shutil.copytree(simulated, folder)
    leads, accounts, deals, owners, activities = (
        pd.read_parquet(folder / f"{table}.parquet") for table in ("leads", "accounts", "deals", "owners", "activities")
    )
    each, number = [f"{NAME}{n}" for n in range(len(leads))], [f"+49{NUMBER}{n:05}" for n in range(len(leads))]
    leads = leads.assign(
        name=[f"Eva {one.title()}" for one in each],
        # Few enough to look like a category.
        first_name=[f"{NAME.title()}first{n % 20}" for n in range(len(leads))],
        email=[f"{one}@post.example" for one in each],
        phone=number,
        # No name says what this is; its values do.
        reachable_by=number,
        second_box=[f"{one}@home.example" for one in each],
        # A number like any other, to whoever does not read its name.
        mobile_number=[int(f"49{NUMBER}{n:05}") for n in range(len(leads))],
        company=[f"{one} GmbH" for one in each],
    )
    slipped = leads.tail(3).assign(lead_id=["S1", "S2", "S3"], created_at=[f"Eva {NAME}slipped", f"{NAME}@slipped.example", f"+49 {NUMBER}777"])
    activities = activities.assign(text=[f"Dear {NAME}{n % 9}, call me: +49{NUMBER}1" for n in range(len(activities))])
    slipped_too = activities.tail(1).assign(occurred_at=f"Eva {NAME}")
    tables = {
        "leads": pd.concat([leads, slipped]),
        "accounts": accounts.assign(name=[f"{NAME} holding {n % 30}" for n in range(len(accounts))]),
        "deals": deals.assign(name=[f"{NAME} buys {n % 30}" for n in range(len(deals))]),
        "owners": owners.assign(
            name=[f"Rep {NAME}{n}" for n in range(len(owners))], email=[f"{NAME}.rep{n}@seller.example" for n in range(len(owners))]
        ),
        "activities": pd.concat([activities, slipped_too]),
    }
    for table, rows in tables.items():
        rows.to_parquet(folder / f"{table}.parquet", index=False)
    config = folder / "leadscore.toml"
    text = config.read_text(encoding="utf-8").replace('ignore = ["name"]\n', "")
    config.write_text(text + QUICK, encoding="utf-8")
    return config


def found(content: bytes | str) -> list[str]:
    """Which canaries stand in some bytes, as UTF-8 or UTF-16, small or large."""
    small = (content.encode("utf-8", "replace") if isinstance(content, str) else content).lower()
    return [one for one in (NAME, NUMBER) if any(one.encode(code) in small for code in ("utf-8", "utf-16-le", "utf-16-be"))]


def searched(folder: Path, apart: tuple[str, ...] = ()) -> Iterator[tuple[str, list[str]]]:
    """Every file below a folder that holds a canary, and which; what is packed is unpacked.

    Parameters
    ----------
    apart : names at the top of the folder that are not searched.
    """
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.relative_to(folder).parts[0] not in apart:
            for part in _parts(file):
                if found(part):
                    yield str(file.relative_to(folder)), found(part)


def _parts(file: Path) -> Iterator[bytes | str]:
    """A file as it lies, and all that is packed in it."""
    content = file.read_bytes()
    yield content
    yield str(file)
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as packed:
            yield from (packed.read(name) for name in packed.namelist())
    if content.startswith(b"\x1f\x8b"):
        yield gzip.decompress(content)
    if content.startswith(b"PAR1"):
        table = pq.read_table(io.BytesIO(content))
        yield repr([table.schema, table.to_pylist()])
    if content.startswith(b"SQLite format 3"):
        with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as database:
            tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for table in tables:
                yield repr(database.execute(f'SELECT * FROM "{table}"').fetchall())
