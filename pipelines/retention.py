"""What is kept no longer than the company says: people of whom nothing was heard for so long, and nights of so long ago."""

from __future__ import annotations

from datetime import datetime, timedelta

from features.problem import Problem
from pipelines.delivery.folder import withdraw_folder
from pipelines.erase import forget, links, rewrite_warehouse
from pipelines.report import Report
from pipelines.settings import Settings
from pipelines.storage import is_owed, owe_rewriting
from pipelines.warehouse import Warehouse

EXPIRED = "kept long enough"
_CLOCKS = {"leads": ("created_at",), "activities": ("occurred_at",), "lead_changes": ("changed_at",), "deals": ("created_at", "closed_at")}
_NIGHTS = {
    **dict.fromkeys(("ledger", "nights", "lineage", "shifts", "writebacks", "feedback", "deliveries"), "as_of"),
    "decisions": "until",
    **dict.fromkeys(("quarantine", "extracts"), "extracted_at"),
}


def keep_to_time(settings: Settings, now: datetime) -> Report:
    """Erase what [people] in leadscore.toml keeps no longer; nothing where it sets no time.

    Time is counted back from the end of the extract, as everywhere: a source that has stopped makes nobody older.

    Parameters
    ----------
    now : when it is done, for the record.

    Raises
    ------
    Problem : more people would be erased at once than [source] shrink_limit lets a table lose. Nobody is erased then.
    """
    people = settings.people
    if is_owed(settings.warehouse_file):
        # A run had erased somebody, and was killed before it could write the file anew.
        rewrite_warehouse(settings)
    if not people.keep_days and not people.keep_nights_days:
        return Report("retention")
    with Warehouse.of(settings) as warehouse:
        until = warehouse.extracted_at()
        if until is None:
            return Report("retention")
        facts: dict[str, int] = {}
        with warehouse.transaction():
            # Nights first: those that go are not written anew for anybody.
            if people.keep_nights_days:
                facts["nights removed"] = _remove_nights(settings, warehouse, until - timedelta(days=people.keep_nights_days))
            if people.keep_days:
                ids = silent(warehouse, until - timedelta(days=people.keep_days))
                _believe(settings, warehouse, len(ids))
                if ids:
                    forget(settings, warehouse, ids, EXPIRED, now)
                facts["leads erased"] = len(ids)
    if any(facts.values()):
        rewrite_warehouse(settings)
    return Report("retention", {name: count for name, count in facts.items() if count})


def silent(warehouse: Warehouse, since: datetime) -> list[str]:
    """The leads of people who gave no sign of life from an instant on; leads merged into one are one person."""
    columns = warehouse.columns()
    clocks = ((table, clock) for table, every in _CLOCKS.items() if table in columns for clock in every)
    signs = " UNION ALL ".join(f"SELECT lead_id, {clock} AS seen FROM {table}" for table, clock in clocks)
    found = warehouse.raw.execute(
        f"WITH RECURSIVE {links(columns)},"
        f" last AS (SELECT lead_id, max(seen) AS seen FROM ({signs}) SEMI JOIN leads USING (lead_id) GROUP BY lead_id),"
        " same(lead_id, id) AS (SELECT lead_id, lead_id FROM last UNION SELECT same.lead_id, links.other FROM same JOIN links ON links.one = same.id)"
        " SELECT same.lead_id FROM same JOIN last ON last.lead_id = same.id GROUP BY same.lead_id HAVING max(last.seen) < ? ORDER BY 1",
        [since],
    ).fetchall()
    return [str(lead) for (lead,) in found]


def _believe(settings: Settings, warehouse: Warehouse, gone: int) -> None:
    """A time that takes most of the company is a slip of the pen, and cannot be taken back."""
    limit, leads = settings.source.shrink_limit, warehouse.size("leads")
    if gone > leads * limit:
        raise Problem(
            f"[people] keep_days = {settings.people.keep_days} would erase {gone:,} of {leads:,} leads for good, more than [source] shrink_limit = "
            f"{limit:.0%} allows: nobody was erased. Correct it in leadscore.toml, or raise the limit for the first time if this is right."
        )


def _remove_nights(settings: Settings, warehouse: Warehouse, before: datetime) -> int:
    """Remove the nights before an instant, and all that belongs to them alone; how many there were."""
    nights = warehouse.raw.execute("SELECT DISTINCT outcome, as_of FROM ledger WHERE as_of < ?", [before]).fetchall()
    if nights:
        owe_rewriting(settings.warehouse_file)
    for outcome, night in nights:
        chosen = settings.model_copy(update={"chosen": outcome})
        withdraw_folder(chosen.lists_folder / str(settings.timeline.day(night)))
    for table, clock in _NIGHTS.items():
        warehouse.raw.execute(f"DELETE FROM {table} WHERE {clock} < ?", [before])
    return len(nights)
