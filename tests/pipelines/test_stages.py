"""A night that is run again takes up where it stopped: what is finished stands, unless what it was made from has changed."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from conftest import MadeUp
from scored import scored

from models.registry import Registry
from models.run import Training
from pipelines.company import open_company
from pipelines.decisions import remember
from pipelines.nightly import nightly
from pipelines.registry import registry_of
from pipelines.report import Report
from pipelines.settings import read_settings
from pipelines.stages import is_published, is_settled, mixed, night_inputs, once, source_inputs
from pipelines.train import train
from pipelines.warehouse import Warehouse

pytestmark = pytest.mark.xdist_group("company")
STANDS = "The stage {} was finished before from the same inputs, and stands."


@pytest.fixture(scope="module")
def finished(company: MadeUp, tmp_path_factory: pytest.TempPathFactory) -> MadeUp:
    """The small company after a whole night. Read only."""
    folder = shutil.copytree(company.folder, tmp_path_factory.mktemp("night") / "own", symlinks=True)
    return MadeUp(folder, {**company.reports, "nightly": nightly(folder / "leadscore.toml")})


@pytest.fixture
def own(finished: MadeUp, tmp_path: Path) -> MadeUp:
    """A copy that a test may change."""
    return MadeUp(shutil.copytree(finished.folder, tmp_path / "own", symlinks=True), finished.reports)


def _done_again(company: MadeUp) -> list[str]:
    """Run the night once more: which of its stages were done again."""
    said = nightly(company.config).notices
    return [stage for stage in ("extract", "score", "review") if STANDS.format(stage) not in said]


def _events(company: MadeUp) -> Iterator[str]:
    for file in sorted((read_settings(company.config).home_folder / "journal").glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            yield str(json.loads(line).get("what"))


def test_a_finished_night_is_not_done_again_and_says_the_same(own: MadeUp) -> None:
    before = len(list(_events(own)))
    again = nightly(own.config)
    assert again.facts == own.reports["nightly"].facts
    assert [again.notices.count(STANDS.format(stage)) for stage in ("extract", "score", "review")] == [1, 1, 1]
    assert list(_events(own))[before:].count("Publishing the night") == 0


def test_a_night_that_was_killed_while_scoring_does_not_extract_again(own: MadeUp, monkeypatch: pytest.MonkeyPatch) -> None:
    with Warehouse.of(read_settings(own.config)) as warehouse:
        warehouse.raw.execute("DELETE FROM ledger")
    with monkeypatch.context() as patch:
        patch.setattr("pipelines.score.rank", _killed)
        with pytest.raises(KeyboardInterrupt):
            nightly(own.config)
    before = len(list(_events(own)))
    assert _done_again(own) == ["score"]
    assert "Extracting the company's tables" not in list(_events(own))[before:]


def test_a_training_that_was_finished_stands_until_its_inputs_are_others(own: MadeUp, monkeypatch: pytest.MonkeyPatch) -> None:
    champion = registry_of(read_settings(own.config)).champion().version
    again = train(own.config, resume=True)
    assert again.facts == own.reports["train"].facts
    assert STANDS.format("train") in again.notices
    assert registry_of(read_settings(own.config)).champion().version == champion
    monkeypatch.setattr("pipelines.train.build_examples", _killed)
    with pytest.raises(KeyboardInterrupt):
        train(own.config)
    registry = registry_of(read_settings(own.config))
    registry.promote(registry.log(_training(registry)), "by hand", datetime(2025, 8, 24))
    with pytest.raises(KeyboardInterrupt):
        train(own.config, resume=True)


def _training(registry: Registry) -> Training:
    """The champion's own model once more, as another version."""
    scorer = registry.champion().scorer
    return Training("again", {}, {}, {}, scorer, pd.DataFrame([scorer.usual])[[feature.name for feature in scorer.features]])


