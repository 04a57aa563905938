"""The night that a run was meant for, however late it starts; only the newest is mailed."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import MadeUp, older_champion

from features.problem import Problem
from features.timeline import Timeline
from pipelines.nightly import doubt, nightly
from pipelines.post import Posted
from pipelines.score import score
from pipelines.settings import read_settings
from pipelines.warehouse import Warehouse

pytestmark = pytest.mark.xdist_group("company")
MAIL = '\n[delivery.mail]\nserver = "127.0.0.1"\nsender = "leads@northwind.example"\n'


def _begin(monkeypatch: pytest.MonkeyPatch, scheduled: datetime, run_count: int = 1) -> None:
    """Let Prefect say of the run that follows when it was to start, and how often it was begun."""
    said = SimpleNamespace(scheduled_start_time=scheduled.replace(tzinfo=UTC), run_count=run_count)
    monkeypatch.setattr("pipelines.nightly.flow_run", said)


def _ledger(config: Path) -> list[tuple[Any, ...]]:
    with Warehouse.of(read_settings(config)) as warehouse:
        return warehouse.raw.execute("SELECT as_of, min(model_version), max(model_version) FROM ledger GROUP BY as_of ORDER BY as_of").fetchall()


def test_runs_that_piled_up_are_each_its_night_by_the_champion_of_then_and_only_the_newest_is_mailed(
    own_company: MadeUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, mailed = own_company.config, list[date]()
    older_champion(config)
    config.write_text(config.read_text(encoding="utf-8") + MAIL, encoding="utf-8")
    monkeypatch.setattr("pipelines.score.post", lambda rules, warehouse, night, *rest: mailed.append(night.day) or Posted())
    # The last first: whatever the order, the newest list is that of the newest night.
    for scheduled, night in ((datetime(2025, 8, 23, 2), "2025-08-23"), (datetime(2025, 8, 20, 2), "2025-08-20")):
        _begin(monkeypatch, scheduled)
        report = nightly(config)
        assert report.facts["night"] == night
    assert mailed == [date(2025, 8, 23)]
    assert _ledger(config) == [(datetime(2025, 8, 20, 2), "2", "2"), (datetime(2025, 8, 23, 2), "2", "2")]
    lists = read_settings(config).lists_folder
    assert sorted(path.name for path in lists.iterdir() if path.name != ".published") == ["2025-08-20", "2025-08-23"]


def test_a_night_after_the_last_thing_that_the_source_knows_of_is_the_newest_it_can_serve(
    own_company: MadeUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    _begin(monkeypatch, datetime(2025, 8, 30, 2))
    assert nightly(own_company.config).facts["night"] == "2025-08-23"
    with pytest.raises(Problem, match="2025-08-30 is still to come"):
        nightly(own_company.config, None, date(2025, 8, 30))


def _lists(config: Path) -> dict[str, bytes]:
    lists = read_settings(config).lists_folder
    return {str(file.relative_to(lists)): file.read_bytes() for file in sorted(lists.rglob("*")) if file.is_file()}


def test_a_clock_that_is_behind_puts_no_other_list_in_the_place_of_one_that_sales_had(own_company: MadeUp, monkeypatch: pytest.MonkeyPatch) -> None:
    config = own_company.config
    older_champion(config)
    _begin(monkeypatch, datetime(2025, 8, 22, 2))
    nightly(config)
    # Published in the order of their days, the second from what was known later.
    score(config, date(2025, 8, 23))
    with Warehouse.of(read_settings(config)) as warehouse:
        warehouse.raw.execute("UPDATE lineage SET extracted_at = '2025-08-24' WHERE as_of = '2025-08-23 02:00'")
    config.write_text(config.read_text(encoding="utf-8").replace("[list]\n", "[list]\nexplore = 0.2\n"), encoding="utf-8")
    before, lists = _ledger(config), _lists(config)
    report = nightly(config)
    assert (report.facts["night"], report.refused) == ("2025-08-22", True)
    sentence = "The night of 2025-08-22 was published before, and sales has worked from it since: it stands."
    assert any(notice.startswith(sentence) for notice in report.notices)
    assert (_ledger(config), _lists(config)) == (before, lists)
    # Whoever names it wants it.
    assert score(config, date(2025, 8, 22)).facts["night"] == "2025-08-22"
    assert _lists(config) != lists


def test_a_night_of_which_sales_has_had_the_list_for_half_a_day_is_not_made_again(own_company: MadeUp, monkeypatch: pytest.MonkeyPatch) -> None:
    config = own_company.config
    older_champion(config)
    _begin(monkeypatch, datetime(2025, 8, 22, 2))
    # The extract ends on the 23rd at midnight, 22 hours after the night; the first time it is scored all the same.
    assert nightly(config).facts["listed"] > 0
    config.write_text(config.read_text(encoding="utf-8").replace("[list]\n", "[list]\nexplore = 0.2\n"), encoding="utf-8")
    lists = _lists(config)
    assert any("sales has worked from it since: it stands" in notice for notice in nightly(config).notices)
    assert _lists(config) == lists


def test_a_night_that_was_killed_three_times_is_not_begun_for_ever(untouched: Path, monkeypatch: pytest.MonkeyPatch, prefect_server: str) -> None:
    _begin(monkeypatch, datetime(2025, 8, 23, 2), run_count=4)
    with pytest.raises(Problem, match=r"^This run was begun 3 times and died each time: see why \(memory, disk\), and run `leadscore nightly`\.$"):
        nightly(untouched)


@pytest.mark.parametrize(("by_schedule", "said"), [(True, ["The schedule starts the night of 2025-08-23 at 14:00 (UTC)"]), (False, [])])
def test_a_schedule_of_another_hour_is_said_in_report_and_log_and_whoever_starts_a_run_by_hand_may_do_so_when_they_like(
    monkeypatch: pytest.MonkeyPatch, by_schedule: bool, said: list[str]
) -> None:
    logged = list[str]()
    context = SimpleNamespace(flow_run=SimpleNamespace(auto_scheduled=by_schedule))
    monkeypatch.setattr("pipelines.nightly.FlowRunContext", SimpleNamespace(get=lambda: context))
    monkeypatch.setattr("pipelines.nightly.get_run_logger", lambda: SimpleNamespace(warning=logged.append))
    reported = doubt(Timeline(), datetime(2025, 8, 23, 14))
    assert list(reported) == logged
    assert [sentence.split(",")[0] for sentence in reported] == said
