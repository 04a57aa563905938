"""Calls HubSpot through its official client, with patience, and gives back plain JSON.

The client's own models are passed over: they read no version of the API but their own, and turn every date of a history into an object.
Limits as documented under "API usage guidelines" and "Search the CRM": 100 calls in ten seconds, 4 searches a second, 100 rows a page of a list
(50 with history), 200 a page of a search, 100 rows a batch, 1,000 associations a call.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from features.problem import Problem
from models.deadline import bound, within
from pipelines.crm.access import address, secret
from pipelines.crm.base import Unreachable
from pipelines.crm.patience import Patience, Setback, Unclear, retry_after

TOKEN, URL = "HUBSPOT_ACCESS_TOKEN", "HUBSPOT_API_URL"
LISTED, LISTED_WITH_HISTORY, FOUND, WRITTEN = 100, 50, 200, 100
_ASSOCIATED = 1_000
_EVERY, _EVERY_SEARCH = 0.1, 0.25
# A page may come twice.
_AGAIN = 3
# A record that is gone meanwhile, or one that has no contact: what a batch says so of is read.
_GONE = "OBJECT_NOT_FOUND"
Record = dict[str, Any]


class HubSpotClient:
    """One HubSpot account.

    Parameters
    ----------
    token : of a private app, or an OAuth access token. It is sent in a header and appears nowhere else.
    url : of the API.
    sleep : a test waits for nothing.
    """

    def __init__(self, token: str, url: str = "https://api.hubapi.com", sleep: Callable[[float], None] = time.sleep) -> None:
        try:
            import hubspot
        except ImportError as error:
            raise Problem("HubSpot needs its official client, which is not installed: run `pip install 'leadscore[hubspot]'`.") from error
        # The client's own retries would be added to ours, and follow no Retry-After.
        client = hubspot.HubSpot(access_token=token, host=url, retry=False)
        self._objects, self._batch, self._search = client.crm.objects.basic_api, client.crm.objects.batch_api, client.crm.objects.search_api
        self._owners, self._properties = client.crm.owners.owners_api, client.crm.properties.core_api
        self._associations = client.crm.associations.v4.batch_api
        self._patience, self._patience_of_search = (
            Patience("HubSpot", TOKEN, (token,), setback, every=every, sleep=sleep) for every in (_EVERY, _EVERY_SEARCH)
        )

    @classmethod
    def from_environment(cls) -> HubSpotClient:
        """The account whose token stands in HUBSPOT_ACCESS_TOKEN, at HUBSPOT_API_URL where that is set.

        Raises
        ------
        Problem : there is no token, or the address would send it in clear.
        """
        return cls(secret(TOKEN, "the token of a HubSpot private app"), address(URL, "https://api.hubapi.com"))

    def page(self, kind: str, after: str | None, properties: Sequence[str], history: Sequence[str] = ()) -> Record:
        """A page of all records of a kind that are not archived, in HubSpot's own order.

        Raises
        ------
        Refused : HubSpot no longer knows the cursor, among others.
        """
        asked: dict[str, Any] = {"limit": LISTED_WITH_HISTORY if history else LISTED, "properties": list(properties), "archived": False}
        asked |= {"after": after} if after else {}
        asked |= {"properties_with_history": list(history)} if history else {}
        return self._call(f"read {kind}", self._objects.get_page, kind, **asked)

    def search(self, kind: str, filters: Sequence[Mapping[str, str]], properties: Sequence[str], most: int = FOUND) -> Record:
        """The first records, by rising id, that meet every filter; `total` says how many there are."""
        asked = {
            "filterGroups": [{"filters": list(filters)}] if filters else [],
            "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
            "properties": list(properties),
            "limit": most,
        }
        return self._call(f"search {kind}", self._search.do_search, kind, asked, patience=self._patience_of_search, see=_counted)

    def read(self, kind: str, ids: Sequence[str], properties: Sequence[str], history: Sequence[str]) -> list[Record]:
        """Records by id, with the history of some properties; one that is gone is left out."""
        found: list[Record] = []
        for start in range(0, len(ids), LISTED_WITH_HISTORY):
            some = ids[start : start + LISTED_WITH_HISTORY]
            asked = {"inputs": [{"id": one} for one in some], "properties": list(properties), "propertiesWithHistory": list(history)}
            found += self._call(f"read {kind}", self._batch.read, kind, asked, see=partial(_read, asked=len(some)))["results"]
        return found

    def contacts_of(self, kind: str, ids: Sequence[str]) -> dict[str, list[str]]:
        """Record -> its contacts, in the order in which HubSpot names them; a record that has none is missing."""
        found: dict[str, list[str]] = {}
        asked = [{"id": one} for one in ids]
        places = Counter[tuple[str, str]]()
        while asked:
            some, asked = asked[:_ASSOCIATED], asked[_ASSOCIATED:]
            answer = self._call(f"read the contacts of {kind}", self._associations.get_page, kind, "contacts", {"inputs": some}, see=_associated)
            for one in answer["results"]:
                record = str(one["from"]["id"])
                there = found.setdefault(record, [])
                there += [contact for to in one["to"] if (contact := str(to["toObjectId"])) not in there]
                if after := next_page(one):
                    places[record, after] += 1
                    if places[record, after] > _AGAIN:
                        raise Unreachable(f"HubSpot names the same contacts of {kind} again and again: run again later.")
                    asked.append({"id": record, "after": after})
        return {record: contacts for record, contacts in found.items() if contacts}

    def owners(self, after: str | None) -> Record:
        """A page of everybody who can own a record; see `page`."""
        asked: dict[str, Any] = {"limit": LISTED, "archived": False, **({"after": after} if after else {})}
        return self._call("read owners", self._owners.get_page, **asked)

    def properties(self, kind: str) -> list[Record]:
        """What records of a kind can hold: name, type, whether HubSpot defined it."""
        found: list[Record] = self._call(f"read the properties of {kind}", self._properties.get_all, kind, archived=False, see=_named)["results"]
        return found

    def create_property(self, kind: str, wanted: Mapping[str, str]) -> None:
        """Make a property."""
        self._call(f"create the property {wanted['name']} of {kind}", self._properties.create, kind, dict(wanted), see=_made)

    def update(self, kind: str, inputs: Sequence[Mapping[str, Any]]) -> Record:
        """Write properties of at most `WRITTEN` records by id."""
        return self._call(f"write {kind}", self._batch.update, kind, {"inputs": [dict(one) for one in inputs]})

    def _call(
        self,
        what: str,
        method: Callable[..., Any],
        *parts: Any,
        patience: Patience | None = None,
        see: Callable[[Any], None] = lambda answer: _see(answer, "id"),
        **asked: Any,
    ) -> Record:
        """The answer, once it says what it should: `see` raises Unclear of any other, which is then asked for again."""

        def send() -> Record:
            times = (bound("connect"), bound("silence"))
            # The body is read here, so that a connection that is lost within it counts as no answer.
            read: Record = json.loads(within(bound("answer"), lambda: method(*parts, **asked, _preload_content=False, _request_timeout=times).data))
            see(read)
            return read

        return (patience or self._patience).call(what, send)


def next_page(answer: Record) -> str | None:
    """The cursor behind an answer, if anything is left.

    >>> next_page({"paging": {"next": {"after": "41"}}}), next_page({"results": []})
    ('41', None)
    """
    after = ((answer.get("paging") or {}).get("next") or {}).get("after")
    return None if after is None else str(after)


def setback(error: Exception) -> Setback | None:
    """What an exception of HubSpot's client means."""
    import urllib3

    if isinstance(error, AttributeError) and getattr(error.__context__, "status", None) == 0:
        # The client trips over its own report of a connection that could not be made safe.
        return Setback(None, str(getattr(error.__context__, "reason", "")))
    if isinstance(error, TimeoutError):
        return Setback(None, str(error))
    # Among them an answer that is no JSON, or not even text.
    if isinstance(error, urllib3.exceptions.HTTPError | json.JSONDecodeError | UnicodeDecodeError | ConnectionError):
        return Setback(None, type(error).__name__)
    if not type(error).__module__.startswith("hubspot.") or not hasattr(error, "status"):
        return None
    body = _decoded(getattr(error, "body", None))
    words = str(body.get("message") or getattr(error, "reason", None) or "")
    return Setback(error.status or None, words, retry_after(error.headers or {}), body.get("policyName") == "DAILY")  # type: ignore[attr-defined]


