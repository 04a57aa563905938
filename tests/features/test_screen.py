"""No honest field is accused and every trap is caught, whatever the user has declared."""

from __future__ import annotations

from dataclasses import replace

import pytest
from conftest import MadeUp

from features.finding import Finding
from features.labels import ripe
from features.plan import Attribute
from features.screen import Screening, screen
from pipelines.company import Company, open_company
from pipelines.settings import read_settings
from pipelines.train import Study, build_examples

pytestmark = pytest.mark.xdist_group("company")
TRAPS = ["contract_number", "onboarding_date", "customer_tier"]
HONEST = ["source", "campaign", "country_region", "newsletter", "language", "industry", "employees", "region"]


def _screened(company: Company, study: Study, allow: tuple[str, ...] = ()) -> Screening:
    return screen(company.crm, company.night(None), ripe(study.frame), study.plan, allow)


def test_every_trap_of_a_made_up_company_is_caught_and_no_honest_field_accused(company: MadeUp) -> None:
    with open_company(read_settings(company.config)) as opened:
        # Nothing is declared, so that every field but the two with a history is screened.
        undeclared = tuple(replace(a, known="today") if a.known == "creation" else a for a in opened.attributes)
        study = build_examples.fn(replace(opened, attributes=undeclared))
        screened = _screened(opened, study)
        allowed = _screened(opened, study, allow=("customer_tier",))
    assert [attribute.name for attribute in study.plan.attributes if attribute.known == "today"] == [*HONEST[:5], *TRAPS, *HONEST[5:]]
    assert {(finding.field, finding.method) for finding in screened.findings} == {
        *((trap, method) for trap in TRAPS for method in ("null-ness", "power", "tonight")),
        *((trap, "name") for trap in TRAPS[:2]),
    }
    assert [finding.field for finding in screened.leading] == TRAPS
    assert {finding.method for finding in screened.leading} == {"null-ness"}
    # Stages are replayed, and campaigns come and go: both are said, and used.
    stage, campaign, told = screened.notices
    assert stage.startswith("stage (leads): its history shows 'lost' or 'won' only once a deal is closed (100% of ")
    assert campaign.startswith("campaign (leads) has drifted: between past nights and tonight its Jensen-Shannon distance is 0.")
    assert told.startswith("Leads of past nights can be told from tonight's by campaign (ROC AUC 0.")
    assert [a.name for a in allowed.kept(study.plan.attributes) if a.name in TRAPS] == ["customer_tier"]
    assert (screened.counts["fields_refused"], allowed.counts["fields_refused"], allowed.counts["fields_allowed"]) == (3, 2, 1)
    assert allowed.table()["used"].sum() == 3


def test_a_report_names_a_field_once_by_the_evidence_that_is_easiest_to_check() -> None:
    findings = (
        Finding("tags", "leads", "tonight", "it differs", "look"),
        Finding("stage", "deals", "name", "it is called so", "look"),
        Finding("tags", "leads", "power", "it explains 55%", "look"),
    )
    screening = Screening(findings, ("campaign has drifted.",))
    assert screening.sentences == (
        "'tags' (leads) is not used: it explains 55%; look.",
        "'stage' (deals) is not used: it is called so; look.",
        "campaign has drifted.",
    )
    tags, stage = Attribute("tags", "leads", "category", "today"), Attribute("stage", "leads", "category", "history")
    # The deal's stage is accused, the lead's is not.
    assert screening.kept((tags, stage)) == (stage,)
    assert Screening().table().columns.tolist() == ["field", "origin", "method", "evidence", "advice", "used"]
