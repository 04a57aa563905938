"""A converted lead keeps its past, and gets no other's."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.crm.salesforceties import contact_of, tied
from tests.pipelines.crm.vendors.salesforce import Record, at
from tests.pipelines.crm.vendors.salesforcecompany import contact, deal, lead, role


def _lead(number: int, day: int, contact_of_it: int | None = None, deal_of_it: int | None = None, **values: Any) -> Record:
    became = {
        "ConvertedContactId": None if contact_of_it is None else contact(contact_of_it),
        "ConvertedOpportunityId": None if deal_of_it is None else deal(deal_of_it),
    }
    return {"Id": lead(number), "CreatedDate": at(day), "SystemModstamp": at(day + 1), "IsDeleted": False, **became, **values}


def _role(number: int, deal_of_it: int, contact_of_it: int | None, day: int = 0, **values: Any) -> Record:
    who = None if contact_of_it is None else contact(contact_of_it)
    stamps = {"CreatedDate": at(day), "SystemModstamp": at(day + 1), "IsDeleted": False, "IsPrimary": False}
    return {"Id": role(number), "OpportunityId": deal(deal_of_it), "ContactId": who, **stamps, **values}


@pytest.mark.parametrize(
    ("when", "whose"),
    [(at(9), None), (at(10), 1), (at(19), 1), (at(20), 2), (at(99), 2), ("2025-01-10", None), ("2025-01-11", 1), ("2025-01-21", 2)],
    ids=[
        "before any",
        "with the first",
        "after the first",
        "with the second",
        "long after",
        "the day before",
        "the day of the first",
        "of the second",
    ],
)
def test_what_a_contact_did_is_of_its_newest_lead_by_then(when: str, whose: int | None) -> None:
    ties = tied([_lead(2, 20, 5), _lead(1, 10, 5)], [])
    assert ties.lead_of(contact(5), when) == (None if whose is None else lead(whose))


def test_what_a_lead_did_is_its_own() -> None:
    ties = tied([_lead(1, 10, 5)], [])
    assert [ties.lead_of(who, at(0)) for who in (lead(7), None, contact(6))] == [lead(7), None, None]
    assert [contact_of(who) for who in (lead(7), None, contact(6))] == [None, None, contact(6)]


def test_a_deal_is_of_the_lead_that_was_converted_into_it_before_it_is_of_its_contact() -> None:
    ties = tied([_lead(1, 10, 5), _lead(2, 12, 6, 9)], [_role(1, 9, 5, IsPrimary=True), _role(2, 8, 5)])
    assert [ties.lead_of_deal(deal(number), at(30)) for number in (9, 8, 7)] == [lead(2), lead(1), None]
    # The contact bought before it came in as a lead: that deal is none of the lead's.
    assert ties.lead_of_deal(deal(8), at(9)) is None


def test_the_primary_role_comes_before_the_oldest_and_deleted_ones_not_at_all() -> None:
    roles = [_role(1, 9, 5, 3), _role(2, 9, 6, 1, IsDeleted=True), _role(3, 9, 7, 4, IsPrimary=True), _role(4, 8, 5, 3), _role(5, 8, 6, 2)]
    ties = tied([], [*roles, _role(6, 7, None)])
    assert [ties.contact_of_deal(deal(number)) for number in (9, 8, 7, 6)] == [contact(7), contact(6), None, None]


def test_a_deleted_lead_ties_nothing_but_its_end_touches_its_deal() -> None:
    ties = tied([_lead(1, 10, 5, 9, IsDeleted=True, SystemModstamp=at(50))], [])
    assert ties.lead_of_deal(deal(9), at(30)) is None
    assert ties.touched_since(at(50)) == {deal(9)}


def test_a_deal_is_touched_by_its_roles_its_leads_and_the_leads_of_its_contacts() -> None:
    leads = [_lead(1, 10, 5, 9), _lead(2, 40, 6)]
    ties = tied(leads, [_role(1, 7, 6, 5), _role(2, 6, 8, 60, IsDeleted=True)])
    assert [sorted(ties.touched_since(at(day))) for day in (0, 12, 42, 62)] == [[deal(6), deal(7), deal(9)], [deal(6), deal(7)], [deal(6)], []]


def test_of_a_record_that_came_twice_the_last_counts() -> None:
    ties = tied([_lead(1, 10, 5), _lead(1, 10, 6, SystemModstamp=at(30))], [])
    assert [ties.lead_of(contact(number), at(40)) for number in (5, 6)] == [None, lead(1)]


@given(st.permutations([_lead(1, 10, 5, 9), _lead(2, 10, 5), _lead(3, 30, 5)]), st.permutations([_role(1, 8, 5, 3), _role(2, 8, 6, 3)]))
def test_the_order_in_which_they_come_does_not_matter(leads: list[Record], roles: list[Record]) -> None:
    ties = tied(leads, roles)
    assert (ties.lead_of(contact(5), at(11)), ties.lead_of_deal(deal(9), at(11)), ties.contact_of_deal(deal(8))) == (lead(2), lead(1), contact(5))
