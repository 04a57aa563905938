"""The grid that marketers know, made of the parts of the one score."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from features import examples
from features.feature import Feature
from features.plan import Attribute, Deed, Plan
from models.grade import grades

PLAN = Plan(deeds=(Deed("email", "in"),), attributes=(Attribute("industry", "accounts", "category", "creation"),))
FEATURES = examples.features_of(PLAN)


def _graded(fit: float = 0.0, engagement: float = 0.0, **thresholds: int) -> list[object]:
    pulls = {"accounts__industry": fit / 2, "in_in_7d": engagement / 4, f"{PLAN.deeds[0].column}_ever": 3 * engagement / 4}
    industry = next(feature for feature in FEATURES if feature.profile)
    pulls[industry.name] = fit
    pulls.pop("accounts__industry", None) if industry.name != "accounts__industry" else None
    # What neither is: our own touches, and the owner's record.
    table = pd.DataFrame([{**pulls, "touches_7d": 5.0, "lift_owner_id": -5.0, "bias": -2.0}])
    (row,) = grades(table, FEATURES, PLAN, **thresholds).to_numpy().tolist()
    return row


@pytest.mark.parametrize(
    ("fit", "engagement", "told"),
    [
        (0.0, 0.0, [50, 50, "B2", False]),
        (math.log(1.5), math.log(1.5), [60, 60, "A1", True]),
        (-0.5, 2.0, [38, 88, "C1", False]),
        (1.0, -1.0, [73, 27, "A3", False]),
        (0.0, 0.5, [50, 62, "B1", True]),
        (-3.0, -3.0, [5, 5, "C3", False]),
    ],
)
def test_who_a_lead_is_and_what_it_did_make_its_grade(fit: float, engagement: float, told: list[object]) -> None:
    assert _graded(fit, engagement) == told


def test_a_company_may_hand_over_earlier_or_later() -> None:
    assert _graded(0.0, 0.0, fit_from=50, engagement_from=50)[3] is True
    assert _graded(1.0, 1.0, fit_from=90)[3] is False


def test_a_model_without_activities_grades_by_fit_alone() -> None:
    source = Feature("source", "category", "source", "source: {value}", profile=True)
    table = grades(pd.DataFrame({"source": [1.0, -1.0], "bias": -2.0}), [source], Plan())
    assert table["grade"].tolist() == ["A2", "C2"]
