"""A leadscore.toml in the making: what each table seems to be, and the commented text that says so."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

_STEADY = r"source|origin|campaign|landing|channel|product"


@dataclass
class Draft:
    """What one canonical table seems to be made of. The doubts are for a person to read and settle."""

    table: str
    columns: dict[str, str | tuple[str, ...]] = field(default_factory=dict)
    decimal: str = "."
    dates: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    constants: dict[str, str] = field(default_factory=dict)
    values: dict[str, dict[str, str]] = field(default_factory=dict)
    where: dict[str, tuple[str, ...]] = field(default_factory=dict)
    clocks: dict[str, tuple[str, int]] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    personal: tuple[str, ...] = ()
    attributes: bool = True
    doubts: list[str] = field(default_factory=list)


def written(location: Path, drafts: Mapping[str, Draft], columns: Mapping[str, Sequence[str]], unread: Sequence[str]) -> str:
    """The text of a leadscore.toml.

    Parameters
    ----------
    columns : table of the source -> its columns.
    unread : why tables were not looked at, one sentence each.
    """
    lines = [
        "# Written by `leadscore init` after a look at the tables below. Correct what is guessed wrong, then run `leadscore check`.",
        "# Every table, column and setting there is: docs/configuration.md.",
        *(_comment(f"Not looked at: {sentence}") for sentence in unread),
        *_place(location),
        *_closing(drafts),
        "",
    ]
    for canonical, draft in drafts.items():
        lines += [f"[source.tables.{canonical}]", *_lines(draft), *(_steady(draft, columns[draft.table]) if canonical == "leads" else []), ""]
    flat = bool(drafts["leads"].clocks)
    horizon, settle, age = (30, 0, 7) if flat else (60, 7, 365)
    lines += [
        "[outcome]",
        "# Days a lead has to convert, days until late entries have arrived, and the age at which a lead is no longer scored.",
        *(["# Without dates each lead is one example: scored on the first night after it came in."] if flat else []),
        f"horizon_days = {horizon}",
        f"settle_days = {settle}",
        f"max_age_days = {age}",
    ]
    return "\n".join(lines) + "\n"


def blank(location: Path, columns: Mapping[str, Sequence[str]], unread: Sequence[str]) -> str:
    """The text of a leadscore.toml for tables of which nothing was recognised: what there is, and what has to be written."""
    lines = [
        "# Written by `leadscore init`, which did not recognise leads and deals among these tables:",
        *(_comment(f"    {table}: {', '.join(names)}") for table, names in columns.items()),
        *(_comment(f"    Not looked at: {sentence}") for sentence in unread),
        "# Put the names of your tables and columns in place of every ?, then run `leadscore check`.",
        "# Every table, column and setting there is: docs/configuration.md.",
        *_place(location),
        "",
        "[source.tables.leads]",
        'table = "?"',
        'columns = { lead_id = "?", created_at = "?" }',
        "",
        "[source.tables.deals]",
        'table = "?"',
        "# one row a deal: its own id, its lead's id, when it was opened, whether it was won, and when it was closed",
        'columns = { deal_id = "?", lead_id = "?", created_at = "?", outcome = "?", closed_at = "?", amount = "?" }',
        "# what your words mean: won, lost or open",
        'values = { outcome = { "?" = "won" } }',
    ]
    return "\n".join(lines) + "\n"


def _place(location: Path) -> list[str]:
    return [
        "",
        "[company]",
        'name = "My company"',
        "# Dates without a zone are read in this one; the nightly run is at 2:00 here.",
        'time_zone = "UTC"',
        "",
        "[source]",
        f"location = {quoted(str(location))}",
    ]


def _closing(drafts: Mapping[str, Draft]) -> list[str]:
    if not drafts["leads"].clocks:
        return []
    return ["# The tables have no dates: until when they are complete is made up here, like the dates below.", "extracted_at = 2024-12-31T00:00:00"]


def _lines(draft: Draft) -> list[str]:
    lines = [f"table = {quoted(draft.table)}", *(_comment(f"Please check: {doubt}") for doubt in draft.doubts)]
    if draft.columns:
        lines += ["# our name = your column", f"columns = {_inline(draft.columns)}"]
    if draft.decimal != ".":
        lines += ["# 6.600,50 is six thousand six hundred and a half", f"decimal = {quoted(draft.decimal)}"]
    if draft.dates:
        lines.append(f"dates = {_list(draft.dates)}")
    if draft.constants:
        lines += ["# the table lists only these", f"constants = {_inline(draft.constants)}"]
    if draft.values:
        lines += ["# what your words mean: won, lost or open", f"values = {{ {', '.join(f'{k} = {_inline(v)}' for k, v in draft.values.items())} }}"]
    if draft.where:
        lines.append(f"where = {{ {', '.join(f'{quoted(k)} = {_list(v)}' for k, v in draft.where.items())} }}")
    if draft.clocks:
        lines += _clocks(draft.clocks)
    if draft.missing:
        lines += ['# texts that mean "not given"', f"missing = {_list(draft.missing)}"]
    if draft.ignore or draft.personal:
        lines += ["# written after the outcome: never a field of the lead"] if draft.ignore else []
        lines += ["# says who somebody is, not how likely to buy: never a field of the lead"] if draft.personal else []
        lines.append(f"ignore = {_list((*draft.ignore, *draft.personal))}")
    if not draft.attributes:
        lines.append("attributes = false")
    return lines


def _clocks(clocks: Mapping[str, tuple[str, int]]) -> list[str]:
    first, last = datetime(2024, 1, 1), datetime(2024, 12, 31)
    spread = ", ".join(
        f"{ours} = {{ column = {quoted(column)}, first = {first:%Y-%m-%d}, last = {last:%Y-%m-%d}, plus_days = {shift} }}"
        for ours, (column, shift) in clocks.items()
    )
    return ["# no dates: rows are spread evenly between two days, in the order of a column", f"clocks = {{ {spread} }}"]


def _steady(draft: Draft, columns: Sequence[str]) -> list[str]:
    steady = [c for c in columns if re.search(_STEADY, c.lower()) and c not in (*draft.columns.values(), *draft.ignore, *draft.personal)]
    return ["# fields that never change once the lead exists; of all others only today's value is known", f"fixed_at_creation = {_list(steady)}"]


def quoted(text: str) -> str:
    r"""A text as TOML writes it, on one line whatever is in it.

    >>> quoted('a"b')
    '"a\\"b"'
    """
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(sign: str) -> str:
    if sign in '"\\':
        return "\\" + sign
    if sign.isprintable():
        return sign
    return f"\\u{ord(sign):04x}" if ord(sign) <= 0xFFFF else f"\\U{ord(sign):08x}"


def _comment(text: str) -> str:
    return "# " + "".join(sign if sign.isprintable() else " " for sign in text)


def _list(texts: Sequence[str]) -> str:
    return f"[{', '.join(map(quoted, texts))}]"


def _inline(pairs: Mapping[str, str | tuple[str, ...]]) -> str:
    return "{ " + ", ".join(f"{quoted(key)} = {quoted(value) if isinstance(value, str) else _list(value)}" for key, value in pairs.items()) + " }"
