"""How good are the scores? Simulated companies against their exact truth, real ones on later nights.

    make bench NAME=quality

On a simulated company every open lead of a future night has a true probability, so nothing depends on that night's luck: the figures are
expectations under the truth. *Knowable information* is the share of what could be known that a score knows:

    (log-loss of the base rate - log-loss of the score) / (log-loss of the base rate - log-loss of the knowable truth)

A real company is judged by its rolling backtest.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.results import tell
from features import examples
from features.labels import as_known
from models.calibration import log_loss_of
from models.metrics import Estimate, Floats, Judged, evaluate, measures
from models.race import Learned, racers_of
from pipelines.company import open_company
from pipelines.crm.load import load
from pipelines.crm.simulator import TRUTH, simulate
from pipelines.crm.tables import open_source
from pipelines.settings import Settings, read_settings
from pipelines.train import Study, build_examples, learn_models, screen_fields
from pipelines.warehouse import Warehouse

SEEDS = (1, 2, 3, 4, 5)
LEADS = 20_000
REAL = ("olist", "x-education", "maven-crm")
EXAMPLES = Path(__file__).parents[1] / "examples"
_SHOWN = ("roc_auc", "average_precision", "log_loss", "calibration_slope")
Score = Callable[[pd.DataFrame], Floats]


def main() -> None:
    """Print one row a data set, model and seed."""
    rows = [row for seed in SEEDS for row in simulated(seed)]
    missing = tuple(f"{name}: its data are not there, so it was left out." for name in REAL if not _source(name).exists())
    rows += [row for name in REAL if _source(name).exists() for row in real(name)]
    tell("quality", rows, missing)


def simulated(seed: int) -> Iterator[dict[str, Any]]:
    """Every model, and the one that the product chose, on tonight's open leads of one made-up company."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        _say(f"simulated company, seed {seed}")
        simulate(folder, leads=LEADS, seed=seed)
        study, learned, tonight = _trained(read_settings(folder / "leadscore.toml"))
        truth = pd.read_parquet(folder / TRUTH).set_index("lead_id").loc[tonight["lead_id"], "knowable"].to_numpy()
    for name, score, cpu in _fitted(study, learned):
        began = perf_counter()
        log_odds = score(tonight)
        speed = len(tonight) / (perf_counter() - began)
        yield _row("simulated", name, seed, evaluate(expected(tonight, truth, log_odds)), cpu, speed) | _against_truth(tonight, truth, log_odds)


def real(name: str) -> Iterator[dict[str, Any]]:
    """Every model on the later nights of a real company."""
    _say(name)
    with tempfile.TemporaryDirectory() as place:
        settings = read_settings(EXAMPLES / name / "leadscore.toml").model_copy(update={"home": Path(place)})
        study, learned, _ = _trained(settings)
    for model, score, cpu in _fitted(study, learned):
        if model in learned.metrics:
            began = perf_counter()
            score(study.frame)
            yield _row(name, model, settings.training.seed, learned.metrics[model], cpu, len(study.frame) / (perf_counter() - began))


def _source(name: str) -> Path:
    return Path(read_settings(EXAMPLES / name / "leadscore.toml").source_location)


def _trained(settings: Settings) -> tuple[Study, Learned, pd.DataFrame]:
    """The tasks of the flows `extract` and `train`, as plain functions, and the leads of tonight."""
    source = open_source(settings.source_location, settings.source.encoding)
    with Warehouse.open(settings.warehouse_url) as warehouse:
        load(settings, source, warehouse, datetime.now(UTC).replace(tzinfo=None), lambda share, words: None)
    with open_company(settings) as company:
        study = screen_fields.fn(company, build_examples.fn(company))
        learned = learn_models.fn(company, study)
        tonight = examples.snapshot(company.crm, company.nights(company.night(None)), study.plan).execute()
    return study, learned, tonight.sort_values("lead_id", ignore_index=True)


def _fitted(study: Study, learned: Learned) -> Iterator[tuple[str, Score, float | None]]:
    """Each model learned from everything ripe, with the processor seconds that took; last the product's own choice, calibrated."""
    known = as_known(study.frame, learned.scorer.known_until, study.plan.timeline)
    for name, fit in racers_of(learned.params, seed=7).items():
        began = process_time()
        model = fit(known, study.features)
        yield name, model.log_odds, process_time() - began
    yield f"champion ({learned.leader})", learned.scorer.log_odds, None


def expected(tonight: pd.DataFrame, truth: Floats, log_odds: Floats) -> Judged:
    """Each lead twice, once converted and once not, weighing as much as the truth says: figures of these rows are expectations."""
    return Judged(
        np.repeat([True, False], len(truth)),
        np.tile(log_odds, 2),
        np.concatenate([truth, 1 - truth]),
        np.tile(tonight["lead_id"].to_numpy(dtype=object), 2),
        np.tile(tonight["as_of"].to_numpy(), 2),
    )


def _against_truth(tonight: pd.DataFrame, truth: Floats, log_odds: Floats) -> dict[str, float]:
    best = np.log(truth / (1 - truth))
    base = np.full_like(best, np.log(truth.mean() / (1 - truth.mean())))

    def loss(odds: Floats) -> float:
        rows = expected(tonight, truth, odds)
        return log_loss_of(rows.converted, rows.log_odds, rows.weight)

    def precision(odds: Floats) -> float:
        rows = expected(tonight, truth, odds)
        return measures(rows)["average_precision"](rows.weight)

    return {
        "knowable_information": round((loss(base) - loss(log_odds)) / (loss(base) - loss(best)), 4),
        "average_precision_of_truth": round(precision(log_odds) / precision(best), 4),
    }


def _row(data: str, model: str, seed: int, found: dict[str, Estimate], cpu: float | None, speed: float) -> dict[str, Any]:
    figures = {name: round(value, 4) for metric in _SHOWN for name, value in _interval(metric, found[metric])}
    return {"data": data, "model": model, "seed": seed, **figures, "train_cpu_s": cpu and round(cpu, 1), "score_rows_per_s": round(speed)}


def _interval(metric: str, found: Estimate) -> list[tuple[str, float]]:
    return [(metric, found.value), (f"{metric}_low", found.low), (f"{metric}_high", found.high)]


def _say(words: str) -> None:
    print(f"  {words} ...", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
