"""However HubSpot cuts its answers into pages and batches, every row of every table comes once, or a sentence says that it does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import copy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.crm.base import Unreachable
from pipelines.crm.hubspot import HubSpot, _newest
from pipelines.crm.hubspotclient import HubSpotClient
from tests.pipelines.crm.vendors.connectors import CONNECTORS, Rows
from tests.pipelines.crm.vendors.hubspot import START, TOKEN, HubSpotVendor, account
from tests.pipelines.crm.vendors.loopback import Answer, Asked, serving, told

READS = ("HubSpot is read", "HubSpot's changes are read")
Answers = Callable[[Asked], Answer]


def _read(name: str, vendor: HubSpotVendor) -> Rows:
    with serving(vendor):
        rows: Rows = CONNECTORS[name].use(vendor.url, lambda seconds: None, Path())
    return rows


def _spoil(vendor: HubSpotVendor, spoilt: Callable[[Asked, Answers], Answer]) -> HubSpotVendor:
    """A vendor of which every answer is made of the true one."""
    answer = vendor.answer
    vendor.answer = lambda asked: spoilt(asked, answer)  # type: ignore[method-assign]
    return vendor


def _where(asked: Asked) -> str:
    return asked.path.partition("?")[0].rstrip("/")


@pytest.mark.parametrize("name", READS)
def test_every_page_may_come_twice(name: str) -> None:
    last: dict[str, Answer] = {}
    twice: list[str] = []

    def spoilt(asked: Asked, answer: Answers) -> Answer:
        where = _where(asked)
        # A search goes on behind an id, a list behind a cursor.
        goes_on = "after=" in asked.path or (where.endswith("/search") and b'"GT", "value": "0"' not in asked.body)
        if where in last and goes_on:
            twice.append(where)
            return last.pop(where)
        last[where] = answer(asked)
        return copy(last[where])

    assert _read(name, _spoil(account(contacts=23, page=5), spoilt)) == _read(name, account(contacts=23, page=5))
    assert {"/crm/v3/owners"} < set(twice)


def test_a_page_of_associations_may_come_twice() -> None:
    vendor = account()
    vendor.associations["deals", 301] = [*range(1, 10)]
    pages: list[Answer] = []

    def spoilt(asked: Asked, answer: Answers) -> Answer:
        if "/associations/" not in asked.path:
            return answer(asked)
        pages.append(answer(asked))
        return pages[-2] if len(pages) == 3 else pages[-1]

    with serving(_spoil(vendor, spoilt)):
        found = HubSpotClient(TOKEN, vendor.url, lambda seconds: None).contacts_of("deals", ["301"])
    assert found == {"301": [str(n) for n in range(1, 10)]}
    # Two a page are five pages; the third answer was the second page once more.
    assert len(pages) == 6


@pytest.mark.parametrize("name", READS)
def test_empty_pages_are_gone_behind(name: str) -> None:
    """Before each page of a list comes an empty one with a cursor of its own, which leads to the same page."""
    seen = set[str]()

    def spoilt(asked: Asked, answer: Answers) -> Answer:
        if "limit=" not in asked.path or asked.path in seen or "cursor-0" in asked.path or "/owners" in asked.path:
            return answer(asked)
        seen.add(asked.path)
        after = asked.path.partition("after=cursor-")[2].partition("&")[0] or "0"
        return told(200, {"results": [], "paging": {"next": {"after": f"cursor-0{after}"}}})

    assert _read(name, _spoil(account(contacts=23, page=5), spoilt)) == _read(name, account(contacts=23, page=5))


@pytest.mark.parametrize("kind", ["objects/contacts", "objects/emails", "owners"])
@pytest.mark.parametrize(("rows", "cursors"), [(True, 1), (True, 3), (False, 10**9)], ids=["one page", "three in a circle", "empty ones"])
def test_a_list_that_never_ends_is_left(kind: str, rows: bool, cursors: int) -> None:
    asked_for: list[str] = []

    def spoilt(asked: Asked, answer: Answers) -> Answer:
        if not _where(asked).endswith(kind):
            return answer(asked)
        asked_for.append(asked.path)
        results = [{"id": "1", "properties": {}}] if rows else []
        return told(200, {"results": results, "paging": {"next": {"after": f"cursor-{len(asked_for) % cursors}"}}})

    with pytest.raises(Unreachable, match="again and again, or empty ones: run again later"):
        _read(READS[0], _spoil(account(), spoilt))
    assert len(asked_for) < 110


def test_associations_that_never_end_are_left() -> None:
    def spoilt(asked: Asked, answer: Answers) -> Answer:
        if "/associations/" not in asked.path:
            return answer(asked)
        row = {"from": {"id": "301"}, "to": [{"toObjectId": 1}], "paging": {"next": {"after": "2"}}}
        return told(200, {"results": [row]})

    with pytest.raises(Unreachable, match="HubSpot names the same contacts of deals again and again"):
        _read(READS[0], _spoil(account(), spoilt))


def _failed(body: dict[str, Any]) -> dict[str, Any]:
    """The last row of a batch was not read."""
    error = {"status": "error", "category": "INTERNAL_ERROR", "message": "the last one timed out"}
    return {**body, "results": body["results"][:-1], "errors": [*body.get("errors", []), error]}


def _short(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "results": body["results"][:-1]}


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize(
    ("where", "spoil", "words"),
    [
        ("/contacts/batch/read", _failed, "a part of it failed: the last one timed out"),
        ("objects/contacts/batch/read", _short, r"of \d+ records it gave \d+"),
    ],
)
@pytest.mark.parametrize("lasting", [False, True])
def test_a_batch_that_is_read_in_part_is_read_again(name: str, where: str, spoil: Callable[[Any], Any], words: str, lasting: bool) -> None:
    times: list[str] = []

    def spoilt(asked: Asked, answer: Answers) -> Answer:
        said = answer(asked)
        body = json.loads(said.body)
        if not asked.path.endswith(where) or not body["results"]:
            return said
        times.append(asked.path)
        return told(207, spoil(body)) if lasting or len(times) % 2 else said

    vendor = _spoil(account(contacts=23, page=5), spoilt)
    if lasting and (name == READS[1] or where.startswith("/")):
        with pytest.raises(Unreachable, match=words):
            _read(name, vendor)
    else:
        assert _read(name, vendor) == _read(name, account(contacts=23, page=5))
    # A full read asks for no record by its id.
    assert bool(times) is (name == READS[1] or where.startswith("/"))


def test_a_record_that_goes_between_two_calls_is_left_out() -> None:
    def spoilt(asked: Asked, answer: Answers) -> Answer:
        if not asked.path.endswith("objects/contacts/batch/read"):
            return answer(asked)
        body = json.loads(answer(asked).body)
        gone = [row["id"] for row in body["results"] if row["id"] == "4"]
        error = {"status": "error", "category": "OBJECT_NOT_FOUND", "message": "Could not get some contacts", "context": {"ids": gone}}
        return told(207, {**body, "results": [row for row in body["results"] if row["id"] != "4"], "errors": [error] * len(gone)})

    whole, found = _read(READS[1], account()), _read(READS[1], _spoil(account(), spoilt))
    assert found == {**whole, "contact_changes": [row for row in whole["contact_changes"] if row[0] != "4"]}


def test_records_that_are_archived_amid_a_search_hide_no_page_that_is_skipped() -> None:
    """Each of them looks like a page that was skipped; the one that is, behind many of them, is still asked for again."""
    vendor = account(contacts=60, page=5)
    found, pages = vendor._found, list[int]()

    def archiving(kind: str, body: dict[str, Any]) -> Answer:
        if kind != "contacts":
            return found(kind, body)
        pages.append(1)
        if len(pages) in (2, 5, 8, 11, 14):
            vendor.records[kind].pop(max(vendor.records[kind]))
        if len(pages) == 18:
            ids = [n for n in sorted(vendor.records[kind]) if n > int(body["filterGroups"][0]["filters"][-1]["value"])]
            said = json.loads(found(kind, body).body)
            return told(200, {**said, "results": [vendor._shown(n, vendor.records[kind][n], body["properties"], None) for n in ids[5:10]]})
        return found(kind, body)

    vendor._found = archiving  # type: ignore[method-assign]
    with serving(vendor):
        source = HubSpot(HubSpotClient(TOKEN, vendor.url, lambda seconds: None))
        rows = [row["id"] for piece, _ in source.pieces("contacts", "lastmodifieddate", START - timedelta(days=1)) for row in piece.to_pylist()]
    assert sorted(map(int, rows)) == [*range(1, 56)]
    assert len(pages) > 18


def test_of_two_versions_of_a_second_the_later_is_newer() -> None:
    versions = [{"id": "1", "updatedAt": f"2025-01-01T00:00:0{moment}Z"} for moment in ("0", "0.250", "0", "0.999", "1", "0.999")]
    assert [record["updatedAt"][18:] for page in _newest([one] for one in versions) for record in page] == ["0Z", "0.250Z", "0.999Z", "1Z"]
