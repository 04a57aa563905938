"""Looks at tables it has never seen and writes a commented leadscore.toml.

A guess is only a start: every line of it is there to be read and corrected. It looks at names first and at values second.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path

import pandas as pd

from features.problem import Problem
from pipelines.crm.base import CrmSource
from pipelines.crm.tables import open_source

_ROWS = 5_000
_NAMES: dict[str, dict[str, str]] = {
    "leads": {
        "lead_id": r"(lead|mql|contact|prospect|opportunity)[ _]?id|id",
        "created_at": r"(created|creation|first_contact|engage|registered|inserted)[ _]?(at|date|on|time)?",
        "owner_id": r"owner([ _]id)?|sales_?(agent|rep)([ _]id)?|assigned_to",
        "account_id": r"(account|company)([ _]id)?",
    },
    "deals": {
        "deal_id": r"(deal|opportunity)[ _]?id|id",
        "lead_id": r"(lead|mql|contact|prospect|opportunity)[ _]?id",
        "created_at": r"(created|creation|engage|open(ed)?)[ _]?(at|date|on)?",
        "closed_at": r"(won|closed?|closing)[ _]?(at|date|on)",
        "amount": r"amount|(close|deal|won)[ _]?value|revenue",
        "outcome": r"outcome|(deal[ _])?(stage|status)|is[ _]?won|converted",
    },
    "activities": {
        "lead_id": r"(lead|mql|contact|prospect)[ _]?id",
        "kind": r"kind|(activity|event)[ _]?(type|name)|type",
        "occurred_at": r"(occurred|happened|event|activity)?[ _]?(at|date|time|timestamp)",
    },
    "lead_changes": {
        "lead_id": r"(lead|contact)[ _]?id",
        "field": r"field([ _]name)?|property",
        "changed_at": r"(changed|modified|created)[ _]?(at|date|on)",
    },
    "accounts": {"account_id": r"account([ _]id)?|company([ _]id)?"},
    "owners": {"owner_id": r"owner([ _]id)?|sales_?(agent|rep)([ _]id)?"},
}
_HEADS = {"accounts": r"account|compan(y|ies)|customer", "owners": r"owner|team|rep|user|sdr", "lead_changes": r"change|history"}
_WON, _LOST = r"(closed?[ _-]?)?won|yes|1|true|converted", r"(closed?[ _-]?)?lost|no|0|false"
_MISSING = ("Select", "N/A", "n/a", "NULL", "null", "None", "-")
_FORMATS = ("%d-%m-%Y %H:%M", "%d-%m-%Y", "%d.%m.%Y", "%m/%d/%Y %H:%M", "%m/%d/%Y", "%d/%m/%Y %H:%M", "%d/%m/%Y")


@dataclass
class Guess:
    """What one canonical table seems to be made of."""

    table: str
    columns: dict[str, str] = field(default_factory=dict)
    dates: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    constants: dict[str, str] = field(default_factory=dict)
    values: dict[str, dict[str, str]] = field(default_factory=dict)
    where: dict[str, tuple[str, ...]] = field(default_factory=dict)
    clocks: dict[str, tuple[str, int]] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    attributes: bool = True


def guess(folder: Path) -> str:
    """The text of a leadscore.toml for tables found at a place.

    Raises
    ------
    Problem : nothing there looks like leads, or nothing like what became of them.
    """
    source = open_source(str(folder.resolve()))
    samples = {name: _sample(source, name) for name in source.tables()}  # type: ignore[attr-defined]
    samples = {name: sample for name, sample in samples.items() if len(sample) and len(sample.columns) > 1}
    found = _tables(samples)
    return _written(folder.resolve(), found, samples)


def _sample(source: CrmSource, table: str) -> pd.DataFrame:
    try:
        pieces = [piece.to_pandas() for piece, _ in islice(source.pieces(table), 1)]
    except Problem:
        return pd.DataFrame()
    return pieces[0].drop(columns="row").head(_ROWS) if pieces else pd.DataFrame()


def _matches(canonical: str, sample: pd.DataFrame) -> dict[str, str]:
    """Canonical column -> the first of the table's columns whose name, and values, fit."""
    found: dict[str, str] = {}
    for column, pattern in _NAMES[canonical].items():
        exact = [c for c in sample.columns if c.lower() == column]
        similar = [c for c in sample.columns if re.fullmatch(pattern, c.strip().lower())]
        for candidate in exact + similar:
            dated = not column.endswith("_at") or _format_of(sample[candidate]) is not None
            same = column in ("lead_id", "deal_id") and canonical == "deals"
            if dated and (same or candidate not in found.values()):
                found[column] = candidate
                break
    return found


