"""A champion by a person's word: typed as a person types it, with its reason in the trail."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime

import pytest
from conftest import MadeUp

from models.registry import Registry
from models.run import Training
from pipelines.settings import read_settings

pytestmark = pytest.mark.xdist_group("company")
Typed = Callable[..., tuple[int, str, str]]


def test_promote_roll_back_and_say_why(own_company: MadeUp, leadscore: Typed) -> None:
    registry = Registry(read_settings(own_company.config).tracking_uri)
    scorer = registry.champion().scorer
    registry.conclude(registry.log(Training("train", {}, {}, {}, scorer, scorer.average())), False, ("it is no better",), datetime(2025, 8, 23))
    code, out, _ = leadscore("promote", "2", "--because", "the new source is in it", "--config", own_company.config)
    assert (code, out.splitlines()[0]) == (0, "promote: champion 2, before 1")
    assert out.splitlines()[-1] == "- The next night is scored with version 2; run `leadscore score` to score tonight again."
    assert registry.champion().version == "2"
    code, out, _ = leadscore("rollback", "--because", "reps complained", "--config", own_company.config, "--json")
    told = json.loads(out)
    assert (code, told["champion"], told["before"]) == (0, "1", "2")
    assert [(row["champion"], row["before"], row["how"], row["because"]) for row in told["rows"]] == [
        ("1", "none", "gate", "there was no champion"),
        ("2", "1", "promoted", "the new source is in it"),
        ("1", "2", "rolled back", "reps complained"),
    ]
    _, out, _ = leadscore("status", "--config", own_company.config)
    assert "by a rollback: reps complained." in out


def test_a_champion_is_not_changed_without_a_reason(company: MadeUp, leadscore: Typed) -> None:
    assert leadscore("promote", "1", "--config", company.config)[0] == 2
    code, _, err = leadscore("promote", "1", "--because", " ", "--config", company.config)
    assert (code, err.splitlines()[-1]) == (1, 'leadscore: A champion is not changed without a reason: add --because "...".')


def test_what_cannot_be_done_is_one_sentence(company: MadeUp, leadscore: Typed) -> None:
    code, _, err = leadscore("promote", "7", "--because", "luck", "--config", company.config)
    expected = "leadscore: There is no model version 7: the versions are 1. `leadscore status` names the champion."
    assert (code, err.splitlines()[-1]) == (1, expected)
    code, _, err = leadscore("rollback", "--config", company.config)
    assert code == 1
    assert err.splitlines()[-1].startswith("leadscore: There is no champion before version 1 to go back to")
