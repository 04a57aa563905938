"""Speaks to one Salesforce: logs in, asks with patience, and says in words what it answers.

    SALESFORCE_INSTANCE_URL + SALESFORCE_ACCESS_TOKEN                      a token that ends when it ends
    SALESFORCE_INSTANCE_URL + SALESFORCE_CLIENT_ID + ..._CLIENT_SECRET     an app of the company's own, which logs in anew when its session ended

The calls are those of Salesforce's REST, Tooling and Composite API (developer.salesforce.com, "REST API Developer Guide").
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote_plus, urlsplit

import requests

from features.problem import Problem
from models.deadline import bound, within
from pipelines.crm.access import address, secret
from pipelines.crm.base import Unreachable
from pipelines.crm.patience import Patience, Refused, Setback, Unclear, redacted, retry_after
from pipelines.crm.salesforceanswers import Page, Record, explained, is_of, page_of

try:
    from simple_salesforce.api import Salesforce as Client
    from simple_salesforce.exceptions import SalesforceError
    from simple_salesforce.format import format_soql
except ImportError as error:
    raise Problem("Salesforce needs its client, which is not installed: run `pip install 'leadscore[salesforce]'`.") from error

VERSION = "62.0"
"""Of the API. Salesforce keeps each for three years at least; everything used here is in this one and all later."""

URL, TOKEN, CLIENT, SECRET = ("SALESFORCE_INSTANCE_URL", "SALESFORCE_ACCESS_TOKEN", "SALESFORCE_CLIENT_ID", "SALESFORCE_CLIENT_SECRET")
LONGEST_URL = 12_000
"""Address and headers of a call together may have 16,384 bytes (Salesforce Help 000386264): a quarter is left to the headers, tokens among them."""

T = TypeVar("T")


class _Session(requests.Session):
    """Calls that end in time, whoever makes them."""

    def request(self, *where: Any, **how: Any) -> requests.Response:
        """See `requests.Session.request`."""
        how["timeout"] = (bound("connect"), bound("silence"))
        return within(bound("answer"), lambda: super(_Session, self).request(*where, **how))


class Expired(Problem):
    """The vendor no longer knows the place in a result from which the next page was to come."""


class Connection:
    """One Salesforce and who we are there. Nothing is asked before the first call.

    Parameters
    ----------
    sleep : a test waits for nothing.

    Raises
    ------
    Problem : the environment does not say where Salesforce is, or who asks.
    """

    def __init__(self, sleep: Callable[[float], None] = time.sleep) -> None:
        secret(URL, "the address of your Salesforce, such as https://example.my.salesforce.com,")
        self._url = address(URL, "")
        self._fixed = os.environ.get(TOKEN, "").strip() != ""
        if self._fixed:
            self._secrets: tuple[str, ...] = (secret(TOKEN, "an access token of Salesforce"),)
            token = TOKEN
        else:
            if not os.environ.get(CLIENT, "").strip():
                raise Problem(
                    f"Neither {TOKEN} nor {CLIENT} and {SECRET} are set: export the access token, or the key and secret of an app of yours that "
                    "may log in by client credentials, and run again."
                )
            self._secrets = (secret(CLIENT, "the consumer key of your app in Salesforce"), secret(SECRET, "the consumer secret of that app"))
            token = SECRET
        self._headers: Mapping[str, str] = {}
        self._client: Client | None = None
        self._logins = 0
        self._described: dict[str, list[Record]] = {}
        self._patience = Patience("Salesforce", token, self._secrets, self._setback, None if self._fixed else self._log_in, sleep=sleep)
        self._entry = Patience("Salesforce", token, self._secrets, self._setback, sleep=sleep)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts that may appear in no sentence."""
        return self._secrets

    def names(self) -> set[str]:
        """The objects that can be queried."""

        def send() -> set[str]:
            told: Any = self._there().describe(allow_redirects=False)
            return {str(one["name"]) for one in told["sobjects"] if one.get("queryable", True)}

        return self._ask("list its objects", send)

    def fields(self, sobject: str, again: bool = False) -> list[Record]:
        """What an object's fields are, as far as this user may see them: asked once, unless `again`."""
        if again or sobject not in self._described:
            self._described[sobject] = self._ask(f"describe {sobject}", lambda: list(self._rest(f"sobjects/{sobject}/describe")["fields"]))
        return self._described[sobject]

    def query(self, what: str, soql: str) -> Page:
        """The first page of a query, deleted and archived rows among its rows.

        Raises
        ------
        Refused : the query is none, or names what this user may not see.
        """
        return self._ask(what, lambda: page_of(self._there().query(soql, include_deleted=True, allow_redirects=False)))

    def count(self, what: str, sobject: str, where: Sequence[str] = ()) -> int:
        """How many rows of an object meet all conditions, deleted and archived ones among them."""
        return self.query(what, f"SELECT COUNT() FROM {sobject}{' WHERE ' + ' AND '.join(where) if where else ''}").total

    def more(self, what: str, following: str) -> Page:
        """The next page.

        Raises
        ------
        Expired : the vendor has forgotten the query: after two days, when ten newer ones were open, or because the session that began it ended.
        """
        login = self._logins
        path = re.sub(r"^/services/data/v[\d.]+/", "", following)

        def send() -> Page:
            # A new session cannot go on with the pages of the one before.
            if self._logins != login:
                raise Expired("Salesforce ended the session between two pages: run again.")
            return page_of(self._rest(path))

        try:
            return self._ask(what, send)
        except Refused as refused:
            if "INVALID_QUERY_LOCATOR" in refused.words or refused.status == 404:
                raise Expired(str(refused)) from refused
            raise

    def update(self, records: Sequence[Record]) -> list[Record]:
        """Update up to 200 records by id, each on its own; what became of each, in their order."""
        body = json.dumps({"allOrNone": False, "records": list(records)})

        def send() -> list[Record]:
            told = self._rest("composite/sobjects", method="PATCH", data=body)
            if not isinstance(told, list) or len(told) != len(records) or not all(map(is_of, told, records)):
                raise Unclear("it did not say what became of every record")
            return told

        return self._ask("update records", send)

    def custom_fields(self, sobject: str, names: Sequence[str]) -> set[str]:
        """Which custom fields an object has, whether or not this user may see them: their names without the `__c`."""
        soql = format_soql("SELECT DeveloperName FROM CustomField WHERE TableEnumOrId = {} AND DeveloperName IN {}", sobject, list(names))

        def send() -> set[str]:
            return {str(record["DeveloperName"]) for record in self._rest("tooling/query", params={"q": soql})["records"]}

        return self._ask(f"list the custom fields of {sobject}", send)

    def create_field(self, sobject: str, name: str, metadata: Record) -> None:
        """Create a custom field through the Tooling API. One that came to be meanwhile, such as by a call whose answer was lost, is as good."""
        body = {"FullName": f"{sobject}.{name}", "Metadata": metadata}

        def send() -> None:
            told: Any = self._there().toolingexecute("sobjects/CustomField", method="POST", data=body, allow_redirects=False)
            if told["success"] is not True:
                raise Unclear("it did not say whether it made it")

        try:
            self._ask(f"create the field {name} of {sobject}", send)
        except Refused as refused:
            if "DUPLICATE_DEVELOPER_NAME" not in refused.words:
                raise

    def room(self, soql: str) -> int:
        """How many bytes of an address a query leaves free; less than none: it cannot be asked in one."""
        return LONGEST_URL - len(self._url) - len("/services/data/v/queryAll/?q=") - len(VERSION) - len(quote_plus(soql))

    def _ask(self, what: str, send: Callable[[], T]) -> T:
        return self._patience.call(what, lambda: _not_used_up(send, self._secrets))

    def _rest(self, path: str, **how: Any) -> Any:
        return self._there().restful(path, allow_redirects=False, **how)

    def _there(self) -> Client:
        """The vendor's own client, logged in."""
        if self._client is None:
            if self._fixed:
                self._client = self._opened(self._url, self._secrets[0])
            else:
                self._log_in()
        assert self._client is not None
        return self._client

    def _log_in(self) -> None:
        """A new session by client credentials (OAuth 2.0, RFC 6749, 4.4), at the company's own address."""
        key, word = self._secrets[:2]
        form = {"grant_type": "client_credentials", "client_id": key, "client_secret": word}
        try:
            url, token = self._entry.call("log in", lambda: self._token(form))
        except Refused as refused:
            raise Problem(f"{refused} Check {CLIENT} and {SECRET}, and that the app may log in by client credentials.") from None
        self._logins += 1
        # Those that ended may still be quoted.
        self._secrets = (*self._secrets, token)
        self._patience.secrets = self._entry.secrets = self._secrets
        self._client = self._opened(self._own(url), token)

    def _token(self, form: dict[str, str]) -> tuple[str, str]:
        """Where to go with a new token, and the token."""
        with self._session(self._url) as session:
            answer = session.post(f"{self._url}/services/oauth2/token", data=form, allow_redirects=False)
        if answer.status_code != 200:
            raise SalesforceError(self._url, answer.status_code, "token", answer.content)
        told = answer.json()
        return str(told.get("instance_url") or self._url), str(told["access_token"])

    def _own(self, url: str) -> str:
        """Where the login sends us: to another machine only over https, so that the token is never sent in clear."""
        there = urlsplit(url)
        return url.rstrip("/") if there.scheme == "https" and there.hostname else self._url

    def _opened(self, url: str, token: str) -> Client:
        client = Client(instance_url=url, session_id=token, version=VERSION, session=self._session(url), parse_float=str, object_pairs_hook=dict)
        # The client takes every Salesforce to speak https; one on this machine, for a test or behind a proxy, may not.
        client.base_url = f"{url}/services/data/v{VERSION}/"
        client.tooling_url = f"{client.base_url}tooling/"
        return client

    def _session(self, url: str) -> requests.Session:
        session = _Session()
        # Nothing on this machine lies behind a proxy.
        session.trust_env = urlsplit(url).scheme == "https"
        # Otherwise a .netrc with an entry for this host would replace the token.
        session.auth = lambda request: request
        session.hooks["response"].append(self._remember)
        return session

    def _remember(self, answer: requests.Response, *others: object, **more: object) -> None:
        """The client's exceptions do not hold the headers, and Retry-After is one."""
        self._headers = answer.headers

    def _setback(self, error: Exception) -> Setback | None:
        """See `Patience`."""
        if isinstance(error, SalesforceError):
            words = explained(error.content)
            # Too many long calls at once, of the whole company, is told by the status of a missing right.
            busy = error.status == 403 and "REQUEST_LIMIT_EXCEEDED" in words
            return Setback(503 if busy else int(error.status), words, retry_after(self._headers))
        if isinstance(error, TimeoutError):
            return Setback(None, str(error))
        if isinstance(error, requests.RequestException):
            # Its own words hold the whole query.
            return Setback(None, type(error).__name__)
        if isinstance(error, (AttributeError, KeyError, TypeError, ValueError)):
            return Setback(None, "its answer is none of the documented form")
        return None


def _not_used_up(send: Callable[[], T], secrets: Sequence[str]) -> T:
    """An answer, unless the company's calls of the day are used up: waiting for minutes will not help then."""
    try:
        return send()
    except SalesforceError as error:
        words = redacted(explained(error.content), secrets)
        if error.status != 403 or "REQUEST_LIMIT_EXCEEDED" not in words or "Concurrent" in words:
            raise
    raise Unreachable(
        f"Salesforce has no API requests left for your company ({words}): it counts those of the last 24 hours, of all programs together. Run again "
        "in some hours, see in Setup > Company Information which program uses them up, or buy more."
    )
