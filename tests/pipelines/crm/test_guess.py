"""A look at tables it has never seen, and a leadscore.toml that can be read, corrected and run."""

from __future__ import annotations

import csv
import io
import sqlite3
import tomllib
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.problem import Problem
from pipelines.crm.check import check
from pipelines.crm.guess import Unrecognised, guess
from pipelines.crm.load import load
from pipelines.crm.tables import open_source
from pipelines.settings import Settings, SourceTable, read_settings
from pipelines.warehouse import Warehouse

Files = dict[str, str]
LEADS = "lead_id,created_at\nL1,2025-01-02\nL2,2025-01-03\n"
DEALS = "deal_id,lead_id,created_at,outcome,closed_at\nD1,L1,2025-01-05,won,2025-02-01\n"


def _guessed(folder: Path, files: Files) -> Settings:
    """What `leadscore init` writes for some files, read back as the product reads it."""
    place = folder / "crm"
    place.mkdir(parents=True)
    for name, content in files.items():
        (place / name).write_text(content, encoding="utf-8")
    return _read_back(folder, guess(place))


def _read_back(folder: Path, text: str) -> Settings:
    (folder / "leadscore.toml").write_text(text, encoding="utf-8")
    read = read_settings(folder / "leadscore.toml")
    assert check(read, datetime(2026, 1, 1)) == []
    return read


def test_tables_that_speak_our_words_need_no_mapping(tmp_path: Path) -> None:
    files = {
        "leads.csv": LEADS,
        "deals.csv": DEALS,
        "activities.csv": "lead_id,kind,occurred_at\nL1,open,2025-01-03\n",
        "lead_changes.csv": "lead_id,field,changed_at\nL1,stage,2025-01-03\n",
        "accounts.csv": "account_id,industry\nA1,retail\n",
        "owners.csv": "owner_id,name\nO1,Ann\n",
    }
    read = _guessed(tmp_path, files)
    assert read.source.tables == {name.removesuffix(".csv"): SourceTable(table=name) for name in files}
    assert read.source.location == str(tmp_path / "crm")
    assert (read.outcome.horizon_days, read.outcome.settle_days, read.outcome.max_age_days) == (60, 7, 365)


def test_other_words_are_recognised_by_name_and_by_what_stands_in_them(tmp_path: Path) -> None:
    files = {
        "CRM leads.csv": "MQL ID,Creation Date,Sales_Rep,Company,Lead Source,Rating\nM1,13.01.2025,ann,A1,web,Select\nM2,14.01.2025,bob,A2,ads,hot\n",
        "won_or_lost.csv": "Deal ID,Mql Id,Engage Date,Close Date,Close Value,Deal Stage\n"
        "1,M1,01/13/2025,02/28/2025,100,Closed Won\n2,M2,01/14/2025,,,Engaging\n3,M2,01/14/2025,03/01/2025,0,Lost\n",
        "mails.csv": "Lead ID,Event Type,Event Time\nM1,open,13-01-2025 17:45\n",
    }
    tables = _guessed(tmp_path, files).source.tables
    assert set(tables) == {"leads", "deals", "activities"}
    leads, deals, mails = tables["leads"], tables["deals"], tables["activities"]
    assert leads.columns == {
        "lead_id": "MQL ID",
        "created_at": "Creation Date",
        "owner_id": "Sales_Rep",
        "account_id": "Company",
        "company": "Company",
    }
    assert (leads.table, leads.dates, leads.missing, leads.fixed_at_creation) == ("CRM leads.csv", ("%d.%m.%Y",), ("Select",), ("Lead Source",))
    assert deals.columns == {
        "deal_id": "Deal ID",
        "lead_id": "Mql Id",
        "created_at": "Engage Date",
        "closed_at": "Close Date",
        "amount": "Close Value",
        "outcome": "Deal Stage",
    }
    assert (deals.table, deals.dates) == ("won_or_lost.csv", ("%m/%d/%Y",))
    assert deals.values == {"outcome": {"Closed Won": "won", "Engaging": "open", "Lost": "lost"}}
    assert (mails.table, mails.dates) == ("mails.csv", ("%d-%m-%Y %H:%M",))
    assert mails.columns == {"lead_id": "Lead ID", "kind": "Event Type", "occurred_at": "Event Time"}


