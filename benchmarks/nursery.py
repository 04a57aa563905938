"""Where runs are born: a process that has loaded every program and opened nothing forks one for each, so that a run takes as long as its work does.

Each run has a clock of its own, and something may happen at a line of the product. The lines that a run comes by are what "at any point" is drawn
from: the same line, the so-many-th time that it is come by, is the same point in every run.
"""

from __future__ import annotations

import ctypes
import io
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from importlib import import_module
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
# What touches the world: elsewhere a line is as good as the next one here.
_TOUCHING = (
    *("models/registry", "models/seal", "pipelines/catalog", "pipelines/crm/attributes", "pipelines/crm/hubspot", "pipelines/crm/hubspotclient"),
    *("pipelines/crm/hubspottarget", "pipelines/crm/load", "pipelines/crm/tables", "pipelines/crm/writeback", "pipelines/delivery/folder"),
    *("pipelines/extract", "pipelines/mirror", "pipelines/nightly", "pipelines/outbox", "pipelines/score", "pipelines/server", "pipelines/standby"),
    *("pipelines/warehouse", "pipelines/writeback"),
)
FILES = {str(ROOT / f"{name}.py"): f"{name.rpartition('/')[2]}.py" for name in _TOUCHING}
_LOADED = (
    *("pipelines.cli", "pipelines.nightly", "pipelines.train", "pipelines.crm.hubspot", "pipelines.crm.hubspottarget", "pipelines.mirror"),
    *("lightgbm", "hubspot", "xlsxwriter", "prefect.main", "mlflow.pyfunc", "mlflow.store.tracking.sqlalchemy_store"),
    *("mlflow.store.model_registry.sqlalchemy_store", "mlflow.store.artifact.local_artifact_repo", "mlflow.store.artifact.models_artifact_repo"),
)


class Point(NamedTuple):
    """Before a line of a file is run for the so-many-th time."""

    file: str
    line: int
    time: int

    def __str__(self) -> str:
        return f"{FILES[self.file]}:{self.line}{f' (time {self.time})' if self.time > 1 else ''}"


Lines = Mapping[tuple[str, int], int]
"""How often a run came by each line of each file."""


class Inside:
    """The process of a run, for what happens in it.

    Parameters
    ----------
    outside : whoever started the run.
    """

    def __init__(self, outside: Connection) -> None:
        self.outside, self.ahead = outside, timedelta()

    def stop(self) -> None:
        """Tell whoever started the run that it has come to its point, and wait until it may go on."""
        self.outside.send("here")
        self.outside.recv()

    def die(self) -> None:
        """End at once, as by kill -9, and tell nobody."""
        os.killpg(0, signal.SIGKILL)


@dataclass(frozen=True)
class Run:
    """What is run, when, and what happens to it.

    Parameters
    ----------
    words : of the command.
    now : what the clock shows, UTC.
    environment : its variables that differ.
    point, deed : where something happens, and what.
    humble : whether it gives up the superuser's right to write where nobody may.
    """

    words: tuple[str, ...]
    now: datetime
    environment: Mapping[str, str] = field(default_factory=dict)
    point: Point | None = None
    deed: Callable[[Inside], None] | None = None
    humble: bool = False


class Told(NamedTuple):
    """What a run tells when it has ended by itself: its exit code, its words, the lines that it came by, and whether it came to its point."""

    code: int
    words: str
    lines: Lines
    reached: bool


def serve(address: str) -> None:
    """Fork a process for everybody who connects."""
    for module in _LOADED:
        import_module(module)
    # A server on this machine counts no calls.
    for pace in ("_EVERY", "_EVERY_SEARCH"):
        setattr(import_module("pipelines.crm.hubspotclient"), pace, 0.0)
    # Nobody waits for those who ended.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with Listener(address, "AF_UNIX") as listener:
        while True:
            outside = listener.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _live(outside)
            outside.close()


def _live(outside: Connection) -> None:
    os.setsid()
    outside.send(os.getpid())
    run: Run = outside.recv()
    os.environ.update(run.environment)
    here, words, lines, reached = Inside(outside), io.StringIO(), Counter[tuple[str, int]](), list[bool]()
    _set_clock(run.now, here)
    if run.humble:
        _give_up_rights()

    def come_by(file: str, line: int) -> None:
        lines[file, line] += 1
        if run.point == (file, line, lines[file, line]) and run.deed:
            reached.append(True)
            run.deed(here)

    cli = import_module("pipelines.cli")
    sys.argv = ["leadscore", *run.words]
    with redirect_stdout(words), redirect_stderr(words):
        _trace(come_by)
        code = cli.run()
        sys.settrace(None)
    outside.send(Told(code, words.getvalue(), dict(lines), bool(reached)))
    os._exit(0)


def _trace(come_by: Callable[[str, int], None]) -> None:
    """Have every line told that is about to be run in one of the files."""

    def line(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            come_by(frame.f_code.co_filename, frame.f_lineno)
        return line

    def call(frame: FrameType, event: str, _: Any) -> Any:
        return line if frame.f_code.co_filename in FILES else None

    sys.settrace(call)


class _AnyInstant(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, datetime)


def _set_clock(now: datetime, here: Inside) -> None:
    """Have every flow read this clock; it stands still but for what puts it ahead."""

    class Clock(datetime, metaclass=_AnyInstant):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return (now + here.ahead).replace(tzinfo=tz)

    # Whoever starts runs on this machine goes by its clock, too.
    import_module("pipelines.nightly").flow_run = SimpleNamespace(scheduled_start_time=now.replace(tzinfo=UTC), run_count=1)  # type: ignore[attr-defined]
    for name, module in list(sys.modules.items()):
        if name.startswith("pipelines.") and getattr(module, "datetime", None) is datetime:
            module.datetime = Clock  # type: ignore[attr-defined]


def _give_up_rights() -> None:
    """Let permissions hold for the superuser too."""
    libc = ctypes.CDLL(None, use_errno=True)
    head, rights = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    libc.capget(head, rights)
    # CAP_DAC_OVERRIDE, of those in effect; to read is another right.
    rights[0] &= ~0b10
    if libc.capset(head, rights):
        raise OSError(ctypes.get_errno(), "the superuser's rights cannot be given up")
