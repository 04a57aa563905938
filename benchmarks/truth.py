"""How much of what can be known do the scores know? Every model on tonight's open leads of made-up companies, against the exact truth.

    make bench NAME=truth

Every open lead of a made-up company has a true probability, so nothing depends on one night's luck: the figures are expectations under the truth.
*Knowable information* is the share of what could be known that a score knows:

    (log-loss of the base rate - log-loss of the score) / (log-loss of the base rate - log-loss of the knowable truth)
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.companies import made_up, study_of
from benchmarks.peers import rows_per_second, spent
from benchmarks.results import figures, tell
from features import examples
from features.labels import as_known
from models.calibration import log_loss_of
from models.metrics import Floats, Judged, evaluate, measures
from models.race import Learned, racers_of
from pipelines.crm.simulator import TRUTH
from pipelines.study import Study
from pipelines.train import learn_models

SEEDS = (1, 2, 3, 4, 5)
LEADS = 20_000
SHOWN = ("roc_auc", "average_precision", "log_loss", "calibration_slope")
Score = Callable[[pd.DataFrame], Floats]


def main() -> None:
    """Print one row a seed and model."""
    tell("truth", [row for seed in SEEDS for row in tonight_of(seed)])


def tonight_of(seed: int) -> Iterator[dict[str, Any]]:
    """Every model, and the one that the product chose, on tonight's open leads of one made-up company."""
    print(f"  simulated company, seed {seed} ...", file=sys.stderr, flush=True)
    with made_up(seed, LEADS) as company:
        study = study_of(company)
        learned = learn_models.fn(company, study)
        tonight = examples.snapshot(company.crm, company.nights(company.night(None)), study.plan).execute().sort_values("lead_id", ignore_index=True)
        known = pd.read_parquet(Path(company.settings.source_location) / TRUTH).set_index("lead_id")
    truth = known.loc[tonight["lead_id"], "knowable"].to_numpy()
    for name, score, cpu in _fitted(study, learned):
        log_odds = score(tonight)
        rows = expected(tonight.assign(weight=1.0), truth, log_odds)
        yield {
            "data": "simulated",
            "model": name,
            "seed": seed,
            **figures(evaluate(rows), SHOWN),
            "knowable_information": round(knowable_information(rows, truth), 4),
            "average_precision_of_truth": round(_precision(rows) / _precision(expected(tonight.assign(weight=1.0), truth, odds(truth))), 4),
            "train_cpu_s": cpu and round(cpu, 1),
            "score_rows_per_s": round(rows_per_second(score, tonight)),
        }


def _fitted(study: Study, learned: Learned) -> Iterator[tuple[str, Score, float | None]]:
    """Each model learned from everything ripe, with the processor seconds that took; last the product's own choice, calibrated."""
    known = as_known(study.frame, learned.scorer.known_until, study.plan.timeline)
    for name, fit in racers_of(study.plan, learned.params, seed=7).items():
        model, cpu = spent(partial(fit, known, study.features))
        yield name, model.log_odds, cpu
    yield f"champion ({learned.leader})", learned.scorer.log_odds, None


def odds(truth: Floats) -> Floats:
    """Probabilities as log-odds."""
    return np.asarray(np.log(truth / (1 - truth)))


def expected(rows: pd.DataFrame, truth: Floats, log_odds: Floats) -> Judged:
    """Each lead-night twice, once converted and once not, weighing as much as the truth says: figures of these rows are expectations.

    Parameters
    ----------
    rows : lead_id, as_of, weight.
    truth : probability of each.
    """
    return Judged(
        np.repeat([True, False], len(truth)),
        np.tile(log_odds, 2),
        np.concatenate([truth, 1 - truth]) * np.tile(rows["weight"].to_numpy(dtype=float), 2),
        np.tile(rows["lead_id"].to_numpy(dtype=object), 2),
        np.tile(rows["as_of"].to_numpy(), 2),
    )


def knowable_information(rows: Judged, truth: Floats) -> float:
    """The share of what could be known that a score knows: see above.

    Parameters
    ----------
    rows : what `expected` returned.
    truth : the probabilities that it was given.
    """
    base = float(np.average(rows.converted, weights=rows.weight))

    def loss(log_odds: Floats) -> float:
        return log_loss_of(rows.converted, log_odds, rows.weight)

    ignorant, best = loss(np.full(len(rows.converted), odds(np.asarray(base)))), loss(np.tile(odds(truth), 2))
    return (ignorant - loss(rows.log_odds)) / (ignorant - best)


def _precision(rows: Judged) -> float:
    return measures(rows)["average_precision"](rows.weight)


if __name__ == "__main__":
    main()
