"""A dry run of an extract tells what it would find of any source, and leaves nothing behind."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from features.problem import Problem
from pipelines.rehearsal import rehearse_extract
from pipelines.report import Report
from pipelines.settings import read_settings

NOW = datetime(2025, 6, 1)
TOML = '[source.tables.leads]\ntable = "leads.csv"\n[source.tables.deals]\ntable = "deals.csv"\n'


def _rehearsed(folder: Path, leads: str) -> Report:
    (folder / "leadscore.toml").write_text(TOML, encoding="utf-8")
    (folder / "leads.csv").write_text(leads, encoding="utf-8")
    (folder / "deals.csv").write_text("deal_id,lead_id,created_at,outcome\nD1,L1,2025-01-05,open\n", encoding="utf-8")
    said = rehearse_extract(read_settings(folder / "leadscore.toml"), NOW)
    assert sorted(file.name for file in folder.iterdir()) == ["deals.csv", "leads.csv", "leadscore.toml"]
    return said


def test_a_source_that_fits_is_told(tmp_path: Path) -> None:
    said = _rehearsed(tmp_path, "lead_id,created_at,colour\nL1,2025-01-01,red\n")
    assert said.text() == "\n".join(
        [
            "extract --dry-run: tables 2, written nothing",
            "  table  source     columns  rows",
            "  leads  leads.csv        3  not told",
            "  deals  deals.csv        4  not told",
            "- leads: leads.csv has the columns lead_id, created_at, colour.",
            "- deals: deals.csv has the columns deal_id, lead_id, created_at, outcome.",
        ]
    )
    assert not said.refused


def test_what_would_be_refused_is_told(tmp_path: Path) -> None:
    said = _rehearsed(tmp_path, "lead_id,created_at\nL1,soon\n")
    assert said.notices[0].startswith("Of the first rows of leads: 1 row was refused because created_at is not a date")
    assert said.refused


def test_a_column_that_is_missing_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="has no column 'created_at'"):
        _rehearsed(tmp_path, "lead_id\nL1\n")