def _killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_another_row_in_the_source_is_extracted(own: MadeUp) -> None:
    settings, noon = read_settings(own.config), datetime(2025, 8, 23, 12)
    before, deals = source_inputs(settings, noon), Path(settings.source_location) / "deals.parquet"
    assert before == source_inputs(settings, noon + timedelta(hours=11)) != source_inputs(settings, noon + timedelta(hours=12))
    pd.read_parquet(deals).iloc[:-1].to_parquet(deals, index=False)
    assert source_inputs(settings, noon) not in ("", before)


def test_a_row_that_was_refused_as_lying_in_the_future_is_looked_at_again(own: MadeUp) -> None:
    settings = read_settings(own.config)
    with Warehouse.of(settings) as warehouse:
        assert is_settled(warehouse)
        warehouse.raw.execute(
            "INSERT INTO quarantine VALUES (?, 'deals', 7, 'created_at', '2031-01-01', 'lies in the future')", [warehouse.extracted_at()]
        )
        assert not is_settled(warehouse)


def test_of_a_source_that_only_reading_tells_nobody_knows_the_inputs(own: MadeUp) -> None:
    text = own.config.read_text(encoding="utf-8")
    own.config.write_text(re.sub("(?m)^location = .*", 'location = "hubspot://"', text), encoding="utf-8")
    assert source_inputs(read_settings(own.config), datetime(2025, 8, 23, 12)) == ""


def test_another_decision_another_past_night_or_another_table_is_scored(own: MadeUp) -> None:
    settings = read_settings(own.config)
    champion = registry_of(settings).champion()
    with open_company(settings) as company:
        warehouse, night = company.warehouse, company.night(None)
        said = [night_inputs(company, champion, night, None)]
        lead = warehouse.read_night(night)["lead_id"].iloc[0]
        remember(warehouse, lead, 0, settings.timeline.day(night), "moved abroad", "ann", night - timedelta(hours=2))
        said.append(night_inputs(company, champion, night, None))
        warehouse.publish_night(night - timedelta(days=1), scored(["L1"], night - timedelta(days=1)))
        said.append(night_inputs(company, champion, night, None))
        warehouse.raw.execute("DELETE FROM owners WHERE owner_id = (SELECT min(owner_id) FROM owners)")
        warehouse.seal_tables()
        said.append(night_inputs(company, champion, night, None))
        # A night after it makes no other.
        warehouse.publish_night(night + timedelta(days=1), scored(["L1"], night + timedelta(days=1)))
        said.append(night_inputs(company, champion, night, None))
    assert len(set(said)) == 4
    assert said[3] == said[4]


def test_a_night_stands_only_as_it_was_published(own: MadeUp) -> None:
    settings = read_settings(own.config)
    with open_company(settings) as company:
        night = company.night(None)
        assert is_published(company, night)
        page = next((settings.lists_folder / "2025-08-23").glob("*.csv"))
        kept = page.read_bytes()
        page.write_text("spoilt", encoding="utf-8")
        assert not is_published(company, night)
        page.write_bytes(kept)
        assert is_published(company, night)
        company.warehouse.raw.execute("UPDATE ledger SET probability = 1 WHERE rank = 9")
        assert not is_published(company, night)


def test_a_stage_without_known_inputs_is_always_done() -> None:
    with Warehouse.open(":memory:") as warehouse:
        done: list[int] = []

        def work() -> Report:
            done.append(1)
            return Report("extract", {"rows in": len(done)})

        for _ in range(2):
            once(lambda: nullcontext(warehouse), "extract", "", work, stands=lambda _: True)
        assert len(done) == 2
        for _ in range(2):
            said = once(lambda: nullcontext(warehouse), "extract", mixed("a"), work, stands=lambda _: True)
        assert (len(done), said.facts) == (3, {"rows in": 3})
        once(lambda: nullcontext(warehouse), "extract", mixed("b"), work, stands=lambda _: True)
        once(lambda: nullcontext(warehouse), "extract", mixed("b"), work, stands=lambda _: False)
        assert len(done) == 5
