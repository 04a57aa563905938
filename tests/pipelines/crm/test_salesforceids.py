"""One record has one id."""

from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st

from pipelines.crm.salesforceids import eighteen, is_id

FIFTEEN = st.text(string.ascii_letters + string.digits, min_size=15, max_size=15)


def test_known_ids_have_their_known_ends() -> None:
    assert [eighteen(one) for one in ("001A0000006Vm9r", "00Q000000000001", "aaaaaaaaaaaaaaa", "AAAAAAAAAAAAAAA")] == [
        "001A0000006Vm9rIAC",
        "00Q000000000001EAA",
        "aaaaaaaaaaaaaaaAAA",
        "AAAAAAAAAAAAAAA555",
    ]


@given(FIFTEEN)
def test_eighteen_signs_stay_and_begin_with_the_fifteen(short: str) -> None:
    long = eighteen(short)
    assert (len(long), long[:15], eighteen(long)) == (18, short, long)
    assert is_id(short)
    assert is_id(long)


@given(FIFTEEN, FIFTEEN)
def test_ids_that_differ_in_case_alone_differ_when_case_is_gone(one: str, other: str) -> None:
    assert (eighteen(one).lower() == eighteen(other).lower()) == (one == other)
    assert (eighteen(one).lower() == eighteen(one.swapcase()).lower()) == (one == one.swapcase())


@given(st.text())
def test_what_is_no_id_stays_as_it_is(text: str) -> None:
    assert eighteen(text) == text or is_id(text)
