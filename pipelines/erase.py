"""`erase`: a person is taken out of everything the product keeps, and that it was done is written down without saying who it was.

warehouse        every row of the person, whatever leads they were merged from or into; the file is then written anew, for a database leaves
                 what it deletes where it lay
lists            every night that held them is written anew from what is left of the ledger
MLflow           the predictions of every run, lead by lead
the next extract refuses their rows while the source still has them: see `pipelines.erased`
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pandas as pd

from features.personal import identifying
from features.problem import Problem
from pipelines.company import Company, company_of
from pipelines.crm.mapping import quoted
from pipelines.delivery.folder import withdraw_folder
from pipelines.delivery.lists import publish_lists
from pipelines.erased import Erased
from pipelines.progress import step
from pipelines.registry import registry_of
from pipelines.report import Report
from pipelines.settings import Settings, on_a_server
from pipelines.storage import owe_rewriting, rewrite
from pipelines.tonight import tonight
from pipelines.warehouse import Warehouse

ASKED = "asked for"
_CRM = ("leads", "lead_changes", "activities", "deals")
_SCORED = ("ledger", "feedback", "decisions", "writebacks")
# A name of two letters stands in half of all words.
_SHORTEST = 4


@dataclass
class Gone:
    """What an erasure took away.

    Parameters
    ----------
    rows : table -> how many.
    nights : lists that were written anew, or taken down where nobody is left or their outcome is configured no more.
    predictions : rows of past runs in MLflow.
    """

    rows: dict[str, int] = field(default_factory=dict)
    nights: int = 0
    predictions: int = 0


def erase(settings: Settings, lead: str, now: datetime) -> Report:
    """Take a person out of warehouse, ledger, lists and runs, so that the next training no longer knows them.

    To the business: what a person may ask for under article 17 of the GDPR, done in one command. Models that were trained before keep what they
    learned from everybody together, and no row of anybody; the next training learns without this person. The source is the company's own: erase
    them there, too.

    Parameters
    ----------
    lead : the id of the lead; those merged with it are the same person.
    now : when it is done.

    Raises
    ------
    Problem : there is no such lead, or it was erased before; it is an account; a list or a run cannot be written. Nothing is erased then.
    """
    with Warehouse.of(settings) as warehouse:
        ids, erased = person(warehouse, lead), Erased(warehouse).knows(lead)
        if ids:
            with warehouse.transaction():
                gone = forget(settings, warehouse, ids, ASKED, now)
    if not ids and not erased:
        raise Problem(f"There is no lead {lead} in the warehouse: check the id, or run `leadscore extract`.")
    rewrite_warehouse(settings)
    if not ids:
        raise Problem(f"Lead {lead} was erased before: nothing of it is left here, and extracts pass over its rows.")
    facts = {"rows": sum(gone.rows.values()), "lists written anew": gone.nights, "predictions of past runs": gone.predictions}
    notices = (
        "Extracts pass over this person's rows from now on. Where they come from, erase them too: the source is not ours.",
        "The models in use were trained before: the next `leadscore train` learns without this person.",
    )
    return Report("erase", facts, tuple({"table": table, "erased": rows} for table, rows in gone.rows.items()), notices)


def person(warehouse: Warehouse, lead: str) -> list[str]:
    """The ids under which a person is known, those of leads merged with this one too; none where nothing is known of them.

    Raises
    ------
    Problem : it is the id of an account.
    """
    columns = warehouse.columns()
    found = warehouse.raw.execute(
        f"WITH RECURSIVE {links(columns)}, known(id) AS (SELECT $1 UNION SELECT other FROM links JOIN known ON one = id)"
        " SELECT id FROM known WHERE id IS NOT NULL ORDER BY id",
        [lead],
    ).fetchall()
    ids = [str(one) for (one,) in found]
    known = any(_count(warehouse, table, ids) for table in _CRM if table in columns)
    if not known and warehouse.knows(lead):
        raise Problem(f"{lead} is an account, and accounts are no people: name its leads, one after the other.")
    return ids if known or any(_count(warehouse, table, ids) for table in _SCORED) else []


def links(columns: Mapping[str, Collection[str]]) -> str:
    """For a WITH clause: `links`, which ids (one, other) are the same person, seen from both.

    Parameters
    ----------
    columns : table -> the columns that it has; leads of an extract of before there were merges have none.
    """
    merged = "merged_into" if "merged_into" in columns.get("leads", ()) else "NULL::VARCHAR"
    merges = f"SELECT lead_id AS one, {merged} AS other FROM leads" if "leads" in columns else "SELECT NULL::VARCHAR AS one, NULL::VARCHAR AS other"
    return f"merges AS ({merges}), links AS (SELECT one, other FROM merges UNION SELECT other, one FROM merges)"


def forget(settings: Settings, warehouse: Warehouse, ids: Collection[str], because: str, now: datetime) -> Gone:
    """Take people out of everything, inside the transaction of whoever asks, and write down that it was done.

    Parameters
    ----------
    ids : of the leads.
    because : why; never who.
    """
    owe_rewriting(settings.warehouse_file)
    gone, columns, learned = Gone(), warehouse.columns(), _each_outcome(settings, warehouse)
    accounts = _accounts(warehouse, columns, ids)
    nights = _nights(warehouse, [*ids, *accounts])
    said = _said(warehouse, ids, columns)
    for table in (table for table in _CRM if table in columns):
        gone.rows[table] = _delete(warehouse, table, ids)
    # The score of an account with nobody left in it is all about those who were.
    alone = accounts - _accounts(warehouse, columns)
    for table in _SCORED:
        gone.rows[table] = _delete(warehouse, table, [*ids, *alone])
    for outcome, night in nights:
        warehouse.seal_night(night, outcome)
    warehouse.seal_tables()
    # What a stage said of the night before may name them.
    warehouse.raw.execute("DELETE FROM stages")
    gone.rows["quarantine"] = _unquote(warehouse, said)
    memory = Erased(warehouse)
    memory.remember(ids)
    for table, rows in gone.rows.items():
        warehouse.raw.execute("INSERT INTO erasures VALUES (?, ?, ?, ?)", [now, because, table, rows])
    gone.nights = _rewrite_nights(settings, warehouse, nights)
    with step("Taking them out of past runs"):
        gone.predictions = sum(registry_of(one).forget([*ids, *alone]) for one in learned)
    _drop_traceback(settings, said)
    return gone


def rewrite_warehouse(settings: Settings) -> None:
    """Write the company's file anew, once somebody has been taken out of it; what is fetched of a server has no backup."""
    rewrite(settings.warehouse_file, backed_up=not on_a_server(settings.warehouse_url))


