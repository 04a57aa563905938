"""A run belongs to the night that it was meant for, and prefect.yaml and leadscore.toml do not contradict each other in silence."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from prefect.server.schemas.schedules import CronSchedule

from features.timeline import Timeline
from pipelines.schedule import disagreement, doubts, meant
from pipelines.settings import Settings

BERLIN = Timeline(zone="Europe/Berlin")
# Clocks that change at 2:00, at midnight, by half an hour, and never.
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "America/Santiago", "Asia/Beirut", "Australia/Lord_Howe", "Asia/Kolkata"]


def _wanted(cron: str, zone: str, after: datetime, runs: int = 3) -> list[datetime]:
    """When Prefect's scheduler starts runs, UTC."""

    def ask() -> list[datetime]:
        return asyncio.run(CronSchedule(cron=cron, timezone=zone).get_dates(runs, after.replace(tzinfo=UTC)))

    # In a thread of its own: a browser of another test may have left a loop that runs in this one.
    with ThreadPoolExecutor(1) as apart:
        found = apart.submit(ask).result()
    return [one.astimezone(UTC).replace(tzinfo=None) for one in found]


@pytest.mark.parametrize(
    ("after", "starts", "nights"),
    [
        # 2:00 is skipped on the 29th: Prefect starts at 1:00 local, an hour before the night, which is read with the offset before the jump.
        (
            datetime(2026, 3, 27, 12),
            [datetime(2026, 3, 28, 1), datetime(2026, 3, 29, 0), datetime(2026, 3, 30, 0)],
            [datetime(2026, 3, 28, 1), datetime(2026, 3, 29, 1), datetime(2026, 3, 30, 0)],
        ),
        # 2:00 comes twice on the 25th: one run, at the first.
        (
            datetime(2026, 10, 23, 12),
            [datetime(2026, 10, 24, 0), datetime(2026, 10, 25, 0), datetime(2026, 10, 26, 1)],
            [datetime(2026, 10, 24, 0), datetime(2026, 10, 25, 0), datetime(2026, 10, 26, 1)],
        ),
    ],
)
def test_when_the_clocks_change_in_berlin_every_day_has_one_night(after: datetime, starts: list[datetime], nights: list[datetime]) -> None:
    assert _wanted("0 2 * * *", "Europe/Berlin", after) == starts
    assert [BERLIN.night(meant(BERLIN, start)) for start in starts] == nights
    assert [disagreement(BERLIN, start) for start in starts] == [None, None, None]


@given(
    zone=st.sampled_from(ZONES),
    hour=st.integers(0, 23),
    day=st.dates(date(2015, 1, 1), date(2035, 1, 1)),
)
@example(zone="America/Sao_Paulo", hour=0, day=date(2018, 11, 3))
@example(zone="America/Santiago", hour=0, day=date(2026, 9, 5))
def test_a_schedule_of_the_same_hour_and_zone_meets_every_night_once_and_is_not_doubted(zone: str, hour: int, day: date) -> None:
    timeline = Timeline(zone=zone, hour=hour)
    after = datetime.combine(day, datetime.min.time(), ZoneInfo(zone)).astimezone(UTC).replace(tzinfo=None) - timedelta(seconds=1)
    starts = _wanted(f"0 {hour} * * *", zone, after)
    assert [meant(timeline, start) for start in starts] == [day, day + timedelta(days=1), day + timedelta(days=2)]
    assert [disagreement(timeline, start) for start in starts] == [None, None, None]


@pytest.mark.parametrize(
    ("timeline", "by_hand", "night"),
    [
        # Somebody presses the button in the afternoon, or before the night has come.
        (Timeline(), datetime(2025, 7, 1, 14), date(2025, 7, 1)),
        (Timeline(), datetime(2025, 7, 1, 1, 30), date(2025, 7, 1)),
        (Timeline(hour=0), datetime(2025, 7, 1, 23, 30), date(2025, 7, 2)),
        (Timeline(hour=0), datetime(2025, 7, 1, 22, 30), date(2025, 7, 1)),
        (BERLIN, datetime(2025, 6, 30, 22, 30), date(2025, 7, 1)),
    ],
)
def test_a_run_that_no_schedule_started_is_meant_for_the_night_of_its_day(timeline: Timeline, by_hand: datetime, night: date) -> None:
    assert meant(timeline, by_hand) == night


@pytest.mark.parametrize(
    ("timeline", "scheduled", "said"),
    [
        (Timeline(), datetime(2025, 7, 1, 2, 30), None),
        (Timeline(), datetime(2025, 7, 1, 23), "The schedule starts the night of 2025-07-01 at 23:00 (UTC), leadscore.toml at 02:00: "),
        (BERLIN, datetime(2025, 7, 1, 2), "The schedule starts the night of 2025-07-01 at 04:00 (Europe/Berlin), leadscore.toml at 02:00: "),
        (
            Timeline(zone="America/Los_Angeles"),
            datetime(2025, 7, 1, 2),
            "The schedule starts the night of 2025-06-30 at 19:00 (America/Los_Angeles), leadscore.toml at 02:00: ",
        ),
    ],
)
def test_a_schedule_of_another_hour_is_said(timeline: Timeline, scheduled: datetime, said: str | None) -> None:
    found = disagreement(timeline, scheduled)
    assert (found is None) == (said is None)
    assert (found or "").startswith(said or "")


def _settings(folder: Path, **company: str) -> Settings:
    tables = {"leads": {"table": "leads.csv"}, "deals": {"table": "deals.csv"}}
    return Settings(source={"tables": tables}, company=company, folder=folder)  # type: ignore[arg-type]


def test_the_deployments_as_they_come_fit_a_leadscore_toml_as_it_comes() -> None:
    assert doubts(_settings(Path(__file__).parents[2])) == []


def test_a_company_elsewhere_is_told_that_the_schedule_beside_its_configuration_is_not_its_own(tmp_path: Path) -> None:
    assert doubts(_settings(tmp_path, time_zone="Europe/Berlin")) == []
    (tmp_path / "prefect.yaml").write_text((Path(__file__).parents[2] / "prefect.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    assert doubts(_settings(tmp_path, time_zone="Europe/Berlin")) == [
        "prefect.yaml starts its nights at 02:00 UTC, leadscore.toml at 02:00 Europe/Berlin: one of them is wrong. Correct it in prefect.yaml "
        "(cron, timezone) and run `prefect deploy --all`, or in leadscore.toml ([list] hour, [company] time_zone)."
    ]


def test_a_schedule_that_is_no_hour_a_day_is_left_to_whoever_wrote_it(tmp_path: Path) -> None:
    schedules = [{"interval": 3600}, {"cron": "0 */2 * * *"}, {"cron": "@daily"}]
    deployments = [
        {"entrypoint": "pipelines.nightly.nightly", "schedules": schedules},
        {"entrypoint": "other.flow", "schedules": [{"cron": "0 5 * * *"}]},
    ]
    (tmp_path / "prefect.yaml").write_text(yaml.safe_dump({"deployments": deployments}), encoding="utf-8")
    assert doubts(_settings(tmp_path)) == []
    (tmp_path / "prefect.yaml").write_text("deployments: [", encoding="utf-8")
    assert doubts(_settings(tmp_path)) == []
