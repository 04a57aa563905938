"""The way back to an earlier champion, as the trail tells it."""

from __future__ import annotations

from datetime import datetime

import pytest

from models.trail import Entry, way_back

DAY = datetime(2025, 5, 1, 2)


def trail(*changes: tuple[str, str, str | None]) -> list[Entry]:
    return [Entry(DAY, act, version, before, "said") for act, version, before in changes]


@pytest.mark.parametrize(
    ("changes", "back"),
    [
        ([], None),
        ([("gate", "1", None)], None),
        ([("gate", "1", None), ("gate", "2", "1")], "1"),
        ([("gate", "1", None), ("gate", "2", "1"), ("gate", "3", "2"), ("rolled back", "2", "3")], "1"),
        ([("gate", "1", None), ("gate", "2", "1"), ("rolled back", "1", "2")], None),
        ([("gate", "1", None), ("gate", "2", "1"), ("rolled back", "1", "2"), ("gate", "3", "1")], "1"),
        ([("gate", "1", None), ("gate", "2", "1"), ("promoted", "1", "2")], "2"),
        # A registry that is older than its trail.
        ([("gate", "8", "7")], "7"),
    ],
)
def test_the_champion_before_the_present_one(changes: list[tuple[str, str, str | None]], back: str | None) -> None:
    assert way_back(trail(*changes)) == back


def test_an_entry_comes_back_as_it_was_written_down() -> None:
    entry = Entry(DAY, "promoted", "12", None, 'Größe "XL"')
    assert Entry.from_text(entry.to_text()) == entry
