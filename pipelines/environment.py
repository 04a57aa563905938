"""What must be set before Prefect and MLflow are imported: their homes beside ours, and nothing that calls home."""

from __future__ import annotations

import gc
import os
from pathlib import Path

from features.personal import unsigned
from features.problem import Problem
from models.deadline import bound, within

_OURS = ("warehouse.duckdb", "mlflow.db*", "search.db*", "unexpected.log", "lists", "mlartifacts", "prefect", "matplotlib")


def prepare(home: Path) -> None:
    """Give Prefect a home of its own under ours and switch off everybody's telemetry; what the user set stays.

    Without this, the first run of a fresh machine creates a database in the user's home, tries to report its use, and logs at length.

    Parameters
    ----------
    home : the product's own folder, usually `.leadscore`. Created, readable by its owner only.

    Raises
    ------
    Problem : it cannot be created, or made private.
    """
    keep_private()
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        _close(home)
    except OSError as error:
        raise Problem(f"The folder {home} cannot be made ({error.strerror}): name one that you may write as `home` in leadscore.toml.") from error
    quiet = {
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
        "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_LOGGING_LEVEL": "ERROR",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "DO_NOT_TRACK": "1",
        "GIT_PYTHON_REFRESH": "quiet",
        "MPLCONFIGDIR": str(home / "matplotlib"),
    }
    for name, value in quiet.items():
        os.environ.setdefault(name, value)


def collect_seldom() -> None:
    """Search for garbage less often than a program does that holds little: with all that flows import, each search takes as long as a query.

    Saying a night's features in SQL makes some hundred thousand small objects, none of which is garbage.
    """
    gc.set_threshold(100_000, 20, 100)


def see_orchestrator() -> None:
    """See that the Prefect server that PREFECT_API_URL names answers, before a flow begins; where none is named each run has one of its own.

    Any answer is one, a refusal too: Prefect itself says what is wrong with it.

    Raises
    ------
    Problem : it does not.
    """
    if not (url := os.environ.get("PREFECT_API_URL", "").rstrip("/")):
        return
    import httpx

    times = httpx.Timeout(bound("silence"), connect=bound("connect"))
    try:
        # Nothing is told and nothing believed, so that whose certificate it has does not matter.
        within(bound("answer"), lambda: httpx.get(f"{url}/health", timeout=times, verify=False))
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise Problem(unanswered(error)) from None


def unanswered(error: Exception) -> str:
    """What is said of a Prefect server that did not answer, at the beginning of a run or in the middle of it."""
    said, where = str(error) or type(error).__name__, unsigned(os.environ.get("PREFECT_API_URL", "of this run"))
    return (
        f"The Prefect server {where} does not answer ({said}): start it or correct PREFECT_API_URL, or unset that to run without one, and run again."
    )


def keep_private() -> None:
    """Let nobody but their owner read the files that this process, and whoever it starts, makes from now on."""
    os.umask(0o077)


def _close(home: Path) -> None:
    """What an earlier version left readable for others; the home itself may be a folder that the user shares for other reasons."""
    for name in _OURS:
        for one in home.glob(name):
            one.chmod(0o700 if one.is_dir() else 0o600)
