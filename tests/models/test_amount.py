"""What a lead is expected to pay is right on average, whatever amounts scatter like, and the largest deal has no more say than others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import payers
import pytest
from sklearn.metrics import mean_gamma_deviance

from features.feature import Feature
from models.amount import CANDIDATES, AmountModel, fit_gamma, fit_log_normal, gamma_losses, winsorised


def _deals(noise: Callable[[np.random.Generator, int], np.ndarray], count: int = 3_000, seed: int = 5) -> pd.DataFrame:
    """One night each of so many leads that bought; `mean` is what such a lead pays on average, up to the mean of the noise."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"lead_id": [f"L{n:05}" for n in range(count)], "weight": 1.0, "luck": rng.normal(size=count)})
    frame["employees"], frame["source"] = rng.choice([12.0, 180.0, 3000.0], count), rng.choice(["web", "ads"], count)
    frame["mean"] = 1_000.0 * frame["employees"] ** 0.35
    return frame.assign(amount=frame["mean"] * noise(rng, count))


Fit = Callable[[pd.DataFrame, Sequence[Feature], int], AmountModel]


def _normal(rng: np.random.Generator, count: int) -> np.ndarray:
    return np.exp(rng.normal(0, 0.82, count))


def _lopsided(rng: np.random.Generator, count: int) -> np.ndarray:
    return np.exp(0.7 * rng.exponential(1, count))


def test_of_log_normal_amounts_the_median_would_be_forty_percent_short_and_the_mean_is_not() -> None:
    deals = _deals(_normal)
    model = fit_log_normal(deals, payers.FEATURES)
    # The mean of exp(0.82 Z) is 1.40.
    expected = 1.40 * deals["mean"].sum()
    assert model.of(deals).sum() / expected == pytest.approx(1.0, abs=0.03)
    assert expected / model.times(1 / model.factor).of(deals).sum() == pytest.approx(1.40, abs=0.05)
    assert model.factor == pytest.approx(1.40, abs=0.05)


def test_of_lopsided_amounts_the_formula_of_the_normal_would_be_off_and_the_smearing_is_not() -> None:
    deals = _deals(_lopsided, count=12_000)
    model = fit_log_normal(deals, payers.FEATURES)
    # The mean of exp(0.7 E) is 1 / 0.3; that of a normal of the same spread would be exp(0.7 + 0.49 / 2), a fifth less.
    assert np.exp(0.7 + 0.49 / 2) * 0.3 == pytest.approx(0.77, abs=0.005)
    assert model.of(deals).sum() / deals["amount"].sum() == pytest.approx(1.0, abs=0.04)


@pytest.mark.parametrize("name", CANDIDATES)
def test_every_size_of_company_is_expected_to_pay_what_it_does(name: str) -> None:
    deals = _deals(_normal)
    said = pd.Series(CANDIDATES[name](deals, payers.FEATURES, 7).of(deals)).groupby(deals["employees"]).mean()
    assert (said / (1.40 * deals.groupby("employees")["mean"].mean())).tolist() == pytest.approx([1.0, 1.0, 1.0], abs=0.1)
    assert said[3000.0] / said[12.0] > 5


@pytest.mark.parametrize("name", CANDIDATES)
def test_a_lead_on_four_nights_counts_as_often_as_one_on_one(name: str) -> None:
    """Half of the leads pay a thousand and come on four nights, half pay four thousand and come once."""
    rng = np.random.default_rng(3)
    leads = pd.DataFrame(
        {"lead_id": [f"L{n:04}" for n in range(800)], "amount": np.repeat([1_000.0, 4_000.0], 400), "nights": np.repeat([4, 1], 400)}
    )
    rows = leads.loc[leads.index.repeat(leads["nights"])].assign(weight=lambda t: 1 / t["nights"], source="web", employees=1.0)
    rows = rows.assign(luck=rng.normal(size=len(rows))).reset_index(drop=True)
    model = CANDIDATES[name](rows, payers.FEATURES, 7)
    assert model.of(rows.drop_duplicates("lead_id")).mean() == pytest.approx(2_500, rel=0.03)


