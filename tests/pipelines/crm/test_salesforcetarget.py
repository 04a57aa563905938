"""Scores arrive in Salesforce once, and every row that it does not take is told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from features.problem import Problem
from pipelines.crm.base import Unreachable
from pipelines.crm.salesforceapi import Connection
from pipelines.crm.salesforcetarget import FIELDS, SalesforceTarget
from pipelines.crm.vendors import open_target, written_to
from pipelines.crm.writeback import Refusal, Update
from pipelines.writebackrules import Writeback
from tests.pipelines.crm.vendors.loopback import told
from tests.pipelines.crm.vendors.salesforce import Record, SalesforceVendor, error
from tests.pipelines.crm.vendors.salesforcecompany import account, contact, lead, reached

NIGHT = datetime(2025, 6, 1, 2)
OURS = ["leadscore_score__c", "leadscore_tier__c", "leadscore_rank__c", "leadscore_reasons__c", "leadscore_scored_at__c"]


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Iterator[SalesforceVendor]:
    with reached(monkeypatch) as there:
        yield there


def _target(kind: str = "Lead", **fields: str) -> SalesforceTarget:
    return SalesforceTarget(Connection(sleep=lambda seconds: None), kind, fields or FIELDS)


def _update(lead_id: str, score: int = 93, reasons: str = "was active 27 times", change: float | None = 0.1) -> Update:
    return Update(lead_id, score, "A", 1, reasons, NIGHT, 0.93456, change)


def _written(vendor: SalesforceVendor, sobject: str, key: str) -> Record:
    return {name: value for name, value in vendor.things[sobject].records[key].items() if name.startswith("leadscore")}


WRITTEN = dict(zip(OURS, (93, "A", 1, "was active 27 times", "2025-06-01T02:00:00Z"), strict=True))


def test_missing_fields_are_named_and_nothing_is_made_without_consent(vendor: SalesforceVendor) -> None:
    with pytest.raises(Problem) as said:
        _target().prepare(may_create=False)
    assert str(said.value) == (
        f"Lead has no fields {', '.join(OURS)} in Salesforce: create them there, or let leadscore do so with create_properties = true under "
        "[writeback] in leadscore.toml."
    )
    assert [method for method, _ in vendor.asked].count("POST") == 1, "the login"


def test_with_consent_they_are_made_once_and_then_written(vendor: SalesforceVendor) -> None:
    target = _target()
    assert target.prepare(may_create=True) == OURS
    assert target.prepare(may_create=True) == []
    assert _target().prepare(may_create=False) == []
    kinds = {name: (vendor.things["Lead"].fields[name]["type"], vendor.things["Lead"].fields[name]["length"]) for name in OURS}
    assert kinds == dict(zip(OURS, [("double", 0), ("string", 10), ("double", 0), ("textarea", 4000), ("datetime", 0)], strict=True))
    assert target.write([_update(lead(40)), _update(lead(41)[:15])]) == []
    assert [_written(vendor, "Lead", lead(number)) for number in (40, 41, 42)] == [WRITTEN, WRITTEN, {}]


def test_a_field_is_made_once_though_the_answer_was_lost(vendor: SalesforceVendor) -> None:
    target = _target()
    target.connection.names()
    vendor.lost = 2
    assert target.prepare(may_create=True) == OURS
    assert vendor.lost == 0
    assert set(OURS) <= set(vendor.things["Lead"].fields)


@pytest.mark.parametrize("may_create", [True, False])
def test_a_field_that_is_there_and_hidden_wants_a_permission_set(vendor: SalesforceVendor, may_create: bool) -> None:
    assert _target(score="leadscore_score").prepare(may_create=True) == ["leadscore_score__c"]
    vendor.hidden.add("leadscore_score__c")
    with pytest.raises(Problem) as said:
        _target(score="leadscore_score").prepare(may_create)
    assert str(said.value) == (
        "The fields leadscore_score__c of Lead are there in Salesforce, but may not be seen or edited by the user of this token: give that user a "
        "permission set with Read and Edit Access to them (Setup > Permission Sets > Object Settings), and run again."
    )


def test_a_new_field_is_hidden_until_somebody_shows_it(vendor: SalesforceVendor) -> None:
    vendor.shows_new_fields = False
    with pytest.raises(Problem, match="The fields leadscore_score__c of Lead are there now in Salesforce, but may not be seen"):
        _target(score="leadscore_score").prepare(may_create=True)
    vendor.hidden.clear()
    assert _target(score="leadscore_score").prepare(may_create=False) == []


def test_a_field_that_may_only_be_read_wants_one_too(vendor: SalesforceVendor) -> None:
    vendor.things["Lead"].fields["Staff__c"]["updateable"] = False
    with pytest.raises(Problem, match="The fields Staff__c of Lead are there in Salesforce, but may not be seen or edited"):
        _target(score="staff__c").prepare(may_create=True)


def test_who_may_not_create_fields_is_told_so(vendor: SalesforceVendor) -> None:
    target = _target()
    target.connection.fields("Lead")
    refused = error(403, "INSUFFICIENT_ACCESS", "insufficient access rights on cross-reference id")
    vendor.instead = [lambda method, path: refused if "tooling" in path else None] * 2
    with pytest.raises(Problem, match="does not allow the owner of SALESFORCE_CLIENT_SECRET to create the field leadscore_score__c of Lead"):
        target.prepare(may_create=True)


def test_rows_that_are_not_taken_are_told_and_hold_up_no_other(vendor: SalesforceVendor) -> None:
    target = _target()
    target.prepare(may_create=True)
    updates = [_update(lead(40)), _update(lead(3)), _update("L00012345"), _update(lead(777)), _update(lead(41))]
    assert sorted(target.write(updates), key=lambda refusal: refusal.lead_id) == [
        Refusal(lead(3), "CANNOT_UPDATE_CONVERTED_LEAD: cannot reference converted lead"),
        Refusal(lead(777), "INVALID_CROSS_REFERENCE_KEY: invalid cross reference id"),
        Refusal("L00012345", "is no id of Salesforce, which has 15 or 18 signs"),
    ]
    assert [_written(vendor, "Lead", lead(number)) for number in (40, 41)] == [WRITTEN, WRITTEN]


def test_rows_none_of_which_can_be_an_id_ask_nobody(vendor: SalesforceVendor) -> None:
    assert [refusal.lead_id for refusal in _target().write([_update("L1")])] == ["L1"]
    assert vendor.asked == []


def test_a_record_that_is_locked_is_tried_once_more(vendor: SalesforceVendor) -> None:
    target = _target()
    target.prepare(may_create=True)
    vendor.locked = {lead(40)}
    assert target.write([_update(lead(40)), _update(lead(41))]) == []
    assert _written(vendor, "Lead", lead(40)) == WRITTEN


def test_texts_are_cut_to_their_field_and_parts_may_be_left_out(vendor: SalesforceVendor) -> None:
    vendor.things["Lead"].fields["Why__c"] = {"name": "Why__c", "type": "string", "length": 12, "updateable": True}
    target = _target(reasons="Why", trend="leadscore_trend", probability="leadscore_probability")
    assert target.prepare(may_create=True) == ["leadscore_trend__c", "leadscore_probability__c"]
    assert target.write([_update(lead(40)), _update(lead(41), change=None)]) == []
    shown = [[vendor.things["Lead"].records[lead(number)][name] for name in ("Why__c", "leadscore_trend__c")] for number in (40, 41)]
    assert shown == [["was active 2", "up"], ["was active 2", None]]
    assert _written(vendor, "Lead", lead(40))["leadscore_probability__c"] == 0.9346


def test_what_is_configured_names_the_target_and_its_fields(vendor: SalesforceVendor) -> None:
    rules = Writeback(target="salesforce", fields={"score": "Our_score__c", "tier": "", "trend": "leadscore_trend"})
    kind, fields = written_to(rules, "renewal", "accounts", "default")
    assert (kind, fields["score"], fields["rank"], "tier" in fields) == ("Account", "Our_score_renewal__c", "leadscore_rank_renewal", False)
    target = open_target(rules, kind, fields)
    assert target.prepare(may_create=True) == [
        "Our_score_renewal__c",
        *(f"leadscore_{part}_renewal__c" for part in ("rank", "reasons", "scored_at", "trend")),
    ]
    assert target.write([_update(account(0))]) == []
    assert vendor.things["Account"].records[account(0)]["Our_score_renewal__c"] == 93


def test_contacts_may_be_written_to(vendor: SalesforceVendor) -> None:
    target = _target("Contact")
    target.prepare(may_create=True)
    assert target.write([_update(contact(0))]) == []
    assert _written(vendor, "Contact", contact(0)) == WRITTEN


def test_a_lost_answer_is_asked_for_again_and_the_values_are_the_same(vendor: SalesforceVendor) -> None:
    target = _target()
    target.prepare(may_create=True)
    vendor.lost = 1
    assert target.write([_update(lead(40))]) == []
    assert _written(vendor, "Lead", lead(40)) == WRITTEN


def test_answers_that_stay_lost_are_unreachable_though_the_write_took_effect(vendor: SalesforceVendor) -> None:
    target = _target()
    target.prepare(may_create=True)
    vendor.lost = 99
    with pytest.raises(Unreachable, match="no answer"):
        target.write([_update(lead(40))])
    assert _written(vendor, "Lead", lead(40)) == WRITTEN


@pytest.mark.parametrize("rows", [[], [{"success": True}, {"success": True}], [{"success": True, "id": lead(41)}], [None]])
def test_an_answer_for_other_rows_is_none(vendor: SalesforceVendor, rows: list[Any]) -> None:
    target = _target()
    target.prepare(may_create=True)
    vendor.instead = [lambda method, path: told(200, rows)]
    assert target.write([_update(lead(40))]) == []
    assert _written(vendor, "Lead", lead(40)) == WRITTEN
    vendor.instead = [lambda method, path: told(200, rows)] * 6
    with pytest.raises(Unreachable, match="did not say what became of every record"):
        target.write([_update(lead(40))])


def test_a_session_that_ends_between_batches_is_begun_anew(vendor: SalesforceVendor) -> None:
    target = _target()
    target.prepare(may_create=True)
    vendor.end_session()
    assert target.write([_update(lead(40))]) == []
    assert vendor.logins == 2


def test_no_refusal_says_a_secret(vendor: SalesforceVendor, every_log: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    target = _target()
    target.prepare(may_create=True)
    said = [{"success": False, "errors": [{"statusCode": "X", "message": f"Bearer {vendor.token} CANARY-consumer-secret"}]}]
    vendor.instead = [lambda method, path: told(200, said)]
    assert target.write([_update(lead(40))]) == [Refusal(lead(40), "X: Bearer *** ***")]
    assert "CANARY" not in every_log.text + "".join(capfd.readouterr())
    assert "composite/sobjects" in every_log.text
