"""Whoever is erased is gone from every table, list, run and byte, does not come back, and is not named by the record of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import learnable
import pandas as pd
import pytest
from reps import NIGHT, TEAM, night, publish
from stories import company_of

from features.plan import Plan
from features.problem import Problem
from models.registry import Registry
from models.rules import rules
from models.run import Training
from pipelines import erase as erasing
from pipelines.crm.load import load
from pipelines.crm.tables import open_source
from pipelines.decisions import remember
from pipelines.delivery.lists import publish_lists
from pipelines.erase import erase
from pipelines.erased import Erased
from pipelines.replies import keep_feedback
from pipelines.schema import LEDGER
from pipelines.seals import altered_nights
from pipelines.settings import Settings, read_settings
from pipelines.warehouse import Warehouse

Typed = Callable[..., tuple[int, str, str]]
NOW = datetime(2025, 3, 5)
EARLIER = NIGHT - timedelta(days=1)
# Long and without a pattern, so that a database cannot pack them into something that a search would miss.
SECRET, OTHER = "Zq7fVxk2Lm9RtYw4Pb6NsHd8GcJe3AuQ", "Km4wTn8Xc2Vb6Zq1Lp9Rf5Hs7DjYgE3a"
STORY: dict[str, list[dict[str, Any]]] = {
    "leads": [
        {"lead_id": "L1", "created_at": NIGHT - timedelta(days=30), "name": SECRET, "email": f"{SECRET}@post.example", "merged_into": "L2"},
        {"lead_id": "L2", "created_at": NIGHT - timedelta(days=60), "name": f"Old {SECRET}", "account_id": "A1"},
        {"lead_id": "L3", "created_at": NIGHT - timedelta(days=60), "name": OTHER, "account_id": "A2"},
        {"lead_id": "L12", "created_at": NIGHT - timedelta(days=60), "name": "Ida Lang"},
        {"lead_id": "L4", "created_at": NIGHT - timedelta(days=60), "name": "Bo Berg"},
        {"lead_id": "L5", "created_at": NIGHT - timedelta(days=60), "name": "Pia Roth"},
    ],
    "accounts": [{"account_id": "A1"}, {"account_id": "A2"}],
    "activities": [
        {"lead_id": lead, "kind": "mail", "text": f"Dear {name}", "occurred_at": NIGHT - timedelta(days=5)}
        for lead, name in (("L1", SECRET), ("L3", OTHER))
    ],
    "lead_changes": [{"lead_id": "L2", "field": "name", "old_value": SECRET, "new_value": f"Old {SECRET}", "changed_at": NIGHT - timedelta(days=9)}],
    "deals": [{"lead_id": "L2", "created_at": NIGHT - timedelta(days=20)}, {"lead_id": "L3", "created_at": NIGHT - timedelta(days=20)}],
}
QUARANTINE = [f"{SECRET},2025", "L1;x", "L12;x", None, "nobody"]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Northwind with two nights in ledger and lists, a model, and somebody who was called and answered; its leadscore.toml."""
    config = tmp_path / "leadscore.toml"
    tables = '[source.tables.leads]\ntable = "leads.csv"\n[source.tables.deals]\ntable = "deals.csv"\n'
    config.write_text(f'[company]\nname = "Northwind"\n[source]\nlocation = "crm"\n{tables}', encoding="utf-8")
    settings = read_settings(config)
    scorer, _ = rules(learnable.examples(leads=60, weeks=4), learnable.FEATURES, Plan(), NIGHT, 3, needed=100)
    said = pd.DataFrame({"lead_id": ["L1", "L3", "L2"], "as_of": NIGHT, "converted": False, "weight": 1.0, "log_odds": 0.0})
    Registry(settings.tracking_uri).log(Training("train", {}, {}, {}, scorer, scorer.average(), tables={"predictions.parquet": said}))
    with Warehouse.open(settings.warehouse_url) as warehouse:
        warehouse.raw.execute("SET force_compression = 'uncompressed'")
        company_of(STORY, warehouse.ibis)
        warehouse.raw.execute("INSERT INTO extracts (extracted_at, table_name) VALUES (?, 'leads')", [NIGHT])
        for as_of in (NIGHT, EARLIER):
            seen = night(*[{**lead, "name": f"{SECRET} of the list"} for lead in TEAM], as_of=as_of, day=as_of.date())
            publish(warehouse, seen)
            publish_lists(settings.lists_folder / str(as_of.date()), seen)
        for lead in ("L1", "L3"):
            keep_feedback(
                warehouse, pd.DataFrame({"lead_id": [lead], "feedback": ["reached"], "note": ["kind"], "given_by": ["o1"]}), NIGHT, "default", NOW
            )
            remember(warehouse, lead, 1, date(2025, 4, 1), "a friend", "Ann", NOW)
            warehouse.raw.execute("INSERT INTO writebacks VALUES ('default', ?, 'hubspot', ?, 'd', 'sent', '', ?)", [NIGHT, lead, NOW])
        for value in QUARANTINE:
            warehouse.raw.execute("INSERT INTO quarantine VALUES (?, 'leads', 7, 'created_at', ?, 'is no date')", [NIGHT, value])
    return config


