"""What stands in a workbook, read without the library that wrote it."""

from __future__ import annotations

import io
import zipfile
from typing import Any
from xml.etree import ElementTree

import pandas as pd

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def sheets_of(content: bytes) -> dict[str, list[list[Any]]]:
    read = pd.read_excel(io.BytesIO(content), sheet_name=None, header=None, engine="calamine", na_filter=False)
    return {name: frame.to_numpy(dtype=object).tolist() for name, frame in read.items()}


def parts_of(content: bytes) -> dict[str, ElementTree.Element]:
    """Every part of the file, parsed: one that were no XML would stop Excel from opening it."""
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        assert parts.testzip() is None
        return {name: ElementTree.fromstring(parts.read(name)) for name in parts.namelist()}


def about_of(content: bytes) -> dict[str, str]:
    """Head -> words of the sheet About, several lines under one head joined."""
    told, last = dict[str, str](), ""
    for head, words in sheets_of(content)["About"][1:]:
        last = head or last
        told[last] = "\n".join(filter(None, (told.get(last), words)))
    return told


def formulas_of(content: bytes) -> list[str]:
    """What Excel would calculate in the cells of any sheet."""
    return [
        one.text or ""
        for name, part in parts_of(content).items()
        if "worksheets/sheet" in name
        for row in part.iter(f"{MAIN}c")
        for one in row.iter(f"{MAIN}f")
    ]
