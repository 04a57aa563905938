"""A correction is kept only where it proved right on later nights, beyond doubt, from what was known before them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from models.calibration import Calibration, fit_sigmoid
from models.choice import CANDIDATES, Choice, choose, in_leads
from models.metrics import Judged, paired

FOLDS, EACH = 4, 400
FOLD = np.repeat(np.arange(FOLDS), EACH)
GAP = np.timedelta64(97, "D")
# One night a fold, a hundred days apart: ripe just before the next.
NIGHT = np.datetime64("2024-01-01T02", "us") + FOLD * np.timedelta64(100, "D")


def _spoken(seed: int, loudness: list[float], night: np.ndarray = NIGHT, weight: object = 1.0) -> Judged:
    """Log-odds that exaggerate by so much in each fold, and outcomes that follow the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(-1, 1.2, FOLDS * EACH)
    won = rng.random(FOLDS * EACH) < 1 / (1 + np.exp(-truth))
    lead = np.array([f"L{n:04}" for n in range(FOLDS * EACH)], dtype=object)
    return Judged(won, truth * np.repeat(loudness, EACH), np.broadcast_to(weight, FOLDS * EACH).astype(float), lead, night)


def test_a_model_that_always_exaggerates_threefold_is_calmed_by_the_simplest_that_can() -> None:
    rows = _spoken(1, [3, 3, 3, 3])
    found = choose(rows, FOLD, GAP)
    assert found.calibration.name == "sigmoid"
    assert found.because == "sigmoid lowered log-loss on later nights beyond doubt"
    # What is kept is learned from all folds, the last one too.
    line = LogisticRegression(C=np.inf, tol=1e-10).fit(rows.log_odds[:, None], rows.converted)
    assert isinstance(found.calibration, Calibration)
    assert (found.calibration.slope, found.calibration.intercept) == pytest.approx((line.coef_[0, 0], line.intercept_[0]), abs=1e-3)


def test_a_correction_that_was_wrong_on_later_nights_is_dropped() -> None:
    # It exaggerated once, and has been honest since: the old correction would now make it timid.
    found = choose(_spoken(2, [3, 3, 3, 1]), FOLD, GAP)
    assert found.calibration == Calibration()
    assert found.because.endswith("helped on older nights and did harm on the newest")


def test_a_gain_that_may_be_luck_is_no_gain() -> None:
    found = choose(_spoken(3, [1.1, 1.1, 1.1, 1.1]), FOLD, GAP)
    sigmoid = found.differences["sigmoid"]
    assert sigmoid.low < 0 < sigmoid.high
    assert found.calibration == Calibration()
    assert "did not lower log-loss on later nights" in found.because


def test_an_honest_model_is_left_alone() -> None:
    assert choose(_spoken(5, [1, 1, 1, 1]), FOLD, GAP).calibration == Calibration()


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000), loudness=st.lists(st.sampled_from([0.5, 0.9, 1.0, 2.0]), min_size=FOLDS, max_size=FOLDS))
def test_what_is_said_of_the_sigmoid_is_what_a_loop_over_the_folds_says(seed: int, loudness: list[float]) -> None:
    rows = _spoken(seed, loudness, weight=np.random.default_rng(seed).choice([1.0, 2.0], FOLDS * EACH))
    p = 1 / (1 + np.exp(-rows.log_odds))
    for fold in range(1, FOLDS):
        before, now = fold > FOLD, fold == FOLD
        line = LogisticRegression(C=1e6).fit(rows.log_odds[before][:, None], rows.converted[before], sample_weight=in_leads(rows)[before])
        p[now] = line.predict_proba(rows.log_odds[now][:, None])[:, 1]
    later = FOLD > 0
    found = choose(rows, FOLD, GAP)
    plain = log_loss(rows.converted[later], 1 / (1 + np.exp(-rows.log_odds[later])), sample_weight=rows.weight[later])
    corrected = log_loss(rows.converted[later], p[later], sample_weight=rows.weight[later])
    assert found.losses["identity"] == pytest.approx(plain)
    assert found.losses["sigmoid"] == pytest.approx(corrected)
    with_it = Judged(rows.converted, np.log(p / (1 - p)), rows.weight, rows.lead, rows.night).of(later)
    same = paired(with_it, rows.of(later), ("log_loss",))["log_loss"]
    assert (same.value, same.low, same.high) == pytest.approx(tuple(vars(found.differences["sigmoid"]).values()), abs=1e-6)
    kept = found.calibration.name
    assert kept == "identity" or (found.differences[kept].high < 0 and found.differences[kept].value < 0)


def test_an_outcome_that_was_not_known_yet_teaches_nothing() -> None:
    # The folds are 90 days apart: when one begins, what became of the one before is known to nobody.
    rows = _spoken(1, [3, 3, 3, 3], NIGHT[0] + FOLD * np.timedelta64(90, "D"))
    found = choose(rows, FOLD, GAP)
    assert list(found.by_fold) == [2, 3]
    for fold, known in ((2, FOLD == 0), (3, FOLD <= 1)):
        assert found.by_fold[fold] == fit_sigmoid(rows.log_odds[known], rows.converted[known], np.ones(known.sum()))


def test_with_few_known_conversions_nothing_is_tried() -> None:
    rows = _spoken(1, [3, 3, 3, 3])
    few = Judged(rows.converted & (np.arange(len(FOLD)) % 60 == 0), rows.log_odds, rows.weight, rows.lead, rows.night)
    assert len(few.lead[few.converted & (FOLD < 3)]) < 20
    assert choose(few, FOLD, GAP) == Choice()
    assert choose(rows, np.full(len(FOLD), 2), GAP) == Choice()
    assert Choice().table().empty


@pytest.mark.parametrize("all_won", [True, False])
def test_outcomes_of_one_class_teach_nothing(all_won: bool) -> None:
    rows = _spoken(1, [3, 3, 3, 3])
    one = Judged(np.full(len(FOLD), all_won), rows.log_odds, rows.weight, rows.lead, rows.night)
    assert choose(one, FOLD, GAP).calibration == Calibration()


def test_the_table_names_everybody_and_the_one_that_is_used() -> None:
    found = choose(_spoken(1, [3, 3, 3, 3]), FOLD, GAP)
    table = found.table().set_index("candidate")
    assert list(table.index) == list(CANDIDATES) == ["identity", "sigmoid", "beta", "isotonic", "Venn-Abers", "spline"]
    assert table.index[table["chosen"]].tolist() == ["sigmoid"]
    assert table.loc["identity", ["difference", "low", "high"]].tolist() == [0, 0, 0]
    assert table["log_loss"].to_dict() == found.losses
    pd.testing.assert_series_equal(table["difference"], table["log_loss"] - table.loc["identity", "log_loss"], check_names=False)


def test_weights_count_leads_and_not_their_nights() -> None:
    rows = Judged(np.array([True, False, False]), np.zeros(3), np.array([2.0, 2.0, 4.0]), np.array(["a", "a", "b"], dtype=object), NIGHT[:3])
    assert in_leads(rows).tolist() == [0.5, 0.5, 1.0]
