"""What reps say came of their calls: read back from a workbook of theirs, or from a CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

import pandas as pd
from python_calamine import CalamineError

from features.problem import Problem

CHOICES = ("called, interested", "called, not interested", "no answer", "wrong contact", "already a customer", "call later")
_LEAD, _FEEDBACK, _NOTE = "lead_id", "feedback", "note"
_MARK = "leadscore:"
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
# Whoever puts a title above the list does not need more.
_HEAD_ROWS = 20
Grid = list[list[str]]


@dataclass(frozen=True)
class Stamp:
    """Whose list of which night a workbook is, as its last sheet keeps it in a hidden row.

    Parameters
    ----------
    outcome : its name in leadscore.toml.
    as_of : the instant of the night.
    owner : their id; "" for nobody's leads.

    >>> stamp = Stamp("default", datetime(2025, 3, 4, 2), "=ann & bob")
    >>> stamp.text()
    'leadscore:outcome=default&as_of=2025-03-04T02%3A00%3A00&owner=%3Dann+%26+bob'
    >>> Stamp.read(stamp.text()) == stamp
    True
    """

    outcome: str
    as_of: datetime
    owner: str

    def text(self) -> str:
        """The stamp as a text without a sign that a spreadsheet could take for anything."""
        return _MARK + urlencode({"outcome": self.outcome, "as_of": self.as_of.isoformat(), "owner": self.owner}, errors="replace")

    @classmethod
    def read(cls, text: str) -> Stamp | None:
        """What `text` wrote; None where it is something else."""
        said = {name: values[0] for name, values in parse_qs(text.removeprefix(_MARK), keep_blank_values=True).items()}
        try:
            return cls(said["outcome"], datetime.fromisoformat(said["as_of"]).replace(tzinfo=None), said["owner"])
        except (KeyError, ValueError):
            return None


@dataclass(frozen=True)
class Reply:
    """What was said of one lead.

    Parameters
    ----------
    place : "file, sheet, row", as a person finds it.
    lead : the lead's id, as the cell shows it.
    """

    place: str
    lead: str
    feedback: str
    note: str


@dataclass(frozen=True)
class Returned:
    """A file that came back.

    Parameters
    ----------
    stamp : whose list of which night it is; None where the file does not say.
    replies : rows in which something was said.
    empty : how many rows say nothing.
    refused : a sentence for every row that cannot be taken.
    """

    stamp: Stamp | None
    replies: tuple[Reply, ...]
    empty: int
    refused: tuple[str, ...]


def read(path: Path) -> Returned:
    """Read what a rep wrote under Feedback and Note, on whichever sheets of the file they are.

    Rows in are rows out: each is a reply, empty, or refused with a sentence. Of a lead that has two different replies none is taken, for nobody
    knows which is meant.

    Raises
    ------
    Problem : there is no such file, it is neither workbook nor CSV, it has no such columns, or it holds lists of several nights.
    """
    grids = _grids(path)
    lists = {sheet: (*at, grid) for sheet, grid in grids.items() if (at := _head(grid))}
    if not lists:
        raise Problem(f"{path} has no sheet with the columns {_LEAD} and {_FEEDBACK}: hand in a workbook of a night, or a CSV with these columns.")
    # Never looked for in a list, where it could be the name of a lead.
    stamps = {stamp for sheet, grid in grids.items() if sheet not in lists for stamp in _stamps(grid)}
    if len(stamps) > 1:
        raise Problem(f"{path} holds the lists of several nights or owners: hand in each file as it was sent out.")
    rows = [row for sheet, (at, columns, grid) in lists.items() for row in _rows(_place(path, sheet), at, columns, grid)]
    replies = [row for row in rows if isinstance(row, Reply)]
    twice = _contradictions(replies)
    refused = [row for row in rows if isinstance(row, str) and row]
    refused += [
        f"{one.place}, column {_LEAD}: {one.lead!r} stands more than once, with different replies: leave one of them."
        for one in replies
        if one.lead in twice
    ]
    return Returned(next(iter(stamps), None), tuple(one for one in replies if one.lead not in twice), rows.count(""), tuple(refused))


def _rows(place: str, head: int, columns: dict[str, int], grid: Grid) -> Iterator[Reply | str]:
    """Each row that is not bare: a reply, a sentence that refuses it, or "" where nothing was said."""
    for number, line in enumerate(grid[head + 1 :], start=head + 2):
        lead, feedback, note = (line[columns[name]] if columns.get(name, len(line)) < len(line) else "" for name in (_LEAD, _FEEDBACK, _NOTE))
        here = f"{place}row {number}"
        chosen = next((choice for choice in CHOICES if choice == " ".join(feedback.casefold().split())), "")
        if not (lead or feedback or note):
            continue
        if not (feedback or note):
            yield ""
        elif not lead:
            yield f"{here}, column {_LEAD} is empty, so that nobody knows of whom it speaks: write the lead's id."
        elif feedback and not chosen:
            yield f"{here}, column {_FEEDBACK} says {feedback[:60]!r}, which is not one of the choices: {'; '.join(CHOICES)}."
        else:
            yield Reply(here, lead, chosen, note)


def _contradictions(replies: Iterable[Reply]) -> set[str]:
    """The leads of which a file says two different things."""
    first = dict[str, Reply]()
    return {one.lead for one in replies if (one.feedback, one.note) != ((of := first.setdefault(one.lead, one)).feedback, of.note)}


def _stamps(grid: Grid) -> Iterator[Stamp]:
    for line in grid:
        for text in line:
            if text.startswith(_MARK) and (stamp := Stamp.read(text)):
                yield stamp


def _head(grid: Grid) -> tuple[int, dict[str, int]] | None:
    """The row of the heads and where our columns are; None where a sheet has none."""
    for at, line in enumerate(grid[:_HEAD_ROWS]):
        names = ["_".join(text.casefold().split()) for text in line]
        if _LEAD in names and _FEEDBACK in names:
            return at, {name: names.index(name) for name in (_LEAD, _FEEDBACK, _NOTE) if name in names}
    return None


def _place(path: Path, sheet: str) -> str:
    return f"{path.name}, sheet {sheet}, " if sheet else f"{path.name}, "


def _grids(path: Path) -> dict[str, Grid]:
    """The texts of every sheet; of a CSV, those of one without a name."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Problem(f"{path} cannot be read ({error.strerror}): name a workbook or CSV that reps have filled in.") from error
    if not content.startswith(_WORKBOOKS):
        return {"": _of_csv(path, content)}
    try:
        sheets = pd.read_excel(BytesIO(content), sheet_name=None, header=None, engine="calamine", na_filter=False)
    except (CalamineError, ValueError) as error:
        raise Problem(f"{path} cannot be read as a workbook ({error}): open it, take off its password, and save it as .xlsx.") from error
    return {str(sheet): [[_text(value) for value in line] for line in frame.to_numpy(dtype=object)] for sheet, frame in sheets.items()}


def _text(value: Any) -> str:
    """A cell as text; a number that a spreadsheet made of an id keeps no decimals that it does not have."""
    if value is None or value != value:
        return ""
    return str(int(value) if isinstance(value, float) and value.is_integer() else value).strip()


def _of_csv(path: Path, content: bytes) -> Grid:
    """A CSV as Excel saves it: UTF-8, UTF-16 or Windows' Western signs, split at a comma, a semicolon or a tab."""
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    head = text[: text.find("\n") + 1 or None]
    split = max(",;\t", key=head.count)
    try:
        return [[value.strip() for value in line] for line in csv.reader(StringIO(text, newline=""), delimiter=split)]
    except csv.Error as error:
        raise Problem(f"{path} cannot be read as a CSV ({error}): save it as CSV or .xlsx once more.") from error
