"""Categories of hundreds of levels: what is new or rare is harmless, and no lead's own outcome is in what it is learned by."""

from __future__ import annotations

from collections.abc import Callable

import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from features.feature import Feature
from models.backtest import quarter_of
from models.categories import LevelCodes, LevelRates, fit_codes, fit_rates
from models.encoding import Encoder, Style
from models.trees import BoostedModel, fit_boosted, settings_of

Floats = NDArray[np.float64]

CAMPAIGN = Feature("campaign", "category", "campaign", "campaign: {value}")
VISITS = Feature("visits", "number", "visits", "{value} visits")
STRANGE = pd.Series(["never seen", "", "A ", "\x00", None, np.nan, pd.NA], dtype=object)


def _leads(levels: list[str], converted: list[bool]) -> pd.DataFrame:
    return pd.DataFrame({"lead_id": [f"L{n:03}" for n in range(len(levels))], "campaign": levels, "converted": converted, "weight": 1.0})


def _campaigns(seed: int, spread: float, levels: int = 400, each: int = 25, nights: int = 3) -> pd.DataFrame:
    """Leads of many campaigns, every one on some nights with the same outcome; how well a campaign does is the same for every seed."""
    effect = np.random.default_rng(99).normal(0, spread, levels)
    rng, campaign = np.random.default_rng(seed), np.tile(np.arange(levels), each)
    visits = rng.poisson(2, len(campaign)).astype(float)
    won = rng.random(len(campaign)) < 1 / (1 + np.exp(1.5 - effect[campaign] - 0.3 * (visits - 2)))
    once = pd.DataFrame({"campaign": [f"C{n:03}" for n in campaign], "visits": visits, "converted": won, "weight": 1.0})
    return pd.concat([once.assign(lead_id=[f"{seed}-{n}" for n in range(len(once))])] * nights, ignore_index=True)


def _fit(frame: pd.DataFrame, categories: str) -> BoostedModel:
    return fit_boosted(frame, (CAMPAIGN, VISITS), style=Style(categories=categories))


def _loss(frame: pd.DataFrame, model: BoostedModel) -> float:
    log_odds = model.log_odds(frame)
    return float(np.mean(np.logaddexp(0, log_odds) - frame["converted"].to_numpy(dtype=float) * log_odds))


def test_levels_are_numbered_in_their_order_and_all_others_are_zero() -> None:
    codes = fit_codes(pd.Series(["web"] * 20 + ["ads"] * 30 + [None] * 25 + ["rare"] * 19))
    assert codes == LevelCodes(["ads", "missing", "web"])
    assert codes.transform(pd.Series(["web", "rare", "ads", None])).tolist() == [[3.0], [0.0], [1.0], [2.0]]
    assert codes.transform(STRANGE)[:, 0].tolist() == [0.0, 0.0, 0.0, 0.0, 2.0, 2.0, 2.0]


def test_five_hundred_levels_are_numbered_at_most() -> None:
    codes = fit_codes(pd.Series([f"C{n:03}" for n in range(600) for _ in range(20 + (n >= 300))]))
    assert codes is not None
    assert codes.levels == [f"C{n:03}" for n in range(200)] + [f"C{n:03}" for n in range(300, 600)]


@pytest.mark.parametrize("values", [["web"] * 100, [None] * 100, [f"own {n}" for n in range(100)]])
def test_levels_that_tell_no_two_leads_apart_are_none(values: list[object]) -> None:
    per_lead = pd.Series(values, dtype=object)
    rates, crossed = fit_rates(_leads(list(values), [n < 30 for n in range(100)]), "campaign")
    assert (fit_codes(per_lead), rates) == (None, None)
    assert crossed.tolist() == [[0.0]] * 100


def test_a_rate_is_drawn_towards_the_average_by_as_much_as_twenty_leads_weigh() -> None:
    # A: 30 of 40 converted, B: 10 of 40, five leads without a campaign: 0, and three of rare ones: 2. The average of all 88 is 42 / 88.
    levels = ["A"] * 40 + ["B"] * 40 + [None] * 5 + ["x", "y", "z"]
    rates, _ = fit_rates(_leads(levels, [True] * 30 + [False] * 10 + [True] * 10 + [False] * 30 + [False] * 5 + [True, True, False]), "campaign")
    assert rates is not None
    average = 42 / 88
    assert rates.rates == pytest.approx({"A": (30 + 20 * average) / 60, "B": (10 + 20 * average) / 60, "missing": 20 * average / 25})
    assert rates.other == pytest.approx((2 + 20 * average) / 23)
    assert rates.transform(STRANGE)[:, 0].tolist() == [rates.other] * 4 + [rates.rates["missing"]] * 3


def test_without_rare_levels_a_new_one_is_average() -> None:
    rates, _ = fit_rates(_leads(["A"] * 40 + ["B"] * 40, [True] * 20 + [False] * 60), "campaign")
    assert rates is not None
    assert rates.other == pytest.approx(0.25)


