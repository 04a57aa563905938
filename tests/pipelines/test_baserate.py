"""A night follows the base rate by what was known before it, says so, and is the same to the byte when it is scored again."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from conftest import MadeUp

from features import examples
from models.calibration import log_losses
from models.registry import Champion, Registry
from pipelines.baserate import followed
from pipelines.company import open_company
from pipelines.score import score
from pipelines.settings import read_settings
from pipelines.story import tell
from pipelines.warehouse import Warehouse

pytestmark = pytest.mark.xdist_group("company")


def _following(company: MadeUp, too_high: float = 1.0) -> Champion:
    """The champion as if training had found that following helps, promising too much."""
    champion = Registry(read_settings(company.config).tracking_uri).champion()
    return replace(champion, scorer=replace(champion.scorer.shifted(too_high), recent_days=90))


def test_a_champion_that_did_not_earn_it_stays_as_it_is(company: MadeUp) -> None:
    champion = _following(company)
    plain = replace(champion, scorer=replace(champion.scorer, recent_days=0))
    with open_company(read_settings(company.config)) as opened:
        assert followed(opened, plain, datetime(2025, 8, 23, 2)) == (plain, None)


def test_a_past_night_is_taken_down_by_what_was_known_then_and_by_nothing_later(company: MadeUp) -> None:
    champion, day = _following(company), date(2025, 6, 1)
    with open_company(read_settings(company.config)) as opened:
        night = opened.night(day)
        moved, shift = followed(opened, champion, night)
        # The same night with everything later cut off, as if it were tonight.
        then = opened.as_of(day)
        assert followed(then, champion, night)[1] == shift
        nights = [night - timedelta(days=98 + 7 * n) for n in range(12, -1, -1)]
        known = examples.training(then.crm, then.nights(*nights), champion.scorer.plan, then.extracted_at).execute()
    assert shift is not None
    assert -1.2 < shift.value < -0.5
    assert (shift.first, shift.last, shift.leads) == (nights[0], nights[-1], known["lead_id"].nunique())
    before, after = (log_losses(known["converted"].to_numpy(dtype=bool), one.scorer.log_odds(known)).mean() for one in (champion, moved))
    assert after < before
    assert moved.scorer.log_odds(known) == pytest.approx(champion.scorer.log_odds(known) + shift.value)


def _night(config: Path) -> tuple[list[tuple[object, ...]], bytes]:
    settings = read_settings(config)
    with Warehouse.open(settings.warehouse_url) as warehouse:
        rows = warehouse.raw.execute("SELECT * FROM ledger ORDER BY rank").fetchall() + warehouse.raw.execute("SELECT * FROM shifts").fetchall()
    return rows, (settings.home_folder / "lists" / "2025-08-23" / "index.html").read_bytes()


def test_the_night_says_its_shift_and_is_the_same_when_scored_again(own_company: MadeUp, monkeypatch: pytest.MonkeyPatch) -> None:
    champion, settings = _following(own_company), read_settings(own_company.config)
    monkeypatch.setattr(Registry, "champion", lambda self: champion)
    report, first = score(own_company.config), _night(own_company.config)
    assert report.notices[0].startswith("On the newest nights whose outcome is known (2025-02-22 to 2025-05-17, ")
    assert report.notices[0].encode() in first[1]
    assert score(own_company.config) == report
    assert _night(own_company.config) == first
    with Warehouse.open(settings.warehouse_url) as warehouse:
        shift, leads = warehouse.raw.execute("SELECT shift, leads FROM shifts").fetchall()[0]
        best = warehouse.read_night(datetime(2025, 8, 23, 2)).iloc[0]
    assert f"{leads:,} leads" in report.notices[0]
    told = tell(settings, best["lead_id"], None)
    assert told.facts["probability"] == pytest.approx(best["probability"])
    assert 1 / (1 + np.exp(-told.facts["log-odds"])) == pytest.approx(best["probability"])
    assert shift < 0
