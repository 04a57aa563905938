"""A hazard learns from whoever was followed, answers for any horizon, and its reasons add up."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import learnable
import numpy as np
import pandas as pd
import pytest

from features.feature import Feature
from features.labels import as_known
from features.timeline import Timeline
from models.calibration import sigmoid
from models.hazard import HazardModel, fit_hazard, stretches

SIZE = (Feature("size", "number", "size", "size {value}"),)


def _followed(days: float = 90.0, leads: int = 6_000, seed: int = 4) -> pd.DataFrame:
    """Leads of size 0 and 1, won at constant rates of 0.002 and 0.01 a day, each followed for up to so many days."""
    rng = np.random.default_rng(seed)
    size = rng.integers(0, 2, leads).astype(float)
    waited, seen = rng.exponential(1 / np.where(size > 0, 0.01, 0.002)), rng.uniform(1, days, leads)
    ids = [f"L{n:05}" for n in range(leads)]
    return pd.DataFrame({"lead_id": ids, "size": size, "weight": 1.0, "happened": waited < seen, "followed_days": np.minimum(waited, seen)})


def test_a_story_of_three_leads_in_stretches() -> None:
    # Acme was won on day 30, Bolt is followed to day 10 without a win, Core to the end of the horizon.
    past = pd.DataFrame({"happened": [True, False, False], "followed_days": [30.0, 10.0, 90.0]})
    found = stretches(past, 100.0, seed=1).sort_values(["row", "won"], ignore_index=True)
    acme, bolt, core = (found[found["row"] == n] for n in range(3))
    # Stretches end on days 8, 20, 40, 70, 100: ten of the days of the third were lived through before the win.
    assert acme[acme["won"]][["stretch", "days", "times"]].to_numpy().tolist() == [[2, 10.0, 1.0]]
    assert acme[~acme["won"]]["stretch"].isin([0, 1]).all()
    assert acme[~acme["won"]]["times"].tolist() == [2.0]
    assert bolt[["won", "times"]].to_numpy().tolist() == [[False, 2.0]]
    assert bolt["days"].tolist() in ([8.0], [2.0])
    assert core["times"].tolist() == [5.0]
    assert not core["won"].any()


def test_what_comes_after_the_horizon_is_no_win_in_it() -> None:
    found = stretches(pd.DataFrame({"happened": [True], "followed_days": [100.0]}), 100.0, seed=1)
    assert found["won"].tolist() == [False]


def test_drawn_stretches_stand_for_all_days_that_were_lived_through() -> None:
    past = _followed()
    found = stretches(past, 90.0, seed=2)
    assert (found["days"] * found["times"]).sum() == pytest.approx(past["followed_days"].sum(), rel=0.03)
    assert found["won"].sum() == past["happened"].sum()


@pytest.mark.parametrize("horizon", [30.0, 90.0, 180.0])
def test_leads_that_nobody_followed_to_the_end_tell_the_chance_for_any_horizon(horizon: float) -> None:
    model = fit_hazard(_followed(days=60.0, leads=20_000), SIZE, 90.0)
    said = sigmoid(model.log_odds(pd.DataFrame({"size": [0.0, 1.0]}), horizon))
    assert said == pytest.approx(1 - np.exp(-np.array([0.002, 0.01]) * horizon), rel=0.12)


def test_absence_is_the_other_side_of_the_same_chance() -> None:
    comes, stays_away = (fit_hazard(_followed(), SIZE, 90.0, absence=absence) for absence in (False, True))
    frame = pd.DataFrame({"size": [0.0, 1.0]})
    assert stays_away.log_odds(frame) == pytest.approx(-comes.log_odds(frame))


@pytest.mark.parametrize("absence", [False, True])
def test_contributions_add_up_and_it_comes_back_from_text(absence: bool, tmp_path: Path) -> None:
    frame = as_known(learnable.examples(leads=200, weeks=6), datetime(2025, 3, 1), Timeline())
    model = fit_hazard(frame, learnable.FEATURES, 90.0, absence=absence)
    model.save(tmp_path)
    again = HazardModel.load(tmp_path)
    assert again.log_odds(frame).tolist() == model.log_odds(frame).tolist()
    assert again.log_odds(frame, 30.0).tolist() == model.log_odds(frame, 30.0).tolist()
    each = again.contributions(frame)
    assert list(each.columns) == ["opens_7d", "source", "job_title", "met", "bias"]
    assert np.abs(each.sum(axis=1).to_numpy() - model.log_odds(frame)).max() < 1e-6


def test_the_same_seed_is_the_same_text() -> None:
    texts = [fit_hazard(_followed(leads=1_000), SIZE, 90.0, seed=seed).booster.model_to_string() for seed in (7, 7, 8)]
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]


@pytest.mark.parametrize("absence", [False, True])
@pytest.mark.parametrize("sign", [1, -1])
def test_it_only_rises_or_falls_with_a_number_that_is_bound(sign: int, absence: bool) -> None:
    frame = _followed(leads=2_000)
    rng = np.random.default_rng(3)
    frame["size"] = np.where(frame["size"] > 0, rng.uniform(30, 60, len(frame)), rng.choice([10.0, 80.0], len(frame)))
    bound = fit_hazard(frame, SIZE, 90.0, absence=absence, monotone={"size": sign})
    free = fit_hazard(frame, SIZE, 90.0, absence=absence)
    sizes = pd.DataFrame({"size": np.arange(0.0, 100.0)})
    assert (sign * np.diff(bound.log_odds(sizes))).min() >= 0
    assert (sign * np.diff(free.log_odds(sizes))).min() < -0.1


def test_too_few_wins_still_give_a_model_near_the_average() -> None:
    past = _followed(leads=60)
    rate = past["happened"].sum() / past["followed_days"].sum()
    said = sigmoid(fit_hazard(past, SIZE, 90.0).log_odds(pd.DataFrame({"size": [0.5]})))
    assert said == pytest.approx(1 - np.exp(-90 * rate), rel=0.5)
