"""Reasons in the words of a rep, that add up to the score they explain."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import profile
from features.feature import Feature
from features.plan import Attribute, Plan
from models.baseline import fit_logistic, fit_points
from models.reasons import Yardstick, fields, reasons
from models.scorer import Model
from models.trees import fit_boosted

OPENS = (
    Feature("opens_7d", "number", "e-mail opens", "opened {value} e-mails in the last 7 days"),
    Feature("opens_30d", "number", "e-mail opens", "opened {value} e-mails in the last 30 days"),
)
FADING = Feature("opens_fading", "number", "e-mail opens", "opened {value} e-mails lately", plain=False)
SOURCE = Feature("source", "category", "source", "source: {value}")
TITLE = Feature("title", "text", "job title", "job title: {value}")
MET = Feature("met", "flag", "met us", "met us: {value}")
LIFT = Feature("lift", "number", "source's past conversions", "leads of this source converted {value} as often as the average", "ratio")
FULL = Feature("full", "number", "room", "{value} of its room is taken", "share")
ACTIVE = Feature("active", "number", "activity", "was active {value}", "times")
LAST = Feature("last", "number", "last activity", "last active {value} ago", "days")
ALL = (*OPENS, ACTIVE, LAST, SOURCE, TITLE, MET, LIFT, FULL)


def _told(contributions: dict[str, float], lead: dict[str, object], usual: dict[str, object] | None = None) -> list[tuple[str, str, float]]:
    """The reasons of one lead as (field, words, contribution)."""
    features = [feature for feature in (*ALL, FADING) if feature.name in contributions]
    (found,) = reasons(pd.DataFrame([{**contributions, "bias": -2.0}]), pd.DataFrame([lead]), features, Yardstick(usual or {}))
    return [(one["field"], one["words"], one["contribution"]) for one in found]


def test_a_field_is_told_once_with_the_words_of_its_strongest_feature() -> None:
    lead = {"opens_7d": 2.0, "opens_30d": 14.0}
    assert _told({"opens_7d": 0.3, "opens_30d": 0.5}, lead) == [("e-mail opens", "opened 14 e-mails in the last 30 days", 0.8)]
    # The strongest may pull the other way: it is what the rep should know of.
    assert _told({"opens_7d": 0.3, "opens_30d": -0.5}, lead) == [("e-mail opens", "opened 14 e-mails in the last 30 days", -0.2)]


def test_a_count_that_no_rep_would_say_so_speaks_only_where_there_is_no_other() -> None:
    lead = {"opens_7d": 4.0, "opens_fading": 2.31}
    assert _told({"opens_7d": 0.3, "opens_fading": 0.9}, lead) == [("e-mail opens", "opened 4 e-mails in the last 7 days", 1.2)]
    assert _told({"opens_fading": 0.9}, lead) == [("e-mail opens", "opened 2.3 e-mails lately", 0.9)]


def test_the_words_are_those_of_a_feature_that_pulls_the_way_of_its_field() -> None:
    lead = {"opens_7d": 0.0, "opens_30d": 5.0, "opens_fading": 1.0}
    pulled = {"opens_7d": -0.4, "opens_30d": 0.1, "opens_fading": 0.9}
    assert _told(pulled, lead) == [("e-mail opens", "opened 5 e-mails in the last 30 days", 0.6)]


def test_contributions_are_summed_per_field() -> None:
    contributions = pd.DataFrame({"opens_7d": [0.3, 0.0], "source": [-1.0, 0.25], "opens_30d": [0.5, -0.5], "bias": [-2.0, -2.0]})
    assert fields(contributions, ALL).to_dict("list") == {"bias": [-2.0, -2.0], "e-mail opens": [0.8, -0.5], "source": [-1.0, 0.25]}


def test_at_most_three_reasons_for_and_two_against_the_strongest_first() -> None:
    pulls = [0.4, 0.1, -0.2, 0.9, -0.7, 0.2, -0.3]
    features = [Feature(f"f{n}", "number", f"field {n}", f"f{n} is {{value}}") for n in range(len(pulls))]
    contributions = pd.DataFrame([{f"f{n}": pull for n, pull in enumerate(pulls)} | {"bias": -1.0}])
    (found,) = reasons(contributions, pd.DataFrame([dict.fromkeys([f.name for f in features], 1.0)]), features, Yardstick())
    assert [(one["field"], one["contribution"]) for one in found] == [
        ("field 3", 0.9),
        ("field 0", 0.4),
        ("field 5", 0.2),
        ("field 4", -0.7),
        ("field 6", -0.3),
    ]


@pytest.mark.parametrize(("pull", "told"), [(0.05, True), (0.049, False), (-0.05, True), (-0.049, False), (0.0, False)])
def test_what_hardly_matters_is_not_told(pull: float, told: bool) -> None:
    assert bool(_told({"source": pull}, {"source": "web"})) is told


@pytest.mark.parametrize(
    ("name", "value", "usual", "words"),
    [
        ("opens_7d", 3.0, 1.0, "opened 3 e-mails in the last 7 days (usual: 1)"),
        ("opens_7d", 3.0, 3.0, "opened 3 e-mails in the last 7 days"),
        ("opens_7d", 3.0, None, "opened 3 e-mails in the last 7 days"),
        ("opens_7d", 2.5, 0.0, "opened 2.5 e-mails in the last 7 days (usual: 0)"),
        ("opens_7d", 12345.6, 0.0, "opened 12,346 e-mails in the last 7 days (usual: 0)"),
        ("active", 1.0, 3.0, "was active once (usual: 3 times)"),
        ("last", 1.7, 12.2, "last active 41 hours ago (usual: 12 days)"),
        ("opens_7d", np.nan, 1.0, "no e-mail opens known"),
        ("source", "web", "ads", "source: web (usual: ads)"),
        ("source", None, "ads", "no source known"),
        ("source", "{value} {0}", "ads", "source: {value} {0} (usual: ads)"),
        ("title", "x" * 500, None, "job title: " + "x" * 80),
        ("met", 1.0, 0.0, "met us: yes (usual: no)"),
        ("full", 0.0734, 0.05, "7.3 % of its room is taken (usual: 5.0 %)"),
        ("lift", 3.06, 1.1, "leads of this source converted 3.1 times as often as the average"),
        ("lift", 1.0, 1.0, "leads of this source converted 1.0 times as often as the average"),
    ],
)
def test_a_reason_says_the_value_and_what_is_usual(name: str, value: object, usual: object, words: str) -> None:
    assert _told({name: 1.0}, {name: value}, {name: usual})[0][1] == words


def test_every_lead_gets_its_own_reasons() -> None:
    contributions = pd.DataFrame({"source": [1.0, -1.0, 0.0], "bias": [-2.0] * 3}, index=[7, 3, 5])
    frame = pd.DataFrame({"source": ["web", "ads", "web"]}, index=[7, 3, 5])
    found = reasons(contributions, frame, [SOURCE], Yardstick())
    assert [[one["words"] for one in lead] for lead in found] == [["source: web"], ["source: ads"], []]


def test_a_feature_that_the_model_does_not_use_is_never_a_reason() -> None:
    (found,) = reasons(pd.DataFrame({"opens_30d": [0.5], "bias": [0.0]}), pd.DataFrame({"opens_7d": [99.0], "opens_30d": [4.0]}), ALL, Yardstick())
    assert [one["words"] for one in found] == ["opened 4 e-mails in the last 30 days"]


def _examples(leads: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(8)
    frame = pd.DataFrame({"lead_id": [f"L{n}" for n in range(leads)], "weight": 1.0})
    frame["opens_7d"] = rng.poisson(1, leads).astype(float)
    frame["opens_30d"] = np.where(rng.random(leads) < 0.2, np.nan, frame["opens_7d"] + rng.poisson(3, leads))
    frame["active"], frame["last"] = rng.poisson(2, leads).astype(float), rng.random(leads) * 30
    frame["source"] = rng.choice(["web", "ads", None], leads)
    frame["title"] = rng.choice(["Head of IT", "IT manager", None], leads)
    frame["met"] = rng.integers(0, 2, leads).astype(float)
    frame["full"], frame["lift"] = rng.random(leads), rng.random(leads)
    pull = frame["opens_7d"] + 2 * (frame["source"] == "web") + frame["met"] - 3
    return frame.assign(converted=rng.random(leads) < 1 / (1 + np.exp(-pull)))


FRAME = _examples()


def _one_by_one(contributions: pd.DataFrame, frame: pd.DataFrame, by: Yardstick) -> list[list[tuple[str, str, float]]]:
    """The reasons by plain loops over leads and fields."""
    told = []
    for row in range(len(frame)):
        pulls = {name: float(contributions[name].iloc[row]) for name in contributions.columns if name != "bias"}
        known = [feature for feature in ALL if feature.name in pulls]
        sums = {field: sum(pulls[f.name] for f in known if f.field == field) for field in sorted({f.field for f in known})}
        best = [field for field in sorted(sums, key=lambda field: -sums[field])[:3] if sums[field] >= 0.05]
        worst = [field for field in sorted(sums, key=lambda field: -sums[field])[::-1][:2] if sums[field] <= -0.05]
        lead = []
        for field in [*best, *worst]:
            way = 1 if sums[field] > 0 else -1
            speaker = max((f for f in known if f.field == field), key=lambda f: way * pulls[f.name])
            value, words = frame[speaker.name].iloc[row], f"no {field} known"
            if not pd.isna(value):
                shown = {"category": value, "flag": "yes" if value == 1 else "no"}.get(speaker.kind) or f"{value:.0f}"
                words, lift = speaker.words.replace("{value}", shown), by.lifts.get(speaker.name, {}).get(value, 1.0)
                if (lift - 1) * way > 0:
                    words += f" (converted {lift:.1f} times as often as the average)"
                elif speaker.name in by.usual and (usual := by.usual[speaker.name]) != (shown if speaker.kind == "category" else value):
                    words += f" (usual: {usual})"
            lead.append((field, words, round(sums[field], 4)))
        told.append(lead)
    return told


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_many_leads_at_once_are_told_what_each_would_be_told_alone(data: st.DataObject) -> None:
    leads = data.draw(st.integers(0, 6))
    pull = st.sampled_from([-1.5, -0.3, -0.04, 0.0, 0.04, 0.3, 0.7, 1.5])
    names = ["opens_7d", "opens_30d", "source", "met"]
    pulls = pd.DataFrame({name: data.draw(st.lists(pull, min_size=leads, max_size=leads)) for name in names}, dtype=float).assign(bias=-2.0)
    count, level = st.sampled_from([None, 0.0, 1.0, 7.0]), st.sampled_from([None, "web", "ads", "fair"])
    kinds = {"opens_7d": count, "opens_30d": count, "source": level, "met": st.sampled_from([None, 0.0, 1.0])}
    frame = pd.DataFrame({name: data.draw(st.lists(kind, min_size=leads, max_size=leads)) for name, kind in kinds.items()})
    frame = frame.astype({"opens_7d": float, "opens_30d": float, "met": float, "source": object})
    by = Yardstick({"opens_7d": 1, "source": "web"}, {"source": {"web": 0.5, "ads": 2.0}})
    features = [feature for feature in ALL if feature.name in names]
    found = reasons(pulls, frame, features, by)
    assert [[(one["field"], one["words"], one["contribution"]) for one in lead] for lead in found] == _one_by_one(pulls, frame, by)


@pytest.mark.parametrize(("pull", "words"), [(0.9, "source: web (converted 3.1 times as often as the average)"), (-0.9, "source: web (usual: ads)")])
def test_how_often_a_level_converts_is_said_where_it_speaks_for_the_pull(pull: float, words: str) -> None:
    by = Yardstick({"source": "ads"}, {"source": {"web": 3.06}})
    (found,) = reasons(pd.DataFrame({"source": [pull], "bias": [-2.0]}), pd.DataFrame({"source": ["web"]}), [SOURCE], by)
    assert [one["words"] for one in found] == [words]


@pytest.mark.parametrize("fit", [fit_points, fit_logistic, partial(fit_boosted, rounds=150)], ids=["points table", "logistic", "boosted trees"])
def test_contributions_and_bias_add_up_to_the_log_odds(fit: Callable[..., Model]) -> None:
    model = fit(FRAME, ALL)
    # Strange rows too: unknown levels, missing and enormous numbers.
    strange = FRAME.head(3).assign(source="never seen", title="新", opens_7d=[np.nan, 1e12, -5.0], met=np.nan)
    rows = pd.concat([FRAME, strange], ignore_index=True)
    contributions = model.contributions(rows)
    odds = model.log_odds(rows)
    assert odds.std() > 0.3
    assert contributions.sum(axis=1).to_numpy() == pytest.approx(odds)
    per_field = fields(contributions, ALL)
    assert per_field.sum(axis=1).to_numpy() == pytest.approx(odds)
    assert set(per_field) <= {"bias", *(feature.field for feature in ALL)}
    assert per_field["bias"].nunique() == 1


@pytest.mark.parametrize("name", ["size {m}", "bias"])
def test_a_company_may_call_its_fields_what_it_likes(name: str) -> None:
    odd = profile.features(Plan(attributes=(Attribute(name, "leads", "category", "creation"),)))[1]
    (found,) = reasons(pd.DataFrame({odd.name: [1.0], "bias": [-2.0]}), pd.DataFrame({odd.name: ["big"]}), [odd], Yardstick())
    assert [reason["words"] for reason in found] == [f"{name}: big"]
