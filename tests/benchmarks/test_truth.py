"""Figures against the truth are expectations over all that could have happened."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.truth import expected, knowable_information, odds
from models.metrics import measures

TRUTH = np.array([0.1, 0.5, 0.8])
ROWS = pd.DataFrame({"lead_id": ["A", "B", "C"], "as_of": pd.Timestamp("2025-01-01"), "weight": [1.0, 2.0, 1.0]})


def _expected_loss(said: list[float]) -> float:
    each = [w * -(t * np.log(p) + (1 - t) * np.log(1 - p)) for t, p, w in zip(TRUTH, said, ROWS["weight"], strict=True)]
    return sum(each) / 4


def test_log_loss_is_the_expected_one() -> None:
    said = [0.2, 0.4, 0.9]
    rows = expected(ROWS, TRUTH, odds(np.array(said)))
    assert measures(rows)["log_loss"](rows.weight) == pytest.approx(_expected_loss(said))
    assert rows.lead.tolist() == ["A", "B", "C", "A", "B", "C"]


def test_the_truth_knows_all_that_can_be_known_and_the_base_rate_nothing() -> None:
    assert knowable_information(expected(ROWS, TRUTH, odds(TRUTH)), TRUTH) == pytest.approx(1)
    # 0.1 + 2 * 0.5 + 0.8 conversions of 4.
    assert knowable_information(expected(ROWS, TRUTH, odds(np.full(3, 0.475))), TRUTH) == pytest.approx(0)


def test_between_them_it_is_a_share() -> None:
    said = [0.2, 0.4, 0.9]
    base, best = _expected_loss([0.475] * 3), _expected_loss(list(TRUTH))
    found = knowable_information(expected(ROWS, TRUTH, odds(np.array(said))), TRUTH)
    assert found == pytest.approx((base - _expected_loss(said)) / (base - best))
