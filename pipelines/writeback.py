"""`writeback`: hand a night's scores back to the CRM, so that reps see them where they work."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from features.personal import masked
from features.problem import Problem
from pipelines.crm.vendors import open_target, written_to
from pipelines.crm.writeback import Refusal, Update, Written, digest, write_back
from pipelines.journal import HOOKS
from pipelines.outbox import Outbox
from pipelines.progress import step
from pipelines.report import Report, combined
from pipelines.settings import DEFAULT, Settings, read_settings
from pipelines.warehouse import Warehouse

# A few are read; all of them stand in the table writebacks of the warehouse.
_TOLD = 20


@flow(name="writeback", **HOOKS)
def writeback(
    config: Path = Path("leadscore.toml"), as_of: date | None = None, outcome: str | None = None, again: bool = False, rehearsal: bool = False
) -> Report:
    """Send the scores of a night that the CRM does not have yet; each row once, the rest of an interrupted run first of all.

    Parameters
    ----------
    as_of : the local day of the night; default: the newest that was scored.
    outcome : the name of one outcome; default: every one that the CRM has room for, in turn.
    again : also send the rows that the CRM refused on this night.
    rehearsal : say what would be sent, and send nothing.

    Raises
    ------
    Problem : no target is configured, the night was never scored, or the CRM refuses all of it. What was sent before stays sent, and the other
        outcomes have had their turn.
    """
    settings = read_settings(config)
    if not settings.writeback.target:
        raise Problem('No scores are written back: name where they go as target = "hubspot" under [writeback] in leadscore.toml.')
    every = [one for one in settings.each_outcome(outcome) if outcome or _has_room(one)]
    done, failed = dict[str, Report](), []
    with Warehouse.of(settings) as warehouse:
        for one in every:
            try:
                done[one.chosen] = hand_back(one, warehouse, as_of, again, rehearsal)
            except Problem as problem:
                failed.append(str(problem) if len(every) == 1 else f"Outcome {one.chosen}: {problem}")
    if failed:
        raise Problem(" ".join(failed))
    return next(iter(done.values())) if len(done) == 1 else combined(done)


def _has_room(settings: Settings) -> bool:
    return settings.writeback.target != "dynamics" or (settings.chosen == DEFAULT and settings.outcome.population == "leads")


@task(cache_policy=NO_CACHE)
def hand_back(settings: Settings, warehouse: Warehouse, as_of: date | None, again: bool, rehearsal: bool) -> Report:
    """One outcome's night: see `writeback`."""
    rules, chosen = settings.writeback, settings.chosen
    kind, fields = written_to(rules, chosen, settings.outcome.population, DEFAULT)
    now = datetime.now(UTC).replace(tzinfo=None)
    night = settings.timeline.night(as_of) if as_of else warehouse.newest_night(settings.timeline.night_after(now), chosen)
    ledger = pd.DataFrame() if night is None else warehouse.read_night(night, chosen)
    if night is None or ledger.empty:
        nothing = f"The night of {as_of} was not scored" if as_of else "No night was scored yet"
        raise Problem(f"{nothing}, so that there is nothing to write back: run `leadscore score` first, or name another night with --as-of.")
    updates = updates_of(ledger[ledger["listed"]] if rules.only_listed else ledger)
    form = json.dumps([kind, fields])
    outbox = Outbox(warehouse, chosen, night, rules.target, form, now, rules.only_changed, again, keep=not rehearsal)
    day = settings.timeline.day(night)
    if rehearsal:
        return rehearse(settings, kind, fields, updates, outbox, day)
    created, written = send(settings, kind, fields, updates, outbox)
    return tell(written, rules.target, kind, created, day)


def send(settings: Settings, kind: str, fields: dict[str, str], updates: list[Update], outbox: Outbox) -> tuple[list[str], Written]:
    """See that the fields are there, then send what is due."""
    target = open_target(settings.writeback, kind, fields)
    with step(f"Writing scores back to {settings.writeback.target}") as progress:
        created = target.prepare(settings.writeback.create_properties)
        return created, write_back(target, updates, outbox, progress)


def updates_of(ledger: pd.DataFrame) -> list[Update]:
    """The rows of a night of the ledger as the CRM is told them, in the order of their ranks."""
    return [
        Update(
            lead_id=str(row.lead_id),
            score=int(row.score),
            tier=str(row.tier),
            rank=int(row.rank),
            reasons="; ".join(reason["words"] for reason in json.loads(row.reasons)),
            scored_at=pd.Timestamp(row.scored_at).to_pydatetime(),
            probability=float(row.probability),
            change=None if pd.isna(row.change) else float(row.change),
        )
        for row in ledger.itertuples()
    ]


def rehearse(settings: Settings, kind: str, fields: dict[str, str], updates: list[Update], outbox: Outbox, day: date) -> Report:
    """What would be sent: whether the CRM answers and has the fields, how many rows are due, and the first of them."""
    said = []
    try:
        open_target(settings.writeback, kind, fields).prepare(may_create=False)
    except Problem as problem:
        said.append(str(problem))
    due = set(outbox.due({update.lead_id: digest(update) for update in updates}))
    first = [update for update in updates if update.lead_id in due][:10]
    facts = {"night": str(day), "target": f"{settings.writeback.target} {kind}", "rows": len(updates), "would be sent": len(due)}
    rows = tuple({"lead": one["lead_id"], **{key: one[key] for key in ("rank", "score", "tier", "reasons")}} for one in map(asdict, first))
    return Report("writeback", facts, rows, tuple(said), refused=bool(said))


def tell(written: Written, target: str, kind: str, created: list[str], day: date) -> Report:
    """What became of the rows, and the refused ones row by row."""
    facts = {
        "night": str(day),
        "target": f"{target} {kind}",
        "rows": written.rows,
        "sent": written.sent,
        "unchanged": written.unchanged,
        "refused": len(written.refused),
        "waiting": written.waiting,
    }
    notices = [f"Created {', '.join(created)} in {target}."] if created else []
    if written.unreachable:
        notices.append(f"{written.waiting:,} rows wait for the next `leadscore writeback`: {written.unreachable}")
    notices += _refused(written.refused)
    return Report("writeback", facts, (), tuple(notices), refused=bool(written.refused), failed=bool(written.unreachable))


def _refused(refused: tuple[Refusal, ...]) -> list[str]:
    if not refused:
        return []
    said = [f"Refused: lead {one.lead_id}: {masked(one.reason)}" for one in refused[:_TOLD]]
    more = [f"{len(refused) - _TOLD:,} more were refused."] if len(refused) > _TOLD else []
    return [*said, *more, "They are tried again on the next night, or with `leadscore writeback --again`; all stand in the table writebacks."]
