"""A rep who has LibreOffice sees, fills in and sends back the same workbook as one who has Excel."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from reps import NIGHT, night
from xlsx import MAIN, formulas_of, parts_of, sheets_of

from pipelines.delivery.feedback import Reply, Stamp, read
from pipelines.delivery.workbook import cell, workbook

SOFFICE = shutil.which("soffice")
# One office for all of them.
pytestmark = [
    pytest.mark.xdist_group("libreoffice"),
    pytest.mark.skipif(SOFFICE is None, reason="no LibreOffice: soffice is not on PATH"),
]
FORMULAS = ("=1+1", "=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1+1", "{=1}", "<r><t>x</t></r>", '=HYPERLINK("http://a.example","x")', "a;=1+1")
TEXTS = (*FORMULAS, "007", "1e5", "2025-01-02", "TRUE", "12 %", "http://a.example")
GRADED: dict[str, Any] = {"grade": "A1", "fit": 62, "engagement": 71, "qualified": True, "by_hand": "", "next_step": "one more call"}
HOSTILE = [
    {**dict.fromkeys(("name", "company", "next_step", "by_hand"), text), "lead_id": f"H{at}", "reasons": [{"words": text, "contribution": 1.0}]}
    for at, text in enumerate(TEXTS)
]
LEADS = [{**GRADED, **lead, "rank": at} for at, lead in enumerate([{}, *HOSTILE], start=1)]
OTHER = {"lead_id": "007", "listed": False, "rank": 99, "left_out": "unsubscribed"}
SENT = workbook(night(*LEADS, OTHER, crm_link="https://crm.example/{lead_id}"), "o1")
# Head -> the letter of its column.
PLACE = {head: chr(ord("A") + at) for at, head in enumerate(sheets_of(SENT)["Today"][0])}
LAST = len(LEADS) + 1
# What a rep does: opens the workbook, writes into it, and saves it as it is. A converter has no window, and so would lose the frozen head.
WORK = f"""<?xml version="1.0" encoding="UTF-8"?>
<script:module xmlns:script="http://openoffice.org/2000/script" script:name="Module1" script:language="StarBasic">
Sub Work(folder)
  Dim how(0) As New com.sun.star.beans.PropertyValue
  book = StarDesktop.loadComponentFromURL(folder &amp; "/ann.xlsx", "_blank", 0, Array())
  today = book.Sheets.getByName("Today")
  today.getCellRangeByName("{PLACE["Feedback"]}2").String = "called, interested"
  today.getCellRangeByName("{PLACE["Note"]}2").String = "in May"
  today.getCellRangeByName("{PLACE["Note"]}3").String = "=1+1"
  how(0).Name = "FilterName"
  how(0).Value = "Calc MS Excel 2007 XML"
  book.storeToURL(folder &amp; "/back.xlsx", how())
  book.close(True)
End Sub
</script:module>
"""


def _start(folder: Path, *command: str) -> None:
    """LibreOffice as somebody has it who never used it before."""
    profile = f"-env:UserInstallation={(folder / 'profile').as_uri()}"
    subprocess.run([str(SOFFICE), profile, "--headless", "--norestore", *command], capture_output=True, timeout=120, check=True)


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ann.xlsx as it was sent out, ann.pdf as it is printed, and back.xlsx as a rep saved it."""
    folder = tmp_path_factory.mktemp("office")
    (folder / "ann.xlsx").write_bytes(SENT)
    # The first start makes the profile, to which the macro belongs.
    _start(folder, "--convert-to", "pdf", "--outdir", str(folder), str(folder / "ann.xlsx"))
    (folder / "profile" / "user" / "basic" / "Standard" / "Module1.xba").write_text(WORK, encoding="utf-8")
    _start(folder, f"macro:///Standard.Module1.Work({folder.as_uri()})")
    return folder


@pytest.fixture
def back(office: Path) -> bytes:
    return (office / "back.xlsx").read_bytes()


