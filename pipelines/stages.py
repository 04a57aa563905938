"""Which stages of a night are finished, and from what: a night that is run again takes up where it stopped.

stages    (stage, outcome) -> a digest of everything that went in, and what was said when it was finished
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from features.contract import FUTURE
from models.registry import Champion
from pipelines.company import Company
from pipelines.crm.contents import contents_digest
from pipelines.decisions import held
from pipelines.delivery.folder import is_whole
from pipelines.lineage import code_version, configuration_digest, lineage_of, tables_of
from pipelines.registry import registry_of
from pipelines.report import Report
from pipelines.settings import DEFAULT, Settings
from pipelines.warehouse import Warehouse

# So long after a night sales has begun to work from its list.
_WORKED_FROM = timedelta(hours=12)
Opened = Callable[[], AbstractContextManager[Warehouse]]


def once(
    opened: Opened, stage: str, inputs: str, work: Callable[[], Report], stands: Callable[[Warehouse], bool] | None, outcome: str = DEFAULT
) -> Report:
    """Do a stage, unless it was finished from the same inputs and may stand; what it says, or said then.

    To the business: a night that was killed, or a run that comes a second time, costs only what is missing.

    Parameters
    ----------
    opened : how to come at the warehouse: a stage may want to open it itself.
    inputs : a digest of everything that it is made from; "": nobody can tell, so that it is always done.
    stands : whether what was finished may stand; None: it is done again, and nobody has to look.
    """
    if inputs and stands:
        with opened() as warehouse:
            said = _finished(warehouse, stage, inputs, outcome) if stands(warehouse) else None
        if said is not None:
            return said.also(f"The stage {stage} was finished before from the same inputs, and stands.")
    report = work()
    with opened() as warehouse, warehouse.transaction("stages"):
        told = json.dumps(report.to_dict(), default=str)
        warehouse.raw.execute("INSERT OR REPLACE INTO stages VALUES (?, ?, ?, ?)", [stage, outcome, inputs, told])
    return report


def _finished(warehouse: Warehouse, stage: str, inputs: str, outcome: str) -> Report | None:
    """What a stage said when it was finished from these inputs; None where it was not."""
    query = "SELECT report FROM stages WHERE stage = ? AND outcome = ? AND inputs = ?"
    rows = warehouse.raw.execute(query, [stage, outcome, inputs]).fetchall()
    return Report.from_dict(json.loads(rows[0][0])) if rows else None


def source_inputs(settings: Settings, now: datetime) -> str:
    """What an extract is made from: the files of the source, the configuration, the code, and the day."""
    contents = contents_digest(settings.source_location, (table.table for table in settings.source.tables.values()))
    return contents and mixed(contents, str(now.date()), configuration_digest(settings), code_version())


def is_settled(warehouse: Warehouse) -> bool:
    """Whether no row of the last extract was refused for lying in the future: later on such a row may be right."""
    query = "SELECT count(*) FROM quarantine WHERE extracted_at = ? AND reason = ?"
    return not warehouse.raw.execute(query, [warehouse.extracted_at(), FUTURE]).fetchall()[0][0]


def night_inputs(company: Company, champion: Champion, night: datetime, *more: Any) -> str:
    """What a night is made from: all that its lineage names, what people decided about leads, and the nights before it.

    Parameters
    ----------
    more : whatever else decides what is done.
    """
    settings, warehouse = company.settings, company.warehouse
    made_of = json.dumps(lineage_of(company, champion).row(), default=str)
    decided = held(warehouse, night, settings.timeline.day(night), settings.chosen).to_json(date_format="iso")
    return mixed(str(night), made_of, champion.minded, decided, warehouse.seals(night, settings.chosen), *map(str, more))


def is_published(company: Company, night: datetime) -> bool:
    """Whether a night stands in the ledger and among the lists, both as they were published."""
    settings = company.settings
    return company.warehouse.is_sealed(night, settings.chosen) and is_whole(settings.lists_folder / str(settings.timeline.day(night)))


def is_over(company: Company, night: datetime) -> bool:
    """Whether a night was published and has been worked from since, so that no schedule scores it again, only a person who names it.

    A clock that is behind, or a run that comes twice, must not put another list in the place of the one that sales had: nights are judged by it.
    """
    if not is_published(company, night):
        return False
    return company.extracted_at > night + _WORKED_FROM or company.warehouse.is_overtaken(night, company.extracted_at, company.settings.chosen)


def review_inputs(company: Company) -> str:
    """What a review is made from."""
    return mixed(*_made_of(company), company.warehouse.seals(datetime.max, company.settings.chosen))


def training_inputs(company: Company, past: bool) -> str:
    """What a training is made from: the champion that it is measured against, too, where people chose another than the gate did.

    Parameters
    ----------
    past : whether it learns as of a past night.
    """
    overruled = [entry.to_text() for entry in registry_of(company.settings).trail() if entry.act != "gate"]
    return mixed(*_made_of(company), str(past), *overruled)


def _made_of(company: Company) -> tuple[str, ...]:
    """Tables, until when they are complete, configuration and code."""
    return json.dumps(tables_of(company.warehouse)), str(company.extracted_at), configuration_digest(company.settings), code_version()


def mixed(*parts: str) -> str:
    """One digest of several texts."""
    return sha256("\0".join(parts).encode()).hexdigest()[:16]
