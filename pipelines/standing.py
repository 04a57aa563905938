"""Where the product stands: champion, last nights, last extract."""

from __future__ import annotations

from models.trail import Entry
from pipelines.company import Company, open_company
from pipelines.registry import registry_of
from pipelines.report import Report
from pipelines.settings import Settings


def standing(settings: Settings, outcome: str | None = None) -> Report:
    """The champion, until when the tables are complete, and the last nights of the ledger, of one outcome or of every one."""
    with open_company(settings) as company:
        return company.each_outcome(outcome, _standing)


def _standing(company: Company) -> Report:
    settings, warehouse = company.settings, company.warehouse
    registry, ledger = registry_of(settings), warehouse.ledger(settings.chosen)
    champion, trail = registry.champion_or_none(), registry.trail()
    nights = ledger.group_by("as_of").agg(scored=ledger.count(), listed=ledger.count(where=ledger.listed)).order_by("as_of").execute()
    counts, refused = warehouse.extract_counts(), warehouse.refusals(company.extracted_at)
    rows = tuple({"night": f"{row.as_of:%Y-%m-%d}", "scored": int(row.scored), "listed": int(row.listed)} for row in nights.tail(14).itertuples())
    facts = {
        "champion": "none yet" if champion is None else f"version {champion.version}, {champion.scorer.name}",
        "complete until": f"{company.extracted_at:%Y-%m-%d %H:%M}",
        "quarantined in the last extract": int(counts["quarantined"].sum()),
        "nights": len(nights),
    }
    return Report("status", facts, rows, (*_since(trail), *refused))


def _since(trail: list[Entry]) -> list[str]:
    """The last change of champion, in a sentence."""
    said = {"gate": "by the gate", "promoted": "by hand", "rolled back": "by a rollback"}
    return [f"Version {e.version} has been champion since {e.at:%Y-%m-%d %H:%M}, {said[e.act]}: {e.because.rstrip('.')}." for e in trail[-1:]]
