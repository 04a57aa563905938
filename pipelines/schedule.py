"""The schedule of the nights: which night a run was meant for, and whether prefect.yaml and leadscore.toml agree when a night is."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import yaml

from features.problem import Problem
from features.timeline import Timeline
from pipelines.settings import Settings

ENTRYPOINT = "pipelines.nightly.nightly"
_TRIES = 3
_CURE = (
    "one of them is wrong. Correct it in prefect.yaml (cron, timezone) and run `prefect deploy --all`, or in leadscore.toml "
    "([list] hour, [company] time_zone)."
)


def see_worth_another_try(begun: int, command: str) -> None:
    """See that a run that was killed, and is begun anew by automations.yaml, is not so without end.

    Parameters
    ----------
    begun : how often it was begun, this time included.
    command : what a person types instead.

    Raises
    ------
    Problem : it died three times.
    """
    if begun > _TRIES:
        raise Problem(f"This run was begun {begun - 1} times and died each time: see why (memory, disk), and run `leadscore {command}`.")


def meant(timeline: Timeline, scheduled: datetime) -> date:
    """The local day of the night that a run was meant for, however late it starts: that of its day.

    Where the clocks skip the hour of the night, Prefect starts it up to an hour early; where they skip midnight, on the day before.

    Parameters
    ----------
    scheduled : when the run was to start, UTC.

    >>> meant(Timeline(zone="Europe/Berlin"), datetime(2026, 3, 29, 0)), meant(Timeline(hour=0, zone="America/Santiago"), datetime(2026, 9, 6, 3))
    (datetime.date(2026, 3, 29), datetime.date(2026, 9, 6))
    """
    following = timeline.day(scheduled) + timedelta(days=1)
    return following if timeline.night(following) - scheduled <= timedelta(hours=1) else timeline.day(scheduled)


def disagreement(timeline: Timeline, scheduled: datetime) -> str | None:
    """What to mind when the schedule starts a night at another hour than leadscore.toml names; None where they agree.

    The night that is scored is that of leadscore.toml either way. Where the schedule is earlier, the night is still to come and what happens until
    then is missing from it; where it is later, what happened since is.

    Parameters
    ----------
    scheduled : when the schedule wanted the run to start, UTC.

    >>> disagreement(Timeline(zone="Europe/Berlin"), datetime(2025, 7, 1, 0))
    >>> print((disagreement(Timeline(zone="Europe/Berlin"), datetime(2025, 7, 1, 2)) or "").split(" is wrong.")[0])
    The schedule starts the night of 2025-07-01 at 04:00 (Europe/Berlin), leadscore.toml at 02:00: one of them
    """
    before, local, after = ((scheduled + timedelta(days=days)).replace(tzinfo=UTC).astimezone(ZoneInfo(timeline.zone)) for days in (-1, 0, 1))
    # Around a change of clocks an hour is skipped or comes twice, and schedulers differ in what they make of that.
    if local.hour == timeline.hour or before.utcoffset() != after.utcoffset():
        return None
    day = meant(timeline, scheduled)
    return f"The schedule starts the night of {day} at {local:%H:%M} ({timeline.zone}), leadscore.toml at {timeline.hour:02}:00: {_CURE}"


def doubts(settings: Settings) -> list[str]:
    """The same before anything runs: what the prefect.yaml beside leadscore.toml says of its nights, one sentence a schedule that does not fit.

    A schedule that is no cron of one hour a day is for whoever wrote it to judge.
    """
    file = settings.folder / "prefect.yaml"
    return [
        f"{file.name} starts its nights at {hour:02}:00 {zone}, leadscore.toml at {settings.list.hour:02}:00 {settings.company.time_zone}: {_CURE}"
        for hour, zone in _hours(file)
        if (hour, zone) != (settings.list.hour, settings.company.time_zone)
    ]


def _hours(file: Path) -> list[tuple[int, str]]:
    """Hour and time zone of every daily schedule of the nights in a prefect.yaml."""
    try:
        deployments = (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).get("deployments") or []
    except (OSError, yaml.YAMLError):
        # Nothing is deployed from here, or `prefect deploy` says what is wrong with the file.
        return []
    schedules = [one for deployment in deployments if deployment.get("entrypoint") == ENTRYPOINT for one in deployment.get("schedules") or []]
    crons = [(str(one.get("cron", "")).split(), str(one.get("timezone", "UTC"))) for one in schedules]
    return [(int(cron[1]), zone) for cron, zone in crons if len(cron) == 5 and cron[1].isdigit()]