def _rows(content: bytes, sheet: str) -> list[dict[str, Any]]:
    head, *rows = sheets_of(content)[sheet]
    return [dict(zip(head, row, strict=True)) for row in rows]


def _cells(content: bytes) -> dict[str, ElementTree.Element]:
    """The cells of the first list by their address."""
    return {str(one.get("r")): one for one in parts_of(content)["xl/worksheets/sheet1.xml"].iter(f"{MAIN}c")}


def _formats(content: bytes, cells: list[ElementTree.Element]) -> list[str]:
    """The number formats of some cells; a backslash only says that the next sign is shown as it is."""
    styles = parts_of(content)["xl/styles.xml"]
    codes = {code.get("numFmtId"): str(code.get("formatCode")).replace("\\", "") for code in styles.iter(f"{MAIN}numFmt")}
    every = list(next(styles.iter(f"{MAIN}cellXfs")))
    return [codes[every[int(one.get("s") or 0)].get("numFmtId")] for one in cells]


def test_each_list_is_printed_as_wide_as_a_page(office: Path) -> None:
    printed = (office / "ann.pdf").read_bytes()
    assert printed.startswith(b"%PDF-")
    # Today, the others, and what the figures mean.
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 3


def test_numbers_stay_numbers_with_their_formats(back: bytes) -> None:
    heads = ("Rank", "Probability", "Change", "Expected value", "Fit", "Engagement")
    row, cells = _rows(back, "Today")[0], _cells(back)
    assert [row[head] for head in heads] == [1.0, 0.1235, -1.23, 1234.57, 62.0, 71.0]
    assert {cells[f"{PLACE[head]}2"].get("t") for head in heads} == {"n"}
    assert _formats(back, [cells[f"{PLACE[head]}2"] for head in heads[1:4]]) == ["0.0%", "+0.0;-0.0;0.0", '#,##0" EUR"']


def test_texts_stay_texts_whatever_they_look_like(back: bytes) -> None:
    rows, cells = _rows(back, "Today")[1:], _cells(back)
    for head in ("Name", "Company", "Reasons for", "What would change it", "By hand"):
        assert [row[head] for row in rows] == [cell(text) for text in TEXTS]
        column = [cells[f"{PLACE[head]}{row}"] for row in range(3, LAST + 1)]
        assert ({one.get("t") for one in column}, set(_formats(back, column))) == ({"s"}, {"@"})
    assert [row["Lead ID"] for row in _rows(back, "Other open leads")] == ["007"]


def test_nothing_is_calculated(back: bytes) -> None:
    assert formulas_of(back) == []
    assert not [name for name in parts_of(back) if "externalLink" in name]
    assert _rows(back, "Today")[1]["Note"] == "=1+1"


def test_the_head_the_filter_and_the_choices_are_still_there(back: bytes) -> None:
    sheet = parts_of(back)["xl/worksheets/sheet1.xml"]
    pane = next(sheet.iter(f"{MAIN}pane"))
    assert (pane.get("state"), pane.get("topLeftCell")) == ("frozen", "D2")
    assert next(sheet.iter(f"{MAIN}autoFilter")).get("ref") == f"A1:{PLACE['Note']}{LAST}"
    (rule,) = sheet.iter(f"{MAIN}dataValidation")
    feedback = f"{PLACE['Feedback']}2:{PLACE['Feedback']}{LAST}"
    assert (rule.get("type"), rule.get("sqref"), rule.findtext(f"{MAIN}formula1")) == ("list", feedback, "About!$B$2:$B$7")


def test_what_was_filled_in_is_read_back(office: Path) -> None:
    returned = read(office / "back.xlsx")
    assert returned.stamp == Stamp("default", NIGHT, "o1")
    assert returned.replies == (
        Reply("back.xlsx, sheet Today, row 2", "L1", "called, interested", "in May"),
        Reply("back.xlsx, sheet Today, row 3", "H0", "", "=1+1"),
    )
    # All others of today, and the one that is left out.
    assert (returned.empty, returned.refused) == (len(TEXTS), ())
