"""The training of a company with too few conversions to learn from: rules are registered, and never take a learned champion's place."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pandas as pd

from features.labels import ripe
from features.outcome import value_of
from features.problem import Problem
from models.gate import Decision
from models.rules import rules
from models.run import Training
from models.scorer import Scorer
from pipelines.company import Company
from pipelines.registry import registry_of
from pipelines.report import Report
from pipelines.rival import rival
from pipelines.study import Study


def rules_of(company: Company, study: Study) -> tuple[Scorer, pd.DataFrame]:
    """A scorer by the points table of what is known so far, and that table."""
    needed, converted = company.settings.training.min_conversions, study.counts["converted leads"]
    value = value_of(company.crm, study.plan.outcome)
    return rules(ripe(study.frame), study.features, study.plan, company.extracted_at, converted, needed, value)


def register(company: Company, study: Study, scorer: Scorer, points: pd.DataFrame, past: bool) -> tuple[str, Decision]:
    """Log the rules in MLflow and make them champion, unless there is a learned one."""
    decision = succession(company, scorer, past)
    training = Training(
        name=f"rules as of {company.extracted_at:%Y-%m-%d}",
        params={"model": scorer.name, "features": len(study.features), **study.counts},
        metrics={},
        folds={},
        scorer=scorer,
        example=scorer.average(),
        texts={
            "model_card.md": f"# {scorer.caveat}\n\nA points table ranks the leads, its log-odds drawn towards the average. Nothing was tested.\n",
            "points_table.csv": points.to_csv(index=False),
            "leakage.csv": study.screening.table().to_csv(index=False),
        },
        tags=decision.tags(),
        counts=study.screening.counts,
    )
    registry = registry_of(company.settings)
    version = registry.log(training)
    registry.conclude(version, decision.promote, decision.reasons, datetime.now(UTC).replace(tzinfo=None))
    return version, decision


def succession(company: Company, scorer: Scorer, past: bool) -> Decision:
    """Rules become champion where there is none, or one by rules; the place of a learned one they never take.

    Parameters
    ----------
    past : see `pipelines.rival.rival`.
    """
    try:
        champion, vacant = rival(company, past)
    except Problem as problem:
        # See `pipelines.train.challenge_champion`.
        return Decision(False, (str(problem).rstrip("."),))
    if champion is None or champion.scorer.caveat:
        return Decision(True, (vacant or "the champion before them was rules too",))
    return Decision(False, (f"the learned champion, version {champion.version}, stays: these are {scorer.caveat}",))


def tell(company: Company, study: Study, scorer: Scorer, points: pd.DataFrame, version: str, decision: Decision) -> Report:
    """The rules in words, and field by field."""
    needed, said = company.settings.training.min_conversions, study.plan.outcome.words
    facts = {
        "model": scorer.name,
        "version": version,
        "champion": decision.promote,
        "examples": study.counts["examples"],
        "conversions": study.counts["conversions"],
        "unripe": study.counts["unripe"],
    }
    notices = (
        f"Only {study.counts['converted leads']} {said.who}s {said.rate} within the horizon on the ripe nights, and "
        f"[training] min_conversions asks for {needed}: until then a points table ranks the {said.those}, and every list says so.",
        *study.screening.sentences,
        *company.notices(),
        *(f"Gate: {reason}." for reason in decision.reasons),
    )
    return Report("train", facts, tuple(points.to_dict("records")), notices, refused=not decision.promote)


def facts_of(study: Study, scorer: Scorer) -> dict[str, Any]:
    """What is known of the rules before they are tried."""
    return {
        "model": scorer.name,
        "base rate": scorer.base_rate,
        "examples": study.counts["examples"],
        "learned from": study.counts["learned from"],
        "conversions": study.counts["conversions"],
    }


def tell_untried(study: Study, scorer: Scorer, points: pd.DataFrame, short: Problem) -> Report:
    """The rules field by field, and why no later night could judge them."""
    why = f"Too little is known to test the rules on even one block of later nights ({str(short).rstrip('.')}), so that only their table is shown."
    return Report("backtest", facts_of(study, scorer), tuple(points.to_dict("records")), (why, *study.screening.sentences))