def test_salesforce_says_each_thing_in_one_word(tmp_path: Path) -> None:
    files = {
        "Lead.csv": "Id,CreatedDate,OwnerId,IsConverted,LeadSource\n1,2025-01-02T10:00:00.000Z,u,false,web\n2,2025-01-03T10:00:00.000Z,u,true,web\n",
        "Opportunity.csv": "Id,LeadId,CreatedDate,CloseDate,StageName,Amount\nO1,1,2025-01-05,2025-02-01,Closed Lost,5\n",
    }
    tables = _guessed(tmp_path, files).source.tables
    assert tables["leads"].columns == {"lead_id": "Id", "created_at": "CreatedDate", "owner_id": "OwnerId"}
    assert tables["leads"].ignore == ("IsConverted",)
    assert tables["deals"].columns == {
        "deal_id": "Id",
        "lead_id": "LeadId",
        "created_at": "CreatedDate",
        "closed_at": "CloseDate",
        "amount": "Amount",
        "outcome": "StageName",
    }
    assert (tables["deals"].values, tables["deals"].constants) == ({"outcome": {"Closed Lost": "lost"}}, {})


def test_hubspot_says_each_thing_in_two_or_three(tmp_path: Path) -> None:
    contact = "Record ID,Create Date,Contact owner,Lead Status\n1,2025-01-15 10:30,ann,Open\n2,2025-01-16 10:30,ann,Open\n"
    deal = "Deal ID,Contact ID,Create Date,Close Date,Deal Stage\n1,1,2025-02-01,2025-03-01,closedwon\n2,2,2025-02-01,2025-03-01,closedlost\n"
    tables = _guessed(tmp_path, {"contacts.csv": contact, "deals.csv": deal}).source.tables
    assert tables["leads"].table == "contacts.csv"
    assert tables["leads"].columns == {"lead_id": "Record ID", "created_at": "Create Date", "owner_id": "Contact owner"}
    assert tables["deals"].columns["lead_id"] == "Contact ID"
    assert tables["deals"].values == {"outcome": {"closedwon": "won", "closedlost": "lost"}}


@pytest.mark.parametrize("own", ["Opportunity ID", "Deal ID", "Id"])
def test_a_deals_own_id_is_not_taken_for_its_leads(tmp_path: Path, own: str) -> None:
    deals = f"{own},Lead ID,Created Date,Close Date,Stage\nO1,L1,2025-01-05,2025-02-01,Won\n"
    columns = _guessed(tmp_path, {"leads.csv": LEADS, "deals.csv": deals}).source.tables["deals"].columns
    assert (columns["deal_id"], columns["lead_id"]) == (own, "Lead ID")


def test_a_deal_that_names_no_lead_is_asked_about(tmp_path: Path) -> None:
    (tmp_path / "leads.csv").write_text(LEADS)
    (tmp_path / "deals.csv").write_text("Opportunity ID,Close Date,Stage\nO1,2025-02-01,Won\n")
    assert '# Please check: no column names the lead of a deal, so its own "Opportunity ID" is taken.' in guess(tmp_path).splitlines()


@pytest.mark.parametrize("name", ["StageName", "Deal Status", "opportunity_stage", "Is Won", "Phase", "x"])
def test_where_it_is_told_how_deals_ended_a_lost_one_never_becomes_a_win(tmp_path: Path, name: str) -> None:
    deals = f"Id,LeadId,CreatedDate,CloseDate,{name}\nO1,L1,2025-01-05,2025-02-01,Closed Lost\nO2,L1,2025-01-05,2025-02-01,Closed Won\n"
    read = _guessed(tmp_path, {"leads.csv": LEADS, "deals.csv": deals}).source.tables["deals"]
    assert (read.constants, read.columns["outcome"]) == ({}, name)
    assert read.values == {"outcome": {"Closed Lost": "lost", "Closed Won": "won"}}


