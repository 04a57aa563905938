"""Scores arrive in HubSpot once, properties are made only with consent, and what is refused is refused row by row."""

from __future__ import annotations

import json
import traceback
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest

from features.problem import Problem
from pipelines.crm.base import Unreachable
from pipelines.crm.hubspotclient import HubSpotClient
from pipelines.crm.hubspottarget import FIELDS, HubSpotTarget
from pipelines.crm.patience import Refused
from pipelines.crm.writeback import Refusal, Update, Written, write_back
from pipelines.outbox import Outbox
from pipelines.warehouse import Warehouse
from tests.pipelines.crm.vendors.hubspot import TOKEN, HubSpotVendor, Record, account
from tests.pipelines.crm.vendors.loopback import Answer, serving, told

NIGHT = datetime(2025, 6, 1, 2)
PASSING = ["", "429", "500", "reset", "cut off", "a proxy's page", "answer lost"]


def _updates(count: int) -> list[Update]:
    return [Update(str(n), n, "B", n, "was active; is big", NIGHT, n / 100, 0.1) for n in range(1, count + 1)]


def _target(vendor: HubSpotVendor, waits: list[float] | None = None) -> HubSpotTarget:
    target = HubSpotTarget(HubSpotClient(TOKEN, vendor.url, (waits if waits is not None else []).append), "contacts", FIELDS)
    target.batch = 10  # type: ignore[misc]
    return target


def _written(vendor: HubSpotVendor, warehouse: Warehouse, updates: Sequence[Update], waits: list[float] | None = None) -> Written:
    vendor.properties["contacts"] += [{"name": name, "hubspotDefined": False} for name in FIELDS.values()]
    outbox = Outbox(warehouse, "default", NIGHT, "hubspot", "", NIGHT)
    return write_back(_target(vendor, waits), updates, outbox, lambda share, words: None)


@pytest.mark.parametrize("fault", PASSING)
def test_every_score_arrives(tmp_path: Path, fault: str) -> None:
    vendor, waits = account(fault=fault, broken=("update", 2)), list[float]()
    with serving(vendor), Warehouse.open(str(tmp_path / "w.duckdb")) as warehouse:
        assert _written(vendor, warehouse, _updates(35), waits) == Written(35, 35, 0, ())
    held = {n: record["held"] for n, record in vendor.records["contacts"].items()}
    assert {n: one["leadscore_score"] for n, one in held.items()} == {n: str(n) for n in range(1, 36)}
    assert {name: held[7][name] for name in FIELDS.values()} == {
        "leadscore_score": "7",
        "leadscore_tier": "B",
        "leadscore_rank": "7",
        "leadscore_reasons": "was active; is big",
        "leadscore_scored_at": "2025-06-01T02:00:00Z",
    }
    # Only where the answer was lost is a batch written twice, with the same values.
    assert len(vendor.written) == 35 + 10 * (fault in ("answer lost", "cut off"))
    assert (7.0 in waits) is (fault == "429")


def test_what_does_not_answer_is_gone_on_with(tmp_path: Path) -> None:
    vendor = account(fault="")
    with serving(vendor), Warehouse.open(str(tmp_path / "w.duckdb")) as warehouse:
        vendor.fault = "429 for the day"
        vendor.broken = ("update", 3)
        done = _written(vendor, warehouse, _updates(35))
        assert (done.sent, done.waiting, "daily limit" in done.unreachable) == (20, 15, True)
        vendor.fault = ""
        assert _written(vendor, warehouse, _updates(35)) == Written(35, 15, 20, ())
    assert sorted(map(int, vendor.written)) == list(range(1, 36))


def test_rows_are_refused_one_by_one(tmp_path: Path) -> None:
    vendor = account(refusing={"4": "This contact is locked"})
    with serving(vendor), Warehouse.open(str(tmp_path / "w.duckdb")) as warehouse:
        gone = "Could not get some contacts, they may be deleted or not exist"
        done = _written(vendor, warehouse, _updates(36))
    assert done == Written(36, 34, 0, (Refusal("4", "This contact is locked"), Refusal("36", gone)))


def test_a_batch_that_is_refused_whole_is_halved_until_the_row_is_found(tmp_path: Path) -> None:
    vendor = account(refusing={"14": "whole"})
    with serving(vendor), Warehouse.open(str(tmp_path / "w.duckdb")) as warehouse:
        done = _written(vendor, warehouse, _updates(35))
    assert done == Written(35, 34, 0, (Refusal("14", "Property values were not valid: rank is not a number"),))
    assert sorted(map(int, vendor.written)) == [n for n in range(1, 36) if n != 14]


