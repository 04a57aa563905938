"""What a contest says of the product: is it first, or not to be told from the first; if not, by how much is it behind; and what does it cost?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.contest import JUDGED_BY, Contest
from benchmarks.contestants import OURS
from models.metrics import Estimate

CHEAPER, FASTER = 20, 50
"""The goal: a twentieth of AutoGluon's processor time for learning, fifty times its speed of scoring."""
_DEAR = "AutoGluon"


def standing(contest: Contest, figure: str) -> tuple[str, Estimate] | None:
    """ "first", "within" or "behind", and by how much ours is worse than the first; None where ours did not take part.

    *first*: nobody is better; *within*: somebody is, but the 95 % interval of the difference holds zero.
    """
    ours = contest.entry(OURS)
    if ours is None:
        return None
    gap = contest.behind(ours, figure)
    if gap.value <= 0:
        return "first", gap
    return ("behind" if gap.low > 0 else "within"), gap


def verdicts(contests: Sequence[Contest]) -> Iterator[str]:
    """One sentence on all of them, and one for each company and mode."""
    found = [standing(contest, figure) for contest in contests for figure in JUDGED_BY]
    places = [each[0] for each in found if each]
    if places:
        yield (
            f"Of {len(places)} comparisons (companies, modes, average precision and log-loss) ours is first in {places.count('first')}, within the "
            f"interval of the first in {places.count('within')}, behind in {places.count('behind')}."
        )
    for contest in contests:
        said = [_on(contest, figure) for figure in JUDGED_BY]
        yield f"{contest.case.data}, seed {contest.case.seed}, {contest.mode}: {'; '.join(said)}."


def _on(contest: Contest, figure: str) -> str:
    named = figure.replace("_", " ").replace("log loss", "log-loss")
    found = standing(contest, figure)
    if found is None:
        return f"on {named} ours did not take part"
    place, gap = found
    first = contest.first(figure).contestant
    if place == "first":
        return f"on {named} ours is first"
    words = f"{gap.value:.4f} ({gap.low:.4f} to {gap.high:.4f})"
    return f"on {named} ours is within the interval of {first}, {words}" if place == "within" else f"on {named} ours is behind {first} by {words}"


def costs(contests: Sequence[Contest]) -> Iterator[str]:
    """For each preset of AutoGluon and each mode: how much cheaper a fit of ours is and how much faster it scores, the middle company and the range.

    Per fit, because AutoGluon learns less often as nights ripen.
    """
    for name in dict.fromkeys(entry.contestant for contest in contests for entry in contest.entries if entry.contestant.startswith(_DEAR)):
        for mode in dict.fromkeys(contest.mode for contest in contests):
            pairs = [(c.entry(OURS), c.entry(name)) for c in contests if c.mode == mode]
            both = [(ours, other) for ours, other in pairs if ours and other]
            if both:
                cheaper = [(other.cpu_seconds / other.terms.fits) / (ours.cpu_seconds / ours.terms.fits) for ours, other in both]
                faster = [ours.rows_per_second / other.rows_per_second for ours, other in both]
                yield (
                    f"{mode}, {name} (fits {both[0][1].terms.fits}, ours {both[0][0].terms.fits}): a fit of it takes {_spread(cheaper)} times the "
                    f"processor time of one of ours (goal {CHEAPER}); ours scores {_spread(faster)} times as fast (goal {FASTER})."
                )


def _spread(ratios: Sequence[float]) -> str:
    return f"{np.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})"
