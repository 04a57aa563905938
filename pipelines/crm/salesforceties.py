"""To which lead a deal or an activity of a contact belongs.

    Lead --- converted ---> Contact <--- who did it --- Task, Event
      |                        ^
      '----- converted ---> Opportunity --- its contact roles, the primary first

When a lead is converted its tasks and events move to the contact. Were they left there, converted leads would have a past without activity, and
every model would learn that silence sells.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from pipelines.crm.salesforceanswers import Record
from pipelines.crm.salesforceids import CONTACT, LEAD, eighteen


@dataclass
class Ties:
    """Who became whom, and who stands beside which deal.

    Parameters
    ----------
    of_contact, of_deal : the leads that were converted into a contact, or a deal, the oldest first.
    roles : the contact roles of a deal that are not deleted, the primary first, then the oldest.
    touched : deal -> the newest stamp of what ties it, deleted roles among it.
    """

    of_contact: Mapping[str, list[Record]] = field(default_factory=dict)
    of_deal: Mapping[str, list[Record]] = field(default_factory=dict)
    roles: Mapping[str, list[Record]] = field(default_factory=dict)
    touched: Mapping[str, str] = field(default_factory=dict)

    def lead_of(self, who: str | None, instant: str) -> str | None:
        """The lead that a person was at an instant: itself, or of the leads converted into this contact the newest that was there by then.

        What a contact did before any of its leads was there belongs to none of them.
        """
        if who is None:
            return None
        if who.startswith(LEAD):
            return who
        # An instant may be a day without a time: a lead of the same day was there.
        there = [lead for lead in self.of_contact.get(who, ()) if str(lead["CreatedDate"])[: len(instant)] <= instant]
        return str(there[-1]["Id"]) if there else None

    def contact_of_deal(self, deal: str) -> str | None:
        """The contact of a deal: that of its primary role, else of its oldest."""
        return next((eighteen(role["ContactId"]) for role in self.roles.get(deal, ()) if role["ContactId"]), None)

    def lead_of_deal(self, deal: str, created: str) -> str | None:
        """The lead of a deal: the one converted into it, else the one that its contact once was."""
        return next((str(lead["Id"]) for lead in self.of_deal.get(deal, ())), None) or self.lead_of(self.contact_of_deal(deal), created)

    def touched_since(self, instant: str) -> set[str]:
        """The deals whose ties changed at this instant or later, whether or not they themselves did."""
        return {deal for deal, stamp in self.touched.items() if stamp >= instant}


def contact_of(who: str | None) -> str | None:
    """Who did something, where that is a contact."""
    return who if who and who.startswith(CONTACT) else None


def tied(leads: Iterable[Record], roles: Iterable[Record]) -> Ties:
    """What ties deals and contacts to leads.

    Parameters
    ----------
    leads : the converted ones: Id, CreatedDate, SystemModstamp, IsDeleted, ConvertedContactId, ConvertedOpportunityId.
    roles : all OpportunityContactRole: Id, OpportunityId, ContactId, IsPrimary, CreatedDate, SystemModstamp, IsDeleted.
    """
    of_contact, of_deal, by_deal = defaultdict[str, list[Record]](list), defaultdict[str, list[Record]](list), defaultdict[str, list[Record]](list)
    touched: dict[str, str] = {}
    beside = defaultdict[str, set[str]](set)
    for role in sorted(_newest(roles), key=lambda one: (not one["IsPrimary"], str(one["CreatedDate"]), one["Id"])):
        deal = eighteen(role["OpportunityId"])
        _touch(touched, [deal], role)
        if not role["IsDeleted"]:
            by_deal[deal].append(role)
        if role["ContactId"]:
            beside[eighteen(role["ContactId"])].add(deal)
    for lead in sorted(_newest(leads), key=lambda one: (str(one["CreatedDate"]), one["Id"])):
        for became, leads_of in ((lead["ConvertedContactId"], of_contact), (lead["ConvertedOpportunityId"], of_deal)):
            if became:
                _touch(touched, beside.get(eighteen(became), ()) if leads_of is of_contact else [eighteen(became)], lead)
                if not lead["IsDeleted"]:
                    leads_of[eighteen(became)].append(lead)
    return Ties(dict(of_contact), dict(of_deal), dict(by_deal), touched)


def _newest(records: Iterable[Record]) -> Iterator[Record]:
    """Of a record that changed while it was read, the last version."""
    yield from {record["Id"]: record for record in records}.values()


def _touch(touched: dict[str, str], deals: Iterable[str], record: Record) -> None:
    for deal in deals:
        touched[deal] = max(touched.get(deal, ""), str(record["SystemModstamp"]))
