"""`nightly`: what the schedule runs. Extract, score, review, in one process."""

from __future__ import annotations

from pathlib import Path

from prefect import flow

from pipelines.extract import extract
from pipelines.report import Report
from pipelines.review import review
from pipelines.score import score


@flow(name="nightly")
def nightly(config: Path = Path("leadscore.toml"), outcome: str | None = None) -> Report:
    """Leave sales a fresh list, or yesterday's untouched list and a red run.

    Any step that fails stops the night before it publishes anything, so that readers see the old night or the new one.

    Parameters
    ----------
    outcome : the name of one outcome; default: every one, in turn.
    """
    extracted = extract(config)
    scored = score(config, outcome=outcome)
    reviewed = review(config, outcome)
    return Report(
        "nightly",
        {**extracted.facts, **scored.facts, **reviewed.facts},
        scored.rows,
        # Each once: what a source without dates must say, every flow says.
        tuple(dict.fromkeys((*extracted.notices, *scored.notices, *reviewed.notices))),
        refused=extracted.refused or scored.refused,
    )
