"""`demo`: a made-up company from nothing to tonight's list, in one process."""

from __future__ import annotations

from pathlib import Path

from pipelines.crm.simulator import simulate
from pipelines.extract import extract
from pipelines.progress import step
from pipelines.report import Report
from pipelines.score import score
from pipelines.train import train


def demonstrate(folder: Path, leads: int, seed: int) -> Report:
    """Simulate, extract, train, score; end with the list and how far to believe it.

    Parameters
    ----------
    folder : where the company and everything made of it lie; run again, it is replaced night by night.
    """
    with step(f"Making up a company of {leads:,} leads") as progress:
        simulate(folder, leads=leads, seed=seed, progress=progress)
    config = folder / "leadscore.toml"
    extracted, trained, scored = extract(config), train(config), score(config)
    notices = (
        f"{extracted.facts['quarantined']:,} malformed rows were refused, each with its reason (table quarantine of the warehouse).",
        *trained.notices,
        f"Open {scored.facts['page']} in a browser; `leadscore explain {scored.rows[0]['lead']} --config {config}` tells one lead's story.",
    )
    return Report("demo", {**scored.facts, "model": trained.facts["model"]}, scored.rows, notices)
