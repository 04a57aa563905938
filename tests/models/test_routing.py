"""Nobody's leads are given away one by one, best first, and only to who has room."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from models.routing import routed

COVERS = {"ann": ("DE",), "bob": ("FR", "DE")}


def _one_by_one(owner: list[str], where: list[str], may: list[bool], room: dict[str, int]) -> list[str]:
    """The rule by a plain loop over all leads."""
    free = {one: calls - sum(o == one and m for o, m in zip(owner, may, strict=True)) for one, calls in room.items()}
    found = list(owner)
    for place in range(len(owner)):
        able = sorted(one for one in free if free[one] > 0 and where[place] in COVERS.get(one, (where[place],)))
        if owner[place] == "" and may[place] and able:
            found[place] = max(able, key=lambda one: (free[one], [-ord(sign) for sign in one]))
            free[found[place]] -= 1
    return found


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["ann", "bob", ""]), st.sampled_from(["DE", "FR", "IT"]), st.booleans()), max_size=14),
    st.fixed_dictionaries({"ann": st.integers(0, 4), "bob": st.integers(0, 4), "cleo": st.integers(0, 2)}),
)
def test_leads_go_where_a_loop_would_send_them(leads: list[tuple[str, str, bool]], room: dict[str, int]) -> None:
    owner, where, may = ([lead[at] for lead in leads] for at in range(3))
    found = routed(pd.Series(owner, dtype=object), pd.Series(where, dtype=object), np.array(may, dtype=bool), room, COVERS)
    assert found.tolist() == _one_by_one(owner, where, may, room)


def test_those_who_have_equal_room_take_turns() -> None:
    leads = pd.Series([""] * 6)
    found = routed(leads, leads, np.ones(6, dtype=bool), {"bob": 3, "ann": 2}, {})
    assert found.tolist() == ["bob", "ann", "bob", "ann", "bob", ""]
    assert Counter(found) == {"bob": 3, "ann": 2, "": 1}
