"""Each row is handed back once, whatever happens on the way; the outbox is a real warehouse, the target a made-up one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.problem import Problem
from pipelines.crm.base import Unreachable
from pipelines.crm.writeback import Refusal, Update, Written, digest, trend, write_back
from pipelines.outbox import Outbox
from pipelines.warehouse import Warehouse

NIGHT = datetime(2025, 6, 1, 2)


class _Crm:
    """A target with a memory; `plan` says what becomes of its calls, one after the other: "" works."""

    name, batch = "made-up", 3

    def __init__(self, plan: Sequence[str] = (), refusing: Sequence[str] = ()) -> None:
        self.held: dict[str, int] = {}
        self.calls: list[list[str]] = []
        self.plan, self.refusing = iter(plan), refusing

    def prepare(self, may_create: bool) -> list[str]:
        return []

    def write(self, updates: Sequence[Update]) -> list[Refusal]:
        fate = next(self.plan, "")
        if fate == "killed before":
            raise KeyboardInterrupt
        if fate == "unreachable":
            raise Unreachable("no answer")
        self.calls.append([update.lead_id for update in updates])
        taken = [update for update in updates if update.lead_id not in self.refusing]
        self.held |= {update.lead_id: update.score for update in taken}
        if fate == "answer lost":
            raise Unreachable("no answer")
        if fate == "killed after":
            raise KeyboardInterrupt
        return [Refusal(update.lead_id, "is locked") for update in updates if update not in taken]


def _updates(count: int, score: int = 40, night: datetime = NIGHT) -> list[Update]:
    return [Update(f"L{n}", score, "B", n, "was active", night, score / 100, None) for n in range(1, count + 1)]


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    with Warehouse.open(str(tmp_path / "w.duckdb")) as opened:
        yield opened


def _sent(warehouse: Warehouse, crm: _Crm, updates: Sequence[Update], night: datetime = NIGHT, **how: Any) -> Written:
    outbox = Outbox(warehouse, "default", night, crm.name, how.pop("form", ""), how.pop("at", night), **how)
    return write_back(crm, updates, outbox, lambda share, words: None)


def _states(warehouse: Warehouse) -> list[tuple[str, str]]:
    return warehouse.raw.execute("SELECT lead_id, state FROM writebacks ORDER BY as_of, lead_id").fetchall()


def test_every_row_is_sent_once(warehouse: Warehouse) -> None:
    crm = _Crm()
    assert _sent(warehouse, crm, _updates(7)) == Written(7, 7, 0, ())
    assert _sent(warehouse, crm, _updates(7)) == Written(7, 0, 7, ())
    assert crm.calls == [["L1", "L2", "L3"], ["L4", "L5", "L6"], ["L7"]]


@pytest.mark.parametrize(("fate", "twice"), [("unreachable", False), ("answer lost", True)])
def test_a_run_that_was_cut_off_goes_on_with_the_rest(warehouse: Warehouse, fate: str, twice: bool) -> None:
    crm = _Crm(["", fate])
    assert _sent(warehouse, crm, _updates(7)) == Written(7, 3, 0, (), 4, "no answer")
    assert _states(warehouse) == [("L1", "sent"), ("L2", "sent"), ("L3", "sent"), *[(f"L{n}", "waiting") for n in (4, 5, 6, 7)]]
    assert _sent(warehouse, crm, _updates(7)) == Written(7, 4, 3, ())
    # A batch whose answer was lost is sent again, which sets the same values.
    assert crm.calls == [["L1", "L2", "L3"], *[["L4", "L5", "L6"]] * (1 + twice), ["L7"]]


@pytest.mark.parametrize("fate", ["killed before", "killed after"])
def test_a_killed_run_goes_on_with_the_rest(warehouse: Warehouse, fate: str) -> None:
    crm = _Crm(["", fate])
    with pytest.raises(KeyboardInterrupt):
        _sent(warehouse, crm, _updates(7))
    assert _sent(warehouse, crm, _updates(7)) == Written(7, 4, 3, ())
    assert crm.held == {f"L{n}": 40 for n in range(1, 8)}


def test_a_refused_row_holds_up_no_other_and_waits_for_the_next_night(warehouse: Warehouse) -> None:
    crm = _Crm(refusing=["L2", "L7"])
    refused = (Refusal("L2", "is locked"), Refusal("L7", "is locked"))
    assert _sent(warehouse, crm, _updates(7)) == Written(7, 5, 0, refused)
    assert warehouse.raw.execute("SELECT lead_id, reason FROM writebacks WHERE state = 'refused' ORDER BY 1").fetchall() == [
        ("L2", "is locked"),
        ("L7", "is locked"),
    ]
    assert _sent(warehouse, crm, _updates(7)) == Written(7, 0, 7, ())
    assert _sent(warehouse, crm, _updates(7), again=True) == Written(7, 0, 5, refused)
    crm.refusing = []
    assert _sent(warehouse, crm, _updates(7), NIGHT + timedelta(days=1)) == Written(7, 2, 5, ())


def test_only_what_changed_is_sent_the_next_night(warehouse: Warehouse) -> None:
    crm, tomorrow = _Crm(), NIGHT + timedelta(days=1)
    _sent(warehouse, crm, _updates(3))
    changed = [replace(update, scored_at=tomorrow, score=50 if update.lead_id == "L2" else 40) for update in _updates(3)]
    assert _sent(warehouse, crm, changed, tomorrow) == Written(3, 1, 2, ())
    assert crm.calls[1:] == [["L2"]]
    assert _sent(warehouse, crm, changed, tomorrow, only_changed=False) == Written(3, 2, 1, ())


def test_what_may_have_arrived_does_not_count_as_the_value_before(warehouse: Warehouse) -> None:
    """Sent 40, then 50 with a lost answer: tonight's 40 is no repetition."""
    crm, nights = _Crm(["", "answer lost"]), [NIGHT + timedelta(days=n) for n in range(3)]
    _sent(warehouse, crm, _updates(1), nights[0])
    assert _sent(warehouse, crm, _updates(1, 50), nights[1]).waiting == 1
    assert _sent(warehouse, crm, _updates(1), nights[2]) == Written(1, 1, 0, ())
    assert crm.held == {"L1": 40}


