"""Whatever is handed over is refused in a sentence or accounted for row by row; `make bench NAME=malformed` tries ten thousand inputs."""

from __future__ import annotations

from time import monotonic

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.malformed import KINDS, RIGHT, TABLES, Input, attempt, configured, tried

# However busy the machine is: what takes longer hangs.
_PATIENCE = 60
_EXAMPLES = {"bytes of a CSV": 60, "cells of a CSV": 60, "a Parquet file": 50, "leadscore.toml": 150, "scored": 6}


@pytest.mark.parametrize("kind", KINDS)
def test_a_malformed_input_is_refused_or_accounted_for(kind: str) -> None:
    @settings(max_examples=_EXAMPLES[kind], suppress_health_check=list(HealthCheck))
    @given(inputs=KINDS[kind])
    def one(inputs: Input) -> None:
        began = monotonic()
        assert attempt(inputs, score=kind == "scored") in ("clean", "refused")
        assert monotonic() - began < _PATIENCE

    one()


@pytest.mark.parametrize("score", [False, True])
def test_what_is_right_is_not_refused(score: bool) -> None:
    rows = {name: len(table) - 1 for name, table in TABLES.items()}
    assert attempt(Input(RIGHT, configured(*TABLES), rows), score) == "clean"


def test_an_input_of_which_a_row_was_lost_does_not_pass() -> None:
    with pytest.raises(AssertionError, match="rows of leads were never read"):
        attempt(Input(RIGHT, configured(), {"leads": 7}))


def test_the_benchmark_counts_what_became_of_every_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        KINDS, "leadscore.toml", st.sampled_from([Input(RIGHT, configured()), Input({}, "["), Input(RIGHT, configured(), {"deals": 9})])
    )
    row = tried("leadscore.toml", 30)
    assert (row["examples"], row["refused"], row["clean"], row["tracebacks"]) == (3, 1, 1, 1)
    assert row["first tracebacks"] == "AssertionError: rows of deals were never read"
