"""Accounts as customers: the same CRM in which everybody at an account is one lead, the account itself.

A company signs through its buyer and renews through her colleague. Counted by people she has left, and nobody renewed who had bought; counted by
account a customer renewed. Population, labels, features, lists and review then work as they are, for an account is a lead to them:

    the lead         has the account's id; came, was known, is owned and is named as its first contact, whom we knew before any other (its owner
                     as it stood), under the account's own name where accounts have one
    deeds, deals     are those of every contact, known when they were known, and not before the contact was known to be the account's
    a deal's own     account goes before its contact's: what somebody bought for a former employer stays there
    fields           are the account's; those of leads, status among them, have no single value for an account and are left out
    no account       a lead without one stays who it is

Whose contact a lead is stands as it is today, unless `lead_changes` say since when.
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from features.contract import SCHEMAS
from features.crm import Crm
from features.history import first_values
from features.outcome import Outcome

_LINK = "account_id"
_OWN = ("status", "unsubscribed", "email", "merged_into", "merged_at")


def as_population(crm: Crm, outcome: Outcome) -> Crm:
    """The CRM of those whom an outcome is about: itself where they are leads, `by_account` where they are accounts."""
    return by_account(crm) if outcome.population == "accounts" else crm


def by_account(crm: Crm) -> Crm:
    """Everybody at an account as one lead, whose id is the account's.

    To the business: a renewal is the account's, whoever of its people signs it.

    An account that has the id of some lead is called "account ID", so that nobody is taken for another.

    Parameters
    ----------
    crm : with leads that were merged into one united already, see `features.outcome.united`.

    Returns
    -------
    The same tables; leads have no fields of the company's own. Rows of a lead that is not known are gone.
    """
    contacts = _contacts(crm)
    # Kept, because every feature reads them again.
    return crm._replace(
        leads=_leads(crm, contacts).cache(),
        lead_changes=_changes(crm, contacts).cache(),
        activities=_activities(crm, contacts).cache(),
        deals=_deals(crm, contacts).cache(),
    )


def linked(crm: Crm) -> tuple[int, int]:
    """How many leads have an account, and of how many of them `lead_changes` do not say since when."""
    housed = crm.leads.filter(crm.leads.account_id.notnull())
    told = crm.lead_changes.filter(crm.lead_changes.field == _LINK).select(mover="lead_id").distinct()
    beside = housed.left_join(told, housed.lead_id == told.mover)
    row = beside.agg(every=beside.count(), untold=beside.count(where=beside.mover.isnull())).execute().iloc[0]
    return int(row["every"]), int(row["untold"])


def _contacts(crm: Crm) -> ir.Table:
    """contact, account (null: none), home (whom it is one with), known (since when we know the contact), since (and whose), first (of its home)."""
    leads, taken = _since(crm), crm.leads.select(taken="lead_id")
    beside = leads.left_join(taken, leads.account == taken.taken)
    named = beside.taken.notnull().ifelse(ibis.literal("account ") + beside.account, beside.account)
    placed = beside.select("contact", "account", "known", "since", "came", home=ibis.coalesce(named, beside.contact))
    order = ibis.window(group_by="home", order_by=["since", "came", "contact"])
    return placed.mutate(first=ibis.row_number().over(order) == 0).drop("came")


def _since(crm: Crm) -> ir.Table:
    """contact, account, came, known, since: from the change that entered today's account on, where that was not its first one."""
    moves = crm.lead_changes.filter(crm.lead_changes.field == _LINK)
    entries = moves.mutate(entered=ibis.greatest(moves.changed_at, moves.known_at))
    entries = entries.group_by(mover="lead_id", into="new_value").agg(entered=entries.entered.min())
    firsts = first_values(crm, _LINK).select("initial", starter="lead_id")
    leads = crm.leads.select("account_id", "lead_id", came="created_at", known=ibis.greatest(crm.leads.known_at, crm.leads.created_at))
    beside = leads.left_join(entries, [leads.lead_id == entries.mover, leads.account_id == entries.into])
    beside = beside.left_join(firsts, beside.lead_id == firsts.starter)
    start = (beside.initial == beside.account_id).fill_null(False)
    entered = start.ifelse(beside.known, ibis.coalesce(beside.entered, beside.known))
    return beside.select("came", "known", contact="lead_id", account="account_id", since=ibis.greatest(beside.known, entered))


