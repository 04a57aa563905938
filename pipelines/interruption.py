"""Ctrl-C ends a command at once, and leaves everything as it was before.

Whatever is half done is thrown away: tables, nights and lists are replaced in one step, or not at all.
"""

from __future__ import annotations

import os
import signal
from types import FrameType

import psutil

CODE = 128 + signal.SIGINT
_SAID = "\nleadscore: stopped as you asked. What was under way is thrown away; everything else is as it was.\n"
_STDERR = 2


def end_on_interruption() -> None:
    """Let Ctrl-C end this process and all that it started.

    Left to itself it would wait for more than a minute: Prefect's own server gets the same signal, is gone first, and is asked again and again.
    """
    signal.signal(signal.SIGINT, _end)


def _end(number: int, frame: FrameType | None) -> None:
    for child in psutil.Process().children(recursive=True):
        child.kill()
    # Not by print: the signal may come in the middle of one, which takes no second one into itself but raises, and then nothing ends.
    os.write(_STDERR, _SAID.encode())
    os._exit(CODE)
