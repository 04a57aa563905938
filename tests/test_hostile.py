"""Whatever somebody called a table, a column, a value or a person passes through every stage and every output as what it is: a name."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from hostile import KEPT, NAMES, SHORT, spoil, toml
from postoffice import HOST, PostOffice, open_office
from xlsx import formulas_of, sheets_of

from features.problem import Problem
from pipelines.company import open_company
from pipelines.crm.dynamics import DynamicsTarget
from pipelines.crm.load import load
from pipelines.crm.mapping import quoted
from pipelines.crm.salesforcetarget import SalesforceTarget
from pipelines.crm.simulator import simulate
from pipelines.crm.tables import open_source
from pipelines.crm.writeback import Update
from pipelines.delivery.mail import line
from pipelines.delivery.sheet import inert
from pipelines.delivery.workbook import cell
from pipelines.extract import extract
from pipelines.registry import registry_of
from pipelines.report import Report, plain
from pipelines.score import score
from pipelines.settings import read_settings
from pipelines.story import tell
from pipelines.train import train
from pipelines.warehouse import Warehouse
from pipelines.writeback import updates_of
from tests.pipelines.crm.vendors.dynamics import SECRET, DynamicsVendor
from tests.pipelines.crm.vendors.loopback import serving

pytestmark = pytest.mark.xdist_group("hostile")
Typed = Callable[..., tuple[int, str, str]]
# What no line on a terminal may hold.
OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
NOW = datetime(2025, 7, 1)


class _Seen(HTMLParser):
    """Every element of a page, and the texts of its scripts."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.elements, self.handlers, self.scripts = list[str](), list[str](), list[str]()
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element, and what of its attributes would run."""
        self.elements.append(tag)
        self.handlers += [name for name, value in attrs if name.startswith("on") or "javascript:" in (value or "")]

    def handle_data(self, data: str) -> None:
        """Note what a script holds."""
        if self.lasttag == "script" and data.strip():
            self.scripts.append(data)


@dataclass(frozen=True)
class Spoiled:
    """A company that is called so from top to bottom, after its first night."""

    config: Path
    reports: dict[str, Report]
    letters: PostOffice
    ledger: pd.DataFrame
    page: _Seen
    rows: list[list[str]]
    workbooks: dict[str, bytes]
    cells: set[Any]

    def leads(self, name: str) -> pd.DataFrame:
        """Those whose id begins with a name."""
        return self.ledger[self.ledger["lead_id"].str.fullmatch(f"{re.escape(name)}L\\d+")]


@pytest.fixture(scope="module")
def spoiled(prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> Spoiled:
    """The whole of it once: extracted, trained, scored and mailed by the real flows."""
    folder = tmp_path_factory.mktemp("hostile")
    simulate(folder, leads=700, seed=7, days=500)
    config = spoil(folder)
    owners = read_owners(folder)
    with open_office() as office:
        mail = f'[delivery.mail]\nserver = "{HOST}"\nport = {office.port}\ntls = "none"\nsender = "scores@company.example"\n'
        to = "".join(f"{toml(owner)} = {toml(f'rep{number}@company.example')}\n" for number, owner in enumerate(owners))
        config.write_text(f"{config.read_text(encoding='utf-8')}{mail}[delivery.mail.to]\n{to}", encoding="utf-8")
        reports = {"extract": extract(config), "train": train(config), "score": score(config)}
    settings = read_settings(config)
    with Warehouse.open(settings.warehouse_url) as warehouse:
        ledger = warehouse.raw.execute("SELECT * FROM ledger ORDER BY rank").df()
    lists = settings.lists_folder / "2025-05-15"
    rows = list(csv.reader(io.StringIO((lists / "leads.csv").read_bytes().decode("utf-8-sig"), newline="")))
    seen = _Seen((lists / "index.html").read_text(encoding="utf-8"))
    workbooks = {path.name: path.read_bytes() for path in lists.glob("*.xlsx")}
    cells = {value for content in workbooks.values() for sheet in sheets_of(content).values() for row in sheet for value in row}
    return Spoiled(config, reports, office, ledger, seen, rows, workbooks, cells)


def read_owners(folder: Path) -> list[str]:
    """The ids of the owners, as the spoiled company has them."""
    with duckdb.connect(str(folder / "crm.duckdb"), read_only=True) as connection:
        (table,) = [name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall() if name.endswith("owners")]
        return [str(owner) for (owner,) in connection.execute(f"SELECT owner_id FROM {quoted(table)}").fetchall()]


def _shown(seen: _Seen) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(seen.scripts[0])
    return data


@pytest.mark.parametrize("what", SHORT)
def test_a_name_is_a_name_at_every_stage_and_in_every_output(spoiled: Spoiled, leadscore: Typed, what: str) -> None:
    name, leads = SHORT[what], spoiled.leads(SHORT[what])
    assert len(leads) >= 5
    best = leads.iloc[0]
    # The CSV, the workbook of the owner, the data of the page: there, as it stands, and inert.
    assert inert(best.lead_id) in [row[4] for row in spoiled.rows]
    assert not [one for row in spoiled.rows for one in row if re.match(r"[\s\"]*[=+@]", one)]
    assert cell(best.lead_id) in spoiled.cells
    assert best.lead_id in [lead[3] for lead in _shown(spoiled.page)["leads"]]
    # One lead's story, in words and as JSON.
    story = tell(read_settings(spoiled.config), best.lead_id, None)
    assert json.loads(json.dumps(story.to_dict()))["lead"] == best.lead_id
    assert OBEYED.findall(story.text()) == []
    assert plain(best.lead_id) in story.text()
    # A lead of that name that is not there is one sentence, and one line.
    code, out, err = leadscore("explain", "--config", spoiled.config, "--", f"{name}?")
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert not OBEYED.findall(err)
    # What would go to a CRM is JSON that comes back the same.
    (update,) = [update for update in updates_of(spoiled.ledger) if update.lead_id == best.lead_id]
    assert json.loads(json.dumps(update.reasons)) == update.reasons


def test_the_page_has_no_element_but_its_own(spoiled: Spoiled) -> None:
    assert spoiled.page.elements.count("script") == len(spoiled.page.scripts) == 2
    assert not {"img", "iframe", "object", "embed", "a", "b", "form"} & set(spoiled.page.elements)
    assert spoiled.page.handlers == []


def test_no_cell_of_a_workbook_is_calculated(spoiled: Spoiled) -> None:
    assert spoiled.workbooks
    assert [formula for content in spoiled.workbooks.values() for formula in formulas_of(content)] == []
    assert all(re.fullmatch(r"[a-z0-9-]+\.xlsx", name) for name in spoiled.workbooks)


def test_a_letter_has_one_recipient_and_no_line_of_a_names_own(spoiled: Spoiled) -> None:
    letters = spoiled.letters.letters
    assert len(letters) >= 10
    for letter in letters:
        assert re.fullmatch(r"rep\d+@company\.example", letter["To"])
        assert (letter["Bcc"], letter["Cc"], len(letter.get_all("Subject", []))) == (None, None, 1)
        html = letter.get_body(("html",))
        assert html is not None
        assert not {"script", "img"} & set(_Seen(html.get_content()).elements)
    every = "".join(letter.get_body(("plain",)).get_content() for letter in letters)  # type: ignore[union-attr]
    assert line(NAMES["lines"]) in every
    assert "\nBcc:" not in every


def test_what_is_too_long_for_a_person_to_have_written_is_refused_and_counted(spoiled: Spoiled) -> None:
    with Warehouse.open(read_settings(spoiled.config).warehouse_url) as warehouse:
        refused = warehouse.raw.execute("SELECT count(*), max(length(value)) FROM quarantine WHERE reason LIKE '%longer than 100,000%'").fetchall()
        counts = warehouse.extract_counts()
        assert set(KEPT.values()) <= {name for (name,) in warehouse.raw.execute("SELECT DISTINCT campaign FROM activities").fetchall()}
    assert refused == [(18, 200)]
    assert (counts["rows_in"] == counts["clean"] + counts["quarantined"] + counts["superseded"]).all()


def test_nothing_that_is_said_commands_a_terminal(spoiled: Spoiled, leadscore: Typed) -> None:
    for words in (["status"], ["check"], ["review"]):
        code, out, err = leadscore(*words, "--config", spoiled.config)
        assert (code in (0, 3), OBEYED.findall(out + err)) == (True, []), words
    assert not [one for report in spoiled.reports.values() for one in OBEYED.findall(report.text())]
    # A table of ten leads fits a screen, however long one of their names is.
    assert max(map(len, spoiled.reports["score"].text().split("\n")[1:12])) < 1_500


def test_mlflow_keeps_the_model_and_its_run(spoiled: Spoiled) -> None:
    registry = registry_of(read_settings(spoiled.config))
    champion = registry.champion()
    run = registry.client.get_run(champion.run_id)
    assert {"gain.png", "importance.png", "segments.png"} <= {Path(one.path).name for one in registry.client.list_artifacts(champion.run_id, "plots")}
    assert max(map(len, [*run.data.params.values(), *run.data.tags.values()])) <= 6_000
    fields = {attribute.name for attribute in champion.scorer.plan.attributes}
    assert len(fields & {f"{name}{at}" for at, name in enumerate(SHORT.values())}) >= 5


def test_a_crm_is_told_every_name_as_it_stands() -> None:
    updates = [Update(f"{name}1", 40, "B", at, name, NOW, 0.4, None) for at, name in enumerate(SHORT.values(), start=1)]
    vendor = DynamicsVendor()
    with serving(vendor):
        assert DynamicsTarget(vendor.url, f"{vendor.url}/token", "app", SECRET).write(updates) == []
    assert sorted(vendor.scores) == sorted((update.lead_id, "lead") for update in updates)
    # Salesforce gives its records ids of its own, and none of these is one.
    assert [refused.lead_id for refused in SalesforceTarget(None).write(updates)] == [update.lead_id for update in updates]  # type: ignore[arg-type]


@contextmanager
def _source(kind: str, table: str, folder: Path, rows: dict[str, list[dict[str, str]]]) -> Iterator[str]:
    """Two tables of a name, wherever tables stand; the location of the source."""
    if kind == "files":
        for name, each in rows.items():
            pd.DataFrame(each).to_csv(folder / f"{table}{name}.csv", index=False, quoting=csv.QUOTE_ALL)
        yield "."
        return
    import sqlite3

    with duckdb.connect(str(folder / "crm.duckdb")) if kind == "duckdb" else sqlite3.connect(folder / "crm.sqlite") as connection:
        for name, each in rows.items():
            connection.execute(f"CREATE TABLE {quoted(table + name)} ({', '.join(f'{quoted(column)} VARCHAR' for column in each[0])})")
            for row in each:
                connection.execute(f"INSERT INTO {quoted(table + name)} VALUES ({', '.join('?' * len(row))})", list(row.values()))
    connection.close()
    yield f"crm.{kind}"


@pytest.mark.parametrize("kind", ["duckdb", "sqlite", "files"])
@pytest.mark.parametrize("what", NAMES)
def test_a_table_and_its_columns_may_be_called_anything(tmp_path: Path, what: str, kind: str) -> None:
    name = NAMES[what]
    if kind == "files" and ("/" in name or len(name) > 200):
        pytest.skip("no file can be called so")
    leads = [{f"{name}key": f"L{n}", f"{name}born": "2025-01-01", name: "x"} for n in range(3)]
    deals = [{"deal_id": "D0", f"{name}whose": "L0", "created_at": "2025-02-01", "outcome": name, "closed_at": "2025-03-01"}]
    with _source(kind, name, tmp_path, {"leads": leads, "deals": deals}) as location:
        ending = ".csv" if kind == "files" else ""
        config = tmp_path / "leadscore.toml"
        config.write_text(
            f"[company]\nname = {toml(name)}\n[source]\nlocation = {toml(location)}\n"
            f"[source.tables.leads]\ntable = {toml(f'{name}leads{ending}')}\nfixed_at_creation = [{toml(name)}]\n"
            f"columns = {{ lead_id = {toml(f'{name}key')}, created_at = {toml(f'{name}born')} }}\n"
            f"[source.tables.deals]\ntable = {toml(f'{name}deals{ending}')}\n"
            f'columns = {{ lead_id = {toml(f"{name}whose")} }}\nvalues = {{ outcome = {{ {toml(name.strip())} = "won" }} }}\n',
            encoding="utf-8",
        )
        settings = read_settings(config)
        with Warehouse.open(settings.warehouse_url) as warehouse:
            done = load(settings, open_source(settings.source_location), warehouse, NOW, lambda share, words: None)
            assert [(one.table, one.rows_in, one.clean) for one in done.tables] == [("leads", 3, 3), ("deals", 1, 1)]
            assert [(one.origin, one.name) for one in warehouse.attributes()] == [("leads", name)]
        with open_company(settings) as company:
            assert company.crm.leads[name].execute().tolist() == ["x"] * 3


@pytest.mark.parametrize("what", NAMES)
def test_an_outcome_is_called_by_a_plain_name_for_that_of_a_folder_it_is(tmp_path: Path, what: str) -> None:
    config = tmp_path / "leadscore.toml"
    tables = '[source.tables.leads]\ntable = "l.csv"\n[source.tables.deals]\ntable = "d.csv"\n'
    config.write_text(f'{tables}[outcomes.{toml(NAMES[what])}]\nkind = "churn"\n', encoding="utf-8")
    with pytest.raises(Problem, match="is no name for an outcome"):
        read_settings(config)
