"""The usual ways of writing a date are told apart by the dates themselves."""

from __future__ import annotations

from datetime import datetime

import duckdb
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.crm.dateformats import _FORMATS, chosen, fitting


@settings(max_examples=40, deadline=None)
@given(form=st.sampled_from(_FORMATS), moments=st.lists(st.datetimes(datetime(1990, 1, 1), datetime(2035, 1, 1)), min_size=1, max_size=3))
def test_a_date_fits_the_format_it_was_written_in_and_the_mapping_reads_it_so(form: str, moments: list[datetime]) -> None:
    texts = [moment.strftime(form) for moment in moments]
    fits = fitting(pd.Series(texts))
    assert form in fits
    for text in texts:
        assert duckdb.execute("SELECT try_strptime(?, ?)", [text, form]).fetchall() == [(datetime.strptime(text, form),)]


@pytest.mark.parametrize(
    ("values", "forms"),
    [
        (["2025-01-31", None, ""], ("",)),
        (["2025-01-31T10:00:00Z"], ("",)),
        (["31.01.2025", " 28.02.2025 "], ("%d.%m.%Y",)),
        (["01/02/2025", "31/01/2025"], ("%d/%m/%Y",)),
        (["May 5, 2025"], ("%b %d, %Y", "%B %d, %Y")),
        (["soon", "2025"], ()),
        ([None, " "], ()),
        ([], ()),
    ],
)
def test_a_column_is_read_as_nearly_all_of_it_can_be(values: list[str | None], forms: tuple[str, ...]) -> None:
    assert fitting(pd.Series(values, dtype="object")) == forms


def test_a_table_writes_day_and_month_in_one_order() -> None:
    either, day_first = ("%m/%d/%Y", "%d/%m/%Y"), ("%d/%m/%Y %H:%M",)
    assert chosen({"a": either}) == {"a": ("%m/%d/%Y", False)}
    assert chosen({"a": either, "b": day_first}) == {"a": ("%d/%m/%Y", True), "b": ("%d/%m/%Y %H:%M", True)}
    # Where the sure ones disagree, the doubt stays.
    assert chosen({"a": either, "b": ("%d/%m/%Y",), "c": ("%m/%d/%Y",)})["a"] == ("%m/%d/%Y", False)
    # Two ways to write one order are no doubt.
    assert chosen({"a": ("%b %d, %Y", "%B %d, %Y"), "b": ("",)}) == {"a": ("%b %d, %Y", True), "b": ("", True)}
