"""How long whoever does not answer is waited for: every call over a network ends within bounds that have names.

connect     LEADSCORE_CONNECT_SECONDS     10   until somebody takes the call, or lets go of a file
silence     LEADSCORE_SILENCE_SECONDS     60   between two signs of life within an answer
answer      LEADSCORE_ANSWER_SECONDS     120   an answer from its first byte to its last, for whoever sends a byte now and then
retry       LEADSCORE_RETRY_SECONDS      300   from the first try of a call to the beginning of its last
statement   LEADSCORE_STATEMENT_SECONDS 1800   one statement of a database
tracking    LEADSCORE_TRACKING_SECONDS   600   all that is asked of the tracking server in one go, a model's files among it
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from contextvars import copy_context
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Literal, TypeVar

from features.problem import Problem

Bound = Literal["connect", "silence", "answer", "retry", "statement", "tracking"]
_SECONDS: dict[Bound, float] = {"connect": 10.0, "silence": 60.0, "answer": 120.0, "retry": 300.0, "statement": 1800.0, "tracking": 600.0}
T = TypeVar("T")


def bound(name: Bound) -> float:
    """The seconds of a bound, as the environment has them.

    Raises
    ------
    Problem : the environment has something else than seconds.
    """
    variable = f"LEADSCORE_{name.upper()}_SECONDS"
    said = os.environ.get(variable, "").strip()
    try:
        seconds = float(said or _SECONDS[name])
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < math.inf:
        raise Problem(
            f"The environment variable {variable} is '{said}', which is no number of seconds: correct it, or unset it for {_SECONDS[name]:g}."
        )
    return seconds


def within(seconds: float, call: Callable[[], T]) -> T:
    """What a call gives or raises, if it does so in time.

    Time-outs of sockets count from byte to byte, and a byte a second never ends. A call that is late is left alone: what it still brings is heard by
    nobody, so that it must change nothing but what it returns. Its thread ends with its connection, or with the process.

    Raises
    ------
    TimeoutError : it is late.

    >>> within(1, lambda: "in time")
    'in time'
    """
    answers = SimpleQueue[tuple[T | None, BaseException | None]]()
    context = copy_context()

    def ask() -> None:
        try:
            answers.put((context.run(call), None))
        except BaseException as error:
            answers.put((None, error))

    Thread(target=ask, daemon=True).start()
    try:
        answer, error = answers.get(timeout=seconds)
    except Empty:
        raise TimeoutError(f"no whole answer within {seconds:g} seconds") from None
    if error is not None:
        raise error
    return answer  # type: ignore[return-value]
