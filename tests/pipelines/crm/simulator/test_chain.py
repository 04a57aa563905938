"""One day's step is a matrix of probabilities, and its powers are the chances to be won."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipelines.crm.simulator import parameters as p
from pipelines.crm.simulator.chain import advances, first_intent, intent_steps, losses, stage_likelihood, win_chances

APPEALS = st.lists(st.floats(-8, 8), min_size=1, max_size=5).map(np.array)


def _dense(appeal: float) -> NDArray[np.float64]:
    """The whole (stage, intent) matrix of one lead, number by number from the table of parameters; no step is likelier than a half."""
    rise = [min(p.COLD_TO_WARM * math.exp(appeal), 0.5), min(p.WARM_TO_HOT * math.exp(appeal), 0.5)]
    intent = [[1 - rise[0], rise[0], 0], [p.WARM_TO_COLD, 1 - p.WARM_TO_COLD - rise[1], rise[1]], [0, p.HOT_TO_WARM, 1 - p.HOT_TO_WARM]]
    matrix = np.zeros((18, 18))
    for stage in range(6):
        for now in range(3):
            if stage >= p.WON:
                to = {stage: 1.0}
            else:
                onward = min(p.ADVANCE[stage][now] * math.exp(p.APPEAL_ON_ADVANCE * appeal), 0.5)
                lost = p.LOSE[now] if stage else 0.0
                to = {stage + 1: onward, p.LOST: lost, stage: 1 - onward - lost}
            for target, chance in to.items():
                for tomorrow in range(3):
                    matrix[3 * stage + now, 3 * target + tomorrow] += chance * intent[now][tomorrow]
    return matrix


@given(appeals=APPEALS, lift=st.floats(0, 10))
def test_every_step_is_a_matrix_of_probabilities(appeals: NDArray[np.float64], lift: float) -> None:
    steps, begun, onward = intent_steps(appeals, lift), first_intent(appeals), advances(appeals)
    assert (steps.shape, begun.shape, onward.shape, losses().shape) == ((len(appeals), 3, 3), (len(appeals), 3), (len(appeals), 4, 3), (4, 3))
    for chances in (steps, begun, onward, losses(), 1 - onward - losses()):
        assert chances.min() >= 0
        assert chances.max() <= 1
    assert np.allclose(steps.sum(axis=2), 1, rtol=0, atol=1e-12)
    assert np.allclose(begun.sum(axis=1), 1, rtol=0, atol=1e-12)
    assert np.allclose([_dense(appeal).sum(axis=1) for appeal in appeals], 1, rtol=0, atol=1e-12)


@pytest.mark.parametrize("days", [0, 1, 2, 7, 90, 365])
def test_chances_to_be_won_are_powers_of_the_whole_matrix(days: int) -> None:
    appeals = np.array([-2.5, -0.4, 0.0, 0.9, 2.0, 6.0])
    told = win_chances(appeals, days)
    for at, appeal in enumerate(appeals):
        power = np.linalg.matrix_power(_dense(appeal), days)
        expected = power[:12, 3 * p.WON : 3 * p.WON + 3].sum(axis=1).reshape(4, 3)
        assert np.allclose(told[at], expected, rtol=1e-10, atol=1e-15)


@settings(max_examples=30, deadline=None)
@given(appeal=st.floats(-3, 2), days=st.integers(0, 90))
def test_one_more_day_a_further_deal_and_a_warmer_intent_never_lower_the_chance(appeal: float, days: int) -> None:
    now, later = win_chances(np.array([appeal]), days)[0], win_chances(np.array([appeal]), days + 1)[0]
    assert (later >= now).all()
    # Without a deal there is none to lose: only from the first stage on is further surely better.
    assert (np.diff(now[1:], axis=0) >= 0).all()
    assert (np.diff(now, axis=1) >= 0).all()


def test_a_deal_moves_one_stage_a_day() -> None:
    chances = win_chances(np.array([0.0, 1.0]), 3)
    assert (chances[:, 0] == 0).all()
    assert (chances[:, 1:] > 0).all()
    assert (win_chances(np.array([0.0]), 4)[:, 0] > 0).all()
    assert win_chances(np.array([0.0]), 1)[0].tolist() == [[0.0] * 3] * 3 + [list(p.ADVANCE[3])]


def test_appeal_opens_every_step_upwards_and_none_downwards() -> None:
    low, high = np.array([-0.5]), np.array([0.5])
    assert (intent_steps(high)[0, [0, 1], [1, 2]] / intent_steps(low)[0, [0, 1], [1, 2]]).round(12).tolist() == [round(math.e, 12)] * 2
    assert intent_steps(high)[0, [1, 2], [0, 1]].tolist() == intent_steps(low)[0, [1, 2], [0, 1]].tolist()
    assert np.allclose(advances(high) / advances(low), math.exp(p.APPEAL_ON_ADVANCE))
    assert first_intent(high)[0, 0] < first_intent(low)[0, 0]
    assert first_intent(high)[0, 2] > first_intent(low)[0, 2]
    assert first_intent(np.array([0.0]))[0].tolist() == pytest.approx(list(p.FIRST_INTENT))


def test_a_contact_that_lifts_by_half_raises_the_rising_by_half() -> None:
    plain, lifted = intent_steps(np.zeros(2), 0.0), intent_steps(np.zeros(2), np.array([0.0, 0.5]))
    assert (lifted[0] == plain[0]).all()
    assert (lifted[1, [0, 1], [1, 2]] / plain[1, [0, 1], [1, 2]]).tolist() == pytest.approx([1.5, 1.5])
    assert lifted[1, [1, 2], [0, 1]].tolist() == plain[1, [1, 2], [0, 1]].tolist()


def test_the_steps_that_can_be_seen_exhaust_a_day() -> None:
    appeals = np.array([-1.0, 0.0, 2.0])
    advance = advances(appeals)
    for was in range(4):
        seen = [stage_likelihood(advance, np.full(3, was), np.full(3, now)) for now in (was, was + 1, p.LOST)]
        assert np.allclose(np.sum(seen, axis=0), 1)
        assert (seen[1] == advance[:, was]).all()
        assert (seen[2] == losses()[was]).all()
    assert losses()[0].tolist() == [0.0, 0.0, 0.0]
