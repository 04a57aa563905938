"""Calls a vendor's API with patience: what may pass is tried again, what cannot pass is said at once, and no secret is ever said.

401                          once more after `renew`, if there is one; else a Problem that names the secret to renew
423, 429, 5xx, no answer     again after Retry-After, or after 1, 2, 4 ... seconds, each cut by up to half at random
any other status             Refused, at once: the caller knows whether an expired cursor or a malformed row is meant
tries or seconds used up     Unreachable: the next run may have better luck
"""

from __future__ import annotations

import json
import random
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TypeVar
from urllib.parse import quote, quote_plus

from features.problem import Problem
from models.deadline import bound
from pipelines.crm.base import Unreachable

_HIDDEN = "***"
# Shorter texts stand in words by chance.
_SHORTEST = 4
# HubSpot says 423 while it holds a lock for two seconds, and 477 while it moves an account to another place.
_PASSING = (408, 423, 425, 429, 477)
T = TypeVar("T")


@dataclass(frozen=True)
class Setback:
    """What went wrong with one call, whichever client said it.

    Parameters
    ----------
    status : of the answer; None where none came (refused, reset or timed out): whether the call took effect is then unknown.
    words : what the vendor said.
    retry_after : seconds after which the vendor wants to be asked again, see `retry_after`.
    hopeless : no wait of this run will help, such as a limit that ends with the day.
    """

    status: int | None
    words: str = ""
    retry_after: float | None = None
    hopeless: bool = False


class Refused(Problem):
    """The vendor answered that it will not do this, however often it is asked."""

    def __init__(self, sentence: str, status: int, words: str) -> None:
        super().__init__(sentence)
        self.status, self.words = status, words


class Unclear(Exception):
    """An answer that does not say what was asked, and may do so next time; its words follow those of the call."""


