"""Of few conversions a points table is made, drawn towards the average, and it says what it is."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import learnable
import numpy as np
import pandas as pd
import pytest

from features.plan import Plan
from models.baseline import fit_points
from models.rules import rules
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
