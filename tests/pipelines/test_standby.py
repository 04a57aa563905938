"""A tracking server that does not answer costs nobody the list of the night, and a copy that somebody changed scores nobody."""

from __future__ import annotations

import os
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import learnable
import pandas as pd
import pytest
from conftest import MadeUp

from features.plan import Plan
from features.problem import Problem
from models.registry import Champion
from models.rules import rules
from pipelines.score import score
from pipelines.settings import Settings, read_settings
from pipelines.standby import champion_of, keep
from pipelines.train import train
from pipelines.warehouse import Warehouse

pytestmark = pytest.mark.xdist_group("company")
MONDAY, TUESDAY = datetime(2025, 3, 3, 2), datetime(2025, 3, 4, 2)
NOWHERE = "http://scorer:s3cret@127.0.0.1:1"


def _champion(version: str) -> Champion:
    scorer, _ = rules(learnable.examples(leads=60, weeks=4), learnable.FEATURES, Plan(), MONDAY, 3, needed=100)
    return Champion(version, "run", scorer, {"lift_at_10": 3.5})


@pytest.fixture
def silent(tmp_path: Path) -> Settings:
    """A company whose tracking server does not answer."""
    config = tmp_path / "leadscore.toml"
    tables = '[source.tables.leads]\ntable = "leads.csv"\n[source.tables.deals]\ntable = "deals.csv"\n'
    config.write_text(f'tracking = "{NOWHERE}"\n{tables}', encoding="utf-8")
    return read_settings(config)


def _folder(settings: Settings) -> Path:
    return settings.home_folder / "standby" / "leadscore"


def test_the_copy_says_what_the_champion_said_and_that_it_is_a_copy(silent: Settings) -> None:
    kept = _champion("3")
    keep(_folder(silent), kept, MONDAY)
    keep(_folder(silent), kept, TUESDAY)
    found = champion_of(silent, TUESDAY)
    frame = learnable.examples(leads=20, weeks=1)
    assert (found.version, found.run_id, found.metrics) == ("3", "run", {"lift_at_10": 3.5})
    assert found.scorer.log_odds(frame).tolist() == kept.scorer.log_odds(frame).tolist()
    assert found.minded == (
        "The tracking server does not answer: this night was scored by the copy of version 3 kept on this machine since 2025-03-03, whose files are "
        "as they were. A newer champion, if there is one, is not known here."
    )


def test_a_late_night_asks_for_the_champion_of_then_and_the_one_in_use_is_kept(silent: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    then = {MONDAY: _champion("3")}
    registry = SimpleNamespace(champion=lambda: _champion("4"), champion_then_or_none=then.get)
    monkeypatch.setattr("pipelines.standby.registry_of", lambda settings: registry)
    nights = (None, MONDAY, MONDAY - timedelta(days=1))
    assert [champion_of(silent, TUESDAY, night).version for night in nights] == ["4", "3", "4"]
    assert sorted(path.name.split(".")[0] for path in _folder(silent).iterdir()) == ["4", "newest"]


def test_of_two_champions_the_newer_is_kept_alone_and_nobody_else_can_read_it(silent: Settings) -> None:
    keep(_folder(silent), _champion("3"), MONDAY)
    (_folder(silent) / "half").mkdir()
    keep(_folder(silent), _champion("4"), TUESDAY)
    assert champion_of(silent, TUESDAY).version == "4"
    assert sorted(path.name.split(".")[0] for path in _folder(silent).iterdir()) == ["4", "newest"]
    assert {path.stat().st_mode & 0o077 for path in silent.home_folder.rglob("*")} == {0}


def test_a_run_that_is_killed_amid_keeping_leaves_the_old_copy_and_the_next_one_keeps_the_new(
    silent: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(_folder(silent), _champion("3"), MONDAY)
    whole = os.replace

    def killed(source: Path, target: Path) -> None:
        if target.name == "newest.json":
            raise KeyboardInterrupt
        whole(source, target)

    with monkeypatch.context() as amid:
        amid.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            keep(_folder(silent), _champion("4"), TUESDAY)
    assert champion_of(silent, TUESDAY).version == "3"
    keep(_folder(silent), _champion("4"), TUESDAY)
    assert champion_of(silent, TUESDAY).version == "4"


def test_a_copy_that_was_changed_scores_nobody(silent: Settings) -> None:
    keep(_folder(silent), _champion("3"), MONDAY)
    stored = next(_folder(silent).glob("3.*/scorer.json"))
    stored.write_text(stored.read_text(encoding="utf-8").replace('"base_rate": 0', '"base_rate": 1'), encoding="utf-8")
    with pytest.raises(Problem, match=r"cannot be reached.* is not what was kept: somebody changed it, so it scores nobody\.") as raised:
        champion_of(silent, TUESDAY)
    assert "s3cret" not in str(raised.value)


def test_without_a_copy_the_silence_is_said(silent: Settings) -> None:
    with pytest.raises(
        Problem, match=r"The tracking server http://127\.0\.0\.1:1 cannot be reached.* There is no copy of a champion on this machine"
    ):
        champion_of(silent, TUESDAY)


def test_a_copy_that_lost_its_note_is_said_to_be_unreadable(silent: Settings) -> None:
    keep(_folder(silent), _champion("3"), MONDAY)
    (_folder(silent) / "newest.json").write_text("{", encoding="utf-8")
    with pytest.raises(Problem, match=r"The copy of the champion in .* cannot be read \(JSONDecodeError\)"):
        champion_of(silent, TUESDAY)


def test_a_night_without_a_tracking_server_is_the_same_night_and_says_so_and_nothing_is_learned(
    own_company: MadeUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = read_settings(own_company.config)
    assert (settings.home_folder / "standby" / "leadscore" / "newest.json").is_file()
    with Warehouse.of(settings) as warehouse:
        before = warehouse.raw.execute("SELECT * FROM ledger ORDER BY rank").df()
    shutil.move(settings.home_folder / "mlflow.db", settings.home_folder / "away.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", NOWHERE)
    scored = score(own_company.config)
    assert scored.refused
    assert any("the copy of version 1 kept on this machine" in sentence for sentence in scored.notices)
    assert "the copy of version 1" in Path(scored.facts["page"]).read_text(encoding="utf-8")
    with Warehouse.of(settings) as warehouse:
        pd.testing.assert_frame_equal(warehouse.raw.execute("SELECT * FROM ledger ORDER BY rank").df(), before)
    with pytest.raises(Problem, match="cannot be reached: start it"):
        train(own_company.config)