def _format_of(values: pd.Series) -> str | None:
    """ "" for ISO dates, a strptime format for others, None for what is no date."""
    texts = values.dropna().astype(str).str.strip()
    texts = texts[texts != ""].head(500)
    if texts.empty:
        return None
    if texts.str.match(r"\d{4}-\d{2}-\d{2}").mean() > 0.9:
        return ""
    for form in _FORMATS:
        if pd.to_datetime(texts, format=form, errors="coerce").notna().mean() > 0.95:
            return form
    return None


def _tables(samples: Mapping[str, pd.DataFrame]) -> dict[str, Guess]:
    found: dict[str, Guess] = {}
    for canonical in ("leads", "deals", "activities", "lead_changes", "accounts", "owners"):
        best = max(samples, key=lambda name: _likeness(canonical, name, samples[name]), default="")
        if best and _likeness(canonical, best, samples[best]) >= 1:
            found[canonical] = _described(canonical, best, samples[best])
    if "leads" not in found:
        raise Problem(
            "No table looks like leads: one is needed with an id per row and a date (or an order). Write leadscore.toml by hand from the README."
        )
    _complete_outcomes(found, samples)
    return found


def _likeness(canonical: str, name: str, sample: pd.DataFrame) -> float:
    """How many required columns a table has, all of them counting as one, its name as a little more."""
    matched = _matches(canonical, sample)
    needed = {"leads": ("lead_id",), "deals": ("lead_id",), "activities": ("lead_id", "kind", "occurred_at")}.get(canonical, tuple(_NAMES[canonical]))
    if not set(needed) <= set(matched):
        return 0.0
    named = re.search(_HEADS.get(canonical, canonical.rstrip("s")), name.lower()) is not None
    if canonical in _HEADS and not named:
        return 0.0
    if canonical == "leads" and sample[matched["lead_id"]].duplicated().mean() > 0.05:
        return 0.0
    if canonical == "deals" and not ({"closed_at", "outcome"} & set(matched)):
        return 0.0
    return 1.0 + 0.5 * named + 0.1 * len(matched)


def _described(canonical: str, name: str, sample: pd.DataFrame) -> Guess:
    columns = {ours: theirs for ours, theirs in _matches(canonical, sample).items() if ours != theirs}
    dates = {_format_of(sample[theirs]) for ours, theirs in _matches(canonical, sample).items() if ours.endswith("_at")}
    seen = {value for column in sample for value in sample[column].dropna().unique()[:200] if value in _MISSING}
    described = Guess(name, columns, tuple(sorted(form for form in dates if form)), tuple(sorted(seen)))
    if canonical == "leads" and "created_at" not in _matches(canonical, sample):
        order = _order(sample)
        if order is None:
            raise Problem(f"{name} looks like leads but has neither a creation date nor a number that rises: add one, or map it by hand.")
        described.clocks["created_at"] = (order, 0)
    return described


def _order(sample: pd.DataFrame) -> str | None:
    """A column of distinct whole numbers, the best stand-in for a clock."""
    for column in sample.columns:
        numbers = pd.to_numeric(sample[column], errors="coerce")
        if numbers.notna().all() and numbers.is_unique and (numbers % 1 == 0).all() and len(numbers) > 1:
            return str(column)
    return None


def _complete_outcomes(found: dict[str, Guess], samples: Mapping[str, pd.DataFrame]) -> None:
    """Where what became of the leads stands: in a table of deals, or in a column of the leads themselves."""
    leads = found["leads"]
    sample = samples[leads.table]
    if "deals" not in found or (found["deals"].table == leads.table and leads.clocks):
        flag = next((c for c in sample.columns if re.fullmatch(r"converted|won|is[ _]won|customer", c.lower())), None)
        if flag is None:
            raise Problem(f"Nothing says which leads of {leads.table} became customers: a table of deals is needed, or a column such as 'Converted'.")
        won = [str(v) for v in sample[flag].dropna().unique() if re.fullmatch(_WON, str(v).lower())]
        lead_id = leads.columns.get("lead_id", "lead_id")
        order = leads.clocks["created_at"][0] if leads.clocks else leads.columns.get("created_at", "created_at")
        deals = Guess(leads.table, {"deal_id": lead_id, "lead_id": lead_id}, leads.dates, constants={"outcome": "won"}, attributes=False)
        deals.where[flag] = tuple(won)
        if leads.clocks:
            deals.clocks = {"created_at": (order, 14), "closed_at": (order, 14)}
        else:
            deals.columns |= {"created_at": order, "closed_at": order}
        leads.ignore = (*leads.ignore, flag)
        found["deals"] = deals
        return
    _complete_deals(found["deals"], samples[found["deals"].table], leads)


