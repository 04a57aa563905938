"""Runs of the product in processes of their own, seen from outside: started, killed, stopped at a point, waited for."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Client
from pathlib import Path
from time import monotonic, sleep

import psutil

from benchmarks.nursery import ROOT, Lines, Run, Told

_PATIENCE = 600.0


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Parameters
    ----------
    code : its exit code; None where it was killed.
    words : what it said; of one that was killed, nothing is known.
    reached : whether it came to its point.
    """

    code: int | None
    words: str
    lines: Lines
    reached: bool
    seconds: float


class Started:
    """A run that is under way, in a process of its own."""

    def __init__(self, address: str, run: Run) -> None:
        self._outside = Client(address, "AF_UNIX")
        self.pid = int(self._outside.recv())
        self._began = monotonic()
        self._outside.send(run)
        self._told: Told | None = None
        self._over = False

    def stops(self, seconds: float = _PATIENCE) -> bool:
        """Whether it has come to its point, where it waits; False once it ended, or after some seconds."""
        if self._over or not self._outside.poll(seconds):
            return False
        try:
            found = self._outside.recv()
        except EOFError:
            found = None
        if found == "here":
            return True
        self._told, self._over = found, True
        return False

    def go_on(self) -> None:
        """Let it go on from its point."""
        self._outside.send("go on")

    def kill(self) -> None:
        """End it, and whatever it started, between two instructions."""
        if psutil.pid_exists(self.pid):
            os.killpg(self.pid, signal.SIGKILL)

    def ended(self, meanwhile: Callable[[], None] = lambda: None) -> Ended:
        """Wait for its end, looking at something again and again.

        Raises
        ------
        TimeoutError : it does not end.
        """
        while not self._over:
            if self.stops(0.05):
                self.go_on()
            meanwhile()
            if monotonic() - self._began > _PATIENCE:
                self.kill()
                raise TimeoutError("a run does not end")
        seconds = monotonic() - self._began
        # Whoever is gone holds no lock any more.
        while psutil.pid_exists(self.pid):
            sleep(0.001)
        self._outside.close()
        return Ended(*self._told, seconds) if self._told else Ended(None, "", {}, True, seconds)


class Nursery:
    """Where runs are started, see `benchmarks.nursery`."""

    def __init__(self, address: str) -> None:
        self.address = address

    def start(self, run: Run) -> Started:
        """Start a run."""
        return Started(self.address, run)

    def ended(self, run: Run, meanwhile: Callable[[], None] = lambda: None) -> Ended:
        """A run from its beginning to its end."""
        return self.start(run).ended(meanwhile)


@contextmanager
def nursery() -> Iterator[Nursery]:
    """A nursery whose runs have the environment of this moment."""
    # Of a socket's path a system keeps a hundred bytes.
    folder = tempfile.mkdtemp()
    address = f"{folder}/nursery"
    program = "import sys; from benchmarks.nursery import serve; serve(sys.argv[1])"
    process = subprocess.Popen([sys.executable, "-c", program, address], cwd=ROOT)
    try:
        while not Path(address).exists():
            if process.poll() is not None:
                raise RuntimeError("the nursery did not start")
            sleep(0.05)
        yield Nursery(address)
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)
