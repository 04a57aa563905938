"""A CRM is named by its scheme, and every outcome has a place of its own in it."""

from __future__ import annotations

from typing import Any

import pytest

from features.problem import Problem
from pipelines.crm.hubspot import HubSpot
from pipelines.crm.tables import open_source
from pipelines.crm.vendors import open_target, written_to
from pipelines.writebackrules import Writeback


def test_a_location_names_a_crm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBSPOT_ACCESS_TOKEN", "pat")
    assert isinstance(open_source("hubspot://"), HubSpot)
    monkeypatch.delenv("HUBSPOT_ACCESS_TOKEN")
    with pytest.raises(Problem, match="HUBSPOT_ACCESS_TOKEN is not set: export the token of a HubSpot private app"):
        open_source("hubspot://")


@pytest.mark.parametrize(
    ("rules", "outcome", "population", "kind", "score"),
    [
        ({"target": "hubspot"}, "default", "leads", "contacts", "leadscore_score"),
        ({"target": "hubspot"}, "default", "accounts", "companies", "leadscore_score"),
        ({"target": "hubspot", "object": "companies"}, "default", "leads", "companies", "leadscore_score"),
        ({"target": "hubspot", "object": "contacts"}, "churn", "accounts", "companies", "leadscore_score_churn"),
        ({"target": "hubspot", "fields": {"score": "own"}}, "product-b", "leads", "contacts", "own_product_b"),
        ({"target": "dynamics"}, "default", "leads", "lead", "msdyn_score"),
        ({"target": "dynamics", "object": "opportunity"}, "default", "leads", "opportunity", "msdyn_score"),
    ],
)
def test_where_scores_are_written_to(rules: dict[str, Any], outcome: str, population: Any, kind: str, score: str) -> None:
    found, fields = written_to(Writeback(**rules), outcome, population, "default")
    assert (found, fields["score"]) == (kind, score)


def test_a_field_may_be_left_out_and_added() -> None:
    _, fields = written_to(Writeback(target="hubspot", fields={"rank": "", "probability": "chance"}), "default", "leads", "default")
    assert fields == {
        "score": "leadscore_score",
        "tier": "leadscore_tier",
        "reasons": "leadscore_reasons",
        "scored_at": "leadscore_scored_at",
        "probability": "chance",
    }


@pytest.mark.parametrize(("outcome", "population"), [("churn", "leads"), ("default", "accounts")])
def test_dynamics_has_room_for_one_score_a_lead(outcome: str, population: Any) -> None:
    with pytest.raises(Problem, match="one predictive score a lead"):
        written_to(Writeback(target="dynamics"), outcome, population, "default")


def test_a_target_says_which_secret_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HUBSPOT_ACCESS_TOKEN", raising=False)
    with pytest.raises(Problem, match="HUBSPOT_ACCESS_TOKEN is not set"):
        open_target(Writeback(target="hubspot"), "contacts", {})