def _all(config: Path, query: str) -> list[tuple[Any, ...]]:
    with Warehouse.open(read_settings(config).warehouse_url) as warehouse:
        return warehouse.raw.execute(query).fetchall()


def test_the_whole_person_is_gone_from_every_table_and_nobody_else_is(config: Path) -> None:
    told = erase(read_settings(config), "L1", NOW)
    assert {row["table"]: row["erased"] for row in told.rows} == {
        **dict.fromkeys(("lead_changes", "activities", "deals", "feedback", "decisions", "writebacks"), 1),
        "leads": 2,
        # Two nights of L1 and of L2, into which L1 was merged.
        "ledger": 4,
        "quarantine": 2,
    }
    assert (told.facts["rows"], told.facts["lists written anew"], told.facts["predictions of past runs"]) == (14, 2, 2)
    for table, left in {
        "leads": {"L12", "L3", "L4", "L5"},
        "activities": {"L3"},
        "lead_changes": set(),
        "deals": {"L3"},
        "ledger": {"L3", "L4", "L5"},
        "feedback": {"L3"},
        "decisions": {"L3"},
        "writebacks": {"L3"},
    }.items():
        assert {lead for (lead,) in _all(config, f"SELECT lead_id FROM {table}")} == left, table
    # L12 is somebody else, although the id begins alike; of the person's own rows it stays known that they were refused.
    values = [value for (value,) in _all(config, "SELECT value FROM quarantine")]
    assert sorted(values, key=str) == ["L12;x", *[None] * 3, "nobody"]
    with Warehouse.of(read_settings(config)) as warehouse:
        assert altered_nights(warehouse.raw, LEDGER, "default") == []


def test_not_a_byte_of_the_person_is_left_in_any_file(config: Path) -> None:
    home = read_settings(config).home_folder

    def naming(text: str) -> set[str]:
        return {file.name for file in home.rglob("*") if file.is_file() and text.encode() in file.read_bytes()}

    (home / "warehouse.duckdb.damaged-20250303T020500").write_text(f"as it was when {SECRET} stood in it", encoding="utf-8")
    assert {"warehouse.duckdb", "warehouse.duckdb.backup", "index.html", "leads.csv"} <= naming(SECRET)
    (home / "unexpected.log").write_text(f"ValueError: {SECRET}", encoding="utf-8")
    erase(read_settings(config), "L2", NOW)
    assert naming(SECRET) == set()
    # The same search finds who was not erased.
    assert {"warehouse.duckdb", "warehouse.duckdb.backup"} <= naming(OTHER)
    assert not list(home.glob("*.fresh"))


def test_runs_of_an_outcome_that_is_configured_no_more_are_searched_too(config: Path) -> None:
    settings = read_settings(config)
    scorer, _ = rules(learnable.examples(leads=60, weeks=4), learnable.FEATURES, Plan(), NIGHT, 3, needed=100)
    said = pd.DataFrame({"lead_id": ["L1", "L3"], "as_of": NIGHT, "converted": False, "weight": 1.0, "log_odds": 0.0})
    before = Registry(settings.tracking_uri, "leadscore-renewal")
    before.log(Training("train", {}, {}, {}, scorer, scorer.average(), tables={"predictions.parquet": said}))
    with Warehouse.of(settings) as warehouse:
        warehouse.raw.execute("INSERT INTO stages VALUES ('train', 'renewal', '', '{}')")
    assert erase(settings, "L1", NOW).facts["predictions of past runs"] == 3
    assert before.forget(["L1"]) == 0


