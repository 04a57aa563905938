"""Deal stage and hidden intent, moving as one chain in daily steps that depend on the lead's profile.

In one day a deal may move by one stage, with a chance that depends on today's intent; then intent itself may move. A day's step is therefore

    P[(s, i), (s', i')] = S_i[s, s'] * I[i, i']

with `S_i` the stage step under intent i and `I` the intent step. Appeal multiplies every step upwards. Won and lost are final.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.crm.simulator import parameters as p

Floats = NDArray[np.float64]
_OPEN = len(p.ADVANCE)
_LOSE = np.vstack([np.zeros(3), np.tile(p.LOSE, (_OPEN - 1, 1))])
_MOST = 0.5


def intent_steps(appeal: Floats, lift: NDArray[np.floating[Any]] | float = 0.0) -> Floats:
    """I: chance of each intent tomorrow given today's, for each lead; shape (leads, 3, 3).

    Parameters
    ----------
    appeal : what the profile adds to the log of the chance to rise.
    lift : what today's contact adds to it, as a factor: 0.5 raises it by half. Zero unless contact has an effect.
    """
    up = np.exp(appeal) * (1.0 + lift)
    steps = np.zeros((len(appeal), 3, 3))
    steps[:, 0, 1] = np.minimum(p.COLD_TO_WARM * up, _MOST)
    steps[:, 1, 2] = np.minimum(p.WARM_TO_HOT * up, _MOST)
    steps[:, 1, 0] = p.WARM_TO_COLD
    steps[:, 2, 1] = p.HOT_TO_WARM
    steps[:, range(3), range(3)] = 1.0 - steps.sum(axis=2)
    return steps


def advances(appeal: Floats) -> Floats:
    """Chance of a deal to move on by one stage today, by stage and intent; shape (leads, 4, 3). From negotiation it moves to won."""
    return np.minimum(np.asarray(p.ADVANCE)[None] * np.exp(p.APPEAL_ON_ADVANCE * appeal)[:, None, None], _MOST)


def losses() -> Floats:
    """Chance of an open deal to be lost today, by stage and intent; shape (4, 3). Without a deal there is nothing to lose."""
    return _LOSE


def first_intent(appeal: Floats) -> Floats:
    """Chances of the intents a lead comes in with; shape (leads, 3). Appeal tilts them upwards."""
    tilted = np.asarray(p.FIRST_INTENT)[None] * np.exp(np.outer(appeal, [0.0, 0.5, 0.8]))
    return np.asarray(tilted / tilted.sum(axis=1, keepdims=True))


def win_chances(appeal: Floats, days: int) -> Floats:
    """Chance to be won within so many daily steps, from each stage and intent; shape (leads, 4, 3).

    The chain's transition powers applied to the indicator of "won", one step at a time, so that no power is ever formed.

    >>> bool((win_chances(np.array([0.0]), 90) > win_chances(np.array([0.0]), 30)).all())
    True
    """
    intent, advance, lose = intent_steps(appeal), advances(appeal), losses()
    chance = np.zeros((len(appeal), _OPEN, 3))
    for _ in range(days):
        tomorrow = np.einsum("nij,nsj->nsi", intent, chance)
        onward = np.concatenate([tomorrow[:, 1:], np.ones((len(appeal), 1, 3))], axis=1)
        chance = advance * onward + (1.0 - advance - lose) * tomorrow
    return chance


def stage_likelihood(advance: Floats, was: NDArray[np.int64], now: NDArray[np.int64]) -> Floats:
    """Chance of the stage step that was seen, under each intent; shape (leads, 3)."""
    rows = np.arange(len(was))
    moved, lost = advance[rows, was], losses()[was]
    stayed = 1.0 - moved - lost
    return np.where((now == was)[:, None], stayed, np.where((now == p.LOST)[:, None], lost, moved))
