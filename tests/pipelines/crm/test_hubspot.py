"""Whatever HubSpot does amid a read, every row of it arrives once, and no sentence holds the token."""

from __future__ import annotations

import os
import re
import tomllib
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from features.problem import Problem
from pipelines.crm.base import Unreachable
from pipelines.crm.hubspot import HubSpot
from pipelines.crm.hubspotclient import HubSpotClient
from pipelines.crm.load import Load, load
from pipelines.crm.vendors import ready
from pipelines.settings import Settings, read_settings
from pipelines.warehouse import Warehouse
from tests.pipelines.crm.vendors.hubspot import START, TOKEN, HubSpotVendor, account, stamp, utc
from tests.pipelines.crm.vendors.loopback import serving

NOW = datetime(2025, 6, 1)
PASSING = ["", "429", "500", "reset", "cut off", "a proxy's page", "a page twice", "pages swapped", "rows reversed", "expired 400", "expired 410"]
SETTINGS = Settings(**tomllib.loads(ready("hubspot")))


@contextmanager
def _source(vendor: HubSpotVendor, waits: list[float] | None = None) -> Iterator[HubSpot]:
    with serving(vendor):
        yield HubSpot(HubSpotClient(TOKEN, vendor.url, (waits if waits is not None else []).append))


def _loaded(vendor: HubSpotVendor, warehouse: Warehouse, waits: list[float] | None = None) -> Load:
    with _source(vendor, waits) as source:
        return load(SETTINGS, source, warehouse, NOW, lambda share, words: None)


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    with Warehouse.open(str(tmp_path / "w.duckdb")) as opened:
        yield opened


def _rows(warehouse: Warehouse, query: str) -> list[Any]:
    return warehouse.raw.execute(query).fetchall()


def _the_same(warehouse: Warehouse, vendor: HubSpotVendor) -> None:
    """The warehouse holds what the vendor holds, row for row."""
    held = vendor.records["contacts"]
    told = _rows(warehouse, "SELECT CAST(lead_id AS INT), jobtitle, created_at, account_id, owner_id, status FROM leads ORDER BY 1")
    names = ("associatedcompanyid", "hubspot_owner_id", "hs_lead_status")
    assert told == [(n, r["held"]["jobtitle"], utc(r["createdate"]), *map(r["held"].get, names)) for n, r in sorted(held.items())]
    titles = {(n, one["value"], utc(one["timestamp"])) for n, r in held.items() for one in r["history"]["jobtitle"]}
    told = _rows(warehouse, "SELECT CAST(lead_id AS INT), new_value, changed_at FROM lead_changes WHERE field = 'jobtitle'")
    assert (len(told), set(told)) == (len(titles), titles)
    engaged = {f"{n} {contact}" for (kind, n), contacts in vendor.associations.items() if kind != "deals" for contact in contacts}
    activities = [one for (one,) in _rows(warehouse, "SELECT activity_id FROM activities")]
    assert (len(activities), set(activities)) == (len(engaged), engaged)
    fates = {"closedwon": "won", "closedlost": "lost", "qualifiedtobuy": "open"}
    assert _rows(warehouse, "SELECT CAST(deal_id AS INT), CAST(lead_id AS INT), outcome, amount FROM deals ORDER BY 1") == [
        (n, vendor.associations["deals", n][0], fates[r["held"]["dealstage"]], float(r["held"]["amount"]))
        for n, r in sorted(vendor.records["deals"].items())
        if vendor.associations["deals", n]
    ]
    assert sorted(_rows(warehouse, "SELECT owner_id FROM owners")) == [("71",), ("72",), ("73",)]


def _reconciled(done: Load) -> None:
    for table in done.tables:
        assert table.rows_in == table.clean + table.quarantined + table.superseded


@pytest.mark.parametrize("fault", [*PASSING, "an older version later"])
def test_a_first_read_brings_every_row_once(warehouse: Warehouse, fault: str) -> None:
    vendor, waits = account(fault=fault), list[float]()
    done = _loaded(vendor, warehouse, waits)
    _the_same(warehouse, vendor)
    _reconciled(done)
    counts = {table.table: (table.rows_in, table.clean, table.quarantined, table.superseded) for table in done.tables}
    assert counts["leads"] == (35, 35, 0, 0)
    # The one that is refused has no contact.
    assert counts["deals"] == (12, 11, 1, 0)
    assert counts["activities"] == (21, 21, 0, 0)
    assert counts["lead_changes"][2:] == (0, 0)
    assert (7.0 in waits) is (fault == "429")


