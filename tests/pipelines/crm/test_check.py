"""What is wrong with a configuration is said in words, table by table, before anything is read or written."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from pipelines.crm.check import check
from pipelines.settings import Settings

NOW = datetime(2025, 6, 1)
GOOD: dict[str, dict[str, Any]] = {"leads": {"table": "leads.csv"}, "deals": {"table": "deals.csv"}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "leads.csv").write_text("lead_id,created_at,source,changed\nL1,2025-01-01,web,2025-01-02\n")
    (tmp_path / "deals.csv").write_text("deal_id,lead_id,created_at,outcome,closed_at\nD1,L1,2025-01-05,won,2025-02-01\n")
    return tmp_path


def _said(folder: Path, tables: dict[str, Any] = GOOD, location: str = ".", **rest: Any) -> list[str]:
    return check(Settings(source={"location": location, "tables": tables}, folder=folder, **rest), NOW)  # type: ignore[arg-type]


def _leads(**spec: Any) -> dict[str, Any]:
    return {**GOOD, "leads": {"table": "leads.csv", **spec}}


def test_nothing_is_said_of_a_configuration_that_can_run_and_nothing_is_written(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert _said(folder, _leads(fixed_at_creation=["source"], cursor="changed", columns={"name": "source"})) == []
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("location", "start"),
    [
        ("gone", "[source] location is "),
        ("leads.csv", "[source] location is "),
        ("env:LEADSCORE_NOT_SET_ANYWHERE", "[source] location names the environment variable LEADSCORE_NOT_SET_ANYWHERE, which is not set"),
        # Nobody listens on port 1.
        ("postgresql+psycopg://ann:s3cret@127.0.0.1:1/crm", "The database of [source] location cannot be reached (OperationalError)"),
    ],
)
def test_a_place_that_cannot_be_read_is_all_there_is_to_say(folder: Path, location: str, start: str) -> None:
    (said,) = _said(folder, location=location)
    assert said.startswith(start)
    assert "s3cret" not in said


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"fixed_at_creation": ["source", "origin"]}, "leads: fixed_at_creation names 'origin', which leads.csv does not have."),
        ({"cursor": "updated_at"}, "leads: the cursor 'updated_at' is no column of leads.csv."),
        (
            {"columns": {"naem": "source"}},
            "leads: columns names 'naem', which is no column of ours; "
            "it has lead_id, created_at, known_at, account_id, owner_id, email, name, company, "
            "status, unsubscribed, do_not_contact, merged_into, merged_at.",
        ),
        ({"ignore": ["geheim"]}, "leads: ignore names 'geheim', which leads.csv does not have."),
        *(
            (
                {key: {"naem": value}},
                f"leads: {key} names 'naem', which is no column of ours; "
                "it has lead_id, created_at, known_at, account_id, owner_id, email, name, company, "
                "status, unsubscribed, do_not_contact, merged_into, merged_at.",
            )
            for key, value in {
                "values": {"a": "b"},
                "constants": "b",
                "clocks": {"column": "changed", "first": "2025-01-01", "last": "2025-02-01"},
            }.items()
        ),
        (
            {"dates": ["%Q"]},
            "[source.tables.leads] dates names '%Q', which is no date format: write one such as '%d.%m.%Y %H:%M' in leadscore.toml.",
        ),
        (
            {"columns": {"name": "Name"}},
            "leads.csv has no column 'Name', which [source.tables.leads] names: it has lead_id, created_at, source, changed. Correct leadscore.toml.",
        ),
        (
            {"ignore": ["created_at"]},
            "leads.csv has no column 'created_at': write which of its columns that is, "
            'as columns = { created_at = "..." } under [source.tables.leads] in leadscore.toml.',
        ),
    ],
)
def test_a_word_that_means_nothing_is_named_with_its_place(folder: Path, spec: dict[str, Any], sentence: str) -> None:
    assert _said(folder, _leads(**spec)) == [sentence]


def test_everything_is_said_at_once_in_the_order_of_the_file(folder: Path) -> None:
    tables = {"activities": {"table": "mails.csv"}, "deals": {"table": "leads.csv"}, **_leads(cursor="nope", fixed_at_creation=["never"])}
    said = _said(folder, tables, outcome={"horizon_days": 5, "settle_days": 6})
    assert [line.split(" ")[:4] for line in said] == [
        ["There", "is", "no", "table"],
        ["leads:", "fixed_at_creation", "names", "'never',"],
        ["leads:", "the", "cursor", "'nope'"],
        ["[outcome]", "settle_days", "is", "longer"],
    ]
    assert said[0] == f"There is no table mails.csv in {folder}, only deals.csv, leads.csv: correct its `table` in leadscore.toml."
    # Two tables in one file: the deals lack what only they need.
    tables = {**_leads(), "deals": {"table": "leads.csv"}}
    assert [line.split(":")[0] for line in _said(folder, tables)] == ["leads.csv has no column 'deal_id'"]


def test_an_encoding_that_does_not_exist_is_all_there_is_to_say(folder: Path) -> None:
    source = {"location": ".", "tables": GOOD, "encoding": "klingon"}
    assert check(Settings(source=source, folder=folder), NOW) == [  # type: ignore[arg-type]
        "[source] encoding is 'klingon', which is no encoding that Python knows: write 'utf-8', 'cp1252' or 'utf-16'."
    ]


def test_a_settle_lag_longer_than_the_horizon_is_asked_about(folder: Path) -> None:
    assert _said(folder, outcome={"horizon_days": 7, "settle_days": 7}) == []
    assert _said(folder, outcome={"horizon_days": 6, "settle_days": 7}) == ["[outcome] settle_days is longer than horizon_days: is that meant?"]


def _deals(folder: Path, amount: str, rows: int) -> None:
    lines = [f"D{n},L1,2025-01-05,won,2025-02-01,{amount if n < 3 else 100}" for n in range(rows)]
    (folder / "deals.csv").write_text("\n".join(["deal_id,lead_id,created_at,outcome,closed_at,amount", *lines]))


def test_first_rows_that_would_be_refused_are_shown_with_their_reason(folder: Path) -> None:
    _deals(folder, '"6.600,00"', rows=29)
    assert _said(folder) == [
        "Of the first rows of deals: 3 rows were refused because amount is not a value that is understood, such as '6.600,00' (row 2)."
    ]
    deals = {"table": "deals.csv", "decimal": ","}
    assert _said(folder, {**GOOD, "deals": deals}) == []
    # One row in ten is every CRM's.
    _deals(folder, "none", rows=30)
    assert _said(folder) == []


def test_a_word_that_is_no_outcome_is_shown(folder: Path) -> None:
    deals = {"table": "deals.csv", "values": {"outcome": {"won": "win"}}}
    assert _said(folder, {**GOOD, "deals": deals}) == [
        "Of the first rows of deals: 1 row was refused because outcome is none of open, won, lost, such as 'win' (row 2)."
    ]


def test_a_product_line_that_deals_do_not_have_is_named(folder: Path) -> None:
    said = _said(folder, outcomes={"cranes": {"deals": {"product": ["crane"]}}, "won": {"kind": "renewal", "customers": {"outcome": ["won"]}}})
    assert said == [
        "[outcomes.cranes] counts deals by 'product', which deals do not have; they have account_id, amount, closed_at, created_at, deal_id, "
        "known_at, lead_id, outcome, stage."
    ]


def test_accounts_are_scored_only_where_leads_have_one(folder: Path) -> None:
    outcomes = {"firms": {"kind": "churn", "population": "accounts"}}
    assert _said(folder, outcomes=outcomes) == [
        "[outcomes.firms] scores accounts, and leads have no account_id: write which column that is under [source.tables.leads]."
    ]
    assert _said(folder, _leads(columns={"account_id": "source"}), outcomes=outcomes) == []


def test_a_password_of_the_mail_server_that_is_not_there_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAIL_PASSWORD", raising=False)
    mail = {"server": "smtp.company.example", "sender": "leads@company.example", "user": "leads", "password": "env:MAIL_PASSWORD"}
    said = ["[delivery.mail] password names the environment variable MAIL_PASSWORD, which is not set: export it and run again."]
    assert _said(folder, delivery={"mail": mail}) == said
    monkeypatch.setenv("MAIL_PASSWORD", "hunter2")
    assert _said(folder, delivery={"mail": mail}) == []


def test_a_schedule_at_another_hour_than_the_night_is_said(folder: Path) -> None:
    (folder / "prefect.yaml").write_text((Path(__file__).parents[3] / "prefect.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    assert _said(folder, list={"hour": 2}) == []
    (said,) = _said(folder, list={"hour": 5})
    assert said.startswith("prefect.yaml starts its nights at 02:00 UTC, leadscore.toml at 05:00 UTC: one of them is wrong.")
