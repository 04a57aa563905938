"""A correction is kept only where it proved right on later nights, and reasons still add up under it."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from features.feature import Feature
from features.plan import Plan
from models.baseline import fit_logistic
from models.calibration import Calibration, choose, fit_sigmoid, log_loss_of, sigmoid
from models.scorer import Scorer

FOLDS, EACH = 4, 400
FOLD = np.repeat(np.arange(FOLDS), EACH)
ONES = np.ones(FOLDS * EACH)


def _spoken(seed: int, loudness: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds that exaggerate by so much in each fold, and outcomes that follow the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(-1, 1.2, FOLDS * EACH)
    return truth * np.repeat(loudness, EACH), rng.random(FOLDS * EACH) < 1 / (1 + np.exp(-truth))


def test_a_model_that_always_exaggerates_threefold_is_calmed() -> None:
    odds, won = _spoken(1, [3, 3, 3, 3])
    found = choose(odds, won, ONES, FOLD)
    assert found.name == "sigmoid"
    assert found.slope == pytest.approx(1 / 3, abs=0.05)
    # What is kept is learned from all folds, the last one too.
    line = LogisticRegression(C=np.inf, tol=1e-10).fit(odds[:, None], won)
    assert (found.slope, found.intercept) == pytest.approx((line.coef_[0, 0], line.intercept_[0]), abs=1e-3)


def test_a_correction_that_was_wrong_on_later_nights_is_dropped() -> None:
    # It exaggerated once, and has been honest since: the old correction would now make it timid.
    odds, won = _spoken(2, [3, 3, 3, 1])
    assert choose(odds, won, ONES, FOLD) == Calibration()
    assert Calibration().name == "identity"
    assert Calibration().apply(odds).tolist() == odds.tolist()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), loudness=st.lists(st.sampled_from([0.5, 0.9, 1.0, 1.1, 2.0]), min_size=FOLDS, max_size=FOLDS))
def test_it_is_kept_exactly_if_the_earlier_folds_taught_what_helps_on_the_last(seed: int, loudness: list[float]) -> None:
    odds, won = _spoken(seed, loudness)
    weight = np.random.default_rng(seed).choice([1.0, 2.0], len(odds))
    last = FOLD == FOLDS - 1
    line = LogisticRegression(C=1e6).fit(odds[~last][:, None], won[~last], sample_weight=weight[~last])
    plain = log_loss(won[last], 1 / (1 + np.exp(-odds[last])), sample_weight=weight[last])
    corrected = log_loss(won[last], line.predict_proba(odds[last][:, None])[:, 1], sample_weight=weight[last])
    assert (choose(odds, won, weight, FOLD).name == "sigmoid") == (corrected < plain)


def test_without_an_earlier_fold_nothing_can_be_proved() -> None:
    odds, won = _spoken(1, [3, 3, 3, 3])
    assert choose(odds, won, ONES, np.full(len(odds), 2)) == Calibration()


@pytest.mark.parametrize("all_won", [True, False])
def test_outcomes_of_one_class_teach_nothing(all_won: bool) -> None:
    odds, _ = _spoken(1, [3, 3, 3, 3])
    won = np.full(len(odds), all_won)
    assert fit_sigmoid(odds, won, ONES) == Calibration()
    assert choose(odds, won, ONES, FOLD) == Calibration()


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(st.tuples(st.booleans(), st.floats(-20, 20), st.floats(0.1, 5)), min_size=2).filter(lambda rows: len({row[0] for row in rows}) == 2)
)
def test_log_loss_equals_scikit_learns(rows: list[tuple[bool, float, float]]) -> None:
    won, odds, weight = (np.array(column) for column in zip(*rows, strict=True))
    assert log_loss_of(won, odds, weight) == pytest.approx(log_loss(won, 1 / (1 + np.exp(-odds)), sample_weight=weight), abs=1e-6)


def test_a_probability_stays_in_bounds_however_extreme_the_score() -> None:
    found = sigmoid(np.array([-1e9, -1.0, 0.0, 1.0, 1e9]))
    assert found[1:4].tolist() == pytest.approx([0.2689414, 0.5, 0.7310586])
    assert 0 < found[0] < 1e-14
    assert 1 - 1e-14 < found[4] <= 1


def test_contributions_still_add_up_after_calibration() -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"lead_id": [f"L{n}" for n in range(300)], "opens": rng.poisson(3, 300).astype(float), "weight": 1.0})
    frame["source"] = rng.choice(["web", "ads"], 300)
    frame["converted"] = rng.random(300) < 0.05 * frame["opens"]
    features = (Feature("opens", "number", "opens", "{value} opens"), Feature("source", "category", "source", "source: {value}"))
    model = fit_logistic(frame, features)
    scorer = Scorer(model, Calibration(0.6, -0.25), Plan(), features, datetime(2025, 1, 1), datetime(2025, 4, 1), 0.1)
    added = scorer.contributions(frame).sum(axis=1).to_numpy()
    assert added == pytest.approx(scorer.log_odds(frame))
    assert added == pytest.approx(0.6 * model.log_odds(frame) - 0.25)
    assert scorer.probability(frame) == pytest.approx(1 / (1 + np.exp(-added)))
