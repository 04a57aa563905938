"""One lead's story: what was known, what it counted for, and its past scores."""

from __future__ import annotations

from datetime import date
from typing import Any

import pandas as pd

from features import examples
from features.problem import Problem
from models.reasons import fields, reasons
from models.scorer import Scorer
from pipelines.baserate import followed
from pipelines.company import open_company
from pipelines.registry import registry_of
from pipelines.report import Report
from pipelines.settings import Settings


def tell(settings: Settings, lead: str, day: date | None) -> Report:
    """Explain one lead as of a night: its probability, every field's contribution in log-odds, and its score history.

    Raises
    ------
    Problem : the lead is unknown, or was not open that night; or no model had been trained by a named night.
    """
    with open_company(settings) as opened:
        company = opened.of_population()
        night, registry = company.night(day), registry_of(settings)
        champion = registry.champion_at(night) if day else registry.champion()
        company.must_predict(champion.scorer.plan)
        if not int(company.crm.leads.filter(company.crm.leads.lead_id == lead).count().execute()):
            if settings.outcome.population == "accounts":
                raise Problem(f"There is no account {lead}, nor a lead without one: name the account, for that is who is scored.")
            raise Problem(f"There is no lead {lead} in the warehouse: check the id, or run `leadscore extract`.")
        known = examples.snapshot(company.crm, company.nights(night), champion.scorer.plan)
        known = known.filter(known.lead_id == lead).execute()
        champion, _ = followed(company, champion, night)
        history = company.warehouse.histories(night, outcome=settings.chosen)
    if known.empty:
        if settings.outcome.rule.of_customers:
            raise Problem(f"Lead {lead} was no customer to be scored on {night:%Y-%m-%d}: it had not bought, bought too long ago, or been taken off.")
        raise Problem(f"Lead {lead} was not open on {night:%Y-%m-%d}: it had been won, lost or taken off, was too old, or had not come in yet.")
    scorer = champion.scorer
    contributions = scorer.contributions(known)
    summed = fields(contributions, scorer.features).iloc[0]
    told = every_reason(scorer, known)
    rows = [{"counts for": round(reason["contribution"], 3), "field": reason["field"], "known": reason["words"]} for reason in told]
    rest = float(summed.sum()) - float(summed["bias"]) - sum(row["counts for"] for row in rows)
    rows.append({"counts for": round(rest, 3), "field": "everything else", "known": f"{len(summed) - 1 - len(rows)} fields of little weight each"})
    past = history[history["lead_id"] == lead]
    return Report(
        "explain",
        {
            "lead": lead,
            "night": f"{night:%Y-%m-%d}",
            "model": f"{scorer.name}, version {champion.version}",
            "probability": float(scorer.probability(known)[0]),
            "log-odds": float(summed.sum()),
            "of an average lead": float(summed["bias"]),
        },
        tuple(rows),
        tuple(f"{pd.Timestamp(row.as_of):%Y-%m-%d}: {row.probability:.3f}" for row in past.itertuples()),
    )


def every_reason(scorer: Scorer, known: pd.DataFrame) -> list[dict[str, Any]]:
    """All that counted for or against the one lead of a frame, not only the few reasons that a list has room for; see `models.reasons.reasons`."""
    contributions = scorer.contributions(known)
    told: list[dict[str, Any]] = reasons(contributions, known, scorer.features, scorer.yardstick, most_for=99, most_against=99)[0]
    return told
