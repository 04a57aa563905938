"""Readers see the old night or the new one, never half of either; one writer at a time."""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from features.contract import SCHEMAS
from features.plan import Attribute
from features.problem import Problem
from pipelines.deliveries import delivery, note_delivery
from pipelines.replies import keep_feedback
from pipelines.warehouse import Warehouse

MONDAY, TUESDAY, WEDNESDAY = (datetime(2025, 3, day, 2) for day in (3, 4, 5))


@pytest.fixture(params=["a file", "a server"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Warehouse]:
    """The same promises, whichever of the two holds it."""
    file = tmp_path / "deep" / "warehouse.duckdb"
    url = str(file) if request.param == "a file" else request.getfixturevalue("postgres_url")
    with Warehouse.open(url, tmp_path / "deep" / "copy.duckdb") as opened:
        yield opened


def _scores(night: datetime, probabilities: dict[str, float], **more: Any) -> pd.DataFrame:
    rows = pd.DataFrame({"lead_id": list(probabilities), "probability": list(probabilities.values()), "as_of": night, "scored_at": night})
    rows = rows.assign(score=50, tier="A", expected_value=None, rank=rows["probability"].rank(ascending=False).astype(int), owner_id="ann")
    rows = rows.assign(owner_rank=1, listed=True, explored=False, change=None, model_name="points table", model_version="1", run_id="r")
    return rows.assign(features_digest="d", reasons=[[{"field": "Branche", "words": "Bäckerei"}]] * len(rows), **more)


@contextmanager
def _no_file_larger_than(size: int) -> Iterator[None]:
    """What a full disk does, without one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_said_and_leaves_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "warehouse.duckdb"
    with Warehouse.open(str(file)) as warehouse:
        warehouse.publish_night(MONDAY, _scores(MONDAY, {"L1": 0.5}))
    many = {f"L{n}": n / 100_000 for n in range(50_000)}
    sentence = (
        r"^The warehouse .*warehouse\.duckdb could not be written \(.*\): free the disk or correct its permissions, and run again; nothing is half-"
    )
    with pytest.raises(Problem, match=sentence), Warehouse.open(str(file)) as warehouse, _no_file_larger_than(file.stat().st_size):
        warehouse.publish_night(TUESDAY, _scores(TUESDAY, many))
    with Warehouse.open(str(file)) as warehouse:
        assert warehouse.raw.execute("SELECT as_of, lead_id FROM ledger").fetchall() == [(MONDAY, "L1")]


def test_before_the_first_extract_every_table_is_there_and_empty(warehouse: Warehouse) -> None:
    crm = warehouse.crm()
    for name, schema in SCHEMAS.items():
        table = getattr(crm, name)
        assert table.schema() == schema
        assert table.count().execute() == 0
    assert (warehouse.newest_cursor("leads"), warehouse.attributes(), warehouse.notices(), warehouse.size("leads")) == (None, (), (), 0)


def test_a_night_is_read_in_the_order_of_its_ranks_with_its_reasons(warehouse: Warehouse) -> None:
    warehouse.publish_night(MONDAY, _scores(MONDAY, {"low": 0.1, "high": 0.9}))
    night = warehouse.read_night(MONDAY)
    assert night[["lead_id", "rank"]].to_numpy().tolist() == [["high", 1], ["low", 2]]
    assert json.loads(night["reasons"][0]) == [{"field": "Branche", "words": "Bäckerei"}]
    assert warehouse.read_night(TUESDAY).empty


def test_publishing_again_replaces_that_night_and_no_other(warehouse: Warehouse) -> None:
    warehouse.publish_night(MONDAY, _scores(MONDAY, {"L1": 0.5, "L2": 0.4}))
    warehouse.publish_night(TUESDAY, _scores(TUESDAY, {"L1": 0.6}))
    warehouse.publish_night(MONDAY, _scores(MONDAY, {"L3": 0.3}))
    assert warehouse.ledger().select("as_of", "lead_id").order_by("as_of").execute().to_numpy().tolist() == [
        [pd.Timestamp(MONDAY), "L3"],
        [pd.Timestamp(TUESDAY), "L1"],
    ]


def test_a_nights_shift_is_replaced_with_it(warehouse: Warehouse) -> None:
    warehouse.publish_night(MONDAY, _scores(MONDAY, {"L1": 0.5}), (-0.2, 40, "All log-odds are shifted by -0.20."))
    warehouse.publish_night(TUESDAY, _scores(TUESDAY, {"L1": 0.6}), (0.1, 50, "All log-odds are shifted by +0.10."))
    warehouse.publish_night(MONDAY, _scores(MONDAY, {"L1": 0.4}), (-0.3, 45, "All log-odds are shifted by -0.30."))
    warehouse.publish_night(TUESDAY, _scores(TUESDAY, {"L1": 0.7}))
    assert (warehouse.shift(MONDAY), warehouse.shift(TUESDAY)) == (("All log-odds are shifted by -0.30.",), ())


def test_a_night_that_cannot_be_written_whole_leaves_the_old_one(warehouse: Warehouse) -> None:
    warehouse.publish_night(MONDAY, _scores(MONDAY, {"L1": 0.5}))
    twice = pd.concat([_scores(MONDAY, {"L2": 0.5}), _scores(MONDAY, {"L2": 0.5})], ignore_index=True)
    with pytest.raises(Exception, match="PRIMARY KEY"):
        warehouse.publish_night(MONDAY, twice)
    assert warehouse.read_night(MONDAY)["lead_id"].tolist() == ["L1"]


def _interrupted(warehouse: Warehouse) -> None:
    with warehouse.transaction():
        warehouse.raw.execute("INSERT INTO notices VALUES ('half')")
        raise KeyboardInterrupt


def test_an_interrupted_transaction_never_happened(warehouse: Warehouse) -> None:
    with pytest.raises(KeyboardInterrupt):
        _interrupted(warehouse)
    assert warehouse.notices() == ()


def test_change_is_measured_from_the_newest_night_before(warehouse: Warehouse) -> None:
    warehouse.publish_night(MONDAY, _scores(MONDAY, {"L1": 0.1, "gone": 0.2}))
    warehouse.publish_night(TUESDAY, _scores(TUESDAY, {"L1": 0.3}))
    assert warehouse.last_probabilities(WEDNESDAY).to_dict() == {"L1": 0.3}
    assert warehouse.last_probabilities(TUESDAY).to_dict() == {"L1": 0.1, "gone": 0.2}
    assert warehouse.last_probabilities(MONDAY).empty


def test_histories_end_with_the_night_and_hold_so_many(warehouse: Warehouse) -> None:
    for night, probability in ((MONDAY, 0.1), (TUESDAY, 0.2), (WEDNESDAY, 0.3)):
        warehouse.publish_night(night, _scores(night, {"L1": probability}))
    assert warehouse.histories(TUESDAY)["probability"].tolist() == [0.1, 0.2]
    assert warehouse.histories(WEDNESDAY, nights=2)["probability"].tolist() == [0.2, 0.3]


def test_attributes_counts_and_notices_come_back_as_the_last_extract_left_them(warehouse: Warehouse) -> None:
    warehouse.raw.execute("INSERT INTO attributes VALUES ('leads', 'source', 'category', 'creation'), ('accounts', 'industry', 'category', 'today')")
    warehouse.raw.execute("INSERT INTO notices VALUES ('first'), ('second')")
    for at, clean in ((MONDAY, 5), (TUESDAY, 7)):
        warehouse.raw.execute("INSERT INTO extracts VALUES (?, 'leads', 9, ?, 1, 1, NULL, ?, NULL)", [at, clean, at])
    assert warehouse.attributes() == (Attribute("source", "leads", "category", "creation"), Attribute("industry", "accounts", "category", "today"))
    assert warehouse.notices() == ("first", "second")
    assert (warehouse.extracted_at(), warehouse.newest_cursor("leads"), warehouse.newest_cursor("deals")) == (TUESDAY, TUESDAY, None)
    assert warehouse.extract_counts()["clean"].tolist() == [7]


def test_outcomes_have_ledgers_of_their_own(warehouse: Warehouse) -> None:
    warehouse.publish_night(MONDAY, _scores(MONDAY, {"L1": 0.1}), outcome="churn")
    warehouse.publish_night(MONDAY, _scores(MONDAY, {"L1": 0.9}))
    warehouse.publish_night(TUESDAY, _scores(TUESDAY, {"L1": 0.8}))
    warehouse.publish_night(MONDAY, _scores(MONDAY, {"L1": 0.2}), outcome="churn")
    assert warehouse.read_night(MONDAY)["probability"].tolist() == [0.9]
    assert warehouse.read_night(MONDAY, "churn")["probability"].tolist() == [0.2]
    assert warehouse.last_probabilities(WEDNESDAY, "churn").to_dict() == {"L1": 0.2}
    assert warehouse.histories(WEDNESDAY)["probability"].tolist() == [0.9, 0.8]
    assert warehouse.histories(WEDNESDAY, outcome="churn")["probability"].tolist() == [0.2]
    assert warehouse.ledger("churn").count().execute() == 1


def test_a_warehouse_of_before_there_were_several_outcomes_opens_with_its_nights(tmp_path: Path) -> None:
    file = str(tmp_path / "warehouse.duckdb")
    with Warehouse.open(file) as warehouse:
        warehouse.publish_night(MONDAY, _scores(MONDAY, {"L1": 0.5, "L2": 0.4}))
        warehouse.raw.execute("CREATE TABLE old AS SELECT * EXCLUDE outcome FROM ledger")
        warehouse.raw.execute("ALTER TABLE old ADD PRIMARY KEY (as_of, lead_id)")
        warehouse.raw.execute("DROP TABLE ledger")
        warehouse.raw.execute("DROP TABLE version")
        warehouse.raw.execute("ALTER TABLE old RENAME TO ledger")
        warehouse.raw.execute("CREATE TABLE leads AS SELECT 'L1' AS lead_id, 'web' AS source")
    for _ in range(2):
        with Warehouse.open(file) as warehouse:
            assert warehouse.read_night(MONDAY)[["outcome", "lead_id"]].to_numpy().tolist() == [["default", "L1"], ["default", "L2"]]
            leads = warehouse.crm().leads
            assert set(SCHEMAS["leads"]) | {"source"} == set(leads.columns)
            assert leads.merged_at.execute().isna().tolist() == [True]
    with Warehouse.open(file) as warehouse:
        warehouse.publish_night(MONDAY, _scores(MONDAY, {"L1": 0.7}), outcome="churn")
        assert warehouse.read_night(MONDAY)["probability"].tolist() == [0.5, 0.4]


def _replies(*rows: tuple[str, str | None, str | None]) -> pd.DataFrame:
    return pd.DataFrame([{"lead_id": lead, "feedback": said, "note": note, "given_by": "ann"} for lead, said, note in rows], dtype="string")


def test_a_reply_read_again_changes_nothing_and_a_corrected_one_takes_its_place(warehouse: Warehouse) -> None:
    first = _replies(("L1", "no answer", None), ("L2", None, "on holiday"))
    assert keep_feedback(warehouse, first, MONDAY, "default", TUESDAY) == 2
    assert keep_feedback(warehouse, first, MONDAY, "default", WEDNESDAY) == 0
    corrected = _replies(("L1", "called, interested", None), ("L2", None, "on holiday"))
    assert keep_feedback(warehouse, corrected, MONDAY, "default", WEDNESDAY) == 1
    # The same lead of another night, or of another outcome, is another reply.
    assert keep_feedback(warehouse, first, TUESDAY, "default", WEDNESDAY) == 2
    assert keep_feedback(warehouse, first, MONDAY, "churn", WEDNESDAY) == 2
    rows = warehouse.raw.execute("SELECT * FROM feedback WHERE outcome = 'default' AND as_of = ? ORDER BY lead_id", [MONDAY]).fetchall()
    assert rows == [
        ("default", MONDAY, "L1", "called, interested", None, "ann", WEDNESDAY),
        ("default", MONDAY, "L2", None, "on holiday", "ann", TUESDAY),
    ]


def test_a_delivery_is_remembered_by_outcome_night_channel_and_recipient(warehouse: Warehouse) -> None:
    assert delivery(warehouse, MONDAY, "mail", "ann") is None
    note_delivery(warehouse, MONDAY, "mail", "ann", "d1", "sending", TUESDAY)
    note_delivery(warehouse, MONDAY, "mail", "ann", "d1", "sent", WEDNESDAY)
    note_delivery(warehouse, MONDAY, "mail", "ann", "d2", "refused", WEDNESDAY, "churn")
    assert delivery(warehouse, MONDAY, "mail", "ann") == ("sent", "d1")
    assert delivery(warehouse, MONDAY, "mail", "ann", "churn") == ("refused", "d2")
    assert [delivery(warehouse, *other) for other in ((TUESDAY, "mail", "ann"), (MONDAY, "crm", "ann"), (MONDAY, "mail", "bob"))] == [None] * 3
    assert warehouse.size("deliveries") == 2


def test_without_the_extra_a_server_is_said_to_need_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    for module in ("pipelines.mirror", "pipelines.server"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    with (
        pytest.raises(Problem, match=r"PostgreSQL needs psycopg, which is not installed: pip install 'leadscore\[postgres\]'\."),
        Warehouse.open("postgresql://127.0.0.1:1/leads"),
    ):
        pass
