"""What a rep wrote comes back row by row: a reply, nothing said, or refused with the place where it stands."""

from __future__ import annotations

import csv
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st
from reps import NIGHT, TEAM, night

from features.problem import Problem
from pipelines.delivery.feedback import CHOICES, Reply, Returned, Stamp, read
from pipelines.delivery.workbook import workbook

STAMP = Stamp("default", NIGHT, "o1")
HEAD = ["Lead ID", "Feedback", "Note"]
LISTED = "called, interested; called, not interested; no answer; wrong contact; already a customer; call later"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def _book(folder: Path, sheets: dict[str, list[list[Any]]], name: str = "ann.xlsx") -> Path:
    """A workbook as a spreadsheet program saves it."""
    with xlsxwriter.Workbook(folder / name, {"strings_to_formulas": False}) as book:
        for title, rows in sheets.items():
            sheet = book.add_worksheet(title)
            for at, row in enumerate(rows):
                sheet.write_row(at, 0, row)
    return folder / name


def _csv(folder: Path, text: str | bytes) -> Path:
    (folder / "back.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder / "back.csv"


def test_a_workbook_as_it_is_sent_out_tells_its_night_and_that_nothing_was_said(tmp_path: Path) -> None:
    (tmp_path / "ann.xlsx").write_bytes(workbook(night(*TEAM), "o1"))
    assert read(tmp_path / "ann.xlsx") == Returned(STAMP, (), 3, ())


def test_the_stamp_holds_whatever_an_owner_is_called(tmp_path: Path) -> None:
    for owner in ("", "=o1", "ö & \n?", "leadscore:outcome=x"):
        (tmp_path / "ann.xlsx").write_bytes(workbook(night({"owner_id": owner}, chosen="churn"), owner))
        assert read(tmp_path / "ann.xlsx").stamp == Stamp("churn", NIGHT, owner)


def test_replies_come_with_their_place_from_whichever_sheet(tmp_path: Path) -> None:
    today = [HEAD, ["L1", "called, interested", ""], ["L2", "", ""], ["L3", "", "on holiday"]]
    file = _book(tmp_path, {"Today": today, "Other": [HEAD, ["L4", " Call  LATER ", " in May "]], "About": [[STAMP.text()]]})
    assert read(file) == Returned(
        STAMP,
        (
            Reply("ann.xlsx, sheet Today, row 2", "L1", "called, interested", ""),
            Reply("ann.xlsx, sheet Today, row 4", "L3", "", "on holiday"),
            Reply("ann.xlsx, sheet Other, row 2", "L4", "call later", "in May"),
        ),
        1,
        (),
    )


@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_is_one(tmp_path: Path, choice: str) -> None:
    assert [reply.feedback for reply in read(_book(tmp_path, {"a": [HEAD, ["L1", choice]]})).replies] == [choice]


def test_what_is_no_choice_is_refused_with_its_place_and_the_rest_is_kept(tmp_path: Path) -> None:
    returned = read(_book(tmp_path, {"Today": [HEAD, ["L1", "maybe", "x"], ["L2", "no answer"], ["", "no answer"], ["L3", 7.0]]}))
    assert [reply.lead for reply in returned.replies] == ["L2"]
    assert returned.refused == (
        f"ann.xlsx, sheet Today, row 2, column feedback says 'maybe', which is not one of the choices: {LISTED}.",
        "ann.xlsx, sheet Today, row 4, column lead_id is empty, so that nobody knows of whom it speaks: write the lead's id.",
        f"ann.xlsx, sheet Today, row 5, column feedback says '7', which is not one of the choices: {LISTED}.",
    )


def test_of_a_lead_with_two_replies_neither_is_taken(tmp_path: Path) -> None:
    rows = [HEAD, ["L1", "no answer"], ["L2", "no answer"], ["L1", "call later"], ["L2", "no answer"]]
    returned = read(_book(tmp_path, {"Today": rows}))
    assert [reply.lead for reply in returned.replies] == ["L2", "L2"]
    assert returned.refused == tuple(
        f"ann.xlsx, sheet Today, row {row}, column lead_id: 'L1' stands more than once, with different replies: leave one of them." for row in (2, 4)
    )


def test_a_title_further_columns_and_another_order_do_no_harm(tmp_path: Path) -> None:
    rows = [["My calls"], [], ["Note", "Mood", "FEEDBACK", "lead id"], ["x", "good", "no answer", "L1"], [], ["", "", "", "L2"]]
    assert read(_book(tmp_path, {"Today": rows})) == Returned(None, (Reply("ann.xlsx, sheet Today, row 4", "L1", "no answer", "x"),), 1, ())


def test_an_id_that_a_spreadsheet_made_a_number_is_what_it_was(tmp_path: Path) -> None:
    replies = read(_book(tmp_path, {"Today": [HEAD, [42, "no answer"], [42.5, "no answer"], ["007", "no answer"]]})).replies
    assert [reply.lead for reply in replies] == ["42", "42.5", "007"]


def test_a_lead_cannot_say_of_which_night_a_file_is(tmp_path: Path) -> None:
    other = Stamp("churn", datetime(2020, 1, 1), "eve").text()
    (tmp_path / "ann.xlsx").write_bytes(workbook(night({"lead_id": other, "name": other}), "o1"))
    assert read(tmp_path / "ann.xlsx").stamp == STAMP


def test_lists_of_several_nights_in_one_file_are_refused(tmp_path: Path) -> None:
    file = _book(tmp_path, {"Today": [HEAD], "A": [[STAMP.text()]], "B": [[Stamp("default", datetime(2025, 3, 5, 2), "o1").text()]]})
    with pytest.raises(Problem, match=r"ann\.xlsx holds the lists of several nights or owners: hand in each file as it was sent out\.$"):
        read(file)


@pytest.mark.parametrize("text", ["leadscore:", "leadscore:outcome=x&as_of=never&owner=o", "leadscore:as_of=2025-01-01", "outcome=x"])
def test_what_is_no_stamp_tells_nothing(tmp_path: Path, text: str) -> None:
    assert read(_book(tmp_path, {"Today": [HEAD], "About": [[text]]})).stamp is None


@pytest.mark.parametrize(
    "content",
    [
        'lead_id,feedback,note\nL1,"called, interested",x\nL2,,\n',
        '\ufefflead_id,feedback,note\r\nL1,"called, interested",x\r\nL2,,\r\n',
        "lead_id;feedback;note\nL1;called, interested;x\nL2;;\n",
        "lead_id\tfeedback\tnote\nL1\tcalled, interested\tx\nL2\n".encode("utf-16"),
    ],
)
def test_a_csv_is_read_however_it_was_saved(tmp_path: Path, content: str | bytes) -> None:
    assert read(_csv(tmp_path, content)) == Returned(None, (Reply("back.csv, row 2", "L1", "called, interested", "x"),), 1, ())


def test_a_csv_of_windows_signs_is_read_right(tmp_path: Path) -> None:
    (reply,) = read(_csv(tmp_path, "lead_id;feedback;note\nL1;;Grüße\n".encode("cp1252"))).replies
    assert reply.note == "Grüße"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", r"has no sheet with the columns lead_id and feedback: hand in a workbook of a night, or a CSV with these columns\.$"),
        (b"name,mood\nx,y\n", "has no sheet with the columns lead_id and feedback"),
        (b"PK\x03\x04 no workbook", "cannot be read as a workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "cannot be read as a workbook"),
    ],
    ids=["empty", "other columns", "no workbook", "an old one with a password"],
)
def test_what_is_no_such_file_is_said(tmp_path: Path, content: bytes, sentence: str) -> None:
    with pytest.raises(Problem, match=sentence) as said:
        read(_csv(tmp_path, content))
    assert str(said.value).startswith(str(tmp_path / "back.csv"))


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"gone\.xlsx cannot be read \(No such file or directory\): name a workbook or CSV that reps have filled in\.$"):
        read(tmp_path / "gone.xlsx")
    with pytest.raises(Problem, match="Is a directory"):
        read(tmp_path)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(TEXT, st.one_of(TEXT, st.sampled_from(CHOICES)), TEXT), max_size=6))
