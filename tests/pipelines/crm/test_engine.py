"""An engine that Ibis knows is read as a file with the same rows is: PostgreSQL and Spark; of others it is said what they lack."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from time import sleep
from typing import Any

import psycopg
import pytest
from engines import spark_session

from features.problem import Problem
from pipelines.crm.base import CrmSource, Unreachable
from pipelines.crm.engine import Engine
from pipelines.crm.tables import open_source

_ROWS = (
    "SELECT 'L1' AS lead_id, CAST(1.5 AS DOUBLE PRECISION) AS size, TIMESTAMP '2025-01-02 03:04:05' AS since"
    " UNION ALL SELECT 'L2', NULL, NULL UNION ALL SELECT NULL, 2, TIMESTAMP '2024-12-31 00:00:00'"
)


@pytest.fixture(params=["postgres", "pyspark"])
def source(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CrmSource]:
    """The same table in one engine after the other."""
    with ExitStack() as stack:
        if request.param == "postgres":
            url = request.getfixturevalue("postgres_url")
            with psycopg.connect(url) as made:
                made.execute(f"CREATE TABLE leads AS {_ROWS}")
        else:
            url = "pyspark://"
            session = stack.enter_context(spark_session(tmp_path, monkeypatch))
            session.sql(_ROWS.replace("DOUBLE PRECISION", "DOUBLE")).createOrReplaceTempView("leads")
        opened = open_source(f"ibis+{url}")
        assert isinstance(opened, Engine)
        yield opened
        opened.connection.disconnect()


def _leads(source: CrmSource, cursor: str | None = None, since: datetime | None = None) -> list[dict[str, Any]]:
    rows = [row for piece, rejects in source.pieces("leads", cursor, since) for row in [*piece.to_pylist(), *rejects]]
    return sorted(rows, key=lambda row: str(row["lead_id"]))


def test_an_engine_says_what_a_file_says(source: CrmSource) -> None:
    assert source.tables() == ["leads"]
    assert source.columns("leads") == ["lead_id", "size", "since"]
    found = _leads(source)
    assert [(row["lead_id"], row["size"], row["since"]) for row in found] == [
        ("L1", "1.5", "2025-01-02 03:04:05"),
        ("L2", None, None),
        (None, "2.0", "2024-12-31 00:00:00"),
    ]
    assert sorted(row["row"] for row in found) == [1, 2, 3]
    assert [row["lead_id"] for row in _leads(source, "since", datetime(2025, 1, 1))] == ["L1", "L2"]
    with pytest.raises(Problem, match="There is no table deals in the engine, only leads: correct its `table`"):
        source.columns("deals")
    with pytest.raises(Problem, match="leads has no column 'changed', which its `cursor` names"):
        _leads(source, "changed")


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("snowflake://ann:s3cret@acme/crm/sales", "The engine snowflake .* needs a driver of its own, .* `pip install 'ibis-framework.snowflake.'`"),
        ("bigquery://acme/crm", "The engine bigquery .* needs a driver of its own, .* `pip install 'ibis-framework.bigquery.'`"),
        ("klingon://ann:s3cret@acme", r"The engine klingon .* cannot be reached \(ValueError\): check its URL and password"),
        ("postgres://ann:s3cret@127.0.0.1:1/crm", r"The engine postgres .* cannot be reached \(OperationalError\): check its URL and password"),
        ("sqlite:///crm.sqlite", "by a URL of Ibis: write the path of the file alone"),
    ],
)
def test_an_engine_that_cannot_be_opened_is_said_without_its_password(url: str, sentence: str) -> None:
    with pytest.raises(Problem, match=sentence) as said:
        open_source(f"ibis+{url}")
    assert "s3cret" not in "".join(traceback.format_exception(said.value))


def test_an_engine_that_falls_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent:
        def list_tables(self) -> list[str]:
            sleep(5)
            return []

    monkeypatch.setenv("LEADSCORE_ANSWER_SECONDS", "0.1")
    with pytest.raises(Unreachable, match=r"The list of tables cannot be read from the engine \(no whole answer within 0\.1 seconds\)"):
        Engine(Silent()).tables()