def test_what_had_to_be_made_up_is_asked_about(tmp_path: Path) -> None:
    (tmp_path / "leads.csv").write_text(LEADS)
    (tmp_path / "deals.csv").write_text("lead_id,won_date\nL1,2025-02-01\n")
    assert "# Please check: no column says which deals were lost or are open, so every row is taken for a win." in guess(tmp_path).splitlines()
    (tmp_path / "deals.csv").write_text("lead_id,created_at,Stage\nL1,2025-02-01,fini\n")
    lines = guess(tmp_path).splitlines()
    assert '# Please check: no word of "Stage" is taken for a win.' in lines
    assert "# Please check: nothing says when a deal was closed, so the day it was created is taken." in lines


def test_a_flat_table_with_dates_gets_a_configuration_that_extracts_and_says_what_it_lacks(tmp_path: Path) -> None:
    read = _guessed(tmp_path, {"leads.csv": "lead_id,created_at,Converted\n1,2025-01-01,Y\n2,2025-01-02,N\n"})
    assert "Please check: nothing says when a lead became a customer" in (tmp_path / "leadscore.toml").read_text()
    assert (read.source.tables["deals"].where, read.source.tables["leads"].ignore) == ({"Converted": ("Y",)}, ("Converted",))
    with Warehouse.open(str(tmp_path / "w.duckdb")) as warehouse:
        done = load(read, open_source(read.source_location), warehouse, datetime(2025, 6, 1), lambda share, words: None)
    assert [(one.table, one.rows_in, one.clean) for one in done.tables] == [("leads", 2, 2), ("deals", 1, 1)]


@pytest.mark.parametrize(("won", "lost"), [("Y", "N"), ("Yes", "No"), ("1", "0"), ("TRUE", "FALSE")])
def test_yes_and_no_are_known_in_their_usual_forms(tmp_path: Path, won: str, lost: str) -> None:
    read = _guessed(tmp_path, {"leads.csv": f"lead_id,Is Converted\n1,{won}\n2,{lost}\n"})
    assert read.source.tables["deals"].where == {"Is Converted": (won,)}


def test_an_order_of_day_and_month_that_nothing_decides_is_asked_about(tmp_path: Path) -> None:
    (tmp_path / "deals.csv").write_text(DEALS)
    asked = '# Please check: "01/02/2025" of "created_at" is read as %m/%d/%Y, but every date there fits %d/%m/%Y as well.'
    for dates, expected, doubt in (
        (("01/02/2025", "03/04/2025"), "%m/%d/%Y", True),
        (("01/02/2025", "13/04/2025"), "%d/%m/%Y", False),
        (("01/02/2025", "03/14/2025"), "%m/%d/%Y", False),
    ):
        (tmp_path / "leads.csv").write_text("lead_id,created_at\n" + "".join(f"{n},{date}\n" for n, date in enumerate(dates)))
        lines = guess(tmp_path).splitlines()
        assert f'dates = ["{expected}"]' in lines
        assert (asked in lines) is doubt


def test_a_table_that_cannot_be_read_is_told_and_the_others_are_looked_at(tmp_path: Path) -> None:
    for name, content in {"leads.csv": LEADS, "deals.csv": DEALS, "twice.csv": "x,x\n1,2\n"}.items():
        (tmp_path / name).write_text(content)
    assert guess(tmp_path).splitlines()[2].startswith("# Not looked at: twice.csv has two columns 'x', which cannot be told apart: ")
    (tmp_path / "leads.csv").write_text("lead_id,created_at,a,a\nL1,2025-01-01,1,2\n")
    (tmp_path / "deals.csv").unlink()
    with pytest.raises(Problem, match=r"^No table looks like leads: .* Not looked at: leads\.csv has two columns 'a'"):
        guess(tmp_path)


