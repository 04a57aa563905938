"""A company in Salesforce: a hundred leads, of which thirty were converted, and what became of them.

Lead n was made by an import of ten a day; whole imports have one stamp. Converted lead n became contact n and deal n.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.pipelines.crm.vendors.loopback import serving
from tests.pipelines.crm.vendors.salesforce import CLIENT_ID, CLIENT_SECRET, Record, SalesforceVendor, Thing, at

_KINDS = {"Id": "id", "CreatedDate": "datetime", "SystemModstamp": "datetime", "LastModifiedDate": "datetime", "Address": "address"}
_FIELDS = {
    "Lead": "Id IsDeleted MasterRecordId LastName FirstName Salutation Name Company Address Email LeadSource Status OwnerId HasOptedOutOfEmail "
    "IsConverted ConvertedDate ConvertedAccountId ConvertedContactId ConvertedOpportunityId IsUnreadByOwner CreatedDate CreatedById LastModifiedDate "
    "LastModifiedById SystemModstamp LastActivityDate LastViewedDate LastReferencedDate PhotoUrl EmailBouncedReason EmailBouncedDate Staff__c",
    "Contact": "Id IsDeleted MasterRecordId AccountId LastName FirstName Salutation Name Email OwnerId HasOptedOutOfEmail LeadSource CreatedDate "
    "CreatedById LastModifiedDate LastModifiedById SystemModstamp LastActivityDate LastViewedDate LastReferencedDate PhotoUrl EmailBouncedReason "
    "EmailBouncedDate IsEmailBounced",
    "Account": "Id IsDeleted MasterRecordId Name Industry OwnerId CreatedDate CreatedById LastModifiedDate LastModifiedById SystemModstamp "
    "LastActivityDate LastViewedDate LastReferencedDate PhotoUrl",
    "Opportunity": "Id IsDeleted AccountId ContactId Name StageName Amount CloseDate IsClosed IsWon OwnerId CreatedDate SystemModstamp "
    "LastStageChangeDate",
    "OpportunityContactRole": "Id OpportunityId ContactId IsPrimary CreatedDate SystemModstamp IsDeleted",
    "User": "Id Name Email Department CreatedDate SystemModstamp",
    "Task": "Id WhoId WhatId OwnerId Subject Type TaskSubtype CallType ActivityDate CompletedDateTime IsClosed IsRecurrence IsDeleted CreatedDate "
    "SystemModstamp",
    "Event": "Id WhoId WhatId OwnerId Subject Type EventSubtype StartDateTime IsRecurrence IsChild IsDeleted CreatedDate SystemModstamp",
    "LeadHistory": "Id IsDeleted LeadId CreatedById CreatedDate Field DataType OldValue NewValue",
    "ContactHistory": "Id IsDeleted ContactId CreatedById CreatedDate Field DataType OldValue NewValue",
    "OpportunityHistory": "Id OpportunityId StageName Amount CloseDate CreatedDate SystemModstamp IsDeleted",
}
_FLAGS = ("IsDeleted", "IsConverted", "IsClosed", "IsWon", "IsPrimary", "IsRecurrence", "IsChild", "HasOptedOutOfEmail")


def lead(number: int) -> str:
    """The id of a lead, and so for the others."""
    return f"00Q{number:012}EAA"


def contact(number: int) -> str:
    return f"003{number:012}AAA"


def deal(number: int) -> str:
    return f"006{number:012}AAA"


def user(number: int) -> str:
    return f"005{number:012}AAA"


def task(number: int) -> str:
    return f"00T{number:012}EAA"


def event(number: int) -> str:
    return f"00U{number:012}EAA"


def role(number: int) -> str:
    return f"00K{number:012}EAA"


def history(number: int) -> str:
    return f"017{number:012}AAA"


def account(number: int) -> str:
    return f"001{number:012}AAA"


def put(vendor: SalesforceVendor, sobject: str, key: str, **values: Any) -> Record:
    """Add a record, or change it."""
    empty = {name: False if name in _FLAGS else None for name in vendor.things[sobject].fields}
    record = {**vendor.things[sobject].records.get(key, empty), "Id": key, **values}
    vendor.things[sobject].records[key] = record
    return record


@contextmanager
def reached(monkeypatch: pytest.MonkeyPatch) -> Iterator[SalesforceVendor]:
    """The company's Salesforce, which the environment names."""
    there = company()
    with serving(there):
        for name, value in {"INSTANCE_URL": there.url, "CLIENT_ID": CLIENT_ID, "CLIENT_SECRET": CLIENT_SECRET}.items():
            monkeypatch.setenv(f"SALESFORCE_{name}", value)
        monkeypatch.delenv("SALESFORCE_ACCESS_TOKEN", raising=False)
        yield there


def company(page: int = 10) -> SalesforceVendor:
    """The whole of it."""
    vendor = SalesforceVendor(page)
    for name, fields in _FIELDS.items():
        vendor.things[name] = Thing({one: _described(one) for one in fields.split()})
    for number in range(2):
        put(vendor, "User", user(number), Name=f"Rep {number}", Email=f"rep{number}@example.com", CreatedDate=at(0), SystemModstamp=at(0))
    for number in range(5):
        put(vendor, "Account", account(number), Name=f"Works {number}", Industry="Steel", CreatedDate=at(0), SystemModstamp=at(0))
    _leads(vendor)
    _deals(vendor)
    _activities(vendor)
    _changes(vendor)
    return vendor


