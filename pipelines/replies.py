"""`leadscore feedback`: what reps wrote into their workbooks, kept beside the scores they had before them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from features.problem import Problem
from pipelines.delivery.feedback import Returned, Stamp, read
from pipelines.delivery.workbook import cell
from pipelines.report import Report
from pipelines.settings import Settings
from pipelines.warehouse import Warehouse

# So many refused rows of a file are told one by one.
_TOLD = 10


def keep(settings: Settings, files: Sequence[Path], day: date | None, outcome: str, now: datetime) -> Report:
    """Read files that came back from reps and keep the replies in the table `feedback` of the warehouse.

    A workbook tells its own night and whose list it is. Rows that cannot be taken are refused, each with file, sheet, row and column; the others
    are kept, all files in one transaction. Of every file: read = kept + unchanged + empty + refused.

    Parameters
    ----------
    day, outcome : of files that do not say of which night they are, such as a CSV.
    now : when they are read.

    Raises
    ------
    Problem : a file cannot be read, or is of no night that was scored; nothing is kept then.
    """
    returned = _read(files)
    with Warehouse.of(settings) as warehouse, warehouse.transaction("feedback"):
        told = [_keep(settings, warehouse, path, one, day, outcome, now) for path, one in returned.items()]
    rows = tuple(row for row, _ in told)
    facts = {name: sum(row[name] for row in rows) for name in ("read", "kept", "unchanged", "empty")}
    refused = sum(row["refused"] for row in rows)
    notices = tuple(sentence for _, sentences in told for sentence in _few(sentences))
    return Report("feedback", {"files": len(rows), **facts, "refused rows": refused}, rows, notices, refused=refused > 0)


def _read(files: Sequence[Path]) -> dict[Path, Returned]:
    """Every file, each once; what cannot be read is said of all of them together."""
    done, failed = dict[Path, Returned](), []
    for path in dict.fromkeys(files):
        try:
            done[path] = read(path)
        except Problem as problem:
            failed.append(str(problem))
    if failed:
        raise Problem(" ".join(failed))
    return done


def _keep(
    settings: Settings, warehouse: Warehouse, path: Path, returned: Returned, day: date | None, outcome: str, now: datetime
) -> tuple[dict[str, Any], list[str]]:
    """Keep the replies of one file; its counts, and why rows were refused."""
    stamp = returned.stamp or _named(settings, path, day, outcome)
    scored = warehouse.read_night(stamp.as_of, stamp.outcome)["lead_id"]
    if scored.empty:
        raise Problem(
            f"{path} is a list of {stamp.as_of:%Y-%m-%d} (outcome {stamp.outcome}), a night that this warehouse never scored: hand it in where "
            "it was made, or name the night of a CSV with --as-of and --outcome."
        )
    ids, refused, rows = _ids(scored), list(returned.refused), dict[str, dict[str, Any]]()
    for reply in returned.replies:
        if reply.lead not in ids:
            night = f"{stamp.as_of:%Y-%m-%d}"
            refused.append(f"{reply.place}, column lead_id: {reply.lead[:60]!r} was not scored on {night}: write the id as it was sent out.")
            continue
        lead = ids[reply.lead]
        rows[lead] = {"lead_id": lead, "feedback": reply.feedback or None, "note": reply.note or None, "given_by": stamp.owner or None}
    kept = keep_feedback(warehouse, _frame(rows), stamp.as_of, stamp.outcome, now) if rows else 0
    taken = len(returned.replies) + len(returned.refused) - len(refused)
    counts = {"kept": kept, "unchanged": taken - kept, "empty": returned.empty, "refused": len(refused)}
    return {"file": path.name, "night": f"{stamp.as_of:%Y-%m-%d}", "read": sum(counts.values()), **counts}, refused


def _named(settings: Settings, path: Path, day: date | None, outcome: str) -> Stamp:
    if day is None:
        raise Problem(f"{path} does not say of which night it is, as a workbook does on its sheet About: name the night with --as-of.")
    return Stamp(outcome, settings.timeline.night(day), "")


def _ids(scored: pd.Series) -> Mapping[str, str]:
    """What a cell shows of an id -> the id; what two ids would show alike is nobody's."""
    shown = pd.Series(scored.to_list(), index=[cell(one).strip() for one in scored])
    return shown[~shown.index.duplicated(keep=False)].to_dict()


def _frame(rows: Mapping[str, dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(list(rows.values()), dtype="string")


def _few(refused: list[str]) -> list[str]:
    more = len(refused) - _TOLD
    return refused[:_TOLD] + ([f"... and {more:,} more rows of this file were refused."] if more > 0 else [])


def keep_feedback(warehouse: Warehouse, replies: pd.DataFrame, as_of: datetime, outcome: str, received_at: datetime) -> int:
    """Keep what reps said of leads of a night; how many replies are new or other than before.

    A lead of a night has one reply: read again it changes nothing, and a corrected one takes its place. It tells a manager what became of a list.
    It is never a label and never a feature: whom a rep calls, and what they write, follows from the score that they had before them.

    Parameters
    ----------
    replies : lead_id (each once), feedback, note, given_by (owner_id), each null where nothing is known.
    received_at : when they were read.
    """
    warehouse.raw.register("replies_to_keep", replies.assign(outcome=outcome, as_of=as_of, received_at=received_at))
    try:
        changed = warehouse.raw.execute(
            "INSERT INTO feedback BY NAME SELECT * FROM replies_to_keep new WHERE NOT EXISTS (SELECT 1 FROM feedback old"
            " WHERE (old.outcome, old.as_of, old.lead_id) = (new.outcome, new.as_of, new.lead_id)"
            " AND old.feedback IS NOT DISTINCT FROM new.feedback AND old.note IS NOT DISTINCT FROM new.note"
            " AND old.given_by IS NOT DISTINCT FROM new.given_by)"
            " ON CONFLICT (outcome, as_of, lead_id) DO UPDATE SET"
            " feedback = excluded.feedback, note = excluded.note, given_by = excluded.given_by, received_at = excluded.received_at"
        ).fetchall()
    finally:
        warehouse.raw.unregister("replies_to_keep")
    return int(changed[0][0])
