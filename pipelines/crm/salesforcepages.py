"""Reads every row of a Salesforce object once, whatever happens to its pages.

page 1, page 2, ...         in the order of (SystemModstamp, Id), so that a row that changes meanwhile comes again, behind
a place that expired        the query is asked again from the last row received
a page twice, or late       a row is passed on if it is new, or newer than what was passed on of it
fewer rows than promised    everything is read again, and only what was missing is passed on
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote_plus

from pipelines.crm.base import Unreachable
from pipelines.crm.salesforceanswers import Page, Record
from pipelines.crm.salesforceapi import LONGEST_URL, Connection, Expired

_WALKS = 3
# A page may come again, but not for ever: so many times the rows that there are, and a page of Salesforce's beside.
_TIMES, _BESIDE = 3, 2_000
# Of an encoded address: an id takes 18 signs, two quotes and a comma.
_ID = 27


@dataclass(frozen=True)
class Selection:
    """What is read of an object.

    Parameters
    ----------
    sobject : its name.
    fields : what is read of it; Id and the stamp are read with them.
    stamp : the field that rises when a row changes; None: there is none, and rows never change.
    where : conditions, all of which a row must meet.
    """

    sobject: str
    fields: tuple[str, ...]
    stamp: str | None
    where: tuple[str, ...] = ()

    def soql(self, fields: Iterable[str], *more: str) -> str:
        """The query, under further conditions."""
        keys = ["Id", self.stamp] if self.stamp else ["Id"]
        conditions = [*self.where, *more]
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        order = f"{self.stamp}, Id" if self.stamp else "Id"
        return f"SELECT {', '.join([*keys, *(f for f in fields if f not in keys)])} FROM {self.sobject}{where} ORDER BY {order}"

    def behind(self, last: Record) -> str:
        """The condition that a row comes after this one."""
        after = f"Id > '{last['Id']}'"
        if self.stamp is None:
            return after
        moment = instant(str(last[self.stamp]))
        return f"({self.stamp} > {moment} OR ({self.stamp} = {moment} AND {after}))"

    def portions(self) -> list[tuple[str, ...]]:
        """The fields in as many parts as there must be queries: the address of a query is bounded, and a company has hundreds of fields."""
        parts: list[list[str]] = [[]]
        filled = 0
        for field in self.fields:
            size = len(quote_plus(f", {field}"))
            if filled + size > LONGEST_URL // 2 and parts[-1]:
                parts.append([])
                filled = 0
            parts[-1].append(field)
            filled += size
        return [tuple(part) for part in parts]


def every_row(connection: Connection, selection: Selection) -> Iterator[list[Record]]:
    """The rows that meet the conditions, a page at a time: each once, and again when it changed while they were read.

    Raises
    ------
    Unreachable : the vendor keeps forgetting the query, or gives fewer rows than it says there are.
    Refused : the query names what this user may not see.
    """
    first, *others = selection.portions()
    seen: dict[str, str] = {}
    total = 0
    for _ in range(_WALKS):
        total = -1
        for page in _walk(connection, selection, first):
            total = page.total if total < 0 else total
            fresh = [record for record in page.records if _newer(record, selection.stamp, seen)]
            if fresh:
                yield _completed(connection, selection, fresh, others)
        if len(seen) >= total:
            return
    raise Unreachable(f"Salesforce says that {selection.sobject} has {total:,} rows here, and gave {len(seen):,}: run again later.")


def by_id(connection: Connection, selection: Selection, ids: Sequence[str]) -> Iterator[list[Record]]:
    """The rows of these ids, whatever the conditions; an id that is gone is left out."""
    plain = Selection(selection.sobject, selection.fields, selection.stamp)
    first, *others = plain.portions()
    for chunk in _chunks(connection, plain, first, ids):
        for page in every_row(connection, Selection(plain.sobject, first, plain.stamp, (_among(chunk),))):
            yield _completed(connection, plain, page, others)


def instant(text: str) -> str:
    """A date with its time as SOQL writes one.

    >>> instant("2025-01-02T03:04:05.000+0000")
    '2025-01-02T03:04:05.000Z'
    """
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"


def _walk(connection: Connection, selection: Selection, fields: tuple[str, ...]) -> Iterator[Page]:
    """Pages from the first to the last, taken up again where the vendor forgot."""
    what = f"read {selection.sobject}"
    page = connection.query(what, selection.soql(fields))
    last: Record | None = None
    most, received = _TIMES * page.total + _BESIDE, 0
    while True:
        yield page
        received += len(page.records) or 1
        last = page.records[-1] if page.records else last
        if page.following is None:
            return
        if received > most:
            raise Unreachable(f"Salesforce gave rows of {selection.sobject} again and again, and never the last: run again later.")
        try:
            page = connection.more(what, page.following)
        except Expired:
            page = connection.query(what, selection.soql(fields, *([selection.behind(last)] if last else [])))


def _newer(record: Record, stamp: str | None, seen: dict[str, str]) -> bool:
    """Whether a row, or this version of it, was not passed on yet; it is from now on."""
    version = str(record[stamp]) if stamp else ""
    known = seen.get(record["Id"])
    if known is not None and known >= version:
        return False
    seen[record["Id"]] = version
    return True


def _completed(connection: Connection, selection: Selection, records: list[Record], others: Sequence[tuple[str, ...]]) -> list[Record]:
    """Rows with the fields that did not fit into the first query; one that is gone meanwhile is left out."""
    for fields in others:
        found: dict[str, Record] = {}
        part = Selection(selection.sobject, fields, selection.stamp)
        for chunk in _chunks(connection, part, fields, [record["Id"] for record in records]):
            for page in every_row(connection, Selection(part.sobject, fields, part.stamp, (_among(chunk),))):
                found.update({record["Id"]: record for record in page})
        # The first part's stamp stays: what changed since comes again with the next read.
        records = [{**found[record["Id"]], **record} for record in records if record["Id"] in found]
    return records


def _chunks(connection: Connection, selection: Selection, fields: tuple[str, ...], ids: Sequence[str]) -> Iterator[Sequence[str]]:
    size = max(1, connection.room(selection.soql(fields, _among([]))) // _ID)
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


def _among(ids: Sequence[str]) -> str:
    named = ",".join(f"'{one}'" for one in ids)
    return f"Id IN ({named})"
