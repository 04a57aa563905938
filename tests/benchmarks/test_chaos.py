"""Whatever befalls a night, it is whole or not there, and the next run makes it as if nothing had happened; `make bench NAME=chaos` tries more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from benchmarks.chaos import FIRST, begin, how, night
from benchmarks.faults import FAULTS, befalling
from benchmarks.runs import nursery
from benchmarks.state import State, differing, torn, torn_by_a_wrong_clock
from benchmarks.twins import Twins, twins


@pytest.fixture
def pair(prefect_server: str, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Twins]:
    monkeypatch.setenv("PREFECT_API_URL", prefect_server)
    with nursery() as born, twins(tmp_path, born, 150, FIRST, hubspot=True, server=postgres_url) as two:
        yield two


def test_a_night_that_everything_befalls_is_never_half_and_becomes_what_it_would_have_been(pair: Twins) -> None:
    # Of all faults only a full disk wants a machine that mounts one; files that may not grow stand in for it.
    every = befalling(pair)
    assert set(FAULTS) - set(every) <= {"full disk"}
    begin(pair)
    row = night(pair, FIRST + timedelta(days=1), [one for one in every if one != "no larger files" or "full disk" not in every], Random(3))
    assert (row["broken"], row["which"]) == (0, "")
    assert row["ended"].count("killed") == 2
    assert "unexpected" not in row["ended"]


OLD, NEW = datetime(2025, 3, 1, 2), datetime(2025, 3, 2, 2)
WHOLE = State({"leads": (2, "5")}, {OLD: (2, "6"), NEW: (2, "7")}, {"2025-03-01": {"a": b"1"}, "2025-03-02": {"a": b"2"}}, {"warehouse.duckdb"}, ())


def test_the_night_before_and_the_night_itself_are_what_a_reader_may_see() -> None:
    before = replace(WHOLE, nights={OLD: (2, "6")}, lists={"2025-03-01": {"a": b"1"}})
    assert torn(WHOLE, WHOLE) == torn(before, WHOLE) == []
    assert torn(replace(WHOLE, nights={NEW: (2, "7")}), WHOLE) == ["the night of 2025-03-01 is gone"]
    assert torn(replace(WHOLE, nights={OLD: (2, "6"), NEW: (1, "8")}), WHOLE) == ["the night of 2025-03-02 is another one"]
    assert torn(replace(WHOLE, lists={"2025-03-02": {}}), WHOLE) == ["the list of 2025-03-02 is another one"]
    assert torn(replace(WHOLE, wrong=("a row is lost",), waiting=3), WHOLE) == ["a row is lost"]


def test_by_a_wrong_clock_tonight_may_be_another_and_no_night_before() -> None:
    tonight = replace(WHOLE, nights={OLD: (2, "6"), NEW: (1, "8")}, lists={"2025-03-01": {"a": b"1"}, "2025-03-02": {}})
    assert torn_by_a_wrong_clock(tonight, WHOLE) == torn_by_a_wrong_clock(WHOLE, WHOLE) == []
    before = replace(WHOLE, nights={OLD: (2, "9"), NEW: (2, "7")}, lists={"2025-03-01": {}, "2025-03-02": {"a": b"2"}})
    assert torn_by_a_wrong_clock(before, WHOLE) == ["the night of 2025-03-01 is another one", "the list of 2025-03-01 is another one"]


def test_every_difference_from_an_undisturbed_night_is_told() -> None:
    assert differing(WHOLE, WHOLE) == []
    other = State({"leads": (1, "5")}, {NEW: (2, "8")}, {**WHOLE.lists, "2025-03-03": {}}, {"warehouse.duckdb", "lists/half"}, ("a row is lost",), 3)
    assert differing(other, WHOLE) == [
        "a row is lost",
        "3 scores wait to be handed back",
        "leads holds other rows",
        "the ledger of 2025-03-02 is another one",
        "the ledger of 2025-03-01 is missing",
        "the list of 2025-03-03 is one too many",
        "lists/half was left behind",
    ]


def test_how_a_run_ended_is_said_in_a_word() -> None:
    assert [how(None, ""), how(0, ""), how(3, ""), how(1, "leadscore: no"), how(130, "")] == ["killed", "done", "done", "refused", "code 130"]
    assert how(1, "leadscore: something unexpected went wrong (OSError: no). The details are in a file.\n") == (
        "unexpected: (OSError: no). The details are in a file."
    )
