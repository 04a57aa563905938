"""Keeping customers, end to end: the same pipeline learns who is likely to leave, and its words follow."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.problem import Problem
from models.registry import Registry
from pipelines.company import open_company
from pipelines.crm.simulator import LEAVING, simulate
from pipelines.extract import extract
from pipelines.review import review
from pipelines.score import score
from pipelines.settings import read_settings
from pipelines.standing import standing
from pipelines.train import train

ROOT = Path(__file__).parents[1]
TONIGHT = datetime(2025, 12, 31, 2)
pytestmark = pytest.mark.xdist_group("retention")
Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def kept(prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """`examples/retention/` as it stands, on a smaller company and with fewer nights: its configuration, and what its flows said."""
    root = tmp_path_factory.mktemp("retention")
    simulate(root / ".leadscore" / "retention", leads=3_000, retention=True)
    config = Path(shutil.copytree(ROOT / "examples" / "retention", root / "examples" / "retention")) / "leadscore.toml"
    with config.open("a", encoding="utf-8") as file:
        file.write("\n[training]\ntrials = 0\nfolds = 2\nbags = 1\nevery_days = 28\n")
    reports = {"extract": extract(config), "train": train(config, outcome="default"), "score": score(config, outcome="default")}
    return config, reports


def test_everybody_who_can_leave_is_ranked_and_a_fair_share_of_the_truth_is_known(kept: tuple[Path, dict[str, Any]]) -> None:
    config, reports = kept
    with open_company(read_settings(config)) as company:
        night = company.warehouse.read_night(TONIGHT)
    truth = pd.read_parquet(config.parents[2] / ".leadscore" / "retention" / LEAVING)
    both = night.merge(truth, on="lead_id", validate="one_to_one")
    assert len(both) == len(night) == len(truth) == reports["score"].facts["customers"]
    chance = both["knowable"].to_numpy()

    def loss(said: Any) -> float:
        return float(-(chance * np.log(said) + (1 - chance) * np.log(1 - said)).mean())

    base = loss(np.full(len(both), chance.mean()))
    assert (base - loss(both["probability"].to_numpy())) / (base - loss(chance)) > 0.5
    worst = both.sort_values("rank").head(len(both) // 10)
    assert worst["knowable"].mean() > 2 * chance.mean()


def test_every_word_is_of_leaving(kept: tuple[Path, dict[str, Any]]) -> None:
    config, reports = kept
    settings = read_settings(config)
    champion = Registry(settings.tracking_uri, settings.registry_name).champion()
    said = {feature.name: feature.words for feature in champion.scorer.features}
    assert said["lift_owner_id"] == "customers of this owner left {value} as often as the average"
    assert said["days_since_purchase"] == "last bought {value} ago"
    assert list(reports["score"].facts) == ["night", "customers", "listed", "expected losses among them", "page"]
    assert re.match(r"To find 9 of 10 customers who leave, work \d+ of 100 customers, likeliest first", reports["train"].notices[0])
    # A contract number says that somebody is a customer, which all of them are, and nothing of who leaves.
    assert not any("is not used" in notice for notice in reports["train"].notices)
    page = Path(reports["score"].facts["page"]).read_text(encoding="utf-8")
    assert "<h1>Northwind Instruments (simulated): who is likely to leave</h1>" in page
    assert "of 100 customers like it, about 20 leave within 90 days" in page
    assert not re.search("convert|conversion|open lead", page)


def test_outcomes_do_not_touch_each_other(kept: tuple[Path, dict[str, Any]]) -> None:
    """The purchase has no champion yet: the night is red, and the list of who leaves is there all the same."""
    config, reports = kept
    none = r"There is no champion yet: run `leadscore train` first\."
    listed = Path(reports["score"].facts["page"]).with_name("leads.csv").read_bytes()
    with pytest.raises(Problem, match=rf"^Outcome purchase: {none} Outcome account: {none}$"):
        score(config)
    assert Path(reports["score"].facts["page"]).with_name("leads.csv").read_bytes() == listed
    told = standing(read_settings(config), datetime(2026, 1, 1))
    assert (told.facts["default: nights"], told.facts["purchase: nights"]) == (1, 0)
    assert told.facts["purchase: champion"] == "none yet"
    assert told.rows[0]["outcome"] == "default"
    assert review(config).facts["default: expected losses of the last"] == pytest.approx(_expected(config), abs=0.05)
    with pytest.raises(Problem, match=r"There is no outcome 'renewal': leadscore\.toml has default, purchase, account\."):
        train(config, outcome="renewal")


def _expected(config: Path) -> float:
    with open_company(read_settings(config)) as company:
        return float(company.warehouse.read_night(TONIGHT)["probability"].sum())


def test_a_champion_of_another_outcome_scores_nobody(kept: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    config, _ = kept
    own = Path(shutil.copytree(config.parent, tmp_path / "own", symlinks=True)) / "leadscore.toml"
    own.write_text(own.read_text(encoding="utf-8").replace('kind = "churn"', 'kind = "renewal"'), encoding="utf-8")
    with pytest.raises(Problem, match=r"The champion learned to predict another outcome than leadscore\.toml names now"):
        score(own, outcome="default")


def test_an_account_is_scored_listed_and_judged_as_one_customer(kept: tuple[Path, dict[str, Any]], tmp_path: Path, leadscore: Typed) -> None:
    config, _ = kept
    own = Path(shutil.copytree(config.parent, tmp_path / "own", symlinks=True)) / "leadscore.toml"
    day, night = date(2025, 8, 1), datetime(2025, 8, 1, 2)
    trained, scored = train(own, day, "account"), score(own, day, "account")
    assert any(re.match(r"Of [\d,]+ leads with an account lead_changes do not say since when [\d,]+ have it", said) for said in trained.notices)
    assert any(re.match("Fields of leads have no single value for an account and are not used: .*source.*", said) for said in scored.notices)
    with open_company(read_settings(own)) as company:
        leads, deals = company.crm.leads.execute(), company.crm.deals.execute()
        listed = company.warehouse.read_night(night, "account")
    won = deals[deals["outcome"] == "won"].drop(columns="account_id").merge(leads[["lead_id", "account_id"]], on="lead_id")
    before = won[(won["closed_at"] >= night - timedelta(days=90)) & (won[["closed_at", "known_at"]].max(axis=1) < night)]
    stayed = set(won.loc[(won["closed_at"] >= night) & (won["closed_at"] < night + timedelta(days=90)), "account_id"])
    assert set(listed["lead_id"]) == set(before["account_id"])
    assert before.groupby("account_id")["lead_id"].nunique().max() > 1
    judged = review(own, "account")
    assert judged.facts["ripe nights"] == 1
    assert judged.facts["of losses"] == len(set(listed["lead_id"]) - stayed)
    top = scored.rows[0]
    page = Path(scored.facts["page"]).read_text(encoding="utf-8")
    assert leads.loc[leads["account_id"] == top["lead"], "company"].iloc[0] in page
    assert "who is likely to leave" in page
    chosen = ("--config", own, "--outcome", "account", "--as-of", "2025-08-01")
    assert leadscore("explain", top["lead"], *chosen)[0] == 0
    code, _, err = leadscore("explain", leads.loc[leads["account_id"] == top["lead"], "lead_id"].iloc[0], *chosen)
    assert (code, "name the account, for that is who is scored" in err) == (1, True)
    own.write_text(own.read_text(encoding="utf-8").replace('population = "accounts"', 'population = "leads"'), encoding="utf-8")
    with pytest.raises(Problem, match=r"The champion learned to predict another outcome than leadscore\.toml names now"):
        score(own, day, "account")
