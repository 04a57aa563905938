"""A correction rises with the score, never claims certainty, is stored as text, and reasons still add up under it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict
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
from models.calibration import (
    Calibration,
    Knots,
    Map,
    carried,
    fit_beta,
    fit_isotonic,
    fit_sigmoid,
    fit_spline,
    fit_venn_abers,
    log_loss_of,
    log_losses,
    restored,
    sigmoid,
)
from models.scorer import Scorer

Fit = Callable[[np.ndarray, np.ndarray, np.ndarray], Map]
FITS: dict[str, Fit] = {"sigmoid": fit_sigmoid, "beta": fit_beta, "isotonic": fit_isotonic, "Venn-Abers": fit_venn_abers, "spline": fit_spline}
# Few distinct scores, so that ties are the rule.
ROWS = st.lists(st.tuples(st.booleans(), st.integers(-12, 12).map(lambda n: n / 3), st.sampled_from([0.5, 1.0, 3.0])), min_size=2, max_size=40)
_CURVES = st.builds(
    lambda low, high, intercept: Calibration((low + high) / 2, intercept, (high - low) / 2), st.floats(0.05, 3), st.floats(0.05, 3), st.floats(-2, 2)
)
_AT_TO = st.integers(1, 8).flatmap(lambda n: st.tuples(*[st.lists(st.integers(-600, 600), min_size=n, max_size=n, unique=True).map(sorted)] * 2))
MAPS = st.one_of(_CURVES, _AT_TO.map(lambda both: Knots("spline", *(tuple(value / 100 for value in side) for side in both))))


def _spoken(seed: int, leads: int, said: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True log-odds, what a model says of them, and outcomes that follow the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(-1, 1.2, leads)
    return truth, said(truth), rng.random(leads) < 1 / (1 + np.exp(-truth))


def test_the_sigmoid_is_a_logistic_fit() -> None:
    _, odds, won = _spoken(1, 1_600, lambda truth: 3 * truth)
    found = fit_sigmoid(odds, won, np.ones(1_600))
    assert found.slope == pytest.approx(1 / 3, abs=0.05)
    line = LogisticRegression(C=np.inf, tol=1e-10).fit(odds[:, None], won)
    assert (found.slope, found.intercept) == pytest.approx((line.coef_[0, 0], line.intercept_[0]), abs=1e-3)


def test_beta_is_a_logistic_fit_of_both_logarithms() -> None:
    # High scores exaggerate and low ones do not: a line cannot mend both.
    truth, odds, won = _spoken(1, 20_000, lambda truth: np.where(truth > 0, 3 * truth, truth))
    found = fit_beta(odds, won, np.ones(20_000))
    p = 1 / (1 + np.exp(-odds))
    model = LogisticRegression(C=np.inf, tol=1e-10).fit(np.column_stack([np.log(p), -np.log1p(-p)]), won)
    low, high = model.coef_[0]
    assert (found.slope - found.bend, found.slope + found.bend, found.intercept) == pytest.approx((low, high, model.intercept_[0]), abs=5e-3)
    assert low > high > 0
    p_beta = sigmoid(found.apply(odds))
    by_hand = 1 / (1 + np.exp(-(found.intercept + (found.slope - found.bend) * np.log(p) - (found.slope + found.bend) * np.log1p(-p))))
    assert p_beta == pytest.approx(by_hand)
    assert np.abs(p_beta - sigmoid(truth)).mean() < 0.02 < np.abs(p - sigmoid(truth)).mean()


def test_isotonic_joins_the_middles_of_rising_steps_with_two_leads_made_up() -> None:
    # Rates by score: 0 of 2, 2 of 3, 1 of 3, 4 of 4. The two in the middle contradict each other and become 3 of 6.
    odds = np.repeat([-2.0, -1.0, 0.0, 2.0], [2, 3, 3, 4])
    won = np.array([0, 0, 1, 1, 0, 1, 0, 0, 1, 1, 1, 1], dtype=bool)
    found = fit_isotonic(odds, won, np.ones(12))
    assert isinstance(found, Knots)
    assert found.at == pytest.approx((-2.0, -0.5, 2.0))
    # One made-up win joins the two losses at the bottom, one made-up loss the four wins at the top.
    assert sigmoid(np.array(found.to)) == pytest.approx([1 / 3, 0.5, 4 / 5])


def _pooled(rates: list[float], masses: list[float]) -> list[float]:
    """Isotonic regression as anyone can read it: the highest mean of what starts before and the lowest of what ends after."""
    n = len(rates)

    def mean(first: int, last: int) -> float:
        weight = sum(masses[first : last + 1])
        return sum(r * m for r, m in zip(rates[first : last + 1], masses[first : last + 1], strict=True)) / weight

    return [max(min(mean(first, last) for last in range(at, n)) for first in range(at + 1)) for at in range(n)]


@settings(max_examples=40, deadline=None)
@given(rows=ROWS.filter(lambda rows: len({row[0] for row in rows}) == 2))
def test_venn_abers_equals_its_loop(rows: list[tuple[bool, float, float]]) -> None:
    won, odds, weight = (np.array(column) for column in zip(*rows, strict=True))
    found = fit_venn_abers(odds, won, weight)
    places = sorted({row[1] for row in rows})
    expected = []
    for place in places:
        with_one_more = []
        for outcome in (False, True):
            each = [*rows, (outcome, place, 1.0)]
            masses = [sum(w for _, z, w in each if z == at) for at in places]
            rates = [sum(w for y, z, w in each if z == at and y) / mass for at, mass in zip(places, masses, strict=True)]
            with_one_more.append(_pooled(rates, masses)[places.index(place)])
        lost, all_won = with_one_more
        expected.append(all_won / (1 - lost + all_won))
    assert isinstance(found, Knots)
    # Where several scores share a probability there is one knot in their middle.
    distinct = [p for at, p in enumerate(expected) if at == 0 or p - expected[at - 1] > 1e-9]
    assert sigmoid(np.array(found.to)) == pytest.approx(distinct)


def test_a_spline_follows_a_bend_that_a_line_cannot() -> None:
    truth, odds, won = _spoken(4, 20_000, lambda truth: np.where(truth > -1, 3 * truth + 2, 0.5 * truth - 0.5))
    weight = np.ones(20_000)
    away = {name: np.abs(sigmoid(fit(odds, won, weight).apply(odds)) - sigmoid(truth)).mean() for name, fit in FITS.items()}
    for name in ("spline", "isotonic", "Venn-Abers"):
        assert away[name] < away["sigmoid"] / 2


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, name=st.sampled_from(list(FITS)))
def test_every_map_rises_and_claims_no_certainty(rows: list[tuple[bool, float, float]], name: str) -> None:
    won, odds, weight = (np.array(column) for column in zip(*rows, strict=True))
    found = FITS[name](odds, won, weight * len(rows) / weight.sum())
    calibrated = found.apply(np.linspace(-15, 15, 301))
    assert np.isfinite(calibrated).all()
    assert (np.diff(calibrated) >= 0).all()
    if isinstance(found, Knots):
        assert (np.diff(calibrated) > 0).all()
        # No outcome of a handful of leads proves anything to one in ten thousand.
        assert np.abs(found.to).max() < math.log(10_000)


@settings(max_examples=60, deadline=None)
@given(found=MAPS)
def test_a_map_comes_back_from_text_as_it_was(found: Map) -> None:
    assert restored(json.loads(json.dumps(asdict(found)))) == found


@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize("all_won", [True, False])
def test_outcomes_of_one_class_teach_nothing(name: str, all_won: bool) -> None:
    odds = np.linspace(-3, 1, 50)
    assert FITS[name](odds, np.full(50, all_won), np.ones(50)) == Calibration()
    assert Calibration().name == "identity"
    assert Calibration().apply(odds).tolist() == odds.tolist()


def test_scores_that_are_upside_down_are_not_turned_round() -> None:
    _, odds, won = _spoken(1, 2_000, lambda truth: -truth)
    assert fit_sigmoid(odds, won, np.ones(2_000)) == Calibration()
    assert np.ptp(fit_isotonic(odds, won, np.ones(2_000)).apply(np.array([-2.0, 2.0]))) < 0.5


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(st.tuples(st.booleans(), st.floats(-20, 20), st.floats(0.1, 5)), min_size=2).filter(lambda rows: len({row[0] for row in rows}) == 2)
)
def test_log_loss_equals_scikit_learns(rows: list[tuple[bool, float, float]]) -> None:
    won, odds, weight = (np.array(column) for column in zip(*rows, strict=True))
    assert log_loss_of(won, odds, weight) == pytest.approx(log_loss(won, 1 / (1 + np.exp(-odds)), sample_weight=weight), abs=1e-6)
    assert np.average(log_losses(won, odds), weights=weight) == pytest.approx(log_loss_of(won, odds, weight))


def test_a_probability_stays_in_bounds_however_extreme_the_score() -> None:
    found = sigmoid(np.array([-1e9, -1.0, 0.0, 1.0, 1e9]))
    assert found[1:4].tolist() == pytest.approx([0.2689414, 0.5, 0.7310586])
    assert 0 < found[0] < 1e-14
    assert 1 - 1e-14 < found[4] <= 1


EACH = st.lists(st.lists(st.floats(-4, 4).filter(lambda c: c == 0 or abs(c) > 1e-3), min_size=3, max_size=3), min_size=1, max_size=10)


@settings(max_examples=100, deadline=None)
@given(each=EACH, bias=st.floats(-4, 4), calibration=MAPS)
def test_contributions_add_up_and_keep_their_signs_and_order_under_every_map(each: list[list[float]], bias: float, calibration: Map) -> None:
    before = pd.DataFrame(each, columns=["opens", "source", "age"]).assign(bias=bias)
    after = carried(before, calibration)
    assert after.sum(axis=1).to_numpy() == pytest.approx(calibration.apply(before.sum(axis=1).to_numpy()), abs=1e-7)
    assert after["bias"].tolist() == pytest.approx([calibration.apply(np.array([bias]))[0]] * len(each))
    for old, new in zip(each, after[["opens", "source", "age"]].to_numpy().tolist(), strict=True):
        assert [math.copysign(1, n) if o else 0 for o, n in zip(old, new, strict=True)] == [math.copysign(1, o) if o else 0 for o in old]
        by_old = [new[at] for at in sorted(range(3), key=lambda at: old[at])]
        assert by_old == sorted(by_old)


def test_features_that_cancel_out_stay_as_they_are() -> None:
    before = pd.DataFrame({"opens": [1.5], "source": [-1.5], "bias": [-2.0]})
    after = carried(before, Calibration(0.5, 1.0))
    assert after.to_dict("records") == [{"opens": 1.5, "source": -1.5, "bias": 0.0}]


def test_a_scorers_contributions_still_add_up_after_calibration() -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"lead_id": [f"L{n}" for n in range(300)], "opens": rng.poisson(3, 300).astype(float), "weight": 1.0})
    frame["source"] = rng.choice(["web", "ads"], 300)
    frame["converted"] = rng.random(300) < 0.05 * frame["opens"]
    features = (Feature("opens", "number", "opens", "{value} opens"), Feature("source", "category", "source", "source: {value}"))
    model = fit_logistic(frame, features)
    for calibration in (Calibration(0.6, -0.25), Calibration(0.8, -0.25, 0.3), Knots("isotonic", (-4.0, -1.0, 1.0), (-3.5, -2.0, 0.1))):
        scorer = Scorer(model, calibration, Plan(), features, datetime(2025, 1, 1), datetime(2025, 4, 1), 0.1)
        added = scorer.contributions(frame).sum(axis=1).to_numpy()
        assert added == pytest.approx(scorer.log_odds(frame))
        assert added == pytest.approx(calibration.apply(model.log_odds(frame)))
        assert scorer.probability(frame) == pytest.approx(1 / (1 + np.exp(-added)))
    line = Scorer(model, Calibration(0.6, -0.25), Plan(), features, datetime(2025, 1, 1), datetime(2025, 4, 1), 0.1)
    assert line.log_odds(frame) == pytest.approx(0.6 * model.log_odds(frame) - 0.25)
    assert line.contributions(frame)["opens"].to_numpy() == pytest.approx(0.6 * model.contributions(frame)["opens"].to_numpy())