@pytest.mark.parametrize(
    ("date", "form"),
    [
        ("2025-01-31", None),
        ("2025-01-31 17:45:00", None),
        ("31-01-2025", "%d-%m-%Y"),
        ("31-01-2025 17:45", "%d-%m-%Y %H:%M"),
        ("31.01.2025", "%d.%m.%Y"),
        ("01/31/2025", "%m/%d/%Y"),
        ("01/31/2025 17:45", "%m/%d/%Y %H:%M"),
        ("31/01/2025", "%d/%m/%Y"),
        ("31/01/2025 17:45", "%d/%m/%Y %H:%M"),
        ("05-Mar-2025", "%d-%b-%Y"),
        ("5 March 2025", "%d %B %Y"),
        ("Mar 5, 2025", "%b %d, %Y"),
        ("01/31/25 5:45 PM", "%m/%d/%y %I:%M %p"),
        ("31.01.2025 17:45:10", "%d.%m.%Y %H:%M:%S"),
    ],
)
def test_date_formats_are_recognised(tmp_path: Path, date: str, form: str | None) -> None:
    read = _guessed(tmp_path, {"leads.csv": f'lead_id,created_at\nL1,"{date}"\nL2,"{date}"\n', "deals.csv": DEALS})
    assert read.source.tables["leads"].dates == ((form,) if form else ())
    assert read.source.tables["leads"].clocks == {}


def test_a_flat_table_without_dates_gets_an_order_for_a_clock(tmp_path: Path) -> None:
    read = _guessed(tmp_path, {"Leads.csv": "Prospect ID,Lead Number,Lead Origin,Converted\na,100,web,0\nb,300,Select,1\nc,200,ads,1\n"})
    leads, deals = read.source.tables["leads"], read.source.tables["deals"]
    assert (leads.columns, leads.ignore, leads.missing) == ({"lead_id": "Prospect ID"}, ("Converted",), ("Select",))
    assert (leads.fixed_at_creation, leads.attributes) == (("Lead Origin",), True)
    assert (deals.columns, deals.constants) == ({"deal_id": "Prospect ID", "lead_id": "Prospect ID"}, {"outcome": "won"})
    assert (deals.where, deals.attributes) == ({"Converted": ("1",)}, False)
    assert {name: (clock.column, clock.plus_days) for name, clock in leads.clocks.items()} == {"created_at": ("Lead Number", 0)}
    assert {name: (clock.column, clock.plus_days) for name, clock in deals.clocks.items()} == {
        "created_at": ("Lead Number", 14),
        "closed_at": ("Lead Number", 14),
    }
    # A lead that is scored once, on its first night, and never again.
    assert (read.outcome.horizon_days, read.outcome.settle_days, read.outcome.max_age_days) == (30, 0, 7)


def test_deals_beside_their_lead_are_kept_out_of_what_is_known_of_it(tmp_path: Path) -> None:
    row = "opportunity_id,engage_date,deal_stage,close_date,close_value,product\n1,2025-01-01,Won,2025-02-01,100,box\n2,2025-01-02,Engaging,,,box\n"
    tables = _guessed(tmp_path, {"sales_pipeline.csv": row}).source.tables
    assert tables["leads"].table == tables["deals"].table == "sales_pipeline.csv"
    assert tables["leads"].ignore == ("close_date", "close_value", "deal_stage")
    assert not tables["deals"].attributes
    assert tables["deals"].columns["deal_id"] == tables["deals"].columns["lead_id"] == "opportunity_id"


