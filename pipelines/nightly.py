"""`nightly`: what the schedule runs. Extract, erase what is kept no longer, score, review and, where a CRM is named, write back, in one process."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

from prefect import flow, get_run_logger
from prefect.context import FlowRunContext
from prefect.runtime import flow_run

from features.problem import Problem
from features.timeline import Timeline
from pipelines.backup import losses
from pipelines.extract import extract
from pipelines.journal import HOOKS
from pipelines.report import Report
from pipelines.retention import keep_to_time
from pipelines.review import review
from pipelines.schedule import disagreement, meant, see_worth_another_try
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
    as_of : the local day of the night; default: the day on which this run was to start, however late it does.

    Raises
    ------
    Problem : a step failed, or this run was begun several times and died each time.
    """
    see_worth_another_try(flow_run.run_count or 1, "nightly")
    timeline, scheduled = read_settings(config).timeline, flow_run.scheduled_start_time.astimezone(UTC).replace(tzinfo=None)
    extracted = extract(config, resume=True)
    # Before anything is scored: who is kept no longer is on no list of tonight.
    kept = keep_to_time(read_settings(config), datetime.now(UTC).replace(tzinfo=None))
    scored = score(config, as_of, outcome, due=meant(timeline, scheduled), resume=True)
    reviewed = review(config, outcome, resume=True)
    written, lost = hand_back(config, outcome), losses(read_settings(config).warehouse_file)
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
        tuple(dict.fromkeys((*doubt(timeline, scheduled), *lost, *extracted.notices, *scored.notices, *reviewed.notices, *written.notices))),
        refused=bool(lost) or extracted.refused or scored.refused or written.refused or written.failed,
    )


def doubt(timeline: Timeline, scheduled: datetime) -> tuple[str, ...]:
    """What to mind of the schedule, where a schedule started this run."""
    context = FlowRunContext.get()
    by_schedule = context is not None and context.flow_run is not None and context.flow_run.auto_scheduled
    said = disagreement(timeline, scheduled) if by_schedule else None
    if said:
        # A run of a server has no other reader.
        get_run_logger().warning(said)
    return (said,) if said else ()


def hand_back(config: Path, outcome: str | None) -> Report:
    """The scores in the CRM, where one is named; what went wrong on the way there is a sentence of the report."""
    if not read_settings(config).writeback.target:
        return Report("writeback")
    try:
        return writeback(config, outcome=outcome)
    except Problem as problem:
        return Report("writeback", notices=(f"The scores were not written back, the list is there: {problem}",), refused=True)
