"""Whether models, ledger, lists and extracts still are what leadscore wrote: nobody edits them unseen, and no disk rots unseen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from models.registry import WAY_OUT
from pipelines.company import Company, company_of
from pipelines.delivery.folder import changed, nights
from pipelines.registry import registry_of
from pipelines.report import Report
from pipelines.schema import LEDGER
from pipelines.seals import altered_nights, altered_tables, misattributed_nights, unaccounted, unsealed_nights
from pipelines.settings import Settings
from pipelines.standby import altered_copy
from pipelines.warehouse import Warehouse


def verify(settings: Settings, outcome: str | None = None) -> Report:
    """Compare everything that was sealed when it was written with what is there now, of one outcome or of every one.

    To the business: a list that sales works from, and the past by which models are judged, can be trusted because a change would be seen. Whoever
    can write the registry and the warehouse can seal anew what they changed; against them a copy kept elsewhere helps, and nothing else.

    Raises
    ------
    Problem : there is nothing to verify yet, or no outcome of that name.
    """
    with _read_anew(settings) as company:
        found = company.each_outcome(outcome, _outcome)
        lost = [*unaccounted(company.warehouse.raw), *_tables(company), *_server(company), *_standby(settings, outcome)]
        extracts = int(company.warehouse.raw.execute("SELECT count(DISTINCT extracted_at) FROM extracts").fetchall()[0][0])
    facts = {**found.facts, "extracts": extracts}
    notices = (*found.notices, *lost) or ("Everything is what was written.",)
    return Report("verify", facts, (), notices, failed=found.failed or bool(lost))


@contextmanager
def _read_anew(settings: Settings) -> Iterator[Company]:
    """The company as its warehouse holds it: of a server all is fetched, for what this machine has of it tells nothing of what is there now."""
    with Warehouse.open(settings.warehouse_url) as warehouse:
        yield company_of(settings, warehouse)


def _outcome(company: Company) -> Report:
    """One outcome's models, nights and lists."""
    settings, raw = company.settings, company.warehouse.raw
    models, shown = registry_of(settings).seals(), nights(settings.lists_folder)
    wrong = [*_models(models), *_nights(company), *_lists(company)]
    untold = sum(state == "unsealed" for state in models.values()), unsealed_nights(raw, settings.chosen)
    notices = [f"An earlier release wrote {untold[0]:,} models and {untold[1]:,} nights without a seal: of these nobody can tell."] * any(untold)
    scored = int(company.warehouse.ledger(settings.chosen).as_of.nunique().execute())
    return Report("verify", {"models": len(models), "nights": scored, "lists": len(shown)}, (), (*wrong, *notices), failed=bool(wrong))


def _models(models: dict[str, str]) -> list[str]:
    said = {"changed": "not those that were logged", "gone": "gone, or cannot be read"}
    return [
        f"The files of model version {version} are {said[state]}: put back a copy, or {WAY_OUT}" for version, state in models.items() if state in said
    ]


def _nights(company: Company) -> list[str]:
    timeline = company.settings.timeline
    return [
        f"The night of {timeline.day(night)} in the ledger is not what was published: {what}. Put back a copy of the warehouse, or run "
        f"`leadscore score --as-of {timeline.day(night)}`."
        for night, what in altered_nights(company.warehouse.raw, LEDGER, company.settings.chosen)
    ] + [
        f"The lineage of {timeline.day(night)} names another model than its scores do: put back a copy of the warehouse, or run "
        f"`leadscore score --as-of {timeline.day(night)}`."
        for night in misattributed_nights(company.warehouse.raw, company.settings.chosen)
    ]


def _tables(company: Company) -> list[str]:
    return [
        f"The table {table} in the warehouse is not what was extracted: put back a copy of the warehouse, or run `leadscore extract`."
        for table in altered_tables(company.warehouse.raw, company.warehouse.extracted_at())
    ]


def _server(company: Company) -> list[str]:
    mirror = company.warehouse.mirror
    return [
        f"{part} on the PostgreSQL server is not what leadscore wrote there: somebody wrote past it. Put back a copy of the server."
        for part in (mirror.altered() if mirror else [])
    ]


def _standby(settings: Settings, outcome: str | None) -> list[str]:
    return [
        f"The copy of the champion in {folder} is not what was kept, so that it would score no night: the next night whose tracking server answers "
        "keeps another."
        for folder in filter(None, map(altered_copy, settings.each_outcome(outcome)))
    ]


def _lists(company: Company) -> list[str]:
    settings = company.settings
    days = {str(settings.timeline.day(night)) for night in company.warehouse.ledger(settings.chosen).as_of.execute().unique()}
    return [
        f"The list in {settings.lists_folder / night} is not what was published: a file in it was changed, added or taken away. "
        f"`leadscore score --as-of {night}` writes it again."
        for night in changed(settings.lists_folder)
    ] + [
        f"The list in {shown} has no scores in the ledger: put back a copy of the warehouse, or run `leadscore score --as-of {shown.name}`."
        for shown in nights(settings.lists_folder)
        if shown.name not in days
    ]
