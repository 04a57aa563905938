"""How many of the called leads will come to it: not only how many are expected, but between what and what."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SHARE = 0.8
_DRAWS, _SEED = 2_000, 7
# Beyond so many leads the normal distribution says the same to a tenth of a win, and an exact one costs gigabytes.
_EXACT = 2_000


def between(probability: Floats, share: float = SHARE) -> tuple[int, int]:
    """Between which numbers of wins the leads of a list will end, in so many of ten such nights as `share` says.

    To the business: beside a quota, the good and the bad case of a list, not only the usual one. Leads are taken to decide each for itself, and their
    probabilities to be right; a market that turns moves all of them together, and is in none of these figures.

    Parameters
    ----------
    probability : of every lead of the list.
    share : 0.8: one night in ten ends below, one above. 95 of 100 would be true so often that nobody could plan with it.

    Source: the Poisson binomial distribution by its characteristic function, Fernández and Williams (2010), Closed-form expression for the
    Poisson-binomial probability density function.

    >>> between(np.array([1.0, 1.0, 0.0])), between(np.full(100, 0.3)), between(np.array([]))
    ((2, 2), (24, 36), (0, 0))
    """
    tail = (1 - share) / 2
    if len(probability) > _EXACT:
        normal = NormalDist(float(probability.sum()), float(np.sqrt((probability * (1 - probability)).sum())) or 1e-9)
        low, high = normal.inv_cdf(tail), normal.inv_cdf(1 - tail)
        return max(0, round(low)), min(len(probability), round(high))
    below = np.cumsum(_chances(probability))
    # Rounded: what is one but for the last bit is one.
    return int(np.searchsorted(below, tail + 1e-9)), int(np.searchsorted(below, 1 - tail - 1e-9))


def worth_between(probability: Floats, amount: Floats, sizes: Floats, share: float = SHARE) -> tuple[float, float]:
    """Between which amounts the leads of a list will end, in so many of ten such nights as `share` says.

    To the business: wins can be counted on long before money can, for one large deal more or less moves the sum. Deals are taken to be as unlike each
    other as those won in the past; what `between` says of its limits holds here too.

    Parameters
    ----------
    probability, amount : of every lead of the list, the amount should it be won.
    sizes : amounts of past wins as multiples of what is usual, of which every win draws one.

    Source: a parametric bootstrap, Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapter 6; its draws are the same every time.

    >>> worth_between(np.array([1.0, 1.0]), np.array([100.0, 50.0]), np.ones(1))
    (150.0, 150.0)
    """
    draws = np.random.default_rng(_SEED)
    sums = np.zeros(_DRAWS)
    for chance, worth in zip(probability, amount, strict=True):
        won = draws.random(_DRAWS) < chance
        sums[won] += worth * draws.choice(sizes, int(won.sum()))
    low, high = np.quantile(sums, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)


def _chances(probability: Floats) -> Floats:
    """How likely each number of wins is, from none to all."""
    places = np.arange(len(probability) + 1)
    turns = np.exp(2j * np.pi * places / len(places)) - 1
    waves = np.prod(1 + turns[:, None] * probability[None, :], axis=1)
    return np.clip(np.fft.fft(waves).real / len(places), 0.0, 1.0)