def test_a_night_that_was_scored_again_is_sent_again_where_it_differs(warehouse: Warehouse) -> None:
    crm = _Crm()
    _sent(warehouse, crm, _updates(4))
    again = [replace(update, tier="A") if update.lead_id == "L4" else update for update in _updates(4)]
    assert _sent(warehouse, crm, again, at=NIGHT + timedelta(hours=1)) == Written(4, 1, 3, ())


def test_other_fields_targets_and_outcomes_know_nothing_yet(warehouse: Warehouse) -> None:
    crm = _Crm()
    _sent(warehouse, crm, _updates(2), form="contacts leadscore_score")
    assert _sent(warehouse, crm, _updates(2), form="contacts my_score", at=NIGHT + timedelta(hours=1)).sent == 2
    other = Outbox(warehouse, "renewal", NIGHT, crm.name, "", NIGHT)
    assert write_back(crm, _updates(2), other, lambda share, words: None).sent == 2
    elsewhere = _Crm()
    elsewhere.name = "elsewhere"
    assert _sent(warehouse, elsewhere, _updates(2)).sent == 2


def test_a_token_that_is_refused_amid_a_night_leaves_what_was_sent(warehouse: Warehouse) -> None:
    crm = _Crm()
    write = crm.write

    def refused(updates: Sequence[Update]) -> list[Refusal]:
        if crm.calls:
            raise Problem("renew TOKEN")
        return write(updates)

    crm.write = refused  # type: ignore[method-assign]
    with pytest.raises(Problem, match="renew TOKEN"):
        _sent(warehouse, crm, _updates(5))
    crm.write = write  # type: ignore[method-assign]
    assert _sent(warehouse, crm, _updates(5)) == Written(5, 2, 3, ())


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    nights=st.lists(
        st.tuples(
            st.lists(st.tuples(st.integers(1, 6), st.integers(1, 3)), unique_by=lambda one: one[0], min_size=1),
            st.lists(st.sampled_from(["", "unreachable", "answer lost", "killed before", "killed after"]), max_size=4),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_in_the_end_the_crm_holds_the_newest_scores(tmp_path_factory: pytest.TempPathFactory, nights: list[Any]) -> None:
    """Whatever fails on however many nights: once a run gets through, every lead of that night has its value, and nothing is left to send."""
    crm, wanted = _Crm(), dict[str, int]()
    with Warehouse.open(str(tmp_path_factory.mktemp("w") / "w.duckdb")) as warehouse:
        for number, (leads, plan) in enumerate(nights):
            night = NIGHT + timedelta(days=number)
            updates = [replace(_updates(lead)[-1], score=score, scored_at=night) for lead, score in leads]
            wanted |= {update.lead_id: update.score for update in updates}
            crm.plan = iter(plan)
            for _ in range(len(plan) + 1):
                try:
                    done = _sent(warehouse, crm, updates, night)
                except KeyboardInterrupt:
                    continue
                assert done.rows == done.sent + done.unchanged + len(done.refused) + done.waiting
            assert crm.held == wanted
            assert _sent(warehouse, crm, updates, night) == Written(len(updates), 0, len(updates), ())


def test_a_lead_that_goes_another_way_is_told_anew() -> None:
    one = _updates(1)[0]
    assert digest(one) == digest(replace(one, scored_at=NIGHT + timedelta(days=1), probability=0.404))
    for changed in (replace(one, rank=2), replace(one, reasons="is quiet"), replace(one, change=0.1), replace(one, score=41), replace(one, tier="A")):
        assert digest(one) != digest(changed)
    assert [trend(change) for change in (None, 0.0, 0.03, -0.03)] == [None, "steady", "up", "down"]
