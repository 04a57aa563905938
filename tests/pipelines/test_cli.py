"""Every command as a person types it: words on success, one sentence on failure, an exit code a schedule can read."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from conftest import MadeUp

pytestmark = pytest.mark.xdist_group("company")
Typed = Callable[..., tuple[int, str, str]]
COMMANDS = (
    *("demo", "init", "check", "extract", "train", "score", "review", "writeback", "nightly"),
    *("backfill", "explain", "simulate", "status", "promote", "rollback", "backtest", "compare", "feedback"),
    *("pin", "drop", "release", "verify", "erase"),
)


def test_help_names_every_command_in_a_line(leadscore: Typed) -> None:
    code, out, _ = leadscore("--help")
    assert code == 0
    for command in COMMANDS:
        assert f"  {command} " in out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(leadscore: Typed, command: str) -> None:
    code, out, _ = leadscore(command, "--help")
    assert code == 0
    assert "Usage: leadscore" in out


def test_help_imports_nothing_heavy() -> None:
    seen = "import sys; from pipelines.cli import run; sys.argv = ['leadscore', '--help']; run(); print(sorted(sys.modules))"
    out = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True).stdout.splitlines()[-1]
    for heavy in ("pandas", "ibis", "mlflow", "prefect", "lightgbm", "sklearn"):
        assert f"'{heavy}'" not in out


def test_a_nightly_run_prints_one_object_for_machines(own_company: MadeUp, leadscore: Typed) -> None:
    code, out, _ = leadscore("nightly", "--config", own_company.config, "--json")
    told = json.loads(out)
    # 3: done, with something quarantined.
    assert code == 3
    assert (told["flow"], told["night"], told["nights"]) == ("nightly", "2025-08-23", 1)
    assert Path(told["page"]).is_file()


def test_one_leads_story_adds_up(company: MadeUp, leadscore: Typed) -> None:
    lead = company.reports["score"].rows[0]["lead"]
    code, out, _ = leadscore("explain", lead, "--config", company.config, "--json")
    told = json.loads(out)
    assert (code, told["lead"], told["night"]) == (0, lead, "2025-08-23")
    assert told["probability"] == pytest.approx(company.reports["score"].rows[0]["probability"], abs=5e-4)
    assert sum(row["counts for"] for row in told["rows"]) + told["of an average lead"] == pytest.approx(told["log-odds"], abs=1e-3)
    assert told["notices"] == [f"2025-08-23: {told['probability']:.3f}"]


def test_an_unknown_lead_is_one_sentence(company: MadeUp, leadscore: Typed) -> None:
    code, out, err = leadscore("explain", "L-nobody", "--config", company.config)
    assert (code, out) == (1, "")
    assert err.splitlines()[-1] == "leadscore: There is no lead L-nobody in the warehouse: check the id, or run `leadscore extract`."


def test_a_machine_gets_an_object_even_when_a_command_fails(company: MadeUp, leadscore: Typed) -> None:
    code, out, err = leadscore("explain", "L-nobody", "--config", company.config, "--json")
    assert code == 1
    assert json.loads(out) == {"error": "There is no lead L-nobody in the warehouse: check the id, or run `leadscore extract`."}
    assert err.endswith("leadscore: There is no lead L-nobody in the warehouse: check the id, or run `leadscore extract`.\n")


def test_tables_that_init_does_not_recognise_are_left_to_be_named(tmp_path: Path, leadscore: Typed) -> None:
    (tmp_path / "personas.csv").write_text("clave,alta\nP1,2025-01-02\n")
    code, out, _ = leadscore("init", "--from", tmp_path, "--config", tmp_path / "leadscore.toml")
    assert code == 3
    assert out.startswith("No table looks like leads: ")
    assert f"Wrote {tmp_path / 'leadscore.toml'} with every table and column there is: fill it in" in out
    assert "personas.csv: clave, alta" in (tmp_path / "leadscore.toml").read_text(encoding="utf-8")
    code, out, _ = leadscore("init", "--from", tmp_path, "--config", tmp_path / "leadscore.toml", "--force", "--json")
    assert (code, json.loads(out)["config"]) == (3, str(tmp_path / "leadscore.toml"))
    assert json.loads(out)["unrecognised"].startswith("No table looks like leads: ")


@pytest.mark.parametrize("command", ["extract", "status"])
def test_a_home_that_cannot_be_made_is_one_sentence(untouched: Path, leadscore: Typed, command: str) -> None:
    (untouched.parent / "file").write_text("in the way", encoding="utf-8")
    text = untouched.read_text(encoding="utf-8")
    untouched.write_text(re.sub(r"(?m)^home = .*$", 'home = "file/home"', text), encoding="utf-8")
    code, out, err = leadscore(command, "--config", untouched)
    assert (code, out) == (1, "")
    assert err.endswith("cannot be made (Not a directory): name one that you may write as `home` in leadscore.toml.\n")


def test_a_prefect_that_falls_silent_amid_a_run_is_one_sentence(untouched: Path, leadscore: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(config: Path) -> None:
        raise httpx.ReadTimeout("timed out")

    monkeypatch.setattr("pipelines.extract.extract", silent)
    monkeypatch.setenv("PREFECT_API_URL", "http://ann:s3cret@127.0.0.1:1/api")
    monkeypatch.setattr("pipelines.environment.see_orchestrator", lambda: None)
    code, out, err = leadscore("extract", "--config", untouched)
    assert (code, out) == (1, "")
    assert "The Prefect server http://127.0.0.1:1/api does not answer (timed out): start it or correct PREFECT_API_URL" in err


def test_a_configuration_that_cannot_be_written_is_one_sentence(simulated: Path, tmp_path: Path, leadscore: Typed) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    code, out, err = leadscore("init", "--from", simulated, "--config", tmp_path / "file" / "leadscore.toml")
    assert (code, out) == (1, "")
    assert err.endswith("name a file that you may write with --config.\n")


def test_status_says_where_things_stand(company: MadeUp, leadscore: Typed) -> None:
    code, out, _ = leadscore("status", "--config", company.config, "--json")
    told = json.loads(out)
    assert code == 0
    assert told["champion"].startswith("version 1, ")
    scored = company.reports["score"].facts
    assert told["rows"] == [{"night": "2025-08-23", "scored": scored["open leads"], "listed": scored["listed"], "model": "version 1"}]


def test_init_writes_a_configuration_that_check_finds_fine(simulated: Path, tmp_path: Path, leadscore: Typed) -> None:
    config = tmp_path / "leadscore.toml"
    assert leadscore("init", "--from", simulated, "--config", config)[0] == 0
    code, out, _ = leadscore("check", "--config", config)
    assert (code, out) == (0, f"{config} is fine: run `leadscore extract`, then `leadscore train`.\n")
    code, _, err = leadscore("init", "--from", simulated, "--config", config)
    assert code == 1
    assert "exists already: add --force" in err


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "There is no"),
        ("[company", "is not valid TOML"),
        ("[company]\nname = 'x'\n", "source: Field required"),
        ("[source.tables.leads]\ntable='l.csv'\n", "[source.tables.deals] is missing: without deals there is nothing to learn"),
        (
            "[company]\ntime_zone = 'Mars'\n[source]\n[source.tables.leads]\ntable='l'\n[source.tables.deals]\ntable='d'\n",
            "'Mars' is no IANA time zone",
        ),
        ("colour = 1\n[source.tables.leads]\ntable='l'\n[source.tables.deals]\ntable='d'\n", "'colour' is not a setting that leadscore knows"),
    ],
)
@pytest.mark.parametrize("command", ["check", "extract", "status"])
def test_a_bad_configuration_is_one_sentence(tmp_path: Path, leadscore: Typed, content: str | None, sentence: str, command: str) -> None:
    config = tmp_path / "leadscore.toml"
    if content is not None:
        config.write_text(content, encoding="utf-8")
    code, out, err = leadscore(command, "--config", config)
    assert (code, out) == (1, "")
    assert err.startswith("leadscore: ")
    assert sentence in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / ".leadscore").exists()


def test_misuse_leaves_with_2(leadscore: Typed, company: MadeUp) -> None:
    assert leadscore("score", "--as-of", "tomorrow", "--config", company.config)[0] == 2
    assert leadscore("backfill", "2025-08-02", "2025-08-01", "--config", company.config)[0] == 2
    assert leadscore("no-such-command")[0] == 2


def test_before_the_first_extract_the_next_step_is_named(simulated: Path, tmp_path: Path, leadscore: Typed, prefect_server: str) -> None:
    config = tmp_path / "leadscore.toml"
    config.write_text((simulated / "leadscore.toml").read_text(encoding="utf-8"), encoding="utf-8")
    for command in ("train", "score", "review", "status"):
        code, _, err = leadscore(command, "--config", config)
        assert code == 1
        assert "holds no tables yet: run `leadscore extract` first." in err
