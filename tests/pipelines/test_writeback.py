"""A night's scores reach the CRM by command and by night, and what does not is said with its exit code."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from scored import scored

from features.problem import Problem
from pipelines.crm.hubspottarget import FIELDS
from pipelines.crm.writeback import Update
from pipelines.nightly import hand_back as hand_back_at_night
from pipelines.settings import read_settings
from pipelines.warehouse import Warehouse
from pipelines.writeback import hand_back, updates_of, writeback
from tests.pipelines.crm.vendors.hubspot import TOKEN, HubSpotVendor, account
from tests.pipelines.crm.vendors.loopback import serving

NIGHT = datetime(2025, 6, 1, 2)
TOML = """
[source.tables.leads]
table = "leads.csv"
[source.tables.deals]
table = "deals.csv"
[outcomes.renewal]
kind = "renewal"
[writeback]
target = "hubspot"
"""
Typed = Callable[..., tuple[int, str, str]]


def _night(leads: int, night: datetime = NIGHT) -> pd.DataFrame:
    return scored([str(number) for number in range(1, leads + 1)], night)


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubSpotVendor]:
    """A HubSpot account that has our properties, named by the environment."""
    made = account()
    made.properties["contacts"] += [{"name": name, "hubspotDefined": False} for name in FIELDS.values()]
    with serving(made):
        monkeypatch.setenv("HUBSPOT_ACCESS_TOKEN", TOKEN)
        monkeypatch.setenv("HUBSPOT_API_URL", made.url)
        yield made


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A company whose night of 12 leads is in the ledger."""
    path = tmp_path / "leadscore.toml"
    path.write_text(TOML, encoding="utf-8")
    with Warehouse.open(read_settings(path).warehouse_url) as warehouse:
        warehouse.publish_night(NIGHT, _night(12))
    return path


def _handed_back(config: Path, outcome: str = "default", rehearsal: bool = False) -> Any:
    settings = read_settings(config)
    with Warehouse.open(settings.warehouse_url) as warehouse:
        return hand_back.fn(settings.each_outcome(outcome)[0], warehouse, None, False, rehearsal)


def test_a_row_of_the_ledger_is_told_as_it_stands() -> None:
    ledger = _night(2).assign(reasons=lambda t: t["reasons"].map(json.dumps))
    assert updates_of(ledger) == [
        Update("1", 99, "A", 1, "was active; is big", NIGHT, 0.99, None),
        Update("2", 98, "A", 2, "was active; is big", NIGHT, 0.98, 0.1),
    ]


def test_only_the_list_is_sent_where_that_is_wanted(config: Path, vendor: HubSpotVendor) -> None:
    config.write_text(TOML + "only_listed = true\n", encoding="utf-8")
    assert _handed_back(config).facts["rows"] == 5
    assert vendor.written == ["1", "2", "3", "4", "5"]


def test_a_night_that_was_scored_while_the_clock_was_ahead_is_not_sent(config: Path, vendor: HubSpotVendor) -> None:
    with Warehouse.open(read_settings(config).warehouse_url) as warehouse:
        warehouse.publish_night(datetime(2999, 1, 1, 2), _night(3, datetime(2999, 1, 1, 2)))
    assert _handed_back(config).facts["night"] == "2025-06-01"


def test_another_outcome_has_fields_of_its_own(config: Path, vendor: HubSpotVendor) -> None:
    with Warehouse.open(read_settings(config).warehouse_url) as warehouse:
        warehouse.publish_night(NIGHT, _night(2), outcome="renewal")
    with pytest.raises(Problem, match="no properties leadscore_score_renewal"):
        _handed_back(config, "renewal")
    config.write_text(TOML + "create_properties = true\n", encoding="utf-8")
    assert _handed_back(config, "renewal").notices[0].startswith("Created leadscore_score_renewal, leadscore_tier_renewal")
    assert vendor.records["contacts"][2]["held"]["leadscore_score_renewal"] == "98"
    assert "leadscore_score" not in vendor.records["contacts"][2]["held"]


def test_an_outcome_that_fails_leaves_the_others_their_turn(prefect_server: str, config: Path, vendor: HubSpotVendor) -> None:
    with pytest.raises(Problem, match=r"^Outcome renewal: No night was scored yet"):
        writeback(config)
    assert len(vendor.written) == 12


