"""A made-up company in HubSpot, as far as it has come by an instant: contacts, deals, what was done with them, and every change of a field."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import duckdb

from tests.pipelines.crm.vendors.hubspot import HubSpotVendor, account, stamp

_KINDS = {"call": "calls", "reply": "emails", "meeting": "meetings"}
# Nobody writes to them or calls them: what one more touch would change takes a third of a night to ask, and writes nothing.
_DIRECTIONS = {"call": {"hs_call_direction": "INBOUND"}, "reply": {"hs_email_direction": "INCOMING_EMAIL"}}
_FIELDS = {"status": "hs_lead_status", "job_title": "jobtitle"}
_FATES = {"won": ("closedwon", "true"), "lost": ("closedlost", "false")}
Change = tuple[datetime, int, Callable[[HubSpotVendor], None]]


class Account:
    """One account that lives through the company's days.

    Parameters
    ----------
    folder : the tables that `simulate` wrote; what is malformed in them has no place in HubSpot, and is left out.
    """

    def __init__(self, folder: Path) -> None:
        self.vendor = account(contacts=0, page=25)
        self.vendor.records.clear()
        self.vendor.associations.clear()
        self._coming = sorted(_changes(folder), key=lambda change: change[:2])

    def advance(self, until: datetime) -> None:
        """Let happen what happened before an instant."""
        happened = [change for change in self._coming if change[0] < until]
        for _, _, change in happened:
            change(self.vendor)
        del self._coming[: len(happened)]

    def scores(self) -> dict[int, dict[str, str]]:
        """What was written back to each contact."""
        held = {n: one["held"] for n, one in self.vendor.records["contacts"].items()}
        return {n: {name: value for name, value in one.items() if name.startswith("leadscore_")} for n, one in held.items()}


def _changes(folder: Path) -> Iterator[Change]:
    """Everything that happens, each with its instant; what happens to a contact that is not there yet has no place either."""
    raw = duckdb.connect()
    raw.execute("CREATE MACRO instant(t) AS try_cast(t AS TIMESTAMP)")
    for name in ("leads", "lead_changes", "activities", "deals"):
        raw.execute(f"CREATE TABLE {name} AS SELECT *, row_number() OVER () AS row FROM read_parquet('{folder / name}.parquet')")
    raw.execute(
        "CREATE TABLE contacts AS SELECT DISTINCT ON (lead_id) *, try_cast(substr(lead_id, 2) AS INTEGER) + 1 AS n, instant(created_at) AS came"
        " FROM leads WHERE n IS NOT NULL AND came IS NOT NULL ORDER BY lead_id, row"
    )
    for n, came, name, title, source, owner in raw.execute("SELECT n, came, name, job_title, source, owner_id FROM contacts").fetchall():
        first, _, last = name.partition(" ")
        known: dict[str, Any] = {"firstname": first, "lastname": last, "jobtitle": title, "hs_analytics_source": source, "hs_lead_status": "new"}
        known["hubspot_owner_id"] = str(71 + int(owner[1:]) % 3)
        yield came, 0, partial(HubSpotVendor.put, kind="contacts", number=n, moment=came, **known)
    for n, then, column, value in _rows(raw, "lead_changes", "changed_at", "t.field, t.new_value"):
        if column in _FIELDS:
            yield then, 1, partial(HubSpotVendor.put, kind="contacts", number=n, moment=then, **dict[str, Any]({_FIELDS[column]: value}))
    for n, then, row, kind in _rows(raw, "activities", "known_at", "t.row, t.kind"):
        if kind in _KINDS:
            yield then, 2, partial(_done, kind=kind, number=10_000 + row, contact=n, moment=then)
    for n, then, row, outcome, closed, amount in _rows(raw, "deals", "created_at", "t.row, t.outcome, instant(t.closed_at), t.amount"):
        yield then, 3, partial(_opened, number=row, contact=n, moment=then, amount=str(amount))
        if outcome in _FATES and closed is not None:
            yield closed, 4, partial(_closed, number=row, moment=closed, outcome=outcome)


def _rows(raw: duckdb.DuckDBPyConnection, table: str, clock: str, wanted: str) -> list[tuple[Any, ...]]:
    """Of what happened with a contact that was there: its number, the instant, and what is wanted."""
    there = f"{table} t JOIN contacts c USING (lead_id)"
    return raw.execute(f"SELECT n, instant(t.{clock}) AS moment, {wanted} FROM {there} WHERE moment > c.came ORDER BY moment, t.row").fetchall()


def _done(vendor: HubSpotVendor, kind: str, number: int, contact: int, moment: datetime) -> None:
    vendor.put(_KINDS[kind], number, moment, hs_timestamp=stamp(moment), hs_createdate=stamp(moment), **_DIRECTIONS.get(kind, {}))
    vendor.associations[_KINDS[kind], number] = [contact]


def _opened(vendor: HubSpotVendor, number: int, contact: int, moment: datetime, amount: str) -> None:
    vendor.put("deals", number, moment, dealstage="qualifiedtobuy", hs_is_closed="false", hs_is_closed_won="false", amount=amount)
    vendor.associations["deals", number] = [contact]


def _closed(vendor: HubSpotVendor, number: int, moment: datetime, outcome: str) -> None:
    stage, won = _FATES[outcome]
    vendor.put("deals", number, moment, dealstage=stage, hs_is_closed="true", hs_is_closed_won=won, closedate=stamp(moment))
