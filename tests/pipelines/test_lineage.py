"""From any score back to the model, the run, the code, the configuration and the tables that it was made of."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from conftest import MadeUp

from models.registry import Registry
from pipelines.company import open_company
from pipelines.lineage import code_version, configuration_digest, lineage_of
from pipelines.registry import registry_of
from pipelines.seals import table_digest
from pipelines.settings import read_settings
from pipelines.warehouse import Warehouse

pytestmark = pytest.mark.xdist_group("company")
Typed = Callable[..., tuple[int, str, str]]


def _first_lead(company: MadeUp) -> str:
    with Warehouse.of(read_settings(company.config)) as warehouse:
        return str(warehouse.raw.execute("SELECT lead_id FROM ledger WHERE rank = 1").fetchall()[0][0])


def test_a_score_is_traced_back_to_everything_that_it_was_made_of(company: MadeUp, leadscore: Typed) -> None:
    code, out, _ = leadscore("explain", _first_lead(company), "--lineage", "--config", company.config, "--json")
    told = json.loads(out)
    settings = read_settings(company.config)
    run = Registry(settings.tracking_uri).client.get_run(told["MLflow run"]).data
    assert code == 0
    assert (told["night"], told["model version"]) == ("2025-08-23", "1")
    assert told["learned from"] == run.tags["dataset_digest"]
    assert told["learned by code"] == told["code"] == code_version()
    assert told["learned by configuration"] == told["configuration"] == configuration_digest(settings)
    extracted = {row["table"]: row for row in company.reports["extract"].rows}
    assert {row["table"]: row["quarantined"] for row in told["rows"]} == {name: row["quarantined"] for name, row in extracted.items()}
    with Warehouse.of(settings) as warehouse:
        assert {row["table"]: row["digest"] for row in told["rows"]} == {name: table_digest(warehouse.raw, name) for name in extracted}
        assert {row["table"]: row["rows"] for row in told["rows"]} == {name: warehouse.size(name) for name in extracted}
    assert json.loads(run.tags["tables"]) == {row["table"]: row["digest"] for row in told["rows"]}


def test_a_lead_that_was_not_scored_has_no_lineage(company: MadeUp, leadscore: Typed) -> None:
    said = "has no score{}: check the id and the night, which `leadscore status` lists.\n"
    code, _, err = leadscore("explain", "nobody", "--lineage", "--config", company.config)
    assert (code, err) == (1, f"leadscore: Lead nobody {said.format('')}")
    lead = _first_lead(company)
    code, _, err = leadscore("explain", lead, "--lineage", "--as-of", "2025-08-20", "--config", company.config)
    assert (code, err) == (1, f"leadscore: Lead {lead} {said.format(' of 2025-08-20')}")


def test_a_night_of_an_earlier_release_says_that_it_kept_none(own_company: MadeUp, leadscore: Typed) -> None:
    with Warehouse.of(read_settings(own_company.config)) as warehouse:
        warehouse.raw.execute("DELETE FROM lineage")
    code, _, err = leadscore("explain", _first_lead(own_company), "--lineage", "--config", own_company.config)
    assert (code, err) == (1, "leadscore: The night of 2025-08-23 was scored by a release that kept no lineage: score it again with --as-of.\n")


def test_the_copy_of_the_champion_tells_the_same_origin(company: MadeUp) -> None:
    settings = read_settings(company.config)
    note = json.loads((settings.home_folder / "standby" / "leadscore" / "newest.json").read_text(encoding="utf-8"))
    assert note["origin"] == registry_of(settings).champion().origin
    assert set(note["origin"]) == {"dataset_digest", "code_version", "configuration_digest"}


def test_where_things_lie_makes_no_other_configuration_and_what_is_decided_does(company: MadeUp, own_company: MadeUp) -> None:
    before, moved = read_settings(company.config), read_settings(own_company.config)
    assert before.home_folder != moved.home_folder
    assert configuration_digest(before) == configuration_digest(moved)
    text = own_company.config.read_text(encoding="utf-8")
    own_company.config.write_text(f"# A word to whoever reads this.\n{text}", encoding="utf-8")
    assert configuration_digest(read_settings(own_company.config)) == configuration_digest(before)
    own_company.config.write_text(text + "\n[gate]\nslope = 0.3\n", encoding="utf-8")
    assert configuration_digest(read_settings(own_company.config)) != configuration_digest(before)


def test_a_row_that_changed_makes_another_lineage(own_company: MadeUp) -> None:
    settings = read_settings(own_company.config)
    champion = registry_of(settings).champion()
    with open_company(settings) as company:
        before = lineage_of(company, champion)
        with company.warehouse.transaction():
            company.warehouse.raw.execute("UPDATE activities SET kind = 'meeting' WHERE activity_id = (SELECT min(activity_id) FROM activities)")
            company.warehouse.seal_tables()
        after = lineage_of(company, champion)
    changed = [name for name, table in after.tables.items() if table != before.tables[name]]
    assert changed == ["activities"]
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*\+[0-9a-f]{12}", after.code_version)
