"""What the page says of a lead its rep's workbook says too, and no column is empty for everybody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reps import BOB, night
from xlsx import MAIN, about_of, formulas_of, parts_of, sheets_of

from pipelines.delivery.column import columns_of
from pipelines.delivery.feedback import read
from pipelines.delivery.workbook import cell, workbook, workbooks

PLAIN: dict[str, Any] = {"left_out": "", "by_hand": None, "grade": "B2", "fit": 50, "engagement": 50, "qualified": False, "next_step": None}
HOT = {**PLAIN, "grade": "A1", "fit": 62, "engagement": 71, "qualified": True, "next_step": "one more call"}
PINNED = {**PLAIN, "lead_id": "L2", "rank": 2, "by_hand": "place 2 by ann until 2025-07-01: met at the fair"}
OUT = {**PLAIN, "lead_id": "L3", "rank": 3, "tier": "E", "listed": False, **BOB, "left_out": "unsubscribed", "qualified": True}
NIGHT = night(HOT, PINNED, OUT)
GRADED = ["Rank", "Tier", "Name", "Company", "Probability", "Change", "Expected value", "Grade", "Fit", "Engagement", "Qualified"]
WHY, END = ["Reasons for", "Reasons against"], ["Lead ID", "Feedback", "Note"]
NEEDS = {"Grade": "grade", "Qualified": "qualified", "What would change it": "next_step", "By hand": "by_hand", "Left out": "left_out"}
SAID = {"grade": "A1", "qualified": True, "next_step": "one more call", "by_hand": "place 1", "left_out": "unsubscribed"}


def test_what_the_page_says_of_a_lead_stands_beside_it() -> None:
    head, hot, pinned = sheets_of(workbook(NIGHT, "o1"))["Today"]
    assert head == [*GRADED, *WHY, "What would change it", "By hand", *END]
    assert hot[7:11] == ["A1", 62.0, 71.0, "yes"]
    assert hot[13:15] == ["one more call", ""]
    assert pinned[7:11] == ["B2", 50.0, 50.0, ""]
    assert pinned[13:15] == ["", "place 2 by ann until 2025-07-01: met at the fair"]
    head, out = sheets_of(workbook(NIGHT, "o2"))["Other open leads"]
    assert head == [*GRADED, *WHY, "Left out", *END]
    assert out[13] == "unsubscribed"


def test_the_lists_of_all_reps_have_the_same_columns() -> None:
    heads = [[rows[0] for sheet, rows in sheets_of(content).items() if sheet != "About"] for content in workbooks(NIGHT).values()]
    assert len(heads) == 2
    assert heads[0] == heads[1]


@given(said=st.lists(st.tuples(st.booleans(), st.sets(st.sampled_from(sorted(SAID)))), min_size=1, max_size=5))
def test_a_column_is_there_if_and_only_if_a_lead_of_such_a_list_has_something_in_it(said: list[tuple[bool, set[str]]]) -> None:
    leads = [
        {"lead_id": f"L{at}", "listed": listed, **PLAIN, "grade": "", **{name: SAID[name] for name in names}}
        for at, (listed, names) in enumerate(said)
    ]
    for today in (True, False):
        told = {name for listed, names in said if listed == today for name in names}
        heads = [column.head for column in columns_of(night(*leads), today)]
        assert [head for head in heads if head in NEEDS] == [head for head, name in NEEDS.items() if name in told]
        assert heads[-3:] == END


def test_what_is_not_said_of_a_lead_is_an_empty_cell() -> None:
    missing = dict.fromkeys(PLAIN, float("nan"))
    row = sheets_of(workbook(night({**HOT, "by_hand": "x", "left_out": "x"}, {**missing, "lead_id": "L2"}), "o1"))["Today"][2]
    assert (row[7:11], row[13:16]) == ([""] * 4, [""] * 3)


def test_the_last_sheet_explains_the_columns_that_are_there() -> None:
    told = about_of(workbook(NIGHT, "o1"))
    assert [head for head in told if head in NEEDS] == list(NEEDS)
    assert told["Grade"] == (
        "A grade is fit (A to C: who it is) and engagement (1 to 3: what it did), each from 0 to 100, where 50 is an average lead."
    )
    assert told["Left out"] == "Why a lead is not called today, whatever its score."
    assert NEEDS.keys() & about_of(workbook(night({}), "o1")).keys() == set()


@pytest.mark.parametrize("formula", ["=1+1", "+1", "@SUM(A1)", "=cmd|' /C calc'!A0", "\t=1+1", "<r><t>x</t></r>"])
def test_no_column_runs_a_formula(formula: str) -> None:
    hostile = {**HOT, **dict.fromkeys(("grade", "next_step", "by_hand", "left_out"), formula)}
    content = workbook(night(hostile), "o1")
    row = sheets_of(content)["Today"][1]
    assert [row[at] for at in (7, 13, 14, 15)] == [cell(formula)] * 4
    assert formulas_of(content) == []


def test_a_filter_covers_every_column_and_a_page_is_as_wide_as_all_of_them() -> None:
    for name, last in (("sheet1", "R3"), ("sheet2", "Q2")):
        sheet = parts_of(workbook(NIGHT, "o1"))[f"xl/worksheets/{name}.xml"]
        assert next(sheet.iter(f"{MAIN}autoFilter")).get("ref") == f"A1:{last}"
        page = next(sheet.iter(f"{MAIN}pageSetup"))
        assert (page.get("orientation"), page.get("fitToWidth", "1"), page.get("fitToHeight")) == ("landscape", "1", "0")


@pytest.mark.parametrize(
    ("words", "height"),
    [
        ("", None),
        ("one more call", None),
        # 28 signs wide, two of them lost where words break.
        ("x" * 26, None),
        ("x" * 27, "30"),
        ("one\n\nthree", "45"),
        # A sign of Chinese is as wide as two.
        ("王" * 27, "45"),
        ("x" * 40_000, "405"),
    ],
)
def test_a_row_is_as_tall_as_its_longest_text_and_no_taller_than_excel_takes(words: str, height: str | None) -> None:
    sheet = parts_of(workbook(night({**HOT, "reasons": [], "next_step": words}, {**HOT, "listed": True, "reasons": []}), "o1"))[
        "xl/worksheets/sheet1.xml"
    ]
    assert [row.get("ht") for row in sheet.iter(f"{MAIN}row")][1] == height


def test_a_workbook_with_all_columns_is_read_back(tmp_path: Path) -> None:
    (tmp_path / "ann.xlsx").write_bytes(workbook(NIGHT, "o1"))
    returned = read(tmp_path / "ann.xlsx")
    assert (returned.empty, returned.replies, returned.refused) == (2, (), ())
    assert returned.stamp is not None
    assert returned.stamp.owner == "o1"
