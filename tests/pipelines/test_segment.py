"""The field whose segments may have models of their own is named as the company names it, and anything else is refused."""

from __future__ import annotations

import re

import pytest

from features.feature import Feature
from features.plan import Attribute
from features.problem import Problem
from pipelines.segment import segment_of

ATTRIBUTES = (
    Attribute("country", "leads", "category", "creation"),
    Attribute("country", "accounts", "category", "today"),
    Attribute("Branche", "accounts", "category", "creation"),
    Attribute("grade", "leads", "category", "today"),
    Attribute("employees", "accounts", "number", "creation"),
)
FEATURES = tuple(Feature(a.column, a.kind, a.name, "{value}", profile=True) for a in ATTRIBUTES if a.name != "grade")


@pytest.mark.parametrize(("name", "column"), [("Branche", "account__Branche"), ("lead__country", "lead__country"), ("", ""), ("grade", "")])
def test_a_field_is_named_by_its_column_or_by_ours_and_one_that_is_not_learned_from_parts_nobody(name: str, column: str) -> None:
    assert segment_of(name, ATTRIBUTES, FEATURES) == column


@pytest.mark.parametrize(
    ("name", "what"),
    [("contry", "no field of leads, accounts or deals in the last extract, nor a column of ours"), ("employees", "no category")],
)
def test_a_name_that_is_no_field_or_no_category_is_refused(name: str, what: str) -> None:
    sentence = f"[training] segment_by names {name}, which is {what}: correct the name in leadscore.toml, or take it out."
    with pytest.raises(Problem, match=f"^{re.escape(sentence)}$"):
        segment_of(name, ATTRIBUTES, FEATURES)


def test_a_name_that_two_tables_have_is_asked_about() -> None:
    sentence = "[training] segment_by names country, which several tables have: write one of account__country, lead__country in leadscore.toml."
    with pytest.raises(Problem, match=f"^{re.escape(sentence)}$"):
        segment_of("country", ATTRIBUTES, FEATURES)
