"""What an extract of an earlier day would have shown: neither later wins nor labels that had not ripened."""

from __future__ import annotations

from datetime import datetime, timedelta

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from features.labels import as_known, ripe
from features.timeline import Timeline

START = datetime(2025, 1, 1, 2)


def _examples(rows: list[tuple[int, int | None]], line: Timeline) -> pd.DataFrame:
    """Rows of (night, days until won), both in days."""
    frame = pd.DataFrame({"as_of": [START + timedelta(days=night) for night, _ in rows]})
    frame["happened_at"] = pd.to_datetime(pd.Series([None if won is None else START + timedelta(days=night + won) for night, won in rows]))
    return frame.assign(converted=[won is not None and won < line.horizon_days for _, won in rows])


def test_acme_signed_after_the_earlier_extract() -> None:
    line = Timeline(horizon_days=30, settle_days=5)
    told = as_known(_examples([(0, 20), (10, 10), (10, None), (60, None)], line), START + timedelta(days=36), line)
    assert told["converted"].tolist() == [True, pd.NA, pd.NA]
    assert told["happened"].tolist() == [True, True, False]
    assert told["followed_days"].tolist() == [20.0, 10.0, 21.0]
    assert ripe(told).index.tolist() == [0]
    sooner = as_known(_examples([(0, 20)], line), START + timedelta(days=24), line)
    assert sooner[["happened", "followed_days"]].to_numpy().tolist() == [[False, 19.0]]
    assert ripe(sooner).empty


def test_what_acme_paid_is_known_once_the_night_is_ripe() -> None:
    line = Timeline(horizon_days=30, settle_days=5)
    signed = _examples([(0, 20), (10, 10), (10, None)], line).assign(amount=[12_000.0, 12_000.0, None])
    told = as_known(signed, START + timedelta(days=36), line)
    assert told["amount"].fillna(-1.0).tolist() == [12_000.0, -1.0, -1.0]
    assert as_known(signed, START + timedelta(days=45), line)["amount"].fillna(-1.0).tolist() == [12_000.0, 12_000.0, -1.0]
    assert "amount" not in as_known(_examples([(0, 20)], line), START + timedelta(days=36), line)


@given(
    rows=st.lists(st.tuples(st.integers(0, 200), st.none() | st.integers(0, 200)), min_size=1, max_size=20),
    until=st.integers(0, 300),
    horizon=st.integers(1, 120),
    settle=st.integers(0, 20),
)
def test_it_equals_its_loop(rows: list[tuple[int, int | None]], until: int, horizon: int, settle: int) -> None:
    line = Timeline(horizon_days=horizon, settle_days=settle)
    told = as_known(_examples(rows, line), START + timedelta(days=until), line)
    expected = []
    for night, won in rows:
        if night >= until - settle:
            continue
        known = won is not None and night + won < until - settle
        answer = (won is not None and won < horizon) if night + horizon + settle <= until else None
        expected.append((answer, known, float(won if known and won is not None else until - settle - night)))
    assert [(None if a is pd.NA else a, w, d) for a, w, d in told[["converted", "happened", "followed_days"]].itertuples(index=False)] == expected
