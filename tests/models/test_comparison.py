"""Two runs are compared where both spoke of the same lead on the same night, whatever the order of their rows, and nowhere else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.problem import Problem
from models.comparison import COMPARED, common_rows, differences, features_that_differ, sentence, what_differs
from models.metrics import Estimate

RNG = np.random.default_rng(11)
LEADS = 400
TRUTH = RNG.normal(-1, 1.5, LEADS)


def _run(odds: np.ndarray, nights: tuple[str, ...] = ("2025-03-03", "2025-03-10"), weight: float = 1.0) -> pd.DataFrame:
    """What a run said of every lead on some nights."""
    won = np.random.default_rng(3).random(LEADS) < 1 / (1 + np.exp(-TRUTH))
    lead = pd.DataFrame({"lead_id": [f"L{n:03}" for n in range(LEADS)], "converted": won, "weight": weight, "log_odds": odds})
    return lead.merge(pd.DataFrame({"as_of": pd.to_datetime(list(nights))}), how="cross")


def test_rows_are_matched_by_lead_and_night() -> None:
    one = _run(TRUTH, ("2025-03-03", "2025-03-10"), weight=3.0)
    other = _run(2 * TRUTH, ("2025-03-10", "2025-03-17"), weight=1.0).sample(frac=1, random_state=1)
    left, right = common_rows(one, other.iloc[:500])
    assert len(left.lead) == (other.iloc[:500]["as_of"] == pd.Timestamp("2025-03-10")).sum()
    assert set(left.night.astype("datetime64[D]").astype(str)) == {"2025-03-10"}
    assert right.log_odds == pytest.approx(2 * left.log_odds)
    assert (left.lead == right.lead).all()
    assert (left.weight == 3.0).all()
    assert (right.weight == 3.0).all()


def test_runs_without_a_lead_night_in_common_are_not_compared() -> None:
    with pytest.raises(Problem, match="The two runs judged no lead on the same night"):
        common_rows(_run(TRUTH, ("2025-03-03",)), _run(TRUTH, ("2025-03-10",)))


def test_runs_that_predict_different_things_are_not_compared() -> None:
    sooner = _run(TRUTH)
    sooner.loc[sooner.index[:7], "converted"] = ~sooner.loc[sooner.index[:7], "converted"]
    with pytest.raises(
        Problem, match=r"disagree on whether a lead converted on 7 of the 800 lead-nights that both judged: they predict different things"
    ):
        common_rows(_run(TRUTH), sooner)


def test_a_difference_is_the_second_minus_the_first_with_its_interval() -> None:
    one, other = common_rows(_run(np.full(LEADS, TRUTH.mean())), _run(TRUTH))
    found = differences(one, other)
    assert set(found) == set(COMPARED)
    p, q = (1 / (1 + np.exp(-rows.log_odds)) for rows in (one, other))
    loss = [-np.where(one.converted, np.log(each), np.log(1 - each)).mean() for each in (p, q)]
    assert found["log_loss"].value == pytest.approx(loss[1] - loss[0])
    assert found["log_loss"].low < found["log_loss"].value < found["log_loss"].high < 0
    assert found["roc_auc"].low > 0


def test_better_is_lower_for_a_loss_and_for_the_leads_that_must_be_worked_and_higher_for_the_rest() -> None:
    up, down, unclear = Estimate(0.2, 0.1, 0.3), Estimate(-0.2, -0.3, -0.1), Estimate(0.0, -0.1, 0.1)
    assert sentence({"log_loss": down, "average_precision": up, "worked_share": down}, "b") == (
        "b is better beyond doubt in log-loss, average precision and worked share."
    )
    assert sentence({"log_loss": up, "average_precision": down, "roc_auc": unclear}, "b") == (
        "b is worse beyond doubt in log-loss and average precision; no difference beyond doubt in roc auc."
    )
    assert sentence({"calibration_slope": up, "log_loss": unclear}, "b") == "no difference beyond doubt in log-loss."


def test_what_is_equal_is_not_mentioned() -> None:
    assert what_differs({"seed": "7"}, {"seed": "7"}, ("a", "b")) == []
    assert features_that_differ(["age", "source"], ["source", "age"], ("a", "b")) == []
    assert features_that_differ(["age"], ["source", "team", "stage"], ("a", "b")) == [
        "Only a has the feature age.",
        "Only b has the features source, team and stage.",
    ]
