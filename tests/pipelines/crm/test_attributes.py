"""A field of the company's own is learned from by what it is, and never if it says who somebody is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from pipelines.crm.load import load
from pipelines.crm.tables import open_source
from pipelines.settings import Settings
from pipelines.warehouse import Warehouse

Read = Callable[..., tuple[dict[str, str], tuple[str, ...]]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Load leads with one further column of some values: the kinds of their attributes, and what was said."""

    def go(column: str, *values: str, allow: tuple[str, ...] = ()) -> tuple[dict[str, str], tuple[str, ...]]:
        rows = "".join(f'L{n},2025-01-01,"{value}"\n' for n, value in enumerate(values))
        (tmp_path / "leads.csv").write_text(f"lead_id,created_at,{column}\n{rows}", encoding="utf-8")
        (tmp_path / "deals.csv").write_text("deal_id,lead_id,created_at,outcome,closed_at\nD1,L0,2025-01-05,open,\n", encoding="utf-8")
        tables = {name: {"table": f"{name}.csv"} for name in ("leads", "deals")}
        settings = Settings(source={"location": str(tmp_path), "tables": tables}, training={"allow": allow}, folder=tmp_path)  # type: ignore[arg-type]
        with Warehouse.open(str(tmp_path / "w.duckdb")) as warehouse:
            done = load(settings, open_source(str(tmp_path)), warehouse, datetime(2025, 6, 1), lambda share, words: None)
            return {attribute.name: attribute.kind for attribute in warehouse.attributes()}, done.notices

    return go


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("phone", ("030 12", "call me")),
        ("first_name", ("Eva", "Eva")),
        ("Work E-Mail", ("none", "at work")),
        ("mobile_number", ("491719876001", "491719876002")),
        ("reachable_by", ("+49 171 9876001", "+49 171 9876002", "never")),
        ("reachable_by", ("+491719876001", "+491719876002")),
        ("second_box", ("eva@post.example", "", "ida@post.example", "none")),
    ],
)
def test_who_somebody_is_and_how_to_reach_them_is_not_learned_from(read: Read, column: str, values: tuple[str, ...]) -> None:
    kinds, said = read(column, *values)
    assert kinds == {}
    assert f"leads.{column}: names, addresses and numbers of people are never learned from." in said


@pytest.mark.parametrize(
    ("column", "values", "kind"),
    [
        ("has_phone", ("true", "false"), "flag"),
        ("industry", ("retail", "mining"), "category"),
        ("employees", ("12", "3000"), "number"),
        ("onboarding", ("01/02/2024", "01/03/2024"), "category"),
        ("campaign", ("Q1+Q2 2024", "Q3"), "category"),
        ("referred", ("eva@post.example", "web", "ads"), "category"),
    ],
)
def test_whatever_else_it_is_may_be_learned_from(read: Read, column: str, values: tuple[str, ...], kind: str) -> None:
    kinds, _ = read(column, *values)
    assert kinds == {column: kind}


def test_what_a_law_protects_is_kept_for_the_fairness_table_and_said(read: Read) -> None:
    sentence = "leads.gender: protected, and not learned from unless [training] allow names it."
    kinds, said = read("gender", "f", "m")
    assert (kinds, sentence in said) == ({"gender": "category"}, True)
    assert sentence not in read("gender", "f", "m", allow=("gender",))[1]


def test_a_row_that_has_slipped_names_nobody_in_what_is_said_of_it(tmp_path: Path) -> None:
    with Warehouse.open(str(tmp_path / "w.duckdb")) as warehouse:
        for number, value in enumerate(("Eva Grau", "ida@post.example", "+49 171 9876001", "31/31/2024", None)):
            warehouse.raw.execute("INSERT INTO quarantine VALUES (NULL, 'leads', ?, ?, ?, 'is no date')", [number, f"day {number}", value])
        warehouse.raw.execute("INSERT INTO quarantine VALUES (NULL, 'leads', 7, 'name', 'x1', 'holds a NUL byte')")
        warehouse.raw.execute("INSERT INTO quarantine VALUES (NULL, 'leads', NULL, 'lead_id', NULL, 'is erased')")
        for number in range(8, 11):
            warehouse.raw.execute("INSERT INTO quarantine VALUES (NULL, 'deals', ?, 'outcome', 'Closed Won', 'is none of open, won, lost')", [number])
        assert warehouse.refusals(None, most=9) == (
            "deals: 3 rows were refused because outcome is none of open, won, lost, such as 'Closed Won' (row 8).",
            "leads: 1 row was refused because day 0 is no date (row 0).",
            "leads: 1 row was refused because day 1 is no date (row 1).",
            "leads: 1 row was refused because day 2 is no date (row 2).",
            "leads: 1 row was refused because day 3 is no date, such as '31/31/2024' (row 3).",
            "leads: 1 row was refused because day 4 is no date (row 4).",
            "leads: 1 row was refused because lead_id is erased.",
            "leads: 1 row was refused because name holds a NUL byte (row 7).",
        )
