"""Old nights are forgotten, or count less, by the newest night that may be learned from, and by no clock."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from features.feature import Feature
from models.baseline import fit_logistic
from models.calibration import sigmoid
from models.recency import fading, recent
from models.trees import fit_boosted

FEATURES = (Feature("size", "number", "size", "size {value}"),)
WAYS = {"recent": lambda fit: recent(fit, days=120), "fading": lambda fit: fading(fit, half_life_days=60)}


def _company(changed: bool, leads: int = 4_000, days: int = 400, seed: int = 5) -> pd.DataFrame:
    """One night a lead. Large firms buy; after the first half small ones do instead, where the business changed."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"lead_id": [f"L{n:05}" for n in range(leads)], "size": rng.uniform(0, 10, leads), "weight": 1.0})
    day = np.floor(np.linspace(0, days, leads, endpoint=False))
    sign = np.where(changed & (day < days / 2), -1, 1)
    frame["converted"] = pd.array(rng.random(leads) < sigmoid(sign * (5 - frame["size"].to_numpy()) / 2 - 1), dtype="boolean")
    return frame.assign(as_of=pd.Timestamp("2024-01-01 02:00") + pd.to_timedelta(day, unit="D"))


def _loss(fit: Any, company: pd.DataFrame) -> float:
    """Log-loss on the last tenth of the nights of what was learned from the others."""
    later = company["as_of"] >= pd.Timestamp("2024-12-26")
    model = fit(company[~later], FEATURES)
    return float(log_loss(company.loc[later, "converted"].astype(bool), sigmoid(model.log_odds(company[later]))))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fit", [fit_logistic, fit_boosted])
def test_a_business_that_changed_is_better_known_by_its_newest_nights(way: str, fit: Any) -> None:
    company = _company(changed=True)
    assert _loss(WAYS[way](fit), company) < 0.85 * _loss(fit, company)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fit", [fit_logistic, fit_boosted])
def test_where_nothing_changed_the_plain_model_is_no_worse(way: str, fit: Any) -> None:
    plain, forgetting = (np.mean([_loss(one, _company(changed=False, seed=seed)) for seed in range(8)]) for one in (fit, WAYS[way](fit)))
    # A thousandth of log-loss is what the draws of eight companies leave to luck.
    assert plain <= forgetting + 0.001


def _seen(past: pd.DataFrame, features: object) -> pd.DataFrame:
    return past


def test_only_the_newest_nights_are_learned_from() -> None:
    company = _company(changed=False)
    seen = recent(_seen, days=120)(company, FEATURES)
    assert (seen["as_of"].min(), seen["as_of"].max()) == (pd.Timestamp("2024-10-07 02:00"), pd.Timestamp("2025-02-03 02:00"))
    assert len(seen) == 1_200
    assert recent(_seen, days=400)(company, FEATURES).equals(company)


def test_of_too_few_customers_nothing_is_forgotten() -> None:
    company = _company(changed=False).assign(converted=pd.array([False] * 3_950 + [True] * 50, dtype="boolean"))
    assert recent(_seen, days=120)(company, FEATURES) is company
    twice = pd.concat([company, company]).sort_values("as_of", ignore_index=True)
    # The same fifty customers on two nights each are no hundred.
    assert len(recent(_seen, days=120)(twice, FEATURES)) == 8_000
    unripe = _company(changed=False).assign(converted=pd.array([None] * 4_000, dtype="boolean"))
    assert len(recent(_seen, days=120)(unripe, FEATURES)) == 4_000


def test_a_night_counts_half_as_much_as_one_that_is_a_half_life_newer() -> None:
    nights = pd.to_datetime(["2025-04-01", "2025-03-02", "2025-01-31", "2025-04-01"])
    seen = fading(_seen, half_life_days=30)(pd.DataFrame({"as_of": nights, "weight": [1.0, 1.0, 1.0, 3.0]}), FEATURES)
    assert seen["weight"].tolist() == [1.0, 0.5, 0.25, 3.0]


@settings(deadline=None, max_examples=25)
@given(st.timedeltas(min_value=timedelta(days=-5_000), max_value=timedelta(days=5_000)))
def test_no_clock_has_a_say(moved: timedelta) -> None:
    company = _company(changed=False, leads=400)
    later = company.assign(as_of=company["as_of"].astype("datetime64[us]") + moved)
    for way in WAYS.values():
        here, there = (way(_seen)(past, FEATURES).drop(columns="as_of") for past in (company, later))
        pd.testing.assert_frame_equal(here, there)


@pytest.mark.parametrize("way", WAYS)
def test_the_same_past_and_seed_grow_the_same_trees(way: str) -> None:
    one, other = (WAYS[way](fit_boosted)(_company(changed=True, leads=1_000), FEATURES) for _ in range(2))
    assert one.bags[0].model_to_string() == other.bags[0].model_to_string()
