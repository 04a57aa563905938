"""Whoever calls a lead reads what happened with it: what was known by the night, newest first, and nothing that came later."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from stories import company_of, day, nights

from features.diary import diary

STORY: dict[str, list[dict[str, Any]]] = {
    "leads": [{"lead_id": "acme", "created_at": day(0)}, {"lead_id": "mute", "created_at": day(0)}],
    "activities": [
        {"lead_id": "acme", "kind": "email_open", "direction": "in", "occurred_at": day(3)},
        {"lead_id": "acme", "kind": "call", "direction": "out", "occurred_at": day(4)},
        {"lead_id": "acme", "kind": "import", "direction": "unknown", "occurred_at": day(1)},
        # Happened before the night, and was known only after it.
        {"lead_id": "acme", "kind": "webinar", "direction": "in", "occurred_at": day(5), "known_at": day(20)},
    ],
    "lead_changes": [
        {"lead_id": "acme", "field": "status", "old_value": "new", "new_value": "working", "changed_at": day(4)},
        {"lead_id": "acme", "field": "email", "new_value": "a@acme.test", "changed_at": day(4)},
        {"lead_id": "acme", "field": "owner_id", "new_value": None, "changed_at": day(2)},
    ],
    "deals": [{"lead_id": "acme", "created_at": day(6), "outcome": "won", "closed_at": day(40)}],
}


def _told(night: int, most: int = 40) -> list[tuple[int, str, str]]:
    crm = company_of(STORY)
    found = diary(crm, nights(night).cross_join(crm.leads.select("lead_id")), most).execute()
    assert set(found["lead_id"]) <= {"acme"}
    return [((at - day(0)).days, who, what) for at, who, what in zip(found["occurred_at"], found["who"], found["what"], strict=True)]


def test_acme_opened_a_mail_was_called_and_got_a_deal() -> None:
    assert _told(10) == [
        (6, "", "deal opened"),
        (4, "us", "call"),
        (4, "", "status: working"),
        (3, "lead", "email_open"),
        (2, "", "owner_id: none"),
        (1, "", "import"),
    ]


def test_a_win_and_a_late_entry_are_told_once_they_were_known_and_not_before() -> None:
    assert _told(40)[0] == (6, "", "deal opened")
    assert [what for _, _, what in _told(41)][:3] == ["deal won", "deal opened", "webinar"]


def test_of_much_that_happened_the_newest_is_told() -> None:
    assert _told(10, most=2) == [(6, "", "deal opened"), (4, "us", "call")]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("ab"), st.sampled_from(["call", "open"]), st.sampled_from(["in", "out", "unknown"]), st.integers(0, 9), st.integers(0, 4)
        ),
        max_size=12,
    ),
    st.integers(1, 12),
    st.integers(1, 4),
)
def test_it_is_what_a_loop_over_the_rows_tells(rows: list[tuple[str, str, str, int, int]], night: int, most: int) -> None:
    activities = [
        {"lead_id": lead, "kind": kind, "direction": way, "occurred_at": day(at), "known_at": day(at) + timedelta(days=late)}
        for lead, kind, way, at, late in rows
    ]
    crm = company_of({"leads": [{"lead_id": lead, "created_at": day(0)} for lead in "ab"], "activities": activities})
    expected = []
    for lead in "ab":
        mine = [(at, kind, {"in": "lead", "out": "us", "unknown": ""}[way]) for one, kind, way, at, late in rows if one == lead and at + late < night]
        expected += [(lead, *event) for event in sorted(mine, key=lambda event: (-event[0], event[1], event[2]))[:most]]
    found = diary(crm, nights(night).cross_join(crm.leads.select("lead_id")), most).execute()
    told = [(lead, (at - day(0)).days, what, who) for lead, at, who, what in found.itertuples(index=False)]
    assert told == expected
