"""A gate that cannot judge stays shut; one that can lets through what is better beyond doubt, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.gate import decide
from models.metrics import Judged

LEADS = 1_000
RNG = np.random.default_rng(5)
TRUTH = RNG.normal(-2, 1.6, LEADS)
WON = RNG.random(LEADS) < 1 / (1 + np.exp(-TRUTH))


def _said(log_odds: np.ndarray, won: np.ndarray = WON, lead: list[str] | None = None) -> Judged:
    n = len(log_odds)
    nights = np.repeat(np.array(["2025-03-03", "2025-03-10"], "datetime64[us]"), n // 2)
    return Judged(won, log_odds, np.ones(n), np.array(lead or [f"L{at:04}" for at in range(n)], dtype=object), nights)


HONEST = _said(TRUTH)
GUESSED = _said(np.full(LEADS, float(np.log(WON.mean() / (1 - WON.mean())))))


def test_a_clearly_better_challenger_is_promoted() -> None:
    decision = decide(HONEST, GUESSED)
    assert decision.promote
    assert decision.differences["log_loss"].high < 0 < decision.differences["precision_at_10"].low
    assert len(decision.reasons) == 1
    assert decision.reasons[0].startswith("log-loss changed by -0.")
    assert decision.reasons[0].endswith(": better beyond doubt")


def test_a_clearly_worse_challenger_is_not_and_every_loss_is_said() -> None:
    decision = decide(GUESSED, HONEST)
    assert not decision.promote
    assert decision.reasons[0].endswith(": not better beyond doubt")
    assert [reason.split(" is worse by ")[0] for reason in decision.reasons[1:]] == ["average precision", "precision at 10"]


def test_an_equal_challenger_is_not_promoted() -> None:
    decision = decide(HONEST, HONEST)
    assert not decision.promote
    assert decision.reasons == ("log-loss changed by 0.000 (0.000 to 0.000): not better beyond doubt",)


def test_a_challenger_that_is_better_by_luck_alone_is_not_promoted() -> None:
    decision = decide(_said(TRUTH + np.random.default_rng(7).normal(0, 0.15, LEADS)), HONEST)
    assert decision.differences["log_loss"].value < 0 < decision.differences["log_loss"].high
    assert not decision.promote


def test_a_better_log_loss_does_not_buy_a_worse_list() -> None:
    # The champion shouts but orders well; the challenger speaks softly and has no idea who is best.
    best = np.quantile(TRUTH, 0.85)
    decision = decide(_said(np.where(best < TRUTH, TRUTH.mean(), TRUTH)), _said(TRUTH * 4))
    assert decision.differences["log_loss"].high < 0
    assert decision.differences["precision_at_10"].high < 0
    assert not decision.promote
    assert "precision at 10 is worse by" in decision.reasons[-1]


def test_the_gate_is_shut_on_a_different_number_of_rows() -> None:
    assert decide(HONEST, HONEST.of(np.arange(LEADS) > 0)).reasons == ("champion and challenger were not scored on the same rows",)


def test_the_gate_is_shut_on_other_leads() -> None:
    others = replace(GUESSED, lead=GUESSED.lead[::-1])
    decision = decide(HONEST, others)
    assert (decision.promote, decision.reasons) == (False, ("champion and challenger were not scored on the same rows",))


@pytest.mark.parametrize(("conversions", "shut"), [(0, True), (19, True), (20, False)])
def test_the_gate_is_shut_on_too_few_conversions(conversions: int, shut: bool) -> None:
    few = np.arange(LEADS) < conversions
    decision = decide(_said(np.where(few, 3.0, -3.0), few), _said(np.zeros(LEADS), few))
    assert decision.promote is not shut
    words = f"only {conversions} conversions ripened since the champion learned; 20 are needed to judge"
    assert (decision.reasons == (words,)) is shut


def test_the_gate_is_shut_when_every_lead_converted() -> None:
    everyone = np.ones(LEADS, dtype=bool)
    decision = decide(_said(TRUTH + 3, everyone), _said(TRUTH, everyone))
    assert (decision.promote, decision.reasons) == (False, ("every lead converted: there is nothing to tell apart",))


def test_the_gate_is_shut_when_nothing_ripened() -> None:
    nothing = HONEST.of(np.zeros(LEADS, dtype=bool))
    assert not decide(nothing, nothing).promote


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("who", ["challenger", "champion"])
def test_the_gate_is_shut_on_a_score_that_is_no_number(broken: float, who: str) -> None:
    odds = np.where(np.arange(LEADS) == 7, broken, TRUTH)
    sides = (_said(odds), GUESSED) if who == "challenger" else (HONEST, _said(odds))
    decision = decide(*sides)
    assert (decision.promote, decision.reasons, decision.differences) == (False, ("a score is not a finite number",), {})


def test_the_gate_is_shut_on_other_nights_or_outcomes_of_the_same_leads() -> None:
    for other in (replace(GUESSED, night=GUESSED.night[::-1]), replace(GUESSED, converted=~WON)):
        decision = decide(HONEST, other)
        assert (decision.promote, decision.reasons) == (False, ("champion and challenger were not scored on the same rows",))


def test_twenty_snapshots_of_two_customers_are_two_conversions() -> None:
    few = np.arange(LEADS) < 20
    lead = [f"C{at % 2}" if at < 20 else f"L{at}" for at in range(LEADS)]
    decision = decide(_said(np.where(few, 3.0, -3.0), few, lead), _said(np.zeros(LEADS), few, lead))
    assert (decision.promote, decision.reasons) == (False, ("only 2 conversions ripened since the champion learned; 20 are needed to judge",))
