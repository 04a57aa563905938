"""Whatever a field holds becomes a few levels, and what is missing is one of them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.levels import levels


def test_a_number_of_many_values_becomes_twenty_quantiles_and_missing() -> None:
    values = pd.Series([*np.arange(1_000.0), np.nan])
    level = levels(values)
    assert len(set(level)) == 21
    assert level[-1] == ""
    assert [int((level == name).sum()) for name in dict.fromkeys(level[:1_000])] == [50] * 20


def test_of_many_texts_the_fifty_most_frequent_keep_their_name() -> None:
    values = pd.Series([f"v{n}" for n in range(60) for _ in range(60 - n)])
    level = levels(values)
    assert (level[0], level[-1]) == ("v0", "other")
    assert set(level) == {*(f"v{n}" for n in range(50)), "other"}


def test_spaces_are_not_given_and_do_not_make_a_value() -> None:
    assert levels(pd.Series([" web", "web", "  ", None, "ads "])).tolist() == ["web", "web", "", "", "ads"]


def test_flags_and_empty_columns_are_levels_too() -> None:
    assert levels(pd.Series([1.0, 0.0, np.nan])).tolist() == ["1.0", "0.0", ""]
    assert levels(pd.Series([None, None], dtype=object)).tolist() == ["", ""]
