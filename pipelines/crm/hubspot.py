"""HubSpot as a source: contacts, companies, deals, owners, engagements and the history of contacts, as rows of texts.

    contacts          id, every property of the company's own and the telling ones of HubSpot's; `associatedcompanyid` is the primary company
    companies         likewise
    deals             likewise; contact: the first that HubSpot names, none where there is none; outcome: won, lost or open; closed_at: of closed ones
    owners            id, email, name, team; those who were removed are left out
    engagements       calls, e-mails, meetings, notes and tasks: one row for each of its contacts; one that has no contact is no lead's
    contact_changes   every value that a field of a contact has had

The whole of a table is read through the list API. What changed since an instant is found through the search API by rising id, each page asked for as
"id above the last one read": a search by offset ends at 10,000 rows, and skips a row whenever another leaves its window. Whatever comes twice is
kept once, and of two versions the newer.

Archived records are not read: they are gone at the next full read, and stay as they last were where `cursor` reads only what changed. HubSpot merges
contacts itself, the history of both then being the survivor's. A new association alone does not always count as a change of a deal: a full read,
now and then, picks up what increments miss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Literal

from features.problem import Problem
from pipelines.crm import csvfile
from pipelines.crm.base import Piece, Unreachable, see_cursor
from pipelines.crm.hubspotclient import HubSpotClient, Record, next_page
from pipelines.crm.patience import Refused

Direction = Literal["in", "out", ""]
Cells = list[str | None]

_CONTACT = (
    "createdate lastmodifieddate firstname lastname email company jobtitle lifecyclestage hs_lead_status hubspot_owner_id associatedcompanyid "
    "hs_analytics_source industry country state city website numemployees annualrevenue hs_email_optout"
)
_COMPANY = (
    "createdate hs_lastmodifieddate name domain industry type country state city numberofemployees annualrevenue founded_year lifecyclestage "
    "hubspot_owner_id"
)
_DEAL = "createdate hs_lastmodifieddate dealname dealstage pipeline amount dealtype hubspot_owner_id"
# Read to tell what became of a deal, and no field of it: of an open deal they are plans.
_FATE = ("closedate", "hs_is_closed", "hs_is_closed_won")
_STAGES = {"closedwon": "won", "closedlost": "lost"}
_UNTOLD = ("createdate", "lastmodifieddate", "firstname", "lastname", "email", "company")
_DIRECTIONS: dict[str, Direction] = {"INBOUND": "in", "OUTBOUND": "out", "INCOMING_EMAIL": "in", "EMAIL": "out", "FORWARDED_EMAIL": "out"}
# A meeting is booked, and a task is set, on the day it is written down; what its own date says may still be to come.
_ENGAGEMENTS = {"calls": "hs_timestamp", "emails": "hs_timestamp", "meetings": "hs_createdate", "notes": "hs_timestamp", "tasks": "hs_createdate"}
_ENGAGED = ("hs_timestamp", "hs_createdate", "hs_lastmodifieddate", "hs_call_direction", "hs_email_direction")
_DERIVED = ("contact", "outcome", "closed_at")
_TAKEN = ("id", "row", *_DERIVED)
_OWNERS = ["id", "email", "name", "team"]
_ACTIVITY = ["id", "kind", "contact", "occurred_at", "created_at", "modified_at", "direction"]
_CHANGE = ["contact", "field", "new_value", "changed_at", "modified_at"]
# Longer addresses are cut off by what stands between: the properties then travel in the body of a search.
_LONGEST_ADDRESS = 6_000
_EXPIRED = (400, 404, 410)
# So many times a page may come again, and so many in a row may be empty, before it is said that a list does not end.
_DOUBTS, _EMPTY = 3, 100


@dataclass(frozen=True)
class _Kind:
    """How one table of records is read: which properties, and which says when it changed."""

    modified: str
    known: tuple[str, ...]
    hidden: tuple[str, ...] = ()


_KINDS = {
    "contacts": _Kind("lastmodifieddate", tuple(_CONTACT.split())),
    "companies": _Kind("hs_lastmodifieddate", tuple(_COMPANY.split())),
    "deals": _Kind("hs_lastmodifieddate", tuple(_DEAL.split()), _FATE),
}


class HubSpot:
    """A HubSpot account, read through its API.

    Parameters
    ----------
    client : by default the account that the environment names.
    """

    def __init__(self, client: HubSpotClient | None = None) -> None:
        self.client = client or HubSpotClient.from_environment()
        self._properties: Callable[[str], tuple[str, ...]] = cache(self._asked)

    def tables(self) -> list[str]:
        """See `CrmSource`."""
        return sorted([*_KINDS, "contact_changes", "engagements", "owners"])

    def columns(self, table: str) -> list[str]:
        """See `CrmSource`. Properties that HubSpot defines are left out but for the telling ones: most are counters that know the outcome.

        A property of the company's own that is called like a column that is made here is `own_` and its name.
        """
        if table in _KINDS:
            derived = _DERIVED * (table == "deals")
            return ["id", *derived, *(f"own_{name}" if name in _TAKEN else name for name in self._properties(table))]
        fixed = {"owners": _OWNERS, "engagements": _ACTIVITY, "contact_changes": _CHANGE}
        if table not in fixed:
            raise Problem(f"There is no table {table} in HubSpot, only {', '.join(self.tables())}: correct its `table` in leadscore.toml.")
        return list(fixed[table])

    def size(self, table: str) -> int | None:
        """How many rows HubSpot says there are; None where it does not say."""
        return int(self.client.search(table, [], ["hs_object_id"], 1)["total"]) if table in _KINDS else None

    def pieces(self, table: str, cursor: str | None = None, since: datetime | None = None) -> Iterator[Piece]:
        """See `CrmSource`. Where the cursor is the date of the last change, only what changed since is read.

        Raises
        ------
        Unreachable : HubSpot does not answer.
        """
        columns = self.columns(table)
        see_cursor(table, columns, cursor)
        first = 1
        for rows in self._rows(table, since if cursor in ("lastmodifieddate", "hs_lastmodifieddate", "modified_at") else None):
            yield csvfile.texts(columns, rows, list(range(first, first + len(rows)))), []
            first += len(rows)

    def _rows(self, table: str, since: datetime | None) -> Iterator[list[Cells]]:
        if table == "owners":
            return (list(map(_owner, page)) for page in _newest(_paged(table, self.client.owners)))
        if table == "engagements":
            return self._engagements(since)
        if table == "contact_changes":
            return self._changes(since)
        properties = self._properties(table)
        pages = self._records(table, since, (*properties, *_KINDS[table].hidden))
        if table == "deals":
            return (self._deals(page, properties) for page in pages)
        return ([[str(record["id"]), *_values(record, properties)] for record in page] for page in pages)

    def _asked(self, table: str) -> tuple[str, ...]:
        """The properties of a table that are read."""
        there = self.client.properties(table)
        names = {str(one["name"]) for one in there}
        own = sorted(str(one["name"]) for one in there if not one.get("hubspotDefined") and not str(one["name"]).startswith("leadscore_"))
        known = [name for name in _KINDS[table].known if name in names]
        return (*known, *(name for name in own if name not in known))

    def _deals(self, page: list[Record], properties: Sequence[str]) -> list[Cells]:
        contacts = self.client.contacts_of("deals", [str(record["id"]) for record in page])
        return [[str(r["id"]), next(iter(contacts.get(str(r["id"]), [])), None), *_fate(r), *_values(r, properties)] for r in page]

    def _engagements(self, since: datetime | None) -> Iterator[list[Cells]]:
        for kind, happened in _ENGAGEMENTS.items():
            for page in self._records(kind, since, _ENGAGED):
                contacts = self.client.contacts_of(kind, [str(record["id"]) for record in page])
                yield [_engagement(kind, happened, record, contact) for record in page for contact in contacts.get(str(record["id"]), [])]

    def _changes(self, since: datetime | None) -> Iterator[list[Cells]]:
        told = tuple(name for name in self._properties("contacts") if name not in _UNTOLD)
        modified = _KINDS["contacts"].modified
        if since is None and _fits(told):
            pages = _newest(self._listed("contacts", (modified,), told))
        else:
            found = self._found("contacts", since, (modified,))
            pages = _newest(self.client.read("contacts", [str(record["id"]) for record in page], (modified,), told) for page in found)
        return ([row for record in page for row in _history(record, told, modified)] for page in pages)

    def _records(self, kind: str, since: datetime | None, properties: Sequence[str]) -> Iterator[list[Record]]:
        whole = since is None and _fits(properties)
        return _newest(self._listed(kind, properties) if whole else self._found(kind, since, properties))

    def _listed(self, kind: str, properties: Sequence[str], history: Sequence[str] = ()) -> Iterator[list[Record]]:
        return _paged(kind, lambda after: self.client.page(kind, after, properties, history))

    def _found(self, kind: str, since: datetime | None, properties: Sequence[str]) -> Iterator[list[Record]]:
        """The records that changed since an instant, by rising id.

        When fewer are left than should be, a page was skipped, and is asked for again; so is one that brings what was there, or nothing.
        """
        modified = _KINDS[kind].modified if kind in _KINDS else "hs_lastmodifieddate"
        changed = [{"propertyName": modified, "operator": "GTE", "value": str(round(since.replace(tzinfo=UTC).timestamp() * 1000))}] if since else []
        last = before = doubts = doubted = 0
        expected: int | None = None
        while True:
            answer = self.client.search(kind, [*changed, {"propertyName": "hs_object_id", "operator": "GT", "value": str(last)}], properties)
            page, total = answer["results"], int(answer["total"])
            new = [int(record["id"]) for record in page if int(record["id"]) > last]
            skipped = expected is not None and total < expected
            if skipped or (page and not new) or (total and not page):
                # Counted anew further on: of a long read more than a few rows may be archived meanwhile.
                doubts, doubted = (doubts + 1 if last <= doubted else 1), max(last, doubted)
                if doubts <= _DOUBTS:
                    if skipped:
                        last, expected = before, None
                    continue
                if not new:
                    raise Unreachable(f"HubSpot sends the same page of {kind} again and again: run again later.")
            yield page
            if not new or total <= len(page):
                return
            before, last, expected = last, max(new), total - len(new)


def _paged(what: str, ask: Callable[[str | None], Record]) -> Iterator[list[Record]]:
    """Every page of a list. A cursor that has expired is replaced by the one before it, then by the beginning.

    Raises
    ------
    Unreachable : the list does not come to an end.
    """
    after: str | None = None
    before: list[str | None] = []
    given = set[str]()
    expired = repeated = empty = 0
    while True:
        try:
            answer = ask(after)
        except Refused as refused:
            expired += 1
            if after is None or refused.status not in _EXPIRED or expired > _DOUBTS:
                raise
            after = before.pop() if before and expired == 1 else None
            given.clear()
            continue
        yield answer["results"]
        following = next_page(answer)
        if following is None:
            return
        repeated = repeated + 1 if following in given else 0
        empty = 0 if answer["results"] else empty + 1
        if repeated > _DOUBTS or empty > _EMPTY:
            raise Unreachable(f"HubSpot sends the same page of {what} again and again, or empty ones: run again later.")
        given.add(following)
        before, after = [after], following


def _newest(pages: Iterable[list[Record]]) -> Iterator[list[Record]]:
    """Every record once, and once more only when a newer version of it comes."""
    seen: dict[str, str] = {}
    for page in pages:
        fresh: dict[str, Record] = {}
        for record in page:
            # Whole seconds come without milliseconds, and Z is behind any digit and the point.
            one, version = str(record["id"]), str(record.get("updatedAt") or "").removesuffix("Z")
            if one not in seen or version > seen[one]:
                seen[one], fresh[one] = version, record
        if fresh:
            yield list(fresh.values())


def _fits(names: Sequence[str]) -> bool:
    """Whether properties can be asked for in an address."""
    return sum(len(name) + len("&propertiesWithHistory=") for name in names) <= _LONGEST_ADDRESS


def _values(record: Record, names: Iterable[str]) -> Cells:
    """Some properties of a record; what is empty is not given."""
    held = record.get("properties") or {}
    return [None if held.get(name) in (None, "") else str(held[name]) for name in names]


def _fate(record: Record) -> Cells:
    """What became of a deal, and when; the closing date of an open one is a plan, and is not told."""
    stage, closed_at, closed, won = _values(record, ("dealstage", *_FATE))
    outcome = "won" if won == "true" else "lost" if closed == "true" else _STAGES.get(stage or "", "open") if closed is None else "open"
    return [outcome, None if outcome == "open" else closed_at]


def _owner(record: Record) -> Cells:
    teams = sorted(record.get("teams") or [], key=lambda one: not one.get("primary"))
    team = teams[0].get("name") if teams else None
    name = " ".join(part for part in (record.get("firstName"), record.get("lastName")) if part)
    return [str(record["id"]), record.get("email"), name or None, team]


def _engagement(kind: str, happened: str, record: Record, contact: str) -> Cells:
    created, modified, call, email = _values(record, ("hs_createdate", "hs_lastmodifieddate", "hs_call_direction", "hs_email_direction"))
    occurred = _values(record, (happened,))[0]
    direction = _DIRECTIONS.get(call or email or "", "") or None
    return [f"{record['id']} {contact}", kind.removesuffix("s"), contact, occurred or created, created, modified, direction]


def _history(record: Record, told: Sequence[str], modified: str) -> list[Cells]:
    """Every value that a contact's fields have had, oldest first."""
    changed = _values(record, (modified,))[0]
    histories = record.get("propertiesWithHistory") or {}
    rows = {(name, str(one["timestamp"]), one.get("value") or None) for name in told for one in histories.get(name) or []}
    ordered = sorted(rows, key=lambda row: (row[0], row[1], row[2] or ""))
    return [[str(record["id"]), name, value, moment, changed] for name, moment, value in ordered]
