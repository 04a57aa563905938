"""Whatever the tables lie in, they are read as the same texts."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import traceback
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from features.problem import Problem
from pipelines.crm.base import CrmSource, Reject, Unreachable
from pipelines.crm.tables import open_source


def _read(source: CrmSource, table: str, cursor: str | None = None, since: datetime | None = None) -> tuple[list[dict[str, Any]], list[Reject]]:
    rows: list[dict[str, Any]] = []
    rejects: list[Reject] = []
    for piece, unread in source.pieces(table, cursor, since):
        rows += piece.to_pylist()
        rejects += unread
    return rows, rejects


@pytest.fixture
def places(tmp_path: Path) -> list[tuple[CrmSource, str]]:
    """The same table in a Parquet file, a DuckDB file, a SQLite file, and behind a URL."""
    moments = pd.to_datetime(["2025-01-02 03:04:05", None, "2024-12-31 00:00:00"])
    frame = pd.DataFrame({"lead_id": ["L1", "L2", None], "size": [1.5, None, 2.0], "since": moments})
    frame.to_parquet(tmp_path / "leads.parquet")
    with duckdb.connect(str(tmp_path / "crm.duckdb")) as duck:
        duck.register("frame", frame)
        duck.execute("CREATE TABLE leads AS SELECT * FROM frame")
    light = sqlite3.connect(tmp_path / "crm.sqlite")
    light.execute("CREATE TABLE leads (lead_id TEXT, size REAL, since TIMESTAMP)")
    light.executemany(
        "INSERT INTO leads VALUES (?, ?, ?)", [("L1", 1.5, "2025-01-02 03:04:05"), ("L2", None, None), (None, 2.0, "2024-12-31 00:00:00")]
    )
    light.commit()
    light.close()
    files = [(tmp_path, "leads.parquet"), (tmp_path / "crm.duckdb", "leads"), (tmp_path / "crm.sqlite", "leads")]
    return [*((open_source(str(place)), table) for place, table in files), (open_source(f"sqlite:///{tmp_path / 'crm.sqlite'}"), "leads")]


def test_files_and_databases_say_the_same(places: list[tuple[CrmSource, str]]) -> None:
    for source, table in places:
        assert source.columns(table) == ["lead_id", "size", "since"]
        rows, rejects = _read(source, table)
        assert [(row["row"], row["lead_id"], row["size"]) for row in rows] == [(1, "L1", "1.5"), (2, "L2", None), (3, None, "2.0")]
        assert [row["since"] for row in rows] == ["2025-01-02 03:04:05", None, "2024-12-31 00:00:00"]
        assert rejects == []


def test_a_database_leaves_behind_what_its_cursor_says_is_older(places: list[tuple[CrmSource, str]]) -> None:
    expected = {datetime(2024, 1, 1): ["L1", "L2", None], datetime(2025, 1, 1): ["L1", "L2"], datetime(2025, 1, 3): ["L2"]}
    for source, table in places:
        for since, leads in expected.items():
            assert [row["lead_id"] for row in _read(source, table, "since", since)[0]] == leads


def test_what_is_read_keeps_the_number_it_has_in_the_file(places: list[tuple[CrmSource, str]]) -> None:
    for source, table in places[:2]:
        assert [row["row"] for row in _read(source, table, "since", datetime(2025, 1, 3))[0]] == [2]


def test_a_cursor_that_is_no_column_is_said_with_its_table(tmp_path: Path, places: list[tuple[CrmSource, str]]) -> None:
    (tmp_path / "leads.csv").write_text("lead_id,size,since\nL1,1,2025-01-01\n")
    for source, table in [*places, (open_source(str(tmp_path)), "leads.csv")]:
        with pytest.raises(Problem) as said:
            _read(source, table, "changed", datetime(2025, 1, 1))
        assert str(said.value) == f"{table} has no column 'changed', which its `cursor` names: it has lead_id, size, since. Correct leadscore.toml."


def test_a_hostile_table_name_is_a_name(tmp_path: Path) -> None:
    hostile = 'leads"; DROP TABLE deals; --'
    for name, connect in (("crm.duckdb", duckdb.connect), ("crm.sqlite", sqlite3.connect)):
        connection: Any = connect(str(tmp_path / name))
        connection.execute(f'CREATE TABLE "{hostile.replace(chr(34), chr(34) * 2)}" ("a""b" VARCHAR)')
        connection.execute("CREATE TABLE deals (x VARCHAR)")
        connection.execute(f'INSERT INTO "{hostile.replace(chr(34), chr(34) * 2)}" VALUES (?)', ["1"])
        connection.commit()
        connection.close()
        source = open_source(str(tmp_path / name))
        assert source.tables() == ["deals", hostile]
        assert source.columns(hostile) == ['a"b']
        assert _read(source, hostile)[0] == [{"row": 1, 'a"b': "1"}]


def test_what_is_not_there_is_said_with_what_is(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"^There is no table leads\.csv in .*, only no CSV or Parquet file: correct its `table` in leadscore\.toml\.$"):
        open_source(str(tmp_path)).columns("leads.csv")
    (tmp_path / "Leads.csv").touch()
    (tmp_path / "notes.docx").touch()
    duckdb.connect(str(tmp_path / "crm.duckdb")).execute("CREATE TABLE kontakte (x INT)").close()
    light = sqlite3.connect(tmp_path / "crm.db")
    light.execute("CREATE TABLE kontakte (x INT)")
    light.close()
    for place, there in (("", r"Leads\.csv"), ("crm.duckdb", "kontakte"), ("crm.db", "kontakte")):
        source = open_source(str(tmp_path / place))
        for read in (source.columns, lambda table, source=source: list(source.pieces(table))):
            with pytest.raises(Problem, match=rf"^There is no table leads in .*, only {there}: correct its `table`"):
                read("leads")


def test_a_file_that_is_not_what_it_claims_is_said(tmp_path: Path) -> None:
    (tmp_path / "leads.parquet").write_bytes(b"PAR1 but not really")
    source = open_source(str(tmp_path))
    for read in (source.columns, lambda table: list(source.pieces(table))):
        with pytest.raises(Problem, match=r"leads\.parquet is no Parquet file that can be read \(.*\): export it again\.$"):
            read("leads.parquet")


def test_a_parquet_file_that_is_damaged_in_the_middle_is_said(tmp_path: Path) -> None:
    pd.DataFrame({"lead_id": [f"lead {n}" for n in range(1_000)]}).to_parquet(tmp_path / "leads.parquet", compression=None)
    content = (tmp_path / "leads.parquet").read_bytes()
    (tmp_path / "leads.parquet").write_bytes(content[:4] + b"\xff" * 200 + content[204:])
    source = open_source(str(tmp_path))
    assert source.columns("leads.parquet") == ["lead_id"]
    with pytest.raises(Problem, match=r"^leads\.parquet cannot be read to its end \(.*\): export it again\.$"):
        list(source.pieces("leads.parquet"))


def test_a_database_that_fails_while_it_is_read_is_said(tmp_path: Path) -> None:
    light = sqlite3.connect(tmp_path / "crm.sqlite")
    light.execute("CREATE TABLE leads (lead_id TEXT)")
    light.execute("INSERT INTO leads VALUES (CAST(x'FF80' AS TEXT))")
    light.commit()
    light.close()
    with pytest.raises(Problem, match=r"^leads cannot be read to its end \(.*UTF-8.*\), 0 rows having come: see whether the database answers"):
        list(open_source(str(tmp_path / "crm.sqlite")).pieces("leads"))


@pytest.mark.parametrize(("name", "kind"), [("crm.duckdb", "DuckDB"), ("crm.sqlite", "SQLite"), ("crm.db", "SQLite"), ("CRM.DB", "SQLite")])
def test_a_file_that_is_no_database_is_said(tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / name).write_bytes(b"not a database" * 100)
    with pytest.raises(Problem, match=rf"^\[source\] location is {tmp_path / name}, which is no {kind} file that can be read"):
        open_source(str(tmp_path / name))


def test_a_database_that_another_process_holds_is_said(tmp_path: Path) -> None:
    hold = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    place = tmp_path / "crm.duckdb"
    with subprocess.Popen([sys.executable, "-c", hold, str(place)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        with pytest.raises(Unreachable) as said:
            open_source(str(place))
        other.communicate()
    assert str(said.value) == f"Another process works on {place}, the [source] location: wait until it is done, or read a copy."


def test_a_sqlite_file_that_another_process_holds_is_said_at_every_step(tmp_path: Path) -> None:
    place = tmp_path / "crm.sqlite"
    with closing(sqlite3.connect(place)) as writer:
        writer.execute("CREATE TABLE leads (lead_id TEXT)")
        writer.commit()
        source = open_source(f"sqlite:///{place}?timeout=0.05")
        writer.execute("BEGIN EXCLUSIVE")
        for read in (source.tables, lambda: source.columns("leads"), lambda: list(source.pieces("leads"))):
            with pytest.raises(
                Unreachable, match=r"cannot be read to its end \(database is locked\), 0 rows having come: see whether the database answers"
            ):
                read()
        with pytest.raises(Unreachable) as said:
            open_source(f"sqlite:///{place}?timeout=0.05")
        assert str(said.value) == f"Another process holds {place}, the [source] location: wait until it is done, or read a copy."
        writer.rollback()
        assert list(source.pieces("leads")) == []


def test_a_view_is_a_table_and_another_schema_is_not(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "crm.duckdb")) as duck:
        duck.execute("CREATE TABLE leads (x INT); CREATE VIEW v AS FROM leads; CREATE SCHEMA s; CREATE TABLE s.other (x INT)")
        duck.execute("CREATE TABLE gone (x INT); CREATE VIEW broken AS FROM gone; DROP TABLE gone; INSERT INTO leads VALUES (7)")
    source = open_source(str(tmp_path / "crm.duckdb"))
    assert source.tables() == ["broken", "leads", "v"]
    assert _read(source, "v") == ([{"row": 1, "x": "7"}], [])
    with pytest.raises(Problem, match=r"^broken of .*crm\.duckdb cannot be read \(.*\): correct the view, or its `table` in leadscore\.toml\.$"):
        source.columns("broken")


def test_parquet_is_parquet_in_capitals_too(tmp_path: Path) -> None:
    pd.DataFrame({"lead_id": ["L1"]}).to_parquet(tmp_path / "leads.PARQUET")
    source = open_source(str(tmp_path))
    assert source.columns("leads.PARQUET") == ["lead_id"]
    assert _read(source, "leads.PARQUET") == ([{"row": 1, "lead_id": "L1"}], [])


def test_a_sqlite_url_that_names_nothing_is_said_and_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(Problem) as said:
        open_source(f"sqlite:///{tmp_path / 'gone.sqlite'}")
    assert str(said.value) == f"[source] location is a SQLite URL, and there is no file {tmp_path / 'gone.sqlite'}: correct it in leadscore.toml."
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "sentence"), [("gone", "there is nothing there"), ("crm.xlsx", r"which is no folder, \.duckdb or \.sqlite file")])
def test_a_place_that_is_no_source_is_said(tmp_path: Path, name: str, sentence: str) -> None:
    (tmp_path / "crm.xlsx").touch()
    with pytest.raises(Problem, match=rf"^\[source\] location is .*{name}, .*{sentence}.*: correct it in leadscore\.toml\.$"):
        open_source(str(tmp_path / name))


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        # Nobody listens on port 1.
        ("postgresql+psycopg://ann:s3cret@127.0.0.1:1/crm", "OperationalError"),
        # As PostgreSQL itself writes it: our driver is taken, and not one that nobody has.
        ("postgresql://ann:s3cret@127.0.0.1:1/crm", "OperationalError"),
        ("postgres://ann:s3cret@127.0.0.1:1/crm", "OperationalError"),
        ("klingon://ann:s3cret@127.0.0.1/crm", "NoSuchModuleError"),
        ("mssql+pymssql://ann:s3cret@127.0.0.1/crm", "ModuleNotFoundError"),
        ("://s3cret", "ArgumentError"),
        ("postgresql+psycopg://ann:s3cret@127.0.0.1:port/crm", "ValueError"),
    ],
)
def test_a_database_that_cannot_be_reached_is_said_without_its_password(url: str, kind: str) -> None:
    with pytest.raises(Problem) as said:
        open_source(url)
    assert "s3cret" not in "".join(traceback.format_exception(said.value))
    assert str(said.value) == f"The database of [source] location cannot be reached ({kind}): check its URL, driver and password."
