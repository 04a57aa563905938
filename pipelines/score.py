"""`score`: rank the open leads of a night with reasons, keep the scores, and write what sales works from."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path

import pandas as pd
from prefect import flow, task
from prefect.artifacts import create_link_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

from features import examples
from features.problem import Problem
from models.baserate import Shift
from models.grade import grades
from models.ranking import rank
from models.reasons import reasons
from models.registry import Champion
from models.scorer import Scorer
from pipelines.baserate import followed
from pipelines.circumstances import circumstances
from pipelines.company import Company, open_company
from pipelines.delivery.folder import publish_folder
from pipelines.delivery.night import Night
from pipelines.delivery.page import page
from pipelines.delivery.sheet import sheet
from pipelines.delivery.workbook import workbooks
from pipelines.nextstep import next_steps
from pipelines.post import Posted, post
from pipelines.progress import step
from pipelines.registry import registry_of
from pipelines.report import Report
from pipelines.settings import read_settings


@flow(name="score")
def score(config: Path = Path("leadscore.toml"), as_of: date | None = None, outcome: str | None = None) -> Report:
    """Give every open lead of a night a probability, a rank and reasons; replace that night in the ledger and in the lists.

    Parameters
    ----------
    config : the company's leadscore.toml.
    as_of : the local day of the night; default: the first night that the last extract can serve.
    outcome : the name of one outcome; default: every one, in turn.

    Raises
    ------
    Problem : no champion, no open lead, or a column missing that the champion needs. Yesterday's list then stays as it is.
    """
    settings = read_settings(config)
    with open_company(settings) as company:
        stale = None if as_of else company.stale(datetime.now(UTC).replace(tzinfo=None))
        return company.each_outcome(outcome, partial(score_outcome, as_of=as_of, stale=stale))


def score_outcome(company: Company, as_of: date | None, stale: str | None) -> Report:
    """One outcome's night: see `score`."""
    night = company.night(as_of)
    champion = fetch_champion(company, night if as_of else None)
    known = build_snapshot(company, champion, night)
    champion, shift = follow_base_rate(company, champion, night)
    ranked = rank_leads(company, champion, known, night)
    publish_night(company, ranked, night, shift)
    folder = write_lists(company, champion, night)
    # A past night is nobody's list for tomorrow.
    posted = send_lists(company, champion, night, folder) if company.settings.delivery.mail.server and as_of is None else None
    return tell(company, champion, ranked, night, folder, stale, posted)


@flow(name="backfill")
def backfill(config: Path, first: date, last: date, outcome: str | None = None) -> Report:
    """Score past nights one after the other, each with what was known then and the model in use then.

    Raises
    ------
    Problem : no model had been trained by one of the nights.
    """
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    nights = [score(config, day, outcome) for day in days]
    rows = tuple(night.facts for night in nights)
    return Report("backfill", {"nights": len(days)}, rows)


@task(cache_policy=NO_CACHE)
def fetch_champion(company: Company, night: datetime | None) -> Champion:
    """The model in use; for a named night, the one that was in use then."""
    registry = registry_of(company.settings)
    with step("Fetching the champion"):
        champion = registry.champion() if night is None else registry.champion_at(night)
    company.must_predict(champion.scorer.plan)
    return champion


@task(cache_policy=NO_CACHE)
def build_snapshot(company: Company, champion: Champion, night: datetime) -> pd.DataFrame:
    """What was known of every open lead strictly before the night."""
    _has_columns(company, champion)
    with step(f"Building the features of {night:%Y-%m-%d}"):
        known = examples.snapshot(company.crm, company.nights(night), champion.scorer.plan).execute()
    if known.empty:
        nobody = "No customer is to be scored" if company.settings.outcome.rule.of_customers else "No lead is open"
        raise Problem(
            f"{nobody} on {night:%Y-%m-%d}, so there is nothing to rank and the last list stays: check that the extract reaches that night "
            f"(it ends on {company.extracted_at:%Y-%m-%d}), or name another with --as-of."
        )
    return known.sort_values("lead_id", ignore_index=True)


def _has_columns(company: Company, champion: Champion) -> None:
    if missing := company.lacks(champion.scorer.plan):
        raise Problem(
            f"The champion needs {', '.join(missing)}, which the last extract did not bring: "
            "restore the column in the source, or run `leadscore train`."
        )


@task(cache_policy=NO_CACHE)
def follow_base_rate(company: Company, champion: Champion, night: datetime) -> tuple[Champion, Shift | None]:
    """Move the champion's intercept to where the newest ripe nights are, if training found that this helps."""
    if not champion.scorer.recent_days:
        return champion, None
    with step("Looking at the newest ripe nights"):
        return followed(company, champion, night)


