"""Which features a model is made of: decided once in training, stored with the model, obeyed every night after."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any, Literal

from features.feature import Kind
from features.outcome import Outcome
from features.timeline import Timeline

Origin = Literal["leads", "accounts", "deals"]
Known = Literal["history", "creation", "today"]
NIGHTS_PER_LEAD = 8
"""Examples a lead, on average; beyond that its nights are sampled: see `features.examples.training`."""


@dataclass(frozen=True)
class Attribute:
    """A field of the company's own: an industry, a job title, a source.

    Parameters
    ----------
    name : column name in its table.
    origin : "leads", "accounts" or "deals" (the attributes of the lead's latest deal).
    kind : see `features.feature.Feature`.
    known : how its past is known. "history": replayed from `lead_changes`; "creation": declared never to change;
        "today": only today's value exists, so it is used only after it passed the leakage screen.
    """

    name: str
    origin: Origin
    kind: Kind
    known: Known

    @property
    def column(self) -> str:
        """Its name in a training table, where tables meet: two of them may have a `country`.

        >>> Attribute("country", "accounts", "category", "today").column
        'account__country'
        """
        return f"{self.origin.removesuffix('s')}__{self.name}"


@dataclass(frozen=True)
class Deed:
    """A kind of activity in one direction: an e-mail the lead opened, a call sales made.

    >>> Deed("call", "out").column
    'call_out'
    """

    kind: str
    direction: str

    @property
    def column(self) -> str:
        """A safe column prefix, whatever characters the company's own name has; unequal names stay unequal."""
        plain = re.sub(r"[^a-z0-9]+", "_", self.kind.lower()).strip("_")[:40]
        mark = "" if plain == self.kind else "_" + sha256(self.kind.encode()).hexdigest()[:6]
        return f"{plain}{mark}_{self.direction or 'any'}"

    @property
    def words(self) -> str:
        """What a rep calls it.

        >>> Deed("email_open", "in").words
        'email open'
        """
        plain = re.sub(r"[_\s]+", " ", self.kind).strip()
        return f"{plain} by us" if self.direction == "out" else plain


@dataclass(frozen=True)
class Plan:
    """Everything that decides the columns of the training table and of every night scored with its model.

    Parameters
    ----------
    timeline : horizon, settle lag, grid.
    deeds : kinds of activity that get windows, most frequent first. Kinds never seen in training count only in the totals.
    attributes : the company's own fields in use.
    tracked : fields whose past values stand in `lead_changes`.
    rated : names of the category attributes (and "owner_id") whose past lift is a feature.
    windows : days of the engagement windows. 1, 7, 30, 90: tonight, a week, a month, a quarter.
    half_lives : days after which an activity counts half in the counts that fade. 5, 20: of how long interest lasts a window says nothing.
    closed_statuses : values of `status` that take a lead off the list.
    outcome : what a score is the probability of, and so who is scored.
    smoothing : leads' worth of the overall rate added to every group's own. 20: a group of 20 leads counts half.
    """

    timeline: Timeline = field(default_factory=Timeline)
    deeds: tuple[Deed, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    tracked: tuple[str, ...] = ()
    rated: tuple[str, ...] = ("owner_id",)
    windows: tuple[int, ...] = (1, 7, 30, 90)
    half_lives: tuple[int, ...] = (5, 20)
    closed_statuses: tuple[str, ...] = ("disqualified", "merged", "lost", "won", "customer")
    smoothing: float = 20.0
    outcome: Outcome = field(default_factory=Outcome)

    def to_dict(self) -> dict[str, Any]:
        """The plan as plain JSON values, to be stored beside a model."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Plan:
        """The plan that `to_dict` wrote.

        >>> plan = Plan(deeds=(Deed("call", "out"),), attributes=(Attribute("source", "leads", "category", "creation"),))
        >>> Plan.from_dict(plan.to_dict()) == plan
        True
        """
        plain = {key: tuple(value) for key, value in stored.items() if isinstance(value, list | tuple)}
        built = {
            "timeline": Timeline(**stored["timeline"]),
            "deeds": tuple(Deed(**one) for one in stored["deeds"]),
            "attributes": tuple(Attribute(**one) for one in stored["attributes"]),
            # A model of before there were any learned without.
            "half_lives": tuple(stored.get("half_lives", ())),
            # A model of before there were others learned the first purchase.
            "outcome": Outcome.from_dict(stored.get("outcome", {})),
        }
        return cls(**{**stored, **plain, **built})
