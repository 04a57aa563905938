"""Says in words what is wrong with a configuration, before anything is read or written."""

from __future__ import annotations

from features.contract import SCHEMAS
from features.problem import Problem
from pipelines.crm.mapping import Mapping
from pipelines.crm.tables import open_source
from pipelines.settings import Settings


def check(settings: Settings) -> list[str]:
    """What is wrong or doubtful about a configuration, one sentence each; an empty list means that `leadscore extract` can run.

    Every table is opened and its columns are compared with the mapping; nothing is written.
    """
    said: list[str] = []
    try:
        source = open_source(settings.source_location, settings.source.encoding)
    except Problem as problem:
        return [str(problem)]
    for name, table in settings.source.tables.items():
        try:
            mapping = Mapping(name, table, tuple(source.columns(table.table)), settings.company.time_zone)
        except Problem as problem:
            said.append(str(problem))
            continue
        said += [
            f"{name}: fixed_at_creation names '{c}', which {table.table} does not have." for c in table.fixed_at_creation if c not in mapping.columns
        ]
        if table.cursor and table.cursor not in mapping.columns:
            said.append(f"{name}: the cursor '{table.cursor}' is no column of {table.table}.")
        unknown = [ours for ours in table.columns if ours not in SCHEMAS[name]]
        said += [f"{name}: columns names '{ours}', which is no column of ours; it has {', '.join(SCHEMAS[name])}." for ours in unknown]
    if settings.outcome.settle_days > settings.outcome.horizon_days:
        said.append("[outcome] settle_days is longer than horizon_days: is that meant?")
    return said