def _described(name: str) -> Record:
    kind = "reference" if name.endswith("Id") and name != "Id" else "boolean" if name in _FLAGS else _KINDS.get(name, "string")
    relation = name.removesuffix("Id") if kind == "reference" else None
    return {"name": name, "type": kind, "relationshipName": relation, "nillable": False, "filterable": True, "updateable": True, "length": 0}


def _leads(vendor: SalesforceVendor) -> None:
    for number in range(100):
        became = {"IsConverted": True, "ConvertedContactId": contact(number), "ConvertedOpportunityId": deal(number)} if number < 30 else {}
        put(
            vendor,
            "Lead",
            lead(number),
            Name=f"Person {number}",
            Email=f"p{number}@example.com",
            LeadSource="web" if number % 3 else "fair",
            Staff__c=number * 10 + 0.5,
            Status="Closed - Converted" if number < 30 else "Working",
            OwnerId=user(number % 2),
            CreatedDate=at(number // 10),
            # Two imports and what came after: whole pages have one stamp.
            SystemModstamp=at(20 if number < 45 else 21 if number < 80 else 22 + number - 80),
            **became,
        )
    put(vendor, "Lead", lead(98), IsDeleted=True, SystemModstamp=at(100))
    put(vendor, "Lead", lead(99), IsDeleted=True, MasterRecordId=lead(97), SystemModstamp=at(101))
    for number in [*range(30), 50]:
        put(vendor, "Contact", contact(number), Name=f"Person {number}", AccountId=account(number % 5), CreatedDate=at(30), SystemModstamp=at(30))


def _deals(vendor: SalesforceVendor) -> None:
    """Thirty won, lost and open ones of converted leads; then one each of: a later one, a contact that was no lead, nobody, a deleted one."""
    for number in range(34):
        state = {"StageName": "Signed", "IsClosed": True, "IsWon": True} if number < 15 else {"StageName": "Gone", "IsClosed": True, "IsWon": False}
        state = state if number < 25 else {"StageName": "Closed Won soon", "IsClosed": False, "IsWon": False}
        moved = {"LastStageChangeDate": at(60, 30)} if number % 2 else {}
        dates = {"CloseDate": "2025-03-01", "CreatedDate": at(31 if number < 30 else 80), "SystemModstamp": at(61, number // 10)}
        put(vendor, "Opportunity", deal(number), Amount=100.25, AccountId=account(number % 5), OwnerId=user(0), **state, **moved, **dates)
        if number < 32:
            who = contact({30: 0, 31: 50}.get(number, number))
            put(vendor, "OpportunityContactRole", role(number), OpportunityId=deal(number), ContactId=who, IsPrimary=True, **_stamped(31))
    # Older, but not the primary one.
    put(vendor, "OpportunityContactRole", role(90), OpportunityId=deal(31), ContactId=contact(7), **_stamped(29))
    put(vendor, "Opportunity", deal(33), IsDeleted=True)
    put(vendor, "OpportunityHistory", history(900), OpportunityId=deal(0), StageName="Signed", **_stamped(60))


def _activities(vendor: SalesforceVendor) -> None:
    """Forty finished tasks; then ones that are open, a series, deleted, of nobody, of a deal alone. Ten events, one still to come, one a copy."""
    for number in range(44):
        who = contact(number) if number < 30 else lead(number)
        kind = {"TaskSubtype": "Call", "CallType": "Inbound"} if number % 4 == 0 else {"TaskSubtype": "Email"}
        done = {"CompletedDateTime": at(40, number)} if number % 2 else {"ActivityDate": "2025-02-12"}
        put(vendor, "Task", task(number), WhoId=who, OwnerId=user(0), IsClosed=True, **kind, **done, CreatedDate=at(40), SystemModstamp=at(50))
    put(vendor, "Task", task(40), IsClosed=False, CompletedDateTime=None)
    put(vendor, "Task", task(41), IsRecurrence=True)
    put(vendor, "Task", task(42), IsDeleted=True)
    put(vendor, "Task", task(43), WhoId=None)
    put(vendor, "Task", task(44), WhatId=deal(5), IsClosed=True, Type="Offer", CompletedDateTime=at(41), CreatedDate=at(41), SystemModstamp=at(50))
    for number in range(10):
        put(vendor, "Event", event(number), WhoId=lead(60 + number), StartDateTime=at(45 + number), Type="Demo", **_stamped(44))
    put(vendor, "Event", event(8), StartDateTime=at(160))
    put(vendor, "Event", event(9), IsChild=True)


def _changes(vendor: SalesforceVendor) -> None:
    """Forty changes of status, and one of owner, which Salesforce keeps twice."""
    for number in range(40):
        change = {"Field": "Status", "DataType": "Text", "OldValue": "Open", "NewValue": "Working", "CreatedDate": at(15, number)}
        put(vendor, "LeadHistory", history(number), LeadId=lead(30 + number), **change)
    for number, kind, old, new in ((40, "Text", "Rep 1", "Rep 0"), (41, "EntityId", user(1), user(0)[:15])):
        put(vendor, "LeadHistory", history(number), LeadId=lead(30), Field="Owner", DataType=kind, OldValue=old, NewValue=new, CreatedDate=at(16))


def _stamped(day: int) -> Record:
    return {"CreatedDate": at(day), "SystemModstamp": at(day)}