def _see(answer: Any, *keys: str) -> None:
    """See that an answer has rows, and every row what makes it one."""
    rows = answer.get("results") if isinstance(answer, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) and all(row.get(key) is not None for key in keys) for row in rows):
        said = answer.get("message") if isinstance(answer, dict) else None
        raise Unclear(str(said or "its answer is none of the documented form"))


def _counted(answer: Any) -> None:
    _see(answer, "id")
    if not isinstance(answer.get("total"), int):
        raise Unclear("it did not say how many there are")


def _named(answer: Any) -> None:
    _see(answer, "name")


def _made(answer: Any) -> None:
    _named({"results": [answer]})


def _associated(answer: Any) -> None:
    _see(answer, "from", "to")
    _see_judged(answer)


def _read(answer: Any, asked: int) -> None:
    _see(answer, "id")
    _see_judged(answer)
    if not answer.get("errors") and len(answer["results"]) < asked:
        raise Unclear(f"of {asked} records it gave {len(answer['results'])}")


def _see_judged(answer: Record) -> None:
    """See that what a batch does not give is not there, rather than not read."""
    for error in answer.get("errors") or []:
        if not isinstance(error, dict) or error.get("category") != _GONE:
            raise Unclear(f"a part of it failed: {error.get('message') if isinstance(error, dict) else error}")


def _decoded(body: str | bytes | None) -> Record:
    try:
        read = json.loads(body or "{}")
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}
