"""Reads leads, contacts, accounts, deals, activities and field history from Salesforce, as rows of texts.

    Lead, Contact, Account, User, ...   any object, with its own columns, as `describe` tells them
    Opportunity                         the same, and who its lead and its contact are, its outcome, and when it closed
    activities                          Task and Event as one table
    lead_changes, contact_changes       LeadHistory and ContactHistory, one row a change, and that a record was deleted or merged

Columns in Salesforce's words begin with a capital; those in small letters are made here, and named like ours where they mean the same.

*Deleted rows* come with IsDeleted "true" while they lie in the recycle bin (15 days), archived activities like all others. `where = { IsDeleted =
["false"] }` leaves deleted rows out of a full read; an incremental one keeps what it had read of a row before. That is right for leads, which have a
past to learn from: that one was deleted is a change of its Status to "Deleted" when it happened, and a lead that was merged into another is deleted
with a MasterRecordId, which is a change of that field. What comes back out of the recycle bin is taken for deleted until `status` changes again.

*Field history* is kept by Salesforce for 18 to 24 months, of the fields for which Setup asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from features.problem import Problem
from pipelines.crm import csvfile
from pipelines.crm.base import Piece, see_cursor
from pipelines.crm.salesforceanswers import Record
from pipelines.crm.salesforceapi import Connection
from pipelines.crm.salesforceids import eighteen
from pipelines.crm.salesforcepages import Selection, by_id, every_row, instant
from pipelines.crm.salesforceties import Ties, contact_of, tied

ACTIVITIES, DEALS = "activities", "Opportunity"
# Table -> the object whose changes it tells, where Salesforce keeps them, and by which name that refers to the object.
_CHANGES = {"lead_changes": ("Lead", "LeadHistory", "LeadId"), "contact_changes": ("Contact", "ContactHistory", "ContactId")}
_LISTED = ("Account", "Contact", "Lead", DEALS, "OpportunityFieldHistory", "OpportunityHistory", "User")
_DEAL_COLUMNS = ("lead_id", "contact_id", "has_lead", "has_contact", "outcome", "closed_at", "changed_at")
_ACTIVITY_COLUMNS = (
    *("Id", "kind", "direction", "lead_id", "contact_id", "has_lead", "has_contact", "occurred_at", "known_at", "changed_at"),
    *("WhoId", "WhatId", "OwnerId", "Subject", "CreatedDate", "SystemModstamp", "IsDeleted"),
)
_TASK = ("Type", "TaskSubtype", "CallType", "ActivityDate", "CompletedDateTime")
_EVENT = ("Type", "EventSubtype", "StartDateTime")
# Addresses and places come in parts too; what is no text comes not at all.
_UNREAD = ("address", "location", "base64", "complexvalue")
_STAMPS = ("SystemModstamp", "CreatedDate")


class Salesforce:
    """One Salesforce as a source of rows.

    Parameters
    ----------
    connection : by default to the Salesforce that the environment names, see `pipelines.crm.salesforceapi`.

    Raises
    ------
    Problem : the environment does not say where Salesforce is, or who asks.
    """

    def __init__(self, connection: Connection | None = None) -> None:
        self.connection = connection or Connection()

    def tables(self) -> list[str]:
        """See `CrmSource`. Every other object that can be queried is a table too, custom ones among them."""
        there = self._names
        made = [ACTIVITIES] * bool(there & {"Task", "Event"}) + [table for table, (_, history, _) in _CHANGES.items() if history in there]
        return sorted([*(name for name in _LISTED if name in there), *made])

    def columns(self, table: str) -> list[str]:
        """See `CrmSource`."""
        self._see(table)
        if table == ACTIVITIES:
            return list(_ACTIVITY_COLUMNS)
        own = list(self._kinds(_CHANGES[table][1] if table in _CHANGES else table))
        return [*own, *_DEAL_COLUMNS] if table == DEALS else own

    def size(self, table: str) -> int | None:
        """See `Counted`. Nobody tells how many changes there are, because of some Salesforce counts two rows."""
        self._see(table)
        if table in _CHANGES:
            return None
        selections = self._activity_selections(None) if table == ACTIVITIES else [Selection(table, (), None)]
        return sum(self.connection.count(f"count {one.sobject}", one.sobject, one.where) for one in selections)

    def pieces(self, table: str, cursor: str | None = None, since: datetime | None = None) -> Iterator[Piece]:
        """See `CrmSource`. Rows are numbered in the order in which they came.

        Of `activities` and Opportunity the cursor is `changed_at`, which rises with everything that a row is made of: the record itself, the contact
        roles and the conversions that tie it, and for an event also that it has taken place. Of any other table it is SystemModstamp, or the
        CreatedDate of a history.
        """
        columns = self.columns(table)
        see_cursor(table, columns, cursor)
        row = 1
        for records in self._records(table, cursor, since):
            texts = [[_text(record.get(column)) for column in columns] for record in records]
            yield csvfile.texts(columns, texts, list(range(row, row + len(records)))), []
            row += len(records)

    def _records(self, table: str, cursor: str | None, since: datetime | None) -> Iterator[list[Record]]:
        at = f"{since:%Y-%m-%dT%H:%M:%SZ}" if cursor and since else None
        if table == ACTIVITIES:
            yield from self._activities(at if cursor == "changed_at" else None)
        elif table in _CHANGES:
            yield from self._changes(*_CHANGES[table], at if cursor == "CreatedDate" else None)
        elif table == DEALS:
            yield from self._deals(cursor, at)
        else:
            yield from self._plain(table, cursor, at)

    def _plain(self, table: str, cursor: str | None, at: str | None) -> Iterator[list[Record]]:
        ids = [name for name, field in self._kinds(table).items() if field["type"] in ("id", "reference")]
        for records in every_row(self.connection, self._selection(table, self._since(table, cursor, at))):
            yield [_long_ids(record, ids) for record in records]

    def _deals(self, cursor: str | None, at: str | None) -> Iterator[list[Record]]:
        """Opportunities; an incremental read brings also those of which only the contact, or the lead, has changed."""
        if cursor != "changed_at":
            for records in self._plain(DEALS, cursor, at):
                yield [self._deal(record) for record in records]
            return
        read: set[str] = set()
        for records in self._plain(DEALS, "SystemModstamp", at):
            read |= {record["Id"] for record in records}
            yield [self._deal(record) for record in records]
        # Salesforce's own stamps have milliseconds and an offset of +0000, and are compared as texts.
        touched = self._ties.touched_since(at.replace("Z", ".000+0000")) - read if at else set()
        ids = [name for name, field in self._kinds(DEALS).items() if field["type"] in ("id", "reference")]
        for records in by_id(self.connection, self._selection(DEALS), sorted(touched)):
            yield [self._deal(_long_ids(record, ids)) for record in records]

    def _deal(self, record: Record) -> Record:
        """An opportunity and what it is to us. Won and closed are flags of its stage, whatever the company calls its stages.

        It closed when its stage last changed. Where Salesforce has not kept that, it is dated by its CloseDate, a day that a person types, but not
        before it was there nor after it was last changed.
        """
        stamp, created = str(record["SystemModstamp"]), str(record["CreatedDate"])
        lead = self._ties.lead_of_deal(record["Id"], created)
        contact = self._ties.contact_of_deal(record["Id"])
        closed = record.get("LastStageChangeDate") or _within(created, record.get("CloseDate"), stamp)
        return {
            **record,
            "lead_id": lead,
            "contact_id": contact,
            "has_lead": lead is not None,
            "has_contact": contact is not None,
            "outcome": "won" if record["IsWon"] else "lost" if record["IsClosed"] else "open",
            "closed_at": closed if record["IsClosed"] else None,
            "changed_at": max(stamp, self._ties.touched.get(record["Id"], "")),
        }

    def _changes(self, sobject: str, history: str, key: str, at: str | None) -> Iterator[list[Record]]:
        """Field history. Of a field that names another record Salesforce keeps two rows a change: those with ids are read."""
        named = {name for field in self._kinds(sobject).values() if field["type"] == "reference" for name in _names_of(field)}
        for records in self._plain(history, "CreatedDate", at):
            kept = [record for record in records if record["Field"] not in named or record.get("DataType") in (None, "EntityId")]
            yield [_long_ids(record, ("OldValue", "NewValue")) if record["Field"] in named else record for record in kept]
        fields = tuple(name for name in ("Status", "MasterRecordId") if name in self._kinds(sobject))
        gone = ("IsDeleted = true", *([f"SystemModstamp >= {at}"] if at else []))
        for records in every_row(self.connection, Selection(sobject, fields, "SystemModstamp", gone)):
            yield [_ended(record, key) for record in records]

    def _activities(self, at: str | None) -> Iterator[list[Record]]:
        for selection in self._activity_selections(at):
            for records in every_row(self.connection, selection):
                yield [self._activity(selection.sobject, record) for record in records]

    def _activity_selections(self, at: str | None) -> Iterator[Selection]:
        """What was done: tasks that are closed and events that began before today. What is only planned is overwritten once it happens, so that
        past nights could not be told what tonight would be.
        """
        for sobject, wanted, happened, began in (
            ("Task", _TASK, "IsClosed = true", ""),
            ("Event", _EVENT, "StartDateTime < TODAY", f" OR StartDateTime >= {at}"),
        ):
            if sobject in self._names:
                kinds = self._kinds(sobject)
                fields = tuple(name for name in (*wanted, *_ACTIVITY_COLUMNS) if name in kinds)
                # The first of a series, and the copies of an event in other people's calendars, are not things that were done.
                flags = [f"{flag} = false" for flag in ("IsRecurrence", "IsChild") if kinds.get(flag, {}).get("filterable")]
                changed = [f"(SystemModstamp >= {at}{began})"] if at else []
                yield Selection(sobject, fields, "SystemModstamp", (happened, *flags, *changed))

    def _activity(self, sobject: str, record: Record) -> Record:
        """A task or an event as one row. What sales enters was done to the lead, unless it says that a call came in."""
        stamp, created = str(record["SystemModstamp"]), str(record["CreatedDate"])
        if sobject == "Event":
            occurred = str(record["StartDateTime"])
            # It may be read only once today, which begins up to a day later elsewhere, has begun.
            changed = max(stamp, _later(occurred))
        else:
            # A task closed before Salesforce kept when is dated by its day, but not before it was entered nor after it was last changed.
            occurred = str(record.get("CompletedDateTime") or _within(created, record.get("ActivityDate"), stamp))
            changed = stamp
        lead, contact = self._whose(record, occurred)
        return {
            **_long_ids(record, ("WhoId", "WhatId", "OwnerId")),
            "kind": str(record.get("Type") or record.get(f"{sobject}Subtype") or sobject).lower(),
            "direction": "in" if record.get("CallType") == "Inbound" else "out",
            "lead_id": lead,
            "contact_id": contact,
            "has_lead": lead is not None,
            "has_contact": contact is not None,
            "occurred_at": occurred,
            "known_at": max(created, occurred),
            "changed_at": changed,
        }

    def _whose(self, record: Record, occurred: str) -> tuple[str | None, str | None]:
        """The lead and the contact of a task or an event: whom it names, else those of the deal that it names."""
        who, what = (eighteen(str(record.get(name) or "")) for name in ("WhoId", "WhatId"))
        if who:
            return self._ties.lead_of(who, occurred), contact_of(who)
        return self._ties.lead_of_deal(what, occurred), self._ties.contact_of_deal(what)

    @cached_property
    def _names(self) -> set[str]:
        return self.connection.names()

    @cached_property
    def _ties(self) -> Ties:
        """Read whole, once: few records and fields tie, and a deal of today may hang on a conversion of years ago."""
        leads, roles = list[Record](), list[Record]()
        if "Lead" in self._names:
            fields = ("CreatedDate", "IsDeleted", "ConvertedContactId", "ConvertedOpportunityId")
            chosen = Selection("Lead", fields, "SystemModstamp", ("IsConverted = true",))
            leads = [record for page in every_row(self.connection, chosen) for record in page]
        if "OpportunityContactRole" in self._names:
            chosen = Selection("OpportunityContactRole", ("OpportunityId", "ContactId", "IsPrimary", "CreatedDate", "IsDeleted"), "SystemModstamp")
            roles = [record for page in every_row(self.connection, chosen) for record in page]
        return tied(leads, roles)

    def _see(self, table: str) -> None:
        if table not in self.tables() and table not in self._names:
            raise Problem(f"There is no table {table} in Salesforce, only {', '.join(self.tables())}: correct its `table` in leadscore.toml.")

    def _kinds(self, sobject: str) -> dict[str, Record]:
        """Field by field what `describe` says of it."""
        return {field["name"]: field for field in self.connection.fields(sobject) if field["type"] not in _UNREAD}

    def _selection(self, sobject: str, where: tuple[str, ...] = ()) -> Selection:
        kinds = self._kinds(sobject)
        return Selection(sobject, tuple(kinds), next((stamp for stamp in _STAMPS if stamp in kinds), None), where)

    def _since(self, table: str, cursor: str | None, at: str | None) -> tuple[str, ...]:
        """Salesforce itself filters by a cursor that is a time; by any other everything is read, and left out later."""
        field: Mapping[str, Any] = self._kinds(table).get(cursor or "", {})
        if at is None or field.get("type") != "datetime" or not field.get("filterable", True):
            return ()
        return (f"({cursor} >= {at} OR {cursor} = null)",) if field.get("nillable") else (f"{cursor} >= {at}",)


def _ended(record: Record, key: str) -> Record:
    """That a record was deleted, or merged into another, as a change of it."""
    remains = record.get("MasterRecordId")
    what = ("MasterRecordId", None, eighteen(str(remains))) if remains else ("Status", record.get("Status"), "Deleted")
    change = dict(zip(("Field", "OldValue", "NewValue"), what, strict=True))
    return {**change, "Id": record["Id"], key: record["Id"], "CreatedDate": record["SystemModstamp"], "IsDeleted": False}


def _names_of(field: Record) -> list[str]:
    """What a field is called in the history: by its own name, or as Owner for OwnerId."""
    return [str(name) for name in (field["name"], field.get("relationshipName")) if name]


def _long_ids(record: Record, columns: Iterable[str]) -> Record:
    return {**record, **{column: eighteen(str(record[column])) for column in columns if record.get(column)}}


def _within(first: str, day: object, last: str) -> str:
    """A day as somebody typed it, but within what Salesforce itself noted."""
    return min(max(first, str(day or "")), last)


def _later(moment: str) -> str:
    """A day after a moment, written as Salesforce writes it."""
    return instant((datetime.fromisoformat(moment).astimezone(UTC) + timedelta(days=1)).isoformat()).replace("Z", "+0000")


def _text(value: object) -> str | None:
    """A value of JSON as a text; numbers come as texts already, with every digit that they had."""
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)
