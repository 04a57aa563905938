"""A rep's workbook of a night: today's calls, the rest of their leads, and two columns for what came of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, time
from hashlib import sha256
from io import BytesIO
from typing import Any
from unicodedata import combining, east_asian_width, name, normalize

import pandas as pd
import xlsxwriter

from pipelines.delivery.column import Column, columns_of
from pipelines.delivery.feedback import CHOICES, Stamp
from pipelines.delivery.night import Night
from pipelines.delivery.sheet import inert

TODAY, ABOUT = "Today", "About"
# Of an owner's other leads so many: a file that is mailed stays small, and nobody calls the ten-thousandth.
MOST = 10_000
# What XML cannot hold, and what XlsxWriter would take for formatted text and write without a look at it.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_MARKUP = re.compile(r"\A<r>.*</r>\Z", re.DOTALL)
_LONGEST, _LONGEST_LINK = 32_767, 2_000
# In points: a line of text, and the tallest row that Excel takes.
_LINE, _TALLEST = 15, 405
# In signs: the words on the last sheet.
_WIDE = 110
_OPTIONS = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
# Between rows, where paper has no grid.
_LINED = {"bottom": 1, "bottom_color": "#e3e8ed"}
_TIERS = {"A": ("#d9f0e5", "#07502f"), "B": ("#e1edfa", "#083f78"), **dict.fromkeys("CDE", ("#eef2f6", "#16202b"))}
# Windows keeps some names for its devices, whatever follows the dot; and a name may look like one that we told apart.
_TAKEN = re.compile(r"\A(con|prn|aux|nul|com\d|lpt\d)\Z|-[0-9a-f]{8}\Z")


def workbooks(night: Night) -> dict[str, bytes]:
    """The workbook of every owner who has a lead, and one of nobody's leads, by file name."""
    return {file: workbook(night, owner) for owner, file in files(night.owners).items()}


def workbook(night: Night, owner: str) -> bytes:
    """One owner's leads as an Excel workbook: numbers are numbers, texts are never formulas; the same night, the same bytes.

    The leads listed for the night stand on the first sheet, all others on the second, each once. What the rep writes under Feedback and Note is
    read back by `pipelines.delivery.feedback`, for which the last sheet holds whose list of which night it is.

    Parameters
    ----------
    owner : their id; "" for the leads that nobody owns.
    """
    content, leads = BytesIO(), night.leads_of(owner)
    listed = leads["listed"].astype(bool)
    others = leads[~listed]
    with xlsxwriter.Workbook(content, _OPTIONS) as book:
        # Not the present: a night written again has to be the same to the byte.
        book.set_properties({"title": cell(night.company)[:200], "created": datetime.combine(night.day, time())})
        form = {key: book.add_format({"valign": "top", **_LINED, **how}) for key, how in _formats(night.currency).items()}
        for title, today, shown in ((TODAY, True, leads[listed]), (f"Other {night.words.those}", False, others.head(MOST))):
            _list(book, title, shown, columns_of(night, today), form)
        beyond = f"{MOST:,} of {len(others):,} other {night.words.those} are in this file, best first; leads.csv, beside it, holds every one."
        _about(book, night, owner, [beyond] if len(others) > MOST else [], form)
    return content.getvalue()


def cell(text: object) -> str:
    """A text as a cell shows it: inert, of signs that a workbook can hold, no longer than Excel takes.

    >>> cell("=1+1"), cell("a\\x00b"), cell("<r>x</r>")
    ("'=1+1", 'a␀b', "'<r>x</r>")
    """
    shown = _CONTROLS.sub(_shown, str(text).replace("\r\n", "\n"))
    shown = str(inert(shown))
    if _MARKUP.match(shown):
        shown = f"'{shown}"
    units = shown.encode("utf-16-le")
    return shown if len(units) <= 2 * _LONGEST else units[: 2 * _LONGEST - 2].decode("utf-16-le", "ignore") + "…"


def files(owners: Mapping[str, str]) -> dict[str, str]:
    """A file name for every owner, id to name, that any file system takes and tells apart, whatever the owner is called.

    Owners whose names come to the same, but for case or accents, are told apart by what cannot change: a digest of their ids.

    >>> files({"o1": "Zoë Zorn", "": "", "o2": "../etc", "o3": "Ann", "o4": "ANN"})
    {'o1': 'zoe-zorn.xlsx', '': 'nobody.xlsx', 'o2': 'etc.xlsx', 'o3': 'ann-de2d91dc.xlsx', 'o4': 'ann-1b2501a2.xlsx'}
    """
    plain = {owner: (_plain(called) or _plain(owner) or "owner") if owner else "nobody" for owner, called in owners.items()}
    every = list(plain.values())
    digest = {owner: sha256(owner.encode("utf-8", "surrogatepass")).hexdigest()[:8] for owner in plain}
    alone = {owner: every.count(one) == 1 and not _TAKEN.search(one) for owner, one in plain.items()}
    return {owner: f"{one}.xlsx" if alone[owner] else f"{one}-{digest[owner]}.xlsx" for owner, one in plain.items()}


