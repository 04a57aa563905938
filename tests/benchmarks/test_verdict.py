"""First, within the interval of the first, or behind it, and by how much: read off the same rows under the same draws."""

from __future__ import annotations

import numpy as np
import pytest
from cases import case

from benchmarks.contest import Contest, Entry
from benchmarks.contestants import OURS, Terms
from benchmarks.verdict import costs, standing, verdicts
from models.metrics import Floats, Judged, evaluate

CASE = case(leads=4)
RNG = np.random.default_rng(5)
TRUTH = RNG.normal(-1, 1.5, 600)
WON = RNG.random(600) < 1 / (1 + np.exp(-TRUTH))
# One lead that was lost, put first: in a third of all draws it is not there.
LIFTED = np.where(np.arange(600) == np.flatnonzero(~WON)[0], 9.0, TRUTH)


def _entry(name: str, log_odds: Floats, cpu: float = 2.0, speed: float = 1_000.0, fits: int = 1) -> Entry:
    leads = np.array([f"L{n:03}" for n in range(600)], dtype=object)
    judged = Judged(WON, log_odds, np.ones(600), leads, np.full(600, np.datetime64("2025-05-01")))
    return Entry(name, Terms(fits, 60), judged, evaluate(judged, names=("average_precision", "roc_auc", "log_loss")), None, cpu, speed)


def _contest(*entries: Entry, mode: str = "static") -> Contest:
    return Contest(CASE, mode, entries)


@pytest.mark.parametrize(
    ("ours", "other", "place"),
    [(TRUTH, np.zeros(600), "first"), (TRUTH, TRUTH, "first"), (LIFTED, TRUTH, "within"), (-TRUTH, TRUTH, "behind")],
)
def test_where_the_product_stands(ours: Floats, other: Floats, place: str) -> None:
    found = standing(_contest(_entry("other", other), _entry(OURS, ours)), "average_precision")
    assert found is not None
    assert found[0] == place
    gap = found[1]
    assert {"first": gap.value == 0, "within": gap.low <= 0 < gap.value, "behind": 0 < gap.low < gap.value < gap.high}[place]


def test_the_sentences_say_how_far_behind() -> None:
    contest = _contest(_entry("FLAML", TRUTH), _entry(OURS, TRUTH / 2 - 1))
    gap = contest.behind(contest.entries[1], "log_loss")
    assert gap.low > 0.01
    assert list(verdicts([contest])) == [
        "Of 2 comparisons (companies, modes, average precision and log-loss) ours is first in 1, within the interval of the first in 0, behind in 1.",
        "made here, seed 7, static: on average precision ours is first; "
        f"on log-loss ours is behind FLAML by {gap.value:.4f} ({gap.low:.4f} to {gap.high:.4f}).",
    ]


def test_without_the_product_there_is_no_verdict() -> None:
    contest = _contest(_entry("FLAML", TRUTH))
    assert standing(contest, "log_loss") is None
    assert list(verdicts([contest])) == [
        "made here, seed 7, static: on average precision ours did not take part; on log-loss ours did not take part."
    ]


def test_costs_are_ratios_to_each_preset_of_autogluon() -> None:
    ours, good = _entry(OURS, TRUTH, cpu=2, speed=80_000), _entry("AutoGluon good", TRUTH, cpu=50, speed=1_000)
    slower = _entry("AutoGluon good", TRUTH, cpu=30, speed=2_000)
    assert list(costs([_contest(ours, good, _entry("FLAML", TRUTH)), _contest(ours, slower)])) == [
        "static, AutoGluon good (fits 1, ours 1): a fit of it takes 20.0 (15.0 to 25.0) times the processor time of one of ours (goal 20); "
        "ours scores 60.0 (40.0 to 80.0) times as fast (goal 50)."
    ]


def test_costs_are_those_of_one_fit_where_one_learns_more_often() -> None:
    contest = _contest(_entry(OURS, TRUTH, cpu=24, fits=12), _entry("AutoGluon medium", TRUTH, cpu=120, fits=4), mode="prequential")
    (said,) = costs([contest])
    assert said.startswith("prequential, AutoGluon medium (fits 4, ours 12): a fit of it takes 15.0 (15.0 to 15.0) times")


def test_where_autogluon_did_not_take_part_costs_are_not_told() -> None:
    assert list(costs([_contest(_entry(OURS, TRUTH))])) == []
