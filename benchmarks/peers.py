# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = [
#   "autogluon.tabular[catboost,lightgbm]>=1.6",
#   "flaml[automl]>=2.3",
#   "lightgbm>=4.6",
#   "pandas>=2.2,<3",
#   "pyarrow>=18",
# ]
# [tool.uv]
# # A gigabyte for graphics cards, which XGBoost loads only where there are several.
# exclude-dependencies = ["nvidia-nccl-cu12"]
# ///
"""What the peers say: one of them learns a fold's past and scores its later nights, in an environment of its own.

    python benchmarks/peers.py FOLDER

reads `task.json` (peer, seconds, seed), `past.parquet` (lead_id, converted, weight and the features as they are) and `later.parquet` (the features)
in FOLDER, and writes `said.parquet` (probability, one a row of `later`) and `cost.json` (cpu_seconds, rows_per_second) beside them.

Peers are dealt with fairly: they are told to minimise log-loss, get the sample weights, and choose among their models on leads that these were not
learned from, because a lead comes night after night. They are installed from `peers.lock`, never with the product: AutoGluon needs pandas 2. Nothing
of the product is imported here, and no peer before it is asked.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import numpy as np
import pandas as pd

ROWS_TIMED = 20_000
_TIMES = 3
_NOT_FEATURES = ("lead_id", "converted", "weight")
_HELD_OUT = 0.2
Answer = TypeVar("Answer")
Chances = Callable[[pd.DataFrame], Any]
Peer = Callable[[pd.DataFrame, float, int, Path], Chances]


def fit_lightgbm(past: pd.DataFrame, seconds: float, seed: int, folder: Path) -> Chances:
    """LightGBM as it comes: `LGBMClassifier()`, texts and categories as pandas categories. It knows no time limit and validates nothing."""
    from lightgbm import LGBMClassifier

    features = past.drop(columns=[*_NOT_FEATURES])
    levels = {name: sorted(values.dropna().unique()) for name, values in features.items() if not pd.api.types.is_numeric_dtype(values)}

    def known(frame: pd.DataFrame) -> pd.DataFrame:
        coded = {name: pd.Categorical(frame[name].where(frame[name].isin(each)), categories=each) for name, each in levels.items()}
        return _plain(frame.assign(**coded))

    # As many threads as the environment says, as the others use.
    model = LGBMClassifier(random_state=seed, verbosity=-1, n_jobs=0)
    model.fit(known(features), past["converted"], sample_weight=past["weight"])
    return lambda later: np.asarray(model.predict_proba(known(later)))[:, 1]


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """LightGBM takes no brackets, quotes or colons in a name."""
    return frame.set_axis([f"x{at}" for at in range(frame.shape[1])], axis=1)


def fit_flaml(past: pd.DataFrame, seconds: float, seed: int, folder: Path) -> Chances:
    """FLAML for a fixed time; it holds out whole leads."""
    from flaml import AutoML

    model = AutoML()
    model.fit(
        X_train=_plain(past.drop(columns=[*_NOT_FEATURES])),
        y_train=past["converted"].to_numpy(dtype=int),
        sample_weight=past["weight"].to_numpy(dtype=float),
        groups=pd.factorize(past["lead_id"])[0],
        split_type="group",
        eval_method="holdout",
        split_ratio=_HELD_OUT,
        task="classification",
        metric="log_loss",
        time_budget=seconds,
        seed=seed,
        verbose=0,
        log_file_name=str(folder / "flaml.log"),
    )
    return lambda later: model.predict_proba(_plain(later))[:, 1]


def fit_autogluon(past: pd.DataFrame, seconds: float, seed: int, folder: Path, preset: str) -> Chances:
    """AutoGluon with a preset and a time limit; its holdout and its bags are of whole leads.

    Its trial of whether stacking overfits is off: within the quarter of a short limit that it takes, no model is ready, and the whole fit fails. The
    models of its bags are kept, for where one cannot be learned again on everything within the limit, its fit fails too without them.
    """
    from autogluon.tabular import TabularPredictor

    predictor = TabularPredictor(
        "converted",
        problem_type="binary",
        eval_metric="log_loss",
        path=str(folder / preset),
        sample_weight="weight",
        verbosity=1,
        learner_kwargs={"ignored_columns": ["lead_id"], "random_state": seed},
    )
    whole_leads = {"group_on": "lead_id"}
    predictor.fit(past, presets=preset, time_limit=seconds, validation_structure=whole_leads, dynamic_stacking=False, save_bag_folds=True)
    predictor.persist()
    return lambda later: predictor.predict_proba(later)[True].to_numpy()


def fit_autogluon_medium(past: pd.DataFrame, seconds: float, seed: int, folder: Path) -> Chances:
    """AutoGluon's `medium_quality`: single models and their weighted mean."""
    return fit_autogluon(past, seconds, seed, folder, "medium_quality")


def fit_autogluon_good(past: pd.DataFrame, seconds: float, seed: int, folder: Path) -> Chances:
    """AutoGluon's `good_quality`: bagged and stacked, then learned again on everything."""
    return fit_autogluon(past, seconds, seed, folder, "good_quality")


PEERS: dict[str, Peer] = {
    "LightGBM defaults": fit_lightgbm,
    "FLAML": fit_flaml,
    "AutoGluon medium": fit_autogluon_medium,
    "AutoGluon good": fit_autogluon_good,
}


def spent(work: Callable[[], Answer]) -> tuple[Answer, float]:
    """What some work returns, and the processor seconds that it took on all cores, its child processes included."""
    before = _cpu_seconds()
    answer = work()
    return answer, _cpu_seconds() - before


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def rows_per_second(score: Callable[[pd.DataFrame], Any], frame: pd.DataFrame) -> float:
    """How many rows are scored in a second by the wall clock, 20,000 at once: a large team's open leads, repeated if there are fewer.

    The best of three, because other programs can only slow it down.
    """
    many = frame.iloc[np.arange(ROWS_TIMED) % len(frame)].reset_index(drop=True)
    seconds = []
    for _ in range(_TIMES):
        began = perf_counter()
        score(many)
        seconds.append(perf_counter() - began)
    return ROWS_TIMED / min(seconds)


def answer(folder: Path) -> None:
    """Read what is asked in a folder, let the peer learn and speak, write what it said."""
    task: dict[str, Any] = json.loads((folder / "task.json").read_text(encoding="utf-8"))
    past, later = pd.read_parquet(folder / "past.parquet"), pd.read_parquet(folder / "later.parquet")
    chances, cpu = spent(lambda: PEERS[task["peer"]](past, task["seconds"], task["seed"], folder))
    said = np.asarray(chances(later), dtype=float)
    pd.DataFrame({"probability": said}).to_parquet(folder / "said.parquet")
    (folder / "cost.json").write_text(json.dumps({"cpu_seconds": cpu, "rows_per_second": rows_per_second(chances, later)}), encoding="utf-8")


if __name__ == "__main__":
    answer(Path(sys.argv[1]))
