"""What the gate is shown is what the two models would say: the same rows, today's lists, and nothing at all where something is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import MadeUp

from features import examples
from features.problem import Problem
from models.backtest import Backtest
from models.race import Learned
from models.registry import Registry
from pipelines.company import Company, open_company
from pipelines.evidence import gather
from pipelines.settings import read_settings
from pipelines.train import challenge_champion

pytestmark = pytest.mark.xdist_group("company")


@pytest.fixture
def opened(challenged: MadeUp) -> Iterator[tuple[Company, Registry]]:
    settings = read_settings(challenged.config)
    with open_company(settings) as company:
        yield company, Registry(settings.tracking_uri)


def _tags(registry: Registry, version: str) -> tuple[str, dict[str, str]]:
    run = registry.client.get_model_version(registry.name, version).tags["run"]
    return run, dict(registry.client.get_run(run).data.tags)


def test_the_decision_stands_in_tags_on_a_page_and_in_the_report(challenged: MadeUp, opened: tuple[Company, Registry]) -> None:
    _, registry = opened
    report = challenged.reports["challenger"]
    run, tags = _tags(registry, "3")
    assert (tags["gate"] == "promoted") is report.facts["champion"]
    for name in ("log_loss", "average_precision", "gain_at_capacity", "predicted_over_realised", "calibration_slope"):
        value, low, high = (float(part) for part in tags[f"gate.{name}"].replace("(", "").replace(")", "").replace("to ", "").split())
        assert low <= value <= high
    assert {f"Gate: {said}." for said in (*tags["reasons"].split("; "), tags["gate.list_change"])} == {
        notice for notice in report.notices if notice.startswith("Gate: ")
    }
    page = Path(registry.client.download_artifacts(run, "gate.html")).read_text(encoding="utf-8")
    assert ("Promoted: it replaces the champion" if report.facts["champion"] else "Refused: the champion stays") in page
    assert "first model" in Path(registry.client.download_artifacts(_tags(registry, "1")[0], "gate.html")).read_text(encoding="utf-8")


def test_both_models_see_the_nights_that_the_champion_never_learned_from_and_tonight(opened: tuple[Company, Registry]) -> None:
    company, registry = opened
    champion = registry.champion()
    nights = [night for night in company.past_nights() if champion.scorer.last_night < night][:2]
    seen = examples.snapshot(company.crm, company.nights(*nights), champion.scorer.plan).execute().sort_values(["as_of", "lead_id"])
    # Backwards, and with one night before, which the champion may have learned from.
    rows = seen[["lead_id", "as_of"]].iloc[::-1].reset_index(drop=True)
    rows = pd.concat([rows, rows.tail(5).assign(as_of=pd.Timestamp(champion.scorer.last_night))], ignore_index=True)
    rows = rows.assign(converted=rows.index % 7 == 0, weight=1.0, fold=0)
    backtest = Backtest((), rows, {"logistic": rows.index.to_numpy(dtype=float)})
    evidence = gather(company, Learned(champion.scorer, backtest, {}, "logistic", {}, pd.DataFrame()), champion)
    assert evidence.challenger.log_odds.tolist() == list(range(len(seen)))
    assert evidence.champion.log_odds[::-1] == pytest.approx(champion.scorer.log_odds(seen))
    assert evidence.champion.lead[::-1].tolist() == seen["lead_id"].tolist()
    assert evidence.segments is not None
    assert {"team", "source", "account's industry"} <= set(evidence.segments)
    assert evidence.segments["source"][::-1].tolist() == seen["lead__source"].astype(object).where(seen["lead__source"].notna(), None).tolist()
    teams = dict(company.crm.owners.select("owner_id", "team").execute().itertuples(index=False))
    assert evidence.segments["team"][::-1].tolist() == [teams.get(owner) for owner in seen["owner_id"]]
    tonight = evidence.tonight
    assert tonight is not None
    # The challenger is the champion's own model: nothing would change.
    assert (tonight.changed, tonight.open_leads) == (
        0,
        len(examples.snapshot(company.crm, company.nights(company.night(None)), champion.scorer.plan).execute()),
    )
    assert 0 < tonight.listed <= sum(company.capacities().values()) + company.settings.list.capacity
    assert tonight.seconds > 0 < tonight.champion_seconds


def test_a_champion_whose_field_is_gone_cannot_be_compared_and_the_gate_stays_shut(opened: tuple[Company, Registry]) -> None:
    company, registry = opened
    poorer = replace(company, attributes=tuple(a for a in company.attributes if a.name != "source"))
    nothing: Any = None
    with pytest.raises(Problem, match=r"The champion needs leads\.source, which the last extract did not bring"):
        gather(poorer, nothing, registry.champion())
    decision = challenge_champion.fn(poorer, nothing, past=False)
    assert not decision.promote
    assert decision.reasons[0].startswith("The champion needs leads.source, which the last extract did not bring")
    assert not decision.reasons[0].endswith(".")


def test_a_champion_that_predicts_something_else_cannot_be_compared_and_the_gate_stays_shut(opened: tuple[Company, Registry]) -> None:
    company, _ = opened
    outcome = company.settings.outcome.model_copy(update={"horizon_days": 60})
    sooner = replace(company, settings=company.settings.model_copy(update={"outcome": outcome}))
    nothing: Any = None
    decision = challenge_champion.fn(sooner, nothing, past=False)
    assert not decision.promote
    assert decision.reasons[0].startswith(
        "The champion predicts conversions within 90 days and this model within 60, so that the two cannot be compared"
    )