def test_a_rehearsal_says_what_would_be_sent_and_sends_nothing(config: Path, vendor: HubSpotVendor) -> None:
    vendor.properties["contacts"].pop()
    said = _handed_back(config, rehearsal=True)
    assert (said.facts["would be sent"], len(said.rows), said.refused) == (12, 10, True)
    assert said.rows[0] == {"lead": "1", "rank": 1, "score": 99, "tier": "A", "reasons": "was active; is big"}
    assert "no properties leadscore_scored_at" in said.notices[0]
    assert vendor.written == []
    vendor.properties["contacts"].append({"name": "leadscore_scored_at"})
    assert _handed_back(config).facts["sent"] == 12


def test_a_night_that_was_not_scored_is_said(config: Path, vendor: HubSpotVendor) -> None:
    with pytest.raises(Problem, match="No night was scored yet, so that there is nothing to write back: run `leadscore score` first"):
        _handed_back(config, "renewal")


def test_the_command_from_first_to_last(prefect_server: str, leadscore: Typed, config: Path, vendor: HubSpotVendor) -> None:
    vendor.refusing["3"] = "This contact is locked"
    words = ("writeback", "--config", config, "--outcome", "default")
    code, out, err = leadscore(*words)
    assert code == 3, err
    assert out.startswith("writeback: night 2025-06-01, target hubspot contacts, rows 12, sent 11, unchanged 0, refused 1, waiting 0")
    assert "- Refused: lead 3: This contact is locked" in out
    code, out, err = leadscore(*words, "--json")
    assert (code, json.loads(out)["sent"], json.loads(out)["unchanged"]) == (0, 0, 12)
    vendor.refusing.clear()
    code, out, err = leadscore(*words, "--again")
    assert (code, "sent 1" in out) == (0, True)
    with Warehouse.open(read_settings(config).warehouse_url) as warehouse:
        warehouse.publish_night(NIGHT.replace(day=2), _night(12, NIGHT.replace(day=2)).assign(tier="B"))
    vendor.fault, vendor.broken, vendor.calls = "429 for the day", ("update", 1), type(vendor.calls)()
    code, out, err = leadscore(*words)
    assert code == 1, err
    assert "- 12 rows wait for the next `leadscore writeback`: HubSpot could not be made to write contacts, tried once" in out
    code, out, err = leadscore(*words, "--as-of", "2025-06-01")
    # Whatever waits of a newer night, what was sent of this one is not sent again.
    assert (code, "rows 12, sent 0, unchanged 12" in out) == (0, True)
    vendor.fault = ""
    code, out, err = leadscore(*words)
    assert (code, "sent 12" in out) == (0, True)
    vendor.token = "renewed"
    with Warehouse.open(read_settings(config).warehouse_url) as warehouse:
        warehouse.publish_night(NIGHT.replace(day=3), _night(12, NIGHT.replace(day=3)))
    code, out, err = leadscore(*words)
    assert code == 1
    assert "HubSpot: the token was refused (The token Bearer *** is expired): renew HUBSPOT_ACCESS_TOKEN and run again." in err
    assert TOKEN not in out + err
    assert all(TOKEN.encode() not in file.read_bytes() for file in config.parent.rglob("*") if file.is_file())


def test_a_night_whose_scores_cannot_be_written_back_says_so_and_goes_on(prefect_server: str, config: Path, vendor: HubSpotVendor) -> None:
    assert hand_back_at_night(config, "default").facts["sent"] == 12
    vendor.token = "renewed"
    said = hand_back_at_night(config, "default")
    assert said.refused
    assert said.notices[0].startswith("The scores were not written back, the list is there: HubSpot: the token was refused")
    config.write_text(TOML.replace('target = "hubspot"', ""), encoding="utf-8")
    assert hand_back_at_night(config, "default").facts == {}


def test_without_a_target_the_command_says_what_to_write(prefect_server: str, leadscore: Typed, config: Path) -> None:
    config.write_text(TOML.replace('target = "hubspot"', ""), encoding="utf-8")
    code, _, err = leadscore("writeback", "--config", config)
    assert (code, 'name where they go as target = "hubspot" under [writeback]' in err) == (1, True)
