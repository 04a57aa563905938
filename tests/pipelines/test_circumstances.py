"""What stands beside a score: who may be called, who is new, who was listed, what people decided by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from reps import LEAD, night, publish
from stories import company_of

from features import examples
from features.plan import Plan
from features.problem import Problem
from pipelines.circumstances import circumstances
from pipelines.company import Company
from pipelines.decisions import decide, held
from pipelines.settings import read_settings
from pipelines.warehouse import Warehouse

NIGHT = datetime(2025, 3, 4, 2)
TODAY = datetime(2025, 3, 3, 9)
Typed = Callable[..., tuple[int, str, str]]
LEADS = [
    {"lead_id": "acme", "created_at": NIGHT - timedelta(days=30), "account_id": "A1"},
    {"lead_id": "blum", "created_at": NIGHT - timedelta(days=30), "unsubscribed": True},
    {"lead_id": "cato", "created_at": NIGHT - timedelta(hours=20), "account_id": "A2"},
    {"lead_id": "dago", "created_at": NIGHT - timedelta(hours=20)},
    {"lead_id": "ergo", "created_at": NIGHT - timedelta(hours=20)},
]
DEEDS = [
    {"lead_id": "acme", "kind": "call", "direction": "out", "occurred_at": NIGHT - timedelta(hours=30)},
    {"lead_id": "cato", "kind": "form", "direction": "in", "occurred_at": NIGHT - timedelta(hours=19)},
    {"lead_id": "dago", "kind": "form", "direction": "in", "occurred_at": NIGHT - timedelta(hours=19)},
    {"lead_id": "dago", "kind": "call", "direction": "out", "occurred_at": NIGHT - timedelta(hours=18)},
]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A company of five leads, one of whom was listed by merit the night before and one at random."""
    path = tmp_path / "leadscore.toml"
    path.write_text(
        '[source.tables.leads]\ntable = "l.csv"\n[source.tables.deals]\ntable = "d.csv"\n[list]\nrest_days = 2\nterritory = "industry"\n',
        encoding="utf-8",
    )
    tables = {"leads": LEADS, "activities": DEEDS, "accounts": [{"account_id": "A1", "industry": "wine"}, {"account_id": "A2"}]}
    with Warehouse.open(read_settings(path).warehouse_url) as warehouse:
        company_of(tables, warehouse.ibis)
        before = NIGHT - timedelta(days=1)
        publish(warehouse, night({**LEAD, "lead_id": "acme"}, {**LEAD, "lead_id": "ergo", "rank": 2, "explored": True}, as_of=before))
    return path


def _told(config: Path, **settings: object) -> pd.DataFrame:
    asked = read_settings(config)
    asked = asked.model_copy(update={"list": asked.list.model_copy(update=settings)})
    with Warehouse.open(asked.warehouse_url) as warehouse:
        company = Company(asked, warehouse, warehouse.crm(), NIGHT, ())
        known = examples.snapshot(company.crm, company.nights(NIGHT), Plan()).execute().sort_values("lead_id", ignore_index=True)
        told = circumstances(company, Plan(), known, NIGHT)
    return told.set_index(known["lead_id"])


def test_who_rests_who_is_new_and_who_was_listed_is_known(config: Path) -> None:
    told = _told(config)
    rested = "touched by us less than 2 days ago"
    assert told["left_out"].to_dict() == {"acme": rested, "blum": "unsubscribed", "cato": "", "dago": rested, "ergo": ""}
    # Came in by itself within a day, and nobody has touched it yet.
    assert told.index[told["fresh"]].tolist() == ["cato"]
    assert told.index[told["before"]].tolist() == ["acme"]
    assert told["territory"].to_dict() == {"acme": "wine", "blum": "", "cato": "", "dago": "", "ergo": ""}
    assert _told(config, fresh_hours=10)["fresh"].any() is not True
    assert _told(config, rest_days=1)["left_out"]["acme"] == ""


def test_a_territory_that_is_no_field_is_named(config: Path) -> None:
    with pytest.raises(Problem, match=r"\[list\] territory names 'region', which is no field of leads or accounts"):
        _told(config, territory="region")


def test_a_decision_holds_from_the_next_night_until_its_day_and_the_newest_counts(config: Path) -> None:
    settings = read_settings(config)
    decide(settings, "cato", 1, date(2025, 3, 4), "met at the fair", "Ann", TODAY)
    decide(settings, "ergo", 0, date(2025, 3, 9), "out of business", "", TODAY)
    decide(settings, "dago", 2, date(2025, 3, 9), "asked for a call", "Bob", TODAY)
    decide(settings, "dago", None, date.max, "", "", TODAY + timedelta(minutes=1))
    decide(settings, "acme", 0, date(2025, 3, 3), "over by then", "", TODAY)
    decide(settings, "blum", 3, date(2025, 3, 9), "only after the night", "", NIGHT + timedelta(hours=1))
    told = _told(config)
    assert told["by_hand"].dropna().to_dict() == {
        "cato": "place 1 by Ann until 2025-03-04: met at the fair",
        "ergo": "off the list until 2025-03-09: out of business",
    }
    assert told["place"].dropna().to_dict() == {"cato": 1.0}
    assert told["left_out"]["ergo"] == "off the list until 2025-03-09: out of business"


def test_a_decision_given_while_the_clock_was_ahead_does_not_outlive_the_next(config: Path) -> None:
    settings = read_settings(config)
    decide(settings, "ergo", 0, date(2999, 1, 1), "given in 2035, said the clock", "", datetime(2035, 1, 1))
    decide(settings, "ergo", 1, date(2999, 1, 1), "back again", "Ann", TODAY)
    with Warehouse.of(settings) as warehouse:
        for night in (NIGHT, datetime(2036, 1, 1)):
            assert held(warehouse, night, night.date())["because"].tolist() == ["back again"]


@pytest.mark.parametrize(
    ("lead", "until", "because", "said"),
    [
        ("nobody", date(2025, 3, 9), "x", "There is no lead nobody in the last extract: check the id"),
        ("acme", date(2025, 3, 2), "x", "The decision would hold until 2025-03-02, which is over"),
        ("acme", date(2025, 3, 9), " ", "A decision needs a reason"),
    ],
)
def test_a_decision_that_cannot_be_kept_is_refused_in_words(config: Path, lead: str, until: date, because: str, said: str) -> None:
    with pytest.raises(Problem, match=said):
        decide(read_settings(config), lead, 0, until, because, "", TODAY)
    assert _told(config)["by_hand"].isna().all()


def test_people_decide_at_the_command_line(config: Path, leadscore: Typed) -> None:
    assert leadscore("pin", "cato", "--until", "2999-01-01", "--because", "met", "--place", 2, "--config", config)[0] == 0
    assert leadscore("drop", "ergo", "--until", "2999-01-01", "--because", "gone", "--by", "Ann", "--config", config)[0] == 0
    assert leadscore("release", "cato", "--config", config)[0] == 0
    code, _, err = leadscore("drop", "acme", "--until", "2020-01-01", "--because", "gone", "--config", config)
    assert (code, "which is over" in err) == (1, True)
    with Warehouse.open(read_settings(config).warehouse_url) as warehouse:
        there = held(warehouse, datetime(2998, 1, 1), date(2998, 1, 1))
    assert there[["lead_id", "place", "because", "given_by"]].to_numpy().tolist() == [["ergo", 0, "gone", "Ann"]]
