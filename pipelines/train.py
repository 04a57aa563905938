"""`train`: learn from past nights whose outcome is known, test on later ones, promote only what is better."""

from __future__ import annotations

import json
import re
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas as pd
from prefect import flow, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from features import examples, leakage
from features.labels import customers, ripe
from features.outcome import value_of
from features.problem import Problem
from features.screen import screen
from models import fairness, plots, segments
from models.card import model_card
from models.gate import Decision, Limits, decide
from models.leader import poor_folds
from models.metrics import Estimate
from models.race import Learned, learn
from models.ranking import TIERS
from models.reasons import fields
from models.run import Training
from models.variants import Variants, remarks
from pipelines import rules
from pipelines.company import Company, open_company
from pipelines.delivery.verdict import verdict
from pipelines.evidence import gather
from pipelines.groups import groups_of, may_learn, protected_attributes, protected_of
from pipelines.journal import HOOKS
from pipelines.lineage import origin_of
from pipelines.monotone import monotone_of
from pipelines.progress import step
from pipelines.registry import registry_of
from pipelines.report import Report
from pipelines.rival import rival
from pipelines.schedule import see_worth_another_try
from pipelines.segment import segment_of
from pipelines.settings import read_settings
from pipelines.stages import once, training_inputs
from pipelines.study import Groups, Study


@flow(name="train", **HOOKS)
def train(config: Path = Path("leadscore.toml"), as_of: date | None = None, outcome: str | None = None, resume: bool = False) -> Report:
    """Register a model learned from every ripe night, and make it champion if there is none or it is better.

    Parameters
    ----------
    config : the company's leadscore.toml.
    as_of : learn as if this were tonight, with nothing known later; default: everything extracted.
    outcome : the name of one outcome; default: every one, in turn.
    resume : what was learned from the very same inputs is not learned again.

    Raises
    ------
    Problem : no ripe night, one class only, a feature that changes when the future is cut off, or this run died several times.
    """
    see_worth_another_try(flow_run.run_count or 1, "train")
    settings = read_settings(config)
    with open_company(settings) as today:
        return today.as_of(as_of).each_outcome(outcome, partial(train_outcome, past=as_of is not None, resume=resume))


def train_outcome(company: Company, past: bool, resume: bool) -> Report:
    """One outcome's training, unless it is finished and may stand: see `train`."""
    work, stands = partial(learn_from_the_past, company, past), (lambda _: True) if resume else None
    return once(lambda: nullcontext(company.warehouse), "train", training_inputs(company, past), work, stands, company.settings.chosen)


def learn_from_the_past(company: Company, past: bool) -> Report:
    """One outcome's training, from past nights to a champion or a challenger."""
    study = build_examples(company)
    audit_truncation(company, study)
    study = screen_fields(company, study)
    if study.counts["converted leads"] < company.settings.training.min_conversions:
        return make_rules(company, study, past)
    learned = learn_models(company, study)
    groups = look_at_groups(company, study, learned)
    decision = challenge_champion(company, learned, past)
    version = register(company, study, learned, groups, decision)
    return tell(company, study, learned, groups, decision, version)


@task(cache_policy=NO_CACHE)
def build_examples(company: Company) -> Study:
    """Stack the ripe past nights into one training table: features as of each night, and what became of each lead."""
    settings = company.settings
    # A name that is no field would protect nobody: it is refused here.
    protected_attributes(company)
    learnable = tuple(attribute for attribute in company.attributes if may_learn(company, attribute))
    plan = examples.plan_from(company.crm, settings.timeline, learnable, settings.outcome.closed_statuses, outcome=settings.outcome.rule)
    past = company.past_nights()
    nights = company.nights(*past)
    with step("Building the features of past nights"):
        counts = examples.counts(company.crm, nights, plan, company.extracted_at)
        _enough(company, counts)
        training = settings.training
        frame = examples.training(company.crm, nights, plan, company.extracted_at, training.max_examples, training.nights_per_lead).execute()
    answered = ripe(frame)
    return Study(plan, examples.features_of(plan), frame, {**counts, "learned from": len(answered), "converted leads": customers(answered)})