@task(cache_policy=NO_CACHE)
def rank_leads(company: Company, champion: Champion, known: pd.DataFrame, night: datetime) -> pd.DataFrame:
    """Probability, place, tier and reasons of every lead: the rows of the ledger."""
    scorer, settings = champion.scorer, company.settings
    with step(f"Scoring {len(known):,} {settings.outcome.rule.words.those}"):
        ranked = rank(_scores(company, scorer, known, night), company.capacities(), company.list_rules(), settings.training.seed, night)
    with step("Asking what would change it"):
        steps = next_steps(company, scorer, known[known["lead_id"].isin(ranked.loc[ranked["listed"], "lead_id"])], night)
    before = company.warehouse.last_probabilities(night, settings.chosen)
    digest = sha256(pd.util.hash_pandas_object(known, index=False).to_numpy().tobytes()).hexdigest()[:16]
    return ranked.assign(
        as_of=night,
        change=ranked["probability"] - ranked["lead_id"].map(before),
        next_step=ranked["lead_id"].map(steps).astype(object),
        model_name=scorer.name,
        model_version=champion.version,
        features_digest=digest,
        run_id=sha256(f"{night} {champion.version} {champion.run_id} {digest}".encode()).hexdigest()[:16],
        # The instant the scores speak for; a night scored again must be the same to the byte.
        scored_at=night,
    )


def _scores(company: Company, scorer: Scorer, known: pd.DataFrame, night: datetime) -> pd.DataFrame:
    """What each lead's score is, why, and what else is to be minded of it."""
    contributions, probability, wanted = scorer.contributions(known), scorer.probability(known), company.settings.list
    scores = known[["lead_id", "owner_id", "account_id"]].assign(
        probability=probability,
        expected_value=probability * scorer.amounts(known),
        reasons=reasons(contributions, known, scorer.features, scorer.yardstick),
    )
    graded = grades(contributions, scorer.features, scorer.plan, wanted.fit, wanted.engagement)
    return pd.concat([scores, graded, circumstances(company, scorer.plan, known, night)], axis=1)


@task(cache_policy=NO_CACHE)
def publish_night(company: Company, ranked: pd.DataFrame, night: datetime, shift: Shift | None) -> None:
    """Replace the night in the ledger in one transaction, and what was added to its scores."""
    with step("Publishing the night"):
        company.warehouse.publish_night(night, ranked, (shift.value, shift.leads, shift.sentence) if shift else None, company.settings.chosen)


@task(cache_policy=NO_CACHE)
def write_lists(company: Company, champion: Champion, night: datetime) -> Path:
    """The page, the CSV and the workbooks that sales opens, from what stands in the ledger."""
    day = company.settings.timeline.day(night)
    with step("Writing the list"):
        seen = as_seen(company, champion, night)
        files = {"index.html": page(seen), "leads.csv": sheet(seen), **workbooks(seen)}
        return publish_folder(company.settings.lists_folder / str(day), files)


@task(cache_policy=NO_CACHE)
def send_lists(company: Company, champion: Champion, night: datetime, folder: Path) -> Posted:
    """Mail every rep their list of tonight, once; what could not be mailed is said, and the lists in their folder stay."""
    owners = company.crm.owners.select("owner_id", "email").execute().dropna()
    known = dict(zip(owners["owner_id"], owners["email"], strict=True))
    with step("Mailing the lists"):
        seen, now = as_seen(company, champion, night), datetime.now(UTC).replace(tzinfo=None)
        return post(company.settings.delivery.mail, company.warehouse, seen, folder, known, now)


def as_seen(company: Company, champion: Champion, night: datetime) -> Night:
    """A night of the ledger with names instead of ids, and what there is to say about it."""
    settings, ledger = company.settings, company.warehouse.read_night(night, company.settings.chosen)
    leads, owners = company.crm.leads.select("lead_id", "name", "company").execute(), company.crm.owners.execute()
    past = company.warehouse.histories(night, outcome=settings.chosen)
    past["point"] = list(zip(past["as_of"].dt.strftime("%Y-%m-%d"), past["probability"], strict=True))
    histories = past.groupby("lead_id")["point"].agg(list)
    owner_names = owners.set_index("owner_id")["name"]
    shown = ledger.merge(leads, on="lead_id", how="left").assign(
        reasons=lambda t: t["reasons"].map(json.loads),
        history=lambda t: t["lead_id"].map(histories),
        owner=lambda t: t["owner_id"].map(owner_names).astype(object).fillna(t["owner_id"]),
        name=lambda t: t["name"].fillna("").astype(object),
        company=lambda t: t["company"].fillna("").astype(object),
    )
    return Night(
        settings.company.name,
        settings.company.currency,
        settings.timeline.day(night),
        settings.outcome.horizon_days,
        settings.outcome.name,
        shown,
        (*_belief(company, champion), *company.warehouse.shift(night, settings.chosen)),
        (*_resting(shown), *company.notices()),
        words=settings.outcome.rule.words,
        as_of=night,
        chosen=settings.chosen,
        crm_link=settings.delivery.crm_link,
    )


