"""What one machine commits to the server every other sees, whole or not at all, and nobody writes over what they had not seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reps import NIGHT, TEAM, night, publish
from stories import company_of, random_company

from features.problem import Problem
from pipelines.warehouse import Warehouse

CRM = ("leads", "lead_changes", "activities", "deals", "accounts", "owners")
INSTANT = st.datetimes(datetime(1, 1, 1), datetime(9999, 1, 1))
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)


@contextmanager
def _two(url: str, place: Path) -> Iterator[tuple[Warehouse, Warehouse]]:
    """Two machines at the same time."""
    with Warehouse.open(url, place / "one.duckdb") as one, Warehouse.open(url, place / "other.duckdb") as other:
        yield one, other


def _rows(warehouse: Warehouse, table: str) -> list[tuple[Any, ...]]:
    return warehouse.raw.execute(f"SELECT * FROM {table}").fetchall()


def _emptied(warehouse: Warehouse, then: Callable[[], object]) -> None:
    """Take all nights away, and let something happen before that is committed."""
    with warehouse.transaction("ledger"):
        warehouse.raw.execute("DELETE FROM ledger")
        then()


def test_a_company_and_its_nights_come_to_another_machine_as_they_are(postgres_url: str, tmp_path: Path) -> None:
    with Warehouse.open(postgres_url, tmp_path / "one.duckdb") as one:
        with one.transaction():
            company_of(random_company(3), one.ibis)
            one.raw.execute("INSERT INTO notices VALUES ('second'), ('first')")
        publish(one, night(*TEAM))
        kept = {table: _rows(one, table) for table in (*CRM, "ledger", "notices")}
    assert len(kept["activities"]) > 20
    with Warehouse.open(postgres_url, tmp_path / "other.duckdb") as other:
        assert {table: _rows(other, table) for table in kept} == kept
        assert other.notices() == ("second", "first")
        assert other.crm().leads.schema() == one_schema(other)
    # Whoever wants to read them on the server can.
    with psycopg.connect(postgres_url) as server:
        assert server.execute("SELECT lead_id FROM leadscore.ledger WHERE listed ORDER BY rank").fetchall() == [("L1",), ("L2",), ("L3",)]


def one_schema(warehouse: Warehouse) -> Any:
    """As the table itself has it."""
    return warehouse.ibis.table("leads").schema()


def test_a_night_that_another_machine_published_meanwhile_stands_and_is_said(postgres_url: str, tmp_path: Path) -> None:
    with _two(postgres_url, tmp_path) as (one, other):
        publish(one, night(*TEAM))
        with pytest.raises(Problem, match=r"Another process has changed ledger default 2025-03-04 02:00:00, .* nothing was written"):
            publish(other, night(*TEAM[:2]))
        assert len(other.read_night(NIGHT)) == 0
        # Of another night they had seen all there was.
        publish(other, night(*TEAM, as_of=NIGHT + timedelta(days=1)))
    with _two(postgres_url, tmp_path) as (one, other):
        assert len(one.read_night(NIGHT)) == len(other.read_night(NIGHT)) == 5


def test_while_one_machine_writes_another_is_told_to_wait(postgres_url: str, tmp_path: Path) -> None:
    busy = pytest.raises(Problem, match="Another process is writing to the PostgreSQL warehouse: wait until it is done and run again")
    with _two(postgres_url, tmp_path) as (one, other), one.transaction("decisions"), busy:
        publish(other, night(*TEAM))


def test_what_is_interrupted_reaches_neither_the_server_nor_the_copy(postgres_url: str, tmp_path: Path) -> None:
    with Warehouse.open(postgres_url, tmp_path / "one.duckdb") as one:
        publish(one, night(*TEAM))
        with pytest.raises(KeyboardInterrupt):
            _emptied(one, lambda: (_ for _ in ()).throw(KeyboardInterrupt()))
        assert len(one.read_night(NIGHT)) == 5
    with Warehouse.open(postgres_url) as another:
        assert len(another.read_night(NIGHT)) == 5


def test_a_server_that_dies_before_it_has_taken_all_leaves_the_old_night_everywhere(postgres_url: str, tmp_path: Path) -> None:
    with Warehouse.open(postgres_url, tmp_path / "one.duckdb") as one:
        publish(one, night(*TEAM))
        assert one.mirror is not None
        process = one.mirror.server.connection.info.backend_pid
        with (
            psycopg.connect(postgres_url, autocommit=True) as server,
            pytest.raises(Problem, match=r"could not be written: .*nothing is half-written"),
        ):
            _emptied(one, lambda: server.execute("SELECT pg_terminate_backend(%s)", [process]))
        assert len(one.read_night(NIGHT)) == 5
    with Warehouse.open(postgres_url, tmp_path / "one.duckdb") as again:
        assert len(again.read_night(NIGHT)) == 5


def test_a_copy_that_missed_its_own_commit_is_brought_up_to_the_server(postgres_url: str, tmp_path: Path) -> None:
    """Killed between the server's commit and the copy's."""
    with Warehouse.open(postgres_url, tmp_path / "one.duckdb") as one:
        publish(one, night(*TEAM[:2]))
    old = (tmp_path / "one.duckdb").read_bytes()
    with Warehouse.open(postgres_url, tmp_path / "one.duckdb") as one:
        publish(one, night(*TEAM))
    (tmp_path / "one.duckdb").write_bytes(old)
    with Warehouse.open(postgres_url, tmp_path / "one.duckdb") as one:
        assert len(one.read_night(NIGHT)) == 5


def test_only_what_differs_is_fetched(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines.mirror import Mirror

    for day in (1, 2, 3):
        with Warehouse.open(postgres_url, tmp_path / "one.duckdb") as one:
            publish(one, night(*TEAM, as_of=datetime(2025, 3, day, 2)))
    with Warehouse.open(postgres_url, tmp_path / "other.duckdb"):
        pass
    with Warehouse.open(postgres_url, tmp_path / "one.duckdb") as one:
        publish(one, night(*TEAM[:1], as_of=datetime(2025, 3, 2, 2)))
    fetched, whole = list[str](), Mirror._fetch
    monkeypatch.setattr(Mirror, "_fetch", lambda self, table, part, known: (fetched.append(f"{table} {part}"), whole(self, table, part, known)))
    with Warehouse.open(postgres_url, tmp_path / "other.duckdb"):
        pass
    assert fetched == ["ledger default 2025-03-02 02:00:00", "nights default 2025-03-02 02:00:00"]


def _answered(warehouse: Warehouse, states: dict[str, str], then: Callable[[], object] = lambda: None) -> None:
    """Keep what became of some leads on the way to a CRM; "" takes one away."""
    with warehouse.amendment("writebacks", NIGHT, "default", list(states)):
        for lead, state in states.items():
            warehouse.raw.execute("DELETE FROM writebacks WHERE as_of = ? AND lead_id = ?", [NIGHT, lead])
            if state:
                columns = 'outcome, as_of, target, lead_id, digest, state, reason, "at"'
                row = ["default", NIGHT, "hubspot", lead, "digest", state, "", NIGHT]
                warehouse.raw.execute(f"INSERT INTO writebacks ({columns}) VALUES ({', '.join('?' * len(row))})", row)
        then()


def _states(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    return warehouse.raw.execute("SELECT as_of, lead_id, state FROM writebacks ORDER BY ALL").fetchall()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.dictionaries(st.sampled_from(["L1", "L2", "L3", "né"]), st.sampled_from(["waiting", "sent", ""])), max_size=6))
def test_leads_that_are_amended_leave_the_server_and_every_copy_as_if_all_had_been_sent(
    changes: list[dict[str, str]], postgres_url: str, tmp_path: Path
) -> None:
    with Warehouse.open(postgres_url) as one:
        with one.transaction("writebacks"):
            one.raw.execute(
                "DELETE FROM writebacks; INSERT INTO writebacks VALUES ('default', '2025-01-01 02:00', 'hubspot', 'L1', 'd', 'sent', '', NULL)"
            )
        for states in changes:
            _answered(one, states)
        assert one.mirror is not None
        noted = {key: part for key, part in one.mirror._stored().items() if key[0] == "writebacks" and part.rows}
        assert one.mirror.server.parts().items() >= noted.items() == one.mirror._parts("writebacks").items()
        kept = _states(one)
    with Warehouse.open(postgres_url) as other:
        assert _states(other) == kept


def test_of_many_leads_only_those_that_are_amended_are_sent(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines.server import Server

    sent, replace = list[list[str]](), Server.replace

    def noted(server: Server, table: str, part: str, now: Any, rows: Any = (), leads: Any = None) -> None:
        rows = list(rows)
        sent.append([row[3] for row in rows])
        replace(server, table, part, now, rows, leads)

    monkeypatch.setattr(Server, "replace", noted)
    with _two(postgres_url, tmp_path) as (one, other):
        _answered(one, {f"L{n}": "waiting" for n in range(1, 6)})
        _answered(one, {"L2": "sent", "L9": ""})
        _answered(one, {"L2": "sent"})
        assert [sorted(leads) for leads in sent] == [["L1", "L2", "L3", "L4", "L5"], ["L2"]]
        # The other had seen none of it, and is told so.
        with pytest.raises(Problem, match=r"Another process has changed writebacks default 2025-03-04 02:00:00 .* nothing was written"):
            _answered(other, {"L1": "sent"})
        assert _states(other) == []
        # A new version brought a column, which every row of the part has from now on.
        one.raw.execute("ALTER TABLE writebacks ADD COLUMN tries INTEGER")
        _answered(one, {"L3": "sent"})
        assert sorted(sent[-1]) == ["L1", "L2", "L3", "L4", "L5"]
    with psycopg.connect(postgres_url) as server:
        rows = server.execute("SELECT state, tries FROM leadscore.writebacks ORDER BY lead_id").fetchall()
        assert rows == [("waiting", None), ("sent", None), ("sent", None), ("waiting", None), ("waiting", None)]


def test_leads_that_were_being_amended_when_the_run_was_killed_are_as_before(postgres_url: str, tmp_path: Path) -> None:
    with Warehouse.open(postgres_url, tmp_path / "one.duckdb") as one:
        _answered(one, {"L1": "waiting", "L2": "waiting"})
        with pytest.raises(KeyboardInterrupt):
            _answered(one, {"L1": "sent"}, lambda: (_ for _ in ()).throw(KeyboardInterrupt()))
        assert [state for _, _, state in _states(one)] == ["waiting", "waiting"]
        _answered(one, {"L1": "sent"})
    with Warehouse.open(postgres_url, tmp_path / "other.duckdb") as other:
        assert [state for _, _, state in _states(other)] == ["sent", "waiting"]


def test_a_table_that_is_no_longer_extracted_and_a_column_that_came_are_followed(postgres_url: str, tmp_path: Path) -> None:
    with _two(postgres_url, tmp_path) as (one, _), one.transaction():
        one.raw.execute("CREATE TABLE accounts AS SELECT 1 AS account_id; CREATE TABLE owners AS SELECT 'bob' AS owner_id, 2 AS \"position\"")
    long = "how many people work there, as the company itself says on its own web pages"
    with _two(postgres_url, tmp_path) as (one, other):
        assert _rows(other, "owners") == [("bob", 2)]
        with one.transaction():
            one.raw.execute(f'DROP TABLE accounts; CREATE OR REPLACE TABLE owners AS SELECT \'ann\' AS owner_id, 7 AS "{long}", 8 AS "{long}?"')
    with _two(postgres_url, tmp_path) as (_, other):
        assert (other.has("accounts"), _rows(other, "owners")) == (False, [("ann", 7, 8)])


def test_a_server_of_an_earlier_version_gets_the_columns_that_have_come_since(postgres_url: str, tmp_path: Path) -> None:
    with _two(postgres_url, tmp_path) as (one, _), one.transaction("extracts"):
        one.raw.execute("INSERT INTO extracts (extracted_at, table_name, clean) VALUES ('2025-03-03', 'owners', 2)")
    with psycopg.connect(postgres_url) as server:
        server.execute("ALTER TABLE leadscore.extracts DROP COLUMN digest")
        server.execute("""UPDATE leadscore.stored SET digest = 'of then', columns = replace(columns, ', ["digest", "VARCHAR"]', '')""")
    with Warehouse.open(postgres_url, tmp_path / "third.duckdb") as third:
        assert third.raw.execute("SELECT table_name, clean, digest FROM extracts").fetchall() == [("owners", 2, None)]
        with third.transaction("extracts"):
            third.raw.execute("UPDATE extracts SET digest = 'known'")
    with psycopg.connect(postgres_url) as server:
        assert server.execute("SELECT clean, digest FROM leadscore.extracts").fetchall() == [(2, "known")]


def test_whoever_writes_past_leadscore_on_the_server_is_told(postgres_url: str, tmp_path: Path) -> None:
    with Warehouse.open(postgres_url, tmp_path / "one.duckdb") as one:
        publish(one, night(*TEAM))
        with one.transaction("notices"):
            one.raw.execute("INSERT INTO notices VALUES ('first'), ('second')")
    with Warehouse.open(postgres_url) as anew:
        assert anew.mirror
        assert anew.mirror.altered() == []
    with psycopg.connect(postgres_url) as server:
        server.execute("UPDATE leadscore.ledger SET probability = 0.99 WHERE rank = 1")
        server.execute("DELETE FROM leadscore.notices WHERE sentence = 'second'")
    with Warehouse.open(postgres_url) as anew:
        assert anew.mirror
        assert anew.mirror.altered() == [f"ledger default {NIGHT}", "notices"]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(TEXT | st.none(), st.floats() | st.none(), st.datetimes(datetime(1, 1, 1), datetime(9999, 1, 1)) | st.none(), st.booleans())
    )
)
def test_any_value_arrives_as_it_was(rows: list[tuple[Any, ...]], postgres_url: str, tmp_path: Path) -> None:
    with Warehouse.open(postgres_url) as one, one.transaction():
        one.raw.execute("CREATE OR REPLACE TABLE deals (t VARCHAR, f DOUBLE, d TIMESTAMP, b BOOLEAN)")
        if rows:
            one.raw.executemany("INSERT INTO deals VALUES (?, ?, ?, ?)", rows)
        kept = list(map(repr, _rows(one, "deals")))
    with Warehouse.open(postgres_url) as other:
        assert list(map(repr, _rows(other, "deals"))) == kept


def test_a_server_that_is_not_there_is_one_sentence_without_its_password(tmp_path: Path) -> None:
    url = "postgresql://scorer:s3cret@127.0.0.1:1/leads"
    with pytest.raises(Problem, match=r"The PostgreSQL warehouse cannot be reached: .*") as raised, Warehouse.open(url):
        pass
    assert "s3cret" not in str(raised.value)
    assert raised.value.__cause__ is None
