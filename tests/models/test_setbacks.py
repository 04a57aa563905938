"""A model that is better for everybody together may be worse for some, and chance alone must not say so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.metrics import Judged
from models.setbacks import Values, setbacks

LEADS = 900
NUMBER = np.arange(LEADS)
THIRD = np.array(["web", "ads", "fair"], dtype=object)[NUMBER % 3]


def _rows(odds: np.ndarray, seed: int = 1) -> Judged:
    won = np.random.default_rng(seed).random(LEADS) < 0.4
    return Judged(won, odds, np.ones(LEADS), np.array([f"L{n}" for n in NUMBER], dtype=object), np.full(LEADS, "2025-03-03", "datetime64[us]"))


def _loss(rows: Judged) -> np.ndarray:
    p = 1 / (1 + np.exp(-rows.log_odds))
    return -np.where(rows.converted, np.log(p), np.log(1 - p))


def test_each_segment_has_its_own_difference_and_the_worst_stands_first() -> None:
    one, other = _rows(np.where(THIRD == "ads", 2.0, -0.4)), _rows(np.full(LEADS, -0.4))
    found = setbacks(one, other, {"source": THIRD})
    assert str(found[0]) == "source: ads"
    assert {segment.value for segment in found} == {"web", "ads", "fair"}
    for segment in found:
        inside = segment.value == THIRD
        assert segment.difference.value == pytest.approx((_loss(one) - _loss(other))[inside].mean())
        assert (segment.leads, segment.conversions) == (300, one.converted[inside].sum())
    assert found[0].difference.low > 0
    assert [(segment.difference.low, segment.difference.high) for segment in found[1:]] == [(0.0, 0.0), (0.0, 0.0)]


def test_weights_count() -> None:
    one, other = _rows(np.where(NUMBER % 2, 1.0, -1.0)), _rows(np.zeros(LEADS))
    heavy = np.where(NUMBER % 2, 5.0, 1.0)
    (segment,) = setbacks(replace(one, weight=heavy), replace(other, weight=heavy), {"team": np.full(LEADS, "north", dtype=object)})
    assert segment.difference.value == pytest.approx(np.average(_loss(one) - _loss(other), weights=heavy))


def test_segments_of_few_leads_or_conversions_and_missing_values_are_passed_over() -> None:
    rows = _rows(np.zeros(LEADS))
    won = NUMBER % 9 == 0
    fields: dict[str, Values] = {
        "few leads": np.where(NUMBER < 99, "a", None).astype(object),
        "few conversions": np.where(~won | (NUMBER < 171), "b", None).astype(object),
        "enough": np.where(NUMBER < 180, "c", None).astype(object),
    }
    found = setbacks(replace(rows, converted=won), replace(rows, converted=won), fields)
    assert [(segment.field, segment.value, segment.leads, segment.conversions) for segment in found] == [("enough", "c", 180, 20)]
    assert setbacks(rows, rows, {}) == []
    assert setbacks(rows, rows, {"nothing": np.full(LEADS, None, dtype=object)}) == []


def test_many_nights_of_a_lead_are_one_lead() -> None:
    one, other = _rows(np.where(NUMBER % 2, 0.5, -0.5)), _rows(np.zeros(LEADS))
    often = [Judged(*(np.repeat(getattr(rows, name), 8) for name in rows.__dataclass_fields__)) for rows in (one, other)]
    team = np.full(LEADS, "north", dtype=object)
    (once,), (eight,) = setbacks(one, other, {"team": team}), setbacks(*often, {"team": np.repeat(team, 8)})
    assert eight.leads == once.leads == LEADS
    assert (eight.difference.low, eight.difference.high) == pytest.approx((once.difference.low, once.difference.high))


def test_the_more_segments_are_looked_at_the_more_it_takes() -> None:
    one, other = _rows(np.where(NUMBER % 2, 0.5, -0.5)), _rows(np.zeros(LEADS))
    alone = setbacks(one, other, {"source": THIRD})
    fields = {"source": THIRD, **{f"field {k}": np.random.default_rng(k).permutation(THIRD) for k in range(12)}}
    among = [segment for segment in setbacks(one, other, fields) if segment.field == "source"]
    widths = [{segment.value: segment.difference.high - segment.difference.low for segment in found} for found in (alone, among)]
    for value in ("web", "ads", "fair"):
        assert widths[1][value] > 1.1 * widths[0][value]


def test_of_two_equally_good_models_hardly_ever_one_segment_in_thirty_is_worse_beyond_doubt() -> None:
    alarms = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        rows = _rows(np.full(LEADS, -0.4) + rng.normal(0, 0.3, LEADS), seed)
        rival = replace(rows, log_odds=np.full(LEADS, -0.4) + rng.normal(0, 0.3, LEADS))
        fields: dict[str, Values] = {f"field {k}": rng.permutation(THIRD) for k in range(10)}
        alarms += any(segment.difference.low > 0 for segment in setbacks(rows, rival, fields, resamples=200))
    # Expected: half a company of the twenty. Each at 95 % on its own, every second one would have had an alarm.
    assert alarms <= 2
