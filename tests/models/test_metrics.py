"""Every figure equals scikit-learn's or a loop that anyone can read, and every interval treats a lead as one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from models.metrics import Estimate, Judged, average, evaluate, gain_curve, measures, paired, reliability_table

Row = tuple[bool, float, float]
# Few distinct scores and weights, so that ties are the rule.
ROWS = st.lists(st.tuples(st.booleans(), st.integers(-8, 8).map(lambda n: n / 4), st.sampled_from([1.0, 2.0, 3.5])), min_size=2, max_size=60)
BOTH = ROWS.filter(lambda rows: len({row[0] for row in rows}) == 2)


def _judged(
    converted: Sequence[object], log_odds: Sequence[float], weight: object = 1.0, lead: Sequence[str] | None = None, night: object = "2025-01-01"
) -> Judged:
    n = len(converted)
    return Judged(
        np.array(converted, dtype=bool),
        np.array(log_odds, dtype=float),
        np.broadcast_to(weight, n).astype(float),
        np.array(lead or [f"L{at:03}" for at in range(n)], dtype=object),
        np.broadcast_to(night, n).astype("datetime64[us]"),
    )


def _value(rows: Judged, name: str) -> float:
    return measures(rows)[name](rows.weight)


def _noisy(seed: int, leads: int = 300, slope: float = 1.0, intercept: float = 0.0, each: int = 1) -> Judged:
    """Leads whose outcome follows a known line through their log-odds, each repeated so many times."""
    rng = np.random.default_rng(seed)
    z = rng.normal(-1, 1.5, leads)
    won = rng.random(leads) < 1 / (1 + np.exp(-(intercept + slope * z)))
    at = np.repeat(np.arange(leads), each)
    return _judged(won[at], z[at], lead=[f"L{n:03}" for n in at])


@settings(max_examples=60, deadline=None)
@given(rows=BOTH)
def test_every_figure_equals_scikit_learns_with_weights_and_ties(rows: list[Row]) -> None:
    y, z, w = (np.array(column) for column in zip(*rows, strict=True))
    p = 1 / (1 + np.exp(-z))
    found = measures(_judged(y, z, w))
    assert found["roc_auc"](w) == pytest.approx(roc_auc_score(y, z, sample_weight=w))
    assert found["average_precision"](w) == pytest.approx(average_precision_score(y, z, sample_weight=w))
    assert found["log_loss"](w) == pytest.approx(log_loss(y, p, sample_weight=w))
    assert found["brier"](w) == pytest.approx(brier_score_loss(y, p, sample_weight=w))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), slope=st.sampled_from([0.3, 1.0, 2.0]), intercept=st.sampled_from([-1.0, 0.0, 0.7]))
def test_calibration_slope_and_intercept_are_a_logistic_fit(seed: int, slope: float, intercept: float) -> None:
    rows = _noisy(seed, slope=slope, intercept=intercept)
    w = np.random.default_rng(seed).choice([1.0, 3.0], len(rows.lead))
    line = LogisticRegression(C=np.inf, tol=1e-10, solver="newton-cholesky").fit(rows.log_odds[:, None], rows.converted, sample_weight=w)
    assert measures(rows)["calibration_slope"](w) == pytest.approx(line.coef_[0, 0], abs=1e-4)
    assert measures(rows)["calibration_intercept"](w) == pytest.approx(line.intercept_[0], abs=1e-4)


def test_the_best_share_is_taken_of_each_night_and_not_of_all_nights_together() -> None:
    # Every score of the second night is higher than any of the first.
    nights = ["2025-01-01"] * 10 + ["2025-01-08"] * 10
    rows = _judged([at in (0, 11, 19) for at in range(20)], [*range(10, 0, -1), *range(30, 20, -1)], night=nights)
    assert np.flatnonzero(rows.top(0.2)).tolist() == [0, 1, 10, 11]
    assert _value(rows, "precision_at_10") == 0.5
    assert _value(rows, "precision_at_20") == 0.5
    assert _value(rows, "lift_at_20") == pytest.approx(0.5 / 0.15)


def test_ties_at_the_edge_of_the_share_go_to_the_first_lead_ids() -> None:
    rows = _judged([1, 0, 0, 0, 0], [2.0, 2.0, 2.0, 2.0, 1.0], lead=["e", "c", "a", "d", "b"])
    assert rows.lead[rows.top(0.4)].tolist() == ["c", "a"]
    assert _value(rows, "precision_at_20") == 0.0


@settings(max_examples=60, deadline=None)
@given(rows=BOTH, share=st.sampled_from([5, 10, 20]), data=st.data())
def test_precision_and_lift_equal_their_loop_in_any_order_of_the_rows(rows: list[Row], share: int, data: st.DataObject) -> None:
    nights = [f"2025-01-0{n}" for n in data.draw(st.lists(st.integers(1, 3), min_size=len(rows), max_size=len(rows)))]
    full = [(*row, f"L{at:03}", night) for at, (row, night) in enumerate(zip(rows, nights, strict=True))]
    won = worked = 0.0
    for night in set(nights):
        of_night = sorted((row for row in full if row[4] == night), key=lambda row: (-row[1], row[3]))
        best = of_night[: math.ceil(len(of_night) * share / 100)]
        won, worked = won + sum(row[2] for row in best if row[0]), worked + sum(row[2] for row in best)
    base = sum(row[2] for row in full if row[0]) / sum(row[2] for row in full)
    judged = _judged(*zip(*data.draw(st.permutations(full)), strict=True))
    assert _value(judged, f"precision_at_{share}") == pytest.approx(won / worked)
    assert _value(judged, f"lift_at_{share}") == pytest.approx(won / worked / base)


@pytest.mark.parametrize(("deals", "share"), [([1, 2, 4], 0.4), ([*range(1, 11)], 0.9), ([10], 1.0), ([1], 0.1), ([1, 9], 0.9)])
def test_of_ten_leads_so_many_must_be_worked_for_nine_of_ten_deals(deals: list[int], share: float) -> None:
    assert _value(_judged([place in deals for place in range(1, 11)], range(10, 0, -1)), "worked_share") == share


def test_in_random_order_90_of_100_leads_must_be_worked_for_nine_of_ten_deals() -> None:
    assert _value(_judged([place % 10 == 0 for place in range(1, 101)], range(100, 0, -1)), "worked_share") == 0.9


def test_leads_that_a_model_cannot_tell_apart_must_all_be_worked() -> None:
    assert _value(_judged([1, 0, 0, 0, 0], [0.5] * 5), "worked_share") == 1.0


def test_the_rows_of_one_lead_are_drawn_together() -> None:
    # Were rows drawn one by one, eight snapshots of each lead would look like eight times the evidence.
    once, often = evaluate(_noisy(3)), evaluate(_noisy(3, each=8))
    for name in ("roc_auc", "log_loss", "brier", "average_precision", "worked_share"):
        assert (often[name].value, often[name].low, often[name].high) == pytest.approx((once[name].value, once[name].low, once[name].high))


def test_a_single_lead_has_no_spread_however_many_rows_it_has() -> None:
    found = evaluate(_judged([1, 0, 0, 1], [2.0, 1.0, 0.5, -1.0], lead=["a"] * 4))
    assert all((one.low, one.high) == pytest.approx((one.value, one.value)) for one in found.values())


def test_an_interval_is_as_wide_as_the_spread_of_whole_leads_makes_it() -> None:
    rows = _noisy(5, leads=800, each=4)
    one_each = rows.of(np.arange(len(rows.lead)) % 4 == 0)
    loss = np.logaddexp(0, one_each.log_odds) - one_each.converted * one_each.log_odds
    found = evaluate(rows, resamples=400)["log_loss"]
    # Four rows a lead make no interval half as wide; a fifth is what 400 draws leave uncertain.
    half = pytest.approx(1.96 * loss.std() / math.sqrt(800), rel=0.2)
    assert (found.value - found.low, found.high - found.value) == (half, half)


def test_the_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    rows = _noisy(1)
    assert evaluate(rows, seed=3, resamples=20) == evaluate(rows, seed=3, resamples=20)
    assert evaluate(rows, seed=3, resamples=20)["brier"] != evaluate(rows, seed=4, resamples=20)["brier"]


def test_a_model_differs_from_itself_by_exactly_nothing() -> None:
    rows = _noisy(2)
    assert set(paired(rows, rows, tuple(measures(rows)), resamples=50).values()) == {Estimate(0.0, 0.0, 0.0)}


def test_a_difference_is_one_minus_the_other() -> None:
    good = _noisy(4)
    blind = _judged(good.converted, np.zeros(len(good.lead)))
    found = paired(good, blind, ("log_loss", "roc_auc"))
    assert found["log_loss"].value == pytest.approx(_value(good, "log_loss") - math.log(2))
    assert found["log_loss"].low < found["log_loss"].value < found["log_loss"].high < 0
    assert found["roc_auc"].value == pytest.approx(_value(good, "roc_auc") - 0.5)


def test_a_mean_has_the_interval_that_the_same_draws_give_to_a_difference() -> None:
    good = _noisy(4, each=3)
    blind = _judged(good.converted, np.zeros(len(good.lead)), lead=list(good.lead))
    losses = [np.logaddexp(0, rows.log_odds) - rows.converted * rows.log_odds for rows in (good, blind)]
    found, expected = average(losses[0] - losses[1], good), paired(good, blind, ("log_loss",))["log_loss"]
    assert (found.value, found.low, found.high) == pytest.approx((expected.value, expected.low, expected.high))


def test_the_mean_of_nobody_is_unknown() -> None:
    rows = _judged([1, 0], [1.0, 0.0], weight=0.0)
    assert all(math.isnan(value) for value in vars(average(np.ones(2), rows)).values())


def test_reliability_counts_leads_and_not_snapshots() -> None:
    odds = [-2.0] * 10 + [1.0] * 10
    rows = _judged([1, 1] + [0] * 8 + [1] * 7 + [0] * 3, odds, lead=[f"L{n % 10}" for n in range(10)] + [f"L{n % 5}" for n in range(10)])
    table = reliability_table(rows, bins=2)
    assert table["predicted"].tolist() == pytest.approx([1 / (1 + math.exp(2)), 1 / (1 + math.exp(-1))])
    assert table["realised"].tolist() == [0.2, 0.7]
    assert table["leads"].tolist() == [10, 5]
    wilson = binomtest(2, 10).proportion_ci(method="wilson")
    assert (table["low"][0], table["high"][0]) == pytest.approx((wilson.low, wilson.high), abs=1e-4)


def test_the_gain_curve_says_how_many_deals_the_best_leads_held() -> None:
    curve = gain_curve(_judged([1, 0, 1, 0, 0], [5, 4, 3, 2, 1]), points=6)
    pd.testing.assert_frame_equal(curve, pd.DataFrame({"worked": [0.0, 0.2, 0.4, 0.6, 0.8, 1.0], "found": [0.0, 0.5, 0.5, 1.0, 1.0, 1.0]}))


def test_a_draw_without_any_conversion_says_nothing_and_breaks_nothing() -> None:
    found = evaluate(_judged(np.arange(100) < 2, np.linspace(3, -3, 100)))
    assert found["lift_at_10"].value == 10.0
    assert np.isfinite([found["lift_at_10"].low, found["lift_at_10"].high]).all()


def test_without_a_conversion_nothing_is_found_by_working() -> None:
    assert math.isnan(_value(_judged(np.zeros(100), np.linspace(3, -3, 100)), "worked_share"))
