"""A field as it stood strictly before a night."""

from __future__ import annotations

import pytest
from stories import company_of, day, nights

from features.history import value_at

LEAD = {"lead_id": "a", "created_at": day(0), "owner_id": "cleo"}
FIRST = {"lead_id": "a", "field": "owner_id", "old_value": "ann", "new_value": "bob", "changed_at": day(10)}
SECOND = {"lead_id": "a", "field": "owner_id", "old_value": "bob", "new_value": "cleo", "changed_at": day(20)}


@pytest.mark.parametrize(("night", "owner"), [(5, "ann"), (10, "ann"), (10.1, "bob"), (20, "bob"), (21, "cleo")])
def test_the_owner_is_who_it_was_then(night: float, owner: str) -> None:
    crm = company_of({"leads": [LEAD], "lead_changes": [FIRST, SECOND]})
    spine = crm.leads.select("lead_id").cross_join(nights(night))
    assert value_at(crm, spine, "owner_id").execute()["value"].tolist() == [owner]


@pytest.mark.parametrize(("night", "owner"), [(15, "ann"), (22, "cleo"), (35, "cleo")])
def test_a_change_that_became_known_late_never_overrules_a_newer_one(night: float, owner: str) -> None:
    late = {**FIRST, "known_at": day(30)}
    crm = company_of({"leads": [LEAD], "lead_changes": [late, {**SECOND, "old_value": "ann"}]})
    spine = crm.leads.select("lead_id").cross_join(nights(night))
    assert value_at(crm, spine, "owner_id").execute()["value"].tolist() == [owner]


def test_a_cleared_field_is_empty_and_not_what_it_is_today() -> None:
    cleared = {"lead_id": "a", "field": "owner_id", "old_value": "ann", "new_value": None, "changed_at": day(3)}
    crm = company_of({"leads": [LEAD], "lead_changes": [cleared]})
    spine = crm.leads.select("lead_id").cross_join(nights(4))
    assert value_at(crm, spine, "owner_id").execute()["value"].isna().tolist() == [True]


def test_without_any_change_today_is_all_there_is() -> None:
    crm = company_of({"leads": [LEAD]})
    spine = crm.leads.select("lead_id").cross_join(nights(4))
    assert value_at(crm, spine, "owner_id").execute()["value"].tolist() == ["cleo"]