def _resting(shown: pd.DataFrame) -> tuple[str, ...]:
    """Who is left out of the calls, and why, as one sentence."""
    counts = shown["left_out"].fillna("").loc[lambda why: why != ""].value_counts()
    # By hand each has words of its own.
    by_rule = counts[~counts.index.str.startswith("off the list")]
    said = [f"{times:,}: {why}" for why, times in sorted(by_rule.items(), key=lambda one: (-one[1], one[0]))]
    said += [f"{counts.sum() - by_rule.sum():,}: off the list by hand"] * bool(counts.sum() > by_rule.sum())
    return (f"Left out of the calls today: {'; '.join(said)}.",) if said else ()


def _belief(company: Company, champion: Champion) -> tuple[str, ...]:
    """How far to believe it, from the run that the champion came from."""
    settings, scorer = company.settings, champion.scorer
    if scorer.caveat:
        return (*_caveat(champion), f"A points table ranks the {settings.outcome.rule.words.those} until then (version {champion.version}).")
    said, found = settings.outcome.rule.words, registry_of(settings).run_metrics(champion.run_id)
    share, slope = found["worked_share"], found["calibration_slope"]
    return (
        f"On past nights it had not seen, {100 * share:.0f} of 100 {said.who}s, {said.first}, held 9 of 10 {said.found} "
        f"(95 % interval {100 * found['worked_share_low']:.0f} to {100 * found['worked_share_high']:.0f}); in random order that takes 90.",
        f"The best tenth of a night {said.rate} {found['lift_at_10']:.1f} times as often as the average "
        f"({found['lift_at_10_low']:.1f} to {found['lift_at_10_high']:.1f}).",
        f"Calibration slope {slope:.2f} ({found['calibration_slope_low']:.2f} to {found['calibration_slope_high']:.2f}); 1 is perfect.",
        *_worth(scorer, said.who),
        f"Model: {scorer.model.name}, version {champion.version}, learned from what was known until {scorer.known_until:%Y-%m-%d}.",
    )


def _worth(scorer: Scorer, who: str) -> tuple[str, ...]:
    """What expected value is, where there is any."""
    if scorer.amount:
        return (f"Expected value is the probability times the amount expected of each {who}, should it come to that.",)
    return () if scorer.value is None else (f"Expected value is the probability times the average amount, the same for every {who}.",)


def _caveat(champion: Champion) -> tuple[str, ...]:
    """Where scores are not learned, what they are."""
    return tuple(f"These scores are {caveat}." for caveat in [champion.scorer.caveat] if caveat)


def tell(
    company: Company, champion: Champion, ranked: pd.DataFrame, night: datetime, folder: Path, stale: str | None, posted: Posted | None
) -> Report:
    """The night in words, its first leads as a table, and a link to the page.

    Parameters
    ----------
    stale : see `Company.stale`; a list from an old source is made, and is not called done.
    posted : what came of the mail; None where none was to be sent.
    """
    names = company.crm.leads.select("lead_id", "name", "company").execute().set_index("lead_id").fillna("")
    top = ranked.head(10)
    rows = tuple(
        {
            "rank": int(lead.rank),
            "lead": lead.lead_id,
            "name": names["name"].get(lead.lead_id, ""),
            "company": names["company"].get(lead.lead_id, ""),
            "owner": lead.owner_id,
            "probability": round(float(lead.probability), 3),
            "why": "; ".join(reason["words"] for reason in lead.reasons[:2]),
        }
        for lead in top.itertuples()
    )
    create_table_artifact([{**row, "name": "", "company": ""} for row in rows], key="list", description=f"The first ten of {night:%Y-%m-%d}")
    create_link_artifact(f"file://{folder / 'index.html'}", key="page", description="The page of the night")
    said = company.settings.outcome.rule.words
    facts = {
        "night": str(company.settings.timeline.day(night)),
        said.those: len(ranked),
        "listed": int(ranked["listed"].sum()),
        f"expected {said.noun} among them": round(float(ranked.loc[ranked["listed"], "probability"].sum()), 1),
        "page": str(folder / "index.html"),
        **({} if posted is None else {"mailed": posted.sent}),
    }
    notices = (
        *([stale] if stale else []),
        *(posted.notices if posted else []),
        *_caveat(champion),
        *company.warehouse.shift(night, company.settings.chosen),
        *company.notices(),
    )
    return Report("score", facts, rows, notices, refused=stale is not None or bool(posted and posted.failed))