def _count(warehouse: Warehouse, table: str, ids: Collection[str]) -> int:
    return int(warehouse.raw.execute(f"SELECT count(*) FROM {table} WHERE lead_id IN (SELECT unnest(?))", [list(ids)]).fetchall()[0][0])


def _delete(warehouse: Warehouse, table: str, ids: Collection[str]) -> int:
    return int(warehouse.raw.execute(f"DELETE FROM {table} WHERE lead_id IN (SELECT unnest(?))", [list(ids)]).fetchall()[0][0])


def _accounts(warehouse: Warehouse, columns: dict[str, list[str]], ids: Collection[str] | None = None) -> set[str]:
    """Under which ids the accounts of some leads, or of all, may be scored."""
    if "account_id" not in columns.get("leads", ()):
        return set()
    theirs = "SELECT DISTINCT account_id FROM leads WHERE account_id IS NOT NULL"
    some = warehouse.raw.execute(theirs) if ids is None else warehouse.raw.execute(f"{theirs} AND lead_id IN (SELECT unnest(?))", [list(ids)])
    return {name for (one,) in some.fetchall() for name in (str(one), f"account {one}")}


def _said(warehouse: Warehouse, ids: Collection[str], columns: dict[str, list[str]]) -> list[str]:
    """The ids, names, addresses and numbers of people, by which a line that could not be used is known to be theirs."""
    texts = [column for column in columns.get("leads", ()) if identifying(column)]
    said = set(ids)
    for column in texts:
        rows = warehouse.raw.execute(
            f"SELECT CAST({quoted(column)} AS VARCHAR) FROM leads WHERE lead_id IN (SELECT unnest(?))", [list(ids)]
        ).fetchall()
        said |= {value.strip() for (value,) in rows if value and len(value.strip()) >= _SHORTEST}
    return sorted(said)


