"""Who became champion when, by whose word and why: the audit trail that the registry keeps, and what it says of the way back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Self


@dataclass(frozen=True)
class Entry:
    """One change of champion.

    Parameters
    ----------
    at : when, UTC.
    act : "gate" (a challenger was better), "promoted" or "rolled back" (a person said so).
    version, before : the champion from then on, and the one until then; before is None for the first.
    because : why, in the words of the gate or of the person.
    """

    at: datetime
    act: str
    version: str
    before: str | None
    because: str

    def to_text(self) -> str:
        """One line of JSON."""
        return json.dumps({**asdict(self), "at": self.at.isoformat()}, ensure_ascii=False)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """What `to_text` wrote."""
        stored = json.loads(text)
        return cls(**{**stored, "at": datetime.fromisoformat(stored["at"])})

    def row(self) -> dict[str, str]:
        """The entry as a person reads it."""
        return {
            "when": f"{self.at:%Y-%m-%d %H:%M}",
            "champion": self.version,
            "before": self.before or "none",
            "how": self.act,
            "because": self.because,
        }


def in_use(trail: Sequence[Entry], at: datetime) -> str | None:
    """The version that was champion at an instant; None when there was none yet.

    Parameters
    ----------
    trail : oldest first.

    >>> one, two = Entry(datetime(2025, 5, 4), "gate", "1", None, "first"), Entry(datetime(2025, 5, 11), "gate", "2", "1", "better")
    >>> in_use([one, two], datetime(2025, 5, 1)), in_use([one, two], datetime(2025, 5, 10)), in_use([one, two], datetime(2025, 5, 11))
    (None, '1', '2')
    """
    return next((entry.version for entry in reversed(trail) if entry.at <= at), None)


def way_back(trail: Sequence[Entry]) -> str | None:
    """The champion before the present one that nobody has rolled back; None when there is none.

    Rolling back twice goes back two champions, not to and fro: a rollback takes the present champion off the pile instead of putting one on it.

    Parameters
    ----------
    trail : oldest first.

    >>> day = datetime(2025, 5, 1)
    >>> one, two = Entry(day, "gate", "1", None, "first"), Entry(day, "gate", "2", "1", "better")
    >>> way_back([one, two]), way_back([one, two, Entry(day, "rolled back", "1", "2", "lists got worse")])
    ('1', None)
    """
    pile: list[str] = []
    for entry in trail:
        if entry.act == "rolled back":
            pile.pop()
            continue
        if not pile and entry.before:
            pile.append(entry.before)
        pile.append(entry.version)
    return pile[-2] if len(pile) > 1 else None
