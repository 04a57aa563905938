"""What a judged lead belongs to is what stood in the company's tables that night; what is protected is looked up and never learned from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import floor

import numpy as np
import pandas as pd
import pytest
from conftest import MadeUp

from features import examples
from features.plan import Attribute
from features.problem import Problem
from models.metrics import Judged
from models.registry import Registry
from pipelines.company import Company, open_company
from pipelines.groups import groups_of, may_learn, protected_attributes, protected_of
from pipelines.settings import read_settings
from pipelines.train import build_examples, challenge_champion

pytestmark = pytest.mark.xdist_group("company")


@pytest.fixture
def opened(company: MadeUp) -> Iterator[Company]:
    with open_company(read_settings(company.config)) as made_up:
        yield made_up


def _protecting(company: Company, *names: str) -> Company:
    training = company.settings.training.model_copy(update={"protected": names})
    return replace(company, settings=company.settings.model_copy(update={"training": training}))


def test_tier_and_team_are_those_of_the_owner_of_that_night(opened: Company) -> None:
    plan = Registry(opened.settings.tracking_uri).champion().scorer.plan
    nights = opened.past_nights()[20:23]
    known = examples.snapshot(opened.crm, opened.nights(*nights), plan).execute().sort_values(["as_of", "lead_id"], ignore_index=True)
    some = known[known.index % 3 == 0].reset_index(drop=True)
    odds = np.random.default_rng(1).normal(-2, 1, len(some))
    judged = Judged(np.zeros(len(some), dtype=bool), odds, np.ones(len(some)), some["lead_id"].to_numpy(dtype=object), some["as_of"].to_numpy())
    found = groups_of(opened, judged, known, {"source": "lead__source", "tier": "lead__stage"}, plan)
    owners = opened.crm.owners.execute().set_index("owner_id")
    assert found["owner team"].tolist() == some["owner_id"].map(owners["team"]).tolist()
    assert found["source"].tolist() == some["lead__source"].tolist()
    assert found["tier (own)"].fillna("none").tolist() == some["lead__stage"].fillna("none").tolist()
    for at in range(0, len(some), 37):
        lead = some.loc[at]
        theirs = [n for n in range(len(some)) if (some["as_of"][n], some["owner_id"][n]) == (lead["as_of"], lead["owner_id"])]
        better = sum(odds[n] > odds[at] for n in theirs)
        everybody = sum((known["as_of"] == lead["as_of"]) & (known["owner_id"] == lead["owner_id"]))
        capacity = owners["capacity"].get(lead["owner_id"])
        room = opened.settings.list.capacity if pd.isna(capacity) else capacity
        assert found["tier"][at] == "ABCDE"[min(floor((better + 0.5) / len(theirs) * everybody / room), 4)]


def test_what_is_protected_is_never_learned_from(opened: Company) -> None:
    protecting = _protecting(opened, "language", "region", "customer_tier")
    study = build_examples.fn(protecting)
    assert not {"language", "region", "customer_tier"} & {attribute.name for attribute in study.plan.attributes}
    assert not [column for column in study.frame if "language" in column or "region" in column.removeprefix("lead__country_region")]
    assert not {"language", "region"} & set(study.plan.rated)
    unprotected = Registry(opened.settings.tracking_uri).champion().scorer.plan
    assert {"language", "region"} <= {attribute.name for attribute in unprotected.attributes}


def test_what_a_law_protects_is_learned_from_only_where_it_is_allowed_and_who_somebody_is_never(opened: Company) -> None:
    allowing = opened.settings.training.model_copy(update={"allow": ("gender", "phone")})
    allowed = replace(opened, settings=opened.settings.model_copy(update={"training": allowing}))
    gender, phone = Attribute("gender", "leads", "category", "creation"), Attribute("phone", "leads", "text", "creation")
    has_phone = Attribute("has_phone", "leads", "flag", "creation")
    assert [may_learn(opened, field) for field in (gender, phone, has_phone)] == [False, False, True]
    assert [may_learn(allowed, field) for field in (gender, phone, has_phone)] == [True, False, True]
    known = replace(opened, attributes=(*opened.attributes, gender))
    assert "gender" not in {attribute.name for attribute in build_examples.fn(known).plan.attributes}


def test_a_champion_that_learned_from_what_is_protected_by_now_is_replaced(opened: Company) -> None:
    decision = challenge_champion.fn(_protecting(opened, "language", "customer_tier"), None, past=False)
    assert (decision.promote, decision.reasons) == (True, ("the champion learned from language, which is protected by now",))


def test_values_of_what_is_protected_are_the_leads_own_and_its_accounts(opened: Company) -> None:
    leads = opened.crm.leads.execute().head(40)
    region = opened.crm.accounts.execute().set_index("account_id")["region"]
    night = np.full(40, np.datetime64("2025-01-01"))
    judged = Judged(np.zeros(40, dtype=bool), np.zeros(40), np.ones(40), leads["lead_id"].to_numpy(dtype=object), night)
    found = protected_of(_protecting(opened, "language", "region"), judged)
    assert sorted(found.columns) == ["account's region", "language"]
    assert found["language"].fillna("").tolist() == leads["language"].fillna("").tolist()
    assert found["account's region"].fillna("").tolist() == leads["account_id"].map(region).fillna("").tolist()
    assert protected_of(opened, judged).columns.empty


def test_a_protected_name_that_is_no_field_is_refused_before_anything_is_learned(opened: Company) -> None:
    with pytest.raises(Problem, match=r"\[training\] protected names gender, which is no field of leads, accounts or deals in the last extract"):
        build_examples.fn(_protecting(opened, "gender"))
    assert protected_attributes(opened) == ()
