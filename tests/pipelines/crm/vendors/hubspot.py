"""A made-up HubSpot account behind a server on loopback: it keeps its records, speaks the documented JSON, and breaks when it is told to."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.pipelines.crm.vendors.loopback import Answer, Asked, Vendor, told

TOKEN = "pat-na1-canary-5f1c"
START = datetime(2025, 1, 1)
Record = dict[str, Any]
_ENGAGEMENTS = ("calls", "emails", "meetings", "notes", "tasks")


def stamp(moment: datetime) -> str:
    """An instant as HubSpot writes it."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


@dataclass
class HubSpotVendor(Vendor):
    """One account.

    Parameters
    ----------
    fault : what goes wrong, and at which call to `broken`, counted from one; see `_broken`.
    page : rows a page, whatever is asked for.
    """

    fault: str = ""
    broken: tuple[str, int] = ("contacts", 3)
    page: int = 10
    token: str = TOKEN
    records: dict[str, dict[int, Record]] = field(default_factory=dict)
    associations: dict[tuple[str, int], list[int]] = field(default_factory=dict)
    properties: dict[str, list[Record]] = field(default_factory=dict)
    refusing: dict[str, str] = field(default_factory=dict)
    written: list[str] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    url: str = ""

    def put(self, kind: str, number: int, moment: datetime, **values: str) -> None:
        """Make or change a record; its properties remember every value they had."""
        record = self.records.setdefault(kind, {}).setdefault(number, {"createdate": stamp(moment), "held": {}, "history": {}})
        modified = "lastmodifieddate" if kind == "contacts" else "hs_lastmodifieddate"
        record["updatedAt"] = stamp(moment)
        created = {} if kind in _ENGAGEMENTS else {"createdate": record["createdate"]}
        for name, value in {**created, **values, modified: stamp(moment), "hs_object_id": str(number)}.items():
            record["held"][name] = value
            record["history"].setdefault(name, []).insert(0, {"value": value, "timestamp": stamp(moment), "sourceType": "CRM_UI"})

    def answer(self, asked: Asked) -> Answer:
        if asked.headers.get("authorization") != f"Bearer {self.token}":
            return self._error(401, f"The token {asked.headers.get('authorization')} is expired", "EXPIRED_AUTHENTICATION")
        address = urlsplit(asked.path)
        parts = address.path.strip("/").split("/")
        body = json.loads(asked.body or b"{}")
        match parts[2:]:
            case ["objects", kind]:
                return self._spoilt(kind, lambda: self._listed(kind, parse_qs(address.query)))
            case ["objects", kind, "search"]:
                return self._spoilt(kind, lambda: self._found(kind, body))
            case ["objects", kind, "batch", "read"]:
                wanted = [self.records[kind][int(one["id"])] for one in body["inputs"]]
                ids = [int(one["id"]) for one in body["inputs"]]
                shown = [self._shown(n, r, body["properties"], body.get("propertiesWithHistory")) for n, r in zip(ids, wanted, strict=True)]
                return told(200, {"status": "COMPLETE", "results": shown})
            case ["objects", kind, "batch", "update"]:
                return self._spoilt("update", lambda: self._updated(kind, body["inputs"]))
            case ["associations", kind, "contacts", "batch", "read"]:
                return self._associated(kind, body["inputs"])
            case ["owners"]:
                return self._owners(parse_qs(address.query))
            case ["properties", kind] if asked.method == "GET":
                return told(200, {"results": self.properties.get(kind, [])})
            case ["properties", kind]:
                return self._created(kind, body)
        return self._error(404, f"no such place: {address.path}", "OBJECT_NOT_FOUND")

    def _listed(self, kind: str, query: dict[str, list[str]]) -> Answer:
        limit = min(self.page, int(query["limit"][0]))
        pages = self._pages(sorted(self.records.get(kind, {})), limit)
        number = int(query["after"][0].removeprefix("cursor-")) if "after" in query else 0
        if self._now("expired 400", "expired 410", "never lives", kind=kind) and "after" in query:
            return self._error(410 if "410" in self.fault else 400, "The cursor is not valid any more", "VALIDATION_ERROR")
        ids, following = (pages[number] if pages else []), number + 1
        if self._now("a page twice", kind=kind):
            ids, following = pages[number - 1], number
        if self.fault == "pages swapped" and number in (1, 2) and len(pages) > 2:
            ids = pages[3 - number]
        found = [self._shown(n, self.records[kind][n], query.get("properties", []), query.get("propertiesWithHistory")) for n in ids]
        if self.fault == "rows reversed":
            found.reverse()
        if self.fault == "an older version later" and number == 2:
            old = self._shown(pages[0][0], self.records[kind][pages[0][0]], query.get("properties", []), query.get("propertiesWithHistory"))
            found.append({**old, "updatedAt": "2024-01-01T00:00:00.000Z", "properties": {**old["properties"], "jobtitle": "long ago"}})
        if self._now("a newer version later", kind=kind):
            self.put(kind, pages[0][0], START + timedelta(days=50), jobtitle="founder")
            found.append(self._shown(pages[0][0], self.records[kind][pages[0][0]], query.get("properties", []), None))
        paging = {"paging": {"next": {"after": f"cursor-{following}", "link": "?"}}} if following < len(pages) else {}
        return told(200, {"results": found, **paging})

    def _found(self, kind: str, body: Record) -> Answer:
        assert len(body["sorts"]) == 1, "HubSpot sorts by one property"
        filters = [one for group in body["filterGroups"] for one in group["filters"]]
        ids = [n for n in sorted(self.records.get(kind, {})) if all(self._meets(self.records[kind][n], one) for one in filters)]
        limit = min(self.page, body["limit"])
        shown = ids[:limit]
        if self._now("pages swapped", kind=kind) and len(ids) > limit:
            shown = ids[limit : 2 * limit]
        if self._now("a page twice", kind=kind):
            wanted = [one for one in filters if one["propertyName"] != "hs_object_id"]
            before = [n for n in sorted(self.records[kind]) if n not in ids and all(self._meets(self.records[kind][n], one) for one in wanted)]
            shown = before[-limit:] or shown
        found = [self._shown(n, self.records[kind][n], body["properties"], None) for n in shown]
        if self.fault == "rows reversed":
            found.reverse()
        return told(200, {"total": len(ids), "results": found})

    def _meets(self, record: Record, one: Record) -> bool:
        held, value = record["held"].get(one["propertyName"]), int(one["value"])
        if held is None:
            return False
        there = int(held) if held.isdigit() else round(datetime.fromisoformat(held).timestamp() * 1000)
        return bool({"GTE": there >= value, "GT": there > value, "EQ": there == value}[one["operator"]])

    def _shown(self, number: int, record: Record, names: list[str], history: list[str] | None) -> Record:
        shown: Record = {
            "id": str(number),
            "createdAt": record["createdate"],
            "updatedAt": record["updatedAt"],
            "archived": False,
            "properties": {name: record["held"].get(name) for name in names},
        }
        return {**shown, "propertiesWithHistory": {name: record["history"].get(name, []) for name in history}} if history else shown

    def _associated(self, kind: str, inputs: list[Record]) -> Answer:
        """Two contacts a page, so that a record with more is asked for again."""
        results: list[Record] = []
        for one in inputs:
            there, start = self.associations.get((kind, int(one["id"])), []), int(one.get("after", 0))
            paging = {"paging": {"next": {"after": str(start + 2)}}} if len(there) > start + 2 else {}
            to = [
                {"toObjectId": n, "associationTypes": [{"category": "HUBSPOT_DEFINED", "typeId": 3, "label": None}]} for n in there[start : start + 2]
            ]
            if to:
                results.append({"from": {"id": one["id"]}, "to": to, **paging})
        missing = len({one["id"] for one in inputs}) - len({one["from"]["id"] for one in results})
        errors = {"numErrors": missing, "errors": [{"status": "error", "category": "OBJECT_NOT_FOUND", "message": "No contact is associated"}]}
        return told(207 if missing else 200, {"status": "COMPLETE", "results": results, **(errors if missing else {})})

    def _owners(self, query: dict[str, list[str]]) -> Answer:
        owners = [
            {"id": str(n), "email": f"o{n}@example.com", "firstName": "Ola", "lastName": f"Berg {n}", "teams": [{"name": "North", "primary": True}]}
            for n in (71, 72, 73)
        ]
        start = int(query.get("after", ["0"])[0])
        paging = {"paging": {"next": {"after": str(start + 2)}}} if start + 2 < len(owners) else {}
        return told(200, {"results": owners[start : start + 2], **paging})

    def _created(self, kind: str, body: Record) -> Answer:
        if body["name"] in {one["name"] for one in self.properties[kind]}:
            return self._error(409, f"A property named '{body['name']}' already exists.", "OBJECT_ALREADY_EXISTS")
        self.properties[kind].append({**body, "hubspotDefined": False})
        return told(201, body)

    def _updated(self, kind: str, inputs: list[Record]) -> Answer:
        known = {one["name"] for one in self.properties[kind]}
        if unknown := sorted({name for one in inputs for name in one["properties"]} - known):
            return self._error(400, f"Property values were not valid: {unknown[0]} does not exist", "VALIDATION_ERROR")
        if any(self.refusing.get(one["id"]) == "whole" for one in inputs):
            return self._error(400, "Property values were not valid: rank is not a number", "VALIDATION_ERROR")
        errors, results = [], []
        for one in inputs:
            if one["id"] in self.refusing or int(one["id"]) not in self.records[kind]:
                why = self.refusing.get(one["id"], "Could not get some contacts, they may be deleted or not exist")
                errors.append({"status": "error", "category": "OBJECT_NOT_FOUND", "message": why, "context": {"ids": [one["id"]]}})
                continue
            self.records[kind][int(one["id"])]["held"].update(one["properties"])
            self.written.append(one["id"])
            results.append({"id": one["id"], "properties": one["properties"]})
        body = {"status": "COMPLETE", "results": results, **({"numErrors": len(errors), "errors": errors} if errors else {})}
        return told(207 if errors else 200, body)

    def _spoilt(self, kind: str, whole: Any) -> Answer:
        """The answer, or what a fault makes of it."""
        self.calls[kind] += 1
        if self.fault == "down":
            return self._error(503, "Service unavailable", "ERROR")
        if self._now("401", kind=kind):
            return self._error(401, f"The token {self.token} was revoked", "EXPIRED_AUTHENTICATION")
        if self._now("429", kind=kind):
            limited = self._error(429, "You have reached your ten_secondly_rolling limit.", "RATE_LIMITS", policyName="TEN_SECONDLY_ROLLING")
            limited.headers["Retry-After"] = "7"
            return limited
        if self._now("429 for the day", kind=kind):
            return self._error(429, "You have reached your daily limit.", "RATE_LIMITS", policyName="DAILY")
        if self._now("500", kind=kind):
            return self._error(500, f"Internal error while serving {self.token}", "INTERNAL_ERROR")
        if self._now("reset", kind=kind):
            return Answer(None)
        if self._now("a proxy's page", kind=kind):
            return Answer(200, b"<html>Bad gateway</html>", {"Content-Type": "text/html"})
        said: Answer = whole()
        if self._now("answer lost", kind=kind):
            return Answer(None)
        said.cut = self._now("cut off", kind=kind)
        return said

    def _now(self, *faults: str, kind: str) -> bool:
        call, first = self.calls[kind], self.broken[1]
        lasting = self.fault in ("never lives", "401", "429 for the day")
        return self.fault in faults and kind == self.broken[0] and (call == first or (lasting and call > first))

    @staticmethod
    def _pages(ids: list[int], limit: int) -> list[list[int]]:
        return [ids[start : start + limit] for start in range(0, len(ids), limit)]

    def _error(self, status: int, message: str, category: str, **more: str) -> Answer:
        return told(status, {"status": "error", "message": message, "correlationId": "c0ffee", "category": category, **more})


