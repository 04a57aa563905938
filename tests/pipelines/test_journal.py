"""What happened in the night is read line by line: one event each, with the run, the flow and the night it is about."""

from __future__ import annotations

import json
import os
import stat
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import MadeUp

from features.problem import Problem
from pipelines import journal
from pipelines.extract import extract
from pipelines.progress import step
from pipelines.settings import read_settings

pytestmark = pytest.mark.xdist_group("company")
NIGHT = "2025-08-23T02:00:00"


def _events(config: Path) -> list[dict[str, Any]]:
    files = sorted((read_settings(config).home_folder / "journal").glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]


def test_every_event_has_its_run_and_every_one_of_a_night_its_as_of_date(company: MadeUp) -> None:
    events = [event for event in _events(company.config) if event["flow"] == "score"]
    assert len({event["run"] for event in events}) == 1
    assert [events[0]["event"], events[-1]["event"]] == ["run begun", "run completed"]
    known = [event for event in events if event["as_of"]]
    assert {event["as_of"] for event in known} == {NIGHT}
    assert [event["what"] for event in known if event["event"] == "step done"][-3:] == [
        "Publishing the night",
        "Gathering what sales sees",
        "Writing the list",
    ]
    assert all(event["seconds"] >= 0 for event in known if event["event"] == "step done")
    assert events[-1]["open leads"] == company.reports["score"].facts["open leads"]


def test_a_journal_is_read_by_its_owner_only_and_names_nobody(company: MadeUp) -> None:
    folder = read_settings(company.config).home_folder / "journal"
    for file in folder.glob("*.jsonl"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert "@" not in file.read_text(encoding="utf-8")


def test_a_run_that_failed_says_why(own_company: MadeUp) -> None:
    (Path(read_settings(own_company.config).source_location) / "deals.parquet").unlink()
    with pytest.raises(Problem):
        extract(own_company.config)
    last = _events(own_company.config)[-1]
    assert (last["flow"], last["event"]) == ("extract", "run failed")
    assert "There is no table deals.parquet" in last["because"]


def test_a_journal_that_cannot_be_written_stops_no_night(own_company: MadeUp) -> None:
    folder = read_settings(own_company.config).home_folder / "journal"
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    folder.write_text("in the way", encoding="utf-8")
    assert extract(own_company.config).facts == own_company.reports["extract"].facts


def test_a_machine_reads_the_same_lines_on_standard_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LEADSCORE_LOG", "json")
    monkeypatch.setattr(journal, "_under_way", [journal._Run(tmp_path, {"run": "r1", "flow": "score", "as_of": None, "outcome": None})])
    journal.about(datetime(2025, 3, 3, 2), "renewal")
    with step("Counting"):
        pass
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["event"], line["run"], line["as_of"], line["outcome"], line["what"]) for line in lines] == [
        ("step begun", "r1", "2025-03-03T02:00:00", "renewal", "Counting"),
        ("step done", "r1", "2025-03-03T02:00:00", "renewal", "Counting"),
    ]
    (written,) = tmp_path.glob("*.jsonl")
    assert [json.loads(line) for line in written.read_text(encoding="utf-8").splitlines()] == lines


def test_files_of_more_than_ninety_days_ago_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    today = datetime.now(UTC).date()
    old, kept = (tmp_path / f"{today - timedelta(days=days)}.jsonl" for days in (92, 89))
    for file in (old, kept):
        file.write_text("{}\n", encoding="utf-8")
    monkeypatch.setattr(journal, "_under_way", [journal._Run(tmp_path, {"run": "r1"})])
    journal.tell("counted")
    assert (old.exists(), kept.exists()) == (False, True)


def test_outside_of_a_run_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_under_way", [])
    monkeypatch.chdir(tmp_path)
    journal.tell("counted")
    assert os.listdir(tmp_path) == []


def test_a_run_within_another_is_about_the_same_night_and_over_with_it(own_company: MadeUp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_under_way", [])

    def run(name: str, **parameters: object) -> Any:
        return SimpleNamespace(id=name, parameters={"config": str(own_company.config), **parameters})

    flow, done = SimpleNamespace(name="score"), SimpleNamespace(name="Failed", message="no", is_completed=lambda: False)
    journal.begun(flow, run("outer", as_of=date(2025, 3, 3)), None)
    journal.begun(flow, run("inner"), None)
    assert [one.said["as_of"] for one in journal._under_way] == ["2025-03-03T02:00:00"] * 2
    journal.ended(flow, run("outer"), done)
    assert journal._under_way == []
    last = _events(own_company.config)[-1]
    assert (last["run"], last["event"], last["because"]) == ("outer", "run failed", "no")
