"""Under Prefect's own server: a night that was killed comes out once, late nights are those that were meant, and who cancels leaves no trace."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from time import sleep

import pandas as pd
import psutil
import pytest
from conftest import MadeUp, older_champion
from ownserver import open_server

from pipelines.score import score
from pipelines.settings import read_settings
from pipelines.verify import verify
from pipelines.warehouse import Warehouse

pytestmark = pytest.mark.xdist_group("company")
# Days before the newest night: of a run that has waited for so long for a worker.
LATE, CANCELLED, NEWEST = date(2025, 8, 20), date(2025, 8, 21), date(2025, 8, 23)
# The shortest interval between two signs of life that Prefect takes is 30 seconds; a busy machine is late with them.
SILENCE = 45
Shown = frozenset[tuple[str, int]]


@dataclass(frozen=True)
class Story:
    """What happened: a late night killed amid its work, a run cancelled amid its work, the night begun again by the server itself.

    Parameters
    ----------
    config, reference : the company, and one on which the late night was scored on its own.
    killed, cancelled : the two runs' states, oldest first. amid : what readers saw after the kill and after the cancellation.
    shown : every list of the late night that somebody saw who looked all the time. left : processes of the cancelled run.
    scheduled : at what time of the day the next runs are planned, UTC.
    """

    config: Path
    reference: Path
    killed: list[str]
    cancelled: list[str]
    amid: list[list[date]]
    shown: set[Shown]
    left: list[str]
    scheduled: list[str]


@pytest.fixture(scope="module")
def story(company: MadeUp, tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("under-prefect")
    config = folder / "own" / "leadscore.toml"
    with open_server(folder, SILENCE) as server, _watched(folder / "own" / ".leadscore" / "lists" / str(LATE)) as shown:
        shutil.copytree(company.folder, config.parent, symlinks=True)
        older_champion(config)
        reference = Path(shutil.copytree(config.parent, folder / "reference", symlinks=True)) / "leadscore.toml"
        server.set_up(config)
        log, worker = server.worker(), server.started[-1]
        killed = server.run("nightly", datetime(2025, 8, 20, 2))
        server.until(lambda: "Building the features of 2025-08-20" in _said(log), "the night is under way")
        server.kill(worker)
        amid = [_nights(config)]
        log, worker = server.worker(), server.started[-1]
        cancelled = server.run("score", datetime(2025, 8, 21, 2), as_of=str(CANCELLED))
        server.until(lambda: "Building the features of 2025-08-21" in _said(log), "the run that is to be cancelled is under way")
        server.ask(f"flow_runs/{cancelled}/set_state", state={"type": "CANCELLING"})
        server.until(lambda: server.state(cancelled) == "CANCELLED", "the run is cancelled")
        left = [" ".join(one.cmdline()) for one in psutil.Process(worker.pid).children(recursive=True)]
        amid.append(_nights(config))
        score(reference, LATE)
        server.until(lambda: server.state(killed) == "COMPLETED", "the killed night is begun again by itself")
        coming = server.ask("flow_runs/filter", flow_runs={"state": {"type": {"any_": ["SCHEDULED"]}}}, sort="EXPECTED_START_TIME_ASC")
        scheduled = [run["expected_start_time"][11:16] for run in coming if run["auto_scheduled"]]
        states = server.states(killed), server.states(cancelled)
    return Story(config, reference, *states, amid, shown, left, scheduled)


@contextmanager
def _watched(link: Path) -> Iterator[set[Shown]]:
    """Whoever looks all the time: the names and sizes of the files that stand in a list."""
    seen, done = set[Shown](), threading.Event()

    def look() -> None:
        while not done.is_set():
            if link.is_dir():
                # One look is at one folder: the link may be moved in between.
                seen.add(frozenset((path.name, path.stat().st_size) for path in link.resolve().iterdir()))
            sleep(0.01)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield seen
    finally:
        done.set()
        looking.join()


def _said(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")


def _list(config: Path, day: date) -> Path:
    return read_settings(config).lists_folder / str(day)


def _nights(config: Path) -> list[date]:
    """The nights of the ledger that are whole; that it can be opened at all says that nobody holds it any more."""
    settings = read_settings(config)
    assert not verify(settings).failed
    with Warehouse.of(settings) as warehouse:
        return [settings.timeline.day(night) for (night,) in warehouse.raw.execute("SELECT DISTINCT as_of FROM ledger ORDER BY 1").fetchall()]


def _night(config: Path, day: date) -> pd.DataFrame:
    settings = read_settings(config)
    with Warehouse.of(settings) as warehouse:
        return warehouse.read_night(settings.timeline.night(day))


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_night_whose_worker_was_killed_runs_again_by_itself(story: Story) -> None:
    assert story.killed[-6:] == ["Running", "AwaitingRetry", "Pending", "Submitting", "Running", "Completed"]
    assert _nights(story.config) == [LATE, NEWEST]


def test_it_is_the_night_that_was_meant_to_the_byte_by_the_champion_of_then(story: Story) -> None:
    night = _night(story.config, LATE)
    assert (len(night) > 100, set(night["model_version"])) == (True, {"2"})
    pd.testing.assert_frame_equal(night, _night(story.reference, LATE))
    assert _files(_list(story.config, LATE)) == _files(_list(story.reference, LATE))


def test_whoever_looked_meanwhile_saw_the_old_night_or_the_new_one(story: Story, company: MadeUp) -> None:
    assert story.amid == [[NEWEST], [NEWEST]]
    assert story.shown == {frozenset((name, len(content)) for name, content in _files(_list(story.config, LATE)).items())}
    assert _files(_list(story.config, NEWEST)) == _files(_list(company.config, NEWEST))


def test_a_cancelled_run_leaves_no_trace(story: Story) -> None:
    assert story.cancelled[-3:] == ["Running", "Cancelling", "Cancelled"]
    assert not story.left
    lists = read_settings(story.config).lists_folder
    assert {path.name.split(".")[0] for path in (*lists.iterdir(), *(lists / ".published").iterdir()) if path.name != ".published"} == {
        str(LATE), str(NEWEST),
    }  # fmt: skip


def test_the_next_nights_are_scheduled_at_the_hour_of_leadscore_toml(story: Story) -> None:
    assert set(story.scheduled) == {"02:00", "04:00"}
