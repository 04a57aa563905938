"""The journal: one line an event as JSON, with the run, its flow and the night it is about; whoever asks what happened at 2:00 reads it there.

    .leadscore/journal/2026-11-29.jsonl
    {"at": "2026-11-29T02:00:41.310Z", "event": "step done", "run": "9b1c...", "flow": "score", "as_of": "2026-11-29T02:00:00", "outcome": "default",
     "what": "Publishing the night", "seconds": 0.4}

A file is a day (UTC) and stays for ninety. With LEADSCORE_LOG=json the same lines go to standard error, instead of the words for people.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from features.personal import masked
from features.problem import Problem
from pipelines.report import Report
from pipelines.settings import read_settings

_KEPT_DAYS = 90
_ENDS = ("on_completion", "on_failure", "on_crashed", "on_cancellation")


@dataclass
class _Run:
    """A run that is under way: what its events say of themselves."""

    folder: Path
    said: dict[str, Any]


_under_way: list[_Run] = []
"""The runs of this process, each within the one before it."""


def begun(flow: Any, run: Any, state: Any) -> None:
    """A hook of every flow: a run begins."""
    config, day = Path(run.parameters["config"]), run.parameters.get("as_of")
    try:
        settings = read_settings(config)
    except Problem:
        # The flow itself says so; there is no home yet to keep a journal in.
        return
    around = _under_way[-1].said["as_of"] if _under_way else None
    night = settings.timeline.night(datetime.fromisoformat(str(day)).date()).isoformat() if day else around
    _under_way.append(_Run(settings.home_folder / "journal", {"run": str(run.id), "flow": flow.name, "as_of": night, "outcome": None}))
    tell("run begun", parameters={name: str(value) for name, value in run.parameters.items() if value})


def ended(flow: Any, run: Any, state: Any) -> None:
    """A hook of every flow: a run has ended, however."""
    known = [one.said["run"] for one in _under_way]
    if str(run.id) not in known:
        return
    # Whatever was within it is over too, although nobody said so.
    del _under_way[known.index(str(run.id)) + 1 :]
    report = state.result(raise_on_failure=False) if state.is_completed() else None
    told = report.to_dict() if isinstance(report, Report) else {"because": masked(str(state.message or ""))}
    # Whose leads they are stands in the lists; a journal is read by whoever runs the machine.
    tell(f"run {state.name.lower()}", **{name: value for name, value in told.items() if name not in ("flow", "rows")})
    _under_way.pop()


HOOKS: dict[str, Any] = {"on_running": [begun], **{when: [ended] for when in _ENDS}}
"""For `@flow(..., **HOOKS)`."""


def about(as_of: datetime, outcome: str) -> None:
    """From now on the events of this run concern a night of an outcome; those of the runs around it concern the night."""
    for run in _under_way:
        run.said["as_of"] = as_of.isoformat()
    for run in _under_way[-1:]:
        run.said["outcome"] = outcome


def tell(event: str, **more: Any) -> None:
    """Write down an event of the run that is under way; outside of a run, nothing. A journal that cannot be written stops no night."""
    if not _under_way:
        return
    now, run = datetime.now(UTC), _under_way[-1]
    at = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    line = json.dumps({"at": at, "event": event, **run.said, **more}, ensure_ascii=False, default=str) + "\n"
    if for_machines():
        sys.stderr.write(line)
    with suppress(OSError):
        _append(run.folder, now, line)


def _append(folder: Path, now: datetime, line: str) -> None:
    """One line more in the file of the day; the first of a day lets go of the oldest files."""
    today = folder / f"{now:%Y-%m-%d}.jsonl"
    if not today.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for old in folder.glob("*.jsonl"):
            if old.stem < f"{now - timedelta(days=_KEPT_DAYS):%Y-%m-%d}":
                old.unlink(missing_ok=True)
    # Opened for appending and written at once, so that lines of two processes do not mix.
    file = os.open(today, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line.encode("utf-8", "replace"))
    finally:
        os.close(file)


def for_machines() -> bool:
    """Whether standard error is read by a machine."""
    return os.environ.get("LEADSCORE_LOG") == "json"
