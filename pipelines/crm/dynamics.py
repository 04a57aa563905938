"""Dynamics 365 Sales as a target: the table of predictive scores, which its own widget on a lead's form shows.

`msdyn_predictivescores` has one row for each record, found by the alternate key (msdyn_entityid, msdyn_entitytype); a PATCH by that key writes the
row or makes it. msdyn_grade is A to D (0 to 3), so that our E is shown as D; msdyn_scoretrend is improving, steady, declining or not enough
information (0 to 3). Source: "Populate predictive scores using custom scoring model" and the reference of the table, both Microsoft Learn. How its
widget reads msdyn_scorereasons, and in which form msdyn_scoredon is wanted, is not documented: neither is written unless `fields` names it.

A batch is one `$batch` request of the Dataverse Web API with a change set for each row, so that a row that is refused takes back no other.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from email import message_from_bytes
from email.message import Message
from hashlib import sha256
from typing import Any
from urllib.parse import quote
from weakref import finalize

import httpx

from features.problem import Problem
from models.deadline import bound, within
from pipelines.crm.access import address, secret
from pipelines.crm.base import Unreachable
from pipelines.crm.patience import Patience, Refused, Setback, Unclear, redacted, retry_after
from pipelines.crm.writeback import Refusal, Update, trend

FIELDS = {"score": "msdyn_score", "tier": "msdyn_grade", "trend": "msdyn_scoretrend"}
"""What is written unless leadscore.toml says otherwise: ours -> the name of the column."""

_API, _TABLE = "/api/data/v9.2", "msdyn_predictivescores"
_GRADES = {"A": 0, "B": 1, "C": 2, "D": 3, "E": 3}
_TRENDS = {"up": 0, "steady": 1, "down": 2, None: 3}
_LONGEST_REASONS = 10_000
# A row that is answered so, or by 500 and more, was not judged: it is sent again.
_NOT_JUDGED = (401, 408, 429)


class _Answered(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, words: str, headers: Mapping[str, str]) -> None:
        super().__init__(f"{status} {words}")
        self.status, self.words, self.headers = status, words, headers


class DynamicsTarget:
    """The scores of one kind of record.

    Parameters
    ----------
    url : of the environment, such as "https://contoso.crm.dynamics.com".
    token_url : where an application gets its token (OAuth 2.0 client credentials, RFC 6749, 4.4).
    kind : "lead" or "opportunity": whose ids the scored leads have.
    fields : ours -> the column's name. Ours are score, tier, rank, reasons, scored_at, probability and trend.
    sleep : a test waits for nothing.
    """

    name, batch = "dynamics", 100

    def __init__(
        self,
        url: str,
        token_url: str,
        client_id: str,
        client_secret: str,
        kind: str = "lead",
        fields: Mapping[str, str] = FIELDS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url, self.token_url, self.kind, self.fields = url, token_url, kind, dict(fields)
        self._application = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
            "scope": f"{url}/.default",
        }
        self._token = ""
        # A redirect would take the token elsewhere; so would a proxy to which this machine's own http:// is sent in clear.
        safe = all(there.startswith("https://") for there in (url, token_url))
        self._http = httpx.Client(timeout=httpx.Timeout(bound("silence"), connect=bound("connect")), follow_redirects=False, trust_env=safe)
        finalize(self, self._http.close)
        self._login = Patience("Microsoft Entra ID", "DYNAMICS_CLIENT_SECRET", (client_secret,), _setback, sleep=sleep)
        self._patience = Patience("Dynamics 365", "DYNAMICS_CLIENT_SECRET", (client_secret,), _setback, renew=self._renew, sleep=sleep)

    @classmethod
    def from_environment(cls, kind: str, fields: Mapping[str, str]) -> DynamicsTarget:
        """The environment at DYNAMICS_URL, entered as the application of DYNAMICS_TENANT_ID, DYNAMICS_CLIENT_ID and DYNAMICS_CLIENT_SECRET.

        DYNAMICS_TOKEN_URL stands in for Microsoft's own place of tokens, for a sovereign cloud or a test.

        Raises
        ------
        Problem : one of them is missing, or an address would send a secret in clear.
        """
        tenant = secret("DYNAMICS_TENANT_ID", "the id of your Microsoft Entra tenant")
        return cls(
            address("DYNAMICS_URL", secret("DYNAMICS_URL", "the address of your environment, such as https://contoso.crm.dynamics.com")),
            address("DYNAMICS_TOKEN_URL", f"https://login.microsoftonline.com/{quote(tenant, safe='')}/oauth2/v2.0/token"),
            secret("DYNAMICS_CLIENT_ID", "the id of an application that may write predictive scores"),
            secret("DYNAMICS_CLIENT_SECRET", "the secret of that application"),
            kind,
            fields,
        )

    def prepare(self, may_create: bool) -> list[str]:
        """See `Target`. The table is Microsoft's: nothing is ever created in it."""
        columns = ",".join(["msdyn_entityid", "msdyn_entitytype", *self.fields.values()])
        try:
            self._patience.call("read its predictive scores", lambda: self._send("GET", f"{_TABLE}?$select={columns}&$top=1").json()["value"])
        except Refused as refused:
            if refused.status not in (400, 404):
                raise
            raise Problem(
                f"Dynamics 365 has no table {_TABLE} with the columns {columns} ({refused.words}): its predictive scoring must be installed "
                "(Dynamics 365 Sales Enterprise or Premium), and `fields` under [writeback] must name its columns."
            ) from None
        return []

    def write(self, updates: Sequence[Update]) -> list[Refusal]:
        """See `Target`. The key of a row is the lead itself, so that a row written twice is one row.

        Rows that were judged are not sent again with those that were not. One that the vendor never judges, while it judges others, is refused.
        """
        rows = {update.lead_id: (self._path(update), json.dumps(self._values(update))) for update in updates}
        judged, unjudged = dict[str, tuple[int, str]](), dict[str, tuple[int, str]]()

        def send() -> None:
            unjudged.clear()
            left = {lead: row for lead, row in rows.items() if lead not in judged}
            answers, headers = self._send_batch(list(left.values()))
            for lead, (status, words) in zip(left, answers, strict=True):
                (unjudged if status in _NOT_JUDGED or status >= 500 else judged)[lead] = status, words
            if unjudged:
                raise _Answered(*next(iter(unjudged.values())), headers)

        try:
            self._patience.call("write predictive scores", send)
        except Unreachable:
            if not (judged and unjudged):
                raise
        refused = {lead: answer for lead, answer in (judged | unjudged).items() if answer[0] >= 300}
        return [Refusal(lead, redacted(words, self._patience.secrets) or f"refused ({status})") for lead, (status, words) in refused.items()]

    def _values(self, update: Update) -> dict[str, Any]:
        return {theirs: _SAID[ours](update) for ours, theirs in self.fields.items()}

    def _path(self, update: Update) -> str:
        key = quote(update.lead_id.replace("'", "''"), safe="")
        return f"{self.url}{_API}/{_TABLE}(msdyn_entityid='{key}',msdyn_entitytype='{self.kind}')"

    def _renew(self) -> None:
        """Get a token; it lasts about an hour."""

        def send() -> str:
            answer = self._request("POST", self.token_url, data=self._application)
            return str(answer.json()["access_token"])

        self._token = self._login.call("give its application a token", send)
        # Tokens that ended may still be quoted.
        self._login.secrets = self._patience.secrets = (*self._patience.secrets, self._token)

    def _send(self, method: str, path: str, body: bytes | None = None, **headers: str) -> httpx.Response:
        if not self._token:
            self._renew()
        told = {"Authorization": f"Bearer {self._token}", "OData-Version": "4.0", "OData-MaxVersion": "4.0", "Accept": "application/json"}
        return self._request(method, f"{self.url}{_API}/{path}", content=body, headers={**told, **headers})

    def _request(self, *where: str, **what: Any) -> httpx.Response:
        answer = within(bound("answer"), lambda: self._http.request(*where, **what))
        _see(answer)
        return answer

    def _send_batch(self, rows: Sequence[tuple[str, str]]) -> tuple[list[tuple[int, str]], Mapping[str, str]]:
        """Status and words for each row, and the headers of the whole."""
        boundary = "batch_" + sha256(repr(rows).encode()).hexdigest()[:24]
        answer = self._send(
            "POST",
            "$batch",
            _batch(rows, boundary),
            **{"Content-Type": f'multipart/mixed; boundary="{boundary}"', "Prefer": "odata.continue-on-error"},
        )
        found = _answers(answer.headers.get("content-type", ""), answer.content)
        if len(found) != len(rows):
            raise Unclear(f"{len(rows)} rows were written and {len(found)} answered")
        return found, answer.headers


