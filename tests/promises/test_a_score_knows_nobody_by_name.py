"""No name, address or telephone number reaches a feature, a model, a run, an artifact or a log; what is written is its owner's alone to read."""

from __future__ import annotations

import gzip
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from canaries import NAME, NUMBER, found, plant, searched
from conftest import MadeUp
from matplotlib.figure import Figure
from matplotlib.text import Text
from prefect.settings import get_current_settings

from pipelines.settings import read_settings

pytestmark = pytest.mark.xdist_group("company")
Typed = Callable[..., tuple[int, str, str]]


def test_whatever_is_planted_nothing_but_warehouse_and_lists_says_who_anybody_is(
    prefect_server: str, simulated: Path, tmp_path: Path, every_log: pytest.LogCaptureFixture, leadscore: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []
    save = Figure.savefig

    def saved(figure: Figure, *place: Any, **how: Any) -> None:
        drawn.extend(text.get_text() for text in figure.findobj(Text))
        save(figure, *place, **how)

    monkeypatch.setattr(Figure, "savefig", saved)
    config = plant(simulated, tmp_path / "company")
    home, said = read_settings(config).home_folder, []
    for words in (("check",), ("extract",), ("train",), ("score",), ("nightly",), ("review", "--json"), ("status",)):
        code, out, err = leadscore(*words, "--config", config)
        assert code in (0, 3), err
        said += [out, err]
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as warehouse:
        lead = warehouse.execute("SELECT lead_id FROM ledger ORDER BY rank").fetchall()[0][0]
        learned = {f"{origin}.{name}" for origin, name in warehouse.execute("SELECT origin, name FROM attributes").fetchall()}
        # What was planted came in, and is where sales needs it.
        kept = repr(warehouse.execute("SELECT name, email FROM leads").fetchall()).lower()
    said += leadscore("explain", lead, "--config", config)[1:]
    page = (home / "lists" / "2025-08-23" / "index.html").read_text(encoding="utf-8").lower()
    assert (NAME in kept, NAME in page) == (True, True)
    assert [sentence for text in said for sentence in text.splitlines() if found(sentence)] == []
    assert [one for one in drawn if found(one)] == []
    assert [record.name for record in every_log.records if found(f"{record.getMessage()} {vars(record)!r}")] == []
    assert list(searched(home, apart=("warehouse.duckdb", "warehouse.duckdb.backup", "lists"))) == []
    assert list(searched(_prefect_home())) == []
    unlearned = ("name", "first_name", "email", "phone", "reachable_by", "second_box", "mobile_number", "company")
    assert learned.isdisjoint({*(f"leads.{name}" for name in unlearned), "accounts.name", "deals.name"})
    assert {"leads.source", "accounts.industry"} < learned


def _prefect_home() -> Path:
    """Where Prefect keeps runs, their parameters, logs and artifacts."""
    url = get_current_settings().server.database.connection_url
    assert url is not None
    return Path(url.get_secret_value().partition("///")[2]).parent


def test_the_search_finds_what_is_there_however_it_is_packed(tmp_path: Path) -> None:
    (tmp_path / "wide.txt").write_bytes(f"Eva {NAME.upper()}".encode("utf-16"))
    (tmp_path / "packed.gz").write_bytes(gzip.compress(f"call {NUMBER}".encode()))
    with zipfile.ZipFile(tmp_path / "packed.xlsx", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("sheet", f"{NAME} {NUMBER}")
    pd.DataFrame({"who": [f"{NAME}{n}" for n in range(100)]}).to_parquet(tmp_path / "packed.parquet", compression="zstd")
    (tmp_path / "clean.txt").write_text("nobody", encoding="utf-8")
    assert dict(searched(tmp_path)) == {"wide.txt": [NAME], "packed.gz": [NUMBER], "packed.xlsx": [NAME, NUMBER], "packed.parquet": [NAME]}


def test_every_file_of_a_night_is_readable_by_its_owner_only(company: MadeUp) -> None:
    home = read_settings(company.config).home_folder
    written = [path for path in [home, *home.rglob("*")] if not path.is_symlink()]
    assert {path.name for path in written} >= {"warehouse.duckdb", "mlflow.db", "search.db", "index.html", "leads.csv", "scorer.json"}
    readable = {str(path.relative_to(home)): oct(mode) for path in written if (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077}
    assert readable == {}
