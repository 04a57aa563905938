"""A file of separated cells is read leniently and refused precisely, and no line is lost in silence."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.problem import Problem
from pipelines.crm.base import CrmSource, Reject
from pipelines.crm.tables import open_source

ROWS = [
    {"row": 2, "lead_id": "L1", "name": "Ann; Bob, Inc.", "note": 'said "yes"\r\non the phone'},
    {"row": 3, "lead_id": "L2", "name": "Zoë\tZorn", "note": ""},
]


def _read(source: CrmSource, table: str = "leads.csv", cursor: str | None = None) -> tuple[list[dict[str, Any]], list[Reject]]:
    rows: list[dict[str, Any]] = []
    rejects: list[Reject] = []
    for piece, unread in source.pieces(table, cursor, datetime(2025, 1, 1)):
        rows += piece.to_pylist()
        rejects += unread
    return rows, rejects


def _folder(folder: Path, content: str | bytes, encoding: str = "utf-8", name: str = "leads.csv") -> CrmSource:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return open_source(str(folder), encoding)


def _written(rows: list[dict[str, Any]], delimiter: str) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ["lead_id", "name", "note"], delimiter=delimiter, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


KINDS = [(f"leads.{end}", delimiter) for end in ("csv", "txt", "CSV") for delimiter in ",;\t"]


@pytest.mark.parametrize(("name", "delimiter"), [*KINDS, ("leads.tsv", "\t"), ("leads.TSV", "\t")])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_file_is_read_whatever_separates_its_cells(tmp_path: Path, name: str, delimiter: str, mark: str) -> None:
    source = _folder(tmp_path, mark + _written(ROWS, delimiter), name=name)
    assert source.columns(name) == ["lead_id", "name", "note"]
    assert _read(source, name) == (ROWS, [])


def test_what_stands_in_quotes_separates_nothing(tmp_path: Path) -> None:
    source = _folder(tmp_path, '"a;b;c\t\t\t",lead_id\n1,L1\n')
    assert source.columns("leads.csv") == ["a;b;c\t\t\t", "lead_id"]


def test_each_line_is_read_in_the_encoding_it_was_written_in(tmp_path: Path) -> None:
    lines = [b"lead_id,name", "L1,Zoë €".encode(), "L2,Zoë €".encode("cp1252"), "L3,株式会社".encode()]
    rows, rejects = _read(_folder(tmp_path, b"\n".join(lines)))
    assert [row["name"] for row in rows] == ["Zoë €", "Zoë €", "株式会社"]
    assert rejects == []


@pytest.mark.parametrize("encoding", ["shift_jis", "gb18030", "utf-16", "utf-16-le", "UTF-32"])
def test_a_company_may_name_its_encoding(tmp_path: Path, encoding: str) -> None:
    source = _folder(tmp_path, "lead_id,name\r\nL1,株式会社\r\nL2,\u3000\r\n".encode(encoding), encoding)
    assert _read(source) == ([{"row": 2, "lead_id": "L1", "name": "株式会社"}, {"row": 3, "lead_id": "L2", "name": "\u3000"}], [])


@pytest.mark.parametrize("named", ["utf-8", "UTF-8", "utf8", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("written", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_file_that_tells_its_encoding_is_believed_and_its_mark_is_no_part_of_a_name(tmp_path: Path, named: str, written: str) -> None:
    # Only at the start is it a mark.
    source = _folder(tmp_path, "lead_id,name\nL1,Zoë\ufeff\n".encode(written), named)
    assert source.columns("leads.csv") == ["lead_id", "name"]
    assert _read(source)[0] == [{"row": 2, "lead_id": "L1", "name": "Zoë\ufeff"}]


@pytest.mark.parametrize("name", ["klingon", "", "hex", "a\0b"])
def test_an_encoding_that_does_not_exist_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(
        Problem, match=r"^\[source\] encoding is '.*', which is no encoding that Python knows: write 'utf-8', 'cp1252' or 'utf-16'\.$"
    ):
        open_source(str(tmp_path), name)


def test_a_line_with_too_many_or_too_few_cells_is_refused_with_its_number(tmp_path: Path) -> None:
    rows, rejects = _read(_folder(tmp_path, 'lead_id,name\nL1,a\nL2\n\n"L3\n",b,c\nL4,d\n'))
    assert rows == [{"row": 2, "lead_id": "L1", "name": "a"}, {"row": 6, "lead_id": "L4", "name": "d"}]
    assert rejects == [Reject(3, "L2", "has 1 cells where the header has 2"), Reject(5, "L3\n,b,c", "has 3 cells where the header has 2")]


def test_a_quote_that_is_never_closed_is_refused_and_says_what_it_swallows(tmp_path: Path) -> None:
    after = "".join(f"L{n},x\n" for n in range(3, 103))
    rows, rejects = _read(_folder(tmp_path, 'lead_id,name\nL1,"two\nlines"\nL2,"oops\n' + after))
    assert rows == [{"row": 2, "lead_id": "L1", "name": "two\nlines"}]
    (said,) = rejects
    assert (said.row, said.reason) == (3, "opens a quote that is not closed where a cell ends: it swallows the 100 lines after it")
    assert said.value.startswith("L2,oops\nL3,x\n")


def test_a_quote_that_ends_in_the_next_rows_cell_is_refused(tmp_path: Path) -> None:
    # Read without a second look, the two rows are one with the right number of cells.
    rows, rejects = _read(_folder(tmp_path, 'lead_id,name\nL1,"oops\nL2,"Ann"\nL3,Bob\n'))
    assert rows == [{"row": 3, "lead_id": "L3", "name": "Bob"}]
    assert [(one.row, one.reason) for one in rejects] == [(2, "opens a quote that is not closed where a cell ends: it swallows the line after it")]


def test_a_cell_has_no_more_than_a_thousand_line_breaks(tmp_path: Path) -> None:
    long, endless = "\n" * 1_000, "\n" * 1_001
    rows, rejects = _read(_folder(tmp_path, f'lead_id,name\nL1,"{long}"\nL2,"{endless}"\nL3,x\n'))
    assert [(row["row"], row["lead_id"], row["name"]) for row in rows] == [(2, "L1", long), (4, "L3", "x")]
    assert [(one.row, one.reason) for one in rejects] == [(3, "opens a quote that is not closed soon: it swallows the 1,001 lines after it")]


def test_a_longer_file_comes_in_pieces_and_whole(tmp_path: Path) -> None:
    source = _folder(tmp_path, "lead_id\n" + "".join(f"L{n}\n" for n in range(120_000)))
    pieces = [piece for piece, _ in source.pieces("leads.csv")]
    assert [piece.num_rows for piece in pieces] == [50_000, 50_000, 20_000]
    assert [row for piece in pieces for row in piece["row"].to_pylist()] == list(range(2, 120_002))
    assert pieces[-1]["lead_id"][-1].as_py() == "L119999"


CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufeff"), max_size=8)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cells=st.lists(st.tuples(CELL.filter(bool), CELL), max_size=6), delimiter=st.sampled_from(",;\t"), encoding=st.sampled_from(["utf-8", "utf-16"])
)
def test_what_a_cell_says_is_what_is_read(tmp_path: Path, cells: list[tuple[str, str]], delimiter: str, encoding: str) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([("lead_id", "name"), *cells])
    rows, rejects = _read(_folder(tmp_path, text.getvalue().encode(encoding), encoding))
    assert [(row["lead_id"], row["name"]) for row in rows] == cells
    assert rejects == []


def test_everything_is_read_since_its_dates_are_still_texts(tmp_path: Path) -> None:
    source = _folder(tmp_path, "lead_id,changed\nL1,31.12.2024\nL2,01.02.2025\nL3,\n")
    assert [row["lead_id"] for row in _read(source, cursor="changed")[0]] == ["L1", "L2", "L3"]


@pytest.mark.parametrize("content", ["", "\n", '"lead_id,name\nL1,x\nL2,y\n'])
def test_a_file_without_a_header_is_said(tmp_path: Path, content: str) -> None:
    source = _folder(tmp_path, content)
    assert source.columns("leads.csv") == []
    with pytest.raises(Problem, match=r"leads\.csv has no header line that can be read: export it again, or take it out of leadscore\.toml\.$"):
        _read(source)


@pytest.mark.parametrize(("header", "names"), [(",x", ["nameless column 1", "x"]), ("x, ,", ["x", "nameless column 2", "nameless column 3"])])
def test_a_column_without_a_name_gets_one(tmp_path: Path, header: str, names: list[str]) -> None:
    source = _folder(tmp_path, header + "\n" + ",".join("abc"[: len(names)]) + "\n")
    assert source.columns("leads.csv") == names
    assert _read(source) == ([{"row": 2, **dict(zip(names, "abc", strict=False))}], [])
