"""Every way in which the product and a vendor meet, as one thing that a test can disturb: read all, read what changed, write back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.crm import dynamics, hubspottarget, salesforcetarget
from pipelines.crm.base import CrmSource, Unreachable
from pipelines.crm.hubspot import HubSpot
from pipelines.crm.hubspotclient import HubSpotClient
from pipelines.crm.salesforce import Salesforce
from pipelines.crm.salesforceapi import Connection
from pipelines.crm.writeback import Target, Update, Written, write_back
from pipelines.outbox import Outbox
from pipelines.warehouse import Warehouse
from tests.pipelines.crm.vendors import dynamics as dynamicsvendor
from tests.pipelines.crm.vendors import hubspot as hubspotvendor
from tests.pipelines.crm.vendors import salesforce as salesforcevendor
from tests.pipelines.crm.vendors.salesforcecompany import company, lead

NIGHT, ROWS = datetime(2025, 6, 1, 2), 12
Sleep = Callable[[float], None]
Rows = dict[str, list[tuple[str | None, ...]]]


@dataclass(frozen=True)
class Connector:
    """One of them.

    Parameters
    ----------
    vendor : makes a vendor that nobody has spoken to.
    use : does all of it, with the vendor at a URL; a folder keeps what is written down.
    right : whether this came of it, and this is what the vendor holds then.
    token : the variable whose secret is to be renewed.
    places : of the vendor's API, all of which are asked for on the way.
    """

    vendor: Callable[[], Any]
    use: Callable[[str, Sleep, Path], Any]
    right: Callable[[Any, Any], bool]
    token: str
    places: tuple[str, ...]


def _hubspot(url: str, sleep: Sleep) -> HubSpotClient:
    return HubSpotClient(hubspotvendor.TOKEN, url, sleep)


def _salesforce(url: str, sleep: Sleep) -> Connection:
    names = {"INSTANCE_URL": url, "CLIENT_ID": salesforcevendor.CLIENT_ID, "CLIENT_SECRET": salesforcevendor.CLIENT_SECRET}
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("SALESFORCE_ACCESS_TOKEN", raising=False)
        for name, value in names.items():
            environment.setenv(f"SALESFORCE_{name}", value)
        return Connection(sleep)


def _read(source: CrmSource, since: datetime | None = None) -> Rows:
    """Every row of every table, without its number."""
    found: Rows = {}
    for table in source.tables():
        cursor = next((one for one in _CURSORS if one in source.columns(table)), None) if since else None
        pieces = [piece.drop_columns(["row"]).to_pylist() for piece, _ in source.pieces(table, cursor, since)]
        found[table] = sorted((tuple(row.values()) for piece in pieces for row in piece), key=repr)
    return found


def _written(target: Target, ids: Sequence[str], folder: Path) -> Written:
    """A night handed back; what waits is told as what it waits for."""
    target.batch = 5
    target.prepare(may_create=True)
    updates = [Update(one, 40 + n, "B", n, "was active", NIGHT, 0.4, 0.1) for n, one in enumerate(ids, start=1)]
    with Warehouse.open(str(folder / "w.duckdb")) as warehouse:
        done = write_back(target, updates, Outbox(warehouse, "default", NIGHT, target.name, "", NIGHT), lambda share, words: None)
    if done.unreachable:
        raise Unreachable(done.unreachable)
    return done


def _hands_back_to_hubspot(url: str, sleep: Sleep, folder: Path) -> Written:
    return _written(hubspottarget.HubSpotTarget(_hubspot(url, sleep), "contacts", hubspottarget.FIELDS), _CONTACTS, folder)


def _hands_back_to_salesforce(url: str, sleep: Sleep, folder: Path) -> Written:
    return _written(salesforcetarget.SalesforceTarget(_salesforce(url, sleep)), _LEADS, folder)


def _hands_back_to_dynamics(url: str, sleep: Sleep, folder: Path) -> Written:
    return _written(dynamics.DynamicsTarget(url, f"{url}/token", "app", dynamicsvendor.SECRET, sleep=sleep), _GUIDS, folder)


# The instant of the second import.
_BEFORE = datetime(2025, 1, 22)
_CONTACTS = [str(n) for n in range(1, ROWS + 1)]
_LEADS = [lead(n) for n in range(40, 40 + ROWS)]
_GUIDS = [f"00aa00aa-bb11-cc22-dd33-{n:012d}" for n in range(1, ROWS + 1)]
_SCORES = [40 + n for n in range(1, ROWS + 1)]
# What a table has of these rises when a row of it changes.
_CURSORS = ("modified_at", "changed_at", "lastmodifieddate", "hs_lastmodifieddate", "SystemModstamp", "CreatedDate")


def _account() -> hubspotvendor.HubSpotVendor:
    return hubspotvendor.account(contacts=ROWS, page=5)


def _counts(**counts: int) -> Callable[[Any, Rows], bool]:
    return lambda vendor, rows: {table: (len(held), len(set(held))) for table, held in rows.items()} == {t: (n, n) for t, n in counts.items()}


def _all_sent(done: Written) -> bool:
    return (done.rows, done.sent + done.unchanged, done.refused, done.waiting) == (ROWS, ROWS, (), 0)


CONNECTORS: dict[str, Connector] = {
    "HubSpot is read": Connector(
        _account,
        lambda url, sleep, folder: _read(HubSpot(_hubspot(url, sleep))),
        _counts(companies=6, contact_changes=65, contacts=12, deals=12, engagements=10, owners=3),
        "HUBSPOT_ACCESS_TOKEN",
        ("GET properties/*", "GET objects/*", "POST associations/*/contacts/batch/read", "GET owners"),
    ),
    "HubSpot's changes are read": Connector(
        _account,
        lambda url, sleep, folder: _read(HubSpot(_hubspot(url, sleep)), hubspotvendor.START - timedelta(days=1)),
        _counts(companies=6, contact_changes=65, contacts=12, deals=12, engagements=10, owners=3),
        "HUBSPOT_ACCESS_TOKEN",
        ("GET properties/*", "POST objects/*/search", "POST objects/*/batch/read", "POST associations/*/contacts/batch/read", "GET owners"),
    ),
    "Salesforce is read": Connector(
        company,
        lambda url, sleep, folder: _read(Salesforce(_salesforce(url, sleep))),
        _counts(Account=5, Contact=31, Lead=100, Opportunity=34, OpportunityHistory=1, User=2, activities=51, contact_changes=0, lead_changes=43),
        "SALESFORCE_CLIENT_SECRET",
        ("POST oauth2/token", "GET sobjects", "GET sobjects/*/describe", "GET queryAll", "GET query/*"),
    ),
    "Salesforce's changes are read": Connector(
        company,
        lambda url, sleep, folder: _read(Salesforce(_salesforce(url, sleep)), _BEFORE),
        # Of the leads, the second of two imports and what came after, and that two were deleted; deals and what was done are all newer.
        _counts(Account=0, Contact=31, Lead=55, Opportunity=34, OpportunityHistory=1, User=0, activities=51, contact_changes=0, lead_changes=2),
        "SALESFORCE_CLIENT_SECRET",
        ("POST oauth2/token", "GET sobjects", "GET sobjects/*/describe", "GET queryAll", "GET query/*"),
    ),
    "HubSpot is written": Connector(
        _account,
        _hands_back_to_hubspot,
        lambda vendor, done: (
            _all_sent(done) and [vendor.records["contacts"][int(n)]["held"]["leadscore_score"] for n in _CONTACTS] == [*map(str, _SCORES)]
        ),
        "HUBSPOT_ACCESS_TOKEN",
        ("GET properties/*", "POST properties/*", "POST objects/*/batch/update"),
    ),
    "Salesforce is written": Connector(
        company,
        _hands_back_to_salesforce,
        lambda vendor, done: _all_sent(done) and [vendor.things["Lead"].records[one]["leadscore_score__c"] for one in _LEADS] == _SCORES,
        "SALESFORCE_CLIENT_SECRET",
        ("POST oauth2/token", "GET sobjects/*/describe", "GET tooling/query", "POST tooling/sobjects/CustomField", "PATCH composite/sobjects"),
    ),
    "Dynamics 365 is written": Connector(
        dynamicsvendor.DynamicsVendor,
        _hands_back_to_dynamics,
        lambda vendor, done: _all_sent(done) and [vendor.scores[one, "lead"]["msdyn_score"] for one in _GUIDS] == _SCORES,
        "DYNAMICS_CLIENT_SECRET",
        ("POST /token", "GET msdyn_predictivescores", "POST $batch"),
    ),
}
