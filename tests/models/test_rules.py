"""Of few conversions a points table is made, drawn towards the average, and it says what it is."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import learnable
import numpy as np
import pandas as pd
import pytest

from features.plan import Plan
from features.problem import Problem
from models.baseline import fit_points
from models.rules import fit_base_rate, fit_rules, gained, rules, towards_average, try_rules
from models.scorer import Scorer

FRAME = learnable.examples(leads=60, weeks=4)


def _rules(conversions: int) -> tuple[Scorer, pd.DataFrame]:
    return rules(FRAME, learnable.FEATURES, Plan(), datetime(2025, 5, 1), conversions, needed=100, value=50.0)


def test_it_says_how_far_it_is_from_a_learned_model(tmp_path: Path) -> None:
    scorer, points = _rules(37)
    assert scorer.name == "rules, not learned yet: 37 of 100 conversions"
    assert {"field", "value", "points"} == set(points)
    scorer.save(tmp_path)
    assert Scorer.load(tmp_path).name == scorer.name


@pytest.mark.parametrize(("conversions", "trust"), [(20, 0.5), (80, 0.8), (37, 37 / 57)])
def test_few_conversions_leave_little_of_the_distance_to_the_average(conversions: int, trust: float) -> None:
    scorer, _ = _rules(conversions)
    plain, rate = fit_points(FRAME, learnable.FEATURES).log_odds(FRAME), FRAME["converted"].mean()
    average = np.log(rate / (1 - rate))
    assert scorer.log_odds(FRAME) - average == pytest.approx(trust * (plain - average))


def test_a_fold_makes_the_rules_that_its_past_would_have_made() -> None:
    past = FRAME.assign(converted=FRAME["converted"].astype("boolean"))
    held, winners = fit_rules(past, learnable.FEATURES), FRAME.loc[FRAME["converted"].astype(bool), "lead_id"].nunique()
    assert held.calibration == towards_average(winners, FRAME["converted"].mean())
    assert held.log_odds(FRAME) == pytest.approx(_rules(winners)[0].log_odds(FRAME))
    everybody = fit_base_rate(past, learnable.FEATURES).log_odds(FRAME)
    assert 1 / (1 + np.exp(-everybody)) == pytest.approx(np.full(len(FRAME), FRAME["converted"].mean()))


def test_rules_run_every_fold_beside_the_base_rate_and_know_more_where_there_is_something_to_know() -> None:
    frame = learnable.examples(leads=1_500, weeks=60)
    scorer, points = rules(frame, learnable.FEATURES, Plan(), datetime(2026, 9, 1), 60, needed=10_000)
    tried = try_rules(frame, scorer, points, k=2)
    assert list(tried.metrics) == ["rules", "base rate"]
    assert (tried.leader, tried.scorer) == ("rules", scorer)
    assert len(tried.backtest.folds) == 2
    assert set(tried.metrics["base rate"]) == {"average_precision", "log_loss", "brier", "predicted_over_realised"}
    change = gained(tried)
    assert change.low < change.value < change.high < 0
    assert change.value == pytest.approx(tried.metrics["rules"]["log_loss"].value - tried.metrics["base rate"]["log_loss"].value)


def test_where_no_fold_can_be_judged_rules_are_not_tried() -> None:
    scorer, points = _rules(5)
    with pytest.raises(Problem, match=r"^History is too short to be tested: the ripe nights run from "):
        try_rules(FRAME, scorer, points)
