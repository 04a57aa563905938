"""Scores arrive in the table that Dynamics 365 shows, once a lead, whatever its API does; its secrets are never said."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest

from features.problem import Problem
from pipelines.crm.dynamics import FIELDS, DynamicsTarget
from pipelines.crm.writeback import Refusal, Update, Written, write_back
from pipelines.outbox import Outbox
from pipelines.warehouse import Warehouse
from tests.pipelines.crm.vendors.dynamics import SECRET, DynamicsVendor
from tests.pipelines.crm.vendors.loopback import serving

NIGHT = datetime(2025, 6, 1, 2)
PASSING = ["", "429", "500", "reset", "cut off", "answer lost", "one row is busy", "one answer is missing", "token expires"]


def _id(n: int) -> str:
    return f"00aa00aa-bb11-cc22-dd33-{n:012d}"


def _updates(count: int) -> list[Update]:
    tiers, changes = "ABCDE", (0.1, 0.0, -0.1, None)
    return [Update(_id(n), n, tiers[n % 5], n, "was active", NIGHT, n / 100, changes[n % 4]) for n in range(1, count + 1)]


def _target(vendor: DynamicsVendor, waits: list[float], secret: str = SECRET, fields: dict[str, str] = FIELDS) -> DynamicsTarget:
    target = DynamicsTarget(vendor.url, f"{vendor.url}/token", "app", secret, "lead", fields, waits.append)
    target.batch = 10  # type: ignore[misc]
    return target


def _written(vendor: DynamicsVendor, warehouse: Warehouse, updates: Sequence[Update], waits: list[float] | None = None) -> Written:
    target = _target(vendor, waits if waits is not None else [])
    target.prepare(may_create=False)
    return write_back(target, updates, Outbox(warehouse, "default", NIGHT, "dynamics", "", NIGHT), lambda share, words: None)


@pytest.mark.parametrize("fault", PASSING)
def test_every_score_arrives(tmp_path: Path, fault: str) -> None:
    vendor, waits = DynamicsVendor(fault), list[float]()
    with serving(vendor), Warehouse.open(str(tmp_path / "w.duckdb")) as warehouse:
        assert _written(vendor, warehouse, _updates(34), waits) == Written(34, 34, 0, ())
        assert _written(vendor, warehouse, _updates(34)) == Written(34, 0, 34, ())
    assert set(vendor.scores) == {(_id(n), "lead") for n in range(1, 35)}
    # A 0, B 1, C 2, D 3, and our E is a D too; improving 0, steady 1, declining 2, not enough information 3.
    assert [vendor.scores[_id(n), "lead"] for n in (5, 6, 7, 8, 9)] == [
        {"msdyn_score": 5, "msdyn_grade": 0, "msdyn_scoretrend": 1},
        {"msdyn_score": 6, "msdyn_grade": 1, "msdyn_scoretrend": 2},
        {"msdyn_score": 7, "msdyn_grade": 2, "msdyn_scoretrend": 3},
        {"msdyn_score": 8, "msdyn_grade": 3, "msdyn_scoretrend": 0},
        {"msdyn_score": 9, "msdyn_grade": 3, "msdyn_scoretrend": 1},
    ]
    assert (11.0 in waits) is (fault == "429")
    # Only where answers were lost is a batch written twice, with the same values.
    assert len(vendor.written) == 34 + {"answer lost": 10, "cut off": 10, "one answer is missing": 9}.get(fault, 0)


def test_rows_are_refused_one_by_one(tmp_path: Path) -> None:
    vendor = DynamicsVendor(refusing={_id(3): "lead With Id = 3 Does Not Exist", _id(30): "locked"})
    with serving(vendor), Warehouse.open(str(tmp_path / "w.duckdb")) as warehouse:
        done = _written(vendor, warehouse, _updates(34))
    assert done == Written(34, 32, 0, (Refusal(_id(3), "lead With Id = 3 Does Not Exist"), Refusal(_id(30), "locked")))
    assert len(vendor.scores) == 32


def test_a_row_that_stays_busy_is_refused_and_holds_up_no_other(tmp_path: Path) -> None:
    vendor = DynamicsVendor(busy={_id(13)})
    with serving(vendor), Warehouse.open(str(tmp_path / "w.duckdb")) as warehouse:
        done = _written(vendor, warehouse, _updates(34))
    assert done == Written(34, 33, 0, (Refusal(_id(13), "The server is busy"),))
    # Whoever was answered is not sent again beside it.
    assert sorted(vendor.written) == [_id(n) for n in range(1, 35) if n != 13]


def test_a_server_that_fails_behind_a_busy_row_leaves_the_batch_waiting(tmp_path: Path) -> None:
    vendor = DynamicsVendor("one row is busy, then down")
    with serving(vendor), Warehouse.open(str(tmp_path / "w.duckdb")) as warehouse:
        done = _written(vendor, warehouse, _updates(34))
        assert (done.sent, done.refused, done.waiting) == (10, (), 24)
        vendor.fault = ""
        assert _written(vendor, warehouse, _updates(34)) == Written(34, 24, 10, ())


def test_a_token_that_ended_is_still_not_said(tmp_path: Path) -> None:
    vendor = DynamicsVendor("token expires", refusing={_id(34): "eyJ-canary-0 and eyJ-canary-2 were used"})
    with serving(vendor), Warehouse.open(str(tmp_path / "w.duckdb")) as warehouse:
        assert _written(vendor, warehouse, _updates(34)).refused == (Refusal(_id(34), "*** and *** were used"),)


def test_an_id_cannot_leave_its_place() -> None:
    vendor, odd = DynamicsVendor(), "x',msdyn_entitytype='y')/evil?a=b#c\r\nHost: d"
    with serving(vendor):
        target = _target(vendor, [])
        target._renew()
        assert target.write([Update(odd, 1, "A", 1, "", NIGHT, 0.1, None)]) == []
    assert set(vendor.scores) == {(odd, "lead")}


def test_what_does_not_answer_is_gone_on_with(tmp_path: Path) -> None:
    vendor = DynamicsVendor("down")
    with serving(vendor), Warehouse.open(str(tmp_path / "w.duckdb")) as warehouse:
        done = _written(vendor, warehouse, _updates(34))
        assert (done.sent, done.waiting) == (0, 34)
        assert "Dynamics 365 could not be made to write predictive scores" in done.unreachable
        vendor.fault = ""
        assert _written(vendor, warehouse, _updates(34)) == Written(34, 34, 0, ())


def test_a_table_that_is_not_installed_is_said() -> None:
    vendor = DynamicsVendor(installed=False)
    with serving(vendor), pytest.raises(Problem, match=r"has no table msdyn_predictivescores .* predictive scoring must be installed"):
        _target(vendor, []).prepare(may_create=True)


def test_a_column_that_is_not_there_is_said() -> None:
    vendor = DynamicsVendor()
    with serving(vendor), pytest.raises(Problem, match="Could not find a property named 'msdyn_why'"):
        _target(vendor, [], fields={"reasons": "msdyn_why"}).prepare(may_create=True)


@pytest.mark.parametrize("fault", [*PASSING, "401", "down", "wrong secret"])
def test_the_secrets_appear_nowhere(tmp_path: Path, fault: str, capfd: pytest.CaptureFixture[str], every_log: pytest.LogCaptureFixture) -> None:
    vendor, said = DynamicsVendor(fault), ""
    with serving(vendor), Warehouse.open(str(tmp_path / "w.duckdb")) as warehouse:
        try:
            said = str(_written(vendor, warehouse, _updates(34)))
        except Problem as problem:
            said = "".join(traceback.format_exception(problem))
    assert ("renew DYNAMICS_CLIENT_SECRET" in said) is (fault in ("401", "wrong secret"))
    out, err = capfd.readouterr()
    assert "canary" not in said + out + err + every_log.text
    assert all(b"canary" not in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


def test_the_environment_opens_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"URL": "https://contoso.crm.dynamics.com/", "TENANT_ID": "t/1", "CLIENT_ID": "app", "CLIENT_SECRET": SECRET}.items():
        monkeypatch.setenv(f"DYNAMICS_{name}", value)
    target = DynamicsTarget.from_environment("lead", FIELDS)
    assert target.url == "https://contoso.crm.dynamics.com"
    assert target.token_url == "https://login.microsoftonline.com/t%2F1/oauth2/v2.0/token"
    monkeypatch.setenv("DYNAMICS_URL", "http://contoso.example")
    with pytest.raises(Problem, match="The address of DYNAMICS_URL must be https://"):
        DynamicsTarget.from_environment("lead", FIELDS)
