"""A new model is promoted only if it is better beyond doubt: worse ones are refused, better ones promoted, 19 times in 20."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
import pytest
from conftest import MadeUp

from features.feature import Feature
from models.baseline import LinearModel, fit_logistic
from models.calibration import sigmoid
from models.gate import Evidence, Tonight, decide
from models.metrics import Judged
from models.registry import Registry
from pipelines.settings import read_settings
from pipelines.train import train

SEEDS = 20
OPENS = Feature("opens", "number", "e-mail opens", "opened {value} e-mails")
CALLS = Feature("calls", "number", "calls", "called {value} times")
SOURCE = Feature("source", "category", "source", "source: {value}")
Floats = np.ndarray


def _leads(count: int, seed: int) -> pd.DataFrame:
    """Leads that convert the more often, the more e-mails they open, the more calls they make, and if they came by the web."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "lead_id": [f"L{n:04}" for n in range(count)],
            "as_of": pd.Timestamp("2025-01-06 02:00"),
            "opens": rng.poisson(3, count).astype(float),
            "calls": rng.poisson(2, count).astype(float),
            "source": rng.choice(["web", "ads", "fair"], count),
        }
    )
    pull = 1.6 * np.log1p(frame["opens"]) + 1.6 * np.log1p(frame["calls"]) + (frame["source"] == "web") - 5.6
    return frame.assign(converted=rng.random(count) < sigmoid(pull.to_numpy()), weight=1.0)


@cache
def _world(seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What was learned from, and what is judged on."""
    return _leads(3_000, 1_000 + seed), _leads(1_500, seed)


@cache
def _learned(seed: int, *features: Feature, shuffled: bool = False) -> Floats:
    """The log-odds that a logistic model of some features gives to the later leads."""
    past, later = _world(seed)
    if shuffled:
        past = past.assign(converted=np.random.default_rng(seed).permutation(past["converted"].to_numpy()))
    model: LinearModel = fit_logistic(past, features, strength=1.0)
    return model.log_odds(later)


def _times(log_odds: Floats, factor: float) -> Floats:
    """Every probability so many times what it was."""
    p = np.clip(factor * sigmoid(log_odds), 1e-6, 1 - 1e-6)
    return np.asarray(np.log(p / (1 - p)))


def _full(seed: int) -> Floats:
    return _learned(seed, OPENS, CALLS, SOURCE)


def _fewer(seed: int) -> Floats:
    return _learned(seed, OPENS, SOURCE)


def _off(seed: int) -> float:
    """A fifth too much, and in every second world too little."""
    return 1.2 if seed % 2 else 1 / 1.2


Story = tuple[Callable[[int], Floats], Callable[[int], Floats], bool]
# Challenger, champion, and whether the challenger deserves it. Those that are miscalibrated know more than the champion and order better.
STORIES: dict[str, Story] = {
    "truly better": (_full, _fewer, True),
    "fewer features": (_fewer, _full, False),
    "shuffled labels": (lambda seed: _learned(seed, OPENS, CALLS, SOURCE, shuffled=True), _full, False),
    "probabilities a fifth off": (lambda seed: _times(_full(seed), _off(seed)), _fewer, False),
    "log-odds a fifth off": (lambda seed: _off(seed) * _full(seed), _fewer, False),
}


@pytest.mark.parametrize("story", STORIES)
def test_the_gate_is_right_at_least_19_times_in_20(story: str) -> None:
    challenger, champion, deserved = STORIES[story]
    tonight = Tonight(open_leads=1_000, listed=100, changed=20, seconds=0.2, champion_seconds=0.1)
    right = 0
    for seed in range(SEEDS):
        _, later = _world(seed)
        columns = [later[name].to_numpy() for name in ("weight", "lead_id", "as_of")]
        sides = [Judged(later["converted"].to_numpy(dtype=bool), said(seed), *columns) for said in (challenger, champion)]
        evidence = Evidence(*sides, {"source": later["source"].to_numpy(dtype=object)}, tonight)
        right += decide(evidence, seed=seed).promote is deserved
    assert right >= 19, f"{story}: right in {right} of {SEEDS}"


@pytest.mark.xdist_group("company")
def test_an_equal_challenger_is_refused_and_the_champion_stays(own_company: MadeUp) -> None:
    report = train(own_company.config)
    assert report.refused
    assert not report.facts["champion"]
    assert report.facts["version"] == "2"
    client = Registry(read_settings(own_company.config).tracking_uri).client
    assert client.get_model_version_by_alias("leadscore", "champion").version == 1
    assert client.get_model_version_by_alias("leadscore", "challenger").version == 2
    assert client.get_model_version("leadscore", "2").tags["promoted"] == "false"
