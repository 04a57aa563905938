"""Asks whether an advisory is known against any package that the product is locked to.

    make audit

Exit code 1: there is one, each told with the version that mends it. 0: there is none, or nobody could be asked, which is said: without a network,
or behind a mirror that has no advisories, nothing is known, and nothing is claimed.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

LOCK = Path(__file__).parents[1] / "requirements.lock"
NOBODY = "The advisories could not be asked, nothing was audited"
# Who may know: the package index itself, then the open database that every index feeds.
SERVICES = ("pypi", "osv")
Ask = Callable[[Path, str, float], list[dict[str, Any]] | None]


def audit(lock: str, seconds: float, ask: Ask) -> tuple[int, str]:
    """Exit code, and what there is to say.

    Parameters
    ----------
    lock : the lock file's text.
    seconds : how long to wait for all answers together.
    ask : (file, service, seconds) -> what pip-audit says of each package; None: it could not be asked.
    """
    until, first = monotonic() + seconds, re.split(r"\n(?=\S)", lock.strip())[0]
    for service in SERVICES:
        # One package first: a mirror that has no advisories is not asked about every other.
        if not _told(ask, first, service, until):
            continue
        told = _told(ask, lock, service, until)
        if told is None:
            return 0, f"{NOBODY}: no answer within {seconds:.0f} seconds."
        return _said(told)
    return 0, f"{NOBODY}: no network, or a mirror that has none."


def _told(ask: Ask, lock: str, service: str, until: float) -> list[dict[str, Any]] | None:
    """What is known of the packages of a lock; None where nobody answered for any."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "requirements.txt").write_text(lock + "\n", encoding="utf-8")
        found = ask(Path(folder) / "requirements.txt", service, until - monotonic())
    return found if found and not all("skip_reason" in one for one in found) else None


def _said(told: list[dict[str, Any]]) -> tuple[int, str]:
    skipped = [one["name"] for one in told if "skip_reason" in one]
    known = [_advisory(one, said) for one in told for said in one.get("vulns", [])]
    lines = [f"{len(told) - len(skipped)} locked packages audited, {len(known) or 'no'} known advisor{'y' if len(known) == 1 else 'ies'}."]
    lines += [f"Nothing could be learned of {', '.join(skipped)}."] * bool(skipped)
    return int(bool(known)), "\n".join([*lines, *known])


def _advisory(package: dict[str, Any], said: dict[str, Any]) -> str:
    mended = f"mended in {', '.join(said['fix_versions'])}" if said.get("fix_versions") else "not mended yet"
    return f"- {package['name']} {package['version']}: {said['id']}, {mended}."


def pip_audit(file: Path, service: str, seconds: float) -> list[dict[str, Any]] | None:
    """What pip-audit says of a lock file's packages; it installs and resolves nothing."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(file), "--disable-pip", "--no-deps", "--progress-spinner", "off"]
    try:
        done = subprocess.run(
            [*command, "--vulnerability-service", service, "--timeout", "5", "--format", "json"],
            capture_output=True,
            text=True,
            timeout=max(seconds, 0.1),
            check=False,
        )
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, OSError, ValueError, KeyError):
        return None
    return found


if __name__ == "__main__":
    code, words = audit(LOCK.read_text(encoding="utf-8"), float(sys.argv[1]) if len(sys.argv) > 1 else 300, pip_audit)
    print(words)
    sys.exit(code)
