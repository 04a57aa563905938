"""A configuration is tried beside the champion and leaves everything as it was; two runs are put side by side."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from conftest import MadeUp

from features.problem import Problem
from models.gate import Check, Decision
from models.registry import Registry
from pipelines import experiment
from pipelines.company import Company
from pipelines.experiment import against_champion, backtest
from pipelines.report import Report
from pipelines.settings import read_settings

pytestmark = pytest.mark.xdist_group("company")
Typed = Callable[..., tuple[int, str, str]]


def _other(config: Path) -> Path:
    """Another configuration of the same company, beside its own."""
    other = config.with_name("other.toml")
    other.write_text(config.read_text(encoding="utf-8") + "\n[training]\ntrials = 0\nfolds = 2\nbags = 1\nevery_days = 14\n", encoding="utf-8")
    return other


def test_a_backtest_tells_every_racer_and_changes_nothing_and_can_be_compared(own_company: MadeUp, leadscore: Typed) -> None:
    registry = Registry(read_settings(own_company.config).tracking_uri)
    code, out, _ = leadscore("backtest", "--config", _other(own_company.config), "--json")
    told = json.loads(out)
    assert code == 0
    assert {row["model"] for row in told["rows"]} == {"points table", "logistic", "boosted trees", "hazard"}
    for row in told["rows"]:
        assert re.fullmatch(r"\d\.\d{3} \(\d\.\d{3} to \d\.\d{3}\)", row["log_loss"])
    assert told["the gate would promote"] is False
    assert "Beside the champion: only 0 conversions ripened since the champion learned; 20 are needed to judge." in told["notices"]
    assert [version.version for version in registry.client.search_model_versions("name='leadscore'")] == [1]
    assert registry.champion().version == "1"
    assert len(registry.trail()) == 1
    run = registry.client.get_run(told["run"])
    assert (run.data.tags["kind"], run.data.params["training.every_days"]) == ("experiment", "14")

    kept = registry.find(told["run"]).predictions
    assert list(kept.columns) == ["lead_id", "as_of", "converted", "weight", "log_odds"]
    assert kept["as_of"].drop_duplicates().sort_values().diff().min() == pd.Timedelta(days=14)

    code, out, _ = leadscore("compare", "1", told["run"][:10], "--config", own_company.config, "--json")
    side = json.loads(out)
    short = f"run {told['run'][:8]}"
    assert (code, side["one"], side["other"]) == (
        0,
        f"version 1 (train as of 2025-08-23, {own_company.reports['train'].facts['model']})",
        f"{short} (backtest as of 2025-08-23, {told['model']})",
    )
    both = registry.find("1").predictions.merge(kept, on=["lead_id", "as_of"])
    assert (side["rows judged by both"], side["leads"]) == (len(both), both["lead_id"].nunique())
    (loss,) = (row for row in side["rows"] if row["figure"] == "log-loss")
    (raced,) = (row for row in told["rows"] if row["model"] == told["model"])
    assert loss[short] == raced["log_loss"]
    assert re.fullmatch(r"-?\d\.\d{3} \(-?\d\.\d{3} to -?\d\.\d{3}\)", loss["difference on the same rows"])
    assert f"training.every_days: 7 in version 1, 14 in {short}." in side["notices"]
    assert f"training.folds: 4 in version 1, 2 in {short}." in side["notices"]

    for words, sentence in (
        (("1", "1"), "leadscore: 1 and 1 are the same run: name two different ones."),
        (("1", "no-such-run"), "leadscore: There is no run and no model version no-such-run: the newest runs are "),
    ):
        code, out, err = leadscore("compare", *words, "--config", own_company.config)
        assert (code, out) == (1, "")
        assert err.splitlines()[-1].startswith(sentence)


def test_every_outcome_is_tried_in_turn_or_the_one_that_is_named(own_company: MadeUp, leadscore: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    with own_company.config.open("a", encoding="utf-8") as file:
        file.write('\n[outcomes.again]\nkind = "next purchase"\n')

    def told(company: Company, past: bool) -> Report:
        return Report("backtest", {"past": past}, notices=(experiment.beside_another(company, "0123456789"),))

    monkeypatch.setattr(experiment, "backtest_outcome", told)
    code, out, _ = leadscore("backtest", "--config", own_company.config, "--as-of", "2025-08-01")
    assert (code, out.splitlines()) == (
        0,
        [
            "backtest: default: past yes, again: past yes",
            "- default: Nothing was registered or promoted; `leadscore compare 01234567 RUN` puts it beside another run.",
            "- again: Nothing was registered or promoted; `leadscore compare 01234567 RUN --outcome again` puts it beside another run.",
        ],
    )
    code, out, _ = leadscore("backtest", "--config", own_company.config, "--outcome", "again")
    assert (code, out.splitlines()[0]) == (0, "backtest: past no")
    with pytest.raises(Problem, match=r"There is no outcome 'renewal': leadscore\.toml has default, again\."):
        backtest(own_company.config, outcome="renewal")


def test_an_experiment_with_a_named_outcome_is_kept_where_compare_looks_for_it(own_company: MadeUp, leadscore: Typed) -> None:
    other = _other(own_company.config)
    with other.open("a", encoding="utf-8") as file:
        file.write("\n[outcomes.soon]\nhorizon_days = 30\n")
    code, out, _ = leadscore("backtest", "--config", other, "--outcome", "soon", "--json")
    run = json.loads(out)["run"]
    assert (code, run) == (0, Registry(read_settings(other).tracking_uri, "leadscore-soon").find(run).run_id)


def test_beside_the_champion_every_answer_of_the_gate_is_told() -> None:
    checks = (Check("log_loss", True, "log-loss changed by -0.1"), Check("average_precision", False, "average precision is worse by -0.2"))
    assert against_champion(Decision(False, ("average precision is worse by -0.2",), {}, checks, "90 leads on 2 nights")) == (
        "Beside the champion, on 90 leads on 2 nights:",
        "Log-loss changed by -0.1.",
        "Average precision is worse by -0.2 (not passed).",
    )