_SAID: dict[str, Callable[[Update], Any]] = {
    "score": lambda update: update.score,
    "tier": lambda update: _GRADES.get(update.tier, 3),
    "rank": lambda update: update.rank,
    "reasons": lambda update: update.reasons[:_LONGEST_REASONS],
    "scored_at": lambda update: f"{update.scored_at:%Y-%m-%dT%H:%M:%SZ}",
    "probability": lambda update: round(update.probability, 4),
    "trend": lambda update: _TRENDS[trend(update.change)],
}


def _see(answer: httpx.Response) -> None:
    if not answer.is_success:
        raise _Answered(answer.status_code, _words(answer.content), answer.headers)


def _setback(error: Exception) -> Setback | None:
    """What went wrong with a call."""
    if isinstance(error, _Answered):
        return Setback(error.status, error.words, retry_after(error.headers))
    if isinstance(error, TimeoutError):
        return Setback(None, str(error))
    if isinstance(error, httpx.RequestError):
        return Setback(None, type(error).__name__)
    if isinstance(error, AttributeError | KeyError | TypeError | ValueError):
        return Setback(None, "its answer is none of the documented form")
    return None


def _words(body: bytes) -> str:
    """What an error of Dataverse, or of a place of tokens, says."""
    try:
        read = json.loads(body)
    except ValueError:
        return ""
    error = read.get("error") if isinstance(read, dict) else None
    return str(error.get("message", "") if isinstance(error, dict) else (read.get("error_description") or error or "") if error else "")


