"""A stored scorer says tomorrow exactly what it says today, and nothing of it is ever executed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

import learnable
import numpy as np
import pandas as pd
import pytest

from features.feature import Feature
from features.plan import Attribute, Deed, Plan
from features.problem import Problem
from models.amount import fit_gamma
from models.baseline import fit_logistic, fit_points
from models.calibration import Calibration, Knots, sigmoid
from models.encoding import Style
from models.scorer import DEFAULTS, BoostedModel, Model, Scorer, early_stopped, fit_boosted, settings_of

FRAME = learnable.examples(leads=200, weeks=6)
MODELS = {
    "points table": fit_points(FRAME, learnable.FEATURES),
    "logistic": fit_logistic(FRAME, learnable.FEATURES),
    "boosted trees": fit_boosted(FRAME, learnable.FEATURES, rounds=40),
    "boosted trees on codes and hashes": fit_boosted(FRAME, learnable.FEATURES, rounds=40, style=Style("native", "hashed")),
    "boosted trees on rates and topics": fit_boosted(FRAME, learnable.FEATURES, rounds=40, style=Style("target", "topics")),
}
STRANGE = FRAME.head(2).assign(source="carrier pigeon", job_title=None, opens_7d=[np.nan, 1e9], met=np.nan)


def _scorer(model: Model) -> Scorer:
    return Scorer(
        model,
        Calibration(0.8, -0.3),
        Plan(deeds=(Deed("E-Mail geöffnet", "in"),), attributes=(Attribute("source", "leads", "category", "creation"),)),
        learnable.FEATURES,
        datetime(2025, 2, 5, 2),
        datetime(2025, 5, 20, 17, 30),
        0.21,
        {"opens_7d": 1.0, "source": "ads", "job_title": None, "met": 0.0},
        250.0,
    )


@pytest.mark.parametrize("name", MODELS)
def test_what_is_stored_is_text_and_comes_back_whole(name: str, tmp_path: Path) -> None:
    scorer = _scorer(MODELS[name])
    scorer.save(tmp_path / "new" / "scorer")
    for file in (tmp_path / "new" / "scorer").iterdir():
        file.read_text(encoding="utf-8")
        assert file.suffix in (".json", ".lgb")
    back = Scorer.load(tmp_path / "new" / "scorer")
    rows = pd.concat([FRAME, STRANGE], ignore_index=True)
    np.testing.assert_array_equal(back.log_odds(rows), scorer.log_odds(rows))
    assert replace(back, model=scorer.model) == scorer


def test_a_calibration_of_knots_and_what_follows_the_base_rate_are_stored_too(tmp_path: Path) -> None:
    scorer = replace(_scorer(MODELS["logistic"]), calibration=Knots("isotonic", (-2.0, 0.5), (-2.5, 0.25)), recent_days=90)
    scorer.save(tmp_path)
    back = Scorer.load(tmp_path)
    assert (back.calibration, back.recent_days) == (scorer.calibration, 90)
    assert back.shifted(-0.5).log_odds(FRAME) == pytest.approx(scorer.log_odds(FRAME) - 0.5)


def test_a_scorer_of_an_older_version_is_read(tmp_path: Path) -> None:
    _scorer(MODELS["logistic"]).save(tmp_path)
    stored = json.loads((tmp_path / "scorer.json").read_text(encoding="utf-8"))
    del stored["recent_days"], stored["calibration"]["bend"]
    (tmp_path / "scorer.json").write_text(json.dumps(stored), encoding="utf-8")
    back = Scorer.load(tmp_path)
    assert (back.calibration, back.recent_days) == (Calibration(0.8, -0.3), 0)


def test_stored_and_loaded_each_lead_is_worth_the_same_amount(tmp_path: Path) -> None:
    paid = FRAME.drop_duplicates("lead_id").assign(amount=lambda t: 1_000 * (1 + t["opens_7d"]), weight=1.0)
    scorer = replace(_scorer(MODELS["logistic"]), amount=fit_gamma(paid, learnable.FEATURES))
    scorer.save(tmp_path)
    rows = pd.concat([FRAME, STRANGE], ignore_index=True)
    back = Scorer.load(tmp_path)
    np.testing.assert_array_equal(back.amounts(rows), scorer.amounts(rows))
    assert back.amounts(FRAME).std() > 500
    np.testing.assert_array_equal(back.shifted(0.3).amounts(rows), scorer.amounts(rows))


def test_without_an_amount_model_every_lead_is_worth_the_average_or_nobody_knows_what(tmp_path: Path) -> None:
    _scorer(MODELS["logistic"]).save(tmp_path)
    assert Scorer.load(tmp_path).amounts(FRAME.head(3)).tolist() == [250.0] * 3
    assert np.isnan(replace(_scorer(MODELS["logistic"]), value=None).amounts(FRAME.head(2))).all()


@pytest.mark.parametrize("name", MODELS)
def test_calibrated_contributions_add_up_to_the_score(name: str) -> None:
    scorer = _scorer(MODELS[name])
    rows = pd.concat([FRAME, STRANGE], ignore_index=True)
    assert scorer.contributions(rows).sum(axis=1).to_numpy() == pytest.approx(scorer.log_odds(rows), abs=1e-6)
    assert set(scorer.contributions(rows)) <= {"bias", *(feature.name for feature in learnable.FEATURES)}
    assert scorer.log_odds(rows) == pytest.approx(0.8 * scorer.model.log_odds(rows) - 0.3)
    assert scorer.probability(rows) == pytest.approx(sigmoid(scorer.log_odds(rows)))


def test_a_model_this_version_does_not_know_is_refused(tmp_path: Path) -> None:
    _scorer(MODELS["logistic"]).save(tmp_path)
    stored = json.loads((tmp_path / "scorer.json").read_text(encoding="utf-8"))
    (tmp_path / "scorer.json").write_text(json.dumps({**stored, "model": "os.system"}), encoding="utf-8")
    with pytest.raises(Problem, match=r"of a kind \(os\.system\) that this version of leadscore does not know: install a newer one"):
        Scorer.load(tmp_path)


@pytest.mark.parametrize(("rows", "leaf"), [(500, 5), (20_000, 100), (60_000, 300), (2_000_000, 300)])
def test_leaves_are_small_enough_for_a_small_table(rows: int, leaf: int) -> None:
    assert settings_of(None, rows, seed=7)["min_data_in_leaf"] == leaf


def test_named_settings_win_over_the_defaults() -> None:
    settings = settings_of({"num_leaves": 17}, 60_000, seed=11)
    assert (settings["num_leaves"], settings["learning_rate"], settings["seed"]) == (17, DEFAULTS["learning_rate"], 11)


def test_growing_stops_by_itself_only_where_enough_converted_on_both_sides() -> None:
    values = MODELS["boosted trees"].encoder.transform(FRAME)
    settings = settings_of(None, len(FRAME), seed=7)
    assert early_stopped(FRAME, values, settings).best_iteration > 20
    few = FRAME.assign(converted=FRAME["lead_id"] == "L0007")
    assert early_stopped(few, values, settings) is None
    assert fit_boosted(few, learnable.FEATURES).booster.num_trees() <= 60


def test_the_same_seed_grows_the_same_trees() -> None:
    grow = partial(fit_boosted, FRAME, learnable.FEATURES, rounds=40)
    assert grow(seed=7).booster.model_to_string() == grow(seed=7).booster.model_to_string()
    assert grow(seed=7).booster.model_to_string() != grow(seed=8).booster.model_to_string()


def test_importance_names_what_the_trees_split_on() -> None:
    model = MODELS["boosted trees"]
    assert isinstance(model, BoostedModel)
    assert model.importance().index[0] == "opens_7d"
    assert model.importance().is_monotonic_decreasing


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
    assert none.booster.model_to_string() == plain.booster.model_to_string()
