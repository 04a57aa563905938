"""One line a contestant, with all that is to be reported of it; a company that is not there is said to be missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cases import case

from benchmarks import companies, quality, results
from benchmarks.contest import hold
from benchmarks.contestants import contestants


def test_a_row_says_everything_and_its_short_form_keeps_intervals_together() -> None:
    baselines = [one for one in contestants() if one.name in ("points table", "logistic")]
    contest = hold(case(leads=120), "static", baselines)
    first, second = (quality.row(contest, entry) for entry in contest.entries)
    assert {"data": "made here", "seed": 7, "mode": "static", "model": "points table", "fits": 1, "limit_s": None}.items() <= first.items()
    for figure in ("average_precision", "roc_auc", "log_loss", "average_precision_behind", "log_loss_behind"):
        assert first[f"{figure}_low"] <= first[figure] <= first[f"{figure}_high"]
    assert min(first["log_loss_behind"], second["log_loss_behind"]) == 0
    assert first["score_rows_per_s"] > 0
    brief = quality.brief(first)
    assert brief["roc_auc"] == f"{first['roc_auc']:.3f} ({first['roc_auc_low']:.3f} to {first['roc_auc_high']:.3f})"
    assert brief["limit_s"] == brief["knowable_information"] == ""
    assert "roc_auc_low" not in brief


def test_a_company_whose_files_are_not_there_is_missing_not_fatal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "olist").mkdir()
    text = (Path(companies.__file__).parents[1] / "examples" / "olist" / "leadscore.toml").read_text(encoding="utf-8")
    (tmp_path / "olist" / "leadscore.toml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(companies, "_EXAMPLES", tmp_path)
    monkeypatch.setattr(quality, "DATA", ("olist",))
    missing: list[str] = []
    assert list(quality.cases(missing)) == []
    assert missing == ["olist: its data are not there, so it was left out."]


def test_the_benchmark_runs_in_both_modes_and_keeps_its_rows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "benchmarks").mkdir()
    monkeypatch.setattr(results, "FOLDER", tmp_path / "benchmarks" / "results")
    monkeypatch.setattr(quality, "DATA", ("olist",))
    monkeypatch.setattr(quality, "real", lambda name: case(leads=120))
    monkeypatch.setattr(quality, "contestants", lambda budget: contestants(budget)[:2])
    quality.main()
    rows = json.loads((tmp_path / "benchmarks" / "results" / "quality.json").read_text(encoding="utf-8"))
    assert [(row["mode"], row["model"], row["fits"]) for row in rows] == [
        ("static", "points table", 1),
        ("static", "logistic", 1),
        ("prequential", "points table", 12),
        ("prequential", "logistic", 12),
    ]
    out, err = capsys.readouterr()
    assert "quality: rows 4" in out
    assert "- made here, seed 7, static: on average precision ours did not take part" in out
    assert "made here, seed 7, prequential: logistic, fit 12 of 12 ..." in err


def test_the_rows_are_kept_in_full_and_shown_in_short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(results, "FOLDER", tmp_path / "benchmarks" / "results")
    (tmp_path / "benchmarks").mkdir()
    results.tell("quality", [{"model": "ours", "log_loss": 0.1234}], ("Be careful.",), [{"model": "ours"}])
    assert json.loads((tmp_path / "benchmarks" / "results" / "quality.json").read_text(encoding="utf-8")) == [{"model": "ours", "log_loss": 0.1234}]
    assert capsys.readouterr().out == "quality: rows 1, file benchmarks/results/quality.json\n  model\n  ours\n- Be careful.\n"