@pytest.mark.parametrize("lasting", [False, True])
def test_a_row_of_which_nothing_is_said_is_asked_for_alone(tmp_path: Path, lasting: bool) -> None:
    vendor, silent = account(), ["7", "31"]
    updated = vendor._updated

    def forgetful(kind: str, inputs: list[Record]) -> Answer:
        said = json.loads(updated(kind, inputs).body)
        kept = [row for row in said["results"] if row["id"] not in silent or (not lasting and len(inputs) < 10)]
        return told(200, {**said, "results": kept})

    vendor._updated = forgetful  # type: ignore[method-assign]
    with serving(vendor), Warehouse.open(str(tmp_path / "w.duckdb")) as warehouse:
        done = _written(vendor, warehouse, _updates(40)[:35])
    why = "HubSpot did not say whether it took it"
    assert done == (Written(35, 33, 0, tuple(Refusal(one, why) for one in silent)) if lasting else Written(35, 35, 0, ()))
    # Only the silent ones are sent once more; the last batch, of five, was small enough to be answered.
    assert len(vendor.written) == 35 + (2 if lasting else 1)


def test_a_record_that_was_merged_is_taken_under_the_id_that_remains(tmp_path: Path) -> None:
    vendor = account()
    updated = vendor._updated
    vendor._updated = lambda kind, inputs: Answer(200, updated(kind, inputs).body.replace(b'"id": "4"', b'"id": "5"'))  # type: ignore[method-assign]
    with serving(vendor), Warehouse.open(str(tmp_path / "w.duckdb")) as warehouse:
        assert _written(vendor, warehouse, _updates(8)) == Written(8, 8, 0, ())


def test_properties_are_made_only_with_consent() -> None:
    vendor = account()
    with serving(vendor):
        target = _target(vendor)
        with pytest.raises(Problem, match=r"contacts have no properties leadscore_score, leadscore_tier, .* create_properties = true"):
            target.prepare(may_create=False)
        assert target.prepare(may_create=True) == list(FIELDS.values())
        assert target.prepare(may_create=False) == target.prepare(may_create=True) == []
    made = [one for one in vendor.properties["contacts"] if one["name"].startswith("leadscore_")]
    assert [(one["name"], one["type"], one["fieldType"]) for one in made] == [
        ("leadscore_score", "number", "number"),
        ("leadscore_tier", "string", "text"),
        ("leadscore_rank", "number", "number"),
        ("leadscore_reasons", "string", "textarea"),
        ("leadscore_scored_at", "datetime", "date"),
    ]
    assert {one["groupName"] for one in made} == {"contactinformation"}


def test_a_property_that_somebody_made_meanwhile_is_there() -> None:
    vendor = account()
    with serving(vendor):
        target = _target(vendor)
        known = vendor.properties["contacts"]
        vendor.properties["contacts"] = [*known, {"name": "leadscore_tier", "hubspotDefined": False}]
        target.client.properties = lambda kind: list(known)  # type: ignore[method-assign]
        assert "leadscore_tier" in target.prepare(may_create=True)


def test_a_right_that_is_missing_is_not_put_down_to_a_row() -> None:
    vendor = account()
    with serving(vendor):
        vendor._updated = lambda kind, inputs: vendor._error(403, "missing scope crm.objects.contacts.write", "MISSING_SCOPES")  # type: ignore[method-assign]
        with pytest.raises(Refused, match="missing scope"):
            _target(vendor).write(_updates(3))
    assert vendor.calls["update"] == 1


@pytest.mark.parametrize("fault", [*PASSING, "401", "down", "429 for the day"])
def test_the_token_appears_nowhere(tmp_path: Path, fault: str, capfd: pytest.CaptureFixture[str], every_log: pytest.LogCaptureFixture) -> None:
    vendor, said = account(fault=fault, broken=("update", 2)), ""
    with serving(vendor), Warehouse.open(str(tmp_path / "w.duckdb")) as warehouse:
        try:
            said = str(_written(vendor, warehouse, _updates(35)))
        except Problem as problem:
            said = "".join(traceback.format_exception(problem))
    assert ("renew HUBSPOT_ACCESS_TOKEN" in said) is (fault == "401")
    out, err = capfd.readouterr()
    assert TOKEN not in said + out + err + every_log.text
    assert all(TOKEN.encode() not in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


def test_one_batch_says_when_it_does_not_know() -> None:
    vendor = account(fault="down")
    with serving(vendor), pytest.raises(Unreachable, match="HubSpot could not be made to write contacts, tried 6 times"):
        _target(vendor).write(_updates(3))