@dataclass
class Patience:
    """How one vendor is called.

    Parameters
    ----------
    vendor : its name, as people know it.
    token : the environment variable whose secret is to be renewed when it is refused.
    secrets : texts that appear in no sentence.
    setback : what a client's exception means; None: it is no failure of the call, and is raised as it is. Nobody asks it of an `Unclear`.
    renew : gets a new session where the old one expires by itself; tried once a call, before a 401 is believed. It may raise.
    tries, seconds : no call is tried more often, nor begun again later than so many seconds after it began. Six tries last half a minute, which
        is as long as a vendor's restart; the five minutes of `retry` leave room for a Retry-After.
    every : seconds from one call to the next, for a vendor that counts them.
    first, longest : seconds before the second try, and the most before any.
    seed : of the jitter, by which many customers' retries do not come at once.
    sleep, clock : a test waits for nothing.
    """

    vendor: str
    token: str
    secrets: tuple[str, ...] = field(repr=False)
    setback: Callable[[Exception], Setback | None]
    renew: Callable[[], None] | None = None
    tries: int = 6
    seconds: float = field(default_factory=lambda: bound("retry"))
    every: float = 0.0
    first: float = 1.0
    longest: float = 60.0
    seed: int = 7
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._next = float("-inf")

    def call(self, what: str, send: Callable[[], T]) -> T:
        """The answer of a call that may be made twice, because it only reads or sets the same values again.

        Parameters
        ----------
        what : what is done, to follow "HubSpot did not answer when asked to": "read contacts".
        send : makes the call, within the bounds `connect`, `silence` and `answer` of `models.deadline`, and retries nothing itself.

        Raises
        ------
        Unreachable : no answer within the tries and seconds; whether a write took effect is then unknown.
        Refused : an answer that will be the same next time.
        Problem : the secret was refused.
        """
        began, renewed, tried = self.clock(), False, 0
        while True:
            self._keep_pace()
            try:
                return send()
            except Problem:
                raise
            except Exception as error:
                setback = Setback(None, str(error)) if isinstance(error, Unclear) else self.setback(error)
                if setback is None and not (hidden := self._hidden(error)):
                    raise
            if setback is None:
                # Raised out here, so that what it stands in for does not travel along as its context.
                raise RuntimeError(hidden)
            tried += 1
            if setback.status == 401 and self.renew and not renewed:
                renewed = True
                self.renew()
                continue
            self._see_final(what, setback)
            wait = self._wait(tried, setback)
            if setback.hopeless or tried >= self.tries or self.clock() - began + wait > self.seconds:
                raise Unreachable(self._gave_up(what, setback, tried))
            self.sleep(wait)

    def _keep_pace(self) -> None:
        """A vendor that counts calls a second is not called sooner than it counts."""
        if self.every:
            ahead = self._next - self.clock()
            if ahead > 0:
                self.sleep(ahead)
            self._next = self.clock() + self.every

    def _see_final(self, what: str, setback: Setback) -> None:
        words = self._said(setback)
        if setback.status == 401:
            raise Problem(f"{self.vendor}: the token was refused{words}: renew {self.token} and run again.")
        if setback.status == 403:
            raise Refused(
                f"{self.vendor} does not allow the owner of {self.token} to {what}{words}: give it that right and run again.", 403, words.strip(" ()")
            )
        if setback.status is not None and setback.status < 500 and setback.status not in _PASSING:
            raise Refused(f"{self.vendor} refused to {what} ({setback.status}){words}.", setback.status, words.strip(" ()"))

    def _wait(self, tried: int, setback: Setback) -> float:
        """Seconds before the next try."""
        backed_off = min(self.first * 2.0 ** (tried - 1), self.longest) * self._random.uniform(0.5, 1.0)
        return max(backed_off, setback.retry_after or 0.0)

    def _gave_up(self, what: str, setback: Setback, tried: int) -> str:
        answer = "no answer" if setback.status is None else str(setback.status)
        asked = f", and asks to wait {setback.retry_after:,.0f} seconds" if setback.retry_after else ""
        times = "once" if tried == 1 else f"{tried} times"
        return f"{self.vendor} could not be made to {what}, tried {times} (the last time: {answer}){self._said(setback)}{asked}: run again later."

    def _said(self, setback: Setback) -> str:
        """The vendor's own words, in brackets."""
        words = redacted(" ".join(setback.words.split()), self.secrets)[:300]
        return f" ({words})" if words else ""

    def _hidden(self, error: Exception) -> str:
        """What an error says without the secret that it, or the frames that led there, hold; "": they hold none."""
        said = "".join(traceback.format_exception(error))
        return redacted(f"{type(error).__name__}: {error}", self.secrets) if redacted(said, self.secrets) != said else ""


def redacted(text: str, secrets: Iterable[str]) -> str:
    """A text without secrets, to be used on any text that comes from a vendor, a client or a URL, and may quote them as it would.

    >>> redacted("Bearer pat-na1-1234 was refused", ["pat-na1-1234"])
    'Bearer *** was refused'
    >>> redacted("/token?secret=a%2Fb%3Dcd", ["a/b=cd"])
    '/token?secret=***'
    """
    written = {form for secret in secrets if len(secret) >= _SHORTEST for form in _forms(secret)}
    for form in sorted(written, key=len, reverse=True):
        text = text.replace(form, _HIDDEN)
    return text


def _forms(secret: str) -> tuple[str, ...]:
    """A secret as it is, in an address, in a form, and in JSON."""
    return secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that an answer asks to wait, in either of the two forms of Retry-After (RFC 9110, 10.2.3); None where it does not say.

    A date is held against the answer's own Date, so that a wrong clock here does no harm.

    >>> retry_after({"Retry-After": "7"}), retry_after({})
    (7.0, None)
    >>> retry_after({"retry-after": "Wed, 21 Oct 2025 07:28:30 GMT", "date": "Wed, 21 Oct 2025 07:28:00 GMT"})
    30.0
    """
    said = {name.lower(): value for name, value in headers.items()}
    try:
        return max(0.0, float(said["retry-after"]))
    except KeyError:
        return None
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(said["retry-after"]) - parsedate_to_datetime(said["date"])).total_seconds())
    except (KeyError, ValueError, TypeError):
        return None
