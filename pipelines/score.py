"""`score`: rank the open leads of a night with reasons, keep the scores, and write what sales works from."""

from __future__ import annotations

from contextlib import nullcontext
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
from pipelines.delivery.lists import publish_lists
from pipelines.delivery.night import Night
from pipelines.journal import HOOKS, about
from pipelines.lineage import lineage_of
from pipelines.nextstep import next_steps
from pipelines.post import Posted, post
from pipelines.progress import step
from pipelines.registry import registry_of
from pipelines.report import Report
from pipelines.settings import read_settings
from pipelines.stages import is_over, is_published, night_inputs, once
from pipelines.standby import champion_of
from pipelines.tonight import caveat, tonight


@flow(name="score", **HOOKS)
def score(
    config: Path = Path("leadscore.toml"), as_of: date | None = None, outcome: str | None = None, due: date | None = None, resume: bool = False
) -> Report:
    """Give every open lead of a night a probability, a rank and reasons; replace that night in the ledger and in the lists.

    Parameters
    ----------
    config : the company's leadscore.toml.
    as_of : the local day of the night; default: the first night that the last extract can serve.
    outcome : the name of one outcome; default: every one, in turn.
    due : the local day of the night that a schedule means, where none is named as `as_of`: see `Company.night_due`.
    resume : a night that was published from the very same inputs stands, and is not scored again.

    Raises
    ------
    Problem : no champion, no open lead, or a column missing that the champion needs. Yesterday's list then stays as it is.
    """
    settings = read_settings(config)
    with open_company(settings) as company:
        night = company.night_due(due) if due and not as_of else company.night(as_of)
        now = datetime.now(UTC).replace(tzinfo=None)
        # Whoever names a night wants to look at it; whoever names none wants the list of tonight to reach those who work from it.
        newest = as_of is None and company.is_newest(night, now)
        stale = company.stale(now) if newest else None
        how = partial(
            score_outcome, night=night, then=bool(as_of or due), newest=newest, stale=stale, resume=resume, by_schedule=bool(due and not as_of)
        )
        return company.each_outcome(outcome, how)


def score_outcome(company: Company, night: datetime, then: bool, newest: bool, stale: str | None, resume: bool, by_schedule: bool) -> Report:
    """One outcome's night: see `score`.

    Parameters
    ----------
    then : whether the champion is the one of the night, and not the one of now.
    newest : whether sales works from this night.
    stale : see `Company.stale`.
    by_schedule : whether a schedule means the night, and no person named it.
    """
    about(night, company.settings.chosen)
    if by_schedule and is_over(company, night):
        return Report("score", {"night": str(company.settings.timeline.day(night))}, notices=(over(company, night),), refused=True)
    champion = fetch_champion(company, night if then else None, newest)
    inputs = night_inputs(company, champion, night, newest, stale)
    work = partial(score_night, company, champion, night, newest, stale)
    stands = (lambda _: is_published(company, night)) if resume else None
    return once(lambda: nullcontext(company.warehouse), "score", inputs, work, stands, company.settings.chosen)


def over(company: Company, night: datetime) -> str:
    """Why a night that was published long ago stands."""
    day = company.settings.timeline.day(night)
    return (
        f"The night of {day} was published before, and sales has worked from it since: it stands. If this run was meant for another, the clock of "
        f"this machine is wrong; if the list is to be another one, `leadscore score --as-of {day}` scores it again."
    )


def score_night(company: Company, champion: Champion, night: datetime, newest: bool, stale: str | None) -> Report:
    """One outcome's night, from what was known to what sales opens."""
    known = build_snapshot(company, champion, night)
    champion, shift = follow_base_rate(company, champion, night)
    ranked = rank_leads(company, champion, known, night)
    publish_night(company, champion, ranked, night, shift)
    seen = see_night(company, champion, night)
    folder = write_lists(company, seen)
    # A past night is nobody's list for tomorrow.
    posted = send_lists(company, seen, folder) if company.settings.delivery.mail.server and newest else None
    return tell(company, champion, seen, folder, stale, posted)


