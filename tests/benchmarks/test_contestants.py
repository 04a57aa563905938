"""The same terms for all of a kind; the product races once, and then the one it chose learns again."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pandas as pd
import pytest
from cases import PLAN, SETTINGS, case

from benchmarks.contestants import OURS, Ours, Terms, contestants
from features.labels import as_known, ripe
from models.baseline import fit_points
from models.blend import Blend
from models.leader import Blending
from models.race import learn, racers_of

pytestmark = pytest.mark.xdist_group("race")


def test_everybody_takes_part_the_product_last() -> None:
    names = [contestant.name for contestant in contestants()]
    assert names == ["points table", "logistic", "LightGBM defaults", "FLAML", "AutoGluon medium", "AutoGluon good", OURS]


def test_what_has_no_limit_learns_each_block_and_a_peer_fewer_times() -> None:
    terms = {contestant.name: contestant.prequential for contestant in contestants(budget=0.5)}
    assert terms[OURS] == terms["points table"] == terms["LightGBM defaults"] == Terms(12)
    assert terms["FLAML"] == Terms(4, 5.0)
    assert terms["AutoGluon good"] == Terms(2, 30.0)
    assert {contestant.static.fits for contestant in contestants()} == {1}


@pytest.mark.parametrize("name", ["points table", "logistic", "LightGBM defaults"])
def test_one_that_needs_no_other_environment_learns_and_speaks(name: str) -> None:
    company = case(leads=120)
    frame = company.study.frame
    (contestant,) = [one for one in contestants() if one.name == name]
    past, later = as_known(frame, datetime(2025, 6, 5), PLAN.timeline), frame[frame["as_of"] > "2025-07-01"]
    said = contestant.begin(company, Terms(1))(past, later)
    odds = pd.Series(said.log_odds).groupby(later["converted"].to_numpy()).mean()
    assert len(said.log_odds) == len(later)
    assert odds[True] > odds[False] + 0.5
    assert said.cpu_seconds > 0


def test_ours_is_what_train_chooses_and_then_learns_again() -> None:
    company = case(leads=200)
    study = company.study
    past, more = (as_known(study.frame, night, PLAN.timeline) for night in (datetime(2025, 6, 4, 2), datetime(2025, 7, 6)))
    later = study.frame[study.frame["as_of"] > datetime(2025, 7, 6)]
    speak = Ours(company)
    first, second = speak(past, later), speak(more, later)
    chosen = learn(past, study.features, PLAN, datetime(2025, 6, 4, 2), seed=SETTINGS.training.seed, k=2, trials=0)
    assert first.log_odds.tolist() == chosen.scorer.log_odds(later).tolist()
    again = racers_of(study.plan, chosen.params, SETTINGS.training.seed)[chosen.leader](more, study.features)
    assert second.log_odds.tolist() == chosen.scorer.calibration.apply(again.log_odds(later)).tolist()
    assert second.log_odds.tolist() != first.log_odds.tolist()


def test_ours_learns_again_as_a_blend_where_a_blend_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    company = case(leads=60)
    study = company.study
    past = as_known(study.frame, datetime(2025, 7, 6), PLAN.timeline)
    later = study.frame[study.frame["as_of"] > datetime(2025, 7, 6)]
    made = Blend({"points table": 0.4, "logistic": 0.5}, 0.1)
    chosen = learn(past, study.features, PLAN, datetime(2025, 7, 6), k=2, trials=0)
    monkeypatch.setattr("benchmarks.contestants.learn", lambda *given, **named: replace(chosen, leader="blend", blending=Blending(made)))
    speak = Ours(company)
    speak(past, later)
    again = speak(past, later)
    points, line = fit_points(ripe(past), study.features), racers_of(PLAN, {}, SETTINGS.training.seed)["logistic"](past, study.features)
    blended = 0.4 * points.log_odds(later) + 0.5 * line.log_odds(later) + 0.1
    assert again.log_odds == pytest.approx(chosen.scorer.calibration.apply(blended))
