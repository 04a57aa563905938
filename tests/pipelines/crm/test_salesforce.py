"""Whatever a Salesforce does while it is read, the warehouse holds its rows: none lost, none twice, every one accounted for."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from features.problem import Problem
from pipelines.crm.base import Unreachable
from pipelines.crm.load import Load, load
from pipelines.crm.salesforce import Salesforce
from pipelines.crm.salesforceapi import Connection
from pipelines.crm.tables import open_source
from pipelines.rehearsal import rehearse_extract
from pipelines.settings import Settings, read_settings
from pipelines.warehouse import Warehouse
from tests.pipelines.crm.vendors.loopback import Answer
from tests.pipelines.crm.vendors.salesforce import SalesforceVendor, at, error
from tests.pipelines.crm.vendors.salesforcecompany import contact, deal, event, history, lead, put, reached, role, task, user

EXAMPLES = Path(__file__).parents[3] / "examples" / "salesforce"
NOW = datetime(2025, 6, 1)
DISTURBED = ("Lead", "Opportunity", "Task", "LeadHistory")


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Iterator[SalesforceVendor]:
    with reached(monkeypatch) as there:
        yield there


def _opened(slept: list[float] | None = None) -> Salesforce:
    return Salesforce(Connection(sleep=(slept if slept is not None else list[float]()).append))


def _settings(name: str = "leadscore.toml", full: bool = False) -> Settings:
    """The ready mapping; `full` reads every table whole. Nothing older than the newest row is read again."""
    settings = read_settings(EXAMPLES / name)
    tables = {table: spec.model_copy(update={"cursor": None} if full else {}) for table, spec in settings.source.tables.items()}
    return settings.model_copy(update={"source": settings.source.model_copy(update={"tables": tables, "overlap_days": 0.0})})


def _loaded(warehouse: Warehouse, source: Salesforce, settings: Settings, now: datetime = NOW) -> dict[str, tuple[int, int, int, int]]:
    """Rows in, clean, quarantined, superseded by table."""
    done: Load = load(settings, source, warehouse, now, lambda share, words: None)
    for one in done.tables:
        assert one.rows_in == one.clean + one.quarantined + one.superseded
    return {one.table: (one.rows_in, one.clean, one.quarantined, one.superseded) for one in done.tables}


def _rows(warehouse: Warehouse, columns: str, table: str) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = warehouse.raw.execute(f"SELECT {columns} FROM {table} ORDER BY ALL").fetchall()
    return rows


def _day(day: int, second: int = 0) -> datetime:
    return datetime.fromisoformat(at(day, second)).replace(tzinfo=None)


def _see_whole(warehouse: Warehouse, vendor: SalesforceVendor) -> None:
    """What is in the warehouse is what is in Salesforce."""
    leads = vendor.things["Lead"].records.values()
    assert _rows(warehouse, 'lead_id, status, owner_id, merged_into, CAST("Staff__c" AS DOUBLE)', "leads") == sorted(
        ((one["Id"], one["Status"], one["OwnerId"], one["MasterRecordId"], one["Staff__c"]) for one in leads), key=lambda row: row[0]
    )
    # Deal 30 is a later one of the contact that lead 0 became; 31 is of a contact that was never a lead, 32 of nobody, 33 is deleted.
    states = [*[(n, "won") for n in range(15)], *[(n, "lost") for n in range(15, 25)], *[(n, "open") for n in range(25, 31)]]
    # CloseDate is a day; it stands in where Salesforce did not keep when the stage changed.
    closed = [(_day(60, 30) if n % 2 else datetime(2025, 3, 1)) if state != "open" else None for n, state in states]
    assert _rows(warehouse, "deal_id, lead_id, outcome, closed_at, amount", "deals") == [
        (deal(n), lead(0 if n == 30 else n), state, when, 100.25) for (n, state), when in zip(states, closed, strict=True)
    ]
    kinds = [
        (task(n), lead(n), "call" if n % 4 == 0 else "email", "in" if n % 4 == 0 else "out", _day(40, n) if n % 2 else _day(42)) for n in range(40)
    ]
    kinds.append((task(44), lead(5), "offer", "out", _day(41)))
    events = [(event(n), lead(60 + n), "demo", "out", _day(45 + n)) for n in range(8)]
    assert _rows(warehouse, "activity_id, lead_id, kind, direction, occurred_at", "activities") == kinds + events
    changes = [(lead(30 + n), "status", "Open", "Working", _day(15, n)) for n in range(40)]
    others = [(lead(30), "owner_id", user(1), user(0), _day(16)), (lead(98), "status", "Working", "disqualified", _day(100))]
    others.append((lead(99), "merged_into", None, lead(97), _day(101)))
    assert _rows(warehouse, "lead_id, field, old_value, new_value, changed_at", "lead_changes") == sorted(changes + others)
    assert _rows(warehouse, "owner_id, name", "owners") == [(user(0), "Rep 0"), (user(1), "Rep 1")]


WHOLE = {"owners": (2, 2, 0, 0), "leads": (100, 100, 0, 0), "lead_changes": (43, 43, 0, 0), "activities": (49, 49, 0, 0), "deals": (31, 31, 0, 0)}


def _orders(order: Callable[[list[int]], list[int]]) -> Callable[[SalesforceVendor], None]:
    return lambda vendor: vendor.orders.update(dict.fromkeys(DISTURBED, order))


def _breaks(page: int, said: Callable[[SalesforceVendor], Answer | None]) -> Callable[[SalesforceVendor], None]:
    return lambda vendor: vendor.breaks.update({(name, page): lambda: said(vendor) for name in DISTURBED})


def _session_ends(vendor: SalesforceVendor) -> Answer:
    vendor.end_session()
    return error(401, "INVALID_SESSION_ID", "Session expired or invalid")


def _both(*faults: Callable[[SalesforceVendor], None]) -> Callable[[SalesforceVendor], None]:
    return lambda vendor: [fault(vendor) for fault in faults] and None


EXPIRED = lambda vendor: error(400, "INVALID_QUERY_LOCATOR", "invalid query locator")  # noqa: E731
SWAPPED = _orders(lambda pages: [0, 2, 1, *pages[3:]])
FAULTS: dict[str, Callable[[SalesforceVendor], None]] = {
    "nothing": lambda vendor: None,
    "429 with Retry-After": _breaks(1, lambda vendor: error(429, "TOO_MANY", "slow down", Retry_After="7")),
    "503": _breaks(2, lambda vendor: error(503, "SERVER_UNAVAILABLE", "busy")),
    "500 within page 3": _breaks(2, lambda vendor: error(500, "UNKNOWN_EXCEPTION", "An unexpected error occurred")),
    "too many long calls at once": _breaks(1, lambda vendor: error(403, "REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests Limit exceeded.")),
    "connection lost within page 3": _breaks(2, lambda vendor: Answer(200, cut=True)),
    "connection dropped before page 2": _breaks(1, lambda vendor: Answer(None)),
    "an answer that is no JSON": _breaks(1, lambda vendor: Answer(200, b"<html>maintenance</html>")),
    "session ends between pages": _breaks(2, _session_ends),
    "a page twice": _orders(lambda pages: [0, 1, 1, *pages[2:]]),
    "an early page once more at the end": _orders(lambda pages: [*pages, 0]),
    "pages out of order": SWAPPED,
    "pages backwards": _orders(lambda pages: pages[::-1]),
    "a page lost": _orders(lambda pages: [0, *pages[2:]]),
    "the last page lost": _orders(lambda pages: pages[:-1]),
    "an empty page that leads to the next": lambda vendor: vendor.empty.update(DISTURBED),
    "pages at another address": lambda vendor: setattr(vendor, "root", f"http://elsewhere.example{vendor.root}"),
    "cursor expired": _breaks(2, EXPIRED),
    "cursor expired amid one stamp, twice": _both(_breaks(1, EXPIRED), _breaks(2, EXPIRED)),
    "cursor expired while pages were out of order": _both(SWAPPED, _breaks(2, EXPIRED)),
    "cursor expired after a page came twice": _both(_orders(lambda pages: [0, 1, 0, 1, *pages[2:]]), _breaks(3, EXPIRED)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_no_fault_loses_or_doubles_a_row(vendor: SalesforceVendor, fault: str, tmp_path: Path) -> None:
    FAULTS[fault](vendor)
    with Warehouse.open(str(tmp_path / "w.duckdb")) as warehouse:
        assert _loaded(warehouse, _opened(), _settings(full=True)) == WHOLE
        _see_whole(warehouse, vendor)
    assert not vendor.breaks, "the fault came"
    assert not vendor.orders, "the fault came"


@pytest.mark.parametrize("fault", FAULTS)
def test_no_fault_says_a_secret(vendor: SalesforceVendor, fault: str, capfd: pytest.CaptureFixture[str], every_log: pytest.LogCaptureFixture) -> None:
    FAULTS[fault](vendor)
    source = _opened()
    for table in source.tables():
        assert all("CANARY" not in str(piece) for piece, _ in source.pieces(table))
    out, err = capfd.readouterr()
    assert "CANARY" not in out + err + every_log.text
    assert "queryAll" in every_log.text


def test_tables_and_columns_are_those_of_the_vendor(vendor: SalesforceVendor) -> None:
    source = _opened()
    listed = ["Account", "Contact", "Lead", "Opportunity", "OpportunityHistory", "User", "activities", "contact_changes", "lead_changes"]
    assert source.tables() == listed
    # An address comes in its parts; it is no text itself.
    assert "Address" not in source.columns("Lead")
    assert source.columns("Opportunity")[-7:] == ["lead_id", "contact_id", "has_lead", "has_contact", "outcome", "closed_at", "changed_at"]
    assert [row["StageName"] for piece, _ in source.pieces("OpportunityHistory") for row in piece.to_pylist()] == ["Signed"]
    with pytest.raises(Problem, match="There is no table Leads in Salesforce, only Account, Contact"):
        source.columns("Leads")
    with pytest.raises(Problem, match="Lead has no column 'Changed', which its `cursor` names"):
        list(source.pieces("Lead", "Changed"))


def test_the_vendor_tells_how_many_rows_there_are(vendor: SalesforceVendor) -> None:
    source = _opened()
    # Events 8 and 9 are to come and a copy, tasks 40 and 41 open and a series.
    assert [source.size(table) for table in ("Lead", "activities", "lead_changes")] == [100, 43 + 8, None]


def test_fields_that_do_not_fit_into_one_address_are_read_in_parts(vendor: SalesforceVendor) -> None:
    many = {f"An_unusually_long_name_of_a_custom_field_{n:03}__c": n for n in range(400)}
    for name, number in many.items():
        vendor.things["Lead"].fields[name] = {"name": name, "type": "double"}
        for place, record in enumerate(vendor.things["Lead"].records.values()):
            record[name] = place * 1000 + number
    rows = [row for piece, _ in _opened().pieces("Lead") for row in piece.to_pylist()]
    assert sorted(row["Id"] for row in rows) == [lead(n) for n in range(100)]
    for row in rows:
        place = int(row["Id"][3:15])
        assert {name: row[name] for name in many} == {name: str(place * 1000 + number) for name, number in many.items()}
    assert max(len(url) for _, url in vendor.asked) <= 12_000


def test_the_next_read_brings_what_changed_and_nothing_else(vendor: SalesforceVendor, tmp_path: Path) -> None:
    with Warehouse.open(str(tmp_path / "w.duckdb")) as warehouse:
        assert _loaded(warehouse, _opened(), _settings()) == WHOLE
        _see_whole(warehouse, vendor)
        put(vendor, "Lead", lead(50), Status="Nurturing", SystemModstamp=at(152))
        put(vendor, "Lead", lead(100), Name="New", Status="New", OwnerId=user(0), Staff__c=1.5, CreatedDate=at(152), SystemModstamp=at(152))
        put(vendor, "Opportunity", deal(29), IsClosed=True, IsWon=True, LastStageChangeDate=at(152), SystemModstamp=at(152))
        # The deal itself stays as it was: only a role of it is new, and names a contact that once was lead 5.
        put(vendor, "OpportunityContactRole", role(91), OpportunityId=deal(32), ContactId=contact(5), CreatedDate=at(152), SystemModstamp=at(152))
        put(vendor, "Task", task(40), IsClosed=True, CompletedDateTime=at(152), SystemModstamp=at(152))
        # Nobody touched this event: it took place.
        put(vendor, "Event", event(8), StartDateTime=at(151))
        put(vendor, "LeadHistory", history(50), LeadId=lead(50), Field="Status", DataType="Text", NewValue="Nurturing", CreatedDate=at(152))
        vendor.today = at(153)
        counts = _loaded(warehouse, _opened(), _settings(), datetime(2025, 6, 4))
        # The rows with the newest stamp of the read before are read once more, because others may have the same: two owners and one of each other.
        assert {table: rows for table, (rows, *_) in counts.items()} == {"owners": 2, "leads": 3, "lead_changes": 2, "activities": 3, "deals": 3}
        assert _rows(warehouse, "lead_id, status", "leads WHERE status IN ('Nurturing', 'New')") == [
            (lead(50), "Nurturing"),
            (lead(100), "New"),
        ]
        found = _rows(warehouse, "deal_id, lead_id, outcome, closed_at", f"deals WHERE deal_id >= '{deal(29)}'")
        assert found == [
            (deal(29), lead(29), "won", _day(152)),
            (deal(30), lead(0), "open", None),
            (deal(32), lead(5), "open", None),
        ]
        assert _rows(warehouse, "occurred_at", f"activities WHERE activity_id = '{event(8)}'") == [(_day(151),)]
        assert [len(_rows(warehouse, "*", table)) for table in ("leads", "deals", "activities")] == [101, 32, 51]


def test_a_row_that_changes_while_it_is_read_is_kept_as_it_is_now(vendor: SalesforceVendor, tmp_path: Path) -> None:
    def changed(of: SalesforceVendor) -> Answer:
        put(of, "Lead", lead(3), Status="Nurturing", SystemModstamp=at(140))
        return EXPIRED(of)

    vendor.breaks[("Lead", 4)] = lambda: changed(vendor)
    with Warehouse.open(str(tmp_path / "w.duckdb")) as warehouse:
        counts = _loaded(warehouse, _opened(), _settings(full=True))
        assert counts == {**WHOLE, "leads": (101, 100, 0, 1)}
        _see_whole(warehouse, vendor)


def test_an_older_version_that_comes_late_does_not_replace_the_newer(vendor: SalesforceVendor, tmp_path: Path) -> None:
    stale = dict(vendor.things["Lead"].records[lead(3)])
    put(vendor, "Lead", lead(3), Status="Nurturing", SystemModstamp=at(140))
    with Warehouse.open(str(tmp_path / "w.duckdb")) as warehouse:
        # It comes behind all others, though its stamp says that it belongs between them.
        vendor.appended["Lead"] = [stale]
        assert _loaded(warehouse, _opened(), _settings(full=True)) == WHOLE
        assert not vendor.appended
        _see_whole(warehouse, vendor)


def test_rows_that_never_come_are_told_and_nothing_is_kept(vendor: SalesforceVendor, tmp_path: Path) -> None:
    class Forgetful(dict[str, Any]):
        def pop(self, *key: Any) -> Any:
            return lambda pages: [0, *pages[2:]]

    vendor.orders = Forgetful({"Lead": None})
    with Warehouse.open(str(tmp_path / "w.duckdb")) as warehouse:
        with pytest.raises(Unreachable, match="Salesforce says that Lead has 100 rows here, and gave 90: run again later"):
            _loaded(warehouse, _opened(), _settings(full=True))
        assert not warehouse.has("leads")


def test_a_vendor_that_never_comes_to_an_end_is_left(vendor: SalesforceVendor) -> None:
    class Endless(list[int]):
        def __iter__(self) -> Iterator[int]:
            return iter([0, 1, *([2] * 2000)])

    vendor.page = 24
    vendor.orders["Lead"] = Endless
    with pytest.raises(Unreachable, match="Salesforce gave rows of Lead again and again, and never the last: run again later"):
        list(_opened().pieces("Lead"))


@pytest.mark.parametrize(
    ("dates", "closed"),
    [
        ({"LastStageChangeDate": at(60), "CloseDate": "2026-01-01"}, at(60)),
        ({"CloseDate": "2025-02-20"}, "2025-02-20"),
        ({"CloseDate": "2025-02-01"}, at(31)),
        ({"CloseDate": "2026-01-01"}, at(61)),
        ({"CloseDate": None}, at(31)),
    ],
    ids=["when its stage changed", "on its day", "not before it was made", "not after it was changed", "without a day"],
)
def test_when_a_deal_closed(vendor: SalesforceVendor, dates: dict[str, str | None], closed: str) -> None:
    put(vendor, "Opportunity", deal(0), **{"LastStageChangeDate": None, "CreatedDate": at(31), "SystemModstamp": at(61), **dates})
    deals = {row["Id"]: row for piece, _ in _opened().pieces("Opportunity") for row in piece.to_pylist()}
    assert deals[deal(0)]["closed_at"] == closed
    assert deals[deal(29)]["closed_at"] is None


def test_a_task_is_dated_by_its_day_but_not_outside_of_its_record(vendor: SalesforceVendor) -> None:
    for number, day in enumerate(["2025-01-01", "2025-02-15", "2026-01-01", None]):
        put(vendor, "Task", task(number), ActivityDate=day, CompletedDateTime=None, CreatedDate=at(40), SystemModstamp=at(50))
    tasks = {row["Id"]: row for piece, _ in _opened().pieces("activities") for row in piece.to_pylist()}
    assert [tasks[task(number)]["occurred_at"] for number in range(4)] == [at(40), "2025-02-15", at(50), at(40)]
    assert [tasks[task(number)]["known_at"] for number in range(4)] == [at(40), "2025-02-15", at(50), at(40)]


def test_a_change_whose_kind_is_not_told_is_kept(vendor: SalesforceVendor) -> None:
    for number in (40, 41):
        put(vendor, "LeadHistory", history(number), DataType=None)
    changes = [row for piece, _ in _opened().pieces("lead_changes") for row in piece.to_pylist() if row["Field"] == "Owner"]
    assert [(row["OldValue"], row["NewValue"]) for row in changes] == [("Rep 1", "Rep 0"), (user(1), user(0))]


def test_what_is_configured_runs_as_it_is_written(
    vendor: SalesforceVendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leadscore: Callable[..., tuple[int, str, str]]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert leadscore("init", "--from", "salesforce://")[0] == 0
    assert (tmp_path / "leadscore.toml").read_bytes() == (EXAMPLES / "leadscore.toml").read_bytes()
    assert leadscore("check") == (0, "leadscore.toml is fine: run `leadscore extract`, then `leadscore train`.\n", "")
    assert isinstance(open_source("salesforce://"), Salesforce)
    report = rehearse_extract(read_settings(tmp_path / "leadscore.toml"), NOW)
    assert [(row["table"], row["rows"]) for row in report.rows] == [
        ("leads", "100"),
        ("lead_changes", "not told"),
        ("activities", "51"),
        ("deals", "34"),
        ("owners", "2"),
    ]
    assert not report.refused


def test_ids_of_fifteen_signs_are_the_same_records(vendor: SalesforceVendor) -> None:
    put(vendor, "Task", task(0), WhoId=contact(0)[:15])
    put(vendor, "OpportunityContactRole", role(0), ContactId=contact(0)[:15])
    source = _opened()
    tasks = {row["Id"]: row for piece, _ in source.pieces("activities") for row in piece.to_pylist()}
    assert (tasks[task(0)]["WhoId"], tasks[task(0)]["lead_id"]) == (contact(0), lead(0))
    deals = {row["Id"]: row for piece, _ in source.pieces("Opportunity") for row in piece.to_pylist()}
    assert (deals[deal(0)]["contact_id"], deals[deal(0)]["lead_id"]) == (contact(0), lead(0))


def test_contacts_may_be_the_leads(vendor: SalesforceVendor, tmp_path: Path) -> None:
    with Warehouse.open(str(tmp_path / "w.duckdb")) as warehouse:
        counts = _loaded(warehouse, _opened(), _settings("contacts.toml"))
        assert {table: (rows, refused) for table, (rows, _, refused, _) in counts.items()} == {
            "accounts": (5, 0),
            "owners": (2, 0),
            "leads": (31, 0),
            "lead_changes": (0, 0),
            "activities": (31, 0),
            "deals": (32, 0),
        }
        # The primary role's contact, though another role is older.
        assert _rows(warehouse, "lead_id", f"deals WHERE deal_id = '{deal(31)}'") == [(contact(50),)]


def test_the_ready_mapping_is_the_one_that_init_writes() -> None:
    here = Path(__file__).parents[3] / "pipelines" / "crm" / "salesforce.toml"
    assert here.read_text(encoding="utf-8") == (EXAMPLES / "leadscore.toml").read_text(encoding="utf-8")
    deals = tomllib.loads(here.read_text(encoding="utf-8"))["source"]["tables"]["deals"]
    # Won is a flag of the stage, and so no stage is named.
    assert "outcome" not in deals["columns"]
    assert "values" not in deals
