"""A benchmark's rows, shown to a person and kept for a machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.metrics import Estimate
from pipelines.report import Report

FOLDER = Path(__file__).with_name("results")


def tell(name: str, rows: list[dict[str, Any]], notices: tuple[str, ...] = (), shown: list[dict[str, Any]] | None = None) -> None:
    """Print the table and write the rows to results/NAME.json.

    Parameters
    ----------
    shown : the same rows, shorter, where a person would lose their way among the columns.
    """
    path = keep(name, rows)
    print(Report(name, {"rows": len(rows), "file": str(path.relative_to(FOLDER.parents[1]))}, tuple(shown or rows), notices).text())


def keep(name: str, rows: list[dict[str, Any]]) -> Path:
    """Write the rows there are so far: what an hour has found is not lost with the last minute."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return path


def say(words: str) -> None:
    """What is being done, to whoever waits; the table alone goes to standard output."""
    print(f"  {words} ...", file=sys.stderr, flush=True)


def figures(found: dict[str, Estimate], names: Sequence[str], suffix: str = "") -> dict[str, float]:
    """Some figures as columns: each with its interval.

    >>> figures({"roc_auc": Estimate(0.71234, 0.6, 0.8)}, ["roc_auc"])
    {'roc_auc': 0.7123, 'roc_auc_low': 0.6, 'roc_auc_high': 0.8}
    """
    return {
        # Plus zero: nobody is less than nothing behind.
        f"{name}{suffix}{end}": round(value, 4) + 0.0
        for name in names
        for end, value in (("", found[name].value), ("_low", found[name].low), ("_high", found[name].high))
    }