def _enough(company: Company, counts: dict[str, int]) -> None:
    said = company.settings.outcome.rule.words
    if not counts["examples"]:
        nobody = "Nobody was a customer" if company.settings.outcome.rule.of_customers else "No lead was open"
        raise Problem(f"{nobody} on any ripe night: check created_at of leads and closed_at of deals in leadscore.toml.")
    if counts["conversions"] == counts["examples"]:
        raise Problem(
            f"Every {said.who} of every ripe night {said.rate}: there is no difference to learn. Check the mapping of deals in leadscore.toml."
        )
    if not counts["conversions"]:
        raise Problem(
            f"No {said.who} {said.rate} within the horizon on any ripe night: check `outcome` and `closed_at` of deals in leadscore.toml, "
            "or lengthen horizon_days."
        )


@task(cache_policy=NO_CACHE)
def audit_truncation(company: Company, study: Study) -> None:
    """Prove on a past night that no feature changes when everything known later is cut off."""
    night = pd.Timestamp(study.frame["as_of"].quantile(0.5, interpolation="nearest")).to_pydatetime()
    with step("Proving that no feature sees the future"):
        leaks = leakage.truncation_audit(company.crm, night, study.plan)
    if leaks:
        raise Problem(
            f"On {night:%Y-%m-%d} features changed when everything known later was cut off: {'; '.join(map(str, leaks[:5]))}. "
            "That is a leak from the future: nothing was trained. Please report it."
        )


@task(cache_policy=NO_CACHE)
def screen_fields(company: Company, study: Study) -> Study:
    """Leave out the fields that know the outcome because somebody filled them in afterwards, unless the user insists."""
    training, now = company.settings.training, company.as_extracted()
    with step("Looking for fields that know the outcome"):
        screening = screen(now.crm, now.night(None), ripe(study.frame), study.plan, training.allow, training.seed)
    plan = replace(study.plan, attributes=screening.kept(study.plan.attributes))
    features = examples.features_of(plan)
    columns = ["lead_id", "as_of", "converted", "happened_at", "amount", "weight", *(feature.name for feature in features)]
    return replace(study, plan=plan, features=features, frame=study.frame[columns], screening=screening)


@task(cache_policy=NO_CACHE)
def make_rules(company: Company, study: Study, past: bool) -> Report:
    """Of too few conversions nothing is learned: a points table is registered and said to be no more than that."""
    with step("Making a points table, for there is too little to learn from"):
        scorer, points = rules.rules_of(company, study)
        version, decision = rules.register(company, study, scorer, points, past)
    return rules.tell(company, study, scorer, points, version, decision)


@task(cache_policy=NO_CACHE)
def learn_models(company: Company, study: Study) -> Learned:
    """Run points table, logistic model, boosted trees and hazard over past and later nights; refit the best, or a blend, on everything ripe."""
    training, amount = company.settings.training, value_of(company.crm, study.plan.outcome)
    bound = monotone_of(training.monotone, company.warehouse.attributes(), study.features)
    segment = segment_of(training.segment_by, company.warehouse.attributes(), study.features)
    with step("Learning, and testing on later nights") as progress:
        return learn(
            *(study.frame, study.features, study.plan, company.extracted_at, amount, training.seed, training.folds, training.trials, progress),
            search_minutes=training.search_minutes,
            storage=str(company.settings.search_file),
            monotone=bound,
            encodings=training.encodings,
            variants=Variants(training.variants, training.recent_days, training.half_life_days, segment),
            bags=training.bags,
        )


@task(cache_policy=NO_CACHE)
def look_at_groups(company: Company, study: Study, learned: Learned) -> Groups:
    """Judge the leader on later nights group by group: tier, owner team, every category, and what is protected."""
    judged, seed = learned.judged(), company.settings.training.seed
    with step("Looking at groups of leads"):
        categories = {feature.field: feature.name for feature in study.features if feature.kind == "category"}
        groups = groups_of(company, judged, study.frame, categories, study.plan)
        listed = (groups["tier"] == TIERS[0]).to_numpy()
        return Groups(segments.segments(judged, groups), fairness.fairness(judged, listed, protected_of(company, judged), seed))