@pytest.mark.parametrize("name", CANDIDATES)
def test_free_deals_count_in_the_average(name: str) -> None:
    deals = _deals(_normal).assign(amount=lambda t: t["amount"].where(np.arange(len(t)) % 4 > 0, 0.0))
    model = CANDIDATES[name](deals, payers.FEATURES, 7)
    assert model.of(deals).sum() / deals["amount"].sum() == pytest.approx(1.0, abs=0.04)


def _moved(fit: Fit, deals: pd.DataFrame, lucky: pd.DataFrame, cut: bool) -> pd.Series:
    """How many times as large each expected amount is where one deal was large."""
    said = []
    for each in (deals, lucky):
        cap, level = winsorised(each) if cut else (np.inf, 1.0)
        said.append(fit(each.assign(amount=each["amount"].clip(upper=cap)), payers.FEATURES, 7).times(level).of(each))
    assert not cut or said[1].sum() / lucky["amount"].sum() == pytest.approx(1.0, abs=0.05)
    return pd.Series(said[1] / said[0])


@pytest.mark.parametrize("seed", [6, 7, 8])
def test_one_deal_of_a_hundred_times_the_size_is_everybodys_luck_and_nobodys_in_particular(seed: int) -> None:
    deals = _deals(_normal, count=400, seed=seed)
    lucky = deals.assign(amount=deals["amount"].where(deals.index != 17, 100 * deals["mean"]))
    for fit in CANDIDATES.values():
        moved = _moved(fit, deals, lucky, cut=True)
        assert moved.max() / moved.min() < 1.6
    uncut = _moved(fit_gamma, deals, lucky, cut=False)
    assert uncut.max() / uncut.min() > 3


def test_the_two_largest_are_cut_to_the_third_and_the_sum_stays() -> None:
    deals = pd.DataFrame({"amount": [10.0, 20.0, 30.0, 900.0, 4_000.0], "weight": 1.0})
    assert winsorised(deals) == pytest.approx((30.0, 4_960 / 120))
    often = deals.loc[deals.index.repeat(3)].assign(weight=1 / 3)
    assert winsorised(often) == pytest.approx((30.0, 4_960 / 120))


def test_gamma_losses_are_the_deviance_and_lowest_for_the_mean() -> None:
    rng = np.random.default_rng(1)
    amount, said = np.exp(rng.normal(7, 1, 500)), np.exp(rng.normal(7, 1, 500))
    assert gamma_losses(amount, said).mean() == pytest.approx(mean_gamma_deviance(amount, said))
    free = np.append(amount, np.zeros(100))
    losses = {share: gamma_losses(free, np.full(600, share * free.mean())).mean() for share in (0.9, 1.0, 1.1)}
    assert min(losses, key=losses.__getitem__) == 1.0


@pytest.mark.parametrize("name", CANDIDATES)
def test_what_is_stored_is_text_and_says_the_same(name: str, tmp_path: Path) -> None:
    deals = _deals(_normal, count=300)
    model = CANDIDATES[name](deals, payers.FEATURES, 7)
    model.save(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"amount.json", "amount.lgb"}
    back = AmountModel.load(tmp_path)
    assert back is not None
    assert back.name == name
    strange = deals.head(1).assign(employees=np.nan, source="carrier pigeon")
    rows = pd.concat([deals, strange], ignore_index=True)
    np.testing.assert_array_equal(back.of(rows), model.of(rows))


def test_where_nothing_is_stored_there_is_none(tmp_path: Path) -> None:
    assert AmountModel.load(tmp_path) is None


def test_the_same_seed_learns_the_same() -> None:
    deals = _deals(_normal, count=300)
    one, other = (fit_gamma(deals, payers.FEATURES, seed=7).of(deals) for _ in range(2))
    np.testing.assert_array_equal(one, other)
