"""What can be expected stands beside what is to be reached, for an owner, a team and everybody."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipelines.delivery.goals import Goals, sums

LEADS = pd.DataFrame(
    {
        "listed": [True, True, False],
        "probability": [0.5, 0.5, 0.2],
        "expected_value": [500.0, 1_000.0, 40.0],
    }
)


def test_two_calls_are_expected_to_bring_what_each_is_worth() -> None:
    found = sums(LEADS, Goals(), 3_000.0)
    assert found == {
        "calls": 2,
        "expected": 1.0,
        "low": 0,
        "high": 2,
        "open": 3,
        "rate": 0.4,
        "quota": 3_000.0,
        # Nothing, 1,000, 2,000 or both, each as likely as the others: one in ten ends below the first, and one above the last.
        "amount": 1_500,
        "amount_low": 0,
        "amount_high": 3_000,
    }


def test_of_deals_that_differ_the_sum_is_less_certain() -> None:
    certain = LEADS.assign(probability=1.0, expected_value=[100.0, 100.0, 0.0])
    assert (sums(certain, Goals(), None)["amount_low"], sums(certain, Goals(), None)["amount_high"]) == (200, 200)
    unlike = sums(certain, Goals(sizes=(0.5, 1.5)), None)
    assert (unlike["amount"], unlike["amount_low"], unlike["amount_high"]) == (200, 100, 300)


def test_the_interval_holds_the_sum_in_eight_of_ten_nights() -> None:
    draws = np.random.default_rng(1)
    probability, amount, sizes = draws.uniform(0.05, 0.6, 40), draws.uniform(50, 500, 40), draws.lognormal(0, 0.8, 30)
    sizes /= sizes.mean()
    leads = pd.DataFrame({"listed": True, "probability": probability, "expected_value": probability * amount})
    found = sums(leads, Goals(sizes=tuple(sizes)), None)
    ended = [(amount * draws.choice(sizes, 40))[draws.random(40) < probability].sum() for _ in range(4_000)]
    inside = np.mean([(found["amount_low"] <= one <= found["amount_high"]) for one in ended])
    assert inside == pytest.approx(0.8, abs=0.025)


@pytest.mark.parametrize(
    "leads",
    [
        pytest.param(LEADS.assign(listed=False), id="nobody is called"),
        pytest.param(LEADS.assign(expected_value=[500.0, np.nan, 40.0]), id="one has no amount"),
    ],
)
def test_where_no_amount_is_known_none_is_told(leads: pd.DataFrame) -> None:
    assert "amount" not in sums(leads, Goals(), None)


def test_a_lead_that_cannot_convert_is_worth_nothing_and_disturbs_nobody() -> None:
    assert sums(LEADS.assign(probability=[0.0, 1.0, 0.0], expected_value=[0.0, 70.0, 0.0]), Goals(), None)["amount_high"] == 70


def test_a_team_is_to_reach_what_was_set_or_what_its_owners_are_together() -> None:
    goals = Goals({"ann": 5.0, "bob": 4.0, "cleo": 3.0}, {"north": 12.0})
    assert goals.of(["ann", "bob"]) == 9.0
    assert goals.of(["zoe"]) is None
    assert goals.team("north", ["ann", "bob"]) == 12.0
    assert goals.team("south", ["cleo", "zoe"]) == 3.0
    assert goals.team("west", ["zoe"]) is None
    assert goals.everybody({"north": ["ann", "bob"], "south": ["cleo"], "": ["zoe"]}) == 15.0
    assert Goals().everybody({"north": ["ann"]}) is None


def test_owners_have_room_together_and_a_team_no_more_than_it_can() -> None:
    goals = Goals(rooms={"ann": 20, "bob": 25}, team_rooms={"north": 40})
    assert (goals.room(["ann"]), goals.room(["ann", "bob"]), goals.room(["ann", "bob"], "north")) == (20, 45, 40)
    assert (goals.room(["ann", "zoe"]), goals.room([])) == (None, None)
    assert sums(LEADS, goals, None, 20)["room"] == 20
    assert "room" not in sums(LEADS, goals, None)
