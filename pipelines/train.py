"""`train`: learn from past nights whose outcome is known, test on later ones, promote only what is better."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path

import pandas as pd
from prefect import flow, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

from features import examples, leakage
from features.feature import Feature
from features.outcome import ever, value_of
from features.plan import Plan
from features.problem import Problem
from features.proxies import Finding, screen
from models import plots
from models.card import model_card
from models.gate import Decision, decide
from models.metrics import Judged
from models.race import Learned, learn
from models.reasons import fields
from models.registry import Champion, Registry, Training
from pipelines.company import Company, open_company
from pipelines.progress import step
from pipelines.report import Report
from pipelines.settings import read_settings


@dataclass(frozen=True)
class Study:
    """What a model is learned from: the plan of its features, the ripe examples, and what was found wrong with them."""

    plan: Plan
    features: tuple[Feature, ...]
    frame: pd.DataFrame
    counts: dict[str, int]
    findings: tuple[Finding, ...] = ()


@flow(name="train")
def train(config: Path = Path("leadscore.toml"), as_of: date | None = None, outcome: str | None = None) -> Report:
    """Register a model learned from every ripe night, and make it champion if there is none or it is better.

    Parameters
    ----------
    config : the company's leadscore.toml.
    as_of : learn as if this were tonight, with nothing known later; default: everything extracted.
    outcome : the name of one outcome; default: every one, in turn.

    Raises
    ------
    Problem : no ripe night, one class only, too few conversions, or a feature that changes when the future is cut off.
    """
    settings = read_settings(config)
    with open_company(settings) as today:
        return today.as_of(as_of).each_outcome(outcome, partial(train_outcome, past=as_of is not None))


def train_outcome(company: Company, past: bool) -> Report:
    """One outcome's training: see `train`."""
    study = build_examples(company)
    audit_truncation(company, study)
    study = screen_fields(company, study)
    learned = learn_models(company, study)
    decision = challenge_champion(company, learned, past)
    version = register(company, study, learned, decision)
    return tell(company, study, learned, decision, version)


@task(cache_policy=NO_CACHE)
def build_examples(company: Company) -> Study:
    """Stack the ripe past nights into one training table: features as of each night, and what became of each lead."""
    settings = company.settings
    rules, said = settings.outcome, settings.outcome.rule.words
    plan = examples.plan_from(company.crm, settings.timeline, company.attributes, rules.closed_statuses, outcome=rules.rule)
    past = company.past_nights()
    nights, ripe = company.nights(*past), company.nights(*(night for night in past if settings.timeline.is_ripe(night, company.extracted_at)))
    with step("Building the features of past nights"):
        counts = examples.counts(company.crm, nights, plan, company.extracted_at)
        _enough(company, counts)
        training = settings.training
        frame = examples.training(company.crm, ripe, plan, company.extracted_at, training.max_examples, training.nights_per_lead).execute()
    winners = int(frame.loc[frame["converted"].astype(bool), "lead_id"].nunique())
    if winners < settings.training.min_conversions:
        raise Problem(
            f"Only {winners} {said.who}s {said.rate} within the horizon on the ripe nights, fewer than [training] min_conversions = "
            f"{settings.training.min_conversions}: extract more history, lengthen [outcome] horizon_days, or lower min_conversions."
        )
    return Study(plan, examples.features_of(plan), frame, {**counts, "learned from": len(frame), "converted leads": winners})


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
    training = company.settings.training
    with step("Looking for fields that know the outcome"):
        winners = ever(company.crm, study.plan.outcome)
        findings = tuple(
            screen(study.frame, study.plan.attributes, training.allow, seed=training.seed, customers=winners, said=study.plan.outcome.words)
        )
    refused = {(finding.origin, finding.field) for finding in findings if not finding.allowed}
    kept = tuple(a for a in study.plan.attributes if (a.origin, a.name) not in refused)
    plan = replace(study.plan, attributes=kept)
    features = examples.features_of(plan)
    columns = ["lead_id", "as_of", "converted", "weight", *(feature.name for feature in features)]
    return replace(study, plan=plan, features=features, frame=study.frame[columns], findings=findings)


@task(cache_policy=NO_CACHE)
def learn_models(company: Company, study: Study) -> Learned:
    """Run points table, logistic model and boosted trees over past and later nights; refit the best on everything ripe."""
    training, amount = company.settings.training, value_of(company.crm, study.plan.outcome)
    with step("Learning, and testing on later nights") as progress:
        return learn(study.frame, study.features, study.plan, company.extracted_at, amount, training.seed, training.folds, training.trials, progress)


