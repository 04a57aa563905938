"""Fields filled in after the outcome are named; honest ones are left alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.finding import Finding
from features.outcome import WORDS
from features.plan import Attribute
from features.proxies import proxies

RNG = np.random.default_rng(11)
LEADS = 4000
WON = RNG.random(LEADS) < 0.1
START = RNG.bit_generator.state
CAME = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(LEADS) % 365, unit="D")


@pytest.fixture(autouse=True)
def _same_draws() -> None:
    """Whatever the order of the tests."""
    RNG.bit_generator.state = START


def _found(values: object, name: str, ending: object = np.where(WON, "won", None)) -> list[Finding]:
    """What is held against one field of four thousand leads, one in ten of whom was won."""
    attribute = Attribute(name, "leads", "category", "today")
    past = pd.DataFrame({"lead_id": np.arange(LEADS).astype(str), "created_at": CAME, "ending": ending, attribute.column: values})
    return proxies(past, [attribute])


def _methods(found: list[Finding]) -> list[str]:
    return [finding.method for finding in found]


def test_a_contract_number_that_only_customers_have_is_named() -> None:
    found = _found(np.where(WON, "C-1", None), "agreement")
    assert _methods(found) == ["null-ness", "power"]
    assert found[0].evidence == "100% of the leads where it is filled became customers, and it is filled for 0% of all others"


def test_a_note_that_only_lost_leads_have_is_named() -> None:
    lost = ~WON & (RNG.random(LEADS) < 0.4)
    ending = np.where(WON, "won", np.where(lost, "lost", None))
    (found,) = _found(np.where(lost & (RNG.random(LEADS) < 0.5), "too dear", None), "remark", ending)
    assert (found.method, found.field) == ("null-ness", "remark")
    assert found.evidence == "100% of the leads where it is filled were lost, and it is filled for 0% of all others"


def test_a_field_given_up_long_ago_is_measured_against_other_old_leads() -> None:
    # Every lead of the first months has been lost by now, with a fax number or without.
    old = np.arange(LEADS) % 365 < 91
    ending = np.where(old, "lost", np.where(WON, "won", None))
    assert _found(np.where(old & (RNG.random(LEADS) < 0.5), "yes", None), "fax", ending) == []


def test_a_handful_of_customers_proves_nothing() -> None:
    few = np.flatnonzero(WON)[:9]
    assert _found(np.where(np.isin(np.arange(LEADS), few), "yes", None), "vip") == []
    assert _methods(_found(np.where(np.isin(np.arange(LEADS), np.flatnonzero(WON)[:10]), "yes", None), "vip")) == ["null-ness"]


def test_a_field_that_explains_too_much_alone_is_named() -> None:
    moods = np.where(WON, "keen", np.where(RNG.random(LEADS) < 0.03, "keen", "cool"))
    assert _methods(_found(moods, "mood")) == ["power"]


def test_a_number_that_is_missing_tells_as_much_as_a_text() -> None:
    # One in two leads has a number, all customers among them; its values themselves are noise.
    there = WON | (RNG.random(LEADS) < 0.4)
    (found,) = _found(np.where(there, RNG.random(LEADS), np.nan), "last_size")
    assert found.method == "name"


@pytest.mark.parametrize("name", ["Last Activity", "tags", "Lead Quality", "lead_score"])
def test_a_weakly_telling_field_is_named_when_its_name_says_it_is_overwritten(name: str) -> None:
    hint = np.where(RNG.random(LEADS) < np.where(WON, 0.5, 0.2), "a", "b")
    assert _methods(_found(hint, name)) == ["name"]
    assert _found(hint, "industry") == []


def test_a_field_that_tells_of_another_outcome_is_accused_in_its_words() -> None:
    past = pd.DataFrame({"created_at": CAME, "ending": np.where(WON, "won", None), "lead__farewell": np.where(WON, "sent", None)})
    found = proxies(past, [Attribute("farewell", "leads", "category", "today")], said=WORDS["churn"])
    assert found[0].evidence == "100% of the customers where it is filled left, and it is filled for 0% of all others"
    assert found[0].advice == "it seems to be written once that is known, so tonight's customers cannot have it"
    assert found[1].evidence.endswith("of who left (ROC AUC 1.00)")


def test_noise_is_innocent_whatever_its_name() -> None:
    assert _found(RNG.choice(["a", "b", "c"], LEADS), "tags") == []


def test_nothing_can_be_said_without_two_classes() -> None:
    assert _found(WON.astype(str), "x", None) == []
