"""A lead that must rest says why, and one that may be called says nothing."""

from __future__ import annotations

import pandas as pd
import pytest

from models.leftout import left_out

CALLABLE = {"unsubscribed": False, "do_not_contact": False, "customer": False, "days_since_touch": None}


@pytest.mark.parametrize(
    ("stands", "why"),
    [
        ({}, ""),
        ({"unsubscribed": True}, "unsubscribed"),
        ({"do_not_contact": True, "unsubscribed": True}, "do not contact"),
        ({"customer": True}, "a customer already"),
        ({"days_since_touch": 1.99}, "touched by us less than 2 days ago"),
        ({"days_since_touch": 2.0}, ""),
        ({"customer": True, "days_since_touch": 0.1}, "a customer already"),
    ],
)
def test_the_first_reason_that_stands_is_kept(stands: dict[str, object], why: str) -> None:
    known = pd.DataFrame([{**CALLABLE, **stands}]).astype({"days_since_touch": float})
    assert left_out(known, rest_days=2).tolist() == [why]


def test_what_a_person_decided_is_said_before_any_rule() -> None:
    known = pd.DataFrame([{**CALLABLE, "unsubscribed": True}, CALLABLE, CALLABLE]).astype({"days_since_touch": float})
    hand = pd.Series(["dropped by ann until 2025-04-01: out of business", "dropped by bob until 2025-03-09: on leave", None])
    assert left_out(known, 0.0, hand).tolist() == [hand[0], hand[1], ""]


def test_nobody_rests_where_no_rest_is_wanted() -> None:
    assert left_out(pd.DataFrame([{**CALLABLE, "days_since_touch": 0.0}]), rest_days=0).tolist() == [""]
