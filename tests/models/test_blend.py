"""What the racers know together is added up by weights that nobody can argue with: none negative, none that says nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import learnable
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from models.baseline import fit_logistic, fit_points
from models.blend import LEAST_SHARE, Blend, BlendModel, fit_blend
from models.calibration import log_loss_of
from models.hazard import HazardModel
from models.merit import MeritedModel, with_merit
from models.trees import BoostedModel, fit_boosted

FRAME = learnable.examples(leads=200, weeks=6)
KNOWN = FRAME.assign(lead_age_days=0.0, happened=FRAME["converted"], followed_days=30.0)
STRANGE = FRAME.head(2).assign(source="carrier pigeon", job_title=None, opens_7d=[np.nan, 1e9], met=np.nan)
PROFILED = tuple(replace(feature, profile=feature.name == "source") for feature in learnable.FEATURES)
LEADS = 4_000


def _halves(seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Two racers that each know half of the truth, a third that knows nothing, and what became of the leads."""
    rng = np.random.default_rng(seed)
    one, other, nothing = (rng.normal(0, 1.2, LEADS) for _ in range(3))
    won = rng.random(LEADS) < 1 / (1 + np.exp(-(one + other - 1)))
    return {"logistic": one - 1, "hazard": other - 1, "points table": nothing - 1}, won


def _model() -> BlendModel:
    merited = with_merit({"boosted trees": partial(fit_boosted, rounds=20)})["boosted trees"](KNOWN, PROFILED)
    assert isinstance(merited, MeritedModel)
    members = {"points table": fit_points(FRAME, learnable.FEATURES), "boosted trees, native": merited}
    return BlendModel(Blend({"points table": 0.3, "boosted trees, native": 0.8}, 0.2), members)


def test_two_racers_that_each_know_half_count_the_same_and_one_that_knows_nothing_not_at_all() -> None:
    said, won = _halves(1)
    found = fit_blend(said, won, np.ones(LEADS))
    line = LogisticRegression(C=np.inf, tol=1e-10).fit(np.column_stack([said["logistic"], said["hazard"]]), won)
    assert found.members == ("logistic", "hazard")
    assert [*found.weights.values(), found.intercept] == pytest.approx([*line.coef_[0], *line.intercept_], abs=0.01)
    assert [*found.weights.values(), found.intercept] == pytest.approx([1, 1, 1], abs=0.12)
    assert found.of(said) == pytest.approx(line.decision_function(np.column_stack([said["logistic"], said["hazard"]])), abs=0.05)


def test_where_one_racer_is_the_truth_the_blend_is_that_racer_as_it_is() -> None:
    rng = np.random.default_rng(2)
    truth = rng.normal(-1, 1.5, LEADS)
    won = rng.random(LEADS) < 1 / (1 + np.exp(-truth))
    assert fit_blend({"noise": rng.normal(-1, 1, LEADS), "truth": truth}, won, np.ones(LEADS)) == Blend({"truth": 1.0}, 0.0)


def test_a_racer_that_points_the_wrong_way_is_left_out_and_not_turned_round() -> None:
    said, won = _halves(3)
    assert fit_blend({"wrong": -said["hazard"], "logistic": said["logistic"]}, won, np.ones(LEADS)) == Blend({"logistic": 1.0})


@pytest.mark.parametrize("seed", [4, 5, 9, 10])
def test_few_conversions_move_little_of_what_the_best_racer_says(seed: int) -> None:
    said, won = _halves(seed)
    few, happened = {name: odds[:40] for name, odds in said.items()}, won[:40]
    best = min(few, key=lambda name: log_loss_of(happened, few[name], np.ones(40)))

    def away(weight: float) -> float:
        found = fit_blend(few, happened, np.full(40, weight)).weights
        return sum((found.get(name, 0.0) - (name == best)) ** 2 for name in few)

    # One and the same past, counted as forty leads or as four thousand.
    assert 0.01 < away(1.0) < 0.8 * away(100.0)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), leads=st.integers(30, 300))
