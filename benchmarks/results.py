"""A benchmark's rows, shown to a person and kept for a machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipelines.report import Report

FOLDER = Path(__file__).with_name("results")


def tell(name: str, rows: list[dict[str, Any]], notices: tuple[str, ...] = ()) -> None:
    """Print the table and write the same rows to results/NAME.json."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    print(Report(name, {"rows": len(rows), "file": str(path.relative_to(FOLDER.parents[1]))}, tuple(rows), notices).text())
