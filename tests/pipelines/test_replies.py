"""`leadscore feedback FILE`: good rows are kept, others are named, and a file read twice changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import xlsxwriter
from reps import NIGHT, TEAM, night, publish

from pipelines.delivery.workbook import workbook
from pipelines.warehouse import Warehouse

Typed = Callable[..., tuple[int, str, str]]
HEAD = ["Lead ID", "Feedback", "Note"]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A company whose night of TEAM, and the one before, were scored."""
    file = tmp_path / "leadscore.toml"
    file.write_text('[source.tables.leads]\ntable = "leads.csv"\n[source.tables.deals]\ntable = "deals.csv"\n[outcomes.churn]\nkind = "churn"\n')
    with Warehouse.open(str(tmp_path / ".leadscore" / "warehouse.duckdb")) as warehouse:
        publish(warehouse, night(*TEAM))
        publish(warehouse, night({}, as_of=NIGHT - timedelta(days=1)))
        publish(warehouse, night({"lead_id": "C1"}, chosen="churn"))
    return file


def _kept(config: Path) -> list[tuple[Any, ...]]:
    with Warehouse.open(str(config.parent / ".leadscore" / "warehouse.duckdb")) as warehouse:
        columns = "outcome, as_of, lead_id, feedback, note, given_by"
        return warehouse.raw.execute(f"SELECT {columns} FROM feedback ORDER BY ALL").fetchall()


def _filled(config: Path, content: bytes, said: dict[str, tuple[str, str]], name: str = "ann.xlsx") -> Path:
    """A workbook as it was sent out, with replies in the rows of some leads, saved again by another program."""
    sheets = pd.read_excel(BytesIO(content), sheet_name=None, header=None, engine="calamine", na_filter=False)
    with xlsxwriter.Workbook(config.parent / name, {"strings_to_formulas": False, "strings_to_urls": False}) as book:
        for title, frame in sheets.items():
            sheet = book.add_worksheet(title)
            for at, row in enumerate(frame.to_numpy(dtype=object).tolist()):
                if title != "About" and row[-3] in said:
                    row[-2:] = said[row[-3]]
                sheet.write_row(at, 0, row)
    return config.parent / name


def test_what_reps_wrote_is_kept_beside_the_night_they_had_before_them(config: Path, leadscore: Typed) -> None:
    ann = _filled(config, workbook(night(*TEAM), "o1"), {"L1": ("called, interested", ""), "L4": ("", "=call in May")})
    bob = _filled(config, workbook(night(*TEAM), "o2"), {"L3": ("no answer", "twice")}, "bob.xlsx")
    code, out, _ = leadscore("feedback", ann, bob, "--config", config)
    assert code == 0
    assert out.splitlines() == [
        "feedback: files 2, read 4, kept 3, unchanged 0, empty 1, refused rows 0",
        "  file      night       read  kept  unchanged  empty  refused",
        "  ann.xlsx  2025-03-04     3     2          0      1        0",
        "  bob.xlsx  2025-03-04     1     1          0      0        0",
    ]
    assert _kept(config) == [
        ("default", NIGHT, "L1", "called, interested", None, "o1"),
        ("default", NIGHT, "L3", "no answer", "twice", "o2"),
        ("default", NIGHT, "L4", None, "=call in May", "o1"),
    ]


def test_a_file_read_twice_changes_nothing_and_a_corrected_one_replaces(config: Path, leadscore: Typed) -> None:
    file = _filled(config, workbook(night(*TEAM), "o1"), {"L1": ("no answer", ""), "L2": ("call later", "May")})
    leadscore("feedback", file, "--config", config)
    before = _kept(config)
    code, out, _ = leadscore("feedback", file, file, "--config", config, "--json")
    assert (code, json.loads(out)["rows"]) == (
        0,
        [{"file": "ann.xlsx", "night": "2025-03-04", "read": 3, "kept": 0, "unchanged": 2, "empty": 1, "refused": 0}],
    )
    assert _kept(config) == before
    _filled(config, workbook(night(*TEAM), "o1"), {"L1": ("called, interested", ""), "L2": ("call later", "May")})
    assert json.loads(leadscore("feedback", file, "--config", config, "--json")[1])["kept"] == 1
    assert [row[3] for row in _kept(config)] == ["called, interested", "call later"]


def test_good_rows_are_kept_others_are_named_and_the_command_leaves_with_3(config: Path, leadscore: Typed) -> None:
    file = _filled(config, workbook(night(*TEAM), "o1"), {"L1": ("maybe", ""), "L2": ("no answer", "")})
    code, out, _ = leadscore("feedback", file, "--config", config, "--json")
    told = json.loads(out)
    assert code == 3
    assert (told["read"], told["kept"], told["refused rows"], told["empty"]) == (3, 1, 1, 1)
    assert told["notices"][0].startswith("ann.xlsx, sheet Today, row 2, column feedback says 'maybe', which is not one of the choices: ")
    assert [row[2] for row in _kept(config)] == ["L2"]