def test_databases_are_looked_at_like_folders(tmp_path: Path) -> None:
    places: list[tuple[str, Any]] = [("crm.duckdb", duckdb.connect), ("crm.sqlite", sqlite3.connect)]
    for name, connect in places:
        connection = connect(str(tmp_path / name))
        connection.execute("CREATE TABLE contacts (lead_id VARCHAR, created_at VARCHAR)")
        connection.execute("INSERT INTO contacts VALUES ('L1', '2025-01-01'), ('L2', '2025-01-02')")
        connection.execute("CREATE TABLE deals (lead_id VARCHAR, won_date VARCHAR)")
        connection.execute("INSERT INTO deals VALUES ('L1', '2025-02-01')")
        connection.commit()
        connection.close()
        read = _read_back(tmp_path, guess(tmp_path / name))
        assert read.source.location == str(tmp_path / name)
        assert read.source.tables["leads"] == SourceTable(table="contacts")
        # A table of wins alone: a deal is born won.
        won = {"deal_id": "lead_id", "created_at": "won_date", "closed_at": "won_date"}
        assert read.source.tables["deals"] == SourceTable(table="deals", columns=won, constants={"outcome": "won"})


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=NAMES | st.sampled_from(['a "b"\n[c]', "'''", '"""', "\\", "# no", "a = 1\n[source]", "\u0085\x7f", "{{x}}", "\U0001f600", "\U000e0001"]))
def test_whatever_a_column_is_called_the_text_is_toml_and_says_it(tmp_path: Path, name: str) -> None:
    for steady in (f"source {name}", f"{name} source"):
        text = io.StringIO(newline="")
        csv.writer(text, quoting=csv.QUOTE_ALL).writerows(
            [("lead_id", "created_at", steady), ("L1", "2025-01-01", "N/A"), ("L2", "2025-01-02", "web")]
        )
        place = tmp_path / "crm"
        place.mkdir(exist_ok=True)
        (place / "leads.csv").write_bytes(text.getvalue().encode())
        (place / "deals.csv").write_text(DEALS)
        written = guess(place)
        assert tomllib.loads(written)["source"]["tables"]["leads"]["fixed_at_creation"] == [steady]
        assert _read_back(tmp_path, written).source.tables["leads"].missing == ("N/A",)


def test_a_hostile_name_that_matters_is_mapped(tmp_path: Path) -> None:
    read = _guessed(tmp_path, {'my "leads" \\.csv': "  LEAD ID \t,Created At\nL1,2025-01-01\nL2,2025-01-02\n", "deals.csv": DEALS})
    assert read.source.tables["leads"].table == 'my "leads" \\.csv'
    assert read.source.tables["leads"].columns == {"lead_id": "  LEAD ID \t", "created_at": "Created At"}
    read = _guessed(tmp_path / "other", {"leads.csv": "lead_id,created_at,Sales Agent\nL1,2025-01-01,ann\n", "deals.csv": DEALS})
    assert read.source.tables["leads"].columns == {"owner_id": "Sales Agent"}
    # Row numbers that pandas wrote are nobody's field.
    read = _guessed(tmp_path / "pandas", {"leads.csv": ",lead_id,created_at\n0,L1,2025-01-01\n1,L2,2025-01-02\n", "deals.csv": DEALS})
    assert read.source.tables["leads"].columns == {}


def test_every_guess_says_what_to_do_with_it(tmp_path: Path) -> None:
    for name, content in {"leads.csv": LEADS, "deals.csv": DEALS}.items():
        (tmp_path / name).write_text(content)
    lines = guess(tmp_path).splitlines()
    assert lines[0].startswith("# Written by `leadscore init`")
    assert lines[0].endswith("Correct what is guessed wrong, then run `leadscore check`.")
    assert sum(line.startswith("#") for line in lines) >= 4


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({}, "^No table looks like leads: "),
        (
            {"pets.csv": "name,kind\nrex,dog\n", "leads.csv": "", "one.csv": "lead_id\n1\n", "broken.parquet": "PAR1"},
            "^No table looks like leads",
        ),
        (
            {"leads.csv": "lead_id,colour\na,red\nb,blue\n"},
            r"^leads\.csv looks like leads but has neither a creation date nor a number that rises\.$",
        ),
        (
            {"leads.csv": LEADS},
            r"^Nothing says which leads of leads\.csv became customers: a table of deals is needed, or a column such as 'Converted'\.$",
        ),
    ],
)
def test_nothing_that_looks_like_leads_and_their_fate_is_a_problem(tmp_path: Path, files: Files, sentence: str) -> None:
    with pytest.raises(Problem, match=sentence):
        _guessed(tmp_path, files)


def test_a_place_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="there is nothing there"):
        guess(tmp_path / "gone")


