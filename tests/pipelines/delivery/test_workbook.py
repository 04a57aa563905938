"""A rep's workbook: every lead once, numbers as numbers, texts as texts, and the same bytes however often it is made."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reps import BOB, TEAM, night
from xlsx import MAIN, about_of, formulas_of, parts_of, sheets_of

from features.outcome import WORDS
from pipelines.delivery import workbook as module
from pipelines.delivery.feedback import CHOICES
from pipelines.delivery.night import Night
from pipelines.delivery.workbook import cell, files, workbook, workbooks

HEADS = [
    "Rank",
    "Tier",
    "Name",
    "Company",
    "Probability",
    "Change",
    "Expected value",
    "Reasons for",
    "Reasons against",
    "Lead ID",
    "Feedback",
    "Note",
]
LINKED = [*HEADS[:9], "CRM", *HEADS[9:]]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def test_a_lead_is_a_row_of_real_types() -> None:
    sheets = sheets_of(workbook(night({}), "o1"))
    assert list(sheets) == ["Today", "Other open leads", "About"]
    head, row = sheets["Today"]
    assert head == HEADS
    assert row == [
        *[1, "A", "Zoë Zorn", "Acme, Inc.", 0.1235, -1.23, 1234.57],
        *["opened 3 e-mails; source: web", "came in 90 days ago", "L1", "", ""],
    ]
    assert sheets["Other open leads"] == [HEADS]


def test_every_lead_of_the_night_stands_in_one_workbook_once() -> None:
    made = workbooks(night(*TEAM))
    assert list(made) == ["ann.xlsx", "bob.xlsx", "nobody.xlsx"]
    ids = {
        file: {sheet: [row[-3] for row in rows[1:]] for sheet, rows in sheets_of(content).items() if sheet != "About"}
        for file, content in made.items()
    }
    assert ids == {
        "ann.xlsx": {"Today": ["L1", "L2"], "Other open leads": ["L4"]},
        "bob.xlsx": {"Today": ["L3"], "Other open leads": []},
        "nobody.xlsx": {"Today": [], "Other open leads": ["L5"]},
    }


def test_what_is_not_known_is_an_empty_cell() -> None:
    unknown = {"expected_value": float("nan"), "change": float("nan"), "name": "", "company": "", "reasons": []}
    row = sheets_of(workbook(night(unknown), "o1"))["Today"][1]
    assert [row[at] for at in (2, 3, 5, 6, 7, 8)] == [""] * 6
    sheet = parts_of(workbook(night(unknown), "o1"))["xl/worksheets/sheet1.xml"]
    assert [cell.find(f"{MAIN}v") for cell in sheet.iter(f"{MAIN}c") if cell.get("r") in ("C2", "F2", "G2")] == [None] * 3


def test_the_same_night_gives_the_same_bytes() -> None:
    assert workbooks(night(*TEAM)) == workbooks(night(*TEAM))
    assert workbook(night(*TEAM), "o1") != workbook(night(*TEAM), "o2")


def test_the_head_stays_in_sight_rows_can_be_filtered_and_figures_have_colours() -> None:
    parts = parts_of(workbook(night(*TEAM), "o1"))
    for sheet, last in (("sheet1", 3), ("sheet2", 2)):
        root = parts[f"xl/worksheets/{sheet}.xml"]
        pane = next(root.iter(f"{MAIN}pane"))
        assert (pane.get("state"), pane.get("topLeftCell")) == ("frozen", "D2")
        assert next(root.iter(f"{MAIN}autoFilter")).get("ref") == f"A1:L{last}"
        assert {(rule.get("type"), rule.findtext(f"{MAIN}formula")) for rule in root.iter(f"{MAIN}cfRule")} == {
            ("dataBar", None),
            *(("cellIs", f'"{tier}"') for tier in "ABCDE"),
        }
    formats = [one.get("formatCode") for one in parts["xl/styles.xml"].iter(f"{MAIN}numFmt")]
    assert formats == ["@", "0.0%", "+0.0;-0.0;0.0", '#,##0" EUR"']


def test_feedback_is_chosen_from_a_list_that_lies_on_the_last_sheet() -> None:
    content = workbook(night(*TEAM), "o1")
    (rule,) = parts_of(content)["xl/worksheets/sheet1.xml"].iter(f"{MAIN}dataValidation")
    assert (rule.get("type"), rule.get("sqref"), rule.findtext(f"{MAIN}formula1")) == ("list", "K2:K3", "About!$B$2:$B$7")
    assert tuple(row[1] for row in sheets_of(content)["About"][1:7]) == CHOICES
    # The two columns a rep writes in stay open where somebody protects the sheet.
    styles = parts_of(content)["xl/styles.xml"]
    unlocked = [at for at, style in enumerate(styles.find(f"{MAIN}cellXfs") or []) if style.find(f"{MAIN}protection") is not None]
    sheet = parts_of(content)["xl/worksheets/sheet1.xml"]
    assert {cell.get("r") for cell in sheet.iter(f"{MAIN}c") if int(cell.get("s") or 0) in unlocked} == {"K2", "L2", "K3", "L3"}


def test_the_last_sheet_says_what_the_figures_are() -> None:
    content = workbook(night(*TEAM, belief=("Slope 1.0.", "Model: trees."), notices=("3 rows were refused.",)), "o1")
    assert sheets_of(content)["About"][0] == ["Northwind: who to call first", ""]
    told = about_of(content)
    assert told["Night"] == "Tuesday, 04 March 2025"
    assert told["Whose leads"] == "Ann"
    assert told["Horizon"] == "90 days"
    assert told["Probability"] == (
        "Probability of a first purchase within 90 days. 20 % means: of 100 leads like it, about 20 come to a first purchase within 90 days. "
        "It speaks of many such leads, not of one."
    )
    assert told["To mind today"] == "3 rows were refused."
    assert told["How it was measured"] == "Slope 1.0.\nModel: trees."
    assert about_of(workbook(night(*TEAM), ""))["Whose leads"] == "nobody's"


def test_a_list_of_customers_speaks_of_customers() -> None:
    content = workbook(night(*TEAM, outcome="churn", words=WORDS["churn"]), "o1")
    assert list(sheets_of(content)) == ["Today", "Other customers", "About"]
    assert "of 100 customers like it, about 20 leave within 90 days" in about_of(content)["Probability"]


def test_a_lead_drawn_at_random_says_so() -> None:
    row = sheets_of(workbook(night({"explored": True}), "o1"))["Today"][1]
    assert row[7] == "drawn at random whatever its score, to measure what scoring brings; opened 3 e-mails; source: web"


def test_an_id_is_one_part_of_the_address_of_its_record() -> None:
    linked = night({"lead_id": "a/b?c=1&d#é "}, crm_link="https://crm.example/leads/{lead_id}/view")
    content = workbook(linked, "o1")
    assert sheets_of(content)["Today"][0] == LINKED
    (link,) = parts_of(content)["xl/worksheets/_rels/sheet1.xml.rels"]
    assert (link.get("Target"), link.get("TargetMode")) == ("https://crm.example/leads/a%2Fb%3Fc%3D1%26d%23%C3%A9%20/view", "External")
    too_long = night({"lead_id": "é" * 1_000}, crm_link="https://crm.example/{lead_id}")
    assert "xl/worksheets/_rels/sheet1.xml.rels" not in parts_of(workbook(too_long, "o1"))


@pytest.mark.parametrize(
    "formula", ["=1+1", "+1", "-1", "@SUM(A1)", "{=1}", '=HYPERLINK("http://a.example","x")', "=cmd|' /C calc'!A0", "http://a.example"]
)
def test_a_formula_is_shown_and_not_run(formula: str) -> None:
    reasons = [{"words": formula, "contribution": 1.0}, {"words": formula, "contribution": -1.0}]
    hostile = {"name": formula, "company": formula, "owner": formula, "owner_id": formula, "lead_id": formula, "reasons": reasons}
    content = workbook(night(hostile, company=formula, currency=formula, notices=(formula,), belief=(formula,)), formula)
    row = sheets_of(content)["Today"][1]
    assert [row[at] for at in (2, 3, 7, 8, 9)] == [cell(formula)] * 5
    assert cell(formula) in (formula, f"'{formula}")
    assert not cell(formula).startswith(("=", "+", "-", "@"))
    assert formulas_of(content) == []
    assert not [name for name in parts_of(content) if "externalLink" in name or "_rels/sheet" in name]


def test_texts_that_look_like_numbers_stay_texts() -> None:
    row = sheets_of(workbook(night({"lead_id": "007", "name": "1e5", "company": "2025-01-02"}), "o1"))["Today"][1]
    assert (row[9], row[2], row[3]) == ("007", "1e5", "2025-01-02")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x00\x0b\x1f\x7fb", "a␀␋␟␡b"),
        ("one\r\ntwo\rthree", "one\ntwo␍three"),
        ("\ufffe\uffff\x85", "�" * 3),
        # XlsxWriter would take it for formatted text and write it as it stands.
        ("<r><t>x</t></r>", "'<r><t>x</t></r>"),
        ("<r>not closed", "<r>not closed"),
        ("_x0041_", "_x0041_"),
        ("A&B <c> \"d\" 'e' 😀", "A&B <c> \"d\" 'e' 😀"),
        ("  spaces  ", "  spaces  "),
    ],
)
def test_a_sign_that_no_workbook_can_hold_is_shown_as_another(text: str, shown: str) -> None:
    assert cell(text) == shown
    assert sheets_of(workbook(night({"name": text}), "o1"))["Today"][1][2] == shown


@pytest.mark.parametrize("sign", ["x", "é", "😀"])
def test_a_text_is_no_longer_than_excel_takes(sign: str) -> None:
    shown = sheets_of(workbook(night({"name": sign * 40_000}), "o1"))["Today"][1][2]
    assert shown == sign * (len(shown) - 1) + "…"
    assert 32_000 < len(shown.encode("utf-16-le")) // 2 <= 32_767


@settings(max_examples=40, deadline=None)
@given(name=TEXT, lead_id=TEXT.filter(bool), owner=TEXT, words=TEXT, company=TEXT)
def test_whatever_a_text_holds_the_workbook_opens_and_shows_it(name: str, lead_id: str, owner: str, words: str, company: str) -> None:
    reasons = [{"words": words, "contribution": 1.0}]
    hostile = {"name": name, "lead_id": lead_id, "owner": owner, "owner_id": "o1", "reasons": reasons}
    content = workbook(night(hostile, company=company, currency=company, crm_link="https://crm.example/{lead_id}"), "o1")
    row = sheets_of(content)["Today"][1]
    assert (row[2], row[7], row[10]) == (cell(name), cell(words), cell(lead_id))
    assert formulas_of(content) == []


def test_of_many_other_leads_the_best_are_in_the_file_and_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    many = [{"lead_id": f"L{n}", "rank": n, "listed": n <= 2} for n in range(1, 1_007)]
    content = workbook(night(*many), "o1")
    sheets = sheets_of(content)
    assert [len(sheets["Today"]), len(sheets["Other open leads"])] == [3, 4]
    assert about_of(content)["Not in this file"] == "3 of 1,004 other open leads are in this file, best first; leads.csv, beside it, holds every one."
    assert "Not in this file" not in about_of(workbook(night(*TEAM), "o1"))


@pytest.mark.parametrize(
    ("owners", "named"),
    [
        ({"o1": "Ann", "": ""}, {"o1": "ann.xlsx", "": "nobody.xlsx"}),
        (
            {"o1": "Søren Østergård", "o2": "Jürgen Straße", "o3": "Łukasz"},
            {"o1": "soren-ostergard.xlsx", "o2": "jurgen-strasse.xlsx", "o3": "lukasz.xlsx"},
        ),
        ({"o14": "王伟", "o15": "\u202e", "ж": "ж"}, {"o14": "o14.xlsx", "o15": "o15.xlsx", "ж": "owner.xlsx"}),
        (
            {"a": "../../etc/passwd", "b": "C:\\x\\y", "c": "a.b.", "d": "."},
            {"a": "etc-passwd.xlsx", "b": "c-x-y.xlsx", "c": "a-b.xlsx", "d": "d.xlsx"},
        ),
        ({"a": "x" * 300}, {"a": "x" * 40 + ".xlsx"}),
    ],
)
def test_a_file_is_named_after_its_owner(owners: dict[str, str], named: dict[str, str]) -> None:
    assert files(owners) == named


@pytest.mark.parametrize("names", [("Ann", "ann"), ("Ann", "Ann"), ("Zoë", "zoe"), ("Nobody", ""), ("CON", "Com1"), ("王", "伟")])
def test_owners_of_one_name_have_files_of_their_own(names: tuple[str, str]) -> None:
    named = files({"ж": names[0], "" if not names[1] else "щ": names[1]})
    assert len(set(named.values())) == 2
    assert all(re.fullmatch(r"[a-z0-9]+-[0-9a-f]{8}\.xlsx", file) for file in named.values())


def test_a_name_that_looks_like_one_told_apart_takes_nobodys_file() -> None:
    named = files({"o3": "Ann", "o4": "ANN"})
    again = files({"o3": "Ann", "o4": "ANN", "o5": named["o3"].removesuffix(".xlsx")})
    assert len(set(again.values())) == 3
    assert again["o3"] == named["o3"]


@settings(max_examples=100, deadline=None)
@given(owners=st.dictionaries(TEXT, TEXT, max_size=6))
def test_whatever_owners_are_called_every_file_system_takes_and_tells_apart_their_files(owners: dict[str, str]) -> None:
    named = files(owners)
    assert list(named) == list(owners)
    assert len({file.lower() for file in named.values()}) == len(owners)
    assert all(re.fullmatch(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.xlsx", file) and len(file) <= 60 for file in named.values())


def test_two_owners_of_one_name_have_their_own_leads(tmp_path: Path) -> None:
    made = workbooks(night({}, {"lead_id": "L2", "rank": 2, **BOB, "owner": "ANN"}))
    assert sorted(row[9] for content in made.values() for row in sheets_of(content)["Today"][1:]) == ["L1", "L2"]
    assert all(len(sheets_of(content)["Today"]) == 2 for content in made.values())


def test_an_outcome_with_a_name_of_the_companys_own_is_named() -> None:
    named: Night = night({}, outcome="maintenance contract", words=WORDS["renewal"])
    assert named.chance == "to renew (maintenance contract)"
    assert night({}).chance == "of a first purchase"
