"""Changing the champion by a person's word, with the trail of who was champion when and why."""

from __future__ import annotations

from datetime import datetime

from features.problem import Problem
from models.registry import Registry
from models.trail import Entry
from pipelines.registry import registry_of
from pipelines.report import Report
from pipelines.settings import Settings


def promote(settings: Settings, version: str, because: str, at: datetime) -> Report:
    """Make a version champion, whatever the gate said.

    Parameters
    ----------
    because : why; it must say something.
    at : when, UTC.

    Raises
    ------
    Problem : no reason, no such version, or it is champion already.
    """
    if not because.strip():
        raise Problem('A champion is not changed without a reason: add --because "...".')
    registry = registry_of(settings)
    return _told("promote", registry, registry.promote(version, because.strip(), at))


def rollback(settings: Settings, because: str, at: datetime) -> Report:
    """Go back to the champion before the present one; without a reason the trail says that none was given.

    Raises
    ------
    Problem : no champion, or none before it.
    """
    registry = registry_of(settings)
    return _told("rollback", registry, registry.rollback(because.strip() or "no reason given", at))


def _told(act: str, registry: Registry, entry: Entry) -> Report:
    rows = tuple(one.row() for one in registry.trail())
    notice = f"The next night is scored with version {entry.version}; run `leadscore score` to score tonight again."
    return Report(act, {"champion": entry.version, "before": entry.before or "none"}, rows, (notice,))
