"""Does the leakage screen catch the traps, and does it leave honest fields alone? Each method by itself, and all together.

    make bench NAME=leakage

Nothing is declared: fields that never change (`fixed_at_creation`) are screened like all others, so that every honest field is at stake. To the
three traps of a made-up company the harder one adds three of other kinds, and three honest fields that differ between past nights and tonight for
reasons of their own. In real companies the traps are those that their publishers' descriptions name, and Maven's account fields, which are filled
in for every closed deal and a third of the open ones.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.results import say, tell
from features.adversary import adversary
from features.finding import METHODS, Finding
from features.labels import ripe
from features.screen import compared, screen
from pipelines.company import open_company
from pipelines.crm.load import load
from pipelines.crm.simulator import simulate
from pipelines.crm.tables import open_source
from pipelines.settings import Settings, read_settings
from pipelines.train import build_examples
from pipelines.warehouse import Warehouse

SEEDS = (1, 2, 3)
LEADS = 5_000
EXAMPLES = Path(__file__).parents[1] / "examples"
TRAPS: dict[str, tuple[str, ...]] = {
    "simulated": ("contract_number", "onboarding_date", "customer_tier"),
    "simulated, harder": ("contract_number", "onboarding_date", "customer_tier", "loss_note", "mood", "next_call"),
    "x-education": (
        *("Tags", "Lead Quality", "Lead Profile", "Last Activity", "Last Notable Activity"),
        *("Asymmetrique Activity Index", "Asymmetrique Profile Index", "Asymmetrique Activity Score", "Asymmetrique Profile Score"),
    ),
    "olist": (
        *("seller_id", "sdr_id", "sr_id", "business_segment", "lead_type", "lead_behaviour_profile", "has_company", "has_gtin"),
        *("average_stock", "business_type", "declared_product_catalog_size", "declared_monthly_revenue"),
    ),
    "maven-crm": ("sector", "year_established", "revenue", "employees", "office_location", "subsidiary_of"),
}


def main() -> None:
    """Print one row a data set, seed and method."""
    rows = [row for harder in (False, True) for seed in SEEDS for row in simulated(seed, harder)]
    real = [name for name in TRAPS if not name.startswith("simulated")]
    there = {name: Path(_settings(name).source_location).exists() for name in real}
    rows += [row for name in real if there[name] for row in published(name)]
    tell("leakage", rows, tuple(f"{name}: its data are not there, so it was left out." for name in real if not there[name]))


def simulated(seed: int, harder: bool) -> Iterator[dict[str, Any]]:
    """Every method on one made-up company."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        name = "simulated, harder" if harder else "simulated"
        say(f"{name}, seed {seed}")
        simulate(folder, leads=LEADS, seed=seed)
        if harder:
            plant(folder, seed)
        yield from _told(name, seed, *screened(read_settings(folder / "leadscore.toml")))


def published(name: str) -> Iterator[dict[str, Any]]:
    """Every method on a real company."""
    say(name)
    with tempfile.TemporaryDirectory() as place:
        yield from _told(name, None, *screened(_settings(name).model_copy(update={"home": Path(place)})))


def plant(folder: Path, seed: int) -> None:
    """Add fields to the leads of a made-up company, as its CRM would show them tonight.

    Traps: a note written when a deal is lost, a mood that sales corrects in two of three leads once it knows the outcome, and a next call that is
    emptied when a lead ends. Honest: the version of the form the lead came in by, a fax number that was asked for until a year and a half ago, and
    a count that grows with age.
    """
    rng = np.random.default_rng(seed)
    leads, deals = (pd.read_parquet(folder / f"{name}.parquet") for name in ("leads", "deals"))
    ended = leads["lead_id"].map(deals[deals["outcome"] != "open"].drop_duplicates("lead_id").set_index("lead_id")["outcome"])
    came = pd.to_datetime(leads["created_at"], format="ISO8601")
    age = (came.max() - came).dt.days.fillna(0)
    corrected = rng.random(len(leads)) < 2 / 3
    guess = pd.Series(rng.choice(["cool", "fair", "keen"], len(leads)))

    def drawn(texts: list[str]) -> pd.Series:
        return pd.Series(rng.choice(texts, len(leads)))

    planted = {
        "loss_note": drawn(["price", "silence", "rival"]).where(ended == "lost"),
        "mood": guess.mask(corrected & (ended == "won"), "keen").mask(corrected & (ended == "lost"), "cool"),
        "next_call": drawn(["morning", "noon", "evening"]).where(ended.isna() & (rng.random(len(leads)) < 0.8)),
        "form": "form " + ((age.max() - age) // 60).astype(int).astype(str),
        "fax": drawn(["yes"]).where((age > 540) & (rng.random(len(leads)) < 0.5)),
        "mailings": age // 14 + rng.integers(0, 3, len(leads)),
    }
    leads.assign(**planted).to_parquet(folder / "leads.parquet")


def _settings(name: str) -> Settings:
    return read_settings(EXAMPLES / name / "leadscore.toml")


def screened(settings: Settings) -> tuple[list[Finding], set[str]]:
    """Extract a company and screen all its fields: the findings of every method, and the names of the fields.

    The screen itself spares its classifier what is accused already; here it sees everything, so that each method stands alone.
    """
    tables = {name: table.model_copy(update={"fixed_at_creation": ()}) for name, table in settings.source.tables.items()}
    undeclared = settings.model_copy(update={"source": settings.source.model_copy(update={"tables": tables})})
    source = open_source(undeclared.source_location, undeclared.source.encoding)
    with Warehouse.of(undeclared) as warehouse:
        load(undeclared, source, warehouse, datetime.now(UTC).replace(tzinfo=None), lambda share, words: None)
    with open_company(undeclared) as company:
        study, tonight, seed = build_examples.fn(company), company.night(None), undeclared.training.seed
        past = ripe(study.frame)
        found = screen(company.crm, tonight, past, study.plan, seed=seed).findings
        suspects = [attribute for attribute in study.plan.attributes if attribute.known == "today"]
        _, nights = compared(company.crm, tonight, past, study.plan, suspects)
        alone = adversary(nights, suspects, seed).findings
    return [*(finding for finding in found if finding.method != "adversary"), *alone], {attribute.name for attribute in suspects}


def _told(data: str, seed: int | None, findings: list[Finding], fields: set[str]) -> Iterator[dict[str, Any]]:
    traps = set(TRAPS[data])
    missing, honest = traps - fields, fields - traps
    assert not missing, f"{data} has no {', '.join(sorted(missing))}"
    for method in (*METHODS, "all"):
        accused = {finding.field for finding in findings if method in (finding.method, "all")}
        yield {
            "data": data,
            "seed": seed,
            "method": method,
            "traps": len(traps),
            "caught": round(len(accused & traps) / len(traps), 3),
            "honest": len(honest),
            "accused": round(len(accused & honest) / len(honest), 3) if honest else None,
            "missed": ", ".join(sorted(traps - accused)) if method == "all" else "",
            "wrongly": ", ".join(sorted(accused & honest)),
        }


if __name__ == "__main__":
    main()
