"""Trees are small-leaved, stop growing by themselves, and are the same for the same seed."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import learnable
import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from features.feature import Feature
from models.calibration import sigmoid
from models.trees import DEFAULTS, BoostedModel, Lesson, early_stopped, fit_boosted, lesson_of, settings_of

FRAME = learnable.examples(leads=200, weeks=6)
GROWN = fit_boosted(FRAME, learnable.FEATURES, rounds=40)


@pytest.mark.parametrize(("rows", "leaf"), [(500, 5), (20_000, 100), (60_000, 300), (2_000_000, 300)])
def test_leaves_are_small_enough_for_a_small_table(rows: int, leaf: int) -> None:
    assert settings_of(None, rows, seed=7)["min_data_in_leaf"] == leaf


def test_named_settings_win_over_the_defaults() -> None:
    settings = settings_of({"num_leaves": 17}, 60_000, seed=11)
    assert (settings["num_leaves"], settings["learning_rate"], settings["seed"]) == (17, DEFAULTS["learning_rate"], 11)


def test_growing_stops_by_itself_only_where_enough_converted_on_both_sides() -> None:
    values = GROWN.encoder.transform(FRAME)
    settings = settings_of(None, len(FRAME), seed=7)
    assert early_stopped(lesson_of(FRAME, values), settings).best_iteration > 20
    few = FRAME.assign(converted=FRAME["lead_id"] == "L0007")
    assert early_stopped(lesson_of(few, values), settings) is None
    assert fit_boosted(few, learnable.FEATURES).bags[0].num_trees() <= 60


def test_the_same_seed_grows_the_same_trees() -> None:
    grow = partial(fit_boosted, FRAME, learnable.FEATURES, rounds=40)
    assert grow(seed=7).bags[0].model_to_string() == grow(seed=7).bags[0].model_to_string()
    assert grow(seed=7).bags[0].model_to_string() != grow(seed=8).bags[0].model_to_string()


def test_importance_names_what_the_trees_split_on() -> None:
    assert GROWN.importance().index[0] == "opens_7d"
    assert GROWN.importance().is_monotonic_decreasing


def _humped(leads: int = 3_000) -> pd.DataFrame:
    """Middling firms convert most; what a firm does tells more about a small one."""
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"lead_id": [f"L{n:05}" for n in range(leads)], "weight": 1.0, "employees": rng.uniform(0, 100, leads).round()})
    frame["opens"] = rng.poisson(2, leads).astype(float)
    pull = 2 - np.abs(frame["employees"] - 40) / 12 + 0.4 * frame["opens"] * (frame["employees"] < 60)
    frame.loc[rng.random(leads) < 0.1, "employees"] = np.nan
    return frame.assign(converted=rng.random(leads) < sigmoid(pull.to_numpy()))


@pytest.mark.parametrize("sign", [1, -1])
def test_trees_only_rise_or_fall_with_a_number_that_is_bound(sign: int, tmp_path: Path) -> None:
    past, features = _humped(), (Feature("employees", "number", "employees", ""), Feature("opens", "number", "opens", ""))
    loose = {"num_leaves": 31, "min_data_in_leaf": 20, "lambda_l2": 1.0, "feature_fraction": 1.0}
    free = fit_boosted(past, features, params=loose, rounds=100)
    bound = fit_boosted(past, features, params=loose, rounds=100, monotone={"employees": sign})
    bound.save(tmp_path)

    def steps(model: BoostedModel) -> np.ndarray:
        rows = past.head(200).merge(pd.DataFrame({"size": np.arange(0, 101, 2.0)}), how="cross")
        return sign * np.diff(model.log_odds(rows.assign(employees=rows["size"])).reshape(200, -1), axis=1)

    assert steps(free).min() < -0.1
    assert steps(bound).min() >= 0
    assert steps(bound).max() > 0.1
    assert steps(BoostedModel.load(tmp_path)).min() >= 0


def test_nothing_bound_is_what_it_was() -> None:
    plain, none = (fit_boosted(FRAME, learnable.FEATURES, rounds=20, monotone=bound) for bound in (None, {"other": 1}))
    assert none.bags[0].model_to_string() == plain.bags[0].model_to_string()


def _said(seed: int, bags: int = 1, rounds: int | None = 30) -> NDArray[np.float64]:
    return fit_boosted(FRAME, learnable.FEATURES, seed=seed, rounds=rounds, bags=bags).log_odds(FRAME)


def test_the_mean_of_as_many_seeds_is_said_and_told() -> None:
    model = fit_boosted(FRAME, learnable.FEATURES, seed=11, rounds=30, bags=3)
    assert len({bag.model_to_string() for bag in model.bags}) == 3
    assert model.log_odds(FRAME) == pytest.approx(np.mean([_said(11), _said(12), _said(13)], axis=0))
    assert model.contributions(FRAME).sum(axis=1).to_numpy() == pytest.approx(model.log_odds(FRAME), abs=1e-6)


def test_how_long_to_grow_is_found_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[int] = []

    def watched(lesson: Lesson, settings: dict[str, Any]) -> lgb.Booster | None:
        found.append(settings["seed"])
        return early_stopped(lesson, settings)

    monkeypatch.setattr("models.trees.early_stopped", watched)
    fit_boosted(FRAME, learnable.FEATURES, seed=11, bags=3)
    assert found == [11]


def test_bags_of_other_seeds_differ_less_than_trees_of_other_seeds() -> None:
    few, many = (np.abs(_said(20, bags) - _said(40, bags)).mean() for bags in (1, 5))
    assert many < 0.7 * few


def test_bags_come_back_from_disk_and_so_does_a_model_of_before_there_were_any(tmp_path: Path) -> None:
    model = fit_boosted(FRAME, learnable.FEATURES, rounds=20, bags=3)
    model.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["encoder.json", "model-2.lgb", "model-3.lgb", "model.lgb"]
    np.testing.assert_array_equal(BoostedModel.load(tmp_path).log_odds(FRAME), model.log_odds(FRAME))
    for further in (2, 3):
        (tmp_path / f"model-{further}.lgb").unlink()
    assert len(BoostedModel.load(tmp_path).bags) == 1
