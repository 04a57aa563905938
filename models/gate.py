"""Champion against challenger on the same rows: promoted only if better beyond doubt. A gate that cannot run stays shut."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from models.metrics import Estimate, Judged, paired

_ASKED = ("log_loss", "average_precision", "precision_at_10")
_FEWEST = 20


@dataclass(frozen=True)
class Decision:
    """Whether the challenger becomes champion, why, and the paired differences (challenger minus champion)."""

    promote: bool
    reasons: tuple[str, ...]
    differences: dict[str, Estimate] = field(default_factory=dict)


def decide(challenger: Judged, champion: Judged, seed: int = 7) -> Decision:
    """Promote if log-loss is lower by an interval that excludes zero and nothing that sales feels is worse by one.

    Parameters
    ----------
    challenger, champion : predictions on the same rows, none of which either had learned from.
    """
    shut = _cannot_judge(challenger, champion)
    if shut:
        return Decision(False, (shut,))
    found = paired(challenger, champion, _ASKED, seed)
    loss = found["log_loss"]
    reasons = [f"log-loss changed by {loss}: {'better' if loss.high < 0 else 'not better'} beyond doubt"]
    worse = [name for name in _ASKED[1:] if found[name].high < 0]
    reasons += [f"{name.replace('_', ' ')} is worse by {found[name]}" for name in worse]
    return Decision(loss.high < 0 and not worse, tuple(reasons), found)


def _cannot_judge(challenger: Judged, champion: Judged) -> str | None:
    same = (np.array_equal(getattr(challenger, name), getattr(champion, name)) for name in ("lead", "night", "converted", "weight"))
    if not all(same):
        return "champion and challenger were not scored on the same rows"
    customers = len(set(challenger.lead[challenger.converted]))
    if customers < _FEWEST:
        return f"only {customers} conversions ripened since the champion learned; {_FEWEST} are needed to judge"
    if challenger.converted.all():
        return "every lead converted: there is nothing to tell apart"
    if not (np.isfinite(challenger.log_odds).all() and np.isfinite(champion.log_odds).all()):
        return "a score is not a finite number"
    return None
