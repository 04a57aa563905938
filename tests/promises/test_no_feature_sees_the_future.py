"""No feature sees the future: cut everything off that became known later, and every feature of every lead stays what it was."""

from __future__ import annotations

from datetime import datetime

import pytest
from conftest import MadeUp

from features.leakage import truncation_audit
from models.registry import Registry
from pipelines.company import open_company
from pipelines.settings import read_settings

pytestmark = pytest.mark.xdist_group("company")


@pytest.mark.parametrize("night", [datetime(2024, 4, 3, 2), datetime(2024, 11, 20, 2), datetime(2025, 6, 11, 2)])
def test_the_champions_features_do_not_change_when_the_future_is_cut_off(company: MadeUp, night: datetime) -> None:
    settings = read_settings(company.config)
    plan = Registry(settings.tracking_uri).champion().scorer.plan
    with open_company(settings) as made_up:
        assert truncation_audit(made_up.crm, night, plan) == []


def test_a_lead_of_the_last_night_learns_nothing_from_its_own_future(company: MadeUp) -> None:
    settings = read_settings(company.config)
    scorer = Registry(settings.tracking_uri).champion().scorer
    # Horizon and settle lag lie between the newest night that was learned from and the end of the extract.
    assert scorer.last_night + scorer.plan.timeline.gap <= scorer.known_until == datetime(2025, 8, 23)
