"""The company as it stands, or as it stood strictly before a past night."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from conftest import MadeUp

from features.problem import Problem
from pipelines.company import open_company
from pipelines.settings import read_settings

pytestmark = pytest.mark.xdist_group("company")


def test_tonight_is_the_first_night_that_the_extract_can_serve(company: MadeUp) -> None:
    with open_company(read_settings(company.config)) as today:
        assert today.extracted_at <= today.night(None) == datetime(2025, 8, 23, 2)
        assert today.night(date(2025, 3, 3)) == datetime(2025, 3, 3, 2)
        assert today.as_of(None) is today


def test_a_past_company_knows_nothing_later(company: MadeUp) -> None:
    night = datetime(2025, 3, 3, 2)
    with open_company(read_settings(company.config)) as today:
        then = today.as_of(night.date())
        assert then.extracted_at == night
        for name in ("leads", "activities", "deals", "lead_changes"):
            known, ever = getattr(then.crm, name), getattr(today.crm, name)
            assert 0 < known.count().execute() < ever.count().execute()
            assert known.known_at.max().execute() < night
        assert then.crm.deals.filter(then.crm.deals.outcome != "open").closed_at.max().execute() < night


def test_a_night_still_to_come_is_refused(company: MadeUp) -> None:
    with open_company(read_settings(company.config)) as today:
        with pytest.raises(Problem, match=r"The extract ends on 2025-08-23 00:00, so that 2025-08-23 is the newest night it can serve"):
            today.night(date(2025, 8, 24))
        with pytest.raises(Problem, match="2030-01-01 is still to come"):
            today.as_of(date(2030, 1, 1))


def test_a_source_is_stale_after_so_many_days_unless_the_user_says_until_when_it_reaches(company: MadeUp) -> None:
    settings = read_settings(company.config)
    unsaid = settings.model_copy(update={"source": settings.source.model_copy(update={"extracted_at": None})})
    with open_company(unsaid) as today:
        assert today.stale(today.extracted_at + timedelta(days=4)) is None
        assert "is 5 days old (2025-08-23)" in (today.stale(today.extracted_at + timedelta(days=5)) or "")
    with open_company(settings) as today:
        assert today.stale(today.extracted_at + timedelta(days=900)) is None


def test_the_grid_is_weekly_anchored_at_the_newest_ripe_night_and_reaches_tonight(company: MadeUp) -> None:
    with open_company(read_settings(company.config)) as today:
        nights, line = today.past_nights(), today.settings.timeline
        ripe = [night for night in nights if line.is_ripe(night, today.extracted_at)]
        assert today.extracted_at - line.gap - timedelta(days=1) < ripe[-1] <= today.extracted_at - line.gap
        week = timedelta(days=7)
        assert {later - night for night, later in pairwise(ripe)} == {week}
        assert max(later - night for night, later in pairwise(nights)) == week
        assert today.crm.leads.created_at.min().execute() <= nights[0]
        assert today.extracted_at - timedelta(days=7) < nights[-1] <= today.extracted_at


def test_before_the_first_extract_the_next_step_is_named(untouched: Path) -> None:
    with pytest.raises(Problem, match="holds no tables yet: run `leadscore extract` first"), open_company(read_settings(untouched)):
        pass
