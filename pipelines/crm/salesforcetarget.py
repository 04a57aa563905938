"""Salesforce as a target: scores in custom fields of leads, or of contacts or accounts where those are scored.

A custom field has a name that ends in `__c`; one that `fields` names without it, and that is no field of Salesforce's own, gets it.

Whoever writes needs more than the field: a field made by an API is shown to nobody until a permission set, or a profile, gives the right to read and
to edit it (field-level security). Salesforce does not take an update of a converted lead; such rows are refused one by one, with its words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from features.problem import Problem
from pipelines.crm.patience import Refused, redacted
from pipelines.crm.salesforceanswers import Record
from pipelines.crm.salesforceapi import Connection
from pipelines.crm.salesforceids import eighteen, is_id
from pipelines.crm.writeback import Refusal, Update, trend

FIELDS = {part: f"leadscore_{part}" for part in ("score", "tier", "rank", "reasons", "scored_at")}
"""What is written unless leadscore.toml says otherwise: ours -> the name of the field."""

_SHAPES: dict[str, Record] = {
    "score": {"label": "Lead score", "type": "Number", "precision": 3, "scale": 0},
    "tier": {"label": "Lead score tier", "type": "Text", "length": 10},
    "rank": {"label": "Lead score rank", "type": "Number", "precision": 9, "scale": 0},
    "reasons": {"label": "Lead score reasons", "type": "LongTextArea", "length": 4000, "visibleLines": 4},
    "scored_at": {"label": "Lead scored at", "type": "DateTime"},
    "probability": {"label": "Lead score probability", "type": "Number", "precision": 5, "scale": 4},
    "trend": {"label": "Lead score trend", "type": "Text", "length": 10},
}
_SAID: dict[str, Callable[[Update], Any]] = {
    "score": lambda update: update.score,
    "tier": lambda update: update.tier,
    "rank": lambda update: update.rank,
    "reasons": lambda update: update.reasons,
    "scored_at": lambda update: f"{update.scored_at:%Y-%m-%dT%H:%M:%SZ}",
    "probability": lambda update: round(update.probability, 4),
    "trend": lambda update: trend(update.change),
}
_OURS = "__c"
# Somebody else was just writing this record, or its account.
_LOCKED = "UNABLE_TO_LOCK_ROW"


class SalesforceTarget:
    """Fields of one kind of record.

    Parameters
    ----------
    kind : "Lead", "Contact" or "Account": whose ids the scored leads have.
    fields : ours -> the field's name. Ours are score, tier, rank, reasons, scored_at, probability and trend.
    """

    name, batch = "salesforce", 200

    def __init__(self, connection: Connection, kind: str = "Lead", fields: Mapping[str, str] = FIELDS) -> None:
        self.connection, self.kind, self.fields = connection, kind, dict(fields)

    @classmethod
    def from_environment(cls, kind: str, fields: Mapping[str, str]) -> SalesforceTarget:
        """The Salesforce that the environment names, see `pipelines.crm.salesforceapi`.

        Raises
        ------
        Problem : the environment does not say where Salesforce is, or who asks.
        """
        return cls(Connection(), kind, fields)

    def prepare(self, may_create: bool) -> list[str]:
        """See `Target`. Fields are created through the Tooling API; a field that this user may not edit is a Problem too, which says who can help."""
        there = self._there(again=True)
        missing = [ours for ours, theirs in self.fields.items() if self._named(theirs, there) not in there]
        self._see_hidden([self._named(self.fields[ours], there) for ours in missing])
        if missing and not may_create:
            raise Problem(
                f"{self.kind} has no fields {', '.join(_custom(self.fields[ours]) for ours in missing)} in Salesforce: create them there, or let "
                "leadscore do so with create_properties = true under [writeback] in leadscore.toml."
            )
        created = [(ours, _custom(self.fields[ours])) for ours in missing]
        for ours, name in created:
            self.connection.create_field(self.kind, name, {**_SHAPES[ours], "description": "Written by leadscore every night."})
        there = self._there(again=bool(created))
        named = [self._named(theirs, there) for theirs in self.fields.values()]
        closed = [str(there.get(name, {}).get("name", name)) for name in named if not there.get(name, {}).get("updateable")]
        if closed:
            raise Problem(self._locked(closed, "are there" if not created else "are there now"))
        return [name for _, name in created]

    def write(self, updates: Sequence[Update]) -> list[Refusal]:
        """See `Target`. Each record is updated on its own; texts are cut to the length of their field. One that was locked is tried once more."""
        refused = [Refusal(update.lead_id, "is no id of Salesforce, which has 15 or 18 signs") for update in updates if not is_id(update.lead_id)]
        rows = [update for update in updates if is_id(update.lead_id)]
        if not rows:
            return refused
        said = self._answers(rows)
        if locked := [update for update in rows if _LOCKED in said[update.lead_id]]:
            said |= self._answers(locked)
        return refused + [Refusal(lead, redacted(why, self.connection.secrets)) for lead, why in said.items() if why]

    def _answers(self, updates: Sequence[Update]) -> dict[str, str]:
        """Lead -> why it was not taken; "": it was."""
        told = self.connection.update([self._record(update) for update in updates])
        return {update.lead_id: "" if one.get("success") else _why(one) for update, one in zip(updates, told, strict=True)}

    def _record(self, update: Update) -> Record:
        there = self._there()
        values: Record = {}
        for ours, theirs in self.fields.items():
            name, value = self._named(theirs, there), _SAID[ours](update)
            field = there.get(name, {})
            length = field.get("length") or None
            values[field.get("name", name)] = value[:length] if isinstance(value, str) and field.get("type") != "datetime" else value
        return {"attributes": {"type": self.kind}, "id": eighteen(update.lead_id), **values}

    def _there(self, again: bool = False) -> dict[str, Record]:
        """The fields that this user may see, by their names in small letters: case does not matter to Salesforce."""
        return {str(field["name"]).lower(): field for field in self.connection.fields(self.kind, again)}

    def _named(self, theirs: str, there: Mapping[str, Record]) -> str:
        return theirs.lower() if theirs.lower() in there else _custom(theirs).lower()

    def _see_hidden(self, missing: Sequence[str]) -> None:
        """See that what seems to be missing is not merely kept from this user."""
        if not missing:
            return
        try:
            there = {name.lower() for name in self.connection.custom_fields(self.kind, [name.removesuffix(_OURS) for name in missing])}
        except Refused:
            # Who may not ask what fields there are may not create any either, and is told so then.
            return
        hidden = [name for name in missing if name.removesuffix(_OURS) in there]
        if hidden:
            raise Problem(self._locked(hidden, "are there"))

    def _locked(self, names: Sequence[str], are: str) -> str:
        return (
            f"The fields {', '.join(names)} of {self.kind} {are} in Salesforce, but may not be seen or edited by the user of this token: give "
            "that user a permission set with Read and Edit Access to them (Setup > Permission Sets > Object Settings), and run again."
        )


def _custom(name: str) -> str:
    """A custom field's name.

    >>> _custom("leadscore_score"), _custom("Score__c")
    ('leadscore_score__c', 'Score__c')
    """
    return name if name.lower().endswith(_OURS) else name + _OURS


def _why(answer: Record) -> str:
    """What Salesforce says of a record that it did not take."""
    errors: list[Record] = answer.get("errors") or []
    said = "; ".join(": ".join(str(part) for part in (one.get("statusCode"), one.get("message")) if part) for one in errors)
    return said or "refused without a reason"
