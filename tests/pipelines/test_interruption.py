"""Ctrl-C ends a command at once, with all that it started, and leaves everything as it was before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic

import psutil

from pipelines.interruption import CODE


def _interrupt(command: list[str], when: str, folder: Path) -> tuple[int, str, float, list[psutil.Process]]:
    """Start a command in a process group of its own, send Ctrl-C to the group when its words say so; code, words, seconds to the end, children."""
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True, start_new_session=True) as run:
        assert run.stderr is not None
        said = ""
        while when not in said:
            said += (line := run.stderr.readline())
            assert line, said
        children = psutil.Process(run.pid).children(recursive=True)
        os.killpg(run.pid, signal.SIGINT)
        began = monotonic()
        _, rest = run.communicate(timeout=60)
        return run.returncode, rest, monotonic() - began, children


def test_an_interrupted_extract_ends_at_once_with_its_server_and_has_changed_nothing(untouched: Path) -> None:
    command = [str(Path(sys.executable).with_name("leadscore")), "extract"]
    code, said, seconds, children = _interrupt(command, "Extracting the company's tables", untouched.parent)
    assert code == CODE == 130
    assert said.splitlines()[-1] == "leadscore: stopped as you asked. What was under way is thrown away; everything else is as it was."
    # It was more than a minute; a second is what a person grants.
    assert seconds < 10
    assert children
    # Killed they are; to be gone takes the system a moment, and one that nobody waits for stays a name.
    _, left = psutil.wait_procs(children, timeout=5)
    assert not [child for child in left if child.status() != psutil.STATUS_ZOMBIE]
    done = subprocess.run([*command[:1], "status"], cwd=untouched.parent, capture_output=True, text=True, check=False)
    assert "holds no tables yet: run `leadscore extract` first" in done.stderr


def test_it_ends_also_in_the_middle_of_a_print() -> None:
    # Whoever writes to standard error while it writes to standard error is refused by Python: the signal comes from inside a write.
    program = """
import io, os, signal, sys
from pipelines.interruption import end_on_interruption

class Interrupted(io.FileIO):
    def write(self, text):
        os.kill(os.getpid(), signal.SIGINT)
        return super().write(text)

end_on_interruption()
sys.stderr = io.TextIOWrapper(io.BufferedWriter(Interrupted(2, "w", closefd=False)))
try:
    print("Extracting ...", file=sys.stderr, flush=True)
except RuntimeError:
    print("went on")
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (CODE, "")
    assert ended.stderr.endswith("everything else is as it was.\n")
