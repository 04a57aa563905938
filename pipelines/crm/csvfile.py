"""A file of separated cells, read leniently and refused precisely.

A line that is not in the file's encoding is read as Windows-1252. A row with too many or too few cells, or with a quote that is closed nowhere or
in the wrong place, is refused with its number: no line is ever dropped in silence.
"""

from __future__ import annotations

import codecs
import csv
import re
import sys
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from features.problem import Problem
from pipelines.crm.base import Piece, Reject, named

BATCH = 50_000
# No cell that a person wrote has more: a quote was opened and not closed.
_LINES = 1_000
# The first bytes of a file that says its own encoding, whatever leadscore.toml says. The longer mark begins with the shorter one.
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
Row = tuple[list[str], str]
"""Its cells, and what is wrong with them, "" being nothing."""


def known_encoding(name: str) -> str:
    """An encoding by the name that Python gives it.

    >>> known_encoding("UTF8")
    'utf-8'

    Raises
    ------
    Problem : Python does not know it, or it is none of texts.
    """
    try:
        "".encode(name)
        return codecs.lookup(name).name.removesuffix("-sig")
    except (LookupError, ValueError) as error:
        raise Problem(f"[source] encoding is '{name}', which is no encoding that Python knows: write 'utf-8', 'cp1252' or 'utf-16'.") from error


def header(path: Path, encoding: str) -> list[str]:
    """The names in the first row; none when it is empty or cannot be read."""
    with path.open("rb") as file:
        cells, fault = next(_rows(file, path, encoding), ([], ""))
        return [] if fault else named(cells)


def pieces(path: Path, encoding: str) -> Iterator[Piece]:
    """All rows below the header, those that do not fit it being refused. Rows are numbered as a spreadsheet shows them: the header is row 1.

    Raises
    ------
    Problem : there is no header.
    """
    with path.open("rb") as file:
        rows = _rows(file, path, encoding)
        cells, fault = next(rows, ([], ""))
        if fault or not cells:
            raise Problem(f"{path} has no header line that can be read: export it again, or take it out of leadscore.toml.")
        numbered = ((number, *row) for number, row in enumerate(rows, start=2) if row[0] or row[1])
        names = named(cells)
        while batch := list(islice(numbered, BATCH)):
            judged = [(number, cells, fault or _misfit(cells, len(names))) for number, cells, fault in batch]
            fits = [(number, cells) for number, cells, fault in judged if not fault]
            rejects = [Reject(number, ",".join(cells)[:200], fault) for number, cells, fault in judged if fault]
            yield texts(names, [cells for _, cells in fits], [number for number, _ in fits]), rejects


def texts(names: list[str], rows: list[list[str]] | list[list[str | None]], numbers: list[int]) -> pa.Table:
    """Rows of texts and their numbers as one table."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    arrays = [pa.array(numbers, pa.int64()), *(pa.array(column, pa.string()) for column in columns)]
    return pa.Table.from_arrays(arrays, names=["row", *names])


def _misfit(cells: list[str], wanted: int) -> str:
    return "" if len(cells) == wanted else f"has {len(cells)} cells where the header has {wanted}"


def _rows(file: BinaryIO, path: Path, encoding: str) -> Iterator[Row]:
    csv.field_size_limit(sys.maxsize)
    lines = _lines(file, encoding)
    head = list(islice(lines, 1))
    delimiter = _delimiter("".join(head), path.suffix.lower())
    read: list[str] = []
    reader = csv.reader(_noted(chain(head, lines), read), delimiter=delimiter)
    while True:
        read.clear()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield [], f"cannot be taken apart into cells ({error})"
            continue
        yield cells, _open_quote(read, delimiter) if len(read) > 1 else ""


def _noted(lines: Iterable[str], read: list[str]) -> Iterator[str]:
    """The lines, each noted down as it is handed on."""
    for line in lines:
        read.append(line)
        yield line


def _open_quote(lines: list[str], delimiter: str) -> str:
    """What is wrong with a row of several lines; "" where every quote of it is closed at the end of its cell."""
    after = len(lines) - 1
    swallowed = f"it swallows the {after:,} lines after it" if after > 1 else "it swallows the line after it"
    if after > _LINES:
        return f"opens a quote that is not closed soon: {swallowed}"
    try:
        list(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error:
        return f"opens a quote that is not closed where a cell ends: {swallowed}"
    return ""


def _delimiter(head: str, suffix: str) -> str:
    """What separates the names of the header, outside of quotes."""
    bare = re.sub(r'"[^"]*"', "", head)
    if suffix == ".tsv":
        return "\t"
    return max(",;\t", key=bare.count)


def _lines(file: BinaryIO, encoding: str) -> Iterator[str]:
    """The lines of a file in the encoding that its first bytes tell, else in the one that is named."""
    start = file.read(4)
    file.seek(0)
    encoding = next((said for mark, said in _MARKS.items() if start.startswith(mark)), encoding)
    if "\n".encode(encoding) != b"\n":
        return _split(codecs.iterdecode(iter(lambda: file.read(1 << 16), b""), encoding, "replace"))
    if encoding == "utf-8":
        file.seek(len(codecs.BOM_UTF8) * start.startswith(codecs.BOM_UTF8))
    return _decoded(file, encoding)


def _split(texts: Iterable[str]) -> Iterator[str]:
    """Lines from texts that end anywhere. In some encodings a newline is no single byte, and cannot be found before decoding."""
    rest = ""
    for text in texts:
        *lines, rest = (rest + text).split("\n")
        yield from (line + "\n" for line in lines)
    if rest:
        yield rest


def _decoded(file: Iterable[bytes], encoding: str) -> Iterator[str]:
    for line in file:
        try:
            yield line.decode(encoding)
        except UnicodeDecodeError:
            yield line.decode("cp1252", errors="replace")
