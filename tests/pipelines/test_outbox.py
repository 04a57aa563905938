"""What was sent, waits or was refused is kept lead by lead, at once, and of a rehearsal nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.crm.writeback import Refusal
from pipelines.outbox import Outbox
from pipelines.warehouse import Warehouse

NIGHT, AT = datetime(2025, 6, 1, 2), datetime(2025, 6, 1, 3)


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(tmp_path / "w.duckdb")


@pytest.fixture
def warehouse(file: str) -> Iterator[Warehouse]:
    with Warehouse.open(file) as opened:
        yield opened


def _outbox(warehouse: Warehouse, **how: Any) -> Outbox:
    return Outbox(warehouse, "default", NIGHT, "hubspot", "contacts", AT, **how)


def _kept(warehouse: Warehouse) -> list[Any]:
    return warehouse.raw.execute('SELECT outcome, as_of, target, lead_id, state, reason, "at" FROM writebacks ORDER BY lead_id').fetchall()


def test_what_is_due_waits_until_it_is_answered(warehouse: Warehouse) -> None:
    outbox = _outbox(warehouse)
    assert outbox.due({"L2": "x", "L1": "y"}) == ["L1", "L2"]
    assert _kept(warehouse) == [("default", NIGHT, "hubspot", lead, "waiting", "", AT) for lead in ("L1", "L2")]
    outbox.settle(["L1", "L2"], [Refusal("L2", "is locked")])
    assert _kept(warehouse) == [
        ("default", NIGHT, "hubspot", "L1", "sent", "", AT),
        ("default", NIGHT, "hubspot", "L2", "refused", "is locked", AT),
    ]
    assert outbox.due({"L2": "x", "L1": "y"}) == []
    assert _outbox(warehouse, again=True).due({"L2": "x", "L1": "y"}) == ["L2"]


def test_a_rehearsal_keeps_nothing(warehouse: Warehouse) -> None:
    assert _outbox(warehouse, keep=False).due({"L1": "x", "L2": "y"}) == ["L1", "L2"]
    assert _kept(warehouse) == []


def test_nobody_is_due_of_nobody(warehouse: Warehouse) -> None:
    assert _outbox(warehouse).due({}) == []
    _outbox(warehouse).settle([], [])
    assert _kept(warehouse) == []


@pytest.mark.parametrize("wrong", [datetime(2020, 1, 1), datetime(2030, 1, 1)])
def test_what_was_sent_last_is_what_the_crm_has_whatever_the_clock_said(warehouse: Warehouse, wrong: datetime) -> None:
    # The clock of the second night was wrong; on the third a lead is as it was on the first, and on the fourth as it was on the second.
    for night, (at, digest) in enumerate([(AT, "x"), (wrong, "y"), (AT + timedelta(days=2), "x"), (AT + timedelta(days=3), "y")]):
        outbox = Outbox(warehouse, "default", NIGHT + timedelta(days=night), "hubspot", "contacts", at)
        assert outbox.due({"L1": digest}) == ["L1"]
        outbox.settle(["L1"], [])
        assert outbox.due({"L1": digest}) == []


def test_a_warehouse_that_was_closed_remembers(file: str) -> None:
    for first in (True, False):
        with Warehouse.open(file) as warehouse:
            outbox = _outbox(warehouse)
            assert outbox.due({"L1": "x"}) == ["L1"] * first
            outbox.settle(["L1"], [])
