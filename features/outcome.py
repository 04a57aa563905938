"""What counts as a conversion: the one definition that population, labels, rates and review all read.

    kind             scored            what counts
    first purchase   open leads        the first won deal
    meeting          open leads        the first activity of some kinds, or the first change of status to some values
    next purchase    customers         another won deal
    renewal          customers         the same, said otherwise
    churn            customers         no other won deal within the horizon; or, where `statuses` are named, a change of status to one of them

What becomes of leads and deals in a CRM, one rule each (`tests/features/test_outcome.py` tells each as a story):

    closed-lost      A lead whose every known deal is lost is no longer scored; its nights before that stay, as what they were.
    re-opened        A deal is what it is today: lost and later won, it is won on the day of the win; won and later re-opened, it is open.
    recycled         A lead that its status took off is scored again from the night on which its status gives it back; its age runs on.
    several deals    The first win is the first purchase, whatever was lost before it; every later one is another purchase.
    merged           Leads merged into one are one person: what each bought counts for all of them on every night; what each did and has in hand
                     is known of the one that remains from the merge on, and from then on only that one is scored.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

import ibis
import ibis.expr.types as ir

from features.crm import Crm
from features.history import closing_known
from features.problem import Problem

Population = Literal["leads", "accounts"]
Kind = Literal["first purchase", "meeting", "next purchase", "renewal", "churn"]
OF_CUSTOMERS = ("next purchase", "renewal", "churn")
Filter = tuple[tuple[str, tuple[str, ...]], ...]
_STAMP = "timestamp(6)"
# A merged into B, B into C, C into D: longer chains are the work of a script, not of a person.
_HOPS = 3


@dataclass(frozen=True)
class Words:
    """An outcome in the forms that sentences need, so that a list of who leaves never speaks of who buys.

    Parameters
    ----------
    who : one of those scored. those, one : all of them, and one of them, as a list calls them.
    do, does, did, rate : "likely to ...", "that one ...", "they ...", "they ... at 7 %".
    noun : what is counted. get, found, first : "to win 9 of 10 deals, best first".
    head, chance, means : of a page: its heading, "Probability ...", "of 100 about 20 ...", with the outcome's own {name} where there is one.
    """

    who: str
    those: str
    one: str
    do: str
    does: str
    did: str
    rate: str
    noun: str
    get: str
    found: str
    first: str
    head: str
    chance: str
    means: str

    @property
    def become(self) -> str:
        """What many of them do: "they would ..."."""
        return self.do.replace("a customer", "customers")

    @property
    def known(self) -> str:
        """When it is known of one: "once the deal is won"."""
        return "the deal is won" if self.get == "win" else "that is known"


def _words(who: str, do: str, does: str, did: str, noun: str) -> Words:
    those, one = ("open leads", "open lead") if who == "lead" else ("customers", "customer")
    return Words(who, those, one, do, does, did, did, noun, "find", f"{who}s who {do}", "likeliest first", f"who is likely to {do}", f"to {do}", do)


WORDS: dict[Kind, Words] = {
    "first purchase": Words(
        "lead",
        "open leads",
        "open lead",
        "become a customer",
        "becomes a customer",
        "became customers",
        "converted",
        "conversions",
        "win",
        "deals",
        "best first",
        "who to call first",
        "of a {name}",
        "come to a {name}",
    ),
    "meeting": _words("lead", "meet", "meets", "met", "meetings"),
    "next purchase": _words("customer", "buy again", "buys again", "bought again", "repeat purchases"),
    "renewal": _words("customer", "renew", "renews", "renewed", "renewals"),
    "churn": _words("customer", "leave", "leaves", "left", "losses"),
}


@dataclass(frozen=True)
class Outcome:
    """What a score is the probability of; part of a model's plan, so that a night is scored for what the model learned.

    Parameters
    ----------
    kind : see the table above.
    deals : column of `deals` -> values; only such deals count. () : every deal. A column is taken as it stands today.
    customers : the same for the purchases that make a lead a customer. () : as `deals`.
    activities : kinds of activity that are a meeting.
    statuses : values of the lead's `status` that are a meeting, or a customer lost.
    population : whether a customer is a lead, or an account with everybody in it: see `features.accountwise`.

    >>> outcome = Outcome("churn", deals=(("product", ("A",)),))
    >>> Outcome.from_dict(outcome.to_dict()) == outcome
    True
    """

    kind: Kind = "first purchase"
    deals: Filter = ()
    customers: Filter = ()
    activities: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    population: Population = "leads"

    @property
    def of_customers(self) -> bool:
        """Whether those are scored who have bought."""
        return self.kind in OF_CUSTOMERS

    @property
    def is_absence(self) -> bool:
        """Whether it is that nothing happens which counts."""
        return self.kind == "churn" and not self.statuses

    @property
    def is_purchase(self) -> bool:
        """Whether what counts is a won deal, which may have an amount; a meeting and a customer lost have none.

        >>> [Outcome(kind).is_purchase for kind in ("first purchase", "renewal", "churn")]
        [True, True, False]
        """
        return not (self.is_absence or self.activities or self.statuses)

    @property
    def words(self) -> Words:
        """How it is said.

        >>> said = Outcome("churn").words
        >>> f"How likely is it that a {said.who} {said.does}? Which {said.those} are likely to {said.do}?"
        'How likely is it that a customer leaves? Which customers are likely to leave?'
        """
        return WORDS[self.kind]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Outcome:
        """The outcome that `to_dict` wrote."""
        return cls(**{name: _tuples(value) for name, value in stored.items()})


def _tuples(value: Any) -> Any:
    return tuple(_tuples(one) for one in value) if isinstance(value, list | tuple) else value


def matching(deals: ir.Table, wanted: Filter) -> ir.Table:
    """The deals that count.

    Raises
    ------
    Problem : they have no such column.
    """
    for column, values in wanted:
        if column not in deals.columns:
            raise Problem(f"An outcome counts deals by '{column}', which deals do not have: correct its `deals` or `customers` in leadscore.toml.")
        deals = deals.filter(deals[column].cast("string").isin(list(values)))
    return deals


def events(crm: Crm, outcome: Outcome) -> ir.Table:
    """Everything that happened which counts (or, for an absence, fails to): lead_id, happened_at, known_at."""
    if outcome.activities or outcome.statuses:
        return _meetings(crm, outcome)
    return _won(crm, outcome.deals).select("lead_id", "happened_at", "known_at")


def firsts(crm: Crm, outcome: Outcome) -> ir.Table:
    """When each lead first came to the outcome: lead_id, happened_at."""
    happened = events(crm, outcome)
    return happened.group_by("lead_id").agg(happened_at=happened.happened_at.min())


def amounts(crm: Crm, outcome: Outcome) -> ir.Table:
    """What was bought at each instant that counts: lead_id, happened_at, amount (in money; deals won at the same instant together; null: unknown).

    Amounts are taken as they stand today, as won and lost are.
    """
    won = _won(crm, outcome.deals)
    return won.group_by("lead_id", "happened_at").agg(amount=won.amount.sum())


def purchases(crm: Crm, outcome: Outcome) -> ir.Table:
    """The wins that make a lead a customer: lead_id, deal_id, amount, happened_at, known_at."""
    return _won(crm, outcome.customers or outcome.deals)


def ever(crm: Crm, outcome: Outcome) -> list[str]:
    """The leads that came to the outcome at any time; none can be named where it is an absence."""
    if outcome.is_absence:
        return []
    happened = events(crm, outcome)
    if outcome.of_customers and not outcome.statuses:
        # The first win made a customer of the lead; only the next one is the outcome.
        bought = purchases(crm, outcome).group_by("lead_id").agg(first=ibis._.happened_at.min()).rename(buyer="lead_id")
        happened = happened.join(bought, [happened.lead_id == bought.buyer, happened.happened_at > bought.first])
    return sorted(happened.select("lead_id").distinct().execute()["lead_id"])


def value_of(crm: Crm, outcome: Outcome) -> float | None:
    """What one conversion is worth on average, in money: a won deal's amount, for churn what a customer lost had bought; None where unknown."""
    if outcome.kind == "meeting":
        return None
    won = purchases(crm, outcome) if outcome.kind == "churn" else _won(crm, outcome.deals)
    mean = won.amount.mean().execute()
    return None if mean is None or mean != mean else round(float(mean), 2)


