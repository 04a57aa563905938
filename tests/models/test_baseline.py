"""What sales uses today: whole points that a rep can add up, and a line that is as explainable as it looks."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from features.feature import Feature
from features.problem import Problem
from models.baseline import LinearModel, PointsTable, fit_logistic, fit_points
from models.encoding import bands

SOURCE = Feature("source", "category", "source", "source: {value}")
VISITS = Feature("visits", "number", "visits", "{value} visits")
RECENT = Feature("recent", "number", "visits", "{value} visits this week")
NOISE = Feature("noise", "category", "noise", "noise: {value}")
TITLE = Feature("title", "text", "job title", "job title: {value}")
ALL = (SOURCE, VISITS, RECENT, NOISE, TITLE)


def _examples(leads: int = 2_000) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"lead_id": [f"L{n}" for n in range(leads)], "source": rng.choice(["web", "ads", "fair"], leads)})
    frame["visits"] = np.where(rng.random(leads) < 0.1, np.nan, rng.poisson(4, leads))
    frame["recent"] = np.minimum(frame["visits"], rng.poisson(1, leads))
    frame["noise"], frame["title"] = rng.choice(["x", "y"], leads), rng.choice(["Chief", "Clerk"], leads)
    pull = frame["visits"].fillna(2) / 2 + 1.5 * (frame["source"] == "fair") - 4.5
    return frame.assign(converted=rng.random(leads) < 1 / (1 + np.exp(-pull)), weight=rng.choice([1.0, 2.0], leads))


FRAME = _examples()
POINTS, LINE = fit_points(FRAME, ALL), fit_logistic(FRAME, ALL)


def test_points_are_whole_numbers_and_a_rep_can_add_them_up() -> None:
    table = POINTS.table()
    assert table["points"].map(type).eq(int).all()
    worth = {(row.field, row.value): row.points for row in table.itertuples()}
    for lead in FRAME.head(50).itertuples():
        visits = "missing" if math.isnan(lead.visits) else bands(pd.Series([lead.visits]), POINTS.edges["visits"])[0]
        added = worth["source", lead.source] + worth["visits", visits] + worth["noise", lead.noise]
        assert POINTS.log_odds(FRAME.loc[[lead.Index]])[0] == pytest.approx(POINTS.intercept + POINTS.slope * added)


def test_the_more_telling_feature_of_a_field_is_chosen_and_the_more_telling_field_comes_first() -> None:
    assert list(POINTS.points) == ["visits", "source", "noise"]
    assert list(fit_points(FRAME, ALL, fields=1).points) == ["visits"]
    worth = dict(POINTS.points["source"])
    assert worth["fair"] > 0 > worth["ads"]
    assert {abs(points) for _, points in POINTS.points["noise"]} <= {0, 1}


def test_a_value_is_worth_five_times_its_weight_of_evidence() -> None:
    won, base = FRAME["converted"][FRAME["source"] == "fair"], FRAME["converted"].mean()
    rate = (won.sum() + 20 * base) / (len(won) + 20)
    assert dict(POINTS.points["source"])["fair"] == round(5 * (math.log(rate / (1 - rate)) - math.log(base / (1 - base))))


def test_the_sum_of_points_is_read_off_as_a_conversion_rate() -> None:
    p = 1 / (1 + np.exp(-POINTS.log_odds(FRAME)))
    assert np.average(p, weights=FRAME["weight"]) == pytest.approx(np.average(FRAME["converted"], weights=FRAME["weight"]), abs=1e-3)


def test_a_value_that_the_table_does_not_know_is_worth_nothing() -> None:
    known = FRAME.head(1)
    worth = dict(POINTS.points["source"])[known["source"].iloc[0]]
    lost = POINTS.log_odds(known) - POINTS.log_odds(known.assign(source="never seen"))
    assert lost[0] == pytest.approx(POINTS.slope * worth)


def test_bands_hold_their_lower_edge() -> None:
    told = bands(pd.Series([0.0, 1.0, 2.9, 3.0, 1e9, np.nan, -np.inf]), [1.0, 3.0])
    assert told.tolist() == ["below 1", "1 to 3", "1 to 3", "3 or more", "3 or more", "missing", "below 1"]
    assert bands(pd.Series(["web", None], dtype=object), None).tolist() == ["web", "missing"]


def test_a_column_of_one_value_or_none_is_no_obstacle() -> None:
    frame = FRAME.assign(visits=np.nan, recent=3.0, noise=None)
    for model in (fit_points(frame, ALL), fit_logistic(frame, ALL)):
        assert np.isfinite(model.log_odds(frame)).all()
        assert np.isfinite(model.log_odds(frame.assign(visits=7.0, recent=np.nan, noise="x"))).all()


def test_the_line_is_scikit_learns_on_signed_logarithms() -> None:
    frame = FRAME.fillna({"visits": 0.0, "recent": 0.0})
    columns, weight = frame[["visits", "recent"]].to_numpy(), frame["weight"] / frame["weight"].mean()
    signed = FunctionTransformer(lambda x: np.sign(x) * np.log1p(np.abs(x)))
    oracle = make_pipeline(signed, StandardScaler(), LogisticRegression(C=0.05, tol=1e-10))
    oracle.fit(columns, frame["converted"], logisticregression__sample_weight=weight)
    # Newton's method stops where nothing under a hundredth of log-odds is left to gain.
    assert fit_logistic(frame, (VISITS, RECENT)).log_odds(frame) == pytest.approx(oracle.decision_function(columns), abs=0.01)


@pytest.mark.parametrize("fit", [fit_points, fit_logistic])
def test_how_many_nights_an_example_stands_for_changes_no_score(fit: Callable[..., PointsTable | LinearModel]) -> None:
    plain, eightfold = fit(FRAME, ALL), fit(FRAME.assign(weight=8 * FRAME["weight"]), ALL)
    assert eightfold.log_odds(FRAME) == pytest.approx(plain.log_odds(FRAME), abs=1e-3)


def test_a_missing_number_counts_as_the_average_and_an_enormous_one_as_far_out() -> None:
    few = FRAME.head(2)
    centre = dict(zip([column.name for column in LINE.encoder.columns], LINE.centre, strict=True))["visits"]
    average = LINE.log_odds(few.assign(visits=math.expm1(centre)))
    assert LINE.log_odds(few.assign(visits=np.nan)) == pytest.approx(average)
    assert LINE.log_odds(few.assign(visits=1e9)).tolist() == LINE.log_odds(few.assign(visits=1e300)).tolist()


@pytest.mark.parametrize("model", [POINTS, LINE], ids=lambda model: model.name)
def test_it_comes_back_from_disk_to_the_same_log_odds_bit_for_bit(model: PointsTable | LinearModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    back = type(model).load(tmp_path)
    assert back.name == model.name
    rows = pd.concat([FRAME, FRAME.head(3).assign(source="新", visits=[np.nan, 1e12, -1.0])])
    assert back.log_odds(rows).tobytes() == model.log_odds(rows).tobytes()
    pd.testing.assert_frame_equal(back.contributions(rows), model.contributions(rows), check_exact=True)


def test_a_serial_number_is_worth_no_points() -> None:
    serial = Feature("serial", "category", "serial", "serial: {value}")
    assert set(fit_points(FRAME.assign(serial=FRAME["lead_id"]), (SOURCE, serial)).table()["field"]) == {"source"}


def test_points_name_a_column_that_is_missing_tonight() -> None:
    with pytest.raises(Problem, match="The model needs the columns source, which are missing tonight"):
        POINTS.log_odds(FRAME.drop(columns="source"))


def test_a_table_in_which_nothing_tells_is_learned_as_its_rate() -> None:
    dull = FRAME.assign(source="web")
    rate = np.average(dull["converted"], weights=dull["weight"])
    assert fit_logistic(dull, (SOURCE,)).log_odds(dull) == pytest.approx(math.log(rate / (1 - rate)))
