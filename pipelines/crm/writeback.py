"""Hands a night's scores back to the CRM: each lead once, resumable, every refusal told row by row.

    outbox        waiting  ---- a batch is written ---->  sent | refused (with the vendor's reason)
                     ^                                      |
                     '------- the answer was lost ----------'   sent again, which is harmless: an update by id sets the same values

A lead's values are waiting before the first call is made and leave that state only once the vendor has answered, so that a run that is killed
anywhere goes on with the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from typing import Literal, Protocol

from pipelines.crm.base import Unreachable

Trend = Literal["up", "steady", "down"]
# A move that a rep would not call one: two points of a score from 0 to 100.
_STEADY = 0.02


@dataclass(frozen=True)
class Update:
    """What the CRM is told about one lead.

    Parameters
    ----------
    lead_id : the CRM's own id of the record.
    score : 0 to 100.
    tier : "A" to "E".
    rank : 1 is the lead to call first.
    reasons : in words, the weightiest first, parted by "; ".
    scored_at : the night, UTC.
    probability : 0 to 1.
    change : of the probability since the night before; None: it was not scored then.
    """

    lead_id: str
    score: int
    tier: str
    rank: int
    reasons: str
    scored_at: datetime
    probability: float
    change: float | None


@dataclass(frozen=True)
class Refusal:
    """A row that the vendor did not take, and why, in its words."""

    lead_id: str
    reason: str


class Target(Protocol):
    """A CRM that takes scores.

    Parameters
    ----------
    name : "hubspot", "salesforce" or "dynamics".
    batch : rows a call.
    """

    name: str
    batch: int

    def prepare(self, may_create: bool) -> list[str]:
        """See that every field to be written exists, creating those that do not; the names of those created.

        Parameters
        ----------
        may_create : whether the user has consented to new fields.

        Raises
        ------
        Problem : fields are missing and may not be created; it names them.
        Unreachable : the vendor does not answer.
        """
        ...

    def write(self, updates: Sequence[Update]) -> list[Refusal]:
        """Write one batch by id; the rows that the vendor did not take.

        Writing the same batch twice leaves the same values as writing it once.

        Raises
        ------
        Unreachable : it is unknown which rows were taken.
        """
        ...


class Outbox(Protocol):
    """What was sent, is waiting or was refused, of one outcome's night and one target. Everything said to it is kept at once."""

    def due(self, digests: dict[str, str]) -> list[str]:
        """The leads whose values still have to be sent, now kept as waiting; the others were sent, or refused, before.

        Parameters
        ----------
        digests : lead_id -> digest of its values.
        """
        ...

    def settle(self, lead_ids: Sequence[str], refusals: Sequence[Refusal]) -> None:
        """A batch was answered: its rows are refused where a refusal names them, else sent."""
        ...


@dataclass(frozen=True)
class Written:
    """What became of a night's rows: rows = sent + unchanged + refused + waiting, always.

    Parameters
    ----------
    unchanged : rows that were not sent because the CRM has these values already, or had refused them on this night.
    unreachable : why the rest waits; "" when nothing does.
    """

    rows: int
    sent: int
    unchanged: int
    refused: tuple[Refusal, ...]
    waiting: int = 0
    unreachable: str = ""


def write_back(target: Target, updates: Sequence[Update], sent: Outbox, tell: Callable[[float, str], None]) -> Written:
    """Send what the CRM does not have yet, a batch at a time, and keep what became of every row.

    To the business: reps see tonight's scores where they work. A row that the vendor refuses holds up no other; when the vendor stops answering,
    what it took stays taken and the next run sends the rest.

    Parameters
    ----------
    updates : a night's rows, in the order in which they are to be sent.
    tell : told the share done and a few words.

    Raises
    ------
    Problem : the vendor refuses all of it, such as a token that has expired; batches answered before stay kept.
    """
    due = set(sent.due({update.lead_id: digest(update) for update in updates}))
    rows = [update for update in updates if update.lead_id in due]
    refused: list[Refusal] = []
    for start in range(0, len(rows), target.batch):
        tell(start / len(rows), f"{start:,} of {len(rows):,} rows")
        batch = rows[start : start + target.batch]
        try:
            refusals = target.write(batch)
        except Unreachable as problem:
            waiting = len(rows) - start
            return Written(len(updates), start - len(refused), len(updates) - len(rows), tuple(refused), waiting, str(problem))
        sent.settle([update.lead_id for update in batch], refusals)
        refused += refusals
    return Written(len(updates), len(rows) - len(refused), len(updates) - len(rows), tuple(refused))


def trend(change: float | None) -> Trend | None:
    """Where a lead is going since the night before; None where nobody knows.

    >>> trend(0.1), trend(-0.01), trend(None)
    ('up', 'steady', None)
    """
    if change is None:
        return None
    return "steady" if abs(change) < _STEADY else "up" if change > 0 else "down"


def digest(update: Update) -> str:
    """The same for two updates that a rep cannot tell apart.

    When a lead was scored, and the decimals of its probability, are left out: they differ every night.

    >>> one = Update("L1", 40, "B", 7, "was active", datetime(2025, 1, 1), 0.4, 0.011)
    >>> digest(one) == digest(Update("L1", 40, "B", 7, "was active", datetime(2025, 1, 2), 0.401, 0.001))
    True
    """
    told = {name: value for name, value in asdict(update).items() if name not in ("scored_at", "probability", "change")}
    return sha256(repr([*sorted(told.items()), trend(update.change)]).encode()).hexdigest()[:16]