@task(cache_policy=NO_CACHE)
def challenge_champion(company: Company, learned: Learned, past: bool) -> Decision:
    """Let champion and challenger score the same later rows; the first model is promoted for want of another.

    Parameters
    ----------
    past : see `pipelines.rival.rival`.
    """
    try:
        champion, vacant = rival(company, past)
    except Problem as problem:
        # A champion that cannot be read is no vacancy: a person decides who comes after it.
        return Decision(False, (str(problem).rstrip("."),))
    if champion is None:
        return Decision(True, (vacant,))
    with step("Comparing with the champion on the same nights"):
        try:
            evidence = gather(company, learned, champion)
        except Problem as problem:
            return Decision(False, (str(problem).rstrip("."),))
        return decide(evidence, Limits(**company.settings.gate.model_dump()), company.settings.training.seed)


@task(cache_policy=NO_CACHE)
def register(company: Company, study: Study, learned: Learned, groups: Groups, decision: Decision) -> str:
    """Log the training in MLflow, register its model, and move the champion alias if the gate says so."""
    with step("Recording the run in MLflow"):
        registry = registry_of(company.settings)
        version = registry.log(as_training(company, study, learned, groups, decision))
        registry.conclude(version, decision.promote, decision.reasons, datetime.now(UTC).replace(tzinfo=None))
    return version


def as_training(company: Company, study: Study, learned: Learned, groups: Groups, decision: Decision) -> Training:
    """Everything that a run keeps: figures, pictures, texts, predictions, and the gate's decision."""
    settings, scorer = company.settings, learned.scorer
    rows = {name: learned.backtest.judged(name) for name in learned.backtest.log_odds}
    leader = rows[learned.leader]
    sample = study.frame.sample(min(len(study.frame), 2_000), random_state=settings.training.seed)
    moved = fields(scorer.contributions(sample), study.features)
    names = [feature.name for feature in study.features]
    return Training(
        name=f"train as of {company.extracted_at:%Y-%m-%d}",
        params={
            "model": learned.leader,
            "features": len(study.features),
            **study.counts,
            **learned.params,
            "calibration": scorer.calibration.name,
            "amount": learned.worth.name,
            **settled(company),
        },
        metrics={**figures_of(learned), **learned.worth.figures()},
        folds={f"fold {fold.number + 1} from {fold.first:%Y-%m-%d}": learned.fold_metrics(fold.number) for fold in learned.backtest.folds},
        scorer=scorer,
        example=scorer.average(),
        figures={
            "gain": plots.gain(rows),
            "lift": plots.lift(rows),
            "reliability": plots.reliability(leader),
            "segments": plots.segments(groups.segments),
            "score_over_time": plots.over_time(leader),
            "importance": plots.importance(moved),
        },
        texts={
            "model_card.md": model_card(learned, study.counts, [*company.notices(), *study.screening.sentences], decision.reasons, groups.sentences),
            "leakage.csv": study.screening.table().to_csv(index=False),
            "segments.csv": groups.segments.to_csv(index=False),
            "fairness.csv": groups.fairness.to_csv(index=False),
            "calibration.csv": pd.concat([learned.choice.table(), learned.following.table()]).to_csv(index=False),
            "blend.csv": learned.blending.table().to_csv(index=False),
            "amount.csv": learned.worth.table().to_csv(index=False),
            "points_table.csv": learned.points.to_csv(index=False),
            "gate.html": verdict(decision, settings.company.name, scorer),
            "features.json": json.dumps(names, ensure_ascii=False),
        },
        tables={"predictions.parquet": learned.backtest.predictions(learned.leader)},
        tags={
            "dataset_digest": digest(study.frame),
            **origin_of(company),
            **decision.tags(),
            "fields_refused": ", ".join(finding.field for finding in study.screening.leading if not finding.allowed),
        },
        counts=study.screening.counts,
    )


