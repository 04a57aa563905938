"""A field accused of knowing the outcome: what tells on it, the evidence, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from features.plan import Origin

Method = Literal["null-ness", "power", "name", "history", "tonight", "adversary"]
METHODS: tuple[Method, ...] = ("null-ness", "power", "name", "history", "tonight", "adversary")
"""In the order in which they are told: the evidence that is easiest to check comes first."""


@dataclass(frozen=True)
class Finding:
    """One field, accused by one method.

    Parameters
    ----------
    field, origin : the field and its table.
    method : "null-ness", "power" and "name" are told by `features.proxies`, "history" by `features.aftermath`, "tonight" by
        `features.likeness`, "adversary" by `features.adversary`.
    evidence : figures that a person can check.
    advice : what to do about it.
    allowed : whether the user insists on the field, so that it is used all the same.

    >>> finding = Finding("Tags", "leads", "power", "it alone explains 55 % of who converted", "map its field history")
    >>> print(finding.sentence)
    'Tags' (leads) is not used: it alone explains 55 % of who converted; map its field history.
    """

    field: str
    origin: Origin
    method: Method
    evidence: str
    advice: str
    allowed: bool = False

    @property
    def sentence(self) -> str:
        """The finding as one line of a report."""
        verdict = "is used because the configuration allows it" if self.allowed else "is not used"
        return f"'{self.field}' ({self.origin}) {verdict}: {self.evidence}; {self.advice}."