@pytest.mark.parametrize("fault", PASSING)
def test_what_changed_is_read_again_and_all_of_it(warehouse: Warehouse, fault: str) -> None:
    vendor = account()
    _loaded(vendor, warehouse)
    changed = START + timedelta(days=60)
    # More than a page of one and the same instant, spread over old records and new ones.
    for n in [*range(2, 30, 2), *range(101, 131)]:
        vendor.put("contacts", n, changed, jobtitle="founder", lastname=f"Number {n}", lifecyclestage="lead")
    vendor.put("deals", 303, changed, dealstage="closedwon", hs_is_closed="true", hs_is_closed_won="true", closedate=stamp(changed))
    vendor.fault, vendor.calls = fault, type(vendor.calls)()
    done = _loaded(vendor, warehouse)
    _the_same(warehouse, vendor)
    _reconciled(done)
    counts = {table.table: (table.rows_in, table.clean, table.quarantined, table.superseded) for table in done.tables}
    # 44 were changed; contact 32 and all deals had been within the overlap of the first read already.
    assert counts["leads"] == (45, 45, 0, 0)
    assert counts["deals"] == (12, 11, 1, 0)
    assert counts["accounts"] == (6, 6, 0, 0)


def test_a_window_of_a_search_is_never_reached(warehouse: Warehouse) -> None:
    vendor = account(contacts=120, page=7)
    _loaded(vendor, warehouse)
    asked: list[Any] = []
    answer = vendor._found

    def noted(kind: str, body: dict[str, Any]) -> Any:
        asked.append(body)
        return answer(kind, body)

    vendor._found = noted  # type: ignore[method-assign]
    for n in range(1, 121):
        vendor.put("contacts", n, START + timedelta(days=70), jobtitle="founder")
    _loaded(vendor, warehouse)
    _the_same(warehouse, vendor)
    assert len(asked) > 30
    assert not any("after" in body for body in asked)


def test_a_record_that_changes_amid_a_read_counts_in_its_newest_version(warehouse: Warehouse) -> None:
    vendor = account(fault="a newer version later")
    done = _loaded(vendor, warehouse)
    _the_same(warehouse, vendor)
    _reconciled(done)
    (counts,) = [table for table in done.tables if table.table == "leads"]
    assert (counts.rows_in, counts.clean, counts.quarantined, counts.superseded) == (36, 35, 0, 1)
    assert _rows(warehouse, "SELECT jobtitle FROM leads WHERE lead_id = '1'") == [("founder",)]


@pytest.mark.parametrize(
    ("fault", "kind", "sentence"),
    [
        ("401", Problem, "renew HUBSPOT_ACCESS_TOKEN"),
        ("down", Unreachable, "tried 6 times"),
        ("429 for the day", Unreachable, "daily limit"),
        ("never lives", Problem, "The cursor is not valid any more"),
    ],
)
def test_what_does_not_pass_is_said_and_changes_nothing(warehouse: Warehouse, fault: str, kind: type[Problem], sentence: str) -> None:
    _loaded(account(), warehouse)
    before = _rows(warehouse, "SELECT * FROM leads ORDER BY lead_id")
    full = Settings(**{**tomllib.loads(ready("hubspot")), "source": _without_cursors()})
    with _source(account(fault=fault)) as source, pytest.raises(kind, match=sentence) as caught:
        load(full, source, warehouse, NOW, lambda share, words: None)
    assert type(caught.value) is kind or fault == "never lives"
    assert _rows(warehouse, "SELECT * FROM leads ORDER BY lead_id") == before


def _without_cursors() -> dict[str, Any]:
    source = tomllib.loads(ready("hubspot"))["source"]
    tables = {name: {key: value for key, value in table.items() if key != "cursor"} for name, table in source["tables"].items()}
    return {**source, "tables": tables}


def test_what_was_archived_goes_with_a_full_read(warehouse: Warehouse) -> None:
    vendor = account()
    _loaded(vendor, warehouse)
    del vendor.records["contacts"][35]
    _loaded(vendor, warehouse)
    assert len(_rows(warehouse, "SELECT * FROM leads")) == 35
    full = Settings(**{**tomllib.loads(ready("hubspot")), "source": _without_cursors()})
    with _source(vendor) as source:
        load(full, source, warehouse, NOW, lambda share, words: None)
    assert len(_rows(warehouse, "SELECT * FROM leads")) == 34


def test_many_properties_are_asked_for_in_a_body(warehouse: Warehouse) -> None:
    vendor = account()
    vendor.properties["contacts"] += [{"name": f"field_of_ours_{'x' * 60}_{n}", "hubspotDefined": False} for n in range(120)]
    _loaded(vendor, warehouse)
    _the_same(warehouse, vendor)


