"""The company as it stands, or as it stood strictly before a past night."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from conftest import MadeUp
from stories import Rows, company_of, day

from features.plan import Attribute
from features.problem import Problem
from pipelines.company import Company, open_company
from pipelines.outcomerules import OutcomeRules
from pipelines.settings import Settings, read_settings

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


@pytest.mark.parametrize(
    ("due", "night"),
    [
        (date(2025, 8, 20), datetime(2025, 8, 20, 2)),
        (date(2025, 8, 23), datetime(2025, 8, 23, 2)),
        # A quiet weekend: the extract does not reach the night that is due.
        (date(2025, 8, 25), datetime(2025, 8, 23, 2)),
    ],
)
def test_the_night_that_is_due_is_the_newest_that_can_be_served_where_the_extract_does_not_reach_it(
    company: MadeUp, due: date, night: datetime
) -> None:
    with open_company(read_settings(company.config)) as today:
        assert today.night_due(due) == night


@pytest.mark.parametrize(
    ("night", "now", "newest"),
    [
        # The extract ends on the 23rd at 0:00.
        (datetime(2025, 8, 22, 2), datetime(2025, 8, 22, 2, 10), True),
        (datetime(2025, 8, 22, 2), datetime(2025, 8, 22, 14), True),
        (datetime(2025, 8, 22, 2), datetime(2025, 8, 23, 1, 59), True),
        (datetime(2025, 8, 22, 2), datetime(2025, 8, 23, 2), False),
        (datetime(2025, 8, 20, 2), datetime(2025, 8, 22, 14), False),
        # Whoever looks a year later finds nothing newer.
        (datetime(2025, 8, 23, 2), datetime(2026, 8, 23), True),
    ],
)
def test_a_night_is_the_newest_until_the_next_one_has_begun(company: MadeUp, night: datetime, now: datetime, newest: bool) -> None:
    with open_company(read_settings(company.config)) as today:
        assert today.is_newest(night, now) is newest


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


def _of(population: str, leads: Rows, changes: Rows | None = None) -> Company:
    """A company without a warehouse whose customers are leads, or accounts."""
    rules = OutcomeRules.model_validate({"kind": "renewal", "population": population})
    settings = Settings.model_validate({"source": {"tables": {name: {"table": name} for name in ("leads", "deals")}}, "outcome": rules})
    fields = (Attribute("source", "leads", "category", "creation"), Attribute("industry", "accounts", "category", "today"))
    return Company(settings, cast(Any, SimpleNamespace(kept=[])), company_of({"leads": leads, "lead_changes": changes or []}), day(900), fields)


def test_accounts_are_seen_as_customers_and_what_that_leaves_out_is_said() -> None:
    home = {"account_id": "acme", "created_at": day(0)}
    leads = [{"lead_id": "a", **home}, {"lead_id": "b", **home}, {"lead_id": "c", "created_at": day(1)}]
    company = _of("accounts", leads).of_population()
    assert sorted(company.crm.leads.execute()["lead_id"]) == ["acme", "c"]
    assert [attribute.name for attribute in company.attributes] == ["industry"]
    assert company.minded == (
        "Fields of leads have no single value for an account and are not used: source.",
        "Of 2 leads with an account lead_changes do not say since when 2 have it: on past nights too these count for the account "
        "that they have today.",
    )
    joined = {"field": "account_id", "new_value": "acme", "changed_at": day(3)}
    told = _of("accounts", leads, [{"lead_id": "a", **joined}, {"lead_id": "b", **joined}]).of_population()
    assert len(told.minded) == 1


def test_where_leads_are_scored_the_company_is_as_it_is_and_without_accounts_none_can_be_scored() -> None:
    company = _of("leads", [{"lead_id": "a", "created_at": day(0)}])
    assert company.of_population() is company
    with pytest.raises(Problem, match=r'^population = "accounts" scores the accounts of leads, and no lead has one: write which column'):
        _of("accounts", [{"lead_id": "a", "created_at": day(0)}]).of_population()