def account(contacts: int = 35, **how: Any) -> HubSpotVendor:
    """An account with some of everything: deals of every fate, one without a contact, engagements of several contacts, changed fields."""
    vendor = HubSpotVendor(**how)
    standard = ["createdate", "lastmodifieddate", "firstname", "lastname", "email", "jobtitle", "lifecyclestage", "hs_lead_status"]
    standard += ["hubspot_owner_id", "associatedcompanyid", "hs_analytics_source", "hs_email_optout", "hs_analytics_num_visits"]
    vendor.properties = {
        "contacts": [{"name": name, "hubspotDefined": True} for name in standard] + [{"name": "favourite_colour", "hubspotDefined": False}],
        "companies": [{"name": name, "hubspotDefined": True} for name in ("createdate", "hs_lastmodifieddate", "name", "industry")],
        "deals": [
            {"name": name, "hubspotDefined": True}
            for name in ("createdate", "hs_lastmodifieddate", "dealstage", "amount", "closedate", "hs_is_closed", "hs_is_closed_won")
        ],
    }
    for n in range(1, 7):
        vendor.put("companies", 900 + n, START, name=f"Firm {n}", industry="Mining")
    for n in range(1, contacts + 1):
        moment = START + timedelta(hours=n)
        # The owner and the company of some are not given.
        known = {"hubspot_owner_id": str(71 + n % 3), "associatedcompanyid": str(901 + n % 6)} if n % 5 else {}
        vendor.put(
            "contacts", n, moment, firstname="Eva", lastname=f"Number {n}", jobtitle="buyer", favourite_colour="red", lifecyclestage="lead", **known
        )
        if n % 4 == 0:
            vendor.put("contacts", n, moment + timedelta(days=5), jobtitle="owner", hs_lead_status="OPEN", lifecyclestage="opportunity")
        if n % 2 == 0:
            vendor.put("emails", 5000 + n, moment, hs_timestamp=stamp(moment), hs_createdate=stamp(moment), hs_email_direction="INCOMING_EMAIL")
            vendor.associations["emails", 5000 + n] = [n]
    for n in range(1, 13):
        moment = START + timedelta(days=10, minutes=n)
        fate = [("closedwon", "true", "true"), ("closedlost", "true", "false"), ("qualifiedtobuy", "false", "false")][n % 3]
        # An open deal is planned to close after everything that is known.
        closes = START + timedelta(days=40) if fate[1] == "true" else START + timedelta(days=900)
        vendor.put(
            "deals", 300 + n, moment, dealstage=fate[0], hs_is_closed=fate[1], hs_is_closed_won=fate[2], closedate=stamp(closes), amount=f"{n}00.5"
        )
        vendor.associations["deals", 300 + n] = [n, n + 1, n + 2] if n != 12 else []
    held = START + timedelta(days=2)
    vendor.put("meetings", 7001, held, hs_timestamp=stamp(START + timedelta(days=800)), hs_createdate=stamp(held))
    vendor.associations["meetings", 7001] = [3, 4, 5]
    vendor.put("calls", 7002, held, hs_timestamp=stamp(held), hs_createdate=stamp(held), hs_call_direction="OUTBOUND")
    vendor.associations["calls", 7002] = [6]
    vendor.put("notes", 7003, held, hs_timestamp=stamp(held), hs_createdate=stamp(held))
    return vendor


def utc(text: str) -> datetime:
    """An instant that HubSpot wrote, as our warehouse holds it."""
    return datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None)
