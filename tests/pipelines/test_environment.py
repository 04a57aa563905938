"""Homes of our own and nothing that calls home; what the user set stays."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pipelines.environment import prepare


@pytest.fixture(autouse=True)
def as_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is set here is taken back."""
    for name in [name for name in os.environ if name.startswith(("PREFECT_", "MLFLOW_", "MPL")) or name == "DO_NOT_TRACK"]:
        monkeypatch.setenv(name, os.environ[name])
        monkeypatch.delenv(name)


def test_prefect_and_matplotlib_live_under_our_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    prepare(tmp_path / "a" / "home")
    assert stat.S_IMODE((tmp_path / "a" / "home").stat().st_mode) == 0o700
    assert os.environ["PREFECT_HOME"] == str(tmp_path / "a" / "home" / "prefect")
    assert os.environ["MPLCONFIGDIR"] == str(tmp_path / "a" / "home" / "matplotlib")


def test_nothing_calls_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    prepare(tmp_path)
    told = {name: os.environ[name] for name in ("PREFECT_SERVER_ANALYTICS_ENABLED", "MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK")}
    assert told == {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1"}


def test_what_the_user_set_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {**os.environ, "PREFECT_LOGGING_LEVEL": "DEBUG", "PREFECT_HOME": "/theirs"})
    prepare(tmp_path)
    assert (os.environ["PREFECT_LOGGING_LEVEL"], os.environ["PREFECT_HOME"]) == ("DEBUG", "/theirs")


def test_what_an_earlier_version_left_readable_for_others_is_closed_and_so_is_all_that_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    (tmp_path / "mlartifacts").mkdir(mode=0o755)
    (tmp_path / "mlflow.db").write_text("", encoding="utf-8")
    (tmp_path / "notes.txt").write_text("the user's own", encoding="utf-8")
    for path, mode in ((tmp_path, 0o755), (tmp_path / "mlartifacts", 0o755), (tmp_path / "mlflow.db", 0o644), (tmp_path / "notes.txt", 0o644)):
        path.chmod(mode)
    prepare(tmp_path)
    (tmp_path / "new").write_text("", encoding="utf-8")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path, *tmp_path.iterdir())}
    assert modes == {tmp_path.name: 0o755, "mlartifacts": 0o700, "mlflow.db": 0o600, "notes.txt": 0o644, "new": 0o600}
