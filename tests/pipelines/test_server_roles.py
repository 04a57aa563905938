"""On a server the scorer cannot alter what was extracted, and a reader sees the lists and nothing else: as docs/postgresql.md grants it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from reps import NIGHT, TEAM, night, publish
from stories import company_of

from features.problem import Problem
from pipelines.warehouse import Warehouse

GUIDE = Path(__file__).parents[2] / "docs" / "postgresql.md"


@pytest.fixture
def granted(postgres_url: str, tmp_path: Path) -> Iterator[str]:
    """A server with a company and a night, and the roles of the guide."""
    with Warehouse.open(postgres_url, tmp_path / "extractor.duckdb") as owner:
        with owner.transaction():
            people = {
                "leads": [{"lead_id": "L1", "created_at": NIGHT, "name": "Zoë Zorn", "company": "Acme"}],
                "owners": [{"owner_id": "o1", "name": "Ann"}],
            }
            company_of(people, owner.ibis)
        publish(owner, night(*TEAM))
    (grants,) = re.findall(r"```sql\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute(grants)
        yield postgres_url
        server.execute("DROP OWNED BY scorer; DROP OWNED BY reader; DROP ROLE scorer; DROP ROLE reader")


def _as(url: str, role: str) -> str:
    return url.replace("//postgres:@", f"//{role}:@")


def test_a_scorer_publishes_nights_and_cannot_alter_what_was_extracted(granted: str, tmp_path: Path) -> None:
    with Warehouse.open(_as(granted, "scorer"), tmp_path / "scorer.duckdb") as scorer:
        publish(scorer, night(*TEAM[:2]))
        with pytest.raises(Problem, match=r"permission denied for table leads\. Let the role do it: docs/postgresql\.md says"):
            _without_leads(scorer)
        assert scorer.size("leads") == 1
    with psycopg.connect(_as(granted, "scorer")) as server, pytest.raises(psycopg.errors.InsufficientPrivilege):
        server.execute("UPDATE leadscore.leads SET name = 'nobody'")
    with Warehouse.open(granted, tmp_path / "extractor.duckdb") as owner:
        assert (len(owner.read_night(NIGHT)), owner.size("leads")) == (2, 1)


def _without_leads(warehouse: Warehouse) -> None:
    with warehouse.transaction():
        warehouse.raw.execute("DELETE FROM leads")


@pytest.mark.parametrize("table", ["ledger", "leads", "feedback", "stored"])
def test_a_reader_sees_the_lists_and_nothing_else(granted: str, table: str) -> None:
    with psycopg.connect(_as(granted, "reader"), autocommit=True) as server:
        rows = server.execute("SELECT lead_id, name, owner, reasons_for FROM leadscore_lists.tonight ORDER BY rank LIMIT 2").fetchall()
        assert rows == [("L1", "Zoë Zorn", "Ann", "opened 3 e-mails; source: web"), ("L2", None, "Ann", "opened 3 e-mails; source: web")]
        assert server.execute("SELECT count(*) FROM leadscore_lists.lists").fetchone() == (3,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            server.execute(f"SELECT count(*) FROM leadscore.{table}")
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="cannot delete from view"):
            server.execute("DELETE FROM leadscore_lists.tonight")