def settled(company: Company) -> dict[str, Any]:
    """What leadscore.toml says of outcome and training, as a run keeps it."""
    settings = company.settings
    return {
        **{f"outcome.{key}": value for key, value in settings.outcome.model_dump().items()},
        **{f"training.{key}": value for key, value in settings.training.model_dump().items()},
    }


def figures_of(learned: Learned) -> dict[str, Estimate]:
    """The leader's figures under their names, and every racer's under its own."""
    each = {f"{_key(name)}.{metric}": found for name, figures in learned.metrics.items() for metric, found in figures.items()}
    return {**learned.metrics[learned.leader], **each}


def _key(racer: str) -> str:
    """A racer's name as MLflow takes it for that of a metric: letters, digits and underscores."""
    return re.sub(r"\W+", "_", racer)


def digest(frame: pd.DataFrame) -> str:
    """A fingerprint of a table: equal for equal rows in equal order."""
    return sha256(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes()).hexdigest()[:16]


def _sampled(study: Study) -> list[str]:
    weight = float(study.frame["weight"].iloc[0])
    kept, every = study.counts["learned from"], study.counts["examples"]
    return [f"Of {every:,} examples {kept:,} were learned from, one night in {weight:.0f} of each lead, each counting {weight:.0f}."] * (weight > 1)


def tell(company: Company, study: Study, learned: Learned, groups: Groups, decision: Decision, version: str) -> Report:
    """The training in words, and as artifacts beside the run."""
    rows = racers(learned)
    create_table_artifact(list(rows), key="backtest", description="Every model on nights it had not seen, with 95 % intervals")
    create_markdown_artifact("\n".join(f"- {reason}" for reason in decision.reasons), key="gate", description="Why it was promoted or not")
    best = learned.metrics[learned.leader]["worked_share"]
    facts = {
        "model": learned.leader,
        "version": version,
        "champion": decision.promote,
        "examples": study.counts["examples"],
        "learned from": study.counts["learned from"],
        "conversions": study.counts["conversions"],
        "unripe": study.counts["unripe"],
    }
    said = study.plan.outcome.words
    notices = (
        f"To {said.get} 9 of 10 {said.found}, work {100 * best.value:.0f} of 100 {said.who}s, {said.first} "
        f"(95 % interval {100 * best.low:.0f} to {100 * best.high:.0f}); in random order it takes 90.",
        why_leader(learned),
        *remarks(learned.scorer.model),
        *learned.search.sentences,
        f"Calibration is {learned.scorer.calibration.name}: {learned.choice.because}.",
        f"The base rate is {'followed' if learned.scorer.recent_days else 'not followed'} from night to night: an intercept from the newest ripe "
        f"nights {learned.following.because}.",
        learned.worth.sentence(said.who, learned.scorer.value),
        *groups.sentences,
        *study.screening.sentences,
        *company.notices(),
        *learned.backtest.skipped,
        *_sampled(study),
        *(f"Gate: {reason}." for reason in (*decision.reasons, *([decision.list_change] if decision.list_change else []))),
    )
    return Report("train", facts, rows, notices, refused=not decision.promote)


def racers(learned: Learned) -> tuple[dict[str, str], ...]:
    """Every racer's figures with their intervals, a row each; blank is what cannot be asked of it."""
    shown = ("roc_auc", "average_precision", "log_loss", "calibration_slope", "precision_at_10", "worked_share")
    return tuple({"model": name, **{metric: str(found.get(metric, "")) for metric in shown}} for name, found in learned.metrics.items())


def why_leader(learned: Learned) -> str:
    """Every racer's log-loss, the folds that did not choose, what a blend of them is made of, and why it leads or does not."""
    losses = ", ".join(f"{name} {loss:.4f}" for name, loss in learned.losses().items())
    leader = "a blend" if learned.blending.leads else learned.leader
    head = f"The model is {leader} for the lowest log-loss on nights it had not seen, which is the truest probability ({losses})."
    return " ".join(filter(None, (head, poor_folds(learned.backtest), learned.blending.sentence)))
