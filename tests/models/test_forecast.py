"""Of ten lists eight end within what was said of them, one below and one above."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.forecast import between


def _one_by_one(probability: list[float]) -> tuple[int, int]:
    """The same by adding one lead after the other."""
    chances = [1.0]
    for p in probability:
        chances = [a * (1 - p) + b * p for a, b in zip([*chances, 0.0], [0.0, *chances], strict=True)]
    below = np.cumsum(chances)
    return int((below < 0.1 + 1e-9).sum()), int((below < 0.9 - 1e-9).sum())


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0, 1), max_size=40))
def test_the_interval_is_that_of_adding_lead_to_lead(probability: list[float]) -> None:
    assert between(np.array(probability)) == _one_by_one(probability)


def test_eight_of_ten_made_up_nights_end_within() -> None:
    rng = np.random.default_rng(5)
    probability = rng.beta(1, 6, 300)
    wins = (rng.random((4_000, 300)) < probability).sum(axis=1)
    low, high = between(probability)
    assert np.mean((wins >= low) & (wins <= high)) == pytest.approx(0.82, abs=0.03)
    assert np.mean(wins < low) < 0.11
    assert np.mean(wins > high) < 0.11


def test_a_long_list_is_as_wide_as_the_exact_one() -> None:
    probability = np.random.default_rng(6).beta(1, 6, 2_001)
    exact = between(probability[:2_000])
    assert np.abs(np.subtract(between(probability), exact)).max() <= 1


def test_more_certainty_asks_for_more_room() -> None:
    probability = np.full(100, 0.2)
    assert (between(probability, 0.5), between(probability), between(probability, 0.99)) == ((17, 23), (15, 25), (10, 31))
