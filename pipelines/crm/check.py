"""Says in words what is wrong with a configuration, before anything is read or written."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from features.contract import SCHEMAS
from features.problem import Problem
from pipelines.crm.load import rehearse
from pipelines.crm.mapping import Mapping
from pipelines.crm.tables import open_source
from pipelines.schedule import doubts
from pipelines.settings import DEFAULT, Settings


def check(settings: Settings, now: datetime) -> list[str]:
    """What is wrong or doubtful about a configuration, one sentence each; an empty list means that `leadscore extract` can run.

    Every table is opened, its columns are compared with the mapping, and its first rows are read as `extract` would; nothing is written.

    Parameters
    ----------
    now : rows later than this are refused.
    """
    said, there, housed = list[str](), set[str](), True
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
        said += _meaningless(mapping)
        there |= {*SCHEMAS[name], *mapping.attributes} if name == "deals" else set()
        housed &= name != "leads" or bool(mapping.sources_of("account_id"))
    if not said:
        said += rehearse(settings, source, now)
    for one in settings.each_outcome():
        place = "[outcome]" if one.chosen == DEFAULT else f"[outcomes.{one.chosen}]"
        if one.outcome.settle_days > one.outcome.horizon_days:
            said.append(f"{place} settle_days is longer than horizon_days: is that meant?")
        if one.outcome.population == "accounts" and not housed:
            said.append(f"{place} scores accounts, and leads have no account_id: write which column that is under [source.tables.leads].")
        unknown = sorted({*one.outcome.deals, *one.outcome.customers} - there) if there else []
        said += [f"{place} counts deals by '{column}', which deals do not have; they have {', '.join(sorted(there))}." for column in unknown]
    said += doubts(settings)
    try:
        _ = settings.delivery.mail.credentials
    except Problem as problem:
        said.append(str(problem))
    return said


def _meaningless(mapping: Mapping) -> list[str]:
    """The words of a table's mapping that name nothing, of ours or of the company's."""
    name, spec = mapping.name, mapping.spec
    said = [
        f"{name}: {key} names '{column}', which {spec.table} does not have."
        for key, columns in (("fixed_at_creation", spec.fixed_at_creation), ("ignore", spec.ignore))
        for column in columns
        if column not in mapping.columns
    ]
    if spec.cursor and spec.cursor not in mapping.columns:
        said.append(f"{name}: the cursor '{spec.cursor}' is no column of {spec.table}.")
    keys: dict[str, Iterable[str]] = {"columns": spec.columns, "values": spec.values, "constants": spec.constants, "clocks": spec.clocks}
    return said + [
        f"{name}: {key} names '{ours}', which is no column of ours; it has {', '.join(SCHEMAS[name])}."
        for key, named in keys.items()
        for ours in named
        if ours not in SCHEMAS[name]
    ]
