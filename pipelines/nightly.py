"""`nightly`: what the schedule runs. Extract, erase what is kept no longer, score, review and, where a CRM is named, write back, in one process."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

from prefect import flow

from features.problem import Problem
from pipelines.extract import extract
from pipelines.journal import HOOKS
from pipelines.report import Report
from pipelines.retention import keep_to_time
from pipelines.review import review
from pipelines.score import score
from pipelines.settings import read_settings
from pipelines.writeback import writeback


@flow(name="nightly", **HOOKS)
def nightly(config: Path = Path("leadscore.toml"), outcome: str | None = None, as_of: date | None = None) -> Report:
    """Leave sales a fresh list, or yesterday's untouched list and a red run.

    Any step that fails stops the night before it publishes anything, so that readers see the old night or the new one. Once the list is there, a CRM
    that does not take the scores is said, and takes nothing away. A night that is run again takes up where it stopped: see `pipelines.stages`.

    Parameters
    ----------
    outcome : the name of one outcome; default: every one, in turn.
    as_of : the local day of the night; default: the first night that the extract can serve.
    """
    extracted = extract(config, resume=True)
    # Before anything is scored: who is kept no longer is on no list of tonight.
    kept = keep_to_time(read_settings(config), datetime.now(UTC).replace(tzinfo=None))
    scored = score(config, as_of, outcome, resume=True)
    reviewed = review(config, outcome, resume=True)
    written = hand_back(config, outcome)
    return Report(
        "nightly",
        {
            **extracted.facts,
            **kept.facts,
            **scored.facts,
            **reviewed.facts,
            **{f"written back: {fact}": value for fact, value in written.facts.items()},
        },
        scored.rows,
        # Each once: what a source without dates must say, every flow says.
        tuple(dict.fromkeys((*extracted.notices, *scored.notices, *reviewed.notices, *written.notices))),
        refused=extracted.refused or scored.refused or written.refused or written.failed,
    )


def hand_back(config: Path, outcome: str | None) -> Report:
    """The scores in the CRM, where one is named; what went wrong on the way there is a sentence of the report."""
    if not read_settings(config).writeback.target:
        return Report("writeback")
    try:
        return writeback(config, outcome=outcome)
    except Problem as problem:
        return Report("writeback", notices=(f"The scores were not written back, the list is there: {problem}",), refused=True)
