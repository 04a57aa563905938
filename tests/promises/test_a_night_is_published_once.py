"""A night is published once or not at all: killed anywhere and run again, the same bytes, and never a half night in between."""

from __future__ import annotations

import os
import random
import signal
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from time import monotonic, sleep

import pytest
from conftest import MadeUp
from typing_at import typed

from pipelines.delivery.folder import publish_folder
from pipelines.settings import read_settings
from pipelines.warehouse import Warehouse

pytestmark = pytest.mark.xdist_group("company")
Night = tuple[list[tuple[object, ...]], dict[str, bytes]]


def _night(config: Path) -> Night:
    """What readers see: the ledger's rows and the files of the list."""
    settings = read_settings(config)
    with Warehouse.open(settings.warehouse_url) as warehouse:
        rows = warehouse.raw.execute("SELECT * FROM ledger ORDER BY as_of, rank, lead_id").fetchall()
    folder = settings.home_folder / "lists" / "2025-08-23"
    return rows, {path.name: path.read_bytes() for path in sorted(folder.glob("*"))}


def _started(config: Path) -> BaseProcess:
    """Scoring in a process of its own, forked from one that has only loaded the programs: every kill then meets the work itself."""
    forks = get_context("forkserver")
    forks.set_forkserver_preload(["pipelines.score"])
    run = forks.Process(target=typed, args=("score", "--config", str(config)))
    run.start()
    return run


def test_score_killed_at_ten_random_moments_never_leaves_a_half_night(
    own_company: MadeUp, prefect_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", prefect_server)
    config = own_company.config
    old = _night(config)
    # Another capacity makes another night, so that old and new can be told apart.
    config.write_text(config.read_text(encoding="utf-8").replace("[list]\n", "[list]\nexplore = 0.2\n"), encoding="utf-8")
    assert _ended(_started(config)) == 0
    began = monotonic()
    assert _ended(_started(config)) == 0
    seconds = monotonic() - began
    new = _night(config)
    assert new[0] != old[0]
    moments = random.Random(7)
    for _ in range(10):
        _restore(config, old)
        run = _started(config)
        sleep(seconds * moments.uniform(0.1, 1.0))
        if run.is_alive() and run.pid:
            os.killpg(run.pid, signal.SIGKILL)
        _ended(run)
        rows, files = _night(config)
        assert rows in (old[0], new[0])
        assert files in (old[1], new[1])
        # The list is written from the ledger, so a new list beside an old ledger cannot be.
        assert (rows, files) != (old[0], new[1])
    assert _ended(_started(config)) == 0
    assert _night(config) == new


def _ended(run: BaseProcess) -> int | None:
    run.join()
    return run.exitcode


def _restore(config: Path, night: Night) -> None:
    settings = read_settings(config)
    with Warehouse.open(settings.warehouse_url) as warehouse:
        warehouse.raw.execute("DELETE FROM ledger")
        marks = ", ".join("?" * len(night[0][0]))
        warehouse.raw.executemany(f"INSERT INTO ledger VALUES ({marks})", night[0])
    publish_folder(settings.home_folder / "lists" / "2025-08-23", night[1])
