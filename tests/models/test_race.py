"""Everybody runs the same folds; the best by log-loss is refitted on everything and says how far to believe it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import learnable
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from features.feature import Feature
from features.labels import ripe
from features.plan import Plan
from features.timeline import Timeline
from models.baseline import fit_logistic
from models.calibration import sigmoid
from models.race import Learned, learn, racers_of
from models.scorer import Scorer, usual_values
from models.variants import Variants

PLAN = Plan(timeline=Timeline(horizon_days=30, settle_days=5))
FRAME = learnable.examples()
EXTRACTED = datetime(2025, 9, 1)
TOLD: list[tuple[float, str]] = []

pytestmark = pytest.mark.xdist_group("race")


@pytest.fixture(scope="module")
def learned() -> Learned:
    return learn(FRAME, learnable.FEATURES, PLAN, EXTRACTED, value=250.0, k=2, trials=2, progress=lambda share, words: TOLD.append((share, words)))


def test_the_simplest_runs_first() -> None:
    assert list(racers_of(PLAN, {}, seed=7)) == ["points table", "logistic", "boosted trees", "hazard"]


def test_trees_run_once_more_in_each_encoding_that_is_named_and_the_backtest_chooses() -> None:
    # Sixty campaigns, of which the plain encoding sees at most thirty: every other one is worth calling.
    frame = learnable.examples(leads=1_500, weeks=24)
    number = frame["lead_id"].str[1:].astype(int) % 60
    won = np.random.default_rng(1).random(len(frame)) < np.where(number % 2, 0.5, 0.05)
    happened = (frame["as_of"] + pd.Timedelta(days=1)).where(won)
    frame = frame.assign(source="campaign " + number.astype(str), converted=won, happened_at=happened)
    found = learn(frame, learnable.FEATURES, PLAN, EXTRACTED, k=2, trials=0, encodings=("native", "target"))
    losses = found.losses()
    assert list(losses) == ["points table", "logistic", "boosted trees", "boosted trees, native", "boosted trees, target", "hazard"]
    assert min(losses["boosted trees, native"], losses["boosted trees, target"]) < 0.95 * losses["boosted trees"]
    assert found.leader in ("boosted trees, native", "boosted trees, target")
    assert found.scorer.model.encoder.kinds["source"] == found.leader.removeprefix("boosted trees, ")


def test_racers_that_each_know_half_lead_as_a_blend_that_is_judged_stored_and_used_as_any_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    frame = learnable.examples(leads=900)
    pull = 2.4 * np.log1p(frame["opens_7d"]) + 4.0 * (frame["source"] == "web") - 4.5
    won = np.random.default_rng(2).random(len(frame)) < 1 / (1 + np.exp(-pull))
    frame = frame.assign(converted=won, happened_at=(frame["as_of"] + pd.Timedelta(days=1)).where(won))
    halves = {"logistic": partial(_half, "opens_7d"), "boosted trees": partial(_half, "source")}
    monkeypatch.setattr("models.race.racers_of", lambda *given: halves)
    told: list[str] = []
    found = learn(frame, learnable.FEATURES, PLAN, EXTRACTED, k=2, trials=0, progress=lambda share, words: told.append(words))
    assert (found.leader, found.scorer.model.name) == ("blend", "blend")
    assert told[-1] == "learning blend on everything ripe"
    losses = found.losses()
    assert list(losses) == list(found.metrics) == ["logistic", "boosted trees", "blend"]
    assert min(losses, key=losses.__getitem__) == "blend"
    assert found.metrics["blend"]["log_loss"].value == pytest.approx(losses["blend"])
    rows = found.backtest.rows
    later = (rows["fold"] == 1).to_numpy()
    assert found.fold_metrics(1)["roc_auc"] == pytest.approx(
        roc_auc_score(rows["converted"][later].astype(bool), found.backtest.log_odds["blend"][later])
    )
    assert len(found.judged().log_odds) == len(rows)
    # Its members have learned everything ripe.
    alone = {name: half(frame, learnable.FEATURES).log_odds(frame) for name, half in halves.items()}
    assert found.blending.blend is not None
    assert found.scorer.model.log_odds(frame) == pytest.approx(found.blending.blend.of(alone))
    found.scorer.save(tmp_path)
    back = Scorer.load(tmp_path)
    np.testing.assert_array_equal(back.log_odds(frame), found.scorer.log_odds(frame))
    assert back.contributions(frame).sum(axis=1).to_numpy() == pytest.approx(back.log_odds(frame), abs=1e-6)
    assert {"bias", "opens_7d", "source"} == set(back.contributions(frame))


def _half(name: str, past: pd.DataFrame, features: Sequence[Feature]) -> Any:
    """What learns one of the features alone."""
    return fit_logistic(ripe(past), [feature for feature in features if feature.name == name])


def test_a_business_that_changed_is_led_by_a_model_that_forgets() -> None:
    # Until the tenth week those who open few e-mails convert, and since then those who open many: plain racers average the two.
    frame = learnable.examples(leads=400, weeks=30)
    eager = frame["opens_7d"] >= 2
    old = frame["as_of"] < datetime(2025, 3, 12)
    won = np.random.default_rng(5).random(len(frame)) < np.where(eager ^ old, 0.5, 0.1)
    happened = (frame["as_of"] + pd.Timedelta(days=1)).where(won)
    frame = frame.assign(converted=won, happened_at=happened)
    found = learn(frame, learnable.FEATURES, PLAN, EXTRACTED, k=2, trials=0, variants=Variants(("recent",), recent_days=30))
    losses = found.losses()
    assert list(losses) == ["points table", "logistic", "boosted trees", "logistic, recent", "boosted trees, recent", "hazard"]
    assert losses["logistic, recent"] < 0.95 * losses["logistic"]
    assert losses["boosted trees, recent"] < 0.95 * losses["boosted trees"]
    assert found.leader in ("logistic, recent", "boosted trees, recent")


def test_the_leader_has_the_lowest_log_loss_on_nights_it_had_not_seen(learned: Learned) -> None:
    rows = learned.backtest.rows
    losses = {name: log_loss(rows["converted"], sigmoid(odds)) for name, odds in learned.backtest.log_odds.items()}
    assert set(losses) == {"points table", "logistic", "boosted trees", "hazard"}
    assert learned.leader == min(losses, key=losses.__getitem__)
    assert learned.losses() == pytest.approx(losses)
    assert learned.scorer.model.name == learned.leader


def test_the_figures_are_those_of_the_backtest(learned: Learned) -> None:
    rows = learned.backtest.rows
    for name, odds in learned.backtest.log_odds.items():
        auc = learned.metrics[name]["roc_auc"]
        assert auc.value == pytest.approx(roc_auc_score(rows["converted"], odds))
        assert auc.low < auc.value < auc.high
    first = (rows["fold"] == 0).to_numpy()
    odds = learned.backtest.log_odds[learned.leader]
    assert learned.fold_metrics(0)["roc_auc"] == pytest.approx(roc_auc_score(rows["converted"][first], odds[first]))


def test_the_leader_is_judged_as_it_is_used(learned: Learned) -> None:
    said, fold = learned.judged().log_odds, learned.backtest.rows["fold"].to_numpy()
    plain = learned.backtest.log_odds[learned.leader]
    for number in (0, 1):
        known = learned.choice.by_fold.get(number)
        expected = plain[fold == number] if known is None else known.apply(plain[fold == number])
        moved = learned.following.shift[fold == number] if learned.scorer.recent_days else 0.0
        assert said[fold == number] == pytest.approx(expected + moved)
    assert learned.scorer.calibration == learned.choice.calibration


def test_the_challenger_learned_everything_ripe_and_knows_until_when(learned: Learned) -> None:
    scorer = learned.scorer
    assert scorer.last_night == datetime(2025, 7, 23, 2)
    assert scorer.known_until == EXTRACTED
    assert scorer.base_rate == pytest.approx(FRAME["converted"].mean())
    assert scorer.value == 250.0
    # Learned from all leads, it tells them apart better than a coin by far.
    assert roc_auc_score(FRAME["converted"], scorer.probability(FRAME)) > 0.75


def test_no_later_night_has_a_say_in_the_settings(learned: Learned) -> None:
    late = FRAME["as_of"] >= min(fold.first for fold in learned.backtest.folds)
    scrambled = FRAME.assign(converted=np.where(late, FRAME["lead_id"].str[-1] == "3", FRAME["converted"]).astype(bool))
    again = learn(scrambled, learnable.FEATURES, PLAN, EXTRACTED, k=2, trials=2)
    assert again.params == learned.params


def test_the_same_seed_learns_the_same(learned: Learned) -> None:
    again = learn(FRAME, learnable.FEATURES, PLAN, EXTRACTED, value=250.0, k=2, trials=2)
    assert (again.leader, again.params, again.metrics) == (learned.leader, learned.params, learned.metrics)
    np.testing.assert_array_equal(again.scorer.log_odds(FRAME), learned.scorer.log_odds(FRAME))


def test_progress_only_goes_forward(learned: Learned) -> None:
    shares = [share for share, _ in TOLD]
    assert shares == sorted(shares)
    assert 0 <= shares[0] <= shares[-1] <= 1
    assert TOLD[-1][1] == f"learning {learned.leader} on everything ripe"


def test_the_points_table_is_there_whoever_leads(learned: Learned) -> None:
    assert {"field", "value", "points"} <= set(learned.points.columns)
    assert set(learned.points["field"]) <= {feature.name for feature in learnable.FEATURES}


def test_usual_is_the_median_or_the_most_frequent_value() -> None:
    frame = pd.DataFrame(
        {"opens_7d": [1.0, 2.0, 9.0], "source": ["ads", "ads", "web"], "job_title": [None, None, None], "met": [1.0, 1.0, np.nan]},
    )
    assert usual_values(frame, learnable.FEATURES) == {"opens_7d": 2.0, "source": "ads", "job_title": None, "met": 1.0}


def test_of_texts_none_is_usual_that_is_somebodys_own() -> None:
    leads, title = [f"L{n}" for n in range(40)], next(feature for feature in learnable.FEATURES if feature.kind == "text")
    shared = pd.DataFrame({"lead_id": leads, "job_title": ["Clerk"] * 20 + [f"Head of {lead}" for lead in leads[20:]]})
    assert usual_values(shared, [title]) == {"job_title": "Clerk"}
    # One lead on many nights is still one.
    own = pd.DataFrame({"lead_id": ["L1"] * 30 + leads, "job_title": ["Eva's driver"] * 30 + [f"Head of {lead}" for lead in leads]})
    assert usual_values(own, [title]) == {"job_title": None}
