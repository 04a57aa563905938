"""An amount of each lead's own is used only where it was truly better on later conversions of other leads; else the average stays."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import payers
import pytest

from features.labels import as_known
from features.outcome import Outcome
from features.plan import Plan
from models import worth
from models.amount import fit_gamma
from models.metrics import Estimate
from models.worth import Worth, fit_amount, paid


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_where_size_drives_the_amount_each_lead_has_its_own(seed: int) -> None:
    frame = payers.examples(600, size=0.35, seed=seed)
    found = fit_amount(frame, payers.FEATURES, payers.PLAN)
    assert found.model is not None
    assert found.because == f"{found.name} lowered gamma deviance on later nights beyond doubt"
    assert found.differences[found.name].high < -0.1
    assert found.totals[found.name].low < 1.1
    assert found.totals[found.name].high > 0.9
    small, large = (found.model.of(frame[(frame["employees"] == size).to_numpy()]).mean() for size in (12.0, 3000.0))
    # (3000 / 12) ** 0.35 is 6.9.
    assert 4 < large / small < 9


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_where_nothing_drives_it_the_average_stays(seed: int) -> None:
    found = fit_amount(payers.examples(600, size=0.0, seed=seed), payers.FEATURES, payers.PLAN)
    assert (found.model, found.name) == (None, "average")
    assert "did not lower gamma deviance on later nights" in found.because
    assert all(change.high >= 0 for change in found.differences.values())
    assert found.totals["average"].value == pytest.approx(1.0, abs=0.2)


def test_one_deal_of_a_hundred_times_the_size_does_not_decide_who_wins() -> None:
    for size, kept in ((0.35, False), (0.0, True)):
        frame = payers.examples(600, size=size, seed=4)
        lucky = frame["lead_id"] == frame.loc[frame["amount"].notna(), "lead_id"].iloc[40]
        found = fit_amount(frame.assign(amount=frame["amount"].where(~lucky, 100 * frame["amount"])), payers.FEATURES, payers.PLAN)
        assert (found.model is None) is kept


def test_of_few_amounts_the_average_stays() -> None:
    frame = payers.examples(190, size=0.35, seed=1)
    assert paid(frame)["lead_id"].nunique() < 100
    found = fit_amount(frame, payers.FEATURES, payers.PLAN)
    assert (found.model, found.losses, found.figures()) == (None, {}, {})
    assert found.table().empty
    assert found.sentence("lead", 5_000.0) == (
        "Expected value is probability times the average amount (5,000.00), the same for every lead: "
        "fewer than 100 leads converted with an amount that is known."
    )
    assert fit_amount(frame.drop(columns="amount"), payers.FEATURES, payers.PLAN) == found
    assert fit_amount(frame.assign(amount=0.0), payers.FEATURES, payers.PLAN) == found


def test_where_what_counts_is_no_deal_the_average_stays() -> None:
    plan = Plan(timeline=payers.PLAN.timeline, outcome=Outcome("churn"))
    found = fit_amount(payers.examples(600, size=0.35, seed=1), payers.FEATURES, plan)
    assert found.model is None
    assert found.sentence("customer", 800.0).endswith("the same for every customer: what is counted is no deal, and so has no amount of its own.")
    assert found.sentence("customer", None) == "Expected value is left empty: no amount is known of what is counted."


def test_amounts_that_all_came_late_are_none_that_others_could_learn_from() -> None:
    frame = payers.examples(1_200, size=0.35, seed=1)
    late = frame.assign(amount=frame["amount"].where(frame["as_of"] > pd.Timestamp("2025-10-01")))
    found = fit_amount(late, payers.FEATURES, payers.PLAN)
    assert found.because == "too few amounts were known before the later nights, so that no other was tried"


def test_nobody_judges_what_it_was_learned_from_and_nothing_is_learned_before_it_was_known(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = payers.examples(600, size=0.35, seed=1)
    heard: list[tuple[pd.DataFrame, pd.DataFrame]] = []

    class Heard:
        def __init__(self, past: pd.DataFrame, *rest: Any) -> None:
            self.past, self.model = past, fit_gamma(past, payers.FEATURES)

        def of(self, test: pd.DataFrame) -> np.ndarray:
            heard.append((self.past, test))
            return self.model.of(test)

        def times(self, level: float) -> Heard:
            return self

    monkeypatch.setattr(worth, "CANDIDATES", {"gamma": Heard})
    fit_amount(frame, payers.FEATURES, payers.PLAN)
    assert len(heard) == 8
    for past, test in heard:
        assert not set(past["lead_id"]) & set(test["lead_id"])
        assert past["as_of"].max() <= test["as_of"].min() - payers.PLAN.timeline.gap
    assert pd.concat([test for _, test in heard])["lead_id"].nunique() > 120


def test_what_is_signed_later_does_not_reach_the_past_of_a_fold() -> None:
    """Known by the end of June or by the end of the extract: a training as of June says the same, whatever is paid in July."""
    frame = payers.examples(600, size=0.35, seed=1)
    june = datetime(2025, 7, 1, 2)
    richer = frame.assign(amount=frame["amount"].where(frame["as_of"] <= june - payers.PLAN.timeline.gap, 1e6))
    one, other = (as_known(each, june, payers.PLAN.timeline) for each in (frame, richer))
    pd.testing.assert_frame_equal(one, other)
    assert one["amount"].notna().sum() > 100


def test_at_most_four_nights_a_lead_weigh_one_together() -> None:
    nights = [datetime(2025, 1, 1, 2) + timedelta(days=7 * n) for n in range(9)]
    rows = [("often", night, True, 10.0) for night in nights] + [("once", nights[0], True, 20.0), ("once", nights[1], False, None)]
    rows += [("open", nights[0], None, None), ("unknown", nights[0], True, None), ("refund", nights[0], True, -5.0)]
    frame = pd.DataFrame(rows, columns=["lead_id", "as_of", "converted", "amount"]).assign(weight=3.0)
    found = paid(frame.astype({"converted": "boolean", "amount": float}))
    assert found["lead_id"].tolist() == ["often"] * 4 + ["once"] if found["lead_id"].iloc[0] == "often" else ["once"] + ["often"] * 4
    assert found.groupby("lead_id")["weight"].sum().to_dict() == {"often": 1.0, "once": 1.0}
    assert found.loc[found["lead_id"] == "often", "as_of"].tolist() == [nights[n] for n in (2, 4, 6, 8)]


def test_the_report_says_who_was_chosen_and_by_what_figures() -> None:
    none = Estimate(0.9, 0.8, 1.1)
    found = Worth(
        fit_gamma(paid(payers.examples(60, size=0.35, seed=1)), payers.FEATURES),
        {"average": 0.635, "log-normal": 0.360, "gamma": 0.352},
        {"log-normal": Estimate(-0.275, -0.3, -0.25), "gamma": Estimate(-0.283, -0.307, -0.257)},
        {"average": none, "log-normal": none, "gamma": Estimate(1.0, 0.98, 1.03)},
        "gamma lowered gamma deviance on later nights beyond doubt",
        2_679,
    )
    assert found.sentence("lead", 5_000.0) == (
        "Expected value is probability times the amount expected of each lead (gamma): gamma lowered gamma deviance on later nights beyond doubt "
        "(0.352 against 0.635 of the average, difference -0.283, 95 % interval -0.307 to -0.257); over 2,679 later conversions what is used "
        "expected 1.00 times what was paid (0.98 to 1.03)."
    )
    assert found.table()[["candidate", "gamma_deviance", "difference", "chosen"]].to_numpy().tolist() == [
        ["average", 0.635, 0.0, False],
        ["log-normal", 0.360, -0.275, False],
        ["gamma", 0.352, -0.283, True],
    ]
    assert found.figures() == {
        "amount.total": Estimate(1.0, 0.98, 1.03),
        "amount.log_normal.difference": Estimate(-0.275, -0.3, -0.25),
        "amount.gamma.difference": Estimate(-0.283, -0.307, -0.257),
    }
