"""A Salesforce on this machine: it keeps records, speaks the REST, Tooling and Composite API as documented, and fails when it is told to.

It understands the queries that the product sends, not all of SOQL. A new session may not read on in the pages of the one before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.pipelines.crm.vendors.loopback import Answer, Asked, Vendor, told
from tests.pipelines.crm.vendors.soql import Condition

Record = dict[str, Any]
ROOT = "/services/data/v62.0"
CLIENT_ID, CLIENT_SECRET = "CANARY-consumer-key", "CANARY-consumer-secret"
LONGEST_ADDRESS = 16_384


def at(day: int, second: int = 0) -> str:
    """An instant of the story, as Salesforce writes it."""
    return f"{datetime(2025, 1, 1) + timedelta(days=day, seconds=second):%Y-%m-%dT%H:%M:%S}.000+0000"


@dataclass
class Thing:
    """An object: its fields (name -> what describe says) and its records by id."""

    fields: dict[str, Record]
    records: dict[str, Record] = field(default_factory=dict)


def error(status: int, code: str, message: str, **headers: str) -> Answer:
    """An error as the REST API tells it."""
    return told(status, [{"message": message, "errorCode": code}], **headers)


@dataclass
class Cursor:
    """A query that is being read: its pages in the order in which they will be given."""

    pages: list[list[Record]]
    total: int
    login: int


class SalesforceVendor(Vendor):
    """The state of one Salesforce.

    Parameters
    ----------
    page : rows a page.
    orders : object -> how the order of its next query's pages is disturbed, once.
    appended : object -> records as they once were, which come once more behind its next query's last.
    breaks : (object, number of the page from 0) -> what happens instead of this page, once; None instead of an answer lets it pass.
    instead : asked for an answer to any call, each until it has given one.
    empty : objects the first page of whose next query is empty, once.
    root : where the address of a next page begins.
    lost : so many writes take effect without an answer.
    locked : records that somebody else is just writing, each for one call.
    hidden : fields that the user of the token may not see.
    """

    def __init__(self, page: int = 20) -> None:
        self.page, self.today, self.url = page, at(150), ""
        self.things: dict[str, Thing] = {}
        self.orders: dict[str, Callable[[list[int]], list[int]]] = {}
        self.appended: dict[str, list[Record]] = {}
        self.breaks: dict[tuple[str, int], Callable[[], Answer | None]] = {}
        self.instead: list[Callable[[str, str], Answer | None]] = []
        self.login, self.logins, self.token = 0, 0, "CANARY-token-0"
        self.asked: list[tuple[str, str]] = []
        self.lost = 0
        self.empty: set[str] = set()
        self.root = ROOT
        self.locked: set[str] = set()
        self.hidden: set[str] = set()
        self.shows_new_fields = True
        self._cursors: list[Cursor] = []
        self._of: list[str] = []

    def end_session(self) -> None:
        """Every token given out so far is refused from now on."""
        self.login += 1
        self.token = f"CANARY-token-{self.login}"

    def answer(self, asked: Asked) -> Answer:
        method, url, body = asked.method, asked.path, asked.body
        self.asked.append((method, url))
        if len(url) > LONGEST_ADDRESS:
            return told(414, "URI Too Long")
        parts = urlsplit(url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/services/oauth2/token":
            return self._log_in({name: values[0] for name, values in parse_qs(body.decode()).items()})
        if asked.headers.get("authorization") != f"Bearer {self.token}":
            return error(401, "INVALID_SESSION_ID", "Session expired or invalid")
        for fault in list(self.instead):
            if (said := fault(method, parts.path)) is not None:
                self.instead.remove(fault)
                return said
        said = self._routed(method, parts.path.removeprefix(ROOT).strip("/"), query, body)
        if method != "GET" and self.lost:
            self.lost -= 1
            return Answer(None)
        return said

    def _routed(self, method: str, path: str, query: dict[str, str], body: bytes) -> Answer:
        if path == "sobjects":
            return told(200, {"sobjects": [{"name": name, "queryable": True} for name in self.things]})
        if described := re.fullmatch(r"sobjects/(\w+)/describe", path):
            return self._described(described[1])
        if path in ("query", "queryAll"):
            return self._queried(query["q"], deleted=path == "queryAll")
        if place := re.fullmatch(r"query/01g(\d+)-(\d+)", path):
            return self._paged(int(place[1]), int(place[2]))
        if path == "composite/sobjects" and method == "PATCH":
            return self._updated(json.loads(body))
        if path == "tooling/query":
            return self._custom_fields(query["q"])
        if path == "tooling/sobjects/CustomField" and method == "POST":
            return self._created(json.loads(body))
        return error(404, "NOT_FOUND", "The requested resource does not exist")

    def _log_in(self, form: dict[str, str]) -> Answer:
        self.logins += 1
        if form != {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}:
            return told(400, {"error": "invalid_client", "error_description": f"invalid client credentials {form.get('client_secret')}"})
        return told(200, {"access_token": self.token, "instance_url": "http://elsewhere.example", "token_type": "Bearer"})

    def _described(self, name: str) -> Answer:
        if name not in self.things:
            return error(404, "NOT_FOUND", "The requested resource does not exist")
        return told(200, {"name": name, "fields": [one for one in self.things[name].fields.values() if one["name"] not in self.hidden]})

    def _queried(self, soql: str, deleted: bool) -> Answer:
        found = re.fullmatch(r"SELECT (.+?) FROM (\w+)(?: WHERE (.+?))?(?: ORDER BY (.+))?", soql)
        assert found, soql
        fields, name, where, order = found[1].split(", "), found[2], found[3], found[4]
        thing = self.things[name]
        wrong = [one for one in fields if one not in thing.fields and one != "COUNT()"]
        if wrong:
            return error(400, "INVALID_FIELD", f"No such column '{wrong[0]}' on entity '{name}'")
        keep = Condition(where, self.today).meets if where else lambda record: True
        rows = [record for record in thing.records.values() if (deleted or not record.get("IsDeleted")) and keep(record)]
        if fields == ["COUNT()"]:
            return told(200, {"totalSize": len(rows), "done": True, "records": []})
        assert order, soql
        rows.sort(key=lambda record: tuple(record[key] for key in order.split(", ")))
        shown = [{"attributes": {"type": name}, **{one: record.get(one) for one in fields}} for record in rows]
        if len(shown) > 3 * self.page:
            shown += self.appended.pop(name, [])
        pages = [shown[start : start + self.page] for start in range(0, len(shown), self.page)] or [[]]
        sequence = list(range(len(pages)))
        if len(pages) > 3 and name in self.orders:
            sequence = self.orders.pop(name)(sequence)
        if len(pages) > 3 and name in self.empty:
            self.empty.remove(name)
            pages, sequence = [[], *pages], [*range(len(pages) + 1)]
        self._cursors.append(Cursor([pages[number] for number in sequence], len(rows), self.login))
        self._of.append(name)
        return self._paged(len(self._cursors) - 1, 0)

    def _paged(self, number: int, step: int) -> Answer:
        cursor, name = self._cursors[number], self._of[number]
        if cursor.login != self.login:
            return error(401, "INVALID_SESSION_ID", "Session expired or invalid")
        # Only a query of several pages is disturbed: the small ones beside it are none that a cursor is needed for.
        if len(cursor.pages) > 2 and (name, step) in self.breaks:
            said = self.breaks.pop((name, step))()
            if said is not None and not said.cut:
                return said
            cut = said is not None
        else:
            cut = False
        done = step + 1 == len(cursor.pages)
        page = {"totalSize": cursor.total, "done": done, "records": cursor.pages[step]}
        whole = told(200, page if done else {**page, "nextRecordsUrl": f"{self.root}/query/01g{number}-{step + 1}"})
        whole.cut = cut
        return whole

    def _updated(self, body: Record) -> Answer:
        rows = body["records"]
        if len(rows) > 200:
            return error(400, "LIMIT_EXCEEDED", "record list size exceeds limit")
        for row in rows:
            for name in set(row) - {"attributes", "id"}:
                if name not in self.things[row["attributes"]["type"]].fields or name in self.hidden:
                    return error(400, "INVALID_FIELD", f"No such column '{name}' on sobject of type {row['attributes']['type']}")
        return told(200, [self._set(row) for row in rows])

    def _set(self, row: Record) -> Record:
        thing = self.things[row["attributes"]["type"]]
        record = thing.records.get(row["id"])
        values = {name: value for name, value in row.items() if name not in ("attributes", "id")}
        long = [name for name, value in values.items() if isinstance(value, str) and len(value) > (thing.fields[name].get("length") or 10**6)]
        if record is None:
            said = ("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
        elif record.get("IsConverted"):
            said = ("CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead")
        elif row["id"] in self.locked:
            self.locked.remove(row["id"])
            said = ("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record")
        elif long:
            said = ("STRING_TOO_LONG", f"{long[0]}: data value too large")
        else:
            record.update(values)
            return {"id": row["id"], "success": True, "errors": []}
        return {"success": False, "errors": [{"statusCode": said[0], "message": said[1], "fields": []}]}

    def _custom_fields(self, soql: str) -> Answer:
        found = re.fullmatch(r"SELECT DeveloperName FROM CustomField WHERE TableEnumOrId = '(\w+)' AND DeveloperName IN \((.+)\)", soql)
        assert found, soql
        wanted = {name.strip("'").lower() for name in found[2].split(",")}
        there = [name.removesuffix("__c") for name in self.things[found[1]].fields if name.endswith("__c")]
        records = [{"DeveloperName": name} for name in there if name.lower() in wanted]
        return told(200, {"size": len(records), "totalSize": len(records), "done": True, "records": records})

    def _created(self, body: Record) -> Answer:
        sobject, name = body["FullName"].split(".")
        shape = body["Metadata"]
        if name in self.things[sobject].fields:
            return error(400, "DUPLICATE_DEVELOPER_NAME", f"There is already a field named {name} on {sobject}.")
        kind = {"Number": "double", "Text": "string", "LongTextArea": "textarea", "DateTime": "datetime"}[shape["type"]]
        self.things[sobject].fields[name] = {"name": name, "type": kind, "length": shape.get("length", 0), "updateable": True}
        if not self.shows_new_fields:
            self.hidden.add(name)
        return told(201, {"id": f"00N{len(self.things[sobject].fields):012}AAA", "success": True, "errors": [], "warnings": [], "infos": []})
