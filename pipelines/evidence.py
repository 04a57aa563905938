"""What the gate judges by: both models on the same rows, the segments of those rows, and tonight with either of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from time import perf_counter

import numpy as np
import pandas as pd

from features import examples
from features.plan import Plan
from features.problem import Problem
from models.gate import Evidence, Tonight
from models.race import Learned
from models.ranking import Rules, rank
from models.registry import Champion
from models.scorer import Scorer
from models.setbacks import Values
from pipelines.company import Company

_TIMED = 2_000


def gather(company: Company, learned: Learned, champion: Champion) -> Evidence:
    """Let champion and challenger score the backtest's rows of nights that the champion never learned from, and tonight's open leads.

    The challenger appears without its calibration, which was fitted on these very rows.

    Raises
    ------
    Problem : the champion predicts something else, or needs a field that the last extract lacks, so that nothing can be compared.
    """
    horizon, theirs = company.settings.timeline.horizon_days, champion.scorer.plan.timeline.horizon_days
    if horizon != theirs:
        raise Problem(
            f"The champion predicts conversions within {theirs} days and this model within {horizon}, so that the two cannot be compared: "
            "restore [outcome] horizon_days, or make this version champion with `leadscore promote`."
        )
    if missing := company.lacks(champion.scorer.plan):
        raise Problem(
            f"The champion needs {', '.join(missing)}, which the last extract did not bring, so that the two cannot be compared: "
            "restore the column in the source, or make this version champion with `leadscore promote`."
        )
    rows = learned.backtest.rows
    later = (rows["as_of"] > champion.scorer.last_night).to_numpy()
    challenger = learned.backtest.judged(learned.leader).of(later)
    if not later.any():
        return Evidence(challenger, challenger, None, None)
    known = _known(company, rows[later], champion.scorer.plan)
    return Evidence(
        challenger,
        replace(challenger, log_odds=champion.scorer.log_odds(known)),
        _segments(company, known, champion.scorer),
        _tonight(company, learned.scorer, champion.scorer),
    )


def _known(company: Company, rows: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """What was known of the leads on the nights of some rows, in the order of the rows."""
    nights = company.nights(*rows["as_of"].unique())
    known = examples.snapshot(company.crm, nights, plan).execute()
    return rows[["lead_id", "as_of"]].merge(known, on=["lead_id", "as_of"], how="left", validate="one_to_one")


def _segments(company: Company, known: pd.DataFrame, scorer: Scorer) -> Mapping[str, Values]:
    """Every category that the champion knows, and the team that a lead's owner belongs to; the owner, where there are no teams."""
    owners = company.crm.owners.execute().set_index("owner_id")
    teams = known["owner_id"].map(owners["team"].dropna())
    sales = {"team": teams} if teams.notna().any() else {"owner": known["owner_id"].map(owners["name"]).fillna(known["owner_id"])}
    fields = {feature.field: known[feature.name] for feature in scorer.features if feature.kind == "category"}
    return {field: values.astype(object).where(values.notna(), None).to_numpy() for field, values in {**fields, **sales}.items()}


def _tonight(company: Company, challenger: Scorer, champion: Scorer) -> Tonight | None:
    """Both lists of the next night, without the share drawn at random, and how long scoring takes; None when no lead is open."""
    night = company.nights(company.night(None))
    theirs = examples.snapshot(company.crm, night, champion.plan).execute().sort_values("lead_id", ignore_index=True)
    if theirs.empty:
        return None
    same = challenger.plan == champion.plan
    ours = theirs if same else examples.snapshot(company.crm, night, challenger.plan).execute().sort_values("lead_id", ignore_index=True)
    new, old = _listed(company, challenger, ours), _listed(company, champion, theirs)
    return Tonight(len(theirs), len(old), len(old - new), _seconds(challenger, ours), _seconds(champion, theirs))


def _listed(company: Company, scorer: Scorer, known: pd.DataFrame) -> set[str]:
    scores = known[["lead_id", "owner_id"]].assign(probability=scorer.probability(known))
    ranked = rank(scores, company.capacities(), Rules(capacity=company.settings.list.capacity, route=False))
    return set(ranked.loc[ranked["listed"], "lead_id"])


def _seconds(scorer: Scorer, known: pd.DataFrame) -> float:
    """How long the open leads take, with what each feature adds; measured on some of them, the best of three."""
    some = known.head(_TIMED)

    def once() -> float:
        began = perf_counter()
        scorer.probability(some)
        scorer.contributions(some)
        return perf_counter() - began

    return float(np.min([once() for _ in range(3)])) * len(known) / len(some)
