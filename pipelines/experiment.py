"""`backtest`: try a configuration on the past beside the champion, and change nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path

from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from features.problem import Problem
from models.gate import Decision
from models.race import Learned
from models.rules import gained, try_rules
from models.run import Training
from models.variants import remarks
from pipelines import rules
from pipelines.company import Company, open_company
from pipelines.journal import HOOKS
from pipelines.progress import step
from pipelines.registry import registry_of
from pipelines.report import Report
from pipelines.settings import DEFAULT, read_settings
from pipelines.study import Groups, Study
from pipelines.train import (
    as_training,
    audit_truncation,
    build_examples,
    challenge_champion,
    figures_of,
    learn_models,
    look_at_groups,
    racers,
    screen_fields,
    settled,
    why_leader,
)


@flow(name="backtest", **HOOKS)
def backtest(config: Path = Path("leadscore.toml"), as_of: date | None = None, outcome: str | None = None) -> Report:
    """Race the models of a configuration over past and later nights, and compare the best with the champion as the gate would.

    To the business: a new setting is judged before it is believed. No model is registered and the champion stays who it is; the run, tagged as an
    experiment, can be named to `leadscore compare`. Where there are too few conversions to learn from, the rules that `train` would make run instead,
    beside the base rate.

    Parameters
    ----------
    config : the configuration to try, kept beside leadscore.toml: it reads the same warehouse and registry. What `[source]` says was decided by the
        last extract.
    as_of : try it as if this were tonight; default: everything extracted.
    outcome : the name of one outcome; default: every one, in turn.

    Raises
    ------
    Problem : as `train`.
    """
    settings = read_settings(config)
    with open_company(settings) as today:
        return today.as_of(as_of).each_outcome(outcome, partial(backtest_outcome, past=as_of is not None))


def backtest_outcome(company: Company, past: bool) -> Report:
    """One outcome's backtest: see `backtest`."""
    study = build_examples(company)
    audit_truncation(company, study)
    study = screen_fields(company, study)
    if study.counts["converted leads"] < company.settings.training.min_conversions:
        return backtest_rules(company, study, past)
    learned = learn_models(company, study)
    groups = look_at_groups(company, study, learned)
    decision = challenge_champion(company, learned, past)
    run_id = record(company, study, learned, groups, decision)
    return tell(company, study, learned, decision, run_id)


@task(cache_policy=NO_CACHE)
def backtest_rules(company: Company, study: Study, past: bool) -> Report:
    """Of too few conversions nothing is learned: the rules run the folds that can be judged; where there is none, what is known is told."""
    training = company.settings.training
    with step("Trying a points table, for there is too little to learn from") as progress:
        scorer, points = rules.rules_of(company, study)
        try:
            tried = try_rules(study.frame, scorer, points, training.folds, training.seed, progress)
        except Problem as short:
            return rules.tell_untried(study, scorer, points, short)
    decision = challenge_champion(company, tried, past)
    run_id = record_rules(company, study, tried, decision)
    return tell_rules(company, study, tried, decision, run_id, past)


def record_rules(company: Company, study: Study, tried: Learned, decision: Decision) -> str:
    """Log what the rules said of later nights in MLflow as an experiment; its id."""
    scorer, names = tried.scorer, [feature.name for feature in study.features]
    made = Training(
        name=f"backtest as of {company.extracted_at:%Y-%m-%d}",
        params={"model": scorer.name, "features": len(names), **study.counts, **settled(company)},
        metrics=figures_of(tried),
        folds={},
        scorer=scorer,
        example=study.frame[names].head(5),
        texts={
            "features.json": json.dumps(names, ensure_ascii=False),
            "leakage.csv": study.screening.table().to_csv(index=False),
            "points_table.csv": tried.points.to_csv(index=False),
        },
        tables={"predictions.parquet": tried.backtest.predictions(tried.leader)},
        tags=decision.tags(),
        counts=study.screening.counts,
    )
    with step("Recording the experiment in MLflow"):
        return registry_of(company.settings).record(made)


def tell_rules(company: Company, study: Study, tried: Learned, decision: Decision, run_id: str, past: bool) -> Report:
    """The rules' figures beside those of the base rate, and against the champion."""
    rows, change = racers(tried), gained(tried, company.settings.training.seed)
    succeed = rules.succession(company, tried.scorer, past).promote
    create_table_artifact(list(rows), key="experiment", description="Rules and base rate on nights they had not seen, with 95 % intervals")
    facts = {"run": run_id, **rules.facts_of(study, tried.scorer), "train would make them champion": succeed}
    known = "more than the base rate alone beyond doubt" if change.high < 0 else "no more than the base rate alone, as far as can be told"
    notices = (
        f"On later nights the rules knew {known}: their log-loss differs from its by {change}, below zero being better.",
        *study.screening.sentences,
        *tried.backtest.skipped,
        *against_champion(decision),
        beside_another(company, run_id),
    )
    return Report("backtest", facts, rows, notices)


@task(cache_policy=NO_CACHE)
def record(company: Company, study: Study, learned: Learned, groups: Groups, decision: Decision) -> str:
    """Log the run in MLflow as an experiment; its id."""
    made = as_training(company, study, learned, groups, decision)
    with step("Recording the experiment in MLflow"):
        return registry_of(company.settings).record(replace(made, name=f"backtest as of {company.extracted_at:%Y-%m-%d}"))


def tell(company: Company, study: Study, learned: Learned, decision: Decision, run_id: str) -> Report:
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
        beside_another(company, run_id),
    )
    return Report("backtest", facts, rows, notices)


def beside_another(company: Company, run_id: str) -> str:
    """How to go on from here; a run is found in the experiment of its own outcome."""
    chosen = company.settings.chosen
    named = "" if chosen == DEFAULT else f" --outcome {chosen}"
    return f"Nothing was registered or promoted; `leadscore compare {run_id[:8]} RUN{named}` puts it beside another run."


def against_champion(decision: Decision) -> tuple[str, ...]:
    """Each answer of the gate, on rows that neither model had learned from; the reason alone where there were none."""
    if not decision.checks:
        return tuple(f"Beside the champion: {reason}." for reason in decision.reasons)
    answers = (f"{check.said}{'' if check.held else ' (not passed)'}" for check in decision.checks)
    return (f"Beside the champion, on {decision.basis}:", *(f"{answer[:1].upper()}{answer[1:]}." for answer in answers))
