"""What any vendor's server can do wrong with any call, whichever vendor it is: each place of its API fails in turn."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable
from email.utils import formatdate
from urllib.parse import unquote_plus

from tests.pipelines.crm.vendors.loopback import Answer, Asked, Vendor, told

Fault = Callable[[Vendor, Asked], Answer]
_ROOT = re.compile(r"^/(services/data/v62\.0|services|api/data/v9\.2|crm/v\d)/")
# Which objects, behind what says that they are some; or where a page of them begins.
_OBJECT = re.compile(r"(?<=objects/|perties/|iations/)[a-z]+|(?<=sobjects/)\w+(?=/describe)|(?<=query/)01g.+")


class Disturbed(Vendor):
    """A vendor of whose places some fail.

    Parameters
    ----------
    only : the place that fails; "": every one.
    lasting : whether every call fails, rather than every other one, so that each passes when it is made again.
    asked : how often each place was asked for.
    """

    def __init__(self, vendor: Vendor, fault: Fault, only: str = "", lasting: bool = False) -> None:
        self.vendor, self.fault, self.only, self.lasting = vendor, fault, only, lasting
        self.asked: Counter[str] = Counter()

    @property
    def url(self) -> str:
        """Where it is, for the vendor to know."""
        return self.vendor.url

    @url.setter
    def url(self, url: str) -> None:
        self.vendor.url = url

    def answer(self, asked: Asked) -> Answer:
        where = place(asked)
        self.asked[where] += 1
        fails = self.only in ("", where) and (self.lasting or self.asked[where] % 2 == 1)
        return self.fault(self.vendor, asked) if fails else self.vendor.answer(asked)


def place(asked: Asked) -> str:
    """A place of an API: what is asked for, but not of which objects.

    >>> place(Asked("GET", "/crm/v3/objects/contacts?limit=10", {}, b"")), place(Asked("GET", "/services/data/v62.0/query/01g7-2", {}, b""))
    ('GET objects/*', 'GET query/*')
    """
    path = asked.path.partition("?")[0].rstrip("/")
    return f"{asked.method} {_OBJECT.sub('*', _ROOT.sub('', path))}"


def _says(status: int, body: bytes = b"{}", **headers: str) -> Fault:
    return lambda vendor, asked: Answer(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


def _in_half_a_minute(vendor: Vendor, asked: Asked) -> Answer:
    return told(429, {"message": "slow down"}, Retry_After=formatdate(time.time() + 30, usegmt=True))


def _half(vendor: Vendor, asked: Asked) -> Answer:
    whole = vendor.answer(asked)
    whole.cut = True
    return whole


def _lost(vendor: Vendor, asked: Asked) -> Answer:
    vendor.answer(asked)
    return Answer(None)


def echoing(status: int) -> Fault:
    """An answer that repeats whatever it heard, secrets among it, in every place where a vendor tells an error."""

    def said(vendor: Vendor, asked: Asked) -> Answer:
        form = asked.body.decode("utf-8", "replace")[:500]
        heard = f"{asked.headers.get('authorization', '')} {form} {unquote_plus(form)}"
        words = {"status": "error", "message": heard, "errorCode": heard, "error_description": heard, "error": {"message": heard}}
        return told(status, words, Location="/elsewhere")

    return said


PASSING: dict[str, Fault] = {
    "429 with seconds to wait": _says(429, Retry_After="7"),
    "429 with a date to wait for": _in_half_a_minute,
    "429 that says nothing": _says(429, b""),
    "423, a lock of two seconds": _says(423),
    "500": _says(500),
    "503 of a proxy": _says(503, b"<html>maintenance</html>", Content_Type="text/html"),
    "connection dropped before the answer": lambda vendor, asked: Answer(None),
    "connection dropped within the answer": _half,
    "connection dropped after it took effect": _lost,
    "200 of a proxy": _says(200, b"<html>sign in</html>", Content_Type="text/html"),
    "200 that is no text": _says(200, b"\xff\xfe{\x00"),
    "200 that cannot be unpacked": _says(200, b"no gzip", Content_Encoding="gzip"),
    "200 of nothing": _says(200, b""),
    "200 and null": _says(200, b"null"),
    "200 and a list": _says(200, b"[]"),
    "200 and an error": _says(200, json.dumps({"status": "error", "error": {"message": "no"}, "errorCode": "NO", "message": "no"}).encode()),
}
"""What passes when a call is made again."""


def _late(vendor: Vendor, asked: Asked) -> Answer:
    """An answer after any time-out; who waits for it without one hears of a 500."""
    time.sleep(1)
    return Answer(500)


LASTING: dict[str, tuple[Fault, str]] = {
    "401": (_says(401), "{token}"),
    "403": (_says(403), "the owner of {token}|Check SALESFORCE_CLIENT_ID"),
    "404": (_says(404), "404|has no table"),
    "500": (_says(500), "tried 6 times .the last time: 500"),
    "429 for ten days": (_says(429, Retry_After="864000"), "tried once .*asks to wait 864,000 seconds"),
    "429 for longer than there are numbers": (_says(429, Retry_After="9" * 400), "tried once"),
    "429 until the year 9999": (_says(429, Retry_After="Fri, 31 Dec 9999 23:59:59 GMT"), "tried once .*asks to wait"),
    "477, an account that moves for a day": (_says(477, Retry_After="86400"), "tried once .*asks to wait 86,400 seconds"),
    "200 of a proxy": (PASSING["200 of a proxy"], "tried 6 times"),
    "200 and an error": (PASSING["200 and an error"], "tried 6 times"),
    "a redirect to another server": (_says(307, Location="elsewhere"), "307"),
    "no answer in time": (_late, "tried 6 times .the last time: no answer"),
}
"""What does not pass, and what is said of it; {token} is the variable whose secret is to be renewed, "elsewhere" any other server."""
