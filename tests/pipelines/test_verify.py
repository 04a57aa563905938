"""A tampered model, ledger, list or extract is detected, said in words, and what leadscore wrote passes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest
from conftest import MadeUp
from scored import scored

from models.registry import Registry
from models.run import Training
from pipelines.schema import LEDGER
from pipelines.seals import altered_nights
from pipelines.settings import read_settings
from pipelines.warehouse import Warehouse

pytestmark = pytest.mark.xdist_group("company")
Typed = Callable[..., tuple[int, str, str]]


def _warehouse(company: MadeUp, *statements: str) -> None:
    with Warehouse.open(read_settings(company.config).warehouse_url) as warehouse:
        for statement in statements:
            warehouse.raw.execute(statement)


def test_what_leadscore_wrote_is_what_is_there(company: MadeUp, leadscore: Typed) -> None:
    code, out, _ = leadscore("verify", "--config", company.config)
    assert (code, out) == (0, "verify: models 1, nights 1, lists 1, extracts 1\n- Everything is what was written.\n")
    code, out, _ = leadscore("verify", "--config", company.config, "--json")
    assert (code, json.loads(out)["models"], json.loads(out)["refused"]) == (0, 1, False)


@pytest.mark.parametrize(
    ("tampered", "said"),
    [
        ("UPDATE ledger SET probability = probability + 1e-9 WHERE rank = 7", "a value of its {n} leads was changed"),
        ("UPDATE ledger SET reasons = '[]' WHERE rank = 1", "a value of its {n} leads was changed"),
        ("UPDATE ledger SET owner_id = NULL WHERE rank = 1", "a value of its {n} leads was changed"),
        ("DELETE FROM ledger WHERE rank = 7", "{n} leads were published and {less} are there"),
        ("DELETE FROM ledger", "{n} leads were published and 0 are there"),
        ("UPDATE ledger SET as_of = as_of - INTERVAL 1 DAY", "{n} leads were published and 0 are there"),
    ],
)
def test_a_night_that_was_tampered_with_is_told(own_company: MadeUp, leadscore: Typed, tampered: str, said: str) -> None:
    _warehouse(own_company, tampered)
    code, out, _ = leadscore("verify", "--config", own_company.config)
    leads = own_company.reports["score"].facts["open leads"]
    what = said.format(n=f"{leads:,}", less=f"{leads - 1:,}")
    way = "Put back a copy of the warehouse, or run `leadscore score --as-of 2025-08-23`."
    assert code == 1
    assert f"- The night of 2025-08-23 in the ledger is not what was published: {what}. {way}\n" in out


@pytest.mark.parametrize(
    ("tampered", "said"),
    [
        ("UPDATE extracts SET clean = clean - 1 WHERE table_name = 'deals'", r"deals, extracted until 2025-08-23 00:00: \d+ rows were read, and"),
        ("DELETE FROM quarantine WHERE table_name = 'leads'", r"leads, extracted until 2025-08-23 00:00: \d+ rows? were refused, and 0 are"),
        ("UPDATE deals SET amount = 2 * amount WHERE deal_id = (SELECT min(deal_id) FROM deals)", "The table deals in the warehouse is not what was"),
        ("DELETE FROM owners WHERE owner_id = (SELECT min(owner_id) FROM owners)", "The table owners in the warehouse is not what was extracted"),
        ("ALTER TABLE accounts RENAME industry TO trade", "The table accounts in the warehouse is not what was extracted"),
        ("UPDATE lineage SET model_version = '7'", "The lineage of 2025-08-23 names another model than its scores do"),
        ("DELETE FROM extracts WHERE table_name = 'leads'", r"leads, extracted until 2025-08-23 00:00: \d+ rows are in quarantine, and the extract"),
    ],
)
def test_rows_that_are_not_accounted_for_are_told(own_company: MadeUp, leadscore: Typed, tampered: str, said: str) -> None:
    _warehouse(own_company, tampered)
    code, out, _ = leadscore("verify", "--config", own_company.config)
    assert code == 1
    assert re.search(said, out)


def test_a_copy_of_the_champion_that_was_tampered_with_is_told(own_company: MadeUp, leadscore: Typed) -> None:
    kept = next((own_company.folder / ".leadscore" / "standby" / "leadscore").glob("1.*"))
    (kept / "scorer.json").write_text((kept / "scorer.json").read_text(encoding="utf-8") + " ", encoding="utf-8")
    code, out, _ = leadscore("verify", "--config", own_company.config)
    assert code == 1
    assert f"- The copy of the champion in {kept} is not what was kept, so that it would score no night" in out


def test_a_list_that_was_tampered_with_is_told_and_scoring_again_mends_it(own_company: MadeUp, leadscore: Typed) -> None:
    page = own_company.folder / ".leadscore" / "lists" / "2025-08-23" / "index.html"
    page.write_bytes(page.read_bytes().replace(b"Northwind", b"Southwind"))
    code, out, _ = leadscore("verify", "--config", own_company.config, "--json")
    assert (code, json.loads(out)["failed"]) == (1, True)
    (told,) = json.loads(out)["notices"]
    assert told == (
        f"The list in {page.parent} is not what was published: a file in it was changed, added or taken away. "
        "`leadscore score --as-of 2025-08-23` writes it again."
    )
    assert leadscore("score", "--as-of", "2025-08-23", "--config", own_company.config)[0] == 0
    assert b"Southwind" not in page.read_bytes()
    assert leadscore("verify", "--config", own_company.config)[0] == 0


def test_a_list_without_scores_in_the_ledger_is_told(own_company: MadeUp, leadscore: Typed) -> None:
    _warehouse(own_company, *(f"DELETE FROM {table} WHERE as_of = TIMESTAMP '2025-08-23 02:00'" for table in ("ledger", "nights", "lineage")))
    code, out, _ = leadscore("verify", "--config", own_company.config)
    assert code == 1
    shown = own_company.folder / ".leadscore" / "lists" / "2025-08-23"
    way = "put back a copy of the warehouse, or run `leadscore score --as-of 2025-08-23`."
    assert f"- The list in {shown} has no scores in the ledger: {way}\n" in out


def test_a_champion_that_was_tampered_with_is_told_and_scores_nobody(own_company: MadeUp, leadscore: Typed) -> None:
    registry = Registry(read_settings(own_company.config).tracking_uri)
    scorer = registry.champion().scorer
    # A version of its own: the files of the first are those of the company that others read.
    example = pd.DataFrame([scorer.usual])[[feature.name for feature in scorer.features]]
    version = registry.log(Training("again", {}, {}, {}, scorer, example))
    registry.promote(version, "for the test", datetime(2025, 8, 24))
    folder = Path(registry.mlflow.artifacts.download_artifacts(f"models:/leadscore/{version}")) / "artifacts" / "scorer"
    stored = folder / "scorer.json"
    stored.write_text(stored.read_text(encoding="utf-8") + " ", encoding="utf-8")
    code, out, _ = leadscore("verify", "--config", own_company.config)
    assert (code, out.splitlines()[0]) == (1, "verify: models 2, nights 1, lists 1, extracts 1")
    assert f"- The files of model version {version} are not those that were logged: put back a copy" in out
    code, out, err = leadscore("score", "--config", own_company.config)
    assert (code, out) == (1, "")
    assert f"The files of model version {version} are not those that were logged: somebody changed them, or the disk did." in err
    assert leadscore("rollback", "--because", "tampered with", "--config", own_company.config)[0] == 0
    assert leadscore("score", "--config", own_company.config)[0] == 0


def test_what_an_earlier_release_wrote_cannot_be_told_and_is_no_difference(own_company: MadeUp, leadscore: Typed) -> None:
    _warehouse(own_company, "DELETE FROM nights")
    code, out, _ = leadscore("verify", "--config", own_company.config)
    assert (code, out.splitlines()[1:]) == (0, ["- An earlier release wrote 0 models and 1 nights without a seal: of these nobody can tell."])


def test_columns_that_a_later_release_adds_leave_the_seal_alone(tmp_path: Path) -> None:
    night, later = datetime(2025, 6, 1, 2), [*LEDGER, "a_new_one"]
    with Warehouse.open(str(tmp_path / "w.duckdb")) as warehouse:
        warehouse.publish_night(night, scored(["1", "2"], night))
        warehouse.raw.execute("ALTER TABLE ledger ADD COLUMN a_new_one VARCHAR")
        assert altered_nights(warehouse.raw, later, "default") == []
        warehouse.raw.execute("UPDATE ledger SET a_new_one = 'x'")
        assert altered_nights(warehouse.raw, later, "default") == [(night, "a value of its 2 leads was changed")]
