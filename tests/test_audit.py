"""An audit tells what it found, and never calls audited what nobody answered for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from audit import LOCK, SERVICES, audit, pip_audit

TWO = "one==1.0 \\\n    --hash=sha256:aa\n    # via x\ntwo==2.0 \\\n    --hash=sha256:bb\n"
CLEAN = {"name": "one", "version": "1.0", "vulns": []}
SKIPPED = {"name": "two", "skip_reason": "not found"}
BAD = {"name": "two", "version": "2.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"]}, {"id": "GHSA-2", "fix_versions": []}]}


def _answers(**told: list[dict[str, Any]] | None) -> Any:
    def ask(file: Path, service: str, seconds: float) -> list[dict[str, Any]] | None:
        found, text = told.get(service), file.read_text(encoding="utf-8")
        return found and [one for one in found if f"{one['name']}==" in text]

    return ask


@pytest.mark.parametrize(
    ("told", "code", "said"),
    [
        ({}, 0, "The advisories could not be asked, nothing was audited: no network, or a mirror that has none."),
        (
            {"pypi": [{**SKIPPED, "name": "one"}, SKIPPED]},
            0,
            "The advisories could not be asked, nothing was audited: no network, or a mirror that has none.",
        ),
        ({"pypi": [CLEAN, {**CLEAN, "name": "two"}]}, 0, "2 locked packages audited, no known advisories."),
        ({"osv": [CLEAN, SKIPPED]}, 0, "1 locked packages audited, no known advisories.\nNothing could be learned of two."),
        (
            {"osv": [CLEAN, BAD]},
            1,
            "2 locked packages audited, 2 known advisories.\n- two 2.0: PYSEC-1, mended in 2.1.\n- two 2.0: GHSA-2, not mended yet.",
        ),
    ],
)
def test_what_is_known_is_said_and_what_is_not_is_not_claimed(told: Any, code: int, said: str) -> None:
    assert audit(TWO, 20, _answers(**told)) == (code, said)


def test_a_mirror_without_advisories_is_asked_about_one_package_and_no_more() -> None:
    asked = []

    def ask(file: Path, service: str, seconds: float) -> None:
        asked.append((service, file.read_text(encoding="utf-8").count("==")))

    audit(LOCK.read_text(encoding="utf-8"), 20, ask)
    assert asked == [(service, 1) for service in SERVICES]


def test_who_does_not_answer_in_time_is_not_waited_for(tmp_path: Path) -> None:
    assert pip_audit(tmp_path / "gone.txt", "pypi", 0.1) is None
