"""A stranger reads what the model is for, what it learned from, and how far to believe it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import learnable
import pytest

from features.plan import Plan
from features.timeline import Timeline
from models.blend import Blend
from models.calendar import TimelessModel
from models.card import model_card
from models.choice import EARNED
from models.leader import Blending
from models.metrics import Estimate
from models.race import Learned, learn
from models.worth import Worth

PLAN = Plan(timeline=Timeline(horizon_days=30, settle_days=5))
COUNTS = {"examples": 4_500, "conversions": 1_023, "unripe": 777}


@pytest.fixture(scope="module")
def learned() -> Learned:
    return learn(learnable.examples(leads=150), learnable.FEATURES, PLAN, datetime(2025, 9, 1), k=2, trials=0)


def test_the_card_says_use_evidence_leakage_and_gate(learned: Learned) -> None:
    card = model_card(learned, COUNTS, ["'contract_number' (leads) is not used: it is filled in after the win"], ["there was no champion"])
    lines = card.splitlines()
    assert lines[0] == f"# {learned.leader}, known until 2025-09-01"
    assert "becomes a customer within 30 days, to order calls. Not for deciding about a person alone." in card
    assert "**Learned from** 4,500 examples (one lead on one night) with 1,023 conversions until 2025-07-23; 777 unripe examples" in card
    assert "- 'contract_number' (leads) is not used: it is filled in after the win" in lines
    assert lines[-1] == "**Gate.** there was no champion."


def test_the_card_says_what_expected_value_takes_for_an_amount(learned: Learned) -> None:
    card = model_card(learned, COUNTS, [], ["worse"])
    assert "**Amount.** Expected value is left empty: no amount is known of what is counted." in card.splitlines()
    priced = replace(learned, scorer=replace(learned.scorer, value=250.0))
    assert "**Amount.** Expected value is probability times the average amount (250.00), the same for every lead: fewer than 100 leads" in model_card(
        priced, COUNTS, [], ["worse"]
    )
    change, total = Estimate(-0.19, -0.26, -0.115), Estimate(0.97, 0.87, 1.12)
    tried = replace(priced, worth=Worth(None, {"average": 0.616, "gamma": 0.426}, {"gamma": change}, {"average": total, "gamma": total}, "no", 224))
    lines = model_card(tried, COUNTS, [], ["worse"]).splitlines()
    assert "| amount | gamma deviance | difference to the average | expected over true sum |" in lines
    assert "| average | 0.6160 |  | 0.970 (0.870 to 1.120) |" in lines
    assert "| gamma | 0.4260 | -0.19000 (-0.26000 to -0.11500) | 0.970 (0.870 to 1.120) |" in lines


def test_the_card_says_what_a_blend_is_made_of_and_whether_it_leads(learned: Learned) -> None:
    card = model_card(replace(learned, blending=Blending()), COUNTS, [], ["worse"])
    assert "**Blend.** No blend of the models was tried: fewer than 20 conversions of the backtest were known before its later nights." in card
    assert "weight in the blend" not in card
    losses = {"logistic": 0.5, "hazard": 0.52, "blend": 0.48}
    blending = Blending(Blend({"logistic": 0.75, "hazard": 0.25}), {}, "logistic", losses, Estimate(-0.02, -0.03, -0.01), EARNED)
    lines = model_card(replace(learned, blending=blending), COUNTS, [], ["worse"]).splitlines()
    assert (
        "**Blend.** A blend of 75 % logistic and 25 % hazard lowered log-loss on later nights beyond doubt "
        "(difference to logistic alone, calibrated as it is used, -0.0200, 95 % interval -0.0300 to -0.0100)."
    ) in lines
    at = lines.index("| racer | weight in the blend | log-loss |")
    assert lines[at + 2 : at + 5] == ["| logistic | 0.750 | 0.5000 |", "| hazard | 0.250 | 0.5200 |", "| blend |  | 0.4800 |"]


def test_a_variant_says_what_it_does_without(learned: Learned) -> None:
    assert "**Variant.**" not in model_card(learned, COUNTS, [], ["worse"])
    timeless = replace(learned, scorer=replace(learned.scorer, model=TimelessModel(learned.scorer.model, ("campaign",))))
    said = "**Variant.** The model does without campaign: by each of them alone, newer nights can be told from older ones."
    assert said in model_card(timeless, COUNTS, [], ["worse"]).splitlines()


def test_every_racer_has_a_column_of_figures_with_intervals(learned: Learned) -> None:
    lines = model_card(learned, COUNTS, [], ["worse"]).splitlines()
    assert "| | points table | logistic | boosted trees | hazard |" in lines
    (auc,) = [line for line in lines if line.startswith("| roc auc |")]
    assert (
        auc
        == "| roc auc | "
        + " | ".join(str(learned.metrics[name]["roc_auc"]) for name in ("points table", "logistic", "boosted trees", "hazard"))
        + " |"
    )
