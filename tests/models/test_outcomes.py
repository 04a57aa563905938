"""What became of the nights that sales worked from."""

from __future__ import annotations

from datetime import datetime

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.outcomes import judge

MONDAY, TUESDAY = datetime(2025, 3, 3, 2), datetime(2025, 3, 4, 2)
Row = tuple[datetime, float, bool, bool]


def _nights(rows: list[Row]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["as_of", "probability", "listed", "converted"])


def test_each_night_is_judged_by_its_own_list() -> None:
    tuesday = [(TUESDAY, 0.1, True, False), (TUESDAY, 0.2, False, True)]
    monday = [(MONDAY, 0.9, True, True), (MONDAY, 0.6, True, False), *[(MONDAY, 0.2, False, False)] * 2, (MONDAY, 0.1, False, True)]
    judged = judge(_nights([*tuesday, *monday]))
    assert judged["as_of"].tolist() == [MONDAY, TUESDAY]
    assert judged[["scored", "listed", "conversions", "listed_conversions"]].to_numpy().tolist() == [[5, 2, 2, 1], [2, 1, 1, 0]]
    assert judged["expected"].tolist() == pytest.approx([2.0, 0.3])
    # On Monday one of two listed leads converted, where two of five of all did.
    assert judged["lift"].tolist() == pytest.approx([0.5 / 0.4, 0.0])


@pytest.mark.parametrize(("listed", "converted"), [(False, True), (True, False)])
def test_without_a_list_or_a_conversion_there_is_no_lift(listed: bool, converted: bool) -> None:
    judged = judge(_nights([(MONDAY, 0.5, listed, converted)] * 3))
    assert judged["lift"].isna().tolist() == [True]
    assert judged[["listed", "conversions", "listed_conversions"]].to_numpy().tolist() == [[3 * listed, 3 * converted, 0]]


def test_a_list_of_everybody_lifts_nothing() -> None:
    assert judge(_nights([(MONDAY, 0.5, True, True), (MONDAY, 0.5, True, False)]))["lift"].tolist() == [1.0]


@pytest.mark.parametrize("kind", [bool, int, object])
def test_yes_and_no_are_read_as_any_database_writes_them(kind: type) -> None:
    rows = _nights([(MONDAY, 0.5, True, True), (MONDAY, 0.5, False, True), (MONDAY, 0.5, True, False)])
    judged = judge(rows.astype({"listed": kind, "converted": kind}))
    assert judged[["listed", "conversions", "listed_conversions"]].to_numpy().tolist() == [[2, 2, 1]]


def test_no_ripe_night_is_no_row() -> None:
    assert judge(_nights([])).empty


@given(rows=st.lists(st.tuples(st.sampled_from([MONDAY, TUESDAY]), st.floats(0, 1), st.booleans(), st.booleans()), min_size=1, max_size=20))
def test_every_count_equals_its_loop(rows: list[Row]) -> None:
    judged = judge(_nights(rows)).set_index("as_of")
    assert set(judged.index) == {row[0] for row in rows}
    for night, found in judged.iterrows():
        mine = [row for row in rows if row[0] == night]
        assert found["scored"] == len(mine)
        assert found["listed"] == sum(row[2] for row in mine)
        assert found["conversions"] == sum(row[3] for row in mine)
        assert found["listed_conversions"] == sum(row[2] and row[3] for row in mine)
        assert found["expected"] == pytest.approx(sum(row[1] for row in mine))
