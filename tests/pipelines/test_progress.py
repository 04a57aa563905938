"""What a person sees while they wait, on a terminal and in a log; and never a word where the results go."""

from __future__ import annotations

import io
import os
import pty
import re
import sys
from collections.abc import Callable, Iterator

import pytest

from pipelines.progress import settle, step, wait

DONE = re.compile(r"^  done  (.+) \d+\.\d s$")


@pytest.fixture(autouse=True)
def _settled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Rich asks these what it writes to; and nothing may go on moving after a test."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    yield
    settle()


def _on_a_terminal(work: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> str:
    """Everything that a terminal is sent while something works."""
    ours, theirs = pty.openpty()
    with monkeypatch.context() as patch, os.fdopen(theirs, "w") as terminal:
        patch.setattr(sys, "stderr", terminal)
        work()
        settle()
        terminal.write("\nEND\n")
    sent = b""
    while b"END" not in sent:
        sent += os.read(ours, 65_536)
    os.close(ours)
    return sent.decode()


def _left(sent: str) -> list[str]:
    """The lines that are still to be read once everything that moved is wiped away."""
    lines, at = [""], 0
    for sign in re.findall(r"\x1b\[\??[\d;]*[a-zA-Z]|\r|\n|[^\x1b\r\n]+", sent):
        if sign == "\n":
            at += 1
            lines += [""] * (at + 1 - len(lines))
        elif sign.endswith("A") and sign[0] == "\x1b":
            at -= int(sign[2:-1])
        elif sign == "\x1b[2K":
            lines[at] = ""
        elif sign[0] not in "\x1b\r":
            lines[at] += sign
    return [line for line in lines if line.strip() and line != "END"]


def test_a_log_gets_a_line_when_a_step_starts_and_one_when_it_ends(capsys: pytest.CaptureFixture[str]) -> None:
    with step("Reading leads") as tell:
        assert capsys.readouterr().err == "  Reading leads ...\n"
        tell(0.5, "half way")
        assert capsys.readouterr() == ("", "")
    seen = capsys.readouterr()
    assert seen.out == ""
    (line,) = seen.err.splitlines()
    assert DONE.match(line)[1] == "Reading leads"  # type: ignore[index]
    # Between two steps a log says nothing.
    wait("Starting")
    settle()
    assert capsys.readouterr() == ("", "")


def test_a_log_has_no_colours_and_no_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    with step("Reading leads"):
        pass
    assert "\x1b" not in log.getvalue()
    assert "\r" not in log.getvalue()


def test_on_a_terminal_the_line_moves_and_one_line_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def work() -> None:
        wait("Starting")
        with step("Reading leads") as tell:
            tell(0.5, "half way")
        with step("Counting") as tell:
            tell(1.0, "")

    sent = _on_a_terminal(work, monkeypatch)
    for moved in ("Starting", "Reading leads: half way (50%)", "Getting ready for the next step", "Counting (100%)"):
        assert moved in sent
    left = _left(sent)
    assert [DONE.match(line)[1] for line in left] == ["Reading leads", "Counting"]  # type: ignore[index]
    # The cursor that was hidden while something moved is there again.
    assert sent.rindex("\x1b[?25h") > sent.rindex("\x1b[?25l")


def test_a_step_that_fails_is_not_called_done_and_its_error_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def work() -> None:
        with pytest.raises(ZeroDivisionError), step("Counting"):
            raise ZeroDivisionError

    sent = _on_a_terminal(work, monkeypatch)
    assert _left(sent) == []
    assert sent.rindex("\x1b[?25h") > sent.rindex("\x1b[?25l")


def test_a_step_that_fails_leaves_its_start_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), step("Counting"):
        raise ZeroDivisionError
    assert capsys.readouterr() == ("", "  Counting ...\n")
