"""A company with few customers has a list all the same, and everything says that it was not learned."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable

import pytest
from conftest import MadeUp

from models.registry import Registry
from pipelines.settings import read_settings
from pipelines.train import train
from pipelines.warehouse import Warehouse

pytestmark = pytest.mark.xdist_group("company")
Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def beginner(own_company: MadeUp) -> MadeUp:
    """The small company when it had won few deals and trained nothing."""
    with Warehouse.open(read_settings(own_company.config).warehouse_url) as warehouse:
        warehouse.raw.execute("DELETE FROM deals WHERE outcome = 'won' AND lead_id > 'L00000300'")
    return own_company


def test_a_beginner_gets_a_list_by_rules_and_every_output_says_so(beginner: MadeUp, leadscore: Typed) -> None:
    home = read_settings(beginner.config).home_folder
    (home / "mlflow.db").unlink()
    shutil.rmtree(home / "mlartifacts")
    code, out, _ = leadscore("train", "--config", beginner.config)
    words = re.search(r"rules, not learned yet: (\d+) of 100 conversions", out)
    assert code == 0
    assert words
    assert 5 < int(words[1]) < 100
    code, out, _ = leadscore("score", "--config", beginner.config)
    assert code == 0
    assert f"These scores are {words[0]}." in out
    folder = max((home / "lists").iterdir())
    assert words[0] in (folder / "index.html").read_text(encoding="utf-8")
    assert words[0] in (folder / "leads.csv").read_text(encoding="utf-8-sig").splitlines()[1]
    assert f"version 1, {words[0]}" in " ".join(leadscore("status", "--config", beginner.config)[1].split())
    scorer = Registry(read_settings(beginner.config).tracking_uri).champion().scorer
    with Warehouse.open(read_settings(beginner.config).warehouse_url) as warehouse:
        ledger = warehouse.ledger().execute()
    assert ledger["probability"].between(0, 0.6).all()
    assert ledger["probability"].nunique() > 5
    assert scorer.caveat == words[0]
    # Once more: rules follow rules.
    assert train(beginner.config).facts["champion"] is True


def test_rules_never_take_the_place_of_what_was_learned(beginner: MadeUp) -> None:
    report = train(beginner.config)
    assert report.refused
    assert report.facts["champion"] is False
    assert re.search(
        r"Gate: the learned champion, version 1, stays: these are rules, not learned yet: \d+ of 100 conversions\.", " ".join(report.notices)
    )
    assert Registry(read_settings(beginner.config).tracking_uri).champion().version == "1"


def test_a_beginners_backtest_tells_what_the_rules_are_worth_beside_the_base_rate_and_changes_nothing(beginner: MadeUp, leadscore: Typed) -> None:
    registry = Registry(read_settings(beginner.config).tracking_uri)
    code, out, _ = leadscore("backtest", "--config", beginner.config, "--json")
    told = json.loads(out)
    assert code == 0
    assert re.fullmatch(r"rules, not learned yet: \d+ of 100 conversions", told["model"])
    assert 0 < told["base rate"] < 0.2
    assert told["train would make them champion"] is False
    ruled, average = told["rows"]
    assert (ruled["model"], average["model"]) == ("rules", "base rate")
    figure = r"\d\.\d{3} \(\d\.\d{3} to \d\.\d{3}\)"
    for row, names in ((ruled, ("roc_auc", "log_loss", "average_precision")), (average, ("log_loss", "average_precision"))):
        assert all(re.fullmatch(figure, row[name]) for name in names)
    assert average["roc_auc"] == ""
    assert re.match(r"On later nights the rules knew (more|no more) than the base rate alone", told["notices"][0])
    assert "Beside the champion: only 0 conversions ripened since the champion learned; 20 are needed to judge." in told["notices"]
    assert [version.version for version in registry.client.search_model_versions("name='leadscore'")] == [1]
    assert len(registry.trail()) == 1
    assert registry.client.get_run(told["run"]).data.tags["kind"] == "experiment"
    assert list(registry.find(told["run"]).predictions.columns) == ["lead_id", "as_of", "converted", "weight", "log_odds"]


def test_where_not_one_block_of_nights_can_be_judged_the_table_is_shown_and_why(beginner: MadeUp, leadscore: Typed) -> None:
    with beginner.config.open("a", encoding="utf-8") as file:
        file.write("\n[training]\nevery_days = 90\nfolds = 9\n")
    code, out, _ = leadscore("backtest", "--config", beginner.config, "--json")
    told = json.loads(out)
    assert code == 0
    assert set(told["rows"][0]) == {"field", "value", "points"}
    assert re.match(
        r"Too little is known to test the rules on even one block of later nights \(.*\), so that only their table is shown\.$", told["notices"][0]
    )
    assert "run" not in told