@flow(name="backfill", **HOOKS)
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
def fetch_champion(company: Company, night: datetime | None, newest: bool = True) -> Champion:
    """The model in use, for a named night the one that was in use then; for the newest, the copy of it where the registry does not answer."""
    with step("Fetching the champion"):
        now = datetime.now(UTC).replace(tzinfo=None)
        champion = registry_of(company.settings).champion_at(night) if night and not newest else champion_of(company.settings, now, night)
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
def publish_night(company: Company, champion: Champion, ranked: pd.DataFrame, night: datetime, shift: Shift | None) -> None:
    """Replace the night in the ledger in one transaction, with what was added to its scores and what they are made of."""
    shifted = (shift.value, shift.leads, shift.sentence) if shift else None
    with step("Publishing the night"):
        company.warehouse.publish_night(night, ranked, shifted, company.settings.chosen, lineage_of(company, champion).row())


@task(cache_policy=NO_CACHE)
def see_night(company: Company, champion: Champion, night: datetime) -> Night:
    """The night as sales sees it, from what stands in the ledger."""
    with step("Gathering what sales sees"):
        return tonight(company, champion, night)


@task(cache_policy=NO_CACHE)
def write_lists(company: Company, seen: Night) -> Path:
    """The page, the CSV and the workbooks that sales opens."""
    with step("Writing the list"):
        return publish_lists(company.settings.lists_folder / str(seen.day), seen)


@task(cache_policy=NO_CACHE)
def send_lists(company: Company, seen: Night, folder: Path) -> Posted:
    """Mail every rep their list of tonight, once; what could not be mailed is said, and the lists in their folder stay."""
    owners = company.crm.owners.select("owner_id", "email").execute().dropna()
    known, now = dict(zip(owners["owner_id"], owners["email"], strict=True)), datetime.now(UTC).replace(tzinfo=None)
    with step("Mailing the lists"):
        return post(company.settings.delivery.mail, company.warehouse, seen, folder, known, now)


def tell(company: Company, champion: Champion, seen: Night, folder: Path, stale: str | None, posted: Posted | None) -> Report:
    """The night in words, its first leads as a table, and a link to the page. Reports end in logs: the page has the names, the report ids.

    Parameters
    ----------
    stale : see `Company.stale`; a list from an old source is made, and is not called done.
    posted : what came of the mail; None where none was to be sent.
    """
    rows = tuple(
        {
            "rank": int(lead.rank),
            "lead": lead.lead_id,
            "owner": lead.owner_id,
            "probability": round(float(lead.probability), 3),
            "why": "; ".join(reason["words"] for reason in lead.reasons[:2]),
        }
        for lead in seen.leads.head(10).itertuples()
    )
    # Prefect keeps artifacts for good, so that whom they name could not be erased.
    first = [{key: row[key] for key in ("rank", "owner", "probability")} for row in rows]
    create_table_artifact(first, key="list", description=f"The first ten of {seen.as_of:%Y-%m-%d}")
    create_link_artifact(f"file://{folder / 'index.html'}", key="page", description="The page of the night")
    said, listed = seen.words, seen.leads[seen.leads["listed"].astype(bool)]
    facts = {
        "night": str(seen.day),
        said.those: len(seen.leads),
        "listed": len(listed),
        **({"new on the list": int(listed["new"].sum())} if listed["new"].any() else {}),
        f"expected {said.noun} among them": round(float(listed["probability"].sum()), 1),
        "page": str(folder / "index.html"),
        **({} if posted is None else {"mailed": posted.sent}),
    }
    notices = (
        *([stale] if stale else []),
        *(posted.notices if posted else []),
        *caveat(champion),
        *company.warehouse.shift(company.night(seen.day), seen.chosen),
        *company.notices(),
    )
    return Report("score", facts, rows, notices, refused=stale is not None or bool(champion.minded) or bool(posted and posted.failed))
