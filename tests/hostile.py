"""Names that somebody typed, pasted or planted, and a company in which everything is called so."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from pipelines.crm.mapping import quoted

NAMES: dict[str, str] = {
    "SQL": "x\"; DROP TABLE leads; --'",
    "HTML": "</script><script>alert(1)</script><img src=x onerror=alert(1)>",
    "an entity": "&lt;b&gt;\"'`<!--]]>",
    "a formula": '=HYPERLINK("http://a.example","x")',
    "a command": "=cmd|' /C calc'!A0",
    "a sum behind a separator": "a;@SUM(A1)",
    "a path": "../../../etc/passwd",
    "a path of Windows": "..\\..\\con.xlsx",
    "a terminal's commands": "a\x1b[2J\x1b]0;b\x07c\x9b31m\x08\x7f",
    "lines": "Ann\r\nBcc: eve@company.example\r\n\r\n.",
    "signs that end a line": "a\u2028b\u2029c\x85d",
    "right to left": "\u202egnp.exe\u2066\u200f",
    "a template": "{{7*7}}{value}{company}%s%(x)s${x}{% raw %}{0.__class__}",
    "a name of JavaScript": "__proto__",
    "mathematics of TeX": "$\\frac{x$_^",
    "a quoted cell": '"",""',
    "an emoji and an accent apart": "🙈e\u0301\ufeff",
    "spaces that are none": "b\u00a0\u3000\u200bc",
    "100,000 signs": "y" * 100_000,
    "a megabyte": "z" * 1_000_000,
}
# What the loader takes: a longer text is refused as no value that a person wrote.
KEPT = {what: name for what, name in NAMES.items() if len(name) <= 100_000}
SHORT = {what: name for what, name in NAMES.items() if len(name) < 1_000}


def spoil(folder: Path) -> Path:
    """Name everything in a simulated company by hostile names, as a DuckDB file beside its tables, and write its leadscore.toml.

    Every name stands as the beginning of ids, so that they stay apart, and whole as name, company, value of a category, status, kind, campaign,
    channel and text; as column with values that tell the outcome a little; and all of them together as the names of the tables.
    """
    tables = {path.stem: pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))}
    names, short = list(KEPT.values()), list(SHORT.values())

    def ids(column: pd.Series) -> pd.Series:
        return column.map({one: f"{short[at % len(short)]}{one}" for at, one in enumerate(sorted(column.dropna().unique()))})

    for key in ("lead_id", "account_id", "owner_id", "deal_id", "activity_id"):
        known = pd.concat([table[key] for table in tables.values() if key in table])
        renamed = dict(zip(known, ids(known), strict=True))
        for table in tables.values():
            if key in table:
                table[key] = table[key].map(renamed)
    leads, activities, owners = tables["leads"], tables["activities"], tables["owners"]
    at = np.arange(len(leads))
    leads["name"], leads["company"] = _turns(names, len(leads)), _turns(names[1:], len(leads))
    leads.loc[at % 40 == 7, "name"] = NAMES["a megabyte"]
    leads["status"] = leads["status"].where(leads["status"] != "working", _turns(short, len(leads)))
    values = dict(zip(sorted(leads["source"].dropna().unique()), short, strict=False))
    for number, name in enumerate(short):
        # Each tells a part of what the source of a lead tells, and of some leads nothing.
        leads[f"{name}{number}"] = leads["source"].map(values).where((at + number) % 7 > 0, short[number])
    leads[NAMES["100,000 signs"]] = leads["source"].map(values)
    for column, wanted in (("kind", short), ("channel", short), ("campaign", names), ("text", names)):
        activities[column] = _swapped(activities.get(column), wanted, len(activities))
    owners["name"], owners["team"], owners["email"] = _turns(short, len(owners)), _turns(short[::-1], len(owners)), _turns(short, len(owners))
    changes = tables["lead_changes"]
    changes["field"] = changes["field"].where(changes["field"] != "stage", f"{short[0]}0")
    changes["new_value"] = changes["new_value"].where(changes["field"] != f"{short[0]}0", _turns(short, len(changes)))
    every = "".join(short)
    with duckdb.connect(str(folder / "crm.duckdb")) as connection:
        for table, rows in tables.items():
            connection.register("rows", rows)
            connection.execute(f"CREATE TABLE {quoted(every + table)} AS SELECT * FROM rows")
            connection.unregister("rows")
    return _configured(folder, every, [f"{short[n]}{n}" for n in range(0, len(short), 2)])


def _turns(names: list[str], many: int) -> list[str]:
    return [names[at % len(names)] for at in range(many)]


def _swapped(column: pd.Series | None, names: list[str], many: int) -> list[str]:
    """Every value by a name of its own, as far as there are names; where there is no such column, one name after the other."""
    if column is None:
        return [names[at % 97 % len(names)] for at in range(many)]
    found = {value: names[at % len(names)] for at, value in enumerate(sorted(column.dropna().unique()))}
    return [found.get(value, names[at % 97 % len(names)]) for at, value in enumerate(column)]


def _configured(folder: Path, every: str, fixed: list[str]) -> Path:
    """The configuration, whatever signs are in it: TOML's quoted texts are those of JSON."""
    config, wrote = folder / "leadscore.toml", toml
    tables = "".join(
        f"[source.tables.{table}]\ntable = {wrote(every + table)}\n"
        + (f"fixed_at_creation = [{', '.join(map(wrote, fixed))}]\n" if table == "leads" else "")
        for table in ("leads", "lead_changes", "activities", "deals", "accounts", "owners")
    )
    config.write_text(
        f"[company]\nname = {wrote(every + NAMES['a megabyte'])}\ncurrency = {wrote(every)}\n"
        f'[source]\nlocation = "crm.duckdb"\nextracted_at = 2025-05-15T00:00:00\n{tables}'
        f"[outcome]\nname = {wrote(every)}\nmax_age_days = 365\n"
        f"[list]\nterritory = {wrote(fixed[0])}\nsource = {wrote(fixed[1])}\n"
        '[delivery]\ncrm_link = "https://crm.example/{lead_id}"\n'
        "[training]\ntrials = 0\nfolds = 2\nbags = 1\nevery_days = 21\nmin_conversions = 20\n",
        encoding="utf-8",
    )
    return config


def toml(text: str) -> str:
    """A text as TOML writes it down."""
    escaped = "".join(sign if sign >= " " and sign not in '"\\\x7f' else f"\\u{ord(sign):04x}" for sign in text)
    return f'"{escaped}"'