def _batch(rows: Sequence[tuple[str, str]], boundary: str) -> bytes:
    """A `$batch` request in which every row is a change set of its own (OData 4.0, 11.7)."""
    parts = []
    for number, (path, body) in enumerate(rows, start=1):
        change = f"change_{number}"
        parts += [
            f"--{boundary}",
            f'Content-Type: multipart/mixed; boundary="{change}"',
            "",
            f"--{change}",
            "Content-Type: application/http",
            "Content-Transfer-Encoding: binary",
            f"Content-ID: {number}",
            "",
            f"PATCH {path} HTTP/1.1",
            "Content-Type: application/json; type=entry",
            "",
            body,
            f"--{change}--",
        ]
    return "\r\n".join([*parts, f"--{boundary}--", ""]).encode()


def _answers(kind: str, body: bytes) -> list[tuple[int, str]]:
    """Status and words of every change set, in the order in which they were asked for; one that failed is answered without a set around it."""
    whole = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
    return [_answer(part.get_payload(0) if part.is_multipart() else part) for part in _parts(whole)]


def _parts(whole: Message) -> list[Message]:
    return [part for part in whole.get_payload() if isinstance(part, Message)] if whole.is_multipart() else []


def _answer(part: object) -> tuple[int, str]:
    content = part.get_payload(decode=True) if isinstance(part, Message) else b""
    text = content if isinstance(content, bytes) else b""
    found = re.match(rb"\s*HTTP/\d\.\d (\d{3})", text)
    return (int(found[1]) if found else 500), _words(re.split(rb"\r?\n\r?\n", text, maxsplit=1)[-1])
