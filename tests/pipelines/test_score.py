"""A night is scored whole, the same to the byte however often, or not at all."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import learnable
import pandas as pd
import pytest
from conftest import QUICK, MadeUp
from postoffice import HOST, open_office
from reps import NIGHT, TEAM, night, publish
from stories import company_of

from features.plan import Plan
from features.problem import Problem
from models.registry import Champion
from models.rules import rules
from pipelines.company import Company, open_company
from pipelines.extract import extract
from pipelines.score import backfill, build_snapshot, fetch_champion, score, see_night, send_lists, write_lists
from pipelines.settings import read_settings
from pipelines.train import train
from pipelines.warehouse import Warehouse

pytestmark = pytest.mark.xdist_group("company")


def _ledger(config: Path) -> pd.DataFrame:
    with Warehouse.open(read_settings(config).warehouse_url) as warehouse:
        return warehouse.raw.execute("SELECT * FROM ledger ORDER BY as_of, rank, lead_id").df()


def _files(config: Path) -> dict[str, bytes]:
    lists = read_settings(config).home_folder / "lists"
    return {str(path.relative_to(lists)): path.read_bytes() for path in sorted(lists.glob("2*/*"))}


def test_every_open_lead_has_a_place_in_the_ledger(company: MadeUp) -> None:
    ledger = _ledger(company.config)
    assert ledger["rank"].tolist() == list(range(1, len(ledger) + 1))
    assert ledger["lead_id"].is_unique
    assert ledger["probability"].between(0, 1).all()
    # By worth: only who has just come in may stand before a likelier lead.
    with open_company(read_settings(company.config)) as opened:
        created = opened.crm.leads.select("lead_id", "created_at").execute().set_index("lead_id")["created_at"]
    settled = ledger[ledger["as_of"] - ledger["lead_id"].map(created) > pd.Timedelta(days=1)]
    assert len(settled) > 0.9 * len(ledger)
    assert settled["probability"].is_monotonic_decreasing
    assert set(ledger["tier"]) <= {"A", "B", "C", "D", "E"}
    assert (ledger["score"] == (100 * ledger["probability"]).round()).all()
    assert company.reports["score"].facts["open leads"] == len(ledger)
    assert (ledger["model_version"] == "1").all()


def test_expected_value_is_the_probability_times_the_amount_expected_of_the_lead(company: MadeUp) -> None:
    with open_company(read_settings(company.config)) as tonight:
        champion = fetch_champion.fn(tonight, None)
        known = build_snapshot.fn(tonight, champion, tonight.night(None))
    assert champion.scorer.amount is not None
    amount = pd.Series(champion.scorer.amounts(known), index=known["lead_id"])
    ledger = _ledger(company.config)
    assert ledger["expected_value"].tolist() == pytest.approx((ledger["probability"] * amount[ledger["lead_id"]].to_numpy()).tolist())
    # The made-up companies buy for more the larger they are: the largest have 250 times the employees of the smallest.
    by_size = amount.groupby(known.set_index("lead_id")["account__employees"]).mean()
    assert by_size.idxmax() == 3000
    assert by_size[3000] / by_size[12] > 3
    page = (read_settings(company.config).home_folder / "lists" / "2025-08-23" / "index.html").read_text(encoding="utf-8")
    assert "Expected value is the probability times the amount expected of each lead, should it come to that." in page


def test_every_reason_is_in_words_and_few_are_told(company: MadeUp) -> None:
    for reasons in _ledger(company.config)["reasons"].map(json.loads):
        signs = [reason["contribution"] > 0 for reason in reasons]
        assert sum(signs) <= 3
        assert len(signs) - sum(signs) <= 2
        assert all(reason["words"] and reason["field"] for reason in reasons)


def test_a_night_scored_again_is_the_same_to_the_byte(own_company: MadeUp) -> None:
    before = _ledger(own_company.config), _files(own_company.config)
    score(own_company.config)
    after = _ledger(own_company.config), _files(own_company.config)
    pd.testing.assert_frame_equal(before[0], after[0])
    assert before[1] == after[1]
    files = {Path(name).name for name in after[1]}
    assert {"index.html", "leads.csv"} < files
    # And a workbook for every owner.
    assert len([name for name in files if name.endswith(".xlsx")]) == len(files) - 2 == before[0]["owner_id"].nunique()


def test_without_a_champion_nothing_is_ranked(untouched: Path, prefect_server: str) -> None:
    extract(untouched)
    with pytest.raises(Problem, match="There is no champion yet: run `leadscore train` first"):
        score(untouched)
    assert _ledger(untouched).empty


def test_a_column_that_vanished_is_named_and_the_last_list_stays(own_company: MadeUp) -> None:
    before = _ledger(own_company.config), _files(own_company.config)
    with Warehouse.open(read_settings(own_company.config).warehouse_url) as warehouse:
        warehouse.raw.execute("ALTER TABLE leads DROP COLUMN campaign")
        warehouse.raw.execute("DELETE FROM attributes WHERE name = 'campaign'")
    with pytest.raises(Problem, match=r"The champion needs leads.campaign, which the last extract did not bring"):
        score(own_company.config)
    pd.testing.assert_frame_equal(before[0], _ledger(own_company.config))
    assert before[1] == _files(own_company.config)


def test_a_category_never_seen_is_harmless(own_company: MadeUp) -> None:
    with Warehouse.open(read_settings(own_company.config).warehouse_url) as warehouse:
        warehouse.raw.execute("UPDATE leads SET source = 'carrier pigeon', campaign = NULL")
    assert score(own_company.config).facts["open leads"] == own_company.reports["score"].facts["open leads"]


def test_a_night_without_open_leads_is_a_red_run(own_company: MadeUp) -> None:
    with Warehouse.open(read_settings(own_company.config).warehouse_url) as warehouse:
        warehouse.raw.execute("DELETE FROM leads")
    with pytest.raises(Problem, match="No lead is open on 2025-08-23, so there is nothing to rank and the last list stays"):
        score(own_company.config)


def test_a_night_that_the_extract_does_not_reach_is_refused(own_company: MadeUp) -> None:
    before = _ledger(own_company.config)
    with pytest.raises(Problem, match=r"2025-08-23 is the newest night it can serve and 2025-08-24 is still to come: run `leadscore extract` first"):
        score(own_company.config, date(2025, 8, 24))
    pd.testing.assert_frame_equal(before, _ledger(own_company.config))


def test_a_source_that_has_stopped_is_said_and_the_night_is_not_called_done(own_company: MadeUp) -> None:
    text = own_company.config.read_text(encoding="utf-8")
    # Nobody says until when the tables are complete: then the newest thing they know of does.
    own_company.config.write_text(re.sub(r"(?m)^extracted_at = .*$", "", text), encoding="utf-8")
    report = score(own_company.config)
    assert report.refused
    assert re.fullmatch(
        r"The newest thing that the source knows of is [\d]+ days old \(2025-08-23\), more than \[source\] stale_days = 4: see whether its export "
        "has stopped, for this list then is an old one.",
        report.notices[0],
    )


def test_a_past_night_needs_a_model_of_its_time(own_company: MadeUp) -> None:
    with pytest.raises(Problem, match=r"No model had been trained by 2025-06-01: run `leadscore train --as-of 2025-06-01` first"):
        score(own_company.config, date(2025, 6, 1))


def test_a_past_night_is_scored_as_it_would_have_been(own_company: MadeUp) -> None:
    config, day = own_company.config, date(2025, 6, 1)
    config.write_text(config.read_text(encoding="utf-8") + QUICK, encoding="utf-8")
    trained = train(config, day)
    assert (trained.facts["champion"], trained.notices[-1]) == (True, "Gate: there was no champion.")
    backfill(config, day, day)
    told = _ledger(config)
    told = told[told["as_of"] == pd.Timestamp("2025-06-01 02:00")]
    # The same night with everything later really cut off.
    with open_company(read_settings(config)) as today:
        then = today.as_of(day)
        tables = {name: getattr(then.crm, name).execute() for name in then.crm._fields}
    _keep_only(config, tables)
    score(config, day)
    again = _ledger(config)
    again = again[again["as_of"] == pd.Timestamp("2025-06-01 02:00")]
    pd.testing.assert_frame_equal(told.reset_index(drop=True), again.reset_index(drop=True))


def _keep_only(config: Path, tables: dict[str, Any]) -> None:
    with Warehouse.open(read_settings(config).warehouse_url) as warehouse:
        for name, frame in tables.items():
            warehouse.raw.register("cut_off", frame)
            warehouse.raw.execute(f"DELETE FROM {name}")
            warehouse.raw.execute(f"INSERT INTO {name} BY NAME SELECT * FROM cut_off")
            warehouse.raw.unregister("cut_off")


def _small_company(folder: Path, port: int) -> Path:
    """A company whose night of TEAM is in the ledger, with a link to its CRM and a mail server."""
    config = folder / "leadscore.toml"
    config.write_text(
        '[company]\nname = "Northwind"\n[source.tables.leads]\ntable = "l.csv"\n[source.tables.deals]\ntable = "d.csv"\n'
        '[delivery]\ncrm_link = "https://crm.example/{lead_id}"\n'
        f'[delivery.mail]\nserver = "{HOST}"\nport = {port}\ntls = "none"\nsender = "leads@northwind.example"\n',
        encoding="utf-8",
    )
    leads = [{"lead_id": f"L{n}", "created_at": NIGHT, "name": f"lead {n}", "company": "=Acme"} for n in range(1, 6)]
    owners = [{"owner_id": "o1", "name": "Ann", "email": "ann@northwind.example"}, {"owner_id": "o2", "name": "Bob"}]
    with Warehouse.open(read_settings(config).warehouse_url) as warehouse:
        publish(warehouse, night(*TEAM))
        company_of({"leads": leads, "owners": owners}, warehouse.ibis)
    return config


def test_every_rep_has_a_workbook_beside_the_page_and_gets_that_very_one_by_mail(tmp_path: Path) -> None:
    scorer, _ = rules(learnable.examples(leads=60, weeks=4), learnable.FEATURES, Plan(), NIGHT, 3, needed=100)
    champion = Champion("1", "run", scorer)
    with open_office() as office:
        config = _small_company(tmp_path, office.port)
        settings = read_settings(config)
        with Warehouse.open(settings.warehouse_url) as warehouse:
            company = Company(settings, warehouse, warehouse.crm(), NIGHT, ())
            seen = see_night.fn(company, champion, NIGHT)
            folder = write_lists.fn(company, seen)
            first = {path.name: path.read_bytes() for path in folder.iterdir()}
            posted = send_lists.fn(company, seen, folder)
            again_seen = see_night.fn(company, champion, NIGHT)
            write_lists.fn(company, again_seen)
            again = send_lists.fn(company, again_seen, folder)
    assert sorted(first) == ["ann.xlsx", "bob.xlsx", "index.html", "leads.csv", "nobody.xlsx"]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first
    assert (posted.sent, posted.failed, again.sent, office.recipients) == (1, False, 0, ["ann@northwind.example"])
    assert posted.notices == again.notices
    assert posted.notices[0].startswith("Bob (owner_id o2) has no e-mail address that can be used")
    (letter,) = office.letters
    assert [part.get_content() for part in letter.iter_attachments()] == [first["ann.xlsx"]]  # type: ignore[attr-defined]
    assert "1. lead 1, =Acme: 12.3 %" in str(letter.get_body(("plain",)).get_content())  # type: ignore[union-attr]
    today = pd.read_excel(folder / "ann.xlsx", sheet_name="Today", engine="calamine")
    assert today[["Name", "Company", "CRM", "Lead ID"]].to_numpy().tolist() == [
        ["lead 1", "'=Acme", "open", "L1"],
        ["lead 2", "'=Acme", "open", "L2"],
    ]
