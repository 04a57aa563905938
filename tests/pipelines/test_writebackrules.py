"""What leadscore.toml may say of the write-back, and what it may not."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from pipelines.writebackrules import Writeback


def test_nothing_is_written_back_by_default() -> None:
    rules = Writeback()
    assert (rules.target, rules.create_properties, rules.only_changed, rules.only_listed) == ("", False, True, False)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"target": "hubspot", "object": "Lead"}, "object is 'Lead', and hubspot takes contacts, companies"),
        ({"object": "contacts"}, "object is 'contacts', and no target is named"),
        ({"target": "dynamics", "object": "account"}, "dynamics takes lead, opportunity"),
        ({"target": "pipedrive"}, "Input should be '', 'hubspot', 'salesforce' or 'dynamics'"),
        ({"fields": {"score": "my score"}}, "'my score' of score is no name of a field"),
        ({"fields": {"score": "one", "rank": "one"}}, "'one' cannot hold two values"),
        ({"fields": {"colour": "one"}}, "Input should be 'score', 'tier', 'rank', 'reasons', 'scored_at', 'probability' or 'trend'"),
    ],
)
def test_what_cannot_be_is_refused(said: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        Writeback(**said)


@pytest.mark.parametrize(("target", "kind"), [("hubspot", "companies"), ("salesforce", "Contact"), ("dynamics", "opportunity")])
def test_a_target_s_own_objects_are_taken(target: Any, kind: str) -> None:
    assert Writeback(target=target, object=kind, fields={"rank": ""}).object == kind
