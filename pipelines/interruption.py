"""Ctrl-C ends a command at once, and leaves everything as it was before.

Whatever is half done is thrown away: tables, nights and lists are replaced in one step, or not at all.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

import psutil

CODE = 128 + signal.SIGINT


def end_on_interruption() -> None:
    """Let Ctrl-C end this process and all that it started.

    Left to itself it would wait for more than a minute: Prefect's own server gets the same signal, is gone first, and is asked again and again.
    """
    signal.signal(signal.SIGINT, _end)


def _end(number: int, frame: FrameType | None) -> None:
    for child in psutil.Process().children(recursive=True):
        child.kill()
    print("\nleadscore: stopped as you asked. What was under way is thrown away; everything else is as it was.", file=sys.stderr, flush=True)
    os._exit(CODE)
