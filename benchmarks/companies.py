"""The companies that scores are measured on: three real ones, as their owners published them, and made-up ones whose truth is known."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from features.labels import ripe
from features.problem import Problem
from models.backtest import folds
from pipelines.company import Company, open_company
from pipelines.crm.load import load
from pipelines.crm.simulator import simulate, truth
from pipelines.crm.tables import open_source
from pipelines.settings import Settings, read_settings
from pipelines.study import Study
from pipelines.train import build_examples, screen_fields
from pipelines.warehouse import Warehouse

REAL = ("olist", "x-education", "maven-crm")
SIMULATED = "simulated"
_EXAMPLES = Path(__file__).parents[1] / "examples"


@dataclass(frozen=True)
class Case:
    """One company's examples, and how it is learned from.

    Parameters
    ----------
    seed : of the simulation; of the training where the company is real.
    truth : lead_id, as_of, knowable: the true probability on its later nights; None where only the outcome is known.
    """

    data: str
    seed: int
    study: Study
    settings: Settings
    truth: pd.DataFrame | None = None

    @property
    def nights(self) -> list[pd.Timestamp]:
        """The distinct as-of dates of the ripe examples."""
        return list(ripe(self.study.frame)["as_of"].unique())


def real(name: str) -> Case:
    """One of the public data sets, mapped by its file in `examples/`.

    Raises
    ------
    Problem : its files are not there.
    """
    settings = read_settings(_EXAMPLES / name / "leadscore.toml")
    if not Path(settings.source_location).exists():
        raise Problem(f"{name}: its data are not there, so it was left out.")
    with TemporaryDirectory() as place, extracted(settings.model_copy(update={"home": Path(place)})) as company:
        return Case(name, settings.training.seed, study_of(company), settings)


def simulated(seed: int, leads: int) -> Case:
    """A made-up company, with the truth of the nights that are judged."""
    with made_up(seed, leads) as company:
        study = study_of(company)
        nights = [pd.Timestamp(night) for night in ripe(study.frame)["as_of"].unique()]
        judged = folds(nights, study.plan.timeline, 1)[0]
        known = truth([night.to_pydatetime() for night in nights if night >= judged.first], leads=leads, seed=seed)
        return Case(SIMULATED, seed, study, company.settings, known)


@contextmanager
def made_up(seed: int, leads: int) -> Iterator[Company]:
    """A made-up company, extracted; it is gone afterwards."""
    with TemporaryDirectory() as place:
        simulate(Path(place), leads=leads, seed=seed)
        with extracted(read_settings(Path(place) / "leadscore.toml")) as company:
            yield company


@contextmanager
def extracted(settings: Settings) -> Iterator[Company]:
    """A company after the flow `extract`, without the flow."""
    source = open_source(settings.source_location, settings.source.encoding)
    with Warehouse.of(settings) as warehouse:
        load(settings, source, warehouse, datetime.now(UTC).replace(tzinfo=None), lambda share, words: None)
    with open_company(settings) as company:
        yield company


def study_of(company: Company) -> Study:
    """The first tasks of the flow `train` as plain functions: examples, less the fields that know the outcome."""
    return screen_fields.fn(company, build_examples.fn(company))