def test_past_lists_are_told_anew_without_them(config: Path) -> None:
    erase(read_settings(config), "L1", NOW)
    lists = read_settings(config).lists_folder
    for day in ("2025-03-03", "2025-03-04"):
        sheet = (lists / day / "leads.csv").read_text(encoding="utf-8-sig")
        assert [word for word in ("L1,", "L2,", "L3,", OTHER) if word in sheet] == ["L3,", OTHER]
        page = (lists / day / "index.html").read_text(encoding="utf-8")
        assert "The model that scored this night is no longer kept" not in page


def test_a_night_whose_model_is_gone_is_still_told_anew(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Registry, "version_or_none", lambda self, version: None)
    erase(read_settings(config), "L1", NOW)
    page = (read_settings(config).lists_folder / "2025-03-04" / "index.html").read_text(encoding="utf-8")
    assert "The model that scored this night is no longer kept, so that nothing is said of how far to believe it." in page


def test_a_night_on_which_nobody_else_was_is_taken_down(config: Path) -> None:
    settings = read_settings(config)
    with Warehouse.open(settings.warehouse_url) as warehouse:
        warehouse.raw.execute("DELETE FROM ledger WHERE as_of = ? AND lead_id NOT IN ('L1', 'L2')", [EARLIER])
    erase(settings, "L1", NOW)
    assert sorted(path.name for path in settings.lists_folder.glob("2*")) == ["2025-03-04"]
    assert [path.name.partition(".")[0] for path in (settings.lists_folder / ".published").iterdir()] == ["2025-03-04"]


def test_the_record_says_when_and_what_and_not_who(config: Path) -> None:
    erase(read_settings(config), "L1", NOW)
    assert _all(config, "SELECT * FROM erasures ORDER BY table_name LIMIT 2") == [(NOW, "asked for", "activities", 1), (NOW, "asked for", "deals", 1)]
    record = repr(_all(config, "SELECT * FROM erasures") + _all(config, "SELECT * FROM erased"))
    assert [word for word in ("L1", "L2", SECRET) if word in record] == []
    assert _all(config, "SELECT count(*), min(length(digest)) FROM erased") == [(2, 64)]


def test_the_same_id_leaves_another_trace_in_another_warehouse(tmp_path: Path) -> None:
    digests = set()
    for name in ("one", "other"):
        with Warehouse.open(str(tmp_path / f"{name}.duckdb")) as warehouse:
            Erased(warehouse).remember(["L1"])
            digests |= {digest for (digest,) in warehouse.raw.execute("SELECT digest FROM erased").fetchall()}
            assert (Erased(warehouse).knows("L1"), Erased(warehouse).knows("L2")) == (True, False)
    assert len(digests) == 2


def test_a_list_that_cannot_be_written_erases_nobody(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*anything: Any) -> None:
        raise Problem("The list could not be written: free the disk.")

    monkeypatch.setattr(erasing, "publish_lists", full)
    before = _all(config, "SELECT * FROM leads ORDER BY lead_id")
    with pytest.raises(Problem, match="free the disk"):
        erase(read_settings(config), "L1", NOW)
    assert _all(config, "SELECT * FROM leads ORDER BY lead_id") == before
    assert _all(config, "SELECT count(*) FROM erased") == [(0,)]


@pytest.mark.parametrize(
    ("lead", "sentence"),
    [
        ("nobody", "There is no lead nobody in the warehouse: check the id, or run `leadscore extract`."),
        ("A1", "A1 is an account, and accounts are no people: name its leads, one after the other."),
    ],
)
def test_who_is_no_lead_is_one_sentence(config: Path, leadscore: Typed, lead: str, sentence: str) -> None:
    code, out, err = leadscore("erase", lead, "--yes", "--config", config)
    assert (code, out, err.splitlines()[-1]) == (1, "", f"leadscore: {sentence}")


def test_a_person_is_asked_a_schedule_must_say_yes_and_a_machine_gets_an_object(
    config: Path, leadscore: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = leadscore("erase", "L1", "--config", config)
    assert (code, "there is nobody at a terminal to be asked whether it is meant: add --yes" in err) == (1, True)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda question: False)
    code, _, err = leadscore("erase", "L1", "--config", config)
    assert (code, err.splitlines()[-1]) == (1, "leadscore: Nothing was erased.")
    code, out, _ = leadscore("erase", "L1", "--yes", "--json", "--config", config)
    assert (code, json.loads(out)["rows"][0]) == (0, {"table": "leads", "erased": 2})
    code, _, err = leadscore("erase", "L1", "--yes", "--config", config)
    assert (code, err.splitlines()[-1]) == (1, "leadscore: Lead L1 was erased before: nothing of it is left here, and extracts pass over its rows.")