def _won(crm: Crm, wanted: Filter) -> ir.Table:
    deals = matching(crm.deals, wanted)
    won = deals.filter(deals.outcome == "won")
    return won.select("lead_id", "deal_id", "amount", happened_at=won.closed_at, known_at=closing_known(won))


def _meetings(crm: Crm, outcome: Outcome) -> ir.Table:
    deeds = crm.activities.filter(crm.activities.kind.isin(list(outcome.activities)))
    done = deeds.select("lead_id", happened_at=deeds.occurred_at, known_at=ibis.greatest(deeds.occurred_at, deeds.known_at))
    moves = crm.lead_changes.filter(crm.lead_changes.field == "status", crm.lead_changes.new_value.lower().isin(_lower(outcome.statuses)))
    moved = moves.select("lead_id", happened_at=moves.changed_at, known_at=ibis.greatest(moves.changed_at, moves.known_at))
    return done.union(moved) if outcome.activities and outcome.statuses else done if outcome.activities else moved


def _lower(values: tuple[str, ...]) -> list[str]:
    return [value.lower() for value in values]


def united(crm: Crm, today: datetime) -> Crm:
    """The CRM in which leads merged into one are one person; the same CRM where none is.

    A merge is known from `merged_at`, else from the first change of `merged_into` in `lead_changes`, else from today on: a row that one lead shares
    with another is known of the other from then on, and never before.

    Parameters
    ----------
    today : until when the tables are complete.
    """
    if not int(crm.leads.merged_into.count().execute()):
        return crm
    leads = _dated(crm, today).cache()
    pairs = _pairs(leads).cache()
    back = pairs.select(merged=pairs.remains, remains=pairs.merged, since=pairs.since)
    deals = [_shared(crm.deals, each, "created_at") for each in (pairs, back)]
    activities = crm.activities.union(_shared(crm.activities, pairs))
    # Kept, because every feature reads them again.
    return crm._replace(leads=leads, activities=activities.cache(), deals=crm.deals.union(*deals).cache())


