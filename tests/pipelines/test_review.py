"""What was scored and listed, and what became of the nights whose outcome may be known."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest
from conftest import MadeUp

from pipelines.company import open_company
from pipelines.extract import extract
from pipelines.review import review
from pipelines.settings import read_settings
from pipelines.standing import standing

pytestmark = pytest.mark.xdist_group("company")
# Horizon and settle lag end on 7 June; tonight is 23 August.
RIPE = datetime(2025, 3, 2, 2)


def _copy_night(config: Path, night: datetime) -> tuple[int, int]:
    """Pretend that tonight's ledger had been published on a past night, with every lead that converted after it listed; scored, and converted."""
    with open_company(read_settings(config)) as company:
        raw, horizon = company.warehouse.raw, company.settings.timeline.horizon_days
        won = "SELECT lead_id FROM deals WHERE outcome = 'won' GROUP BY 1 HAVING min(closed_at) >= ? AND min(closed_at) < ? + to_days(?)"
        winners = [lead for (lead,) in raw.execute(won, [night, night, horizon]).fetchall()]
        told = company.warehouse.read_night(company.night(None)).head(len(winners) + 5)
        told = told.assign(as_of=night, lead_id=[*winners, *told["lead_id"][len(winners) :]], listed=True, probability=0.25)
        raw.register("past_night", told)
        raw.execute("INSERT INTO ledger BY NAME SELECT * FROM past_night")
        raw.unregister("past_night")
        return len(told), len(winners)


def test_a_ripe_night_is_judged_by_the_list_that_sales_received(own_company: MadeUp) -> None:
    scored, winners = _copy_night(own_company.config, RIPE)
    assert winners > 5
    report = review(own_company.config)
    assert (report.facts["nights"], report.facts["ripe nights"]) == (2, 1)
    assert (report.facts["found by the lists"], report.facts["of conversions"]) == (winners, winners)
    (judged,) = report.rows
    assert pd.Timestamp(judged["as_of"]) == RIPE
    assert (judged["scored"], judged["listed"], judged["expected"]) == (scored, scored, pytest.approx(scored / 4))


def test_an_unripe_night_is_counted_and_not_judged(company: MadeUp) -> None:
    report = review(company.config)
    assert (report.facts["nights"], report.facts["ripe nights"], report.rows) == (1, 0, ())
    with open_company(read_settings(company.config)) as today:
        expected = float(today.warehouse.ledger().probability.sum().execute())
    assert report.facts["expected conversions of the last"] == pytest.approx(expected, abs=0.05)


def test_before_the_first_night_the_next_step_is_named(untouched: Path, prefect_server: str) -> None:
    extract(untouched)
    assert review(untouched).notices == ("No night has been scored yet: run `leadscore score`.",)


def test_where_things_stand_before_the_first_training(untouched: Path, prefect_server: str) -> None:
    extract(untouched)
    told = standing(read_settings(untouched), datetime(2025, 9, 1))
    assert (told.facts["champion"], told.facts["nights"], told.rows) == ("none yet", 0, ())
    assert told.facts["quarantined in the last extract"] > 0
    assert told.facts["next night"] == "2025-09-01 02:00 UTC"
