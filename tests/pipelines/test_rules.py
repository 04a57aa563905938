"""A company with few customers has a list all the same, and everything says that it was not learned."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable

import pytest
from conftest import MadeUp

from models.registry import Registry
from pipelines.settings import read_settings
from pipelines.train import train
from pipelines.warehouse import Warehouse

pytestmark = pytest.mark.xdist_group("company")
Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def beginner(own_company: MadeUp) -> MadeUp:
    """The small company when it had won few deals and trained nothing."""
    with Warehouse.open(read_settings(own_company.config).warehouse_url) as warehouse:
        warehouse.raw.execute("DELETE FROM deals WHERE outcome = 'won' AND lead_id > 'L00000300'")
    return own_company


def test_a_beginner_gets_a_list_by_rules_and_every_output_says_so(beginner: MadeUp, leadscore: Typed) -> None:
    home = read_settings(beginner.config).home_folder
    (home / "mlflow.db").unlink()
    shutil.rmtree(home / "mlartifacts")
    code, out, _ = leadscore("train", "--config", beginner.config)
    words = re.search(r"rules, not learned yet: (\d+) of 100 conversions", out)
    assert code == 0
    assert words
    assert 5 < int(words[1]) < 100
    code, out, _ = leadscore("score", "--config", beginner.config)
    assert code == 0
    assert f"These scores are {words[0]}." in out
    folder = max((home / "lists").iterdir())
    assert words[0] in (folder / "index.html").read_text(encoding="utf-8")
    assert words[0] in (folder / "leads.csv").read_text(encoding="utf-8-sig").splitlines()[1]
    assert f"version 1, {words[0]}" in " ".join(leadscore("status", "--config", beginner.config)[1].split())
    scorer = Registry(read_settings(beginner.config).tracking_uri).champion().scorer
    with Warehouse.open(read_settings(beginner.config).warehouse_url) as warehouse:
        ledger = warehouse.ledger().execute()
    assert ledger["probability"].between(0, 0.6).all()
    assert ledger["probability"].nunique() > 5
    assert scorer.caveat == words[0]
    # Once more: rules follow rules.
    assert train(beginner.config).facts["champion"] is True


def test_rules_never_take_the_place_of_what_was_learned(beginner: MadeUp) -> None:
    report = train(beginner.config)
    assert report.refused
    assert report.facts["champion"] is False
    assert re.search(
        r"Gate: the learned champion, version 1, stays: these are rules, not learned yet: \d+ of 100 conversions\.", " ".join(report.notices)
    )
    assert Registry(read_settings(beginner.config).tracking_uri).champion().version == "1"
