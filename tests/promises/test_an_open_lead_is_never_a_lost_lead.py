"""An open lead is never counted as lost: until its night is ripe it has no label and judges nobody; it says that it has not been won so far."""

from __future__ import annotations

from datetime import timedelta

import pytest
from conftest import MadeUp

from features import examples
from models.registry import Registry
from pipelines.company import open_company
from pipelines.settings import read_settings

pytestmark = pytest.mark.xdist_group("company")


def test_no_example_is_younger_than_horizon_and_settle_lag(company: MadeUp) -> None:
    settings = read_settings(company.config)
    plan = Registry(settings.tracking_uri).champion().scorer.plan
    with open_company(settings) as made_up:
        nights = made_up.nights(*made_up.past_nights())
        told = examples.labelled(made_up.crm, nights, plan, made_up.extracted_at).execute()
        learned = examples.training(made_up.crm, nights, plan, made_up.extracted_at).execute()
        edge = made_up.extracted_at - timedelta(days=97)
    young = told["as_of"] > edge
    assert young.any()
    assert told.loc[young, "converted"].isna().all()
    open_still = learned["as_of"] > edge
    assert learned.loc[open_still, "converted"].isna().all()
    assert learned.loc[~open_still, "converted"].notna().all()
    assert company.reports["train"].facts["unripe"] == int(young.sum())
