"""What is to be minded of each lead beside its score: whether it may be called, is new, was listed, or was put somewhere by hand."""

from __future__ import annotations

from datetime import datetime

import pandas as pd

from features.contact import contact
from features.plan import Plan
from models.leftout import left_out
from pipelines.company import Company
from pipelines.decisions import held

_NOWHERE = 0
_HOURS = 24.0


def circumstances(company: Company, plan: Plan, known: pd.DataFrame, night: datetime) -> pd.DataFrame:
    """The rest of what `models.ranking` asks of a lead.

    Parameters
    ----------
    plan : of the features.
    known : the snapshot of the night, one row a lead.

    Returns
    -------
    For every row of `known`: left_out, by_hand (what a person decided, in words; missing: nothing), place, fresh, before, territory.
    """
    wanted = company.settings.list
    stands = contact(company.crm, company.nights(night).cross_join(company.crm.leads.select("lead_id")), plan).execute().set_index("lead_id")
    hand = decided(company, night)
    by_hand, place = known["lead_id"].map(hand["words"]), known["lead_id"].map(hand["place"]).astype(float)
    facts = stands.loc[known["lead_id"], ["unsubscribed", "do_not_contact", "customer"]].reset_index(drop=True)
    facts["days_since_touch"] = known["days_since_touch"].to_numpy()
    listed = company.warehouse.last_listed(night, company.settings.chosen)
    young = known["lead_age_days"].to_numpy(dtype=float) * _HOURS <= wanted.fresh_hours
    return pd.DataFrame(
        {
            "left_out": left_out(facts, wanted.rest_days, by_hand.where(place == _NOWHERE).astype(object)).to_numpy(),
            "by_hand": by_hand.astype(object).where(by_hand.notna(), None),
            "place": place.where(place != _NOWHERE),
            "fresh": young & (known["touches_ever"] == 0).to_numpy() & (known["in_ever"] > 0).to_numpy(),
            "before": known["lead_id"].isin(listed.index[listed.astype(bool)]).to_numpy(),
            "territory": known["lead_id"].map(company.territories()).astype(object).fillna(""),
        }
    )


def decided(company: Company, night: datetime) -> pd.DataFrame:
    """What people decided that holds on a night, by lead: place (0: off the list), and the decision in words."""
    day = company.settings.timeline.day(night)
    found = held(company.warehouse, night, day, company.settings.chosen).set_index("lead_id")
    what = ["off the list" if place == _NOWHERE else f"place {place:.0f}" for place in found["place"]]
    who = [f" by {name}" if name else "" for name in found["given_by"].fillna("")]
    until = pd.to_datetime(found["until"]).dt.strftime("%Y-%m-%d")
    words = [f"{a}{b} until {c}: {why}" for a, b, c, why in zip(what, who, until, found["because"], strict=True)]
    return found.assign(words=pd.Series(words, index=found.index, dtype=object))