def _plain(text: str) -> str:
    """Small letters, digits and hyphens: ø is an o, and what is no Latin letter is left out."""
    letters = "".join(_letter(sign) for sign in normalize("NFKD", text[:300].casefold()) if not combining(sign))
    return re.sub("[^a-z0-9]+", "-", letters).strip("-")[:40].strip("-")


def _letter(sign: str) -> str:
    latin = re.match(r"LATIN SMALL (?:LETTER|LIGATURE) ([A-Z]{1,2})\b", name(sign, ""))
    return latin[1].lower() if latin else sign


def _shown(sign: re.Match[str]) -> str:
    """A control character as the picture that Unicode has of it."""
    code = ord(sign[0])
    return chr(0x2400 + code) if code < 0x20 else "␡" if code == 0x7F else "�"


def _formats(currency: str) -> dict[str, dict[str, Any]]:
    behind = "".join(sign for sign in cell(currency) if sign not in '"\n')[:20]
    entry = {"num_format": "@", "text_wrap": True, "locked": False, "bg_color": "#fffbe6", "border": 1, "border_color": "#e3e8ed"}
    cells: dict[str, dict[str, Any]] = {
        "title": {"bold": True, "font_size": 14, "bottom": 0},
        "name": {"bold": True},
        # "@": a text that is edited stays one.
        "text": {"num_format": "@"},
        "mark": {"num_format": "@", "align": "center"},
        "wrapped": {"num_format": "@", "text_wrap": True, "align": "left", "indent": 1},
        "whole": {"num_format": "0", "align": "right"},
        "score": {"num_format": "0", "align": "center"},
        "percent": {"num_format": "0.0%", "align": "right"},
        "points": {"num_format": "+0.0;-0.0;0.0", "align": "right"},
        "money": {"num_format": f'#,##0" {behind}"' if behind else "#,##0", "align": "right"},
        "link": {"font_color": "#0b5cad", "underline": 1},
        "entry": entry,
    }
    head = {"bold": True, "bg_color": "#16202b", "font_color": "#ffffff", "text_wrap": True}
    placed = {key: {part: how[part] for part in ("align", "indent") if part in how} for key, how in cells.items()}
    return {**cells, **{f"{key} head": {**head, **where} for key, where in placed.items()}}


def _list(book: xlsxwriter.Workbook, title: str, leads: pd.DataFrame, columns: list[Column], form: Mapping[str, Any]) -> None:
    """A sheet of leads under a head that stays in sight, with a filter, and a list of choices in the column for feedback."""
    sheet = book.add_worksheet(title)
    last, place = max(len(leads), 1), {column.head: at for at, column in enumerate(columns)}
    for at, column in enumerate(columns):
        sheet.set_column(at, at, column.width)
        sheet.write_string(0, at, column.head, form[f"{column.form} head"])
    # Of two lines, so that the button of the filter, which lies on the lower one, covers no word.
    sheet.set_row(0, 2 * _LINE)
    for row, lead in enumerate(leads.itertuples(index=False), start=1):
        values = [column.of(lead) for column in columns]
        sheet.set_row(row, _height((value, column.width) for value, column in zip(values, columns, strict=True) if column.form == "wrapped"))
        for at, (value, column) in enumerate(zip(values, columns, strict=True)):
            _write(sheet, row, at, value, column.form, form[column.form])
    sheet.freeze_panes(1, place["Name"] + 1)
    sheet.autofilter(0, 0, last, len(columns) - 1)
    bar = {"type": "data_bar", "data_bar_2010": True, "bar_solid": True, "bar_color": "#9cc4ec", "min_type": "num", "min_value": 0}
    sheet.conditional_format(1, place["Probability"], last, place["Probability"], bar)
    for tier, (paper, ink) in _TIERS.items():
        colour = book.add_format({"bg_color": paper, "font_color": ink})
        shade = {"type": "cell", "criteria": "==", "value": f'"{tier}"', "format": colour}
        sheet.conditional_format(1, place["Tier"], last, place["Tier"], shade)
    # The choices hold commas, at which a list written out would be split; so it is a list of cells.
    choose = {
        "validate": "list",
        "source": f"={ABOUT}!$B$2:$B${1 + len(CHOICES)}",
        "error_title": "Not one of the choices",
        "error_message": "Choose one from the list, and write whatever else you want to say under Note.",
    }
    sheet.data_validation(1, place["Feedback"], last, place["Feedback"], choose)
    sheet.ignore_errors({"number_stored_as_text": "A1:XFD1048576"})
    sheet.set_landscape()
    # In inches: what home printers reach, for every column is on every page.
    sheet.set_margins(left=0.4, right=0.4, top=0.5, bottom=0.6)
    sheet.set_footer("&L&A&RPage &P of &N")
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(0)