LEADS = "lead_id,created_at,email\nL1,2025-01-01,one@post.example\nL2,not yet,two@post.example\nL3,2025-01-02,three@post.example\n"
DEALS = "deal_id,lead_id,created_at,outcome,closed_at,amount\nD1,L1,2025-01-05,won,2025-02-01,100\nD2,L3,2025-01-05,won,2025-02-01,100\n"
MAILS = 'lead_id,kind,occurred_at\nL1,open,2025-01-03\nL3,open,2025-01-04\nL1,"open\n'


@pytest.mark.parametrize("cursor", [None, "created_at"])
def test_no_extract_brings_them_back_while_the_source_still_has_them(tmp_path: Path, cursor: str | None) -> None:
    folder = tmp_path / "crm"
    folder.mkdir()
    for name, text in (("leads", LEADS), ("deals", DEALS), ("activities", MAILS)):
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    tables = {name: {"table": f"{name}.csv"} for name in ("leads", "deals", "activities")}
    tables["leads"] |= {"cursor": cursor} if cursor else {}
    settings = Settings(source={"location": str(folder), "tables": tables}, folder=tmp_path)  # type: ignore[arg-type]

    def extract() -> tuple[str, ...]:
        with Warehouse.open(settings.warehouse_url) as warehouse:
            done = load(settings, open_source(settings.source_location), warehouse, NOW, lambda share, words: None)
            assert all(table.rows_in == table.clean + table.quarantined + table.superseded for table in done.tables)
            return done.notices

    extract()
    erase(settings, "L1", NOW)
    with Warehouse.open(settings.warehouse_url) as warehouse:
        # Whose row was refused for another reason is erased by id alone, and one who is said to be the same person goes, too.
        Erased(warehouse).remember(["L2"])
        warehouse.raw.execute("DELETE FROM quarantine")
    with (folder / "leads.csv").open("a", encoding="utf-8") as more:
        more.write("L9,2025-01-09,nine@post.example\n")
    said = extract()
    assert "leads: 2 rows were refused because lead_id is erased." in said
    with Warehouse.open(settings.warehouse_url) as warehouse:
        for table in ("leads", "deals", "activities"):
            assert "L1" not in repr(warehouse.raw.execute(f"FROM {table}").fetchall())
        assert warehouse.size("leads") == 2
        kept = warehouse.raw.execute("SELECT table_name, row, column_name, value FROM quarantine WHERE reason = 'is erased' ORDER BY 1").fetchall()
        refused = repr(warehouse.raw.execute("FROM quarantine").fetchall())
    assert kept == [("activities", None, "lead_id", None), ("deals", None, "lead_id", None), *[("leads", None, "lead_id", None)] * 2]
    assert [word for word in ("L1", "L2", "one@", "two@", "not yet") if word in refused] == []


def test_whoever_is_merged_into_one_that_was_erased_is_the_same_person(tmp_path: Path) -> None:
    folder = tmp_path / "crm"
    folder.mkdir()
    (folder / "leads.csv").write_text("lead_id,created_at,merged_into\nL1,2025-01-01,\nL2,2025-01-01,L1\nL3,2025-01-01,L2\nL4,2025-01-01,\n", "utf-8")
    (folder / "deals.csv").write_text("deal_id,lead_id,created_at,outcome,closed_at\nD3,L3,2025-01-02,open,\nD4,L4,2025-01-02,open,\n", "utf-8")
    tables = {name: {"table": f"{name}.csv"} for name in ("leads", "deals")}
    settings = Settings(source={"location": str(folder), "tables": tables, "shrink_limit": 1.0}, folder=tmp_path)  # type: ignore[arg-type]
    with Warehouse.open(settings.warehouse_url) as warehouse:
        Erased(warehouse).remember(["L1"])
        load(settings, open_source(settings.source_location), warehouse, NOW, lambda share, words: None)
        assert warehouse.raw.execute("SELECT lead_id FROM leads").fetchall() == [("L4",)]
        assert warehouse.raw.execute("SELECT deal_id FROM deals").fetchall() == [("D4",)]
        assert [Erased(warehouse).knows(lead) for lead in ("L1", "L2", "L3", "L4")] == [True, True, True, False]
