"""Fields filled in after the outcome are named; honest ones are left alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.plan import Attribute, Known
from features.proxies import screen

RNG = np.random.default_rng(11)
LEADS = 4000
WON = RNG.random(LEADS) < 0.1


def _attribute(name: str, known: Known = "today") -> Attribute:
    return Attribute(name, "leads", "category", known)


def _examples(values: object, name: str) -> pd.DataFrame:
    return pd.DataFrame({"lead_id": np.arange(LEADS).astype(str), "converted": WON, _attribute(name).column: values})


def test_a_contract_number_that_only_customers_have_is_named() -> None:
    numbers = np.where(WON, "C-1", None)
    findings = screen(_examples(numbers, "agreement"), [_attribute("agreement")])
    assert [f.field for f in findings] == ["agreement"]
    assert "100% of the leads where it is filled became customers, and it is filled for 0% of all others" in findings[0].evidence


def test_a_field_that_explains_too_much_alone_is_named() -> None:
    moods = np.where(WON, "keen", np.where(RNG.random(LEADS) < 0.03, "keen", "cool"))
    assert [f.field for f in screen(_examples(moods, "mood"), [_attribute("mood")])] == ["mood"]


@pytest.mark.parametrize("name", ["Last Activity", "tags", "Lead Quality", "lead_score"])
def test_a_weakly_telling_field_is_named_when_its_name_says_it_is_overwritten(name: str) -> None:
    hint = np.where(RNG.random(LEADS) < np.where(WON, 0.5, 0.2), "a", "b")
    assert [f.field for f in screen(_examples(hint, name), [_attribute(name)])] == [name]
    assert screen(_examples(hint, "industry"), [_attribute("industry")]) == []


def test_noise_is_innocent_whatever_its_name() -> None:
    noise = RNG.choice(["a", "b", "c"], LEADS)
    assert screen(_examples(noise, "tags"), [_attribute("tags")]) == []


@pytest.mark.parametrize("known", ["history", "creation"])
def test_a_field_whose_past_is_known_needs_no_screen(known: Known) -> None:
    assert screen(_examples(WON.astype(str), "x"), [_attribute("x", known)]) == []


def test_an_allowed_field_is_reported_as_allowed() -> None:
    findings = screen(_examples(WON.astype(str), "x"), [_attribute("x")], allow=["x"])
    assert "is used because the configuration allows it" in findings[0].sentence


def test_nothing_can_be_said_without_two_classes() -> None:
    examples = _examples(WON.astype(str), "x").assign(converted=False)
    assert screen(examples, [_attribute("x")]) == []


def test_a_field_of_customers_won_after_the_horizon_is_named_too() -> None:
    # Of the customers only some were won within the horizon of an example; the field is filled for a few of all.
    late = ~WON & (RNG.random(LEADS) < 0.1)
    filled = (WON | late) & (RNG.random(LEADS) < 0.1)
    examples = _examples(np.where(filled, "yes", None), "registered")
    customers = examples.loc[WON | late, "lead_id"].tolist()
    assert screen(examples, [_attribute("registered")]) == []
    (found,) = screen(examples, [_attribute("registered")], customers=customers)
    assert found.evidence == "100% of the leads where it is filled became customers, and it is filled for 0% of all others"
