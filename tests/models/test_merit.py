"""Merit tells profiles apart by everybody who was followed, however short, and never by a lead's own outcome."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.feature import Feature
from features.labels import as_known, ripe
from features.plan import Plan
from features.timeline import Timeline
from models.backtest import Fit
from models.baseline import fit_logistic
from models.merit import Merit, MeritedModel, fit_merit, hazard_lived, steady, with_merit
from models.race import of_ripe, racers_of

LINE = Timeline(horizon_days=30, settle_days=0)
FEATURES = (
    Feature("lead_age_days", "number", "age of the lead", "came in {value} ago", "days"),
    Feature("source", "category", "source", "source: {value}", profile=True),
    Feature("employees", "number", "employees", "employees: {value}", profile=True),
    Feature("job_title", "text", "job title", "job title: {value}", profile=True),
)
WORTH = {"partner": 0.9, "web": 0.0, "list": -0.9}
UNTIL = datetime(2025, 6, 1)


def _company(leads: int = 3_000, seed: int = 4) -> pd.DataFrame:
    """Leads seen once, a day after they came in, over 150 days; partners' are won 2.5 times as often as the web's, big firms twice as often."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"lead_id": [f"L{n:05}" for n in range(leads)], "lead_age_days": 1.0, "weight": 1.0})
    frame["as_of"] = pd.Timestamp("2025-01-01") + pd.to_timedelta(np.sort(rng.uniform(0, 150, leads)), unit="D")
    frame["source"] = rng.choice(list(WORTH), leads)
    frame["employees"] = rng.choice([5.0, 50.0, 500.0, np.nan], leads)
    frame["job_title"] = rng.choice(["Head of IT", "Clerk", None], leads)
    frame["truth"] = frame["source"].map(WORTH) + 0.7 * (frame["employees"] == 500)
    waited = rng.exponential(60 / np.exp(frame["truth"]))
    frame["happened_at"] = frame["as_of"] + pd.to_timedelta(np.where(waited < 120, waited, np.nan), unit="D")
    frame["converted"] = waited < 30
    return frame


COMPANY = _company()
KNOWN = as_known(COMPANY, UNTIL, LINE)


def _learned(fit: Fit) -> Fit:
    return with_merit({"it": of_ripe(fit)})["it"]


def _merit() -> Merit:
    merit = fit_merit(KNOWN, steady(KNOWN, FEATURES))
    assert merit is not None
    return merit


def test_what_a_level_is_worth_is_found_again() -> None:
    worth = {column.name: weight for column, weight in zip(_merit().encoder.columns, _merit().weights, strict=True)}
    assert worth["source = partner"] - worth["source = web"] == pytest.approx(0.9, abs=0.15)
    assert worth["source = list"] - worth["source = web"] == pytest.approx(-0.9, abs=0.2)
    assert worth["employees = 500 or more"] - worth["employees = missing"] == pytest.approx(0.7, abs=0.15)
    assert np.corrcoef(_merit().of(KNOWN), COMPANY["truth"])[0, 1] > 0.98


def test_a_field_that_says_nothing_shrinks_to_nothing() -> None:
    assert _merit().spread["source"] > 0.2
    assert _merit().spread["job_title"] < 0.01


def test_open_leads_teach_without_being_called_lost() -> None:
    # A new campaign: nobody's horizon is over, and those won so far are all that is known.
    late = COMPANY["as_of"] >= pd.Timestamp("2025-05-10")
    company = COMPANY.assign(source=np.where(late & (COMPANY["source"] == "partner"), "spring fair", COMPANY["source"]))
    known = as_known(company, UNTIL, LINE)
    fair = known["source"] == "spring fair"
    assert known.loc[fair, "converted"].isna().all()
    merit = fit_merit(known, FEATURES[1:])
    assert merit is not None
    worth = {column.level: weight for column, weight in zip(merit.encoder.columns, merit.weights, strict=True)}
    assert worth["spring fair"] > worth["web"] + 0.3
    assert worth["list"] < worth["web"]


def test_the_hazard_lived_through_is_that_of_everybody_at_risk() -> None:
    rng = np.random.default_rng(1)
    entered = rng.uniform(0, 50, 200)
    left, won, rate = entered + rng.uniform(1, 60, 200), rng.random(200) < 0.4, rng.uniform(0.5, 2, 200)
    steps = {age: 1 / sum(r for a, b, r in zip(entered, left, rate, strict=True) if a < age <= b) for age in left[won]}
    expected = [sum(step for age, step in steps.items() if a < age <= b) for a, b in zip(entered, left, strict=True)]
    assert hazard_lived(entered, left, won, rate) == pytest.approx(np.maximum(expected, 1e-6))