def test_rows_in_are_rows_out(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]]) -> None:
    returned = read(_book(tmp_path_factory.mktemp("any"), {"Today": [HEAD, *map(list, rows)]}))
    said = [row for row in rows if any(text.strip() for text in row)]
    assert len(returned.replies) + returned.empty + len(returned.refused) == len(said)
    assert all(reply.feedback in ("", *CHOICES) for reply in returned.replies)


def _said(file: Path) -> str:
    try:
        read(file)
    except Problem as problem:
        return str(problem)
    return ""


@settings(max_examples=60, deadline=None)
@given(start=st.sampled_from([b"", b"PK\x03\x04", b"lead_id,feedback\n", b"\xff\xfe"]), rest=st.binary(max_size=80))
def test_whatever_bytes_come_they_are_read_or_refused_in_a_sentence(tmp_path_factory: pytest.TempPathFactory, start: bytes, rest: bytes) -> None:
    assert "\n" not in _said(_csv(tmp_path_factory.mktemp("any"), start + rest))


def test_a_workbook_cut_off_anywhere_is_refused_in_a_sentence(tmp_path: Path) -> None:
    whole = workbook(night(*TEAM), "o1")
    assert BytesIO(whole).read(4) == b"PK\x03\x04"
    for share in (0.1, 0.5, 0.9, 0.99):
        with pytest.raises(Problem, match="cannot be read as a workbook"):
            read(_csv(tmp_path, whole[: int(share * len(whole))]))


def test_a_cell_without_end_is_refused_where_a_limit_is_set(tmp_path: Path) -> None:
    before = csv.field_size_limit(1_000)
    try:
        with pytest.raises(Problem, match=r"cannot be read as a CSV \(field larger than field limit \(1000\)\): save it as CSV or .xlsx once more"):
            read(_csv(tmp_path, b'lead_id,feedback\n"' + b"x" * 2_000))
    finally:
        csv.field_size_limit(before)
