"""A group of leads whose promise fails is named; one that differs by luck is not."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from models.metrics import Judged
from models.segments import COLUMNS, segments, sentence


def _rows(promised: list[float], converted: list[bool], lead: list[str] | None = None) -> Judged:
    p = np.array(promised)
    names = lead or [f"L{n}" for n in range(len(p))]
    return Judged(
        np.array(converted), np.log(p / (1 - p)), np.ones(len(p)), np.array(names, dtype=object), np.full(len(p), np.datetime64("2025-01-01"))
    )


# Promised 20 % everywhere: of the web's hundred leads 20 came, of the ads' hundred leads 3.
WON = [n < 20 for n in range(100)] + [n < 3 for n in range(100)]
ROWS = _rows([0.2] * 200, WON)
SOURCE = pd.Series(["web"] * 100 + ["ads"] * 100)


def test_the_source_that_breaks_its_promise_is_named() -> None:
    table = segments(ROWS, pd.DataFrame({"source": SOURCE})).set_index("segment")
    assert table["fails"].to_dict() == {"all leads": True, "ads": True, "web": False}
    assert table["predicted"].tolist() == pytest.approx([0.2, 0.2, 0.2])
    assert table["realised"].to_dict() == {"all leads": 0.115, "ads": 0.03, "web": 0.2}
    wilson = binomtest(3, 100).proportion_ci(method="wilson")
    assert table.loc["ads", ["low", "high"]].tolist() == pytest.approx([wilson.low, wilson.high], abs=1e-4)
    assert table["leads"].tolist() == [200, 100, 100]
    # (0.2 - 0.03) in standard errors of sqrt(0.2 * 0.8 / 100).
    assert table.loc["ads", "chance"] == pytest.approx(math.erfc(0.17 / 0.04 / math.sqrt(2)))
    assert table.loc["web", "chance"] == pytest.approx(1)


def test_the_sentence_says_which_what_was_predicted_and_what_came() -> None:
    table = segments(ROWS, pd.DataFrame({"source": SOURCE}))
    assert sentence(table) == (
        "Calibration fails in 2 of 3 groups of leads (all leads, source): source ads: predicted 20.0%, converted 3.0% (1.0% to 8.5%); "
        "all leads: predicted 20.0%, converted 11.5% (7.8% to 16.7%)."
    )
    half = ["A"] * 50 + ["B"] * 50
    fine = segments(ROWS.of((SOURCE == "ads").to_numpy()), pd.DataFrame(dict.fromkeys("abcde", half))).assign(fails=False)
    assert sentence(fine) == "Calibration holds in all 11 groups of leads that were looked at (all leads, a, b, c and 2 more fields)."


def test_a_group_that_is_nearly_everybody_says_nothing_of_its_own() -> None:
    table = segments(ROWS, pd.DataFrame({"newspaper": ["no"] * 181 + ["yes"] * 19, "search": ["no"] * 170 + ["yes"] * 30}))
    assert table[["field", "segment"]].to_numpy().tolist() == [["all leads", "all leads"], ["search", "no"], ["search", "yes"]]


def test_a_snapshot_is_no_further_evidence() -> None:
    # The same four leads on fifty nights are four leads, and four prove nothing.
    rows = _rows([0.2] * 200, [False] * 200, [f"L{n % 4}" for n in range(200)])
    assert segments(rows, pd.DataFrame({"source": ["web"] * 200})).empty
    assert list(segments(rows, pd.DataFrame({"source": ["web"] * 200})).columns) == list(COLUMNS)


def test_what_is_missing_is_in_no_group() -> None:
    table = segments(ROWS, pd.DataFrame({"owner team": [None] * 100 + ["north"] * 100, "none": [None] * 200}))
    assert table[["field", "segment"]].to_numpy().tolist() == [["all leads", "all leads"], ["owner team", "north"]]


def test_of_many_groups_that_keep_their_promise_hardly_any_is_accused() -> None:
    rng = np.random.default_rng(8)
    alone, accused = 0, 0
    for _ in range(20):
        rows = _rows([0.3] * 6_000, (rng.random(6_000) < 0.3).tolist())
        table = segments(rows, pd.DataFrame({"source": rng.integers(0, 30, 6_000).astype(str)}))
        assert len(table) == 31
        outside = (table["predicted"] < table["low"]) | (table["predicted"] > table["high"])
        assert outside.tolist() == (table["chance"] < 0.05).tolist()
        alone, accused = alone + int(outside.any()), accused + int(table["fails"].any())
    # An interval each would cry wolf about nearly every company; the correction does about one in twenty.
    assert alone >= 12
    assert accused <= 3


def test_only_the_largest_groups_of_a_field_are_shown() -> None:
    sizes = np.repeat([f"g{n:02}" for n in range(40)], np.arange(10, 50))
    rows = _rows([0.2] * len(sizes), [False] * len(sizes))
    shown = segments(rows, pd.DataFrame({"source": sizes})).iloc[1:]
    assert shown["leads"].tolist() == list(range(20, 50))
    assert shown["segment"].tolist() == sorted(shown["segment"])
