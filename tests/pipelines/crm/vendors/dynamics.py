"""A made-up Dynamics 365 environment and its place of tokens behind one server on loopback."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote

from tests.pipelines.crm.vendors.loopback import Answer, Asked, Vendor, told

SECRET = "dyn~canary-7788"
COLUMNS = {"msdyn_score", "msdyn_grade", "msdyn_scoretrend", "msdyn_scorereasons", "msdyn_scoredon", "msdyn_entityid", "msdyn_entitytype"}


@dataclass
class DynamicsVendor(Vendor):
    """One environment: the rows of msdyn_predictivescores by their alternate key.

    Parameters
    ----------
    fault : what goes wrong with the second batch, once; "401", "down" and "wrong secret" last.
    installed : whether predictive scoring is there.
    refusing, busy : rows that are refused, and why; rows that are never judged.
    """

    fault: str = ""
    installed: bool = True
    scores: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    refusing: dict[str, str] = field(default_factory=dict)
    busy: set[str] = field(default_factory=set)
    written: list[str] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    tokens: list[str] = field(default_factory=list)
    url: str = ""

    def answer(self, asked: Asked) -> Answer:
        place = asked.path.partition("?")[0]
        if place == "/token":
            return self._token(parse_qs(asked.body.decode()))
        if not self.tokens or asked.headers.get("authorization") != f"Bearer {self.tokens[-1]}":
            return self._error(401, f"{asked.headers.get('authorization')} has expired")
        if place == "/api/data/v9.2/msdyn_predictivescores":
            asked_for = set(asked.path.partition("$select=")[2].partition("&")[0].split(","))
            if not self.installed:
                return self._error(404, "Resource not found for the segment 'msdyn_predictivescores'.")
            unknown = sorted(asked_for - COLUMNS)
            return self._error(400, f"Could not find a property named '{unknown[0]}'") if unknown else told(200, {"value": []})
        assert place == "/api/data/v9.2/$batch"
        self.calls["batch"] += 1
        return self._spoilt(asked)

    def next_token(self) -> str:
        """The token that it gives next."""
        return f"eyJ-canary-{len(self.tokens)}"

    def _token(self, form: dict[str, list[str]]) -> Answer:
        assert form["grant_type"] == ["client_credentials"]
        assert form["scope"] == [f"{self.url}/.default"]
        if self.fault == "wrong secret" or form["client_secret"] != [SECRET]:
            said = {"error": "invalid_client", "error_description": f"AADSTS7000215: Invalid client secret provided: {SECRET}"}
            return told(401, said)
        self.tokens.append(self.next_token())
        return told(200, {"token_type": "Bearer", "expires_in": 3599, "access_token": self.tokens[-1]})

    def _spoilt(self, asked: Asked) -> Answer:
        second = self.calls["batch"] == 2
        if self.fault == "down" or (self.fault.endswith("then down") and self.calls["batch"] > 2):
            return self._error(503, "Service unavailable")
        if self.fault == "401" or (self.fault == "token expires" and second):
            self.tokens.append(self.next_token()) if self.fault == "token expires" else None
            return self._error(401, f"{asked.headers['authorization']} has expired")
        if second and self.fault == "429":
            return Answer(429, self._error(429, "Number of requests exceeded the limit of 6000").body, {"Retry-After": "11"})
        if second and self.fault == "500":
            return self._error(500, f"generic failure for {self.tokens[-1]}")
        if second and self.fault == "reset":
            return Answer(None)
        said = self._batch(asked)
        if second and self.fault == "answer lost":
            return Answer(None)
        said.cut = second and self.fault == "cut off"
        return said

    def _batch(self, asked: Asked) -> Answer:
        boundary = re.search('boundary="?([^";]+)', asked.headers["content-type"])
        assert boundary
        assert asked.headers["prefer"] == "odata.continue-on-error"
        sets = asked.body.decode().split(f"--{boundary[1]}")[1:-1]
        told_of = len(sets) - (self.fault == "one answer is missing" and self.calls["batch"] == 2)
        busy = self.fault.startswith("one row is busy") and self.calls["batch"] == 2
        return Answer(
            200,
            "".join(f"--back\r\n{self._change(one, busy and n == 0)}" for n, one in enumerate(sets[:told_of])).encode() + b"--back--\r\n",
            {"Content-Type": "multipart/mixed; boundary=back"},
        )

    def _change(self, part: str, busy: bool) -> str:
        """A change set holds one PATCH by the alternate key, and is answered by a set if it worked."""
        found = re.search(r"PATCH \S+/msdyn_predictivescores\(msdyn_entityid='([^)]*)',msdyn_entitytype='(\w+)'\) HTTP/1.1", part)
        assert found
        assert len(re.findall("PATCH ", part)) == 1
        key, body = (unquote(found[1]).replace("''", "'"), found[2]), json.loads(part.partition("type=entry\r\n\r\n")[2].partition("\r\n--")[0])
        if busy or key[0] in self.busy:
            return _part("503 Service Unavailable", {"error": {"message": "The server is busy"}})
        if key[0] in self.refusing:
            return _part("400 Bad Request", {"error": {"code": "0x80040203", "message": self.refusing[key[0]]}})
        self.scores[key] = {**self.scores.get(key, {}), **body}
        self.written.append(key[0])
        return (
            "Content-Type: multipart/mixed; boundary=set\r\n\r\n--set\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n"
            "Content-ID: 1\r\n\r\nHTTP/1.1 204 No Content\r\nOData-Version: 4.0\r\n\r\n\r\n--set--\r\n"
        )

    def _error(self, status: int, message: str) -> Answer:
        return told(status, {"error": {"code": "0x80072322", "message": message}})


def _part(line: str, body: dict[str, Any]) -> str:
    return (
        "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        f"HTTP/1.1 {line}\r\nContent-Type: application/json\r\n\r\n{json.dumps(body)}\r\n"
    )
