"""`extract`: read the company's tables, refuse what is malformed with a reason, keep the rest."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from features.problem import Problem
from pipelines.crm.base import Unreachable
from pipelines.crm.load import Load, load
from pipelines.crm.tables import open_source
from pipelines.journal import HOOKS
from pipelines.progress import step
from pipelines.report import Report
from pipelines.settings import Settings, read_settings
from pipelines.stages import is_settled, once, source_inputs
from pipelines.warehouse import Warehouse


@flow(name="extract", **HOOKS)
def extract(config: Path = Path("leadscore.toml"), resume: bool = False) -> Report:
    """Bring every mapped table into the warehouse, each row either used, superseded, or quarantined with a reason.

    Parameters
    ----------
    resume : files that were extracted today and have not changed since are not read again.

    Raises
    ------
    Problem : a source that cannot be read, a missing column, no rows, a table that shrank too much. Nothing is changed then.
    """
    settings = read_settings(config)
    inputs = source_inputs(settings, datetime.now(UTC).replace(tzinfo=None))
    return once(partial(Warehouse.of, settings), "extract", inputs, partial(bring_in, settings), is_settled if resume else None)


def bring_in(settings: Settings) -> Report:
    """Read the source, and tell what came of it."""
    loaded = read_source(settings)
    return tell(loaded)


def _worth_another_try(task: object, run: object, state: object) -> bool:
    """A network may recover; a wrong column will not."""
    result = state.result(raise_on_failure=False)  # type: ignore[attr-defined]
    return isinstance(result, Unreachable) or not isinstance(result, Problem)


@task(cache_policy=NO_CACHE, retries=2, retry_delay_seconds=[5, 30], retry_condition_fn=_worth_another_try)
def read_source(settings: Settings) -> Load:
    """Read the source into the warehouse in one transaction."""
    now = datetime.now(UTC).replace(tzinfo=None)
    source = open_source(settings.source_location, settings.source.encoding)
    with step("Extracting the company's tables") as progress, Warehouse.of(settings) as warehouse:
        return load(settings, source, warehouse, now, progress)


def tell(loaded: Load) -> Report:
    """The extract in words, and its counts as a table beside the run."""
    rows = tuple(asdict(table) for table in loaded.tables)
    # An artifact is JSON, which has no dates: where a table is read by a cursor, it has one.
    said = [{name: f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else value for name, value in row.items()} for row in rows]
    create_table_artifact(said, key="extract", description="Rows in = clean + quarantined + superseded")
    refused = sum(table.quarantined for table in loaded.tables)
    facts = {
        "complete until": f"{loaded.extracted_at:%Y-%m-%d %H:%M}",
        "rows in": sum(t.rows_in for t in loaded.tables),
        "quarantined": refused,
    }
    return Report("extract", facts, rows, loaded.notices, refused=bool(refused))
