"""HubSpot as a target: scores in properties of contacts, or of companies where accounts are scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from features.problem import Problem
from pipelines.crm.hubspotclient import WRITTEN, HubSpotClient, Record
from pipelines.crm.patience import Refused
from pipelines.crm.writeback import Refusal, Update, trend

FIELDS = {part: f"leadscore_{part}" for part in ("score", "tier", "rank", "reasons", "scored_at")}
"""What is written unless leadscore.toml says otherwise: ours -> the name of the property."""

_SHAPES = {
    "score": ("number", "number", "Lead score"),
    "tier": ("string", "text", "Lead score tier"),
    "rank": ("number", "number", "Lead score rank"),
    "reasons": ("string", "textarea", "Lead score reasons"),
    "scored_at": ("datetime", "date", "Lead scored at"),
    "probability": ("number", "number", "Lead score probability"),
    "trend": ("string", "text", "Lead score trend"),
}
_GROUPS = {"contacts": "contactinformation", "companies": "companyinformation"}
# HubSpot holds no longer text in a property.
_LONGEST = 65_536
_EXISTS = 409
# Of these a single row may be to blame; of any other status none is.
_OF_A_ROW = (400, 404, 409)


class HubSpotTarget:
    """Properties of one kind of record.

    Parameters
    ----------
    kind : "contacts" or "companies": whose ids the scored leads have.
    fields : ours -> the property's name. Ours are score, tier, rank, reasons, scored_at, probability and trend.
    """

    name, batch = "hubspot", WRITTEN

    def __init__(self, client: HubSpotClient, kind: str, fields: Mapping[str, str]) -> None:
        self.client, self.kind, self.fields = client, kind, dict(fields)

    @classmethod
    def from_environment(cls, kind: str, fields: Mapping[str, str]) -> HubSpotTarget:
        """See `HubSpotClient.from_environment`."""
        return cls(HubSpotClient.from_environment(), kind, fields)

    def prepare(self, may_create: bool) -> list[str]:
        """See `Target`. Properties are created in the group that every account has."""
        there = {str(one["name"]) for one in self.client.properties(self.kind)}
        missing = {ours: theirs for ours, theirs in self.fields.items() if theirs not in there}
        if missing and not may_create:
            raise Problem(
                f"HubSpot's {self.kind} have no properties {', '.join(missing.values())}: create them, or let leadscore do so with "
                "create_properties = true under [writeback] in leadscore.toml."
            )
        for ours, theirs in missing.items():
            kind, field, label = _SHAPES[ours]
            shape = {"name": theirs, "label": _label(label, theirs, ours), "type": kind, "fieldType": field, "groupName": _GROUPS[self.kind]}
            try:
                self.client.create_property(self.kind, shape)
            except Refused as refused:
                # Made by a call whose answer was lost, or by somebody else meanwhile.
                if refused.status != _EXISTS:
                    raise
        return list(missing.values())

    def write(self, updates: Sequence[Update]) -> list[Refusal]:
        """See `Target`. A batch that is refused as a whole is halved until the rows to blame are alone, so that they hold up no other.

        So are the rows of which an answer says nothing: once alone, each is taken or refused.
        """
        try:
            answer = self.client.update(self.kind, [{"id": update.lead_id, "properties": self._values(update)} for update in updates])
        except Refused as refused:
            if refused.status not in _OF_A_ROW:
                raise
            return self._halved(updates, refused.words or str(refused))
        refusals, untold = _judged([update.lead_id for update in updates], answer)
        rest = [update for update in updates if update.lead_id in untold]
        if not rest:
            return refusals
        return [*refusals, *(self.write(rest) if len(rest) < len(updates) else self._halved(rest, "HubSpot did not say whether it took it"))]

    def _halved(self, updates: Sequence[Update], why: str) -> list[Refusal]:
        if len(updates) == 1:
            return [Refusal(updates[0].lead_id, why)]
        half = len(updates) // 2
        return [*self.write(updates[:half]), *self.write(updates[half:])]

    def _values(self, update: Update) -> dict[str, str]:
        return {theirs: _SAID[ours](update) for ours, theirs in self.fields.items()}


_SAID: dict[str, Callable[[Update], str]] = {
    "score": lambda update: str(update.score),
    "tier": lambda update: update.tier,
    "rank": lambda update: str(update.rank),
    "reasons": lambda update: update.reasons[:_LONGEST],
    "scored_at": lambda update: f"{update.scored_at:%Y-%m-%dT%H:%M:%SZ}",
    "probability": lambda update: f"{update.probability:.4f}",
    "trend": lambda update: trend(update.change) or "",
}


def _judged(asked: Sequence[str], answer: Record) -> tuple[list[Refusal], set[str]]:
    """The rows that an answer refuses, and those of which it says nothing.

    A row whose record was merged is taken under the id of the record that remains: so rows are untold only where fewer were taken than there are.
    """
    errors: list[dict[str, Any]] = answer.get("errors") or []
    told = [(str(error.get("message") or error.get("category")), (error.get("context") or {}).get("ids") or []) for error in errors]
    named = {str(one): why for why, ids in told for one in ids}
    taken = [str(record["id"]) for record in answer["results"]]
    left = [one for one in asked if one not in named and one not in taken]
    if errors and not named:
        named, left = {one: "; ".join(why for why, _ in told) for one in left}, []
    refusals = [Refusal(one, named[one]) for one in asked if one in named]
    return refusals, set(left) if len(taken) + len(refusals) < len(asked) else set()


def _label(label: str, theirs: str, ours: str) -> str:
    """Two properties of HubSpot's may not have the same label."""
    plain = FIELDS.get(ours, f"leadscore_{ours}")
    return label if theirs == plain else f"{label} ({theirs})"