def _unquote(warehouse: Warehouse, said: list[str]) -> int:
    """Refused rows in which one of these texts stands by itself no longer show it: they stay, so that every row of an extract is accounted for."""
    hidden = 0
    for text in said:
        hidden += warehouse.raw.execute(
            r"UPDATE quarantine SET value = NULL WHERE contains(lower(value), lower($1))"
            r" AND regexp_matches(value, '(^|\W)' || regexp_escape($1) || '(\W|$)', 'i')",
            [text],
        ).fetchall()[0][0]
    return hidden


def _each_outcome(settings: Settings, warehouse: Warehouse) -> list[Settings]:
    """The settings as each outcome sees them of which anything was ever learned or scored, whether or not it is still configured."""
    found = warehouse.raw.execute("SELECT outcome FROM ledger UNION SELECT outcome FROM stages").fetchall()
    names = sorted({outcome for (outcome,) in found} | {one.chosen for one in settings.each_outcome()})
    return [settings.model_copy(update={"chosen": name}) for name in names]


def _nights(warehouse: Warehouse, ids: Collection[str]) -> list[tuple[str, datetime]]:
    return warehouse.raw.execute(
        "SELECT DISTINCT outcome, as_of FROM ledger WHERE lead_id IN (SELECT unnest(?)) ORDER BY ALL", [list(ids)]
    ).fetchall()


def _rewrite_nights(settings: Settings, warehouse: Warehouse, nights: list[tuple[str, datetime]]) -> int:
    """Write the lists of some nights anew from what is left of the ledger; how many there were."""
    written = 0
    with step("Writing the lists anew"):
        for outcome in sorted({outcome for outcome, _ in nights}):
            chosen = settings.model_copy(update={"chosen": outcome})
            folders = {night: chosen.lists_folder / str(settings.timeline.day(night)) for name, night in nights if name == outcome}
            shown = {night: folder for night, folder in folders.items() if folder.exists()}
            company = _seen_as(settings, warehouse, outcome) if shown else None
            for night, folder in shown.items():
                _rewrite_night(company, warehouse.read_night(night, outcome), night, folder)
            written += len(shown)
    return written


def _seen_as(settings: Settings, warehouse: Warehouse, outcome: str) -> Company | None:
    """The company as an outcome sees it; None where the outcome is configured no more, or its accounts are gone with the last of their leads."""
    try:
        return company_of(settings.each_outcome(outcome)[0], warehouse).of_population()
    except Problem:
        return None


def _rewrite_night(company: Company | None, left: pd.DataFrame, night: datetime, folder: Path) -> None:
    """One night anew, whoever scored it; taken down where it cannot be told any more."""
    if company is None or left.empty:
        withdraw_folder(folder)
        return
    champion = registry_of(company.settings).version_or_none(str(left["model_version"].iloc[0]))
    publish_lists(folder, tonight(company, champion, night))


def _drop_traceback(settings: Settings, said: list[str]) -> None:
    """The details of a failure go if they may name one of them."""
    file = settings.home_folder / "unexpected.log"
    if file.is_file() and any(re.search(rf"(^|\W){re.escape(text)}(\W|$)", file.read_text(encoding="utf-8", errors="replace")) for text in said):
        file.unlink()
