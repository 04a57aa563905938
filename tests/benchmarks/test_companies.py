"""A made-up company comes with the truth of every night that is judged."""

from __future__ import annotations

import pytest

from benchmarks.companies import simulated
from features.labels import ripe
from models.backtest import folds
from pipelines.crm.simulator import truth

pytestmark = pytest.mark.xdist_group("company")


def test_every_judged_example_of_a_made_up_company_has_its_truth() -> None:
    case = simulated(seed=3, leads=500)
    frame, line = ripe(case.study.frame), case.study.plan.timeline
    (fold,) = folds(case.nights, line, 1)
    judged = frame.loc[frame["as_of"] >= fold.first, ["lead_id", "as_of"]]
    known = judged.merge(case.truth, on=["lead_id", "as_of"], how="left", validate="one_to_one")["knowable"]
    assert len(judged) > 500
    assert known.between(0, 1, inclusive="neither").all()
    night = judged["as_of"].min()
    alone = truth([night.to_pydatetime()], leads=500, seed=3).set_index("lead_id")["knowable"]
    first = judged[judged["as_of"] == night]
    assert known[(judged["as_of"] == night).to_numpy()].tolist() == alone.loc[first["lead_id"]].tolist()
