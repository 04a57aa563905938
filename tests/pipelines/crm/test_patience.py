"""What may pass is tried again and waited for, what cannot pass is said at once, and no secret is ever said."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.problem import Problem
from pipelines.crm.base import Unreachable
from pipelines.crm.patience import Patience, Refused, Setback, Unclear, redacted, retry_after

SECRET = "s3cret-canary"


class _Failed(Exception):
    def __init__(self, setback: Setback) -> None:
        super().__init__(setback.words)
        self.setback = setback


class _Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now, self.slept = 0.0, list[float]()

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def _patience(clock: _Clock, **how: Any) -> Patience:
    def setback(error: Exception) -> Setback | None:
        return error.setback if isinstance(error, _Failed) else None

    return Patience("Vendor", "VENDOR_TOKEN", (SECRET,), setback, sleep=clock.sleep, clock=lambda: clock.now, **how)


def _failing(*setbacks: Setback) -> Callable[[], str]:
    """Fails so, one time after the other, then answers."""
    left: Iterator[Setback] = iter(setbacks)

    def send() -> str:
        for one in left:
            raise _Failed(one)
        return "answer"

    return send


@pytest.mark.parametrize("status", [408, 423, 425, 429, 477, 500, 502, 503, 504, None])
def test_what_may_pass_is_tried_again(status: int | None) -> None:
    clock = _Clock()
    assert _patience(clock).call("read", _failing(*[Setback(status)] * 5)) == "answer"
    assert len(clock.slept) == 5
    for number, seconds in enumerate(clock.slept):
        assert 0.5 * 2**number <= seconds <= 2**number


def test_the_same_seed_waits_the_same() -> None:
    one, other, third = _Clock(), _Clock(), _Clock()
    for clock, seed in ((one, 1), (other, 1), (third, 2)):
        _patience(clock, seed=seed).call("read", _failing(*[Setback(500)] * 4))
    assert one.slept == other.slept != third.slept


def test_retry_after_is_honoured() -> None:
    clock = _Clock()
    _patience(clock).call("read", _failing(Setback(429, retry_after=17.0), Setback(429, retry_after=0.0)))
    assert clock.slept[0] == 17.0
    assert 1.0 <= clock.slept[1] <= 2.0


@pytest.mark.parametrize(
    ("setback", "sentence"),
    [
        (Setback(500, "out of order"), r"Vendor could not be made to read, tried 6 times \(the last time: 500\) \(out of order\): run again later."),
        (Setback(None, "timed out"), r"tried 6 times \(the last time: no answer\) \(timed out\)"),
        (Setback(429, "slow down", 3600.0), r"tried once \(the last time: 429\) \(slow down\), and asks to wait 3,600 seconds"),
        (Setback(429, "enough for today", hopeless=True), r"tried once .*enough for today"),
    ],
)
def test_patience_ends(setback: Setback, sentence: str) -> None:
    clock = _Clock()
    with pytest.raises(Unreachable, match=sentence):
        _patience(clock).call("read", _failing(*[setback] * 9))
    assert clock.now <= 300


def test_seconds_end_too() -> None:
    clock = _Clock()
    with pytest.raises(Unreachable):
        _patience(clock, tries=1000, seconds=100.0).call("read", _failing(*[Setback(500)] * 999))
    assert clock.now <= 100


@pytest.mark.parametrize("status", [302, 400, 404, 409, 410, 422])
def test_what_cannot_pass_is_refused_at_once(status: int) -> None:
    clock = _Clock()
    with pytest.raises(Refused, match=rf"^Vendor refused to read \({status}\) \(no such row\).$") as caught:
        _patience(clock).call("read", _failing(Setback(status, "no such row")))
    assert (caught.value.status, caught.value.words, clock.slept) == (status, "no such row", [])


def test_a_right_that_is_missing_is_asked_for() -> None:
    with pytest.raises(Refused, match=r"does not allow the owner of VENDOR_TOKEN to read \(scope missing\): give it that right"):
        _patience(_Clock()).call("read", _failing(Setback(403, "scope missing")))


def test_a_refused_token_is_said_at_once() -> None:
    clock = _Clock()
    with pytest.raises(Problem, match=r"^Vendor: the token was refused \(expired\): renew VENDOR_TOKEN and run again.$"):
        _patience(clock).call("read", _failing(Setback(401, "expired")))
    assert clock.slept == []


def test_a_session_is_renewed_once() -> None:
    renewed: list[int] = []
    patience = _patience(_Clock(), renew=lambda: renewed.append(1))
    assert patience.call("read", _failing(Setback(401))) == "answer"
    with pytest.raises(Problem, match="renew VENDOR_TOKEN"):
        patience.call("read", _failing(Setback(401), Setback(401)))
    assert len(renewed) == 2


def test_calls_keep_their_pace() -> None:
    clock = _Clock()
    patience = _patience(clock, every=0.5)
    for _ in range(3):
        patience.call("read", lambda: "answer")
    assert clock.slept == [0.5, 0.5]


def test_an_error_of_ours_is_no_setback_and_a_problem_stays_itself() -> None:
    clock = _Clock()
    with pytest.raises(ZeroDivisionError):
        _patience(clock).call("read", lambda: str(1 // 0))

    def send() -> str:
        raise Problem("a sentence")

    with pytest.raises(Problem, match="a sentence"):
        _patience(clock).call("read", send)
    assert clock.slept == []


@pytest.mark.parametrize("status", [401, 403, 404, 500, None])
def test_no_secret_is_said(status: int | None) -> None:
    with pytest.raises(Problem) as caught:
        _patience(_Clock()).call("read", _failing(*[Setback(status, f"Bearer {SECRET} is not liked")] * 9))
    said = "".join(traceback.format_exception(caught.value))
    assert SECRET not in said
    assert "Bearer *** is not liked" in said


def test_an_unexpected_error_is_raised_without_the_secret() -> None:
    def send() -> str:
        try:
            raise KeyError(SECRET)
        except KeyError as error:
            raise ValueError("Invalid header value") from error

    with pytest.raises(RuntimeError, match="ValueError: Invalid header value") as caught:
        _patience(_Clock()).call("read", send)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_an_answer_that_says_nothing_is_asked_for_again() -> None:
    clock, said = _Clock(), iter([Unclear("it did not say how many"), Unclear("")])

    def send() -> str:
        for one in said:
            raise one
        return "answer"

    assert _patience(clock).call("read", send) == "answer"
    assert len(clock.slept) == 2
    said = iter([Unclear(f"it said {SECRET}")] * 6)
    with pytest.raises(Unreachable, match=r"tried 6 times \(the last time: no answer\) \(it said \*\*\*\): run again later"):
        _patience(clock).call("read", send)


def test_what_is_printed_of_it_holds_no_secret() -> None:
    assert SECRET not in repr(_patience(_Clock()))


@given(before=st.text(), after=st.text(), secret=st.text(min_size=4, alphabet=st.characters(exclude_characters="*")))
def test_redacted_leaves_nothing(before: str, after: str, secret: str) -> None:
    assert secret not in redacted(before + secret + after, [secret])


@pytest.mark.parametrize(
    ("said", "date", "seconds"),
    [
        ("12", "", 12.0),
        ("-1", "", 0.0),
        ("soon", "", None),
        ("Wed, 21 Oct 2025 07:28:00 GMT", "Wed, 21 Oct 2025 07:27:00 GMT", 60.0),
        ("Wed, 21 Oct 2025 07:28:00 GMT", "Wed, 21 Oct 2025 07:29:00 GMT", 0.0),
        ("Wed, 21 Oct 2025 07:28:00 GMT", "", None),
    ],
)
def test_retry_after_in_both_forms(said: str, date: str, seconds: float | None) -> None:
    assert retry_after({"RETRY-AFTER": said, "Date": date}) == seconds
