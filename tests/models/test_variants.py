"""Variants run where they are asked for, each under a name that says what it varies."""

from __future__ import annotations

from datetime import datetime

import learnable
import pytest

from features.labels import as_known
from features.plan import Plan
from features.timeline import Timeline
from models.baseline import LinearModel, fit_logistic
from models.calendar import TimelessModel
from models.merit import MeritedModel
from models.race import racers_of
from models.segmented import SegmentedModel
from models.trees import BoostedModel, fit_boosted
from models.variants import Variants, remarks

PLAIN = {"logistic": fit_logistic, "boosted trees": fit_boosted}
EVERY = Variants(("recent", "fading", "timeless"), recent_days=30, half_life_days=10, segment_by="source")


def test_nothing_runs_that_was_not_asked_for() -> None:
    asked = Variants()
    assert (asked.by_past(PLAIN), asked.of_trees(fit_boosted, 7), asked.without_time(PLAIN, 7)) == ({}, {}, {})


def test_they_run_after_what_they_vary_so_that_a_tie_is_won_by_the_plain_one() -> None:
    assert list(racers_of(Plan(), {}, 7, encodings=("native",), variants=EVERY)) == [
        "points table",
        "logistic",
        "boosted trees",
        "boosted trees, native",
        "logistic, recent",
        "boosted trees, recent",
        "logistic, fading",
        "boosted trees, fading",
        "boosted trees, by source",
        "hazard",
        "logistic, timeless",
        "boosted trees, timeless",
        "hazard, timeless",
    ]


def test_their_numbers_reach_them() -> None:
    frame = learnable.examples(leads=300, weeks=10)
    line = EVERY.by_past({"logistic": lambda past, features: past})
    # The newest night is 2025-03-05 02:00, thirty days after 2025-02-03.
    assert line["logistic, recent"](frame, ())["as_of"].min() > datetime(2025, 2, 3, 2)
    faded = line["logistic, fading"](frame, ()).groupby("as_of")["weight"].first()
    assert faded.iloc[-1] == 1.0
    assert faded.iloc[-2] == pytest.approx(0.5**0.7)


def test_each_learns_from_the_race_and_speaks() -> None:
    frame = as_known(learnable.examples(leads=200, weeks=10), datetime(2025, 5, 1), Timeline(horizon_days=30, settle_days=5))
    racers = racers_of(Plan(), {"num_leaves": 3}, 7, variants=EVERY)
    kinds = {
        "logistic, recent": LinearModel,
        "boosted trees, fading": BoostedModel,
        "boosted trees, by source": SegmentedModel,
        "boosted trees, timeless": BoostedModel,
    }
    for name, kind in kinds.items():
        model = racers[name](frame, learnable.FEATURES)
        assert isinstance(model, kind)
        assert model.contributions(frame).sum(axis=1).to_numpy() == pytest.approx(model.log_odds(frame), abs=1e-6)


def test_what_a_model_does_without_or_tells_apart_is_said_however_deep_it_lies() -> None:
    by_source = SegmentedModel(None, "source", {"web": None})  # type: ignore[arg-type, dict-item]
    assert remarks(TimelessModel(MeritedModel(None, by_source), ("campaign",))) == (  # type: ignore[arg-type]
        "The model does without campaign: by each of them alone, newer nights can be told from older ones.",
        "Segments of source with a model of their own, for it was better beyond doubt on leads held out: web.",
    )
    assert remarks(fit_logistic(learnable.examples(leads=50, weeks=2), learnable.FEATURES)) == ()