def test_open_deals_have_no_closing_date_and_booked_meetings_have_happened(warehouse: Warehouse) -> None:
    _loaded(account(), warehouse)
    assert _rows(warehouse, "SELECT count(*) FROM deals WHERE outcome = 'open' AND closed_at IS NOT NULL") == [(0,)]
    assert _rows(warehouse, "SELECT DISTINCT occurred_at FROM activities WHERE kind = 'meeting'") == [(START + timedelta(days=2),)]
    assert sorted(_rows(warehouse, "SELECT DISTINCT kind, direction FROM activities WHERE kind <> 'meeting'")) == [("call", "out"), ("email", "in")]
    fields = _rows(warehouse, "SELECT DISTINCT field FROM lead_changes WHERE field IN ('status', 'owner_id', 'account_id') ORDER BY 1")
    assert fields == [("account_id",), ("owner_id",), ("status",)]


def test_scores_that_we_wrote_are_no_fields(warehouse: Warehouse) -> None:
    vendor = account()
    vendor.properties["contacts"].append({"name": "leadscore_score", "hubspotDefined": False})
    with _source(vendor) as source:
        columns = source.columns("contacts")
    assert "favourite_colour" in columns
    assert not {"leadscore_score", "hs_analytics_num_visits"} & set(columns)


def test_a_property_that_is_called_like_a_column_of_ours_is_told_apart(warehouse: Warehouse) -> None:
    vendor = account()
    vendor.properties["deals"].append({"name": "outcome", "hubspotDefined": False})
    vendor.put("deals", 301, START + timedelta(days=11), outcome="splendid")
    _loaded(vendor, warehouse)
    assert _rows(warehouse, "SELECT outcome, own_outcome FROM deals WHERE deal_id = '301'") == [("lost", "splendid")]


def test_a_table_that_is_not_there_is_named() -> None:
    with _source(account()) as source, pytest.raises(Problem, match="There is no table tickets in HubSpot, only companies, contact_changes"):
        source.columns("tickets")


def test_a_redirect_does_not_carry_the_token_away() -> None:
    vendor = account()
    answer = vendor.answer
    vendor.answer = lambda asked: _moved(answer(asked), vendor.url)  # type: ignore[method-assign]
    with _source(vendor) as source, pytest.raises(Problem, match=r"HubSpot refused to read the properties of contacts \(302\)"):
        source.columns("contacts")


def _moved(said: Any, url: str) -> Any:
    said.status, said.headers = 302, {"Location": f"{url}/elsewhere"}
    return said


@pytest.mark.parametrize("fault", [*PASSING, "401", "down", "429 for the day", "never lives"])
def test_the_token_appears_nowhere(
    fault: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], every_log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = ""
    with Warehouse.open(str(tmp_path / "w.duckdb")) as warehouse:
        try:
            said = str(_loaded(account(fault=fault), warehouse))
        except Problem as problem:
            said = "".join(traceback.format_exception(problem))
    out, err = capfd.readouterr()
    assert TOKEN not in said + out + err + every_log.text
    assert all(TOKEN.encode() not in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


def test_a_token_that_no_header_can_carry_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBSPOT_ACCESS_TOKEN", "pat-na1\npat-na2")
    with pytest.raises(Problem, match="holds blanks, line breaks") as caught:
        HubSpot()
    assert "pat-na" not in str(caught.value)


def test_init_writes_a_file_that_is_ready(leadscore: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    config = tmp_path / "leadscore.toml"
    assert leadscore("init", "--from", "hubspot://", "--config", config)[0] == 0
    settings = read_settings(config)
    assert settings.source_location == "hubspot://"
    assert set(settings.source.tables) == {"accounts", "owners", "leads", "lead_changes", "activities", "deals"}


def test_a_dry_run_says_what_there_is_and_writes_nothing(
    leadscore: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor, config = account(), tmp_path / "leadscore.toml"
    config.write_text(ready("hubspot"), encoding="utf-8")
    with serving(vendor):
        monkeypatch.setenv("HUBSPOT_ACCESS_TOKEN", TOKEN)
        monkeypatch.setenv("HUBSPOT_API_URL", vendor.url)
        code, out, err = leadscore("extract", "--dry-run", "--config", config)
    assert code == 0, err
    assert re.search(r"^  leads +contacts +14 +35$", out, re.MULTILINE)
    assert re.search(r"^  activities +engagements +7 +not told$", out, re.MULTILINE)
    assert "leads: contacts has the columns id, createdate, lastmodifieddate," in out
    assert os.listdir(tmp_path) == ["leadscore.toml"]
    assert TOKEN not in out + err
