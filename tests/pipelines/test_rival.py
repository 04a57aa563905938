"""A new model has to beat the champion in use, unless that one may not score any more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from conftest import MadeUp

from pipelines.company import Company, open_company
from pipelines.rival import rival
from pipelines.settings import read_settings

pytestmark = pytest.mark.xdist_group("company")


@pytest.fixture
def opened(company: MadeUp) -> Iterator[Company]:
    """The small company, which has a champion."""
    with open_company(read_settings(company.config)) as opened:
        yield opened


def _with(company: Company, part: str, **changes: Any) -> Company:
    rules = getattr(company.settings, part).model_copy(update=changes)
    return replace(company, settings=company.settings.model_copy(update={part: rules}))


def test_it_is_the_champion_in_use(opened: Company) -> None:
    champion, vacant = rival(opened, past=False)
    assert champion is not None
    assert (champion.version, vacant) == ("1", "")


def test_one_that_predicts_something_else_is_none(opened: Company) -> None:
    found = rival(_with(opened, "outcome", kind="renewal"), past=False)
    assert found == (None, "the champion before it predicts another outcome, so there was none of this one")


def test_one_that_learned_from_what_is_protected_by_now_is_none(opened: Company) -> None:
    found = rival(_with(opened, "training", protected=("language",)), past=False)
    assert found == (None, "the champion learned from language, which is protected by now")


def test_as_of_a_night_before_the_first_model_there_is_none(opened: Company) -> None:
    assert rival(replace(opened, extracted_at=opened.past_nights()[0]), past=True) == (None, "there was no champion")
