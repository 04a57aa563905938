"""Numbers with which a probability may only rise or fall are named as the company names them, and anything else is refused."""

from __future__ import annotations

import re

import pytest

from features.feature import Feature
from features.plan import Attribute
from features.problem import Problem
from pipelines.monotone import monotone_of

ATTRIBUTES = (
    Attribute("employees", "leads", "number", "creation"),
    Attribute("employees", "accounts", "number", "today"),
    Attribute("Branche", "leads", "category", "creation"),
    Attribute("score", "leads", "number", "today"),
    Attribute("newsletter", "leads", "flag", "creation"),
)
FEATURES = (
    Feature("lead_age_days", "number", "age of the lead", "came in {value} ago"),
    *(Feature(a.column, a.kind, a.name, "{value}", profile=True) for a in ATTRIBUTES if a.name != "score"),
)


def test_a_field_is_named_by_its_column_and_is_bound_in_every_table_that_has_it() -> None:
    found = monotone_of({"employees": "up", "newsletter": "down"}, ATTRIBUTES, FEATURES)
    assert found == {"lead__employees": 1, "account__employees": 1, "lead__newsletter": -1}


def test_a_number_of_ours_is_named_by_its_own_column() -> None:
    found = monotone_of({"lead_age_days": "down", "account__employees": "up"}, ATTRIBUTES, FEATURES)
    assert found == {"lead_age_days": -1, "account__employees": 1}


def test_a_field_that_is_not_learned_from_has_nothing_to_obey() -> None:
    assert monotone_of({"score": "up"}, ATTRIBUTES, FEATURES) == {}
    assert monotone_of({}, ATTRIBUTES, FEATURES) == {}


@pytest.mark.parametrize(
    ("name", "what"),
    [("emploees", "no field of leads, accounts or deals in the last extract, nor a number of ours"), ("Branche", "no number")],
)
def test_a_name_that_is_no_field_or_no_number_is_refused(name: str, what: str) -> None:
    sentence = f"[training] monotone names {name}, which is {what}: correct the name in leadscore.toml, or take it out."
    with pytest.raises(Problem, match=f"^{re.escape(sentence)}$"):
        monotone_of({name: "up", "employees": "up"}, ATTRIBUTES, FEATURES)
