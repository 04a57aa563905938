"""A peer reads a folder and answers in it, and what it costs is counted; the peers' packages are locked, and never the product's."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import learnable
import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier

from benchmarks import peers
from benchmarks.exchange import ask, later_of, past_of

ROOT = Path(__file__).parents[2]
FRAME = learnable.examples(leads=80, weeks=10)
PAST, LATER = past_of(FRAME.head(500), learnable.FEATURES), later_of(FRAME.tail(300), learnable.FEATURES)


def _names(lock: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9.-]+)==", (ROOT / lock).read_text(encoding="utf-8"), re.MULTILINE))


def test_lightgbm_as_it_comes_answers_in_the_folder_it_was_asked_in(tmp_path: Path) -> None:
    ask(tmp_path, "LightGBM defaults", 1, 7, PAST, LATER)
    peers.answer(tmp_path)
    said = pd.read_parquet(tmp_path / "said.parquet")["probability"].to_numpy()
    # The same by hand: texts as numbered categories, -1 for a missing one.
    coded = pd.concat([PAST, LATER])[["opens_7d", "source", "job_title", "met"]]
    for name in ("source", "job_title"):
        coded[name] = pd.Categorical.from_codes(pd.factorize(coded[name], sort=True)[0], categories=range(2))
    model = LGBMClassifier(random_state=7, verbosity=-1, n_jobs=0).fit(coded.head(500), PAST["converted"])
    assert said == pytest.approx(model.predict_proba(coded.tail(300))[:, 1])
    assert np.ptp(said) > 0.3
    cost = json.loads((tmp_path / "cost.json").read_text(encoding="utf-8"))
    assert set(cost) == {"cpu_seconds", "rows_per_second"}
    assert min(cost.values()) > 0


def test_weights_count() -> None:
    heavy = PAST.assign(weight=np.where(PAST["converted"], 50.0, 1.0))
    plain, leaning = (peers.fit_lightgbm(past, 0, 7, Path())(LATER).mean() for past in (PAST, heavy))
    assert leaning > plain + 0.3


def test_a_category_that_the_past_lacks_is_like_a_missing_one() -> None:
    score = peers.fit_lightgbm(PAST, 0, 7, Path())
    assert score(LATER.assign(source="fair")).tolist() == score(LATER.assign(source=None)).tolist()


def test_names_with_signs_that_lightgbm_refuses_are_taken() -> None:
    renamed = {"opens_7d": 'opens, "7d" [week]', "source": "source: first"}
    score = peers.fit_lightgbm(PAST.rename(columns=renamed), 0, 7, Path())
    assert score(LATER.rename(columns=renamed)).tolist() == peers.fit_lightgbm(PAST, 0, 7, Path())(LATER).tolist()


def test_the_work_of_a_child_process_is_counted() -> None:
    busy = "import time\nwhile time.process_time() < 0.5: pass"
    done, seconds = peers.spent(lambda: subprocess.run([sys.executable, "-c", busy], check=True).returncode)
    assert done == 0
    assert seconds >= 0.5


def test_speed_is_that_of_twenty_thousand_rows_however_few_there_are() -> None:
    seen: list[pd.DataFrame] = []
    assert peers.rows_per_second(seen.append, LATER) > 0
    assert {len(frame) for frame in seen} == {20_000}
    assert seen[0]["opens_7d"].tolist() == (LATER["opens_7d"].tolist() * 67)[:20_000]


def test_what_the_script_needs_is_locked_with_hashes_and_names_no_index() -> None:
    header = "\n".join(line[2:] for line in Path(peers.__file__).read_text(encoding="utf-8").split("# ///")[1].splitlines()[1:])
    needed = {re.split(r"[\[<>=]", line)[0].replace(".", "-") for line in tomllib.loads(header)["dependencies"]}
    assert needed == {"autogluon-tabular", "flaml", "lightgbm", "pandas", "pyarrow"}
    assert needed <= _names("benchmarks/peers.lock")
    lock = (ROOT / "benchmarks/peers.lock").read_text(encoding="utf-8")
    assert "://" not in lock
    assert all("--hash=sha256:" in pin for pin in re.split(r"^(?=[a-z0-9.-]+==)", lock, flags=re.MULTILINE) if "==" in pin)


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_no_peer_is_installed_with_the_product(lock: str) -> None:
    assert "lightgbm" in _names(lock)
    assert not {name for name in _names(lock) if re.match("flaml|autogluon|catboost|xgboost|torch", name)}