def _leads(crm: Crm, contacts: ir.Table) -> ir.Table:
    firsts = contacts.filter(contacts["first"])
    joined = crm.leads.join(firsts, crm.leads.lead_id == firsts.contact)
    if "name" in crm.accounts.columns:
        names = crm.accounts.select(named="account_id", called=crm.accounts["name"].cast("string"))
        joined = joined.left_join(names, joined.account == names.named)
    else:
        joined = joined.mutate(called=ibis.null("string"))
    housed = joined.account.notnull()
    ours = {
        "lead_id": joined.home,
        "known_at": housed.ifelse(joined.since, joined.known_at),
        "company": ibis.coalesce(joined.called, joined.company),
        **{name: housed.ifelse(ibis.null(SCHEMAS["leads"][name]), joined[name]) for name in _OWN},
    }
    return joined.mutate(**ours).select(*SCHEMAS["leads"])


def _changes(crm: Crm, contacts: ir.Table) -> ir.Table:
    """Of an account whose owner it was, and every move of a deal's stage; of a lead without one everything but that it has none."""
    changes = crm.lead_changes.filter(crm.lead_changes.field != _LINK)
    joined = changes.join(contacts, changes.lead_id == contacts.contact)
    wanted = ibis.or_(joined.account.isnull(), joined.field == "stage", ibis.and_(joined.field == "owner_id", joined["first"]))
    kept = joined.filter(wanted)
    return _later(kept, kept.since, kept.account.notnull(), "known_at").mutate(lead_id=ibis._.home).select(*crm.lead_changes.columns)


def _activities(crm: Crm, contacts: ir.Table) -> ir.Table:
    joined = crm.activities.join(contacts, crm.activities.lead_id == contacts.contact)
    moved = _later(joined, joined.since, joined.account.notnull(), "known_at")
    return _once(moved.mutate(lead_id=moved.home), "activity_id", "known_at").select(*crm.activities.columns)


def _deals(crm: Crm, contacts: ir.Table) -> ir.Table:
    """Of a deal that names an account which has contacts it is that account, whoever signed; else its contact's."""
    deals = crm.deals.rename(own="account_id")
    joined = deals.join(contacts, deals.lead_id == contacts.contact)
    places = contacts.filter(contacts.account.notnull()).select(place="account", place_home="home").distinct()
    joined = joined.left_join(places, joined.own == places.place)
    since = joined.place.notnull().ifelse(joined.known, joined.since)
    placed = joined.mutate(account_id=ibis.coalesce(joined.place, joined.account), lead_id=ibis.coalesce(joined.place_home, joined.home), since=since)
    moved = _later(placed, placed.since, placed.account_id.notnull(), "known_at", "created_at")
    return _once(moved, "deal_id", "created_at", "known_at").select(*crm.deals.columns)


def _later(rows: ir.Table, since: ir.TimestampValue, housed: ir.BooleanValue, *clocks: str) -> ir.Table:
    """What a contact did before it was known to be the account's, the account is known to have done from then on."""
    return rows.mutate(**{clock: housed.ifelse(ibis.greatest(rows[clock], since), rows[clock]) for clock in clocks})


def _once(rows: ir.Table, key: str, *clocks: str) -> ir.Table:
    """One row of those that two contacts who were merged into one share: the one that was known first."""
    order = ibis.window(group_by=["lead_id", key], order_by=[*clocks, "contact"])
    numbered = rows.mutate(nth=ibis.row_number().over(order))
    return numbered.filter(ibis.or_(numbered.nth == 0, numbered[key].isnull()))
