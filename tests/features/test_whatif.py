"""What if: one more touch just now changes what it must, and nothing else."""

from __future__ import annotations

import ibis
import pytest
from stories import company_of, day, nights

from features import examples
from features.crm import Crm
from features.population import population
from features.timeline import Timeline
from features.whatif import touches, with_one_more

LINE = Timeline(horizon_days=30, settle_days=2)


def _company() -> Crm:
    calls = [{"lead_id": "a", "kind": "call", "direction": "out", "occurred_at": day(1 + n)} for n in range(3)]
    return company_of(
        {
            "leads": [{"lead_id": "a", "created_at": day(0)}, {"lead_id": "b", "created_at": day(0)}],
            "activities": [
                *calls,
                {"lead_id": "b", "kind": "email", "direction": "out", "occurred_at": day(2)},
                {"lead_id": "b", "kind": "open", "direction": "in", "occurred_at": day(3)},
            ],
        }
    )


def test_what_is_done_most_often_is_asked_first() -> None:
    assert touches(_company()) == ["call", "email"]
    assert touches(_company(), most=1) == ["call"]
    assert touches(_company(), share=0.3) == ["call"]
    assert touches(company_of({"leads": [{"lead_id": "a", "created_at": day(0)}]})) == []


@pytest.mark.parametrize(("lead", "touched", "unanswered"), [("a", 4.0, 4.0), ("b", 2.0, 1.0)])
def test_one_more_touch_is_one_more_touch(lead: str, touched: float, unanswered: float) -> None:
    crm = _company()
    plan = examples.plan_from(crm, LINE)
    spine = population(crm, nights(10), plan)
    more = examples.described(with_one_more(crm, spine, ibis.memtable({"kind": ["call"]})), spine, plan).execute().set_index("lead_id").loc[lead]
    same = examples.described(crm, spine, plan).execute().set_index("lead_id").loc[lead]
    assert (more["touches_ever"], more["unanswered"], more["touches_1d"]) == (touched, unanswered, 1.0)
    assert more["days_since_touch"] == pytest.approx(1 / 24)
    ours = ("touches_", "days_since_touch", "unanswered", "call_out", "hours_to")
    others = [name for name in same.index if not name.startswith(ours)]
    assert more[others].equals(same[others])
