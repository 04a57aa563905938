"""A night is published once or not at all: killed anywhere and run again, the same bytes, and never a half night in between."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

import pytest
from conftest import MadeUp

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


def _started(config: Path, server: str) -> subprocess.Popen[bytes]:
    command = [str(Path(sys.executable).with_name("leadscore")), "score", "--config", str(config)]
    environment = {**os.environ, "PREFECT_API_URL": server}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def test_score_killed_at_ten_random_moments_never_leaves_a_half_night(own_company: MadeUp, prefect_server: str) -> None:
    config = own_company.config
    old = _night(config)
    # Another capacity makes another night, so that old and new can be told apart.
    config.write_text(config.read_text(encoding="utf-8") + "\n[list]\nexplore = 0.2\n", encoding="utf-8")
    began = monotonic()
    assert _started(config, prefect_server).wait() == 0
    seconds = monotonic() - began
    new = _night(config)
    assert new[0] != old[0]
    moments = random.Random(7)
    for _ in range(10):
        _restore(config, old)
        run = _started(config, prefect_server)
        # The first half of a run only loads programs.
        sleep(seconds * moments.uniform(0.5, 1.0))
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        rows, files = _night(config)
        assert rows in (old[0], new[0])
        assert files in (old[1], new[1])
        # The list is written from the ledger, so a new list beside an old ledger cannot be.
        assert (rows, files) != (old[0], new[1])
    assert _started(config, prefect_server).wait() == 0
    assert _night(config) == new


def _restore(config: Path, night: Night) -> None:
    settings = read_settings(config)
    with Warehouse.open(settings.warehouse_url) as warehouse:
        warehouse.raw.execute("DELETE FROM ledger")
        marks = ", ".join("?" * len(night[0][0]))
        warehouse.raw.executemany(f"INSERT INTO ledger VALUES ({marks})", night[0])
    publish_folder(settings.home_folder / "lists" / "2025-08-23", night[1])
