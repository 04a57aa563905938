"""A blend leads where several racers know more than the best of them, beyond doubt and from what was known before; else that one leads."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

from models.backtest import Backtest, Fold
from models.blend import Blend, BlendModel, fit_blend
from models.choice import calibrated
from models.leader import Blending, Leader, choosing, fit_of, lead, losses_of, poor_folds
from models.metrics import Estimate

FOLDS, EACH = 4, 400
FOLD = np.repeat(np.arange(FOLDS), EACH)
# One night a fold, a hundred days apart: ripe just before the next.
GAP = timedelta(days=97)
NIGHT = np.datetime64("2024-01-01T02", "us") + FOLD * np.timedelta64(100, "D")


class Column:
    """A model that says what stands in a column of the examples."""

    def __init__(self, name: str) -> None:
        self.name = name

    def log_odds(self, frame: pd.DataFrame) -> np.ndarray:
        return frame[self.name].to_numpy()


def _backtest(said: dict[str, np.ndarray], truth: np.ndarray, seed: int, night: np.ndarray = NIGHT) -> Backtest:
    won = np.random.default_rng(seed).random(len(truth)) < 1 / (1 + np.exp(-truth))
    lead_id = [f"L{n:04}" for n in range(len(truth))]
    rows = pd.DataFrame({"lead_id": lead_id, "as_of": night, "converted": won, "weight": 1.0, "fold": FOLD})
    blocks = [pd.Timestamp(night[number == FOLD][0]) for number in range(FOLDS)]
    folds = tuple(Fold(number, first - GAP, first, first) for number, first in enumerate(blocks))
    return Backtest(folds, rows, said, (), {name: (Column(name),) * FOLDS for name in said})


def _halves(seed: int, night: np.ndarray = NIGHT) -> Backtest:
    """Two racers that each know half of the truth."""
    one, other = np.random.default_rng(seed).normal(0, 1.2, (2, FOLDS * EACH))
    return _backtest({"logistic": one - 1, "hazard": 0.9 * other - 1}, one + other - 1, seed + 1, night)


def _relabelled(backtest: Backtest, some: np.ndarray) -> Backtest:
    """The same backtest, with the opposite outcomes on some rows."""
    rows = backtest.rows.assign(converted=backtest.rows["converted"] ^ some)
    return Backtest(backtest.folds, rows, backtest.log_odds, backtest.skipped, backtest.models)


def test_two_racers_that_each_know_half_of_the_truth_lead_as_a_blend() -> None:
    backtest = _halves(1)
    found = lead(backtest, GAP)
    assert found.name == "blend"
    assert found.blending.because == "lowered log-loss on later nights beyond doubt"
    assert found.blending.blend is not None
    assert found.blending.blend.members == ("logistic", "hazard")
    assert found.blending.difference is not None
    assert found.blending.difference.high < -0.05
    losses = losses_of(found.backtest)
    assert list(losses) == ["logistic", "hazard", "blend"]
    assert min(losses, key=losses.__getitem__) == "blend"


def test_what_is_said_of_the_blend_is_what_a_loop_over_the_folds_says() -> None:
    backtest = _halves(1)
    found, won = lead(backtest, GAP), backtest.rows["converted"].to_numpy()
    said = backtest.log_odds[found.blending.beside].copy()
    for number in (1, 2, 3):
        before, now = number > FOLD, number == FOLD
        learned = fit_blend({name: odds[before] for name, odds in backtest.log_odds.items()}, won[before], np.ones(before.sum()))
        assert found.blending.by_fold[number] == learned
        said[now] = learned.of(backtest.log_odds)[now]
    # Of the first fold nothing was known: the best racer speaks for it.
    np.testing.assert_array_equal(found.backtest.log_odds["blend"], said)
    later = FOLD > 0
    assert found.blending.losses["blend"] == pytest.approx(log_loss(won[later], 1 / (1 + np.exp(-said[later]))))
    best = calibrated(backtest.log_odds[found.blending.beside], FOLD, lead(_alone(backtest, found.blending.beside), GAP).choice.by_fold)[later]
    alone = log_loss(won[later], 1 / (1 + np.exp(-best)))
    assert found.blending.difference is not None
    assert found.blending.difference.value == pytest.approx(found.blending.losses["blend"] - alone)


def _alone(backtest: Backtest, name: str) -> Backtest:
    return Backtest(backtest.folds, backtest.rows, {name: backtest.log_odds[name]}, (), {name: backtest.models[name]})


def test_the_models_of_the_folds_say_what_the_backtest_says() -> None:
    found = lead(_halves(1), GAP)
    models, frame = found.backtest.models["blend"], pd.DataFrame(dict(found.backtest.log_odds))
    assert [type(model) for model in models] == [Column, BlendModel, BlendModel, BlendModel]
    for number, model in enumerate(models):
        now = number == FOLD
        np.testing.assert_array_equal(model.log_odds(frame[now]), found.backtest.log_odds["blend"][now])


def test_of_identical_racers_one_leads() -> None:
    truth = np.random.default_rng(5).normal(-1, 1.3, FOLDS * EACH)
    found = lead(_backtest({"logistic": truth, "hazard": truth.copy()}, truth, 6), GAP)
    assert found.name == "logistic"
    assert list(found.backtest.log_odds) == ["logistic", "hazard"]


@pytest.mark.parametrize("loudness", [0.5, 3.0])
def test_racers_that_all_exaggerate_alike_or_are_all_too_timid_need_a_calibration_and_no_blend(loudness: float) -> None:
    # A blend of them is better than either as it comes, and no better than either with a line through its log-odds.
    truth = np.random.default_rng(7).normal(-1, 1.3, FOLDS * EACH)
    found = lead(_backtest({"logistic": loudness * truth, "hazard": loudness * truth}, truth, 8), GAP)
    assert found.name == "logistic"
    assert found.choice.calibration.name == "sigmoid"


def test_where_one_racer_is_the_truth_it_leads_and_noise_has_no_share() -> None:
    rng = np.random.default_rng(15)
    truth = rng.normal(-1, 1.5, FOLDS * EACH)
    found = lead(_backtest({"noise": rng.normal(-1, 1, FOLDS * EACH), "truth": truth}, truth, 16), GAP)
    assert (found.name, found.blending.blend) == ("truth", Blend({"truth": 1.0}))
    assert found.blending.sentence == "No blend of the models leads: beside truth no other counts for anything."


def test_a_blend_that_would_have_done_harm_on_the_newest_nights_does_not_lead() -> None:
    # What the second racer knew for three folds it knows no longer.
    one, other = np.random.default_rng(11).normal(0, 1.2, (2, FOLDS * EACH))
    found = lead(_backtest({"logistic": one - 1, "hazard": other - 1}, one - 1 + np.where(FOLD < 3, other, 0.1 * other), 12), GAP)
    assert found.name != "blend"
    assert found.blending.because == "helped on older nights and did harm on the newest"
    assert "helped on older nights and did harm on the newest (difference to logistic alone, calibrated as it is used, " in found.blending.sentence


def test_what_became_of_later_nights_has_no_say_in_the_weights_of_a_fold() -> None:
    backtest = _halves(13)
    told = lead(backtest, GAP).blending.by_fold
    for number in (1, 2, 3):
        again = lead(_relabelled(backtest, number <= FOLD), GAP).blending.by_fold
        assert {fold: again[fold] for fold in range(1, number + 1)} == {fold: told[fold] for fold in range(1, number + 1)}
    assert lead(_relabelled(backtest, FOLD == 0), GAP).blending.by_fold[1] != told[1]


def test_an_outcome_that_was_not_known_yet_teaches_nothing() -> None:
    # The folds are 90 days apart: when one begins, what became of the one before is known to nobody.
    backtest = _halves(13, NIGHT[0] + FOLD * np.timedelta64(90, "D"))
    told = lead(backtest, GAP).blending.by_fold
    assert list(told) == [2, 3]
    assert lead(_relabelled(backtest, FOLD >= 1), GAP).blending.by_fold[2] == told[2]
    assert lead(_relabelled(backtest, FOLD >= 2), GAP).blending.by_fold == told


def test_with_few_known_conversions_nothing_is_tried() -> None:
    backtest = _halves(1)
    few = _relabelled(backtest, (backtest.rows["converted"] & (np.arange(len(FOLD)) % 60 > 0)).to_numpy())
    found = lead(few, GAP)
    assert found.blending == Blending()
    assert found.blending.sentence == (
        "No blend of the models was tried: fewer than 20 conversions of the backtest were known before its later nights."
    )
    assert found.blending.table().empty


def test_the_sentence_says_what_it_is_made_of_and_why_it_does_not_lead() -> None:
    change = Estimate(-0.0022, -0.0054, 0.0012)
    made = Blend({"boosted trees": 0.6, "logistic": 0.4}, -0.1)
    assert Blending(made, {}, "boosted trees", {}, change, "did not lower log-loss on later nights beyond doubt").sentence == (
        "A blend of 60 % boosted trees and 40 % logistic did not lower log-loss on later nights beyond doubt "
        "(difference to boosted trees alone, calibrated as it is used, -0.0022, 95 % interval -0.0054 to +0.0012)."
    )


def test_the_table_has_a_row_a_racer_and_the_blends_own() -> None:
    table = lead(_halves(1), GAP).blending.table()
    assert table.columns.tolist() == ["racer", "weight", "log_loss"]
    assert table["racer"].tolist() == ["logistic", "hazard", "blend"]
    assert table["weight"].isna().tolist() == [False, False, True]
    assert table["log_loss"].idxmin() == 2
    assert Blending(Blend({"hazard": 1.0}), losses={"logistic": 0.5, "hazard": 0.4}).table()["weight"].tolist() == [0, 1]


def test_a_leader_learns_again_by_its_name() -> None:
    racers = {name: (lambda past, features, name=name: (name, len(past))) for name in ("logistic", "hazard", "points table")}
    made = Blending(Blend({"hazard": 0.5, "logistic": 0.4}, 0.1))
    past = pd.DataFrame({"lead_id": ["a", "b"]})
    assert fit_of("points table", racers, made)(past, ()) == ("points table", 2)
    again = fit_of("blend", racers, made)(past, ())
    assert (again.blend, again.models) == (made.blend, {"hazard": ("hazard", 2), "logistic": ("logistic", 2)})
    assert isinstance(lead(_halves(1), GAP), Leader)


def _two_folds(customers: tuple[int, ...]) -> Backtest:
    """The line is better on the first fold by far, the trees on the second by a little."""
    won = np.tile([True, False], FOLDS * EACH // 2)
    fold = np.repeat([0, 1], FOLDS * EACH // 2)
    night = np.datetime64("2024-01-01T02", "us") + fold * np.timedelta64(100, "D")
    sure, hesitant = np.where(won, 2.0, -2.0), np.where(won, 1.9, -1.9)
    rows = pd.DataFrame({"lead_id": [f"L{n:04}" for n in range(len(won))], "as_of": night, "converted": won, "weight": 1.0, "fold": fold})
    folds = tuple(Fold(n, first - GAP, first, first) for n, first in enumerate(pd.to_datetime(np.unique(night))))
    said = {"logistic": hesitant, "boosted trees": np.where(fold == 0, -sure, sure)}
    return Backtest(folds, rows, said, (), {name: (Column(name),) * 2 for name in said}, customers)


@pytest.mark.parametrize(
    ("customers", "chosen", "first"),
    [
        ((35, 97), [1], "boosted trees"),
        ((49, 98), [0, 1], "logistic"),
        ((48, 97), [1], "boosted trees"),
        ((100, 5000), [0, 1], "logistic"),
        ((99, 5000), [1], "boosted trees"),
        ((3, 4), [0, 1], "logistic"),
        ((), [0, 1], "logistic"),
    ],
)
def test_a_fold_that_learned_from_hardly_anybody_has_no_say_in_who_leads(customers: tuple[int, ...], chosen: list[int], first: str) -> None:
    backtest = _two_folds(customers)
    assert choosing(backtest) == chosen
    losses = losses_of(backtest)
    assert min(losses, key=losses.__getitem__) == first
    assert lead(backtest, GAP).name == first


def test_the_folds_that_had_no_say_are_named_with_their_customers() -> None:
    assert poor_folds(_two_folds((35, 97))) == ("Folds that had too few customers to learn from had no say in it: those from 2024-01-01 (35).")
    assert poor_folds(_two_folds((49, 98))) == poor_folds(_two_folds(())) == ""