def _dated(crm: Crm, today: datetime) -> ir.Table:
    """The leads, each merged one with the instant since when we know it, no other with any."""
    moves = crm.lead_changes.filter(crm.lead_changes.field == "merged_into")
    logged = moves.group_by("lead_id").agg(logged=ibis.greatest(moves.changed_at.min(), moves.known_at.min())).rename(mover="lead_id")
    leads = crm.leads.left_join(logged, crm.leads.lead_id == logged.mover)
    merged = ibis.and_(leads.merged_into.notnull(), leads.merged_into != leads.lead_id)
    dated = ibis.coalesce(leads.merged_at, leads.logged, ibis.literal(today, _STAMP))
    return leads.mutate(merged_at=merged.ifelse(dated, ibis.null(_STAMP))).select(*crm.leads.columns)


def _pairs(leads: ir.Table) -> ir.Table:
    """merged, remains, since: every lead with every one that it was merged into, by however many merges."""
    one = leads.filter(leads.merged_at.notnull()).select(merged="lead_id", remains="merged_into", since="merged_at")
    step = one.view().select(via="merged", into="remains", then="since")
    found, reached = one, one
    for _ in range(_HOPS - 1):
        onward = reached.join(step, [("remains", "via")])
        reached = onward.select("merged", remains="into", since=ibis.greatest(onward.since, onward.then))
        found = found.union(reached)
    found = found.filter(found.merged != found.remains)
    return found.group_by("merged", "remains").agg(since=found.since.min())


def _shared(rows: ir.Table, pairs: ir.Table, *clocks: str) -> ir.Table:
    """The rows of one lead as rows of another, known and, by some clocks, there from the merge on."""
    joined = rows.join(pairs, rows.lead_id == pairs.merged)
    later = {clock: ibis.greatest(joined[clock], joined.since) for clock in ("known_at", *clocks)}
    return joined.mutate(lead_id=joined.remains, **later).select(*rows.columns)