def test_no_weight_is_negative_or_next_to_nothing_and_the_order_of_the_racers_says_nothing(seed: int, leads: int) -> None:
    said, won = ({name: odds[:leads] for name, odds in _halves(seed)[0].items()}, _halves(seed)[1][:leads])
    found = fit_blend(said, won, np.ones(leads))
    shares = np.array(list(found.weights.values())) / sum(found.weights.values())
    assert (shares >= LEAST_SHARE).all()
    assert len(shares) > 1 or found == Blend({found.members[0]: 1.0})
    turned = fit_blend(dict(reversed(said.items())), won, np.ones(leads))
    assert turned.intercept == pytest.approx(found.intercept, abs=1e-3)
    assert dict(turned.weights) == pytest.approx(dict(found.weights), abs=1e-3)


@pytest.mark.parametrize("outcome", [True, False])
def test_outcomes_of_one_class_teach_nothing(outcome: bool) -> None:
    said, _ = _halves(5)
    assert len(fit_blend(said, np.full(LEADS, outcome), np.ones(LEADS)).members) == 1


def test_the_same_examples_give_the_same_weights() -> None:
    said, won = _halves(6)
    assert fit_blend(said, won, np.ones(LEADS)) == fit_blend(said, won, np.ones(LEADS))


def test_what_it_is_made_of_is_told_with_the_largest_share_first() -> None:
    assert Blend({"points table": 0.11, "hazard": 0.44, "logistic": 0.55}, -0.4).made_of == "50 % logistic, 40 % hazard and 10 % points table"
    assert Blend({"hazard": 1.0}).made_of == "100 % hazard"


def test_contributions_are_those_of_the_members_by_their_weights_and_add_up() -> None:
    model = _model()
    for rows in (FRAME, STRANGE):
        each = model.contributions(rows)
        assert each.columns[-1] == "bias"
        assert set(each) == {"bias", *(feature.name for feature in learnable.FEATURES)}
        assert each.index.equals(rows.index)
        assert each.sum(axis=1).to_numpy() == pytest.approx(model.log_odds(rows), abs=1e-6)
    points, trees = (member.contributions(FRAME) for member in model.models.values())
    assert model.contributions(FRAME)["source"].to_numpy() == pytest.approx((0.3 * points["source"] + 0.8 * trees["source"]).to_numpy())
    assert model.log_odds(FRAME) == pytest.approx(0.3 * points.sum(axis=1).to_numpy() + 0.8 * trees.sum(axis=1).to_numpy() + 0.2)


def test_a_member_that_knows_fewer_features_adds_nothing_to_the_others() -> None:
    narrow, wide = fit_logistic(FRAME, learnable.FEATURES[:1]), fit_logistic(FRAME, learnable.FEATURES)
    each = BlendModel(Blend({"narrow": 1.0, "wide": 0.5}), {"narrow": narrow, "wide": wide}).contributions(FRAME)
    assert each["source"].to_numpy() == pytest.approx(0.5 * wide.contributions(FRAME)["source"].to_numpy())
    assert not each.isna().any(axis=None)


def test_what_is_stored_comes_back_with_every_member_and_its_merit(tmp_path: Path) -> None:
    model = _model()
    model.save(tmp_path)
    stored = json.loads((tmp_path / "blend.json").read_text(encoding="utf-8"))
    assert [(member["racer"], member["model"], member["folder"]) for member in stored["members"]] == [
        ("points table", "points table", "member_1"),
        ("boosted trees, native", "boosted trees", "member_2"),
    ]
    kinds = {"points table": type(model.models["points table"]), "boosted trees": BoostedModel, "hazard": HazardModel}
    back = BlendModel.load(tmp_path, lambda folder, kind: MeritedModel.load(folder, kinds[kind].load(folder)))
    assert back.blend == model.blend
    np.testing.assert_array_equal(back.log_odds(STRANGE), model.log_odds(STRANGE))
    np.testing.assert_array_equal(back.contributions(FRAME), model.contributions(FRAME))
