"""Bags are trees of several seeds; what is said, and why, is their mean."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import learnable
import numpy as np
import pandas as pd
import pytest

from models.bagging import BaggedModel, bagged
from models.calibration import sigmoid
from models.trees import fit_boosted

FRAME = learnable.examples(leads=200, weeks=6)
GROW = partial(fit_boosted, rounds=30)
MODEL = bagged(GROW, 3, seed=11)(FRAME, learnable.FEATURES)


def _texts(model: BaggedModel) -> list[str]:
    return [bag.booster.model_to_string() for bag in model.bags]


def test_the_mean_of_as_many_seeds_is_said() -> None:
    each = [GROW(FRAME, learnable.FEATURES, seed=seed).log_odds(FRAME) for seed in (11, 12, 13)]
    assert len(set(_texts(MODEL))) == 3
    assert MODEL.log_odds(FRAME) == pytest.approx(np.mean(each, axis=0))


def test_contributions_add_up_to_what_is_said() -> None:
    rows = pd.concat([FRAME, FRAME.head(2).assign(source="carrier pigeon", opens_7d=[np.nan, 1e9])], ignore_index=True)
    told = MODEL.contributions(rows)
    assert told.sum(axis=1).to_numpy() == pytest.approx(MODEL.log_odds(rows), abs=1e-6)
    assert set(told) <= {"bias", *(feature.name for feature in learnable.FEATURES)}


def test_it_comes_back_from_disk_as_it_was(tmp_path: Path) -> None:
    MODEL.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"bag-0", "bag-1", "bag-2", "bags.json"}
    back = BaggedModel.load(tmp_path)
    np.testing.assert_array_equal(back.log_odds(FRAME), MODEL.log_odds(FRAME))
    pd.testing.assert_frame_equal(back.contributions(FRAME), MODEL.contributions(FRAME))


def test_the_same_seed_grows_the_same_bags() -> None:
    assert _texts(bagged(GROW, 3, seed=11)(FRAME, learnable.FEATURES)) == _texts(MODEL)
    assert set(_texts(bagged(GROW, 3, seed=14)(FRAME, learnable.FEATURES))).isdisjoint(_texts(MODEL))


def test_two_companies_of_bags_differ_less_than_two_trees() -> None:
    one, other = (GROW(FRAME, learnable.FEATURES, seed=seed).log_odds(FRAME) for seed in (1, 2))
    many, others = (bagged(GROW, 5, seed=seed)(FRAME, learnable.FEATURES).log_odds(FRAME) for seed in (20, 40))
    assert np.abs(sigmoid(many) - sigmoid(others)).mean() < 0.7 * np.abs(sigmoid(one) - sigmoid(other)).mean()
