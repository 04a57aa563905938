"""Every row read ends in exactly one place, whatever is in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.problem import Problem
from pipelines.crm.load import Load, load
from pipelines.crm.tables import open_source
from pipelines.settings import Settings
from pipelines.warehouse import Warehouse

NOW = datetime(2025, 6, 1)
LEADS = "lead_id,created_at,source\nL1,2025-01-01,web\nL2,2025-01-02 10:00:00,ads\n"
DEALS = "deal_id,lead_id,created_at,outcome,closed_at,amount\nD1,L1,2025-01-05,won,2025-02-01,100\n"
Files = dict[str, str | bytes]


def _settings(folder: Path, **tables: Any) -> Settings:
    files = {file.stem: {"table": file.name} for file in sorted(folder.glob("*.csv"))}
    merged = {name: {**files.get(name, {}), **tables.get(name, {})} for name in {**files, **tables}}
    return Settings(source={"location": str(folder), "tables": merged}, folder=folder)  # type: ignore[arg-type]


def _write(folder: Path, files: Files) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


def _loaded(folder: Path, warehouse: Warehouse, now: datetime = NOW, **tables: Any) -> Load:
    configured = _settings(folder, **tables)
    return load(configured, open_source(configured.source_location), warehouse, now, lambda share, words: None)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., tuple[Load, dict[str, pd.DataFrame]]]:
    """Load some files into a fresh warehouse; the counts, and the tables as they then stand."""

    def go(files: Files, **tables: Any) -> tuple[Load, dict[str, pd.DataFrame]]:
        folder = tmp_path / "crm"
        _write(folder, {"leads.csv": LEADS, "deals.csv": DEALS, **files})
        with Warehouse.open(str(tmp_path / "w.duckdb")) as warehouse:
            done = _loaded(folder, warehouse, **tables)
            names = ["quarantine", *(table.table for table in done.tables)]
            return done, {name: warehouse.raw.execute(f"SELECT * FROM {name}").df() for name in names}

    return go


def _refused(tables: dict[str, pd.DataFrame]) -> list[tuple[str, int, str, str]]:
    rows = tables["quarantine"]
    return list(zip(rows["table_name"], rows["row"], rows["column_name"].fillna(""), rows["reason"], strict=True))


GOOD = "A1,L1,open,2025-01-03,1.5\n"
CASES = [
    (
        "activities",
        "activity_id,lead_id,kind,occurred_at,value\n" + GOOD + "A2,L1,open,31/31/2025,1\n",
        "occurred_at",
        "is not a date that is understood",
    ),
    ("activities", "activity_id,lead_id,kind,occurred_at,value\n" + GOOD + "A2,L1,open,2026-01-01,1\n", "occurred_at", "lies in the future"),
    (
        "activities",
        "activity_id,lead_id,kind,occurred_at,value\n" + GOOD + "A2,L1,open,2024-12-01,1\n",
        "occurred_at",
        "lies before its lead was created",
    ),
    (
        "activities",
        "activity_id,lead_id,kind,occurred_at,value\n" + GOOD + "A2,L9,open,2025-01-03,1\n",
        "lead_id",
        "names a lead that is not in leads",
    ),
    ("activities", "activity_id,lead_id,kind,occurred_at,value\n" + GOOD + "A2,,open,2025-01-03,1\n", "lead_id", "is missing"),
    ("activities", "activity_id,lead_id,kind,occurred_at,value\n" + GOOD + "A2,L1,open,2025-01-03,nan\n", "value", "is not a finite number"),
    ("activities", "activity_id,lead_id,kind,occurred_at,value\n" + GOOD + "A2,L1,open,2025-01-03,-inf\n", "value", "is not a finite number"),
    (
        "activities",
        "activity_id,lead_id,kind,occurred_at,value\n" + GOOD + "A2,L1,open,2025-01-03,much\n",
        "value",
        "is not a value that is understood",
    ),
    ("activities", "activity_id,lead_id,kind,occurred_at,value\n" + GOOD + "A2,L1,op\0en,2025-01-03,1\n", "kind", "holds a NUL byte"),
    ("activities", "activity_id,lead_id,kind,occurred_at,value\n" + GOOD + "A2,L1,open\n", "", "has 3 cells where the header has 5"),
    ("deals", DEALS + "D2,L2,2025-01-05,won,,100\n", "closed_at", "is missing although the deal is closed"),
    ("deals", DEALS + "D2,L2,2025-01-05,won,2025-01-09,-1\n", "amount", "is negative"),
    ("deals", DEALS + "D2,L2,2025-01-05,maybe,2025-01-09,1\n", "outcome", "is none of open, won, lost"),
    ("deals", DEALS + "D2,L2,2025-01-05,lost,2025-01-04,1\n", "closed_at", "lies before the deal was created"),
    ("deals", DEALS + "D2,L9,2025-01-05,open,,\n", "lead_id", "names a lead that is not in leads"),
    ("leads", LEADS + "L3,,web\n", "created_at", "is missing"),
    ("leads", LEADS + ",2025-01-01,web\n", "lead_id", "is missing"),
]


@pytest.mark.parametrize(("table", "content", "column", "reason"), CASES, ids=[f"{table}.{column} {reason}" for table, _, column, reason in CASES])
def test_a_malformed_row_is_refused_with_its_reason(run: Any, table: str, content: str, column: str, reason: str) -> None:
    done, tables = run({f"{table}.csv": content})
    rows = len(content.splitlines()) - 1
    # Rows are numbered as a spreadsheet shows them: the header is row 1.
    assert _refused(tables) == [(table, rows + 1, column, reason)]
    counts = next(one for one in done.tables if one.table == table)
    assert (counts.rows_in, counts.clean, counts.quarantined, counts.superseded) == (rows, rows - 1, 1, 0)


def test_a_50_mb_cell_is_refused_and_its_neighbours_stay(run: Any) -> None:
    _, tables = run({"leads.csv": LEADS + "L3,2025-01-03," + "x" * 50_000_000 + "\nL4,2025-01-04,web\n"})
    assert _refused(tables) == [("leads", 4, "source", "is longer than 100,000 characters")]
    assert sorted(tables["leads"]["lead_id"]) == ["L1", "L2", "L4"]
    assert tables["quarantine"]["value"].str.len().max() <= 200


def test_a_quote_that_is_never_closed_is_refused_with_what_it_swallows(run: Any) -> None:
    done, tables = run({"leads.csv": LEADS + 'L3,2025-01-03,"oops\n' + "".join(f"L{n},2025-01-03,web\n" for n in range(4, 104))})
    assert _refused(tables) == [("leads", 4, "", "opens a quote that is not closed where a cell ends: it swallows the 100 lines after it")]
    assert (done.tables[0].rows_in, done.tables[0].clean, done.tables[0].quarantined, done.tables[0].superseded) == (3, 2, 1, 0)


@pytest.mark.parametrize(
    ("header", "kept"),
    [("Status", "status"), ("NAME", "name"), ("Company", "company"), ("kept", "kept"), ("two\nlines", "two\nlines"), ("Ort", "Ort")],
)
def test_whatever_a_column_is_called_its_values_are_kept(run: Any, header: str, kept: str) -> None:
    _, tables = run({"leads.csv": f'lead_id,created_at,"{header}"\nL1,2025-01-01,x\nL2,2025-01-01,y\n'})
    assert tables["leads"][kept].tolist() == ["x", "y"]


def test_a_column_without_a_name_is_left_out_and_told(run: Any) -> None:
    done, tables = run({"leads.csv": ",lead_id,created_at\n0,L1,2025-01-01\n1,L2,2025-01-01\n"})
    assert "leads: the columns nameless column 1 of leads.csv are not used." in done.notices
    assert not any("nameless" in column for column in tables["leads"].columns)


@pytest.mark.parametrize(
    ("header", "sentence"), [("row", "a name that leadscore uses itself"), ("x,x", "two columns 'x'"), ("City,city", "'City' and 'city'")]
)
def test_columns_that_cannot_be_told_apart_are_a_red_run(run: Any, header: str, sentence: str) -> None:
    with pytest.raises(Problem, match=sentence):
        run({"leads.csv": f"lead_id,created_at,{header}\n"})


def test_a_cursor_that_is_no_column_is_a_red_run(run: Any) -> None:
    with pytest.raises(Problem, match=r"^leads\.csv has no column 'changed', which its `cursor` names: it has lead_id, created_at, source\."):
        run({}, leads={"cursor": "changed"})


def test_the_newest_of_a_doubled_id_wins(run: Any) -> None:
    done, tables = run(
        {"leads.csv": "lead_id,created_at,known_at,source\nL1,2025-01-01,2025-03-01,new\nL1,2025-01-01,2025-02-01,old\nL2,2025-01-01,,web\n"}
    )
    assert dict(zip(tables["leads"]["lead_id"], tables["leads"]["source"], strict=True)) == {"L1": "new", "L2": "web"}
    assert done.tables[0].superseded == 1


def test_a_line_that_is_not_utf8_is_read_all_the_same(run: Any) -> None:
    _, tables = run({"leads.csv": LEADS.encode() + "L3,2025-01-03,Café\n".encode("cp1252") + "L4,2025-01-03,Café\n".encode()})
    assert tables["leads"]["source"].tolist() == ["web", "ads", "Café", "Café"]


def test_dates_without_a_zone_are_read_in_the_companys(tmp_path: Path) -> None:
    _write(
        tmp_path / "crm",
        {
            "leads.csv": "lead_id,created_at\nL1,2025-07-01 10:00:00\nL2,2025-07-01T10:00:00+05:00\nL3,2025-01-01\n",
            "deals.csv": DEALS.replace("L1", "L3"),
        },
    )
    configured = Settings(**{**_settings(tmp_path / "crm").model_dump(), "company": {"time_zone": "Europe/Berlin"}})
    with Warehouse.open(str(tmp_path / "w.duckdb")) as warehouse:
        load(configured, open_source(configured.source_location), warehouse, datetime(2025, 8, 1), lambda share, words: None)
        told = warehouse.raw.execute("SELECT created_at FROM leads ORDER BY lead_id").df()["created_at"]
    assert [str(one) for one in told] == ["2025-07-01 08:00:00", "2025-07-01 05:00:00", "2024-12-31 23:00:00"]


def test_running_twice_changes_nothing(tmp_path: Path) -> None:
    folder, url = tmp_path / "crm", str(tmp_path / "w.duckdb")
    _write(folder, {"leads.csv": LEADS, "deals.csv": DEALS, "activities.csv": "lead_id,kind,occurred_at\nL1,open,2025-01-03\nL1,open,bad\n"})
    seen = []
    for _ in range(2):
        with Warehouse.open(url) as warehouse:
            done = _loaded(folder, warehouse)
            seen.append(
                [
                    done,
                    *(
                        warehouse.raw.execute(f"SELECT * FROM {name}").fetchall()
                        for name in ("leads", "activities", "deals", "quarantine", "extracts")
                    ),
                ]
            )
    assert seen[0] == seen[1]


def test_an_incremental_read_merges_late_and_changed_rows(tmp_path: Path) -> None:
    folder, url = tmp_path / "crm", str(tmp_path / "w.duckdb")
    head = "lead_id,created_at,updated_at,source\n"
    _write(folder, {"leads.csv": head + "L1,2025-01-01,2025-01-01,web\nL2,2025-02-20,2025-02-20,web\n", "deals.csv": DEALS})
    with Warehouse.open(url) as warehouse:
        _loaded(folder, warehouse, leads={"cursor": "updated_at", "ignore": ["updated_at"]})
    _write(folder, {"leads.csv": head + "L2,2025-02-20,2025-02-28,ads\nL3,2025-02-19,2025-02-19,late\n", "deals.csv": DEALS})
    with Warehouse.open(url) as warehouse:
        done = _loaded(folder, warehouse, leads={"cursor": "updated_at", "ignore": ["updated_at"]})
        told = dict(warehouse.raw.execute("SELECT lead_id, source FROM leads").fetchall())
    assert told == {"L1": "web", "L2": "ads", "L3": "late"}
    assert (done.tables[0].rows_in, done.tables[0].clean) == (2, 2)


def test_an_incremental_read_that_brings_nothing_changes_nothing(tmp_path: Path) -> None:
    folder, cursor = tmp_path / "crm", {"cursor": "updated_at", "ignore": ["updated_at"]}
    head = "deal_id,lead_id,created_at,outcome,closed_at,updated_at\n"
    first = f"{head}D1,L1,2025-01-05,open,,2025-01-05\nD2,L2,2025-05-05,open,,2025-05-05\n"
    _write(folder, {"leads.csv": LEADS, "deals.csv": first})
    with Warehouse.open(str(tmp_path / "w.duckdb")) as warehouse:
        _loaded(folder, warehouse, deals=cursor)
        # The deal that changed last was deleted.
        _write(folder, {"deals.csv": first[: first.index("D2")]})
        done = _loaded(folder, warehouse, deals=cursor)
        assert (done.tables[-1].table, done.tables[-1].rows_in, warehouse.size("deals")) == ("deals", 0, 2)
        _write(folder, {"deals.csv": f"{head}D3,L1,2025-05-06,no word,,2025-05-06\n"})
        with pytest.raises(Problem, match=r"deals.csv gave no usable row for deals \(1 read, 1 refused\)"):
            _loaded(folder, warehouse, deals=cursor)


def test_a_clock_that_was_ahead_is_forgotten_with_the_next_extract(tmp_path: Path) -> None:
    folder, ahead = tmp_path / "crm", datetime(2030, 1, 1)
    head, deeds = "lead_id,created_at,updated_at\nL1,2025-01-01,2025-01-01\n", "lead_id,kind,occurred_at\nL1,open,2025-05-31\nL1,open,2029-01-01\n"
    _write(folder, {"leads.csv": head + "L2,2025-02-01,2029-01-01\n", "deals.csv": DEALS, "activities.csv": deeds})
    cursor = {"cursor": "updated_at", "ignore": ["updated_at"]}
    with Warehouse.open(str(tmp_path / "w.duckdb")) as warehouse:
        _loaded(folder, warehouse, ahead, leads=cursor)
        assert warehouse.extracted_at() == datetime(2029, 1, 1)
        _write(folder, {"leads.csv": head + "L3,2025-05-31,2025-05-31\n"})
        done = _loaded(folder, warehouse, leads=cursor)
        assert (done.extracted_at, warehouse.extracted_at()) == (datetime(2025, 5, 31), datetime(2025, 5, 31))
        assert warehouse.newest_cursor("leads") == NOW
        assert warehouse.extract_counts()["table_name"].tolist() == ["leads", "activities", "deals"]
        assert warehouse.raw.execute("SELECT lead_id FROM leads ORDER BY 1").fetchall() == [("L1",), ("L2",), ("L3",)]


def test_a_table_that_shrank_changes_nothing(tmp_path: Path) -> None:
    folder, url = tmp_path / "crm", str(tmp_path / "w.duckdb")
    many = "".join(f"X{n},2025-01-01,web\n" for n in range(10))
    _write(folder, {"leads.csv": LEADS + many, "deals.csv": DEALS})
    with Warehouse.open(url) as warehouse:
        _loaded(folder, warehouse)
    _write(folder, {"leads.csv": LEADS})
    with Warehouse.open(url) as warehouse:
        with pytest.raises(Problem, match=r"leads.csv shrank from 12 to 2 rows, more than \[source\] shrink_limit = 50%"):
            _loaded(folder, warehouse)
        assert warehouse.size("leads") == 12


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"leads.csv": "lead_id,created_at\n"}, "gave no usable row for leads"),
        ({"leads.csv": "id,born\n1,2025-01-01\n"}, "leads.csv has no column 'lead_id': write which of its columns that is"),
        ({"leads.csv": ""}, "is empty: it has no header line|has no column 'lead_id'"),
    ],
)
def test_a_table_that_cannot_be_used_is_a_red_run(run: Any, files: Files, sentence: str) -> None:
    with pytest.raises(Problem, match=sentence):
        run(files)


def test_constant_empty_and_endless_attributes_are_kept_and_told(run: Any) -> None:
    rows = "".join(f"L{n},2025-01-01,same,,v{n}\n" for n in range(10_050))
    done, tables = run({"leads.csv": "lead_id,created_at,one,none,many\n" + rows})
    assert "leads.one is the same in every row: it tells nothing." in done.notices
    assert "leads.none is empty: it tells nothing." in done.notices
    assert "leads.many has 10,050 different values: only its frequent words can be learned." in done.notices
    assert len(tables["leads"]) == 10_050


def test_files_and_databases_give_the_same_warehouse(tmp_path: Path) -> None:
    leads = pd.DataFrame({"lead_id": ["L1", "L2"], "created_at": ["2025-01-01", "2025-01-02"], "size": [3.0, None]})
    deals = pd.DataFrame({"deal_id": ["D1"], "lead_id": ["L1"], "created_at": ["2025-01-05"], "outcome": ["won"], "closed_at": ["2025-02-01"]})
    places = {name: tmp_path / name for name in ("csv", "parquet")}
    for kind, folder in places.items():
        folder.mkdir()
        for name, frame in (("leads", leads), ("deals", deals)):
            frame.to_csv(folder / f"{name}.csv", index=False) if kind == "csv" else frame.to_parquet(folder / f"{name}.parquet")
    light = sqlite3.connect(tmp_path / "crm.sqlite")
    duck = duckdb.connect(str(tmp_path / "crm.duckdb"))
    for name, frame in (("leads", leads), ("deals", deals)):
        frame.to_sql(name, light, index=False)
        duck.register("frame", frame)
        duck.execute(f"CREATE TABLE {name} AS SELECT * FROM frame")
    light.close()
    duck.close()
    told = []
    for location, end in ((places["csv"], ".csv"), (places["parquet"], ".parquet"), (tmp_path / "crm.sqlite", ""), (tmp_path / "crm.duckdb", "")):
        tables = {name: {"table": name + end} for name in ("leads", "deals")}
        configured = Settings(source={"location": str(location), "tables": tables})  # type: ignore[arg-type]
        url = str(tmp_path / f"w{len(told)}.duckdb")
        with Warehouse.open(url) as warehouse:
            load(configured, open_source(configured.source_location), warehouse, NOW, lambda share, words: None)
            told.append([warehouse.raw.execute(f"SELECT * FROM {name}").fetchall() for name in ("leads", "deals", "attributes")])
    assert told[0] == told[1] == told[2] == told[3]


CELL = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["", "L1", "2025-01-03", "nan", "1e400", "won", '"', "\x00", "=1+1"]
)


@pytest.mark.parametrize("kind", ["parquet", "duckdb", "sqlite"])
def test_a_source_with_true_timestamps_is_read_from_its_cursor_on(tmp_path: Path, kind: str) -> None:
    place, end = (tmp_path, ".parquet") if kind == "parquet" else (tmp_path / f"crm.{kind}", "")
    leads = pd.DataFrame({"lead_id": ["L1", "L2"], "created_at": ["2025-01-01"] * 2, "changed": pd.to_datetime(["2025-01-01", "2025-02-01"])})
    deals = pd.DataFrame({"deal_id": ["D1"], "lead_id": ["L1"], "created_at": ["2025-01-05"], "outcome": ["won"], "closed_at": ["2025-02-01"]})
    for name, frame in (("leads", leads), ("deals", deals)):
        if kind == "parquet":
            frame.to_parquet(tmp_path / f"{name}.parquet")
        elif kind == "duckdb":
            with duckdb.connect(str(place)) as duck:
                duck.register("frame", frame)
                duck.execute(f"CREATE TABLE {name} AS SELECT * FROM frame")
        else:
            light = sqlite3.connect(place)
            frame.to_sql(name, light, index=False)
            light.close()
    tables = {"leads": {"table": f"leads{end}", "cursor": "changed", "ignore": ["changed"]}, "deals": {"table": f"deals{end}"}}
    configured = Settings(source={"location": str(place), "tables": tables})  # type: ignore[arg-type]
    told = []
    for _ in range(2):
        with Warehouse.open(str(tmp_path / "w.duckdb")) as warehouse:
            done = load(configured, open_source(configured.source_location), warehouse, NOW, lambda share, words: None)
            told.append((done.tables[0].rows_in, warehouse.size("leads")))
    # At first both leads, then only what is not older than the newest seen less three days; none is lost.
    assert told == [(2, 2), (1, 2)]


@settings(max_examples=12, deadline=None)
@given(rows=st.lists(st.tuples(*[CELL] * 5), max_size=8))
def test_whatever_stands_in_the_cells_every_row_is_accounted_for(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]]) -> None:
    folder = tmp_path_factory.mktemp("any")
    header = ["activity_id", "lead_id", "kind", "occurred_at", "value"]
    _write(folder / "crm", {"leads.csv": LEADS, "deals.csv": DEALS})
    pd.DataFrame(rows, columns=header).to_csv(folder / "crm" / "activities.csv", index=False)
    with Warehouse.open(str(folder / "w.duckdb")) as warehouse:
        done = _loaded(folder / "crm", warehouse)
        counts = next(table for table in done.tables if table.table == "activities")
        assert counts.rows_in == counts.clean + counts.quarantined + counts.superseded
        assert warehouse.size("activities") == counts.clean
        assert warehouse.size("quarantine") == counts.quarantined


def _many_deals(unread: int, rows: int = 100) -> Files:
    lines = [f"D{n},L1,2025-01-05,won,2025-02-01,{'much' if n < unread else 100}\n" for n in range(rows)]
    return {"deals.csv": "deal_id,lead_id,created_at,outcome,closed_at,amount\n" + "".join(lines)}


def test_a_table_of_which_too_much_is_refused_is_not_believed(run: Callable[..., tuple[Load, dict[str, pd.DataFrame]]]) -> None:
    run({})
    sentence = (
        r"26 of 100 rows of deals\.csv were refused, more than \[source\] refusal_limit = 25% allows: nothing was changed\. The most frequent "
        r"reason: deals: 26 rows were refused because amount is not a value that is understood, such as 'much' \(row 2\)\."
    )
    with pytest.raises(Problem, match=sentence):
        run(_many_deals(26))
    done, tables = run(_many_deals(25))
    assert (len(tables["deals"]), done.tables[1].quarantined) == (75, 25)
    assert done.notices[0] == "deals: 25 rows were refused because amount is not a value that is understood, such as 'much' (row 2)."


def test_the_reason_that_is_told_is_the_refused_tables_own(run: Callable[..., tuple[Load, dict[str, pd.DataFrame]]]) -> None:
    mails = {"activities.csv": "lead_id,kind,occurred_at\nL1,open,some day\nL1,open,2025-01-03\n"}
    with pytest.raises(Problem, match=r"The most frequent reason: deals: 26 rows were refused because amount"):
        run({**mails, **_many_deals(26)})
