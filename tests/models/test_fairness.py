"""Who is listed, what becomes of them, and whether the promise holds, for each value of what is protected."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.fairness import COLUMNS, fairness, sentences
from models.metrics import Judged


def _rows(promised: np.ndarray, converted: np.ndarray) -> Judged:
    n = len(promised)
    lead = np.array([f"L{at}" for at in range(n)], dtype=object)
    return Judged(converted, np.log(promised / (1 - promised)), np.ones(n), lead, np.full(n, np.datetime64("2025-01-01")))


# Of 100 women 10 are listed and 8 of those buy; of 100 men 40 are listed and 12 of those buy. Beyond the list nobody does.
GENDER = pd.Series(["f"] * 100 + ["m"] * 100)
PLACE = np.tile(np.arange(100), 2)
LISTED = np.where(GENDER == "f", PLACE < 10, PLACE < 40)
WON = np.where(GENDER == "f", PLACE < 8, PLACE < 12)
ROWS = _rows(np.where(LISTED, 0.3, 0.02), WON)


def test_the_share_listed_and_what_becomes_of_the_listed_are_counted_level_by_level() -> None:
    table = fairness(ROWS, LISTED, pd.DataFrame({"gender": GENDER})).set_index("level")
    assert table["attribute"].tolist() == ["gender", "gender"]
    assert table["leads"].to_dict() == {"f": 100, "m": 100}
    assert table["share_listed"].to_dict() == {"f": 0.1, "m": 0.4}
    assert table["converted_of_listed"].to_dict() == {"f": 0.8, "m": 0.3}
    assert table["predicted_of_listed"].tolist() == pytest.approx([0.3, 0.3])
    assert table["realised"].to_dict() == {"f": 0.08, "m": 0.12}
    assert table["predicted"].tolist() == pytest.approx([0.1 * 0.3 + 0.9 * 0.02, 0.4 * 0.3 + 0.6 * 0.02])


def test_intervals_are_those_of_so_many_leads() -> None:
    table = fairness(ROWS, LISTED, pd.DataFrame({"gender": GENDER})).set_index("level")
    for level, share, leads in (("f", 0.1, 100), ("m", 0.4, 100)):
        half = 1.96 * np.sqrt(share * (1 - share) / leads)
        assert table.loc[level, "share_listed_low"] == pytest.approx(share - half, abs=0.02)
        assert table.loc[level, "share_listed_high"] == pytest.approx(share + half, abs=0.02)
    assert table.loc["f", "converted_of_listed_low"] < 0.8 < table.loc["f", "converted_of_listed_high"] <= 1
    # 8 of 100 is more than the 4.8 % promised, but not beyond doubt; Wilson's interval of 8 in 100 begins at 4.1 %.
    assert table.loc["f", "realised_low"] == pytest.approx(0.041, abs=1e-3)


def test_one_sentence_says_who_is_listed_least_and_most() -> None:
    (said,) = sentences(fairness(ROWS, LISTED, pd.DataFrame({"gender": GENDER})))
    assert said.startswith("Fairness, gender (never learned from): 10.0% (")
    assert "of 'f' are listed and 80.0% (" in said
    assert "40.0% (" in said
    assert "of 'm' are listed and 30.0% (" in said
    assert said.endswith("every level stands in fairness.csv of the run.")


def test_levels_of_a_few_people_are_put_together() -> None:
    rare = GENDER.where(PLACE >= 5, "x")
    table = fairness(ROWS, LISTED, pd.DataFrame({"gender": rare}))
    assert table[["level", "leads"]].to_numpy().tolist() == [["all others", 10], ["f", 95], ["m", 95]]


def test_who_did_not_say_is_a_level_and_a_number_is_cut_into_quarters() -> None:
    age = pd.Series(np.r_[np.full(40, np.nan), np.linspace(20, 59, 160)])
    levels = fairness(ROWS, LISTED, pd.DataFrame({"age": age})).set_index("level")["leads"]
    assert levels["missing"] == 40
    assert levels.drop("missing").tolist() == [40, 40, 40, 40]


def test_of_whom_nobody_is_listed_nobody_converts_and_nothing_breaks() -> None:
    table = fairness(ROWS, np.zeros(200, dtype=bool), pd.DataFrame({"gender": GENDER}))
    assert table["share_listed"].tolist() == [0, 0]
    assert table["converted_of_listed"].isna().all()
    (said,) = sentences(table)
    assert said == "Fairness, gender: 0.0% (0.0% to 0.0%) of 'f' are listed."


def test_without_protected_fields_there_is_an_empty_table() -> None:
    table = fairness(ROWS, LISTED, pd.DataFrame(index=range(200)))
    assert table.empty
    assert list(table.columns) == list(COLUMNS)
    assert sentences(table) == ()