def _write(sheet: Any, row: int, at: int, value: Any, kind: str, form: Any) -> None:
    """A cell of the kind that its column is."""
    if pd.isna(value) or value == "":
        sheet.write_blank(row, at, None, form)
    elif kind == "link":
        # A longer address Excel takes for damage to the whole file.
        if len(value) <= _LONGEST_LINK:
            sheet.write_url(row, at, value, form, "open")
    elif kind in ("whole", "score", "percent", "points", "money"):
        sheet.write_number(row, at, float(value), form)
    else:
        sheet.write_string(row, at, cell(value), form)


def _height(texts: Iterable[tuple[object, int]]) -> int:
    """The height of a row in which each of some texts fits into its width: LibreOffice would print what does not fit over the next row."""
    return min(_TALLEST, _LINE * max((_lines_of(str(text), width) for text, width in texts if not pd.isna(text)), default=1))


def _lines_of(text: str, width: int) -> int:
    """At most so many lines: of the width, two signs are lost to the words that do not fit in."""
    return sum(max(1, -(-_signs(line) // (width - 2))) for line in text.split("\n"))


def _signs(text: str) -> int:
    return len(text) if text.isascii() else sum(2 if east_asian_width(sign) in "WF" else 1 for sign in text)


def _about(book: xlsxwriter.Workbook, night: Night, owner: str, beyond: list[str], form: Mapping[str, Any]) -> None:
    """What the lists are, in words; the choices first, whose place the other sheets know; last, hidden, whose list of which night it is."""
    sheet = book.add_worksheet(ABOUT)
    sheet.set_column(0, 0, 22)
    sheet.set_column(1, 1, _WIDE)
    sheet.write_string(0, 0, cell(f"{night.company}: {night.words.head}"), form["title"])
    sheet.set_row(0, 2 * _LINE)
    lines = [*(("Feedback" if not at else "", choice) for at, choice in enumerate(CHOICES)), *_lines(night, owner, beyond)]
    for row, (head, words) in enumerate(lines, start=1):
        sheet.write_string(row, 0, head, form["name"])
        sheet.write_string(row, 1, cell(words), form["wrapped"])
        sheet.set_row(row, _height([(words, _WIDE)]))
    stamp = Stamp(night.chosen, night.as_of or datetime.combine(night.day, time()), owner)
    sheet.write_string(len(lines) + 2, 0, stamp.text(), form["text"])
    sheet.set_row(len(lines) + 2, None, None, {"hidden": True})
    sheet.fit_to_pages(1, 0)


def _lines(night: Night, owner: str, beyond: list[str]) -> Iterator[tuple[str, str]]:
    """Head and words of every line about the night."""
    yield "", "Choose one of these for a lead, write what you like under Note, save, and send the file back. `leadscore feedback FILE` reads it."
    yield "Night", f"{night.day:%A, %d %B %Y}"
    yield "Whose leads", (night.owners.get(owner) or owner) if owner else "nobody's"
    yield "Horizon", f"{night.horizon_days} days"
    yield "Probability", f"Probability {night.chance} within {night.horizon_days} days. {night.means}"
    yield "Change", "Of the probability since the last night, in points: +2.0 is from 10 % to 12 %."
    yield "Tier", "A: today's calls. B, C and D would fill the next three lists, and E is the rest."
    told = night.told[True] | night.told[False]
    yield from ((head, words) for head, words, needs in _later(night) if needs in told)
    yield "Reasons", "What went with a higher or lower score in the past, not what causes it."
    groups = (("Not in this file", beyond), ("To mind today", night.notices), ("How it was measured", night.belief))
    for head, sentences in groups:
        for at, sentence in enumerate(sentences):
            yield ("" if at else head), sentence


def _later(night: Night) -> Iterator[tuple[str, str, str]]:
    """Head and words of what not every night says, and what that is."""
    yield "Grade", night.graded, "grade"
    yield "Qualified", "It fits and is engaged well enough for marketing to hand it over to sales.", "qualified"
    yield "What would change it", "The first kind of touch with which the score would be higher: a hint, and no promise.", "next_step"
    yield "By hand", "What somebody decided, until when and why. It moves a lead on the list and leaves its score as it is.", "by_hand"
    yield "Left out", "Why a lead is not called today, whatever its score.", "left_out"
