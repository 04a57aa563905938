"""What a night's scores are made of, so that any score can be traced back: model, run, code, configuration, tables, and what was refused of them.

score -> model version -> MLflow run -> digest of the training table, code and configuration that it was trained by
      -> code and configuration that scored it
      -> the tables of the extract: rows, digest, rows in quarantine
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from features.problem import Problem
from models.registry import Champion
from pipelines.company import Company, open_company
from pipelines.registry import registry_of
from pipelines.report import Report
from pipelines.settings import Settings
from pipelines.warehouse import Warehouse

_CODE = ("features", "models", "pipelines")
# Where things lie makes no score; what lies there is told by the digests of tables, model and run.
_PLACES: Any = {"folder": True, "chosen": True, "home": True, "warehouse": True, "tracking": True, "source": {"location"}}
_TOLD = ("rows", "quarantined", "digest")
_LEARNED = {"learned from": "dataset_digest", "learned by code": "code_version", "learned by configuration": "configuration_digest"}


@dataclass(frozen=True)
class Lineage:
    """One night's.

    Parameters
    ----------
    training_digest : of the examples that the model learned from; "" where its run is no longer kept.
    tables : table -> {"rows", "digest", "quarantined"}, as the last extract left it.
    """

    model_version: str
    mlflow_run: str
    training_digest: str
    code_version: str
    configuration_digest: str
    extracted_at: datetime
    tables: dict[str, dict[str, Any]]

    def row(self) -> dict[str, Any]:
        """As the warehouse keeps it."""
        return {**self.__dict__, "tables": json.dumps(self.tables, sort_keys=True)}


def lineage_of(company: Company, champion: Champion) -> Lineage:
    """What tonight's scores are about to be made of."""
    return Lineage(
        champion.version,
        champion.run_id,
        champion.origin.get("dataset_digest", ""),
        code_version(),
        configuration_digest(company.settings),
        company.warehouse.extracted_at() or company.extracted_at,
        tables_of(company.warehouse),
    )


def origin_of(company: Company) -> dict[str, str]:
    """What a training run says of where its model comes from, beside the digest of its examples."""
    tables = {name: table["digest"] for name, table in tables_of(company.warehouse).items()}
    return {"code_version": code_version(), "configuration_digest": configuration_digest(company.settings), "tables": json.dumps(tables)}


def tables_of(warehouse: Warehouse) -> dict[str, dict[str, Any]]:
    """Rows, digest and refused rows of every table of the last extract."""
    return {
        row.table_name: {"rows": warehouse.size(row.table_name), "digest": row.digest or "", "quarantined": int(row.quarantined)}
        for row in warehouse.extract_counts().itertuples()
    }


@cache
def code_version() -> str:
    """The release, and a digest of the code that runs: a release that somebody changed is another."""
    root = Path(__file__).parents[1]
    mixed = sha256()
    for file in sorted(file for folder in _CODE for file in (root / folder).rglob("*.py")):
        mixed.update(f"{file.relative_to(root).as_posix()}\0".encode() + file.read_bytes() + b"\0")
    return f"{version('leadscore')}+{mixed.hexdigest()[:12]}"


def configuration_digest(settings: Settings) -> str:
    """A digest of everything that a company decides, wherever its files lie; comments and the order of lines make no difference."""
    decided = settings.model_dump(mode="json", exclude=_PLACES)
    return sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()[:16]


def tell_lineage(settings: Settings, lead: str, day: date | None = None) -> Report:
    """Trace a lead's score of a night back to what it was made of.

    Parameters
    ----------
    day : of the night; None: the newest on which the lead was scored.

    Raises
    ------
    Problem : the lead was not scored then, or by a release that kept no lineage.
    """
    with open_company(settings) as company:
        score, kept = _score(company, lead, day), None
        if score is not None:
            kept = company.warehouse.lineage(score.as_of, settings.chosen)
    if score is None:
        raise Problem(f"Lead {lead} has no score{f' of {day}' if day else ''}: check the id and the night, which `leadscore status` lists.")
    if kept is None:
        raise Problem(f"The night of {settings.timeline.day(score.as_of)} was scored by a release that kept no lineage: score it again with --as-of.")
    model = registry_of(settings).version_or_none(kept["model_version"])
    tables = json.loads(kept["tables"])
    facts = {
        "lead": lead,
        "night": str(settings.timeline.day(score.as_of)),
        "probability": float(score.probability),
        "run": score.run_id,
        "features": score.features_digest,
        "model version": kept["model_version"],
        "MLflow run": kept["mlflow_run"],
        "learned from": kept["training_digest"],
        **({name: model.origin[tag] for name, tag in _LEARNED.items() if tag in model.origin} if model else {}),
        "code": kept["code_version"],
        "configuration": kept["configuration_digest"],
        "complete until": f"{kept['extracted_at']:%Y-%m-%d %H:%M}",
    }
    notices = () if model else ("The model that gave this score, or its run, is no longer kept in the registry.",)
    return Report("lineage", facts, tuple({"table": name, **{key: table[key] for key in _TOLD}} for name, table in tables.items()), notices)


def _score(company: Company, lead: str, day: date | None) -> Any:
    """The ledger's row of a lead on a night, or on the newest that has one; None where there is none."""
    ledger = company.warehouse.ledger(company.settings.chosen)
    rows = ledger.filter(ledger.lead_id == lead)
    if day:
        rows = rows.filter(rows.as_of == pd.Timestamp(company.settings.timeline.night(day)).to_pydatetime())
    found = rows.order_by(rows.as_of.desc()).limit(1).execute()
    return next(found.itertuples(), None)