@task(cache_policy=NO_CACHE)
def challenge_champion(company: Company, learned: Learned, past: bool) -> Decision:
    """Let champion and challenger score the same later rows; the first model is promoted for want of another.

    Parameters
    ----------
    past : whether this is training as of a past night; its rival is then the champion of that night, not today's.
    """
    registry = Registry(company.settings.tracking_uri, company.settings.registry_name)
    champion = registry.champion_at_or_none(company.extracted_at) if past else registry.champion_or_none()
    if champion is None:
        return Decision(True, ("there was no champion",))
    if champion.scorer.plan.outcome != learned.scorer.plan.outcome:
        return Decision(True, ("the champion before it predicts another outcome, so there was none of this one",))
    with step("Comparing with the champion on the same nights"):
        return decide(*_same_rows(company, learned, champion), seed=company.settings.training.seed)


def _same_rows(company: Company, learned: Learned, champion: Champion) -> tuple[Judged, Judged]:
    """The backtest's rows of nights that the champion never learned from, as both see them.

    The challenger appears without its calibration, which was fitted on these very rows.
    """
    rows = learned.backtest.rows
    later = (rows["as_of"] > champion.scorer.last_night).to_numpy()
    challenger = learned.backtest.judged(learned.leader).of(later)
    if not later.any():
        return challenger, challenger
    nights = company.nights(*(pd.Timestamp(night).to_pydatetime() for night in rows.loc[later, "as_of"].unique()))
    known = examples.snapshot(company.crm, nights, champion.scorer.plan).execute()
    matched = rows.loc[later, ["lead_id", "as_of"]].merge(known, on=["lead_id", "as_of"], how="left", validate="one_to_one")
    return challenger, replace(challenger, log_odds=champion.scorer.log_odds(matched))


@task(cache_policy=NO_CACHE)
def register(company: Company, study: Study, learned: Learned, decision: Decision) -> str:
    """Log the training in MLflow, register its model, and move the champion alias if the gate says so."""
    rows = {name: learned.backtest.judged(name) for name in learned.backtest.log_odds}
    leader, scorer = rows[learned.leader], learned.scorer
    sample = study.frame.sample(min(len(study.frame), 2_000), random_state=company.settings.training.seed)
    with step("Recording the run in MLflow"):
        moved = fields(scorer.contributions(sample), study.features)
        training = Training(
            name=f"train as of {company.extracted_at:%Y-%m-%d}",
            params={
                "model": learned.leader,
                "features": len(study.features),
                **study.counts,
                **learned.params,
                "calibration": scorer.calibration.name,
            },
            metrics={
                **learned.metrics[learned.leader],
                **{f"{name.replace(' ', '_')}.{metric}": e for name, found in learned.metrics.items() for metric, e in found.items()},
            },
            folds={f"fold {fold.number + 1} from {fold.first:%Y-%m-%d}": learned.fold_metrics(fold.number) for fold in learned.backtest.folds},
            scorer=scorer,
            example=study.frame[[feature.name for feature in study.features]].head(5),
            figures={
                "gain": plots.gain(rows),
                "lift": plots.lift(rows),
                "reliability": plots.reliability(leader),
                "score_over_time": plots.over_time(leader),
                "importance": plots.importance(moved),
            },
            texts={
                "model_card.md": model_card(
                    learned, study.counts, [*company.warehouse.notices(), *(finding.sentence for finding in study.findings)], decision.reasons
                ),
                "points_table.csv": learned.points.to_csv(index=False),
            },
            tags={
                "gate": "promoted" if decision.promote else "refused",
                "dataset_digest": digest(study.frame),
                "reasons": "; ".join(decision.reasons),
            },
        )
        registry = Registry(company.settings.tracking_uri, company.settings.registry_name)
        version = registry.log(training)
        registry.conclude(version, decision.promote, decision.reasons, datetime.now(UTC).replace(tzinfo=None))
    return version


def digest(frame: pd.DataFrame) -> str:
    """A fingerprint of a table: equal for equal rows in equal order."""
    return sha256(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes()).hexdigest()[:16]


def _sampled(study: Study) -> list[str]:
    weight = float(study.frame["weight"].iloc[0])
    kept, every = study.counts["learned from"], study.counts["examples"]
    return [f"Of {every:,} examples {kept:,} were learned from, one night in {weight:.0f} of each lead, each counting {weight:.0f}."] * (weight > 1)


def tell(company: Company, study: Study, learned: Learned, decision: Decision, version: str) -> Report:
    """The training in words, and as artifacts beside the run."""
    shown = ("roc_auc", "average_precision", "log_loss", "calibration_slope", "precision_at_10", "worked_share")
    rows = tuple({"model": name, **{metric: str(found[metric]) for metric in shown}} for name, found in learned.metrics.items())
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
        _why_leader(learned),
        *(finding.sentence for finding in study.findings),
        *company.warehouse.notices(),
        *learned.backtest.skipped,
        *_sampled(study),
        *(f"Gate: {reason}." for reason in decision.reasons),
    )
    return Report("train", facts, rows, notices, refused=not decision.promote)


def _why_leader(learned: Learned) -> str:
    losses = ", ".join(f"{name} {loss:.4f}" for name, loss in learned.losses().items())
    return f"The model is {learned.leader} for the lowest log-loss on nights it had not seen, which is the truest probability ({losses})."
