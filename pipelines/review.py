"""`review`: what was scored and listed, and what became of the nights whose outcome is known by now."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from features.labels import label
from models.outcomes import judge
from pipelines.company import Company, open_company
from pipelines.journal import HOOKS
from pipelines.progress import step
from pipelines.report import Report
from pipelines.settings import read_settings
from pipelines.stages import once, review_inputs


@flow(name="review", **HOOKS)
def review(config: Path = Path("leadscore.toml"), outcome: str | None = None, resume: bool = False) -> Report:
    """Count every night of the ledger, and judge the ripe ones by what sales actually received.

    Parameters
    ----------
    outcome : the name of one outcome; default: every one, in turn.
    resume : nights that were reviewed from the very same inputs are not reviewed again.

    Raises
    ------
    Problem : nothing has been extracted yet.
    """
    settings = read_settings(config)
    with open_company(settings) as company:
        return company.each_outcome(outcome, partial(review_outcome, resume=resume))


def review_outcome(company: Company, resume: bool = False) -> Report:
    """One outcome's review: see `review`."""
    work = partial(review_nights, company)
    return once(
        lambda: nullcontext(company.warehouse), "review", review_inputs(company), work, (lambda _: True) if resume else None, company.settings.chosen
    )


def review_nights(company: Company) -> Report:
    """Count and judge the nights of one outcome."""
    counted = count_nights(company)
    judged = judge_ripe_nights(company)
    return tell(company, counted, judged)


@task(cache_policy=NO_CACHE)
def count_nights(company: Company) -> pd.DataFrame:
    """Per night: leads scored and listed, expected conversions, and the spread of the probabilities."""
    ledger = company.warehouse.ledger(company.settings.chosen)
    with step("Counting the nights"):
        nights = ledger.group_by("as_of").agg(
            scored=ledger.count(),
            listed=ledger.count(where=ledger.listed),
            expected=ledger.probability.sum(),
            lowest=ledger.probability.min(),
            median=ledger.probability.median(),
            highest=ledger.probability.max(),
        )
        return nights.order_by("as_of").execute()


@task(cache_policy=NO_CACHE)
def judge_ripe_nights(company: Company) -> pd.DataFrame:
    """Of the nights whose horizon has passed: conversions found by the list, and how well the probabilities held."""
    ledger = company.warehouse.ledger(company.settings.chosen)
    spine = ledger.select("lead_id", "as_of", "probability", "listed")
    if company.settings.outcome.population == "accounts":
        # A lead that was scored before it had an account, or before accounts were scored, is judged by nobody's purchases now.
        spine = spine.semi_join(company.crm.leads, "lead_id")
    labelled = label(company.crm, spine, company.settings.timeline, company.extracted_at, company.settings.outcome.rule)
    with step("Judging the ripe nights"):
        return judge(labelled.filter(labelled.ripe, labelled.converted.notnull()).execute())


def tell(company: Company, counted: pd.DataFrame, judged: pd.DataFrame) -> Report:
    """The review in words, and as a table beside the run."""
    if counted.empty:
        return Report("review", {"nights": 0}, notices=("No night has been scored yet: run `leadscore score`.",))
    rows: list[dict[str, Any]] = counted.tail(14).assign(as_of=lambda t: t["as_of"].astype(str)).to_dict("records")
    create_table_artifact(rows, key="review", description="The last nights of the ledger")
    last, noun = counted.iloc[-1], company.settings.outcome.rule.words.noun
    facts = {"nights": len(counted), "ripe nights": len(judged), f"expected {noun} of the last": round(float(last["expected"]), 1)}
    if not judged.empty:
        facts |= {"found by the lists": int(judged["listed_conversions"].sum()), f"of {noun}": int(judged["conversions"].sum())}
    return Report("review", facts, tuple(judged.tail(14).to_dict("records")), company.notices())