def _complete_deals(deals: Guess, sample: pd.DataFrame, leads: Guess) -> None:
    matched = {column: deals.columns.get(column, column) for column in _NAMES["deals"] if deals.columns.get(column, column) in sample.columns}
    if "deal_id" not in matched:
        deals.columns["deal_id"] = matched["lead_id"]
    if "outcome" not in matched:
        deals.constants["outcome"] = "won"
    else:
        texts = [str(v) for v in sample[matched["outcome"]].dropna().unique()]
        words = {t: "won" if re.fullmatch(_WON, t.lower()) else "lost" if re.fullmatch(_LOST, t.lower()) else "open" for t in texts}
        if any(theirs != ours for theirs, ours in words.items()):
            deals.values["outcome"] = dict(sorted(words.items()))
    if "created_at" not in matched and "closed_at" in matched:
        deals.columns["created_at"] = matched["closed_at"]
    if deals.table == leads.table:
        deals.attributes = False
        late = [matched[c] for c in ("closed_at", "amount", "outcome") if c in matched]
        leads.ignore = (*leads.ignore, *late)


def _written(folder: Path, found: Mapping[str, Guess], samples: Mapping[str, pd.DataFrame]) -> str:
    lines = [
        "# Written by `leadscore init` after a look at the tables below. Correct what is guessed wrong, then run `leadscore check`.",
        "",
        "[company]",
        'name = "My company"',
        "# Dates without a zone are read in this one; the nightly run is at 2:00 here.",
        'time_zone = "UTC"',
        "",
        "[source]",
        f"location = {_toml(str(folder))}",
        *_closing(found),
        "",
    ]
    for canonical, one in found.items():
        lines += [f"[source.tables.{canonical}]", *_lines(canonical, one, samples[one.table].columns), ""]
    flat = bool(found["leads"].clocks)
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


def _closing(found: Mapping[str, Guess]) -> list[str]:
    if not found["leads"].clocks:
        return []
    return ["# The tables have no dates: until when they are complete is made up here, like the dates below.", "extracted_at = 2024-12-31T00:00:00"]


def _lines(canonical: str, one: Guess, columns: Sequence[str]) -> list[str]:
    lines = [f"table = {_toml(one.table)}"]
    if one.columns:
        lines += ["# our name = your column", f"columns = {_inline(one.columns)}"]
    if one.dates:
        lines.append(f"dates = {_toml(list(one.dates))}")
    if one.constants:
        lines += ["# the table lists only these", f"constants = {_inline(one.constants)}"]
    if one.values:
        lines += ["# what your words mean: won, lost or open", f"values = {{ {', '.join(f'{k} = {_inline(v)}' for k, v in one.values.items())} }}"]
    if one.where:
        lines.append(f"where = {_inline({k: list(v) for k, v in one.where.items()})}")
    if one.clocks:
        first, last = datetime(2024, 1, 1), datetime(2024, 12, 31)
        spread = {
            ours: f"{{ column = {_toml(column)}, first = {first:%Y-%m-%d}, last = {last:%Y-%m-%d}, plus_days = {shift} }}"
            for ours, (column, shift) in one.clocks.items()
        }
        lines.append("# no dates: rows are spread evenly between two days, in the order of a column")
        lines.append(f"clocks = {{ {', '.join(f'{ours} = {clock}' for ours, clock in spread.items())} }}")
    if one.missing:
        lines += ['# texts that mean "not given"', f"missing = {_toml(list(one.missing))}"]
    if one.ignore:
        lines += ["# written after the outcome: never a field of the lead", f"ignore = {_toml(list(one.ignore))}"]
    if not one.attributes:
        lines.append("attributes = false")
    if canonical == "leads":
        steady = [c for c in columns if re.search(r"source|origin|campaign|landing|channel|product", c.lower()) and c not in one.columns.values()]
        lines += [
            "# fields that never change once the lead exists; of all others only today's value is known",
            f"fixed_at_creation = {_toml(steady)}",
        ]
    return lines


def _toml(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_toml(one) for one in value)}]"
    text = str(value)
    return '"' + "".join(_escaped(sign) for sign in text) + '"'


def _escaped(sign: str) -> str:
    if sign in '"\\':
        return "\\" + sign
    return sign if sign.isprintable() else f"\\u{ord(sign):04x}"


def _inline(pairs: Mapping[str, object]) -> str:
    return "{ " + ", ".join(f"{_toml(key)} = {_toml(value)}" for key, value in pairs.items()) + " }"