def test_people_are_known_by_name_and_never_learned_from(tmp_path: Path) -> None:
    leads = (
        "Contact ID,Created,First Name,Last Name,Company Name,E-Mail,Mobile Phone,Street Address,Lead Source,Product Name\n"
        "C1,2025-01-02,Eva,Rossi,Delta,e@d.it,1,Via 1,web,Pro\nC2,2025-01-03,Bo,Li,Acme,b@a.cn,2,Rd 2,ads,Lite\n"
    )
    read = _guessed(tmp_path, {"contacts.csv": leads, "deals.csv": DEALS.replace("L1", "C1")}).source.tables["leads"]
    mapped = {"name": ("First Name", "Last Name"), "company": "Company Name", "account_id": "Company Name", "email": "E-Mail"}
    assert {ours: theirs for ours, theirs in read.columns.items() if ours in mapped} == mapped
    assert read.ignore == ("Mobile Phone", "Street Address")
    assert read.fixed_at_creation == ("Lead Source", "Product Name")


def test_german_tables_are_recognised(tmp_path: Path) -> None:
    kontakte = "Kontakt-Nr;Angelegt am;Name;Firma;Quelle\nK1;02.01.2025;Eva Maier;Delta;Messe\nK2;13.01.2025;Bo Li;Acme;Web\n"
    chancen = (
        "Nr;Kontakt-Nr;Erstellt am;Abschlussdatum;Betrag;Ergebnis\n1;K1;13.01.2025;28.02.2025;6.600,50;gewonnen\n2;K2;14.01.2025;;1.200,00;offen\n"
    )
    tables = _guessed(tmp_path, {"kontakte.csv": kontakte, "chancen.csv": chancen}).source.tables
    assert (tables["leads"].table, tables["deals"].table, tables["deals"].decimal) == ("kontakte.csv", "chancen.csv", ",")
    assert tables["leads"].columns == {
        "lead_id": "Kontakt-Nr",
        "created_at": "Angelegt am",
        "name": "Name",
        "account_id": "Firma",
        "company": "Firma",
    }
    assert tables["deals"].columns == {
        "deal_id": "Nr",
        "lead_id": "Kontakt-Nr",
        "created_at": "Erstellt am",
        "closed_at": "Abschlussdatum",
        "amount": "Betrag",
        "outcome": "Ergebnis",
    }


@pytest.mark.parametrize(
    ("amounts", "decimal", "doubted"),
    [
        (("6.600,50", "12,00"), ",", False),
        (("6,600.50", "12.00"), ".", False),
        (("6600", "12"), ".", False),
        (("6.600", "12.000"), ",", True),
        (("6.600", "12.5"), ".", False),
        (("$6,600", "$12"), ".", False),
    ],
)
def test_amounts_tell_which_sign_stands_before_their_decimals(tmp_path: Path, amounts: tuple[str, str], decimal: str, doubted: bool) -> None:
    rows = [f'D{n},L{n},2025-01-05,won,2025-02-01,"{amount}"' for n, amount in enumerate(amounts, start=1)]
    (tmp_path / "leads.csv").write_text(LEADS)
    (tmp_path / "deals.csv").write_text("\n".join(["deal_id,lead_id,created_at,outcome,closed_at,amount", *rows]))
    text = guess(tmp_path)
    assert tomllib.loads(text)["source"]["tables"]["deals"].get("decimal", ".") == decimal
    assert ("is read as thousands, not as decimals." in text) is doubted


def test_tables_that_are_not_recognised_are_written_down_to_be_named_by_hand(tmp_path: Path) -> None:
    (tmp_path / "personas.csv").write_text("clave,alta,ciudad\nP1,2025-01-02,Lima\n")
    with pytest.raises(Unrecognised, match=r"^No table looks like leads: one is needed with an id per row and a date") as said:
        guess(tmp_path)
    assert "#     personas.csv: clave, alta, ciudad" in said.value.text.splitlines()
    (tmp_path / "leadscore.toml").write_text(said.value.text)
    read = read_settings(tmp_path / "leadscore.toml")
    assert set(read.source.tables) == {"leads", "deals"}
    assert check(read, datetime(2026, 1, 1))[0] == f"There is no table ? in {tmp_path}, only personas.csv: correct its `table` in leadscore.toml."
