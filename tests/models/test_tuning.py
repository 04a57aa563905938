"""A search that never leaves the training past, and keeps the defaults unless something else is clearly better."""

from __future__ import annotations

import learnable
import numpy as np
import pandas as pd
import pytest

from features.feature import Feature
from models.encoding import Encoder, Style
from models.scorer import DEFAULTS, early_stopped, settings_of
from models.tuning import tune

PAST = learnable.examples(leads=250, weeks=12)


@pytest.mark.parametrize("trials", [0, 1])
def test_without_a_search_the_defaults_stand(trials: int) -> None:
    assert tune(PAST, learnable.FEATURES, trials, seed=7) == DEFAULTS


def test_too_few_conversions_to_judge_by_leave_the_defaults() -> None:
    few = PAST.assign(converted=PAST["lead_id"].isin(["L0001", "L0002"]) & (PAST["as_of"] == PAST["as_of"].min()))
    assert tune(few, learnable.FEATURES, 3, seed=7) == DEFAULTS


def _checkers(leads: int = 6_000) -> pd.DataFrame:
    """Whoever sits on a black square converts: nothing that strongly held trees of six leaves would find."""
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(
        {"lead_id": [f"L{n:05}" for n in range(leads)], "x": rng.integers(0, 8, leads), "y": rng.integers(0, 8, leads), "weight": 1.0}
    )
    return frame.assign(converted=((frame["x"] + frame["y"]) % 2 == 0) & (rng.random(leads) < 0.9))


def _loss(past: pd.DataFrame, features: tuple[Feature, ...], params: dict[str, object]) -> float:
    grown = early_stopped(past, Encoder.fit(past, features).transform(past), settings_of(params, len(past), 7))
    assert grown is not None
    return float(grown.best_score["valid_0"]["binary_logloss"])


def test_settings_that_are_clearly_better_are_found_and_the_same_every_time() -> None:
    squares, past = (Feature("x", "number", "x", "x {value}"), Feature("y", "number", "y", "y {value}")), _checkers()
    found = tune(past, squares, 8, seed=7)
    assert found == tune(past, squares, 8, seed=7)
    assert set(found) == set(DEFAULTS)
    assert found != DEFAULTS
    assert _loss(past, squares, found) < 0.99 * _loss(past, squares, DEFAULTS)


def test_it_searches_in_the_style_that_will_be_used() -> None:
    found = [tune(PAST, learnable.FEATURES, 2, seed=7, style=style) for style in (Style("native"), Style("native"), Style("target", "topics"))]
    assert found[0] == found[1]
    assert [set(each) for each in found] == [set(DEFAULTS)] * 3
