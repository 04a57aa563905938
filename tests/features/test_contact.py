"""Who must not be called is known on the night, and a wish counts at once."""

from __future__ import annotations

from stories import company_of, day, nights

from features import examples
from features.contact import contact
from features.outcome import Outcome
from features.population import population
from features.timeline import Timeline

LINE = Timeline(horizon_days=30, settle_days=2)


def test_who_asked_not_to_be_called_and_who_bought_is_not_called() -> None:
    crm = company_of(
        {
            "leads": [
                {"lead_id": "quiet", "created_at": day(0), "unsubscribed": True},
                {"lead_id": "shy", "created_at": day(0), "do_not_contact": True},
                {"lead_id": "buyer", "created_at": day(0)},
                {"lead_id": "open", "created_at": day(0), "unsubscribed": False},
            ],
            "deals": [
                {"lead_id": "buyer", "created_at": day(1), "outcome": "won", "closed_at": day(4)},
                {"lead_id": "buyer", "created_at": day(2)},
                {"lead_id": "open", "created_at": day(1), "outcome": "lost", "closed_at": day(4)},
                {"lead_id": "open", "created_at": day(1)},
            ],
        }
    )
    plan = examples.plan_from(crm, LINE)
    spine = nights(3, 6).cross_join(crm.leads.select("lead_id"))
    told = contact(crm, spine, plan).execute().set_index(["as_of", "lead_id"]).sort_index()
    assert told["unsubscribed"].groupby("lead_id").all().to_dict() == {"buyer": False, "open": False, "quiet": True, "shy": False}
    assert told["do_not_contact"].groupby("lead_id").all().to_dict() == {"buyer": False, "open": False, "quiet": False, "shy": True}
    assert told["customer"][day(3)].to_dict() == dict.fromkeys(["buyer", "open", "quiet", "shy"], False)
    assert told["customer"][day(6)].to_dict() == {"buyer": True, "open": False, "quiet": False, "shy": False}


def test_where_customers_are_whom_it_is_about_being_one_is_no_reason() -> None:
    crm = company_of(
        {
            "leads": [{"lead_id": "a", "created_at": day(0)}],
            "deals": [{"lead_id": "a", "created_at": day(1), "outcome": "won", "closed_at": day(2)}],
        }
    )
    plan = examples.plan_from(crm, LINE, outcome=Outcome("renewal"))
    told = contact(crm, population(crm, nights(9), plan), plan).execute()
    assert told[["lead_id", "customer"]].to_numpy().tolist() == [["a", False]]
