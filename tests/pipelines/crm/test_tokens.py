"""No secret of any connector is in what is written, logged, printed or raised, though the vendor repeats it wherever it can."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from prefect.settings import get_current_settings
from scored import scored

from pipelines.crm.vendors import ready
from pipelines.settings import read_settings
from pipelines.warehouse import Warehouse
from tests.pipelines.crm.vendors import dynamics, hubspot, salesforce
from tests.pipelines.crm.vendors.connectors import CONNECTORS, ROWS
from tests.pipelines.crm.vendors.faults import Disturbed, echoing
from tests.pipelines.crm.vendors.loopback import serving
from tests.pipelines.crm.vendors.salesforcecompany import company, lead

CANARY = "canary"
Typed = Callable[..., tuple[int, str, str]]
_NO_SOURCE = '[source.tables.leads]\ntable = "leads.csv"\n[source.tables.deals]\ntable = "deals.csv"\n'


def test_every_secret_is_a_canary() -> None:
    secrets = (
        hubspot.TOKEN,
        salesforce.CLIENT_ID,
        salesforce.CLIENT_SECRET,
        company().token,
        dynamics.SECRET,
        dynamics.DynamicsVendor().next_token(),
    )
    assert all(CANARY in secret.lower() for secret in secrets)


@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 429, 500])
@pytest.mark.parametrize("name", CONNECTORS)
def test_a_secret_that_is_repeated_is_not_said(
    name: str, status: int, tmp_path: Path, capfd: pytest.CaptureFixture[str], every_log: pytest.LogCaptureFixture
) -> None:
    connector = CONNECTORS[name]
    said: list[str] = []
    for number, place in enumerate(connector.places):
        folder = tmp_path / str(number)
        folder.mkdir()
        vendor = Disturbed(connector.vendor(), echoing(status), place, lasting=True)
        with serving(vendor):
            try:
                said.append(repr(connector.use(vendor.url, lambda seconds: None, folder)))
            except Exception as error:
                said += _told(error)
    assert said
    # HubSpot's client keeps its own logs quiet.
    assert every_log.records or name.startswith("HubSpot")
    said += [f"{record.getMessage()} {vars(record)!r}" for record in every_log.records]
    _see_no_secret([*said, *capfd.readouterr()], tmp_path)


@pytest.mark.parametrize("name", ["hubspot", "salesforce", "dynamics"])
def test_the_commands_keep_it(
    name: str,
    prefect_server: str,
    leadscore: Typed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vendor, environment, ids = _VENDORS[name]
    config = tmp_path / "leadscore.toml"
    source = _NO_SOURCE if name == "dynamics" else ready(name)
    config.write_text(f'{source}\n[writeback]\ntarget = "{name}"\ncreate_properties = true\n', encoding="utf-8")
    commands = ["writeback"] if name == "dynamics" else ["extract", "writeback"]
    disturbed, said = Disturbed(vendor(), echoing(401), "nowhere", lasting=True), list[str]()
    with serving(disturbed):
        for variable, value in environment(disturbed.url).items():
            monkeypatch.setenv(variable, value)
        for day, works in ((1, True), (2, False)):
            disturbed.only = "nowhere" if works else ""
            with Warehouse.open(read_settings(config).warehouse_url) as warehouse:
                night = datetime(2025, 6, day, 2)
                warehouse.publish_night(night, scored(ids, night))
            for command in commands:
                code, out, err = leadscore(command, "--config", config)
                assert (code == 1) is not works, out + err
                said += [out, err]
    assert any("renew " in one for one in said)
    _see_no_secret(said, tmp_path)
    # Prefect keeps the runs, their parameters, logs and artifacts.
    _see_no_secret([], Path(get_current_settings().home))
    database = Path(str(get_current_settings().server.database.connection_url.get_secret_value()).partition("///")[2])
    assert database.exists()
    _see_no_secret([], database.parent)


def _at_hubspot(url: str) -> Mapping[str, str]:
    return {"HUBSPOT_ACCESS_TOKEN": hubspot.TOKEN, "HUBSPOT_API_URL": url}


def _at_salesforce(url: str) -> Mapping[str, str]:
    return {
        "SALESFORCE_INSTANCE_URL": url,
        "SALESFORCE_ACCESS_TOKEN": "",
        "SALESFORCE_CLIENT_ID": salesforce.CLIENT_ID,
        "SALESFORCE_CLIENT_SECRET": salesforce.CLIENT_SECRET,
    }


def _at_dynamics(url: str) -> Mapping[str, str]:
    return {
        "DYNAMICS_URL": url,
        "DYNAMICS_TOKEN_URL": f"{url}/token",
        "DYNAMICS_TENANT_ID": "tenant",
        "DYNAMICS_CLIENT_ID": "app",
        "DYNAMICS_CLIENT_SECRET": dynamics.SECRET,
    }


_VENDORS: dict[str, tuple[Callable[[], Any], Callable[[str], Mapping[str, str]], list[str]]] = {
    "hubspot": (hubspot.account, _at_hubspot, [str(n) for n in range(1, ROWS + 1)]),
    "salesforce": (company, _at_salesforce, [lead(n) for n in range(40, 40 + ROWS)]),
    "dynamics": (dynamics.DynamicsVendor, _at_dynamics, [f"00aa00aa-bb11-cc22-dd33-{n:012d}" for n in range(1, ROWS + 1)]),
}


def _told(error: BaseException) -> Iterator[str]:
    """All that an error says, and the errors behind it."""
    yield "".join(traceback.format_exception(error))
    behind: BaseException | None = error
    while behind is not None:
        yield f"{behind} {behind!r} {vars(behind)!r}"
        behind = behind.__cause__ or behind.__context__


def _see_no_secret(said: list[str], folder: Path) -> None:
    assert [one for one in said if CANARY in one.lower()] == []
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert [file.name for file in files if CANARY.encode() in file.read_bytes().lower()] == []
    for file in files:
        # A warehouse keeps texts packed.
        if file.suffix == ".duckdb":
            with duckdb.connect(str(file), read_only=True) as warehouse:
                tables = [name for (name,) in warehouse.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
                assert CANARY not in repr([warehouse.execute(f'FROM "{table}"').fetchall() for table in tables]).lower()
