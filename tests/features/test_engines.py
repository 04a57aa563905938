"""The same features on DuckDB, PostgreSQL and Spark: no feature leans on one engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import pytest
from engines import spark_session
from stories import company_of, day, nights, random_company, random_customers

from features import examples, purchases
from features.accountwise import as_population
from features.outcome import Outcome, united
from features.plan import Attribute, Plan
from features.timeline import Timeline

ATTRIBUTES = (
    Attribute("source", "leads", "category", "creation"),
    Attribute("stage", "leads", "category", "history"),
    Attribute("industry", "accounts", "category", "today"),
)
COMPANIES = {
    Outcome(): random_company(17, leads=12),
    Outcome("churn"): random_customers(17, leads=12),
    Outcome("renewal", population="accounts"): random_customers(17, leads=12),
}


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[Any]:
    connection = ibis.connect(postgres_url)
    yield connection
    connection.disconnect()


@pytest.fixture
def spark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with spark_session(tmp_path, monkeypatch) as session:
        yield ibis.pyspark.connect(session)


def _told(outcome: Outcome, connection: Any = None, folder: Path | None = None) -> pd.DataFrame:
    crm = as_population(united(company_of(COMPANIES[outcome], connection, folder), day(200)), outcome)
    asked = tuple(attribute for attribute in ATTRIBUTES if outcome.population == "leads" or attribute.origin != "leads")
    plan: Plan = examples.plan_from(crm, Timeline(horizon_days=30, settle_days=3, max_age_days=90), asked, outcome=outcome)
    frame = examples.training(crm, nights(12, 40, 75), plan, day(200)).execute()
    return frame.sort_values(["lead_id", "as_of"], ignore_index=True)


def _customers(connection: Any = None, folder: Path | None = None) -> pd.DataFrame:
    """Who is a customer, what became of them, and what they had bought: what other outcomes ask beyond the first purchase."""
    crm = company_of(random_customers(17, leads=12), connection, folder)
    plan = Plan(Timeline(horizon_days=30, settle_days=3, max_age_days=90), outcome=Outcome("churn"))
    labelled = examples.labelled(crm, nights(12, 40, 75), plan, day(200))
    frame = labelled.join(purchases.table(crm, labelled, plan), ["lead_id", "as_of"]).execute()
    return frame.sort_values(["lead_id", "as_of"], ignore_index=True)


def _equal(one: pd.DataFrame, other: pd.DataFrame) -> None:
    assert list(one.columns) == list(other.columns)
    for name in one.columns:
        left, right = one[name], other[name]
        if pd.api.types.is_numeric_dtype(left) and not pd.api.types.is_bool_dtype(left):
            pd.testing.assert_series_equal(left, right.astype(left.dtype), rtol=1e-9)
        else:
            assert left.astype(object).where(left.notna(), None).tolist() == right.astype(object).where(right.notna(), None).tolist(), name


def test_postgresql_tells_what_duckdb_tells(postgres: Any) -> None:
    for outcome in COMPANIES:
        _equal(_told(outcome), _told(outcome, postgres))


@pytest.mark.filterwarnings("ignore")
def test_spark_tells_what_duckdb_tells(spark: Any, tmp_path: Path) -> None:
    _equal(_told(Outcome()), _told(Outcome(), spark, tmp_path))
    _equal(_customers(), _customers(spark, tmp_path))
