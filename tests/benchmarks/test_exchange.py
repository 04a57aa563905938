"""A peer sees the features and, of the past alone, what became of each lead; whatever goes wrong with it is said in a sentence."""

from __future__ import annotations

import sys
from pathlib import Path

import learnable
import numpy as np
import pytest

from benchmarks import exchange
from benchmarks.exchange import consult, later_of, log_odds_of, past_of
from benchmarks.peers import fit_lightgbm
from features.problem import Problem

FRAME = learnable.examples(leads=80, weeks=10)
PAST, LATER = past_of(FRAME.head(500), learnable.FEATURES), later_of(FRAME.tail(300), learnable.FEATURES)


@pytest.fixture
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The product's own environment, which has LightGBM, in the place of the peers'."""
    monkeypatch.setattr(exchange, "PYTHON", Path(sys.executable))


def test_the_later_nights_tell_no_outcome_and_nobody_is_told_the_night() -> None:
    assert list(PAST) == ["lead_id", "converted", "weight", "opens_7d", "source", "job_title", "met"]
    assert list(LATER) == ["opens_7d", "source", "job_title", "met"]


@pytest.mark.usefixtures("_here")
def test_a_peer_in_another_process_says_what_it_says_in_this_one() -> None:
    said = consult("LightGBM defaults", 5, 7, PAST, LATER)
    assert said.log_odds == pytest.approx(log_odds_of(fit_lightgbm(PAST, 5, 7, Path())(LATER)))
    assert said.cpu_seconds > 0
    assert said.rows_per_second > 0


def test_nobody_is_held_to_be_surer_than_one_in_a_million() -> None:
    assert log_odds_of(np.array([0.0, 0.2, 1.0])) == pytest.approx([-13.8155, -1.3863, 13.8155], abs=1e-4)


@pytest.mark.usefixtures("_here")
def test_a_peer_that_fails_is_quoted() -> None:
    with pytest.raises(Problem, match=r"^Nobody failed: KeyError: 'Nobody'$"):
        consult("Nobody", 5, 7, PAST, LATER)


@pytest.mark.usefixtures("_here")
def test_a_peer_that_hangs_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "GRACE", (0, 0.01))
    with pytest.raises(Problem, match=r"^FLAML did not end within 0 seconds of a limit of 1\.$"):
        consult("FLAML", 1, 7, PAST, LATER)


def test_peers_that_are_not_installed_are_missed_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(exchange, "PYTHON", tmp_path / "python")
    with pytest.raises(Problem, match="FLAML is not installed: `make bench NAME=quality` installs"):
        consult("FLAML", 1, 7, PAST, LATER)
