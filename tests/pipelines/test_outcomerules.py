"""What counts as a conversion is written down once a name, and what would mean nothing is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from features.outcome import Outcome
from features.problem import Problem
from pipelines.settings import read_settings

TABLES = '[source.tables.leads]\ntable = "leads.csv"\n[source.tables.deals]\ntable = "deals.csv"\n'
SEVERAL = """
[outcome]
horizon_days = 60

[outcomes.renewal]
kind = "renewal"
deals = { product = ["A", "B"] }
customers = { outcome = ["won"] }
min_age_days = 275

[outcomes.firms]
kind = "churn"
population = "accounts"

[outcomes.met]
kind = "meeting"
activities = ["demo"]
"""


def _file(folder: Path, text: str) -> Path:
    path = folder / "leadscore.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_named_outcomes_stand_beside_the_default_one(tmp_path: Path) -> None:
    read = read_settings(_file(tmp_path, SEVERAL + TABLES))
    first, renewal, firms, met = read.each_outcome()
    assert [one.chosen for one in (first, renewal, met)] == ["default", "renewal", "met"]
    assert [one.registry_name for one in (first, renewal, met)] == ["leadscore", "leadscore-renewal", "leadscore-met"]
    assert first.outcome.rule == Outcome()
    assert renewal.outcome.rule == Outcome("renewal", (("product", ("A", "B")),), (("outcome", ("won",)),))
    assert firms.outcome.rule == Outcome("churn", population="accounts")
    assert met.outcome.rule == Outcome("meeting", activities=("demo",))
    assert [one.outcome.name for one in (first, renewal, met)] == ["first purchase", "renewal", "meeting"]
    assert [one.timeline.horizon_days for one in (first, renewal, met)] == [60, 90, 90]
    assert (renewal.timeline.min_age_days, renewal.outcome.closed_statuses) == (275, ("merged",))
    assert "customer" in met.outcome.closed_statuses
    assert [one.lists_folder.relative_to(read.home_folder) for one in (first, met)] == [Path("lists"), Path("lists/met")]
    assert [one.chosen for one in read.each_outcome("met")] == ["met"]
    with pytest.raises(Problem, match=r"There is no outcome 'churn': leadscore\.toml has default, renewal, firms, met"):
        read.each_outcome("churn")


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        ('[outcomes.a]\nkind = "meeting"', "a meeting needs `activities`"),
        ('[outcomes.a]\nactivities = ["demo"]', "`activities` belong to the kind meeting"),
        ('[outcomes.a]\nkind = "renewal"\nstatuses = ["lost"]', "`statuses` belong to the kinds meeting and churn"),
        ('[outcomes.a]\ncustomers = { product = ["A"] }', "`customers` belong to the kinds next purchase, renewal and churn"),
        ("[outcomes.a]\nmin_age_days = 365", "min_age_days is 365, which leaves nobody under max_age_days = 365"),
        ("[outcomes.default]\nhorizon_days = 9", "'default' is no name for an outcome"),
        ('[outcomes."2025-08-23"]\nhorizon_days = 9', "'2025-08-23' is no name for an outcome"),
        (
            '[outcomes.a]\npopulation = "accounts"',
            'population = "accounts" belongs to the kinds next purchase, renewal and churn: an open lead is a person',
        ),
        ('[outcomes.a]\nkind = "churn"\npopulation = "accounts"\nstatuses = ["lost"]', "`statuses` are those of leads, and an account has none"),
        ('[outcomes.a]\nkind = "churn"\npopulation = "firms"', "Input should be 'leads' or 'accounts'"),
        ('[outcomes.a]\nkind = "upsell"', "Input should be 'first purchase', 'meeting', 'next purchase', 'renewal' or 'churn'"),
    ],
)
def test_an_outcome_that_means_nothing_is_refused(tmp_path: Path, rules: str, sentence: str) -> None:
    with pytest.raises(Problem, match=re.escape(sentence)):
        read_settings(_file(tmp_path, f"{rules}\n{TABLES}"))
