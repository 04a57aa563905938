"""One lead's story adds up to its score, tells its past, and says why there is none."""

from __future__ import annotations

from datetime import date

import pytest
from conftest import MadeUp

from features.problem import Problem
from models.registry import Registry
from pipelines.company import open_company
from pipelines.settings import read_settings
from pipelines.story import tell

pytestmark = pytest.mark.xdist_group("company")


def test_every_field_counts_and_they_add_up_to_the_score_of_the_ledger(company: MadeUp) -> None:
    settings = read_settings(company.config)
    with open_company(settings) as today:
        ledger = today.warehouse.read_night(today.night(None)).set_index("lead_id")
    for lead in (ledger.index[0], ledger.index[-1]):
        told = tell(settings, lead, None)
        assert told.facts["probability"] == pytest.approx(ledger.loc[lead, "probability"])
        counted = sum(row["counts for"] for row in told.rows) + told.facts["of an average lead"]
        assert counted == pytest.approx(told.facts["log-odds"], abs=1e-3)
        assert told.rows[-1]["field"] == "everything else"
        assert len({row["field"] for row in told.rows}) == len(told.rows)
        assert told.notices == (f"2025-08-23: {told.facts['probability']:.3f}",)


def test_a_customer_has_no_score_and_the_sentence_says_why(company: MadeUp) -> None:
    settings = read_settings(company.config)
    with open_company(settings) as today:
        deals = today.crm.deals
        customer = deals.filter(deals.outcome == "won").lead_id.min().execute()
    with pytest.raises(Problem, match=f"Lead {customer} was not open on 2025-08-23: it had been won"):
        tell(settings, customer, None)


def test_a_past_night_is_told_by_the_model_of_its_time(company: MadeUp, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read_settings(company.config)
    with open_company(settings) as today:
        newest = today.crm.leads.order_by(today.crm.leads.created_at.desc()).limit(1).lead_id.execute()[0]
    with pytest.raises(Problem, match=r"No model had been trained by 2024-06-01"):
        tell(settings, newest, date(2024, 6, 1))
    monkeypatch.setattr(Registry, "champion_at", lambda self, night: self.champion())
    with pytest.raises(Problem, match=r"was not open on 2024-06-01: .* or had not come in yet"):
        tell(settings, newest, date(2024, 6, 1))
