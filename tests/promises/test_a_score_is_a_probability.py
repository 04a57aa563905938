"""A score is a probability: held against the exact truth of a made-up company, it is right on average and knows most of what can be known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from conftest import MadeUp

from models.calibration import log_loss_of
from models.registry import Registry
from pipelines.crm.simulator import TRUTH
from pipelines.settings import read_settings
from pipelines.warehouse import Warehouse

pytestmark = pytest.mark.xdist_group("company")


def _tonight(company: MadeUp) -> pd.DataFrame:
    with Warehouse.open(read_settings(company.config).warehouse_url) as warehouse:
        scored = warehouse.raw.execute("SELECT lead_id, as_of, probability FROM ledger").df()
    return scored.merge(pd.read_parquet(company.folder / TRUTH), on=["lead_id", "as_of"], validate="one_to_one", how="left")


def _loss(truth: np.ndarray, probability: np.ndarray) -> float:
    """Expected log-loss under the truth: each lead once as converted and once as not, weighing what the truth says."""
    odds = np.log(probability / (1 - probability))
    return log_loss_of(np.repeat([True, False], len(truth)), np.tile(odds, 2), np.concatenate([truth, 1 - truth]))


def test_every_scored_lead_has_a_truth_and_the_mean_score_is_the_mean_truth(company: MadeUp) -> None:
    tonight = _tonight(company)
    assert tonight["knowable"].notna().all()
    assert tonight["probability"].mean() == pytest.approx(tonight["knowable"].mean(), rel=0.25)


def test_most_of_what_can_be_known_is_known_even_to_a_company_of_1500_leads(company: MadeUp) -> None:
    tonight = _tonight(company)
    truth, score = tonight["knowable"].to_numpy(), tonight["probability"].to_numpy()
    base = _loss(truth, np.full_like(truth, truth.mean()))
    assert (base - _loss(truth, score)) / (base - _loss(truth, truth)) > 0.6


def test_the_same_deals_take_fewer_leads(company: MadeUp) -> None:
    settings = read_settings(company.config)
    registry = Registry(settings.tracking_uri)
    found = registry.champion().metrics
    # In random order nine of ten deals take 90 of 100 leads.
    assert found["worked_share"] <= found["worked_share_high"] < 0.9
