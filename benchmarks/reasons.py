"""How fast is every lead told its reasons? Ours beside LightGBM's own `pred_contrib`, of the same trees and the same leads, in the same run.

    make bench NAME=reasons

Ours: what every feature adds, exactly, and the reasons in words. Theirs: what every column adds, and not a word. A shorter run, by the environment:

    REASONS_LEADS=50000      leads of a night; a million by default
    REASONS_FEATURES=60      numbers, of which a sixth matters
"""

from __future__ import annotations

import os
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.results import keep, say, tell
from features.feature import Feature
from models.reasons import Yardstick, fields, reasons
from models.trees import BoostedModel, fit_boosted

LEADS = int(os.environ.get("REASONS_LEADS", "1000000"))
FEATURES = int(os.environ.get("REASONS_FEATURES", "60"))
_EXAMPLES, _AT_ONCE = 60_000, 100_000


def main() -> None:
    """Print a row for each way, and how many times as fast ours is."""
    features = [Feature(f"n{at}", "number", f"field {at // 2}", f"field {at // 2} was {{value}}") for at in range(FEATURES)]
    night = _leads(LEADS, 8)
    say("growing the trees")
    model = fit_boosted(_leads(_EXAMPLES, 7), features, bags=3)
    rows = [_ours(model, night, features), _theirs(model, night)]
    keep("reasons", rows)
    ratio = rows[1]["seconds"] / rows[0]["seconds"]
    tell("reasons", rows, (f"Every lead with its reasons in words, {ratio:.1f} times as fast as LightGBM's contributions alone.",))


def _leads(leads: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(np.round(rng.gamma(1.0, 4.0, (leads, FEATURES)), 1), columns=[f"n{at}" for at in range(FEATURES)])
    pull = sum(np.log1p(table[f"n{at}"]) * (1 if at % 12 else -1) for at in range(0, FEATURES, 6)) + 0.3 * np.minimum(table["n1"], table["n7"]) - 3
    ids = np.arange(leads).astype(str)
    return table.assign(lead_id=ids, weight=1.0, converted=rng.random(leads) < 1 / (1 + np.exp(-pull)))


def _ours(model: BoostedModel, night: pd.DataFrame, features: list[Feature]) -> dict[str, Any]:
    say("ours")
    began = perf_counter()
    contributions = model.contributions(night)
    told = reasons(contributions, night, features, Yardstick({feature.name: 4.0 for feature in features}))
    seconds = perf_counter() - began
    error = np.abs(fields(contributions, features).sum(axis=1).to_numpy() - model.log_odds(night)).max()
    return _row("ours, with words", model, night, seconds, error, int(told.map(len).sum()))


def _theirs(model: BoostedModel, night: pd.DataFrame) -> dict[str, Any]:
    say("LightGBM's pred_contrib")
    odds, seconds, error = model.log_odds(night), 0.0, 0.0
    values = model.encoder.transform(night)
    # In pieces, so that it is not short of memory.
    for start in range(0, len(night), _AT_ONCE):
        piece = slice(start, start + _AT_ONCE)
        began = perf_counter()
        each = np.mean([np.asarray(bag.predict(values[piece], pred_contrib=True)) for bag in model.bags], axis=0)
        seconds += perf_counter() - began
        error = max(error, float(np.abs(each.sum(axis=1) - odds[piece]).max()))
    return _row("LightGBM pred_contrib, without", model, night, seconds, error, 0)


def _row(way: str, model: BoostedModel, night: pd.DataFrame, seconds: float, error: float, told: int) -> dict[str, Any]:
    trees = sum(bag.num_trees() for bag in model.bags)
    return {
        "way": way,
        "leads": len(night),
        "features": FEATURES,
        "trees": trees,
        "seconds": round(seconds, 2),
        "most_off": float(f"{error:.1e}"),
        "reasons": told,
    }


if __name__ == "__main__":
    main()
