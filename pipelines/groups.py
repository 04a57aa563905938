"""What the judged leads belong to: tier, owner team, the company's own categories and its protected attributes."""

from __future__ import annotations

from collections.abc import Mapping

import ibis
import pandas as pd

from features.personal import identifying, protected
from features.plan import Attribute, Plan
from features.population import population
from features.problem import Problem
from models.calibration import sigmoid
from models.metrics import Judged
from models.ranking import likely_tier
from pipelines.company import Company


def groups_of(company: Company, judged: Judged, frame: pd.DataFrame, categories: Mapping[str, str], plan: Plan) -> pd.DataFrame:
    """One row a judged lead and night, one column a field: tier, owner team, and every category, each as it stood on the night.

    Parameters
    ----------
    judged : predictions on later nights; of a quarter of the leads, so that places on the list are estimated from theirs.
    frame : the examples with their features, of which the judged rows are some.
    categories : a field's words -> its column in `frame`.
    """
    keys = _keys(judged)
    owners = company.crm.owners.execute().drop_duplicates("owner_id").set_index("owner_id")
    owned = keys.merge(_owned(company, keys, plan), on=["lead_id", "as_of"], how="left", validate="one_to_one")
    calls = owned["owner_id"].map(owners["capacity"]).astype(float).fillna(company.settings.list.capacity)
    known = keys.merge(frame[["lead_id", "as_of", *categories.values()]], on=["lead_id", "as_of"], how="left", validate="one_to_one")
    ours = pd.DataFrame(
        {
            "tier": likely_tier(owned.assign(probability=sigmoid(judged.log_odds), room=calls)),
            "owner team": owned["owner_id"].map(owners["team"]),
        }
    )
    # A company may have a field of its own that is called tier.
    own = {f"{field} (own)" if field in ours else field: known[column] for field, column in categories.items()}
    return ours.assign(**own)


def protected_attributes(company: Company) -> tuple[Attribute, ...]:
    """The fields that [training] protected names, which no model may see.

    Raises
    ------
    Problem : a name is no field of the last extract.
    """
    names = company.settings.training.protected
    # Of an account the fields of its leads are not asked; they are fields of the extract all the same.
    missing = sorted(set(names) - {attribute.name for attribute in company.warehouse.attributes()})
    if missing:
        raise Problem(
            f"[training] protected names {', '.join(missing)}, which is no field of leads, accounts or deals in the last extract: correct the name "
            "in leadscore.toml, or take it out of `ignore` and run `leadscore extract`."
        )
    return tuple(attribute for attribute in company.attributes if attribute.name in names)


def may_learn(company: Company, attribute: Attribute) -> bool:
    """Whether a model may see a field: not one that says who somebody is, that [training] protects, or that a law does and nobody allowed."""
    training, name = company.settings.training, attribute.name
    guarded = name in training.protected or (protected(name) and name not in training.allow)
    return not guarded and (attribute.kind == "flag" or not identifying(name))


def protected_of(company: Company, judged: Judged) -> pd.DataFrame:
    """One row a judged lead and night, one column a protected field of leads or accounts, as it stands today."""
    wanted = [attribute for attribute in protected_attributes(company) if attribute.origin != "deals"]
    leads, accounts = company.crm.leads, company.crm.accounts
    theirs = leads.select("lead_id", "account_id", **{a.column: leads[a.name] for a in wanted if a.origin == "leads"}).execute()
    firms = accounts.select("account_id", **{a.column: accounts[a.name] for a in wanted if a.origin == "accounts"}).execute()
    known = _keys(judged)[["lead_id"]].merge(theirs, on="lead_id", how="left").merge(firms.dropna(subset="account_id"), on="account_id", how="left")
    return pd.DataFrame({f"account's {a.name}" if a.origin == "accounts" else a.name: known[a.column] for a in wanted}, index=known.index)


def _keys(judged: Judged) -> pd.DataFrame:
    return pd.DataFrame({"lead_id": judged.lead, "as_of": judged.night})


def _owned(company: Company, keys: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """lead_id, as_of, owner_id as it stood, and how many open leads that owner had: all counted, some returned."""
    nights = company.nights(*keys["as_of"].unique())
    everybody = population(company.crm, nights, plan).select("lead_id", "as_of", "owner_id")
    sizes = everybody.mutate(open=everybody.count().over(ibis.window(group_by=["as_of", "owner_id"])))
    wanted = ibis.memtable(keys, schema={"lead_id": "string", "as_of": "timestamp(6)"})
    return wanted.join(sizes, ["lead_id", "as_of"]).execute()
