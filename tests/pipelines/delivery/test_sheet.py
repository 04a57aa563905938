"""The CSV of a night: every lead in the order of rank, and no cell that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
from datetime import date
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reps import LEAD

from pipelines.delivery.night import Night
from pipelines.delivery.sheet import inert, sheet

HEADER = [
    "rank",
    "owner",
    "owner_rank",
    "tier",
    "lead_id",
    "name",
    "company",
    "probability",
    "score",
    "expected_value",
    "change",
    "listed",
    "explored",
]


def _night(*leads: dict[str, Any]) -> Night:
    return Night("Northwind", "EUR", date(2025, 1, 2), 90, "first purchase", pd.DataFrame([{**LEAD, **lead} for lead in leads]))


LATER = ["selection_probability", "left_out", "by_hand", "grade", "fit", "engagement", "qualified", "next_step", "team", "territory", "source", "new"]


def _read(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def test_a_lead_is_a_line_that_excel_reads_right() -> None:
    content = sheet(_night({}))
    # The byte order mark, without which Excel takes UTF-8 for the local code page.
    assert content.startswith(b"\xef\xbb\xbfrank,owner,")
    assert content.endswith(b"\r\n")
    header, line = _read(content)
    assert header == [*HEADER, "for", "against", "model", *LATER]
    assert line == [
        *["1", "Ann", "1", "A", "L1", "Zoë Zorn", "Acme, Inc.", "0.1235", "12", "1234.57", "-0.0123", "True", "False"],
        *["opened 3 e-mails; source: web", "came in 90 days ago", "boosted trees"],
        *[""] * 11,
        "False",
    ]


def test_whether_it_may_be_called_and_what_marketing_thinks_of_it_stand_at_the_end() -> None:
    known = {
        "selection_probability": 0.25,
        "left_out": "unsubscribed",
        "by_hand": "=ann",
        "grade": "A1",
        "fit": 62,
        "engagement": 71,
        "qualified": True,
        "next_step": "one more call",
        "team": "north",
        "territory": "EMEA",
        "source": "+web",
        "new": True,
    }
    (line,) = _read(sheet(_night(known)))[1:]
    assert line[-12:] == ["0.25", "unsubscribed", "'=ann", "A1", "62", "71", "True", "one more call", "north", "EMEA", "'+web", "True"]


def test_the_whole_night_is_there_in_the_order_of_rank() -> None:
    leads = [{"lead_id": f"L{n}", "rank": n, "listed": n <= 2} for n in range(1, 101)]
    lines = _read(sheet(_night(*leads)))[1:]
    assert [line[0] for line in lines] == [str(n) for n in range(1, 101)]
    assert [line[11] for line in lines] == ["True"] * 2 + ["False"] * 98


def test_what_is_not_known_is_an_empty_cell() -> None:
    (line,) = _read(sheet(_night({"expected_value": float("nan"), "change": float("nan"), "reasons": [], "name": "", "owner": ""})))[1:]
    assert [line[at] for at in (1, 5, 9, 10, 13, 14)] == [""] * 6


def test_the_same_night_gives_the_same_bytes() -> None:
    assert sheet(_night({}, {"rank": 2})) == sheet(_night({}, {"rank": 2}))


@pytest.mark.parametrize(
    "formula",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        " =1",
        "\u00a0=1",
        "\ufeff=1",
        '=HYPERLINK("http://a.example","Click")',
        "=cmd|' /C calc'!A0",
    ],
)
def test_a_formula_is_shown_and_not_run(formula: str) -> None:
    lead = {"name": formula, "company": formula, "owner": formula, "lead_id": formula}
    reasons = [{"words": formula, "contribution": 1.0}, {"words": formula, "contribution": -1.0}]
    (line,) = _read(sheet(_night({**lead, "reasons": reasons})))[1:]
    assert [line[at] for at in (1, 4, 5, 6, 13, 14)] == ["'" + formula] * 6


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("x;=HYPERLINK(1)", "x;'=HYPERLINK(1)"),
        ("x; =1;+2;y", "x;' =1;'+2;y"),
        ('x;"=1"', 'x;\'"=1"'),
        ("x\t@SUM(A1)", "x\t'@SUM(A1)"),
        ("x,-1", "x,'-1"),
        ("x\r\n=1", "x\r\n'=1"),
        ("\t=1", "'\t'=1"),
        ("\r=1", "'\r'=1"),
        ("\n=1", "'\n'=1"),
        ("＝1", "'＝1"),
        ("Acme; Bonn, 2 + 2 = 4", "Acme; Bonn, 2 + 2 = 4"),
        ("+49 228 1;x", "'+49 228 1;x"),
    ],
)
def test_no_sign_that_a_spreadsheet_may_split_at_makes_a_formula_of_what_follows(text: str, shown: str) -> None:
    assert inert(text) == shown


def test_numbers_stay_numbers_even_below_nothing() -> None:
    (line,) = _read(sheet(_night({"change": -0.5, "expected_value": -2.0})))[1:]
    assert (line[9], line[10]) == ("-2.0", "-0.5")
    assert (inert(-0.5), inert(None), inert(True)) == (-0.5, None, True)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@settings(max_examples=50, deadline=None)
@given(name=TEXT, company=TEXT, words=TEXT)
def test_whatever_a_text_holds_it_stays_one_cell_and_never_starts_like_a_formula(name: str, company: str, words: str) -> None:
    night = _night({"name": name, "company": company, "reasons": [{"words": words, "contribution": 1.0}]}, {"lead_id": "L2", "rank": 2})
    first, second = _read(sheet(night))[1:]
    for cell, text in zip((first[5], first[6], first[13]), (name, company, words), strict=True):
        # Nothing is added but the sign that says "text".
        assert cell.replace("'", "") == text.replace("'", "")
        assert not cell.lstrip(" \u00a0\ufeff").startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert second[4] == "L2"


PIECE = st.text(st.sampled_from(list("x=+-@;,\t\r\n\"' ")), max_size=8)


@settings(max_examples=100, deadline=None)
@given(name=PIECE, words=PIECE)
@pytest.mark.parametrize("sign", [",", ";", "\t"])
def test_wherever_excel_splits_no_cell_starts_like_a_formula(sign: str, name: str, words: str) -> None:
    # The locale says at which sign: the comma in America, the semicolon in most of Europe.
    content = sheet(_night({"name": name, "company": "", "reasons": [{"words": words, "contribution": 1.0}], "change": 0.1}))
    for row in csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter=sign):
        assert [cell for cell in row if cell.lstrip(" \u00a0\ufeff").startswith(("=", "+", "-", "@"))] == []
