"""Fields that tell when a night was are named from the past alone, and a model can do without them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

from features.feature import Feature
from models.baseline import LinearModel, fit_logistic
from models.calendar import TimelessModel, telling_time, timeless
from models.calibration import sigmoid
from models.trees import BoostedModel, fit_boosted

CAMPAIGN = Feature("campaign", "number", "campaign", "campaign {value}")
VISITS = Feature("site_visits", "number", "visits", "{value} visits on the site so far")
SIZE = Feature("size", "number", "size", "size {value}")
FEATURES = (CAMPAIGN, VISITS, SIZE, Feature("source", "category", "source", "source: {value}"))


def _company(leads: int = 3_000, seed: int = 3) -> pd.DataFrame:
    """Every lead on two nights of 300 days, a month apart; campaigns are numbered as they come, and business booms in the last hundred days."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"lead_id": [f"L{n:05}" for n in range(leads)], "size": rng.uniform(0, 10, leads), "weight": 1.0})
    first = np.sort(rng.uniform(0, 270, leads))
    frame["campaign"] = np.floor(first / 10)
    frame["source"] = rng.choice(["web", "fair", None], leads)
    frame = pd.concat([frame.assign(day=first), frame.assign(day=first + 30)], ignore_index=True).sort_values(["lead_id", "day"], ignore_index=True)
    frame["site_visits"] = rng.poisson(3 + frame["day"])
    frame["converted"] = rng.random(len(frame)) < sigmoid((frame["size"] / 2 - 4.5 + 2.5 * (frame["day"] > 200)).to_numpy())
    return frame.assign(as_of=pd.Timestamp("2024-01-01 02:00") + pd.to_timedelta(np.floor(frame["day"]), unit="D"))


COMPANY = _company()


def test_a_number_that_rises_with_time_and_a_count_that_everybody_has_more_of_later_tell_the_time() -> None:
    assert telling_time(COMPANY, FEATURES) == ("campaign", "site_visits")


def test_a_category_that_was_renamed_and_a_field_that_was_not_asked_for_at_first_tell_it_too() -> None:
    half = COMPANY["day"] > 150
    renamed = Feature("tier", "category", "tier", "tier: {value}")
    asked = Feature("budget", "flag", "budget", "budget: {value}")
    company = COMPANY.assign(tier=np.where(half, "gold", "Gold"), budget=np.where(half, 1.0, np.nan))
    assert telling_time(company, (renamed, asked, SIZE)) == ("tier", "budget")


def test_a_field_with_a_level_a_lead_tells_nothing() -> None:
    unique = Feature("note", "category", "note", "note: {value}")
    assert telling_time(COMPANY.assign(note="note of " + COMPANY["lead_id"]), (unique,)) == ()


def test_one_night_has_no_older_half() -> None:
    assert telling_time(COMPANY.assign(as_of=pd.Timestamp("2024-01-01")), FEATURES) == ()


def test_the_same_seed_draws_the_same_nights_whatever_became_of_the_leads() -> None:
    strict = [telling_time(company, FEATURES, seed=3, auc=0.5) for company in (COMPANY, COMPANY, COMPANY.assign(converted=~COMPANY["converted"]))]
    assert strict[0] == strict[1] == strict[2]


@pytest.mark.parametrize("fit", [fit_logistic, fit_boosted])
def test_a_boom_that_is_over_misleads_whoever_goes_by_the_calendar(fit: object) -> None:
    # Business is as it was before the boom; campaigns and visits go on rising.
    later = _company(seed=8).assign(campaign=lambda t: t["campaign"] + 30, site_visits=lambda t: t["site_visits"] + 300)
    later = later[later["day"] < 200]

    def loss(learns: object) -> float:
        model = learns(COMPANY, FEATURES)  # type: ignore[operator]
        return float(log_loss(later["converted"], sigmoid(model.log_odds(later))))

    assert loss(timeless(fit)) < 0.9 * loss(fit)  # type: ignore[arg-type]


@pytest.mark.parametrize(("fit", "kind"), [(fit_logistic, LinearModel), (fit_boosted, BoostedModel)])
def test_it_says_what_it_does_without_and_comes_back_from_disk(fit: object, kind: type, tmp_path: Path) -> None:
    model = timeless(fit)(COMPANY, FEATURES)  # type: ignore[arg-type]
    assert model.without == ("campaign", "site_visits")
    assert model.sentence == "The model does without campaign, site_visits: by each of them alone, newer nights can be told from older ones."
    assert model.name == model.model.name
    told = model.contributions(COMPANY)
    assert set(told) == {"size", "source", "bias"}
    assert told.sum(axis=1).to_numpy() == pytest.approx(model.log_odds(COMPANY))
    model.save(tmp_path)
    assert json.loads((tmp_path / "timeless.json").read_text(encoding="utf-8")) == ["campaign", "site_visits"]
    back = TimelessModel.load(tmp_path, kind.load(tmp_path))  # type: ignore[attr-defined]
    assert back.without == model.without
    np.testing.assert_array_equal(back.log_odds(COMPANY.drop(columns="campaign")), model.log_odds(COMPANY))


def test_where_nothing_tells_the_time_or_nothing_else_is_there_it_is_the_plain_model(tmp_path: Path) -> None:
    for features in ((SIZE,), (CAMPAIGN, VISITS)):
        plain, found = fit_logistic(COMPANY, features), timeless(fit_logistic)(COMPANY, features)
        assert isinstance(found, LinearModel)
        np.testing.assert_array_equal(found.log_odds(COMPANY), plain.log_odds(COMPANY))
    plain.save(tmp_path)
    assert TimelessModel.load(tmp_path, plain) is plain
