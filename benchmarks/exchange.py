"""How the product and its peers understand each other: a folder of Parquet for each question, answered in the peers' own environment."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from benchmarks import peers
from features.feature import Feature
from features.problem import Problem
from models.metrics import Floats

PYTHON = Path(sys.prefix) / "peers" / "bin" / "python"
"""Where `make bench NAME=quality` installs `peers.lock`."""
_SUREST = 1e-6
GRACE = (600, 10)
"""A peer is stopped so many seconds, and so many times its limit, after it began."""


@dataclass(frozen=True)
class Said:
    """What a contestant said of later nights, and what that cost.

    Parameters
    ----------
    log_odds : one a row that was asked.
    cpu_seconds : of learning, on all cores and in all processes.
    rows_per_second : of scoring, by the wall clock.
    """

    log_odds: Floats
    cpu_seconds: float
    rows_per_second: float


def past_of(frame: pd.DataFrame, features: Sequence[Feature]) -> pd.DataFrame:
    """What a peer learns from: lead_id, converted, weight and the features as they are."""
    return frame[["lead_id", "converted", "weight", *(feature.name for feature in features)]].astype({"converted": bool})


def later_of(frame: pd.DataFrame, features: Sequence[Feature]) -> pd.DataFrame:
    """What a peer scores: the features, and nothing that tells the outcome."""
    return frame[[feature.name for feature in features]]


def log_odds_of(chances: Floats) -> Floats:
    """Probabilities as log-odds; nobody is held to be surer than one in a million, which spares a peer the endless loss of a certain error.

    >>> log_odds_of(np.array([0.5, 1.0])).round(2).tolist()
    [0.0, 13.82]
    """
    kept = np.clip(np.asarray(chances, dtype=float), _SUREST, 1 - _SUREST)
    return np.asarray(np.log(kept / (1 - kept)))


def ask(folder: Path, peer: str, seconds: float, seed: int, past: pd.DataFrame, later: pd.DataFrame) -> None:
    """Write down in a folder what a peer is to learn from and to score: see `benchmarks.peers`."""
    (folder / "task.json").write_text(json.dumps({"peer": peer, "seconds": seconds, "seed": seed}), encoding="utf-8")
    past.to_parquet(folder / "past.parquet", index=False)
    later.to_parquet(folder / "later.parquet", index=False)


def said(folder: Path) -> Said:
    """Read what a peer wrote."""
    cost = json.loads((folder / "cost.json").read_text(encoding="utf-8"))
    return Said(log_odds_of(pd.read_parquet(folder / "said.parquet")["probability"].to_numpy()), cost["cpu_seconds"], cost["rows_per_second"])


def consult(peer: str, seconds: float, seed: int, past: pd.DataFrame, later: pd.DataFrame) -> Said:
    """Let a peer learn and speak in its own environment.

    Parameters
    ----------
    seconds : its limit for learning. It may overrun it as far as `GRACE` allows; one that hangs does not hold up the others.

    Raises
    ------
    Problem : the peers are not installed, or it failed or hung; with its last words.
    """
    if not PYTHON.exists():
        raise Problem(f"{peer} is not installed: `make bench NAME=quality` installs benchmarks/peers.lock, for which it needs a package index.")
    longest = GRACE[0] + GRACE[1] * seconds
    with TemporaryDirectory() as place:
        ask(Path(place), peer, seconds, seed, past, later)
        try:
            done = subprocess.run([PYTHON, peers.__file__, place], capture_output=True, text=True, errors="replace", timeout=longest, check=False)
        except subprocess.TimeoutExpired:
            raise Problem(f"{peer} did not end within {longest:.0f} seconds of a limit of {seconds:.0f}.") from None
        if done.returncode:
            raise Problem(f"{peer} failed: {(done.stderr.strip().splitlines() or ['it said nothing'])[-1]}")
        return said(Path(place))
