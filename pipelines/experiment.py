"""`backtest`: try a configuration on the past beside the champion, and change nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from models.gate import Decision
from models.race import Learned
from models.registry import Registry
from models.variants import remarks
from pipelines.company import Company, open_company
from pipelines.progress import step
from pipelines.report import Report
from pipelines.settings import read_settings
from pipelines.study import Groups, Study
from pipelines.train import (
    as_training,
    audit_truncation,
    build_examples,
    challenge_champion,
    learn_models,
    look_at_groups,
    racers,
    screen_fields,
    why_leader,
)


@flow(name="backtest")
def backtest(config: Path = Path("leadscore.toml"), as_of: date | None = None) -> Report:
    """Race the models of a configuration over past and later nights, and compare the best with the champion as the gate would.

    To the business: a new setting is judged before it is believed. No model is registered and the champion stays who it is; the run, tagged as an
    experiment, can be named to `leadscore compare`.

    Parameters
    ----------
    config : the configuration to try, kept beside leadscore.toml: it reads the same warehouse and registry. What `[source]` says was decided by the
        last extract.
    as_of : try it as if this were tonight; default: everything extracted.

    Raises
    ------
    Problem : as `train`.
    """
    settings = read_settings(config)
    with open_company(settings) as today:
        company = today.as_of(as_of)
        study = build_examples(company)
        audit_truncation(company, study)
        study = screen_fields(company, study)
        learned = learn_models(company, study)
        groups = look_at_groups(company, study, learned)
        decision = challenge_champion(company, learned, past=as_of is not None)
        run_id = record(company, study, learned, groups, decision)
        return tell(study, learned, decision, run_id)


@task(cache_policy=NO_CACHE)
def record(company: Company, study: Study, learned: Learned, groups: Groups, decision: Decision) -> str:
    """Log the run in MLflow as an experiment; its id."""
    made = as_training(company, study, learned, groups, decision)
    with step("Recording the experiment in MLflow"):
        return Registry(company.settings.tracking_uri).record(replace(made, name=f"backtest as of {company.extracted_at:%Y-%m-%d}"))


def tell(study: Study, learned: Learned, decision: Decision, run_id: str) -> Report:
    """The experiment in words: every racer's figures, and the best one against the champion."""
    rows = racers(learned)
    create_table_artifact(list(rows), key="experiment", description="Every model on nights it had not seen, with 95 % intervals")
    facts = {
        "run": run_id,
        "model": learned.leader,
        "the gate would promote": decision.promote,
        "examples": study.counts["examples"],
        "learned from": study.counts["learned from"],
        "conversions": study.counts["conversions"],
    }
    notices = (
        why_leader(learned),
        *remarks(learned.scorer.model),
        *study.screening.sentences,
        *learned.backtest.skipped,
        *against_champion(decision),
        f"Nothing was registered or promoted; `leadscore compare {run_id[:8]} RUN` puts it beside another run.",
    )
    return Report("backtest", facts, rows, notices)


def against_champion(decision: Decision) -> tuple[str, ...]:
    """Each answer of the gate, on rows that neither model had learned from; the reason alone where there were none."""
    if not decision.checks:
        return tuple(f"Beside the champion: {reason}." for reason in decision.reasons)
    answers = (f"{check.said}{'' if check.held else ' (not passed)'}" for check in decision.checks)
    return (f"Beside the champion, on {decision.basis}:", *(f"{answer[:1].upper()}{answer[1:]}." for answer in answers))
