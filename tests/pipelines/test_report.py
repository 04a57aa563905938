"""The same facts in words for people and as JSON for machines."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.report import Report

ROWS = (
    {"rank": 1, "name": "Zoë", "probability": 0.5, "listed": True},
    {"rank": 1000, "name": "Al", "probability": 0.0625, "listed": False},
)


def test_a_person_reads_facts_then_rows_then_notices() -> None:
    report = Report("score", {"night": "2025-01-02", "open leads": 12_345, "share": 0.12345, "promoted": False}, ROWS, ("One.", "Two."))
    assert report.text().splitlines() == [
        "score: night 2025-01-02, open leads 12,345, share 0.123, promoted no",
        "   rank  name  probability  listed",
        "      1  Zoë         0.500  yes",
        "  1,000  Al          0.062  no",
        "- One.",
        "- Two.",
    ]


def test_without_rows_and_notices_there_is_one_line() -> None:
    assert Report("train", {"model": "boosted trees"}).text() == "train: model boosted trees"


def test_what_a_row_does_not_say_is_blank() -> None:
    rows = ({"table": "leads", "refused": 2}, {"table": "deals"}, {"refused": 3})
    assert Report("extract", rows=rows).text().splitlines()[1:] == ["  table  refused", "  leads        2", "  deals", "               3"]


def test_a_machine_reads_one_object_with_everything_in_it() -> None:
    report = Report("score", {"open leads": 2, "share": 0.5}, ROWS, ("One.",), refused=True)
    assert json.loads(json.dumps(report.to_dict())) == {
        "flow": "score",
        "open leads": 2,
        "share": 0.5,
        "rows": list(ROWS),
        "notices": ["One."],
        "refused": True,
    }
    assert Report("score").to_dict() == {"flow": "score", "rows": [], "notices": [], "refused": False}


@pytest.mark.parametrize(
    ("value", "words"),
    [(True, "yes"), (False, "no"), (0, "0"), (-1_234_567, "-1,234,567"), (0.5, "0.500"), (1_234.5, "1,234.5"), ("9", "9"), (float("nan"), "nan")],
)
def test_a_value_is_said_as_a_person_says_it(value: object, words: str) -> None:
    assert Report("score", {"fact": value}).text() == f"score: fact {words}"


WORD = st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1, max_size=12)


@given(rows=st.lists(st.tuples(WORD, st.integers(), st.booleans()), min_size=1, max_size=6))
def test_columns_stand_straight_texts_to_the_left_and_numbers_to_the_right(rows: list[tuple[str, int, bool]]) -> None:
    lines = Report("score", rows=tuple({"name": name, "n": n, "yes?": flag} for name, n, flag in rows)).text().splitlines()[1:]
    assert len(lines) == len(rows) + 1
    left = max(len("name"), *(len(name) for name, _, _ in rows))
    right = max(len(f"{n:,}") for _, n, _ in rows)
    for line, (name, n, flag) in zip(lines[1:], rows, strict=True):
        assert line[2 : 2 + left].rstrip() == name
        assert line[4 + left : 4 + left + right].lstrip() == f"{n:,}"
        assert line[6 + left + right :] == ("yes" if flag else "no")


HOSTILE = "Ada\n\x1b[2J\u202eX\u2028\x9b31m\ud800"


def test_a_terminal_shows_a_hostile_name_on_one_line_and_obeys_none_of_it() -> None:
    text = Report("score", {"page": HOSTILE}, ({"name": HOSTILE, "n": 1},), (HOSTILE,)).text()
    assert text.split("\n") == [
        "score: page Ada [2J X 31m ",
        "  name            n",
        "  Ada [2J X 31m   1",
        "- Ada [2J X 31m ",
    ]
    # Machines get the name as it is.
    assert Report("score", rows=({"name": HOSTILE},)).to_dict()["rows"] == [{"name": HOSTILE}]


@given(st.text())
def test_whatever_a_name_holds_a_line_stays_a_line(name: str) -> None:
    lines = Report("score", rows=({"name": name},), notices=(name,)).text().splitlines()
    assert len(lines) == 4
    assert not any(sign in "".join(lines) for sign in "\x07\x08\x1b\x7f\x9b\u202e\u2066")


def test_letters_of_every_script_stay_as_they_are() -> None:
    names = "Zoë 李 می\u200cخواهم 👩\u200d💻"
    assert Report("score", {"name": names}).text() == f"score: name {names}"
