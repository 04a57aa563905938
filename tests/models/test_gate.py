"""A gate that cannot judge stays shut; one that can lets through what is better beyond doubt, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.gate import Check, Compared, Decision, Evidence, Limits, Tonight, _calibrated, _no_worse_list, decide
from models.metrics import Estimate, Judged

LEADS = 1_000
CHECKS = (
    *("log_loss", "average_precision", "gain_at_capacity", "predicted_over_realised", "calibration_slope"),
    *("segments", "list_change", "scoring_time"),
)
RNG = np.random.default_rng(5)
TRUTH = RNG.normal(-2, 1.6, LEADS)
WON = RNG.random(LEADS) < 1 / (1 + np.exp(-TRUTH))


def _said(log_odds: np.ndarray, won: np.ndarray = WON, lead: list[str] | None = None) -> Judged:
    n = len(log_odds)
    nights = np.repeat(np.array(["2025-03-03", "2025-03-10"], "datetime64[us]"), n // 2)
    return Judged(won, log_odds, np.ones(n), np.array(lead or [f"L{at:04}" for at in range(n)], dtype=object), nights)


def _decided(challenger: Judged, champion: Judged, limits: Limits | None = None, **rest: object) -> Decision:
    """The decision where nothing else is to be minded: a list of a tenth, of which three in a hundred would change, scored in no time."""
    evidence = {"segments": {}, "tonight": Tonight(1_000, 100, 3, 0.2, 0.1)} | rest
    return decide(Evidence(challenger, champion, **evidence), limits)  # type: ignore[arg-type]


HONEST = _said(TRUTH)
GUESSED = _said(np.full(LEADS, float(np.log(WON.mean() / (1 - WON.mean())))))


def test_a_clearly_better_challenger_is_promoted() -> None:
    decision = _decided(HONEST, GUESSED)
    assert decision.promote
    assert decision.differences["log_loss"].high < 0 < decision.differences["gain_at_capacity"].low
    assert len(decision.reasons) == 1
    assert decision.reasons[0].startswith("log-loss changed by -0.")
    assert decision.reasons[0].endswith(": better beyond doubt")


def test_a_clearly_worse_challenger_is_not_and_every_loss_is_said() -> None:
    decision = _decided(GUESSED, HONEST)
    assert not decision.promote
    assert decision.reasons[0].endswith(": not better beyond doubt")
    assert [reason.split(" is worse by ")[0] for reason in decision.reasons[1:]] == ["average precision", "gain at capacity"]


def test_an_equal_challenger_is_not_promoted() -> None:
    decision = _decided(HONEST, HONEST)
    assert not decision.promote
    assert decision.reasons == ("log-loss changed by 0.000 (0.000 to 0.000): not better beyond doubt",)


def test_a_challenger_that_is_better_by_luck_alone_is_not_promoted() -> None:
    decision = _decided(_said(TRUTH + np.random.default_rng(7).normal(0, 0.15, LEADS)), HONEST)
    assert decision.differences["log_loss"].value < 0 < decision.differences["log_loss"].high
    assert not decision.promote


def test_a_better_log_loss_does_not_buy_a_worse_list() -> None:
    # The champion shouts but orders well; the challenger speaks softly and has no idea who is best.
    best = np.quantile(TRUTH, 0.85)
    decision = _decided(_said(np.where(best < TRUTH, TRUTH.mean(), TRUTH)), _said(TRUTH * 4))
    assert decision.differences["log_loss"].high < 0
    assert decision.differences["gain_at_capacity"].high < 0
    assert not decision.promote
    assert "gain at capacity is worse by" in decision.reasons[-1]


def test_the_gate_is_shut_on_a_different_number_of_rows() -> None:
    assert _decided(HONEST, HONEST.of(np.arange(LEADS) > 0)).reasons == ("champion and challenger were not scored on the same rows",)


def test_the_gate_is_shut_on_other_leads() -> None:
    others = replace(GUESSED, lead=GUESSED.lead[::-1])
    decision = _decided(HONEST, others)
    assert (decision.promote, decision.reasons) == (False, ("champion and challenger were not scored on the same rows",))


@pytest.mark.parametrize(("conversions", "shut"), [(0, True), (19, True), (20, False)])
def test_the_gate_is_shut_on_too_few_conversions(conversions: int, shut: bool) -> None:
    # The champion says of every lead the same as the challenger, and a little less truly.
    few = np.arange(LEADS) * 997 % LEADS < conversions
    odds = np.linspace(0, 1, LEADS) * 2 + np.where(few, 1.0, 0.0) - 5.2
    decision = _decided(_said(odds, few), _said(odds - np.where(few, 0.01, -0.01), few))
    assert decision.promote is not shut
    words = f"only {conversions} conversions ripened since the champion learned; 20 are needed to judge"
    assert (decision.reasons == (words,)) is shut


def test_the_gate_is_shut_when_every_lead_converted() -> None:
    everyone = np.ones(LEADS, dtype=bool)
    decision = _decided(_said(TRUTH + 3, everyone), _said(TRUTH, everyone))
    assert (decision.promote, decision.reasons) == (False, ("every lead converted: there is nothing to tell apart",))


def test_the_gate_is_shut_when_nothing_ripened() -> None:
    nothing = HONEST.of(np.zeros(LEADS, dtype=bool))
    assert not _decided(nothing, nothing).promote


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("who", ["challenger", "champion"])
def test_the_gate_is_shut_on_a_score_that_is_no_number(broken: float, who: str) -> None:
    odds = np.where(np.arange(LEADS) == 7, broken, TRUTH)
    sides = (_said(odds), GUESSED) if who == "challenger" else (HONEST, _said(odds))
    decision = _decided(*sides)
    assert (decision.promote, decision.reasons, decision.differences) == (False, ("a score is not a finite number",), {})


def test_the_gate_is_shut_on_other_nights_or_outcomes_of_the_same_leads() -> None:
    for other in (replace(GUESSED, night=GUESSED.night[::-1]), replace(GUESSED, converted=~WON)):
        decision = _decided(HONEST, other)
        assert (decision.promote, decision.reasons) == (False, ("champion and challenger were not scored on the same rows",))


def test_twenty_snapshots_of_two_customers_are_two_conversions() -> None:
    few = np.arange(LEADS) < 20
    lead = [f"C{at % 2}" if at < 20 else f"L{at}" for at in range(LEADS)]
    decision = _decided(_said(np.where(few, 3.0, -3.0), few, lead), _said(np.zeros(LEADS), few, lead))
    assert (decision.promote, decision.reasons) == (False, ("only 2 conversions ripened since the champion learned; 20 are needed to judge",))


def _of(decision: Decision, name: str) -> Check:
    (check,) = (check for check in decision.checks if check.name == name)
    return check


def _odds(p: np.ndarray) -> np.ndarray:
    return np.log(p / (1 - p))


P = 1 / (1 + np.exp(-TRUTH))


@pytest.mark.parametrize("times", [1.2, 1 / 1.2])
def test_a_challenger_that_expects_a_fifth_too_much_or_too_little_is_refused_although_it_is_truer_otherwise(times: float) -> None:
    decision = _decided(_said(_odds(np.clip(P * times, 0, 0.999))), GUESSED)
    assert decision.differences["log_loss"].high < 0
    assert not decision.promote
    check = _of(decision, "predicted_over_realised")
    assert not check.held
    assert check.said.startswith("it expects 1" if times > 1 else "it expects 8")
    assert check.said in decision.reasons
    assert "the champion 100: it may be further from the truth by" in check.said
    assert check.said.endswith("%, and 10% is allowed")


def test_the_same_order_and_a_fifth_too_bold_is_refused() -> None:
    decision = _decided(_said(TRUTH * 1.2), HONEST)
    assert not decision.promote
    assert decision.differences["average_precision"].value == decision.differences["gain_at_capacity"].value == 0.0


def test_the_calibration_is_compared_with_the_champions_own() -> None:
    # What is a fifth too much from both is no worse from either; so much is drift, which the challenger did not make.
    both = [_said(_odds(np.clip(P * 1.2, 0, 0.999))), _said(_odds(np.clip((P * 0.9 + 0.1 * P.mean()) * 1.2, 0, 0.999)))]
    decision = _decided(*both)
    assert _of(decision, "predicted_over_realised").held
    assert decision.figures["predicted_over_realised"].challenger == pytest.approx(1.2 * P.sum() / WON.sum(), rel=0.02)


def test_too_few_conversions_to_see_a_slope_keep_the_gate_shut_and_more_open_it() -> None:
    some = np.arange(LEADS) % 4 == 0
    decision = _decided(HONEST.of(some), GUESSED.of(some))
    slope = _of(decision, "calibration_slope")
    assert (decision.promote, slope.held) == (False, False)
    assert slope.said in decision.reasons
    assert _of(_decided(HONEST, GUESSED), "calibration_slope").held


def test_a_figure_that_cannot_be_had_does_not_pass() -> None:
    nothing = Estimate(float("nan"), float("nan"), float("nan"))
    assert not _calibrated("calibration_slope", "said", nothing, 0.2).held
    assert _calibrated("calibration_slope", "said", nothing, 0.2).said == "said: it cannot be compared"
    assert not _no_worse_list("average_precision", Compared(0.0, 0.0, nothing)).held


def test_a_segment_that_is_worse_beyond_doubt_shuts_the_gate_and_is_named() -> None:
    fair = np.arange(LEADS) % 3 == 0
    source = np.where(fair, "fair", "web").astype(object)
    decision = _decided(_said(np.where(fair, -TRUTH, TRUTH)), _said(np.where(fair, TRUTH, TRUTH.mean())), segments={"source": source})
    assert not decision.promote
    assert _of(decision, "segments").said.startswith("log-loss is worse beyond doubt for source: fair (by ")
    even = _decided(HONEST, GUESSED, segments={"source": source})
    assert (even.promote, _of(even, "segments").said) == (True, "worse beyond doubt in none of 2 segments")


def test_segments_that_are_not_known_keep_the_gate_shut() -> None:
    for segments in (None, {"source": np.array(["web"], dtype=object)}):
        decision = _decided(HONEST, GUESSED, segments=segments)
        assert (decision.promote, decision.reasons) == (False, ("it is not known to which segments the leads belong",))


@pytest.mark.parametrize("tonight", [None, Tonight(0, 0, 0, 0.1, 0.1), Tonight(50, 0, 0, 0.1, 0.1)])
def test_without_a_list_tonight_the_gate_is_shut(tonight: Tonight | None) -> None:
    decision = _decided(HONEST, GUESSED, tonight=tonight)
    assert not decision.promote
    assert decision.reasons == ("no lead would be listed tonight, so that neither what sales can work nor what would change of it is known",)
    assert decision.list_change is None


def test_how_much_of_the_list_would_change_is_always_told_and_limited_only_on_demand() -> None:
    told = "80 of the 100 leads on tonight's list would change (80%)"
    tonight = Tonight(1_000, 100, 80, 0.2, 0.1)
    decision = _decided(HONEST, GUESSED, tonight=tonight)
    assert (decision.promote, decision.list_change) == (True, told)
    limited = _decided(HONEST, GUESSED, Limits(changed=0.5), tonight=tonight)
    assert (limited.promote, limited.reasons[1:]) == (False, (f"{told}, and 50% are allowed",))


@pytest.mark.parametrize(
    ("seconds", "champion", "held"), [(59.0, 0.1, True), (61.0, 0.1, False), (600.0, 60.0, True), (601.0, 60.0, False), (float("nan"), 1.0, False)]
)
def test_a_night_may_take_ten_times_as_long_or_a_minute(seconds: float, champion: float, held: bool) -> None:
    decision = _decided(HONEST, GUESSED, tonight=Tonight(1_000, 100, 3, seconds, champion))
    assert decision.promote is held
    assert _of(decision, "scoring_time").held is held


def test_the_capacity_is_tonights_share_of_open_leads() -> None:
    decision = _decided(HONEST, GUESSED, tonight=Tonight(2_000, 500, 3, 0.2, 0.1))
    best = np.zeros(LEADS, dtype=bool)
    for night in (slice(0, 500), slice(500, 1_000)):
        best[night][np.argsort(-TRUTH[night], kind="stable")[:125]] = True
    assert decision.figures["gain_at_capacity"].challenger == pytest.approx(WON[best].sum() / WON.sum())


def test_the_decision_as_tags_holds_verdict_reasons_and_every_interval() -> None:
    tags = _decided(HONEST, GUESSED).tags()
    assert tags["gate"] == "promoted"
    assert tags["reasons"] == _decided(HONEST, GUESSED).reasons[0]
    for name, estimate in _decided(HONEST, GUESSED).differences.items():
        assert tags[f"gate.{name}"] == f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"
    assert tags["gate.list_change"] == "3 of the 100 leads on tonight's list would change (3%)"
    assert set(tags) == {"gate", "reasons", *(f"gate.{name}" for name in (*CHECKS,))}
    assert decide(Evidence(HONEST, GUESSED, {}, None)).tags()["gate"] == "refused"
