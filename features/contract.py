"""What a lead, a change, an activity, a deal and an account row must be, and why a row that is not is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import ibis
import ibis.expr.types as ir

_STAMP = "timestamp(6)"
_SCHEMAS: dict[str, dict[str, str]] = {
    "leads": {
        "lead_id": "string",
        "created_at": _STAMP,
        "known_at": _STAMP,
        "account_id": "string",
        "owner_id": "string",
        "email": "string",
        "name": "string",
        "company": "string",
        "status": "string",
        "unsubscribed": "boolean",
        "do_not_contact": "boolean",
        "merged_into": "string",
        "merged_at": _STAMP,
    },
    "lead_changes": {
        "lead_id": "string",
        "field": "string",
        "old_value": "string",
        "new_value": "string",
        "changed_at": _STAMP,
        "known_at": _STAMP,
    },
    "activities": {
        "activity_id": "string",
        "lead_id": "string",
        "kind": "string",
        "direction": "string",
        "channel": "string",
        "campaign": "string",
        "value": "float64",
        "text": "string",
        "occurred_at": _STAMP,
        "known_at": _STAMP,
    },
    "deals": {
        "deal_id": "string",
        "lead_id": "string",
        "account_id": "string",
        "created_at": _STAMP,
        "outcome": "string",
        "closed_at": _STAMP,
        "amount": "float64",
        "stage": "string",
        "known_at": _STAMP,
    },
    "accounts": {"account_id": "string", "created_at": _STAMP},
    "owners": {"owner_id": "string", "name": "string", "email": "string", "team": "string", "capacity": "int64", "quota": "float64"},
}
SCHEMAS: dict[str, ibis.Schema] = {name: ibis.schema(columns) for name, columns in _SCHEMAS.items()}

REQUIRED: dict[str, tuple[str, ...]] = {
    "leads": ("lead_id", "created_at"),
    "lead_changes": ("lead_id", "field", "changed_at"),
    "activities": ("lead_id", "kind", "occurred_at"),
    "deals": ("deal_id", "lead_id", "created_at", "outcome"),
    "accounts": ("account_id",),
    "owners": ("owner_id",),
}
KEYS: dict[str, tuple[str, ...]] = {
    "leads": ("lead_id",),
    "lead_changes": ("lead_id", "field", "changed_at", "new_value"),
    "activities": ("activity_id",),
    "deals": ("deal_id",),
    "accounts": ("account_id",),
    "owners": ("owner_id",),
}
CLOCKS: dict[str, str] = {"leads": "created_at", "lead_changes": "changed_at", "activities": "occurred_at", "deals": "created_at"}

LONGEST = 100_000
SKEW = timedelta(days=1)
RAW = "raw__"
FUTURE = "lies in the future"


@dataclass(frozen=True)
class Rule:
    """One reason to refuse a row: the column at fault, when it applies, and the words for a person."""

    column: str
    broken: Callable[[ir.Table], ir.BooleanValue]
    reason: str


def rules(table: str, columns: tuple[str, ...], now: datetime) -> list[Rule]:
    """Everything a row of a table must obey on its own, in the order in which it is told.

    Parameters
    ----------
    columns : the texts of the mapped table: `raw__X`, from which the canonical X was read, and attributes under their own name.
    now : the instant of extraction; nothing may have happened later.

    >>> [rule.reason for rule in rules("accounts", ("account_id",), datetime(2025, 1, 1))][0]
    'is longer than 100,000 characters'
    """
    latest = ibis.literal(now, _STAMP)
    schema = SCHEMAS[table]
    found = [Rule(_plain(c), lambda t, c=c: t[c].length() > LONGEST, f"is longer than {LONGEST:,} characters") for c in columns]  # type: ignore[misc]
    found += [Rule(_plain(c), lambda t, c=c: t[c].contains("\x00"), "holds a NUL byte") for c in columns]  # type: ignore[misc]
    for column in REQUIRED[table]:
        found.append(Rule(column, lambda t, c=column: ibis.or_(t[RAW + c].isnull(), t[RAW + c] == ""), "is missing"))  # type: ignore[misc]
    for column, kind in schema.items():
        if RAW + column not in columns or kind.is_string():
            continue
        words = "is not a date that is understood" if kind.is_timestamp() else "is not a value that is understood"
        found.append(Rule(column, lambda t, c=column: ibis.and_(t[RAW + c].notnull(), t[c].isnull()), words))  # type: ignore[misc]
        if kind.is_timestamp():
            found.append(Rule(column, lambda t, c=column: t[c] > latest, FUTURE))  # type: ignore[misc]
        if kind.is_floating():
            found.append(Rule(column, lambda t, c=column: ibis.or_(t[c].isnan(), t[c].isinf()), "is not a finite number"))  # type: ignore[misc]
    return found + _DEALS * (table == "deals")


_DEALS = [
    Rule("outcome", lambda t: t.outcome.notin(["open", "won", "lost"]), "is none of open, won, lost"),
    Rule("closed_at", lambda t: ibis.and_(t.outcome.isin(["won", "lost"]), t.closed_at.isnull()), "is missing although the deal is closed"),
    Rule("amount", lambda t: t.amount < 0, "is negative"),
    Rule("closed_at", lambda t: t.closed_at < t.created_at, "lies before the deal was created"),
]


def _text(mapped: ir.Table, column: str) -> ir.StringValue:
    """What stood there: beside a canonical column in `raw__`, of an attribute itself."""
    there = [name for name in (RAW + column, column) if name in mapped.columns]
    return mapped[there[0]].cast("string") if there else ibis.null("string")


def _plain(column: str) -> str:
    return column.removeprefix(RAW)


def lead_rules(table: str) -> list[Rule]:
    """What a row must obey beside its lead, joined as `lead_there` (its id) and `lead_created`."""
    clock = {"activities": "occurred_at", "lead_changes": "changed_at", "deals": "closed_at"}.get(table)
    if clock is None:
        return []
    skew = ibis.interval(days=SKEW.days)
    words = "lies before its lead was created" if table != "deals" else "lies before the deal's lead was created"
    return [
        Rule("lead_id", lambda t: t.lead_there.isnull(), "names a lead that is not in leads"),
        Rule(clock, lambda t: t[clock] < t.lead_created - skew, words),
    ]


def refusals(mapped: ir.Table, broken: list[Rule]) -> ir.Table:
    """The rows that break a rule, each with the first rule it breaks.

    Returns
    -------
    row (its number in the source), column, value (the text that was there, clipped), reason.
    """
    hits = [(rule.broken(mapped).fill_null(False), number) for number, rule in enumerate(broken)]
    first = ibis.cases(*hits, else_=-1)
    judged = mapped.mutate(_rule=first)
    judged = judged.filter(judged._rule >= 0)
    text = [(judged._rule == n, _text(judged, rule.column).substr(0, 200)) for n, rule in enumerate(broken)]
    return judged.select(
        row="row",
        column=ibis.cases(*((judged._rule == n, rule.column) for n, rule in enumerate(broken)), else_=""),
        value=ibis.cases(*text, else_=ibis.null("string")),
        reason=ibis.cases(*((judged._rule == n, rule.reason) for n, rule in enumerate(broken)), else_=""),
    )
