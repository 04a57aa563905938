"""What a flow tells when it is done: the same facts in words for people and as JSON for machines."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

# What would move a terminal's cursor, colour it, end a line, turn the reading direction, or not be text at all.
_COMMANDS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")
# Of a cell of a table so many signs: one name must not push every other off the screen.
_LONGEST = 200


@dataclass(frozen=True)
class Report:
    """The facts of a run, a table of them, and the sentences a person should read.

    Parameters
    ----------
    flow : which flow ran.
    facts : name -> value, in the order they are told.
    rows : a table, one dictionary a row, shown under the facts.
    notices : sentences about what was refused, left out, or to be minded.
    refused : whether something was quarantined or refused; the command then leaves with 3.
    failed : whether the rest could not be done; what was done stays, and the command leaves with 1.

    >>> print(Report("score", {"open leads": 2, "listed": 1}, notices=("1 lead has no owner.",)).text())
    score: open leads 2, listed 1
    - 1 lead has no owner.
    """

    flow: str
    facts: dict[str, Any] = field(default_factory=dict)
    rows: tuple[dict[str, Any], ...] = ()
    notices: tuple[str, ...] = ()
    refused: bool = False
    failed: bool = False

    def to_dict(self) -> dict[str, Any]:
        """One JSON object."""
        told = {"flow": self.flow, **self.facts, "rows": list(self.rows), "notices": list(self.notices), "refused": self.refused}
        return {**told, "failed": True} if self.failed else told

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Report:
        """What `to_dict` told."""
        own = ("flow", "rows", "notices", "refused", "failed")
        facts = {name: value for name, value in told.items() if name not in own}
        return cls(told["flow"], facts, tuple(told["rows"]), tuple(told["notices"]), told["refused"], told.get("failed", False))

    def also(self, *notices: str) -> Report:
        """The same, with more to say."""
        return replace(self, notices=(*self.notices, *notices))

    def text(self) -> str:
        """Words for a person; whatever a name holds, a line stays a line and the terminal obeys none of it."""
        head = f"{self.flow}: " + ", ".join(f"{name} {_said(value)}" for name, value in self.facts.items())
        return "\n".join([head, *_table(self.rows), *(f"- {_said(notice)}" for notice in self.notices)])


def combined(reports: Mapping[str, Report]) -> Report:
    """The reports of one flow for several outcomes as one, every fact, row and sentence under the outcome's name; a sentence they share stands once.

    >>> night = Report("score", {"listed": 1}, notices=("3 rows were refused.",))
    >>> print(combined({"default": night, "churn": night}).text())
    score: default: listed 1, churn: listed 1
    - 3 rows were refused.
    """
    shared = [notice for notice in next(iter(reports.values())).notices if all(notice in one.notices for one in reports.values())]
    own = [f"{name}: {notice}" for name, one in reports.items() for notice in one.notices if notice not in shared]
    return Report(
        next(iter(reports.values())).flow,
        {f"{name}: {fact}": value for name, one in reports.items() for fact, value in one.facts.items()},
        tuple({"outcome": name, **row} for name, one in reports.items() for row in one.rows),
        (*own, *shared),
        refused=any(one.refused for one in reports.values()),
        failed=any(one.failed for one in reports.values()),
    )


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3f}"
    return plain(str(value))


def plain(text: str) -> str:
    """A text on one line, of which a terminal obeys nothing.

    >>> plain("Ann\\n\\x1b[2JBob")
    'Ann [2JBob'
    """
    return _COMMANDS.sub(" ", text)


def _cell(value: Any) -> str:
    said = _said(value)
    return said if len(said) <= _LONGEST else f"{said[: _LONGEST - 1]}…"


def _table(rows: tuple[dict[str, Any], ...]) -> list[str]:
    """Rows as aligned columns, numbers to the right."""
    if not rows:
        return []
    cells = [[_cell(row.get(name, "")) for name in rows[0]] for row in rows]
    widths = [max(len(line[i]) for line in [list(rows[0]), *cells]) for i in range(len(rows[0]))]
    numeric = [isinstance(value, int | float) and not isinstance(value, bool) for value in rows[0].values()]

    def line(texts: list[str]) -> str:
        aligned = [t.rjust(w) if n else t.ljust(w) for t, w, n in zip(texts, widths, numeric, strict=True)]
        return ("  " + "  ".join(aligned)).rstrip()

    return [line(list(rows[0])), *map(line, cells)]
