"""`leadscore extract --dry-run`: what an extract would find, with nothing written."""

from __future__ import annotations

from datetime import datetime

from pipelines.crm.base import Counted
from pipelines.crm.load import rehearse
from pipelines.crm.mapping import Mapping
from pipelines.crm.tables import open_source
from pipelines.report import Report
from pipelines.settings import Settings


def rehearse_extract(settings: Settings, now: datetime) -> Report:
    """Connect, look at every mapped table, and say what its first page would have refused.

    Parameters
    ----------
    now : rows later than this are refused.

    Raises
    ------
    Problem : the source does not answer, or a table does not have what the configuration names.
    """
    source = open_source(settings.source_location, settings.source.encoding)
    rows, notices = [], []
    for name, table in settings.source.tables.items():
        columns = source.columns(table.table)
        mapping = Mapping(name, table, tuple(columns), settings.company.time_zone)
        size = source.size(table.table) if isinstance(source, Counted) else None
        rows.append({"table": name, "source": table.table, "columns": len(columns), "rows": "not told" if size is None else f"{size:,}"})
        notices.append(f"{name}: {table.table} has the columns {', '.join(columns)}.")
        if mapping.unused:
            notices.append(f"{name}: the columns {', '.join(mapping.unused)} of {table.table} are not used.")
    refused = rehearse(settings, source, now, most=1)
    facts = {"tables": len(rows), "written": "nothing"}
    return Report("extract --dry-run", facts, tuple(rows), (*refused, *notices), refused=bool(refused))
