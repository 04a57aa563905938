"""How good are the scores beside what else there is? Three real companies and five made-up ones, everybody on the same folds and features.

    make bench NAME=quality

The product runs beside a points table, a logistic model, LightGBM as it comes, FLAML, and AutoGluon with two presets: see `benchmarks.contestants`
for the terms, `benchmarks.contest` for the rules. It takes about an hour on two cores. A shorter run, by the environment:

    QUALITY_DATA="olist maven-crm"   which companies; "simulated" is one of them
    QUALITY_LEADS=3000               of a made-up company
    QUALITY_SEEDS="1 2"              of the made-up companies
    QUALITY_BUDGET=0.2               times the peers' limits
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from typing import Any

from benchmarks.companies import REAL, SIMULATED, Case, real, simulated
from benchmarks.contest import FIGURES, JUDGED_BY, MODES, Contest, Entry, hold
from benchmarks.contestants import contestants
from benchmarks.results import figures, keep, say, tell
from benchmarks.verdict import costs, verdicts
from features.problem import Problem

LEADS = int(os.environ.get("QUALITY_LEADS", "20000"))
SEEDS = tuple(map(int, os.environ.get("QUALITY_SEEDS", "1 2 3 4 5").split()))
DATA = tuple(os.environ.get("QUALITY_DATA", " ".join((*REAL, SIMULATED))).split())
BUDGET = float(os.environ.get("QUALITY_BUDGET", "1"))
HANDICAPS = (
    "AutoGluon runs without PyTorch, which weighs gigabytes: it has its boosted trees, forests and ensembles, but neither neural networks nor its "
    "calibration by temperature. Under limits as short as these its trial of whether stacking overfits is off."
)


def main() -> None:
    """Print one row a company, mode and contestant, and what they say of the product."""
    contests: list[Contest] = []
    missing: list[str] = []
    rows: list[dict[str, Any]] = []
    for case in cases(missing):
        for mode in MODES:
            contests.append(_held(case, mode))
            rows += [row(contests[-1], entry) for entry in contests[-1].entries]
            keep("quality", rows)
    absent = [words for contest in contests for words in contest.absent]
    tell("quality", rows, (*missing, *absent, *verdicts(contests), *costs(contests), HANDICAPS), [brief(row) for row in rows])


def cases(missing: list[str]) -> Iterator[Case]:
    """The companies asked for, one after the other; those that are not there are noted as missing."""
    for name in DATA:
        for make in [partial(simulated, seed, LEADS) for seed in SEEDS] if name == SIMULATED else [partial(real, name)]:
            say(f"{name}: building its examples")
            try:
                case = make()
            except Problem as problem:
                missing.append(str(problem))
            else:
                yield case


def _held(case: Case, mode: str) -> Contest:
    return hold(case, mode, contestants(BUDGET), lambda words: say(f"{case.data}, seed {case.seed}, {mode}: {words}"))


def row(contest: Contest, entry: Entry) -> dict[str, Any]:
    """One contestant's showing as a line: its figures, and how far behind the first it is, each with its 95 % interval."""
    behind = {figure: contest.behind(entry, figure) for figure in JUDGED_BY}
    return {
        "data": contest.case.data,
        "seed": contest.case.seed,
        "mode": contest.mode,
        "model": entry.contestant,
        "fits": entry.terms.fits,
        "limit_s": entry.terms.seconds,
        **figures(entry.found, FIGURES),
        **figures(behind, JUDGED_BY, "_behind"),
        "knowable_information": entry.information and round(entry.information, 4),
        "train_cpu_s": round(entry.cpu_seconds, 2),
        "score_rows_per_s": round(entry.rows_per_second),
    }


def brief(row: dict[str, Any]) -> dict[str, Any]:
    """A row as a person reads it: a figure and its interval in one cell, what there is none of left empty."""
    cells: dict[str, Any] = {}
    for name, value in row.items():
        if f"{name}_low" in row:
            cells[name] = f"{value:.3f} ({row[f'{name}_low']:.3f} to {row[f'{name}_high']:.3f})"
        elif not name.endswith(("_low", "_high")):
            cells[name] = "" if value is None else value
    return cells


if __name__ == "__main__":
    main()