def test_a_lead_counts_once_however_many_snapshots_it_has() -> None:
    frame = _leads(["A", "B"] * 40, [n % 3 == 0 for n in range(80)])
    chatty = pd.concat([frame, *[frame[frame["lead_id"] == "L000"]] * 50], ignore_index=True)
    (once, crossed), (often, again) = fit_rates(frame, "campaign"), fit_rates(chatty, "campaign")
    assert once is not None
    assert often is not None
    assert often.rates == pytest.approx(once.rates)
    assert again[:80] == pytest.approx(crossed)


def test_no_lead_has_a_say_in_its_own_rate() -> None:
    frame = pd.concat([_leads(["A", "B", "C", "D"] * 30, [n % 3 == 0 for n in range(120)])] * 3, ignore_index=True)
    quarter = quarter_of(frame["lead_id"], cut=3)
    _, crossed = fit_rates(frame, "campaign")
    for each in range(4):
        own = quarter == each
        turned = frame.assign(converted=frame["converted"] ^ own)
        _, after = fit_rates(turned, "campaign")
        assert after[own].tolist() == crossed[own].tolist()
        assert not np.allclose(after[~own], crossed[~own])


def _loss_as_learned(frame: pd.DataFrame, encode: Callable[[pd.DataFrame], Floats]) -> float:
    """Forty trees' loss on the very numbers that they learned from."""
    settings = settings_of({"bagging_fraction": 1.0, "feature_fraction": 1.0, "num_threads": 1}, len(frame), seed=7)
    values, won = encode(frame), frame["converted"].to_numpy(dtype=float)
    said = lgb.train(settings, lgb.Dataset(values, won, params={"max_bin": 63, "verbosity": -1}), 40).predict(values, raw_score=True)
    return float(np.mean(np.logaddexp(0, said) - won * said))


def test_rates_of_chance_teach_no_more_than_dice() -> None:
    # Six leads a level, each three times, with outcomes by lot: whoever read a lead's own outcome out of its level would seem to know it.
    frame = _campaigns(5, spread=0.0, levels=200, each=6)
    crossed = _loss_as_learned(frame, lambda rows: Encoder.fit_transform(rows, (CAMPAIGN, VISITS), Style("target"))[1])
    uncrossed = _loss_as_learned(frame, lambda rows: Encoder.fit(rows, (CAMPAIGN, VISITS), Style("target")).transform(rows))
    dice = Feature("dice", "number", "dice", "threw {value}")
    thrown = frame.assign(dice=np.tile(np.random.default_rng(8).random(1_200), 3))
    by_dice = _loss_as_learned(thrown, lambda rows: Encoder.fit(rows, (dice, VISITS)).transform(rows))
    assert uncrossed < by_dice - 0.05
    assert crossed > by_dice - 0.005
    later = _campaigns(6, spread=0.0, levels=200, each=6)
    assert _loss(later, _fit(frame, "target")) < _loss(later, fit_boosted(frame, (VISITS,))) + 0.003


def test_a_field_with_a_value_of_its_own_for_each_lead_is_left_out() -> None:
    frame = _campaigns(5, spread=0.0, levels=200, each=6)
    for categories in ("native", "target"):
        assert [c.name for c in _fit(frame.assign(campaign=frame["lead_id"]), categories).encoder.columns] == ["visits"]


def test_four_hundred_campaigns_of_25_leads_are_told_apart() -> None:
    past, later = _campaigns(1, spread=1.0), _campaigns(2, spread=1.0, nights=1)
    models = {categories: _fit(past, categories) for categories in ("levels", "native", "target")}
    loss = {categories: _loss(later, model) for categories, model in models.items()}
    # Thirty columns cannot tell them apart; the truth would reach 0.457.
    assert loss["levels"] > 0.51
    assert loss["native"] < 0.485
    assert loss["target"] < 0.485
    for model in models.values():
        told = model.contributions(later)
        assert list(told) == ["campaign", "visits", "bias"]
        assert told.sum(axis=1).to_numpy() == pytest.approx(model.log_odds(later), abs=1e-6)


@pytest.mark.parametrize("categories", ["native", "target"])
def test_a_new_campaign_is_scored_about_as_the_average_one(categories: str) -> None:
    past = _campaigns(1, spread=1.0)
    tonight = pd.DataFrame({"campaign": STRANGE, "visits": 2.0})
    said = 1 / (1 + np.exp(-_fit(past, categories).log_odds(tonight)))
    assert np.abs(said - past["converted"].mean()).max() < 0.12


def test_rates_and_codes_of_no_rows_are_empty() -> None:
    for coder in (LevelCodes(["web"]), LevelRates({"web": 0.5}, 0.2)):
        assert coder.transform(pd.Series([], dtype=object)).shape == (0, 1)
