"""What a lead did, as counts that fade."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stories import RANDOM_COMPANIES, company_of, day, nights

from features import engagement, examples
from features.crm import Crm
from features.plan import Deed, Plan
from features.population import population
from features.timeline import Timeline

PLAN = Plan(Timeline(horizon_days=30, settle_days=3), deeds=(Deed("visit", "in"), Deed("call", "out")))


def acme(*visited: float, called: tuple[float, ...] = ()) -> Crm:
    """A company whose one lead came on day 0, visited on some days and was called on others."""
    visits = [{"lead_id": "acme", "kind": "visit", "direction": "in", "occurred_at": day(at)} for at in visited]
    calls = [{"lead_id": "acme", "kind": "call", "direction": "out", "occurred_at": day(at)} for at in called]
    return company_of({"leads": [{"lead_id": "acme", "created_at": day(0)}], "activities": visits + calls})


def on_night(crm: Crm, night: float, plan: Plan = PLAN) -> pd.Series:
    """What was known of what the lead did, on a night."""
    return engagement.table(crm, population(crm, nights(night), plan), plan).execute().iloc[0]


def test_a_visit_counts_half_after_five_days_and_a_quarter_after_ten() -> None:
    crm = acme(10)
    assert [on_night(crm, night)["visit_in_fading_5d"] for night in (15, 20, 25)] == [0.5, 0.25, 0.125]
    assert on_night(crm, 30)["visit_in_fading_20d"] == 0.5


def test_visits_add_up_and_a_call_of_ours_is_no_activity_of_the_lead() -> None:
    told = on_night(acme(5, 10, called=(10,)), 15)
    assert told["in_fading_5d"] == 0.75
    assert told["call_out_fading_5d"] == 0.5


def test_who_never_did_anything_did_it_zero_times() -> None:
    told = examples.snapshot(acme(), nights(15), PLAN).execute().iloc[0]
    assert [told["in_fading_5d"], told["visit_in_fading_20d"], told["call_out_fading_5d"]] == [0.0, 0.0, 0.0]


def test_a_visit_on_the_night_itself_is_not_known_yet() -> None:
    assert on_night(acme(10, 15), 15)["in_fading_5d"] == 0.5


@RANDOM_COMPANIES
@given(visited=st.lists(st.floats(0.1, 39.9), max_size=8), night=st.integers(1, 40), later=st.integers(1, 20))
def test_with_nothing_new_every_count_halves_at_its_half_life(visited: list[float], night: int, later: int) -> None:
    crm = acme(*(at for at in visited if at < night), 0)
    spine = population(crm, nights(night, night + later), PLAN)
    before, after = (row for _, row in engagement.table(crm, spine, PLAN).order_by("as_of").execute().iterrows())
    for half_life in PLAN.half_lives:
        name = f"in_fading_{half_life}d"
        assert after[name] == pytest.approx(before[name] * 2 ** (-later / half_life), abs=1e-6)


def test_a_model_of_before_there_were_fading_counts_is_scored_without() -> None:
    stored = PLAN.to_dict()
    del stored["half_lives"]
    older = Plan.from_dict(stored)
    assert [feature.name for feature in engagement.features(older) if "fading" in feature.name] == []
    assert "in_fading_5d" not in on_night(acme(10), 15, older)


def test_they_say_that_old_times_count_less_where_no_plain_count_can_speak_for_them() -> None:
    told = {feature.name: feature for feature in engagement.features(PLAN)}
    assert told["in_fading_5d"].words == "was active {value} lately, each counting half after 5 days"
    assert told["call_out_fading_20d"].words == "call by us: {value} lately, each counting half after 20 days"
    assert {name for name, feature in told.items() if not feature.plain} == {name for name in told if "fading" in name}