def test_a_leads_own_outcome_has_no_say_in_the_merit_it_is_learned_with() -> None:
    seen: list[pd.DataFrame] = []

    def looks(frame: pd.DataFrame, features: object) -> object:
        seen.append(frame)
        return fit_logistic(frame, FEATURES)

    one = COMPANY.loc[~COMPANY["converted"], "lead_id"].iloc[20]
    turned = COMPANY.copy()
    own = turned["lead_id"] == one
    turned.loc[own, "happened_at"] = turned.loc[own, "as_of"] + pd.Timedelta(days=1)
    turned.loc[own, "converted"] = True
    for company in (COMPANY, turned):
        _learned(looks)(as_known(company, UNTIL, LINE), FEATURES)
    before, after = (frame.set_index("lead_id")["merit"] for frame in seen)
    assert before[one] == pytest.approx(after[one], abs=0.01)
    # Others of its profile hear of it.
    assert not np.allclose(before, after, atol=1e-6)
    assert seen[0]["converted"].notna().all()


def test_contributions_of_merit_are_told_by_the_fields_it_is_made_of() -> None:
    model = _learned(fit_logistic)(KNOWN, FEATURES)
    assert isinstance(model, MeritedModel)
    told = model.contributions(COMPANY)
    assert "merit" not in told
    assert {"source", "employees", "bias"} <= set(told)
    assert told.sum(axis=1).to_numpy() == pytest.approx(model.log_odds(COMPANY))
    by_source = told["source"].groupby(COMPANY["source"]).mean()
    assert by_source["partner"] > by_source["web"] > by_source["list"]


def test_it_comes_back_from_disk_as_it_was(tmp_path: Path) -> None:
    model = _learned(fit_logistic)(KNOWN, FEATURES)
    model.save(tmp_path)
    back = MeritedModel.load(tmp_path, type(model.model).load(tmp_path))
    strange = COMPANY.head(2).assign(source="carrier pigeon", employees=np.nan, job_title="Queen")
    rows = pd.concat([COMPANY, strange], ignore_index=True)
    np.testing.assert_array_equal(back.log_odds(rows), model.log_odds(rows))
    assert {path.name for path in tmp_path.iterdir()} == {"model.json", "merit.json"}


def test_too_few_customers_or_no_profile_leave_the_model_as_it_is() -> None:
    few = KNOWN.assign(happened=KNOWN["happened"] & (KNOWN["happened"].cumsum() < 20))
    assert fit_merit(few, FEATURES[1:]) is None
    assert steady(KNOWN, FEATURES[:1]) == []
    assert _learned(fit_logistic)(KNOWN, FEATURES[:1]).name == "logistic"
    assert len(ripe(KNOWN)) < len(KNOWN)


def test_a_field_that_moves_on_with_the_lead_is_no_profile() -> None:
    stage = Feature("stage", "category", "stage", "stage: {value}", profile=True)
    nights = pd.DataFrame({"lead_id": ["A", "A", "B", "B"], "stage": ["new", "demo", "new", "new"], "source": ["web", "web", None, None]})
    assert [f.name for f in steady(nights, (*FEATURES[:2], stage))] == ["source"]


def test_racers_of_one_past_share_one_merit_and_those_of_another_do_not() -> None:
    racers = with_merit({"one": of_ripe(fit_logistic), "other": of_ripe(fit_logistic)})
    one, other = (racers[name](KNOWN, FEATURES) for name in ("one", "other"))
    later = racers["other"](as_known(COMPANY, datetime(2025, 5, 1), LINE), FEATURES)
    assert one.merit is other.merit
    assert later.merit is not one.merit
    assert later.merit.weights.tolist() != one.merit.weights.tolist()


def test_a_number_that_may_only_raise_a_score_does_so_with_merit_too() -> None:
    # Big firms are won least here, so that merit, which is made of employees, would lower what the trees may not.
    company = COMPANY.assign(employees=COMPANY["employees"].map({5.0: 50.0, 50.0: 5.0, 500.0: 5.0}).fillna(500.0))
    known = as_known(company, UNTIL, LINE)
    sizes = company.head(300).drop(columns="employees").merge(pd.DataFrame({"employees": [5.0, 50.0, 500.0]}), how="cross")
    free, bound = (racers_of(Plan(), {}, 7, monotone)["boosted trees"](known, FEATURES) for monotone in (None, {"employees": 1}))
    assert isinstance(bound, MeritedModel)
    assert "employees" in free.merit.centre
    assert set(bound.merit.centre) == {"source", "job_title"}
    assert np.diff(free.log_odds(sizes).reshape(300, 3), axis=1).min() < -0.1
    assert np.diff(bound.log_odds(sizes).reshape(300, 3), axis=1).min() >= 0
    assert bound.log_odds(sizes).std() > 0.1