def test_a_lead_that_was_not_scored_that_night_is_refused(config: Path, leadscore: Typed) -> None:
    (config.parent / "a.csv").write_text("lead_id,feedback,note\nL2,no answer,\nL1,no answer,\n")
    code, out, _ = leadscore("feedback", config.parent / "a.csv", "--as-of", "2025-03-03", "--config", config, "--json")
    told = json.loads(out)
    assert (code, told["kept"]) == (3, 1)
    assert told["notices"] == ["a.csv, row 2, column lead_id: 'L2' was not scored on 2025-03-03: write the id as it was sent out."]
    assert _kept(config) == [("default", NIGHT - timedelta(days=1), "L1", "no answer", None, None)]


def test_many_refused_rows_of_a_file_are_told_in_part_and_counted_in_full(config: Path, leadscore: Typed) -> None:
    (config.parent / "a.csv").write_text("lead_id,feedback\n" + "".join(f"X{n},no answer\n" for n in range(1_000)))
    told = json.loads(leadscore("feedback", config.parent / "a.csv", "--as-of", "2025-03-04", "--config", config, "--json")[1])
    assert (told["refused rows"], len(told["notices"])) == (1_000, 11)
    assert told["notices"][-1] == "... and 990 more rows of this file were refused."


def test_of_another_outcome_the_workbook_says_so_and_a_csv_is_told(config: Path, leadscore: Typed) -> None:
    file = _filled(config, workbook(night({"lead_id": "C1"}, chosen="churn"), "o1"), {"C1": ("no answer", "")})
    assert leadscore("feedback", file, "--config", config)[0] == 0
    (config.parent / "a.csv").write_text("lead_id,feedback,note\nC1,,later\n")
    assert leadscore("feedback", config.parent / "a.csv", "--as-of", "2025-03-04", "--outcome", "churn", "--config", config)[0] == 0
    assert _kept(config) == [("churn", NIGHT, "C1", None, "later", None)]


def test_a_lead_whose_id_a_cell_cannot_hold_as_it_is_gets_its_reply(config: Path, leadscore: Typed) -> None:
    hostile = night({"lead_id": "=1+1"}, {"lead_id": "a\x01b", "rank": 2}, {"lead_id": " x", "rank": 3}, {"lead_id": "x", "rank": 4})
    with Warehouse.open(str(config.parent / ".leadscore" / "warehouse.duckdb")) as warehouse:
        publish(warehouse, hostile)
    file = _filled(config, workbook(hostile, "o1"), dict.fromkeys(("'=1+1", "a␁b", " x", "x"), ("no answer", "")))
    code, _, _ = leadscore("feedback", file, "--config", config)
    # Which of the last two is meant nobody knows.
    assert code == 3
    assert [row[2] for row in _kept(config)] == ["=1+1", "a\x01b"]


@pytest.mark.parametrize(
    ("content", "words", "sentence"),
    [
        (None, (), "cannot be read (No such file or directory): name a workbook or CSV that reps have filled in."),
        ("name,mood\n", (), "has no sheet with the columns lead_id and feedback"),
        (
            "lead_id,feedback\nL1,no answer\n",
            (),
            "does not say of which night it is, as a workbook does on its sheet About: name the night with --as-of.",
        ),
        (
            "lead_id,feedback\nL1,no answer\n",
            ("--as-of", "2020-01-01"),
            "is a list of 2020-01-01 (outcome default), a night that this warehouse never scored",
        ),
    ],
)
def test_of_a_file_that_is_none_nothing_is_kept_of_any(
    config: Path, leadscore: Typed, content: str | None, words: tuple[str, ...], sentence: str
) -> None:
    good = _filled(config, workbook(night(*TEAM), "o1"), {"L1": ("no answer", "")})
    if content is not None:
        (config.parent / "bad.csv").write_text(content)
    code, out, err = leadscore("feedback", good, config.parent / "bad.csv", *words, "--config", config)
    assert (code, out) == (1, "")
    assert f"{config.parent / 'bad.csv'} {sentence}" in err
    assert _kept(config) == []


def test_a_workbook_of_another_company_is_refused(config: Path, leadscore: Typed) -> None:
    file = _filled(config, workbook(night(*TEAM, as_of=datetime(2019, 1, 1, 2)), "o1"), {"L1": ("no answer", "")})
    code, _, err = leadscore("feedback", file, "--config", config)
    assert code == 1
    assert "is a list of 2019-01-01 (outcome default), a night that this warehouse never scored: hand it in where it was made" in err
