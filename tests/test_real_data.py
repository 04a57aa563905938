"""Three real companies, as their owners published them: mapped by configuration alone, extracted, learned from and scored.

Their files are not part of this repository. The tests look for them in `../shared/data` beside it and say so when they are not there.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

from pipelines.extract import extract
from pipelines.report import Report
from pipelines.score import score
from pipelines.settings import read_settings
from pipelines.train import train

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
pytestmark = [
    pytest.mark.xdist_group("real"),
    pytest.mark.skipif(not DATA.exists(), reason="the public data sets are not in ../shared/data"),
]


@dataclass(frozen=True)
class Expected:
    """What a data set holds, and which of its fields know the outcome."""

    rows: dict[str, tuple[int, int, int]]
    traps: tuple[str, ...]
    honest: tuple[str, ...]


@dataclass(frozen=True)
class Run:
    """What the first night of a company said."""

    extracted: Report
    trained: Report
    scored: Report


# Rows in, quarantined, superseded.
SETS = {
    "olist": Expected(
        {"leads": (8000, 0, 0), "deals": (842, 1, 0)},
        (
            *("seller_id", "sdr_id", "sr_id", "business_segment", "lead_type", "lead_behaviour_profile", "has_company", "has_gtin"),
            *("average_stock", "business_type", "declared_product_catalog_size", "declared_monthly_revenue"),
        ),
        ("origin", "landing_page_id"),
    ),
    "x-education": Expected(
        {"leads": (9240, 0, 0), "deals": (3561, 0, 0)},
        ("Tags", "Lead Quality", "Last Notable Activity", "Last Activity", "Lead Profile"),
        ("Total Time Spent on Website", "Lead Origin"),
    ),
    "maven-crm": Expected(
        {"accounts": (85, 0, 0), "owners": (35, 0, 0), "leads": (8800, 500, 0), "deals": (8800, 500, 0)},
        # An account is named for every closed deal and for a third of the open ones: to have one is to be over.
        ("sector", "year_established", "revenue", "employees", "office_location"),
        ("product",),
    ),
}


@pytest.fixture(scope="module")
def run_of(prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Run]:
    """A real company after its first night; run once, whoever asks."""

    @cache
    def run(name: str) -> Run:
        config = _configured(name, tmp_path_factory.mktemp(name))
        return Run(extract(config), train(config), score(config))

    return run


@pytest.mark.parametrize("name", SETS)
def test_a_real_company_runs_end_to_end(name: str, run_of: Callable[[str], Run]) -> None:
    expected, ran = SETS[name], run_of(name)
    assert {row["table"]: (row["rows_in"], row["quarantined"], row["superseded"]) for row in ran.extracted.rows} == expected.rows
    trained, scored = ran.trained, ran.scored
    said = " ".join(trained.notices)
    for trap in expected.traps:
        assert f"'{trap}'" in said
        assert not re.search(rf"'{trap}' \(\w+\) is used", said)
    for field in expected.honest:
        assert f"'{field}'" not in said
    assert trained.facts["champion"]
    assert [row["model"] for row in trained.rows] == ["points table", "logistic", "boosted trees", "hazard"]
    assert scored.facts["open leads"] > 0
    assert Path(scored.facts["page"]).is_file()
    listed = pd.read_csv(Path(scored.facts["page"]).with_name("leads.csv"))
    assert len(listed) == scored.facts["open leads"]


def _configured(name: str, place: Path) -> Path:
    """The example's own configuration, its tables found where they are and everything made of them kept apart."""
    original = ROOT / "examples" / name / "leadscore.toml"
    location = read_settings(original).source_location
    text = original.read_text(encoding="utf-8").replace(f'location = "../../../shared/data/{name}"', f'location = "{location}"')
    assert location in text
    # One bag and a short search: what the scores are worth is measured by a benchmark.
    training = "[training]\nbags = 1\ntrials = 2\n"
    text = text.replace("[training]\n", training) if "[training]\n" in text else f"{text}\n{training}"
    (place / "leadscore.toml").write_text(text, encoding="utf-8")
    return place / "leadscore.toml"


@pytest.mark.parametrize("name", SETS)
def test_init_guesses_a_configuration_that_runs(name: str, tmp_path: Path, prefect_server: str) -> None:
    from pipelines.crm.check import check
    from pipelines.crm.guess import guess

    tables = tmp_path / "tables"
    shutil.copytree(DATA / name, tables)
    config = tmp_path / "leadscore.toml"
    # Few nights and folds, and no search: what is tried here is the guess.
    config.write_text(guess(tables) + "\n[training]\nevery_days = 21\nfolds = 2\nbags = 1\ntrials = 0\n", encoding="utf-8")
    assert check(read_settings(config), datetime(2026, 1, 1)) == []
    extracted = extract(config)
    assert sum(row["clean"] for row in extracted.rows if row["table"] == "leads") == SETS[name].rows["leads"][0] - SETS[name].rows["leads"][1]
    assert train(config).facts["champion"]
    assert score(config).facts["open leads"] > 0


def test_a_source_without_dates_says_so_in_every_report(run_of: Callable[[str], Run]) -> None:
    ran = run_of("x-education")
    sentence = "leads.created_at is no date of the source: its rows are spread evenly from 2016-01-01 to 2016-12-31 in the order of 'Lead Number'."
    for report in (ran.extracted, ran.trained, ran.scored):
        assert sentence in report.notices
    assert "spread evenly from 2016-01-01 to 2016-12-31" in Path(ran.scored.facts["page"]).read_text(encoding="utf-8")
