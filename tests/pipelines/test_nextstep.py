"""What would change it is what history associates with a higher score, said as that."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from stories import company_of

from features import examples
from features.plan import Plan
from models.baseline import fit_logistic
from models.calibration import Calibration
from models.scorer import Scorer
from pipelines.company import Company
from pipelines.nextstep import next_steps
from pipelines.settings import read_settings
from pipelines.warehouse import Warehouse

NIGHT = datetime(2025, 3, 4, 2)
(TOUCHES,) = (feature for feature in examples.features_of(Plan()) if feature.name == "touches_7d")


def _scorer(sign: int) -> Scorer:
    """A line that learned that touches of the last week go with more conversions, or with fewer."""
    rng = np.random.default_rng(4)
    touched = rng.integers(0, 6, 2_000).astype(float)
    ids = [f"T{n}" for n in range(2_000)]
    converted = rng.random(2_000) < 1 / (1 + np.exp(2 - sign * touched))
    past = pd.DataFrame({"lead_id": ids, "as_of": NIGHT, "weight": 1.0, "touches_7d": touched, "converted": converted})
    return Scorer(fit_logistic(past, [TOUCHES]), Calibration(), Plan(), (TOUCHES,), NIGHT, NIGHT, 0.3)


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    """Two leads; sales mostly calls and sometimes writes."""
    path = tmp_path / "leadscore.toml"
    path.write_text('[source.tables.leads]\ntable = "l.csv"\n[source.tables.deals]\ntable = "d.csv"\n', encoding="utf-8")
    leads = [{"lead_id": name, "created_at": NIGHT - timedelta(days=30)} for name in ("acme", "blum")]
    deeds = [{"lead_id": "acme", "kind": kind, "direction": "out", "occurred_at": NIGHT - timedelta(days=20)} for kind in ("call", "call", "email")]
    settings = read_settings(path)
    with Warehouse.open(settings.warehouse_url) as warehouse:
        company_of({"leads": leads, "activities": deeds}, warehouse.ibis)
        yield Company(settings, warehouse, warehouse.crm(), NIGHT, ())


def _known(company: Company, *leads: str) -> pd.DataFrame:
    snapshot = examples.snapshot(company.crm, company.nights(NIGHT), Plan()).execute()
    return snapshot[snapshot["lead_id"].isin(leads)]


def test_the_cheapest_thing_that_goes_with_a_higher_score_is_told(company: Company) -> None:
    told = next_steps(company, _scorer(1), _known(company, "acme"), NIGHT)
    assert told.index.tolist() == ["acme"]
    assert told["acme"].startswith("leads like it with one more call from us scored ")
    assert told["acme"].endswith("; what went together, not what follows")
    new, old = (int(word) for word in told["acme"].split() if word.isdigit())
    assert new > old + 10


def test_where_nothing_goes_with_a_higher_score_nothing_is_told(company: Company) -> None:
    assert next_steps(company, _scorer(-1), _known(company, "acme", "blum"), NIGHT).empty
    assert next_steps(company, _scorer(1), _known(company), NIGHT).empty
