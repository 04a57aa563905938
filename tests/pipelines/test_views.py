"""What a BI tool reads: a row a lead with its reasons in words, whatever tables the last extract brought."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from reps import BOB, NIGHT, TEAM, night, publish

from pipelines.warehouse import Warehouse

LEADS = "CREATE OR REPLACE TABLE leads AS SELECT * FROM (VALUES ('L1', 'Zoë Zorn', 'Acme'), ('L9', 'Nobody', 'None')) t(lead_id, name, company)"


def test_tonight_is_the_newest_night_of_each_outcome_with_reasons_in_words(tmp_path: Path) -> None:
    file = str(tmp_path / "warehouse.duckdb")
    with Warehouse.open(file) as warehouse:
        publish(warehouse, night({"lead_id": "old"}, as_of=NIGHT - timedelta(days=1)))
        publish(warehouse, night(*TEAM))
        publish(warehouse, night({"lead_id": "C1"}, as_of=NIGHT - timedelta(days=7), chosen="churn"))
        warehouse.raw.execute(LEADS)
        warehouse.raw.execute("CREATE TABLE owners AS SELECT 'o1' AS owner_id, 'Ann' AS name, 'ann@company.example' AS email")
    with Warehouse.open(file) as warehouse:
        rows = warehouse.raw.execute("SELECT outcome, lead_id, name, company, owner, listed FROM tonight ORDER BY outcome, rank").fetchall()
        assert rows == [
            ("churn", "C1", None, None, "Ann", True),
            ("default", "L1", "Zoë Zorn", "Acme", "Ann", True),
            ("default", "L2", None, None, "Ann", True),
            ("default", "L3", None, None, "o2", True),
            ("default", "L4", None, None, "Ann", False),
            ("default", "L5", None, None, "", False),
        ]
        words = "SELECT reasons_for, reasons_against, reasons FROM tonight WHERE lead_id = 'L1'"
        told, against, stored = warehouse.raw.execute(words).fetchall()[0]
        assert (told, against) == ("opened 3 e-mails; source: web", "came in 90 days ago")
        assert stored.startswith('[{"field":"opens","words":"opened 3 e-mails"')


def test_lists_are_the_listed_leads_of_every_night(tmp_path: Path) -> None:
    with Warehouse.open(str(tmp_path / "warehouse.duckdb")) as warehouse:
        for days in (1, 0):
            publish(warehouse, night(*TEAM, as_of=NIGHT - timedelta(days=days)))
        rows = warehouse.raw.execute("SELECT lead_id FROM lists ORDER BY as_of, rank").fetchall()
        assert rows == [("L1",), ("L2",), ("L3",)] * 2
        columns = [[column for column, *_ in warehouse.raw.execute(f"DESCRIBE {view}").fetchall()] for view in ("tonight", "lists")]
        assert columns[0] == columns[1]
        assert columns[0][-5:] == ["reasons_for", "reasons_against", "name", "company", "owner"]


def test_views_have_the_same_columns_before_the_first_extract_and_follow_the_next(tmp_path: Path) -> None:
    file = str(tmp_path / "warehouse.duckdb")
    with Warehouse.open(file) as warehouse:
        before = warehouse.raw.execute("DESCRIBE tonight").fetchall()
        publish(warehouse, night({}, {"lead_id": "L2", "rank": 2, **BOB, "reasons": []}))
        assert warehouse.raw.execute("SELECT name, reasons_for FROM tonight ORDER BY rank").fetchall()[1] == (None, "")
        warehouse.raw.execute(LEADS)
    for _ in range(2):
        with Warehouse.open(file) as warehouse:
            assert warehouse.raw.execute("DESCRIBE tonight").fetchall() == before
            assert warehouse.raw.execute("SELECT name FROM tonight ORDER BY rank").fetchall() == [("Zoë Zorn",), (None,)]
            # A table that the next extract replaces may have other columns.
            warehouse.raw.execute("CREATE OR REPLACE TABLE leads AS SELECT 'L1' AS lead_id, 'Zoë Zorn' AS name, 1 AS employees")
    with Warehouse.open(file) as warehouse:
        warehouse.raw.execute("DROP TABLE leads")
    with Warehouse.open(file) as warehouse:
        assert warehouse.raw.execute("SELECT name FROM tonight ORDER BY rank").fetchall() == [(None,), (None,)]
