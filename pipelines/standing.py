"""Where the product stands: champion, last nights, what is late, what was refused, and the next run."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

from features.timeline import Timeline
from models.trail import Entry
from pipelines.backup import losses
from pipelines.company import Company, open_company
from pipelines.registry import registry_of
from pipelines.report import Report
from pipelines.settings import Settings


def standing(settings: Settings, now: datetime, outcome: str | None = None) -> Report:
    """The champion, until when the tables are complete, the last nights of the ledger and those that are missing, of one outcome or of every one.

    Parameters
    ----------
    now : the instant by which nights are late, UTC.
    """
    with open_company(settings) as company:
        return company.each_outcome(outcome, partial(_standing, now=now))


def _standing(company: Company, now: datetime) -> Report:
    settings, warehouse = company.settings, company.warehouse
    registry, ledger = registry_of(settings), warehouse.ledger(settings.chosen)
    champion, trail = registry.champion_or_none(), registry.trail()
    counted = {"scored": ledger.count(), "listed": ledger.count(where=ledger.listed), "model": ledger.model_version.max()}
    nights = ledger.group_by("as_of").agg(**counted).order_by("as_of").execute()
    counts, refused = warehouse.extract_counts(), warehouse.refusals(company.extracted_at)
    rows = tuple(
        {"night": str(settings.timeline.day(row.as_of)), "scored": int(row.scored), "listed": int(row.listed), "model": f"version {row.model}"}
        for row in nights.tail(14).itertuples()
    )
    facts = {
        "champion": "none yet" if champion is None else f"version {champion.version}, {champion.scorer.name}",
        "complete until": f"{company.extracted_at:%Y-%m-%d %H:%M}",
        "quarantined in the last extract": int(counts["quarantined"].sum()),
        "nights": len(nights),
        "next night": f"{settings.timeline.night_after(now):%Y-%m-%d %H:%M} UTC",
    }
    newest = warehouse.newest_night(settings.timeline.night_after(now), settings.chosen)
    late = late_nights(settings.timeline, newest, now) if newest and not settings.source.extracted_at else []
    lost = losses(settings.warehouse_file)
    return Report("status", facts, rows, (*lost, *late, *_since(trail), *refused), refused=bool(late or lost))


def late_nights(timeline: Timeline, last: datetime, now: datetime) -> list[str]:
    """The nights that should have been scored by now, in a sentence; nothing where none is missing.

    >>> late_nights(Timeline(), datetime(2025, 3, 4, 2), datetime(2025, 3, 5, 9))
    ['2025-03-05 is late: no list was published since that of 2025-03-04. See what the last run said, and run `leadscore nightly`.']
    """
    newest, due = timeline.day(last), timeline.day(timeline.night_after(now)) - timedelta(days=1)
    if (days := (due - newest).days) < 1:
        return []
    which = f"{due} is" if days == 1 else f"{newest + timedelta(days=1)} to {due}, {days} nights, are"
    return [f"{which} late: no list was published since that of {newest}. See what the last run said, and run `leadscore nightly`."]


def _since(trail: list[Entry]) -> list[str]:
    """The last change of champion, in a sentence."""
    said = {"gate": "by the gate", "promoted": "by hand", "rolled back": "by a rollback"}
    return [f"Version {e.version} has been champion since {e.at:%Y-%m-%d %H:%M}, {said[e.act]}: {e.because.rstrip('.')}." for e in trail[-1:]]
