"""Three real companies, as their owners published them: mapped by configuration alone, extracted, learned from and scored.

Their files are not part of this repository. The tests look for them in `../shared/data` beside it and say so when they are not there.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest

from pipelines.extract import extract
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


@pytest.mark.parametrize("name", SETS)
def test_a_real_company_runs_end_to_end(name: str, tmp_path: Path, prefect_server: str) -> None:
    expected = SETS[name]
    config = _configured(name, tmp_path)
    extracted = extract(config)
    assert {row["table"]: (row["rows_in"], row["quarantined"], row["superseded"]) for row in extracted.rows} == expected.rows
    trained = train(config)
    said = " ".join(trained.notices)
    for trap in expected.traps:
        assert f"'{trap}'" in said
        assert not re.search(rf"'{trap}' \(\w+\) is used", said)
    for field in expected.honest:
        assert f"'{field}'" not in said
    assert trained.facts["champion"]
    assert [row["model"] for row in trained.rows] == ["points table", "logistic", "boosted trees", "hazard"]
    scored = score(config)
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


def test_a_source_without_dates_says_so_in_every_report(tmp_path: Path, prefect_server: str) -> None:
    config = _configured("x-education", tmp_path)
    sentence = "leads.created_at is no date of the source: its rows are spread evenly from 2016-01-01 to 2016-12-31 in the order of 'Lead Number'."
    for report in (extract(config), train(config), score(config)):
        assert sentence in report.notices
    page = (read_settings(config).home_folder / "lists").glob("*/index.html")
    assert "spread evenly from 2016-01-01 to 2016-12-31" in next(page).read_text(encoding="utf-8")
