"""Champion against challenger on the same rows: promoted only if better beyond doubt. A gate that cannot run stays shut."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from models.metrics import Estimate, Judged, measures, paired
from models.setbacks import Segment, Values, setbacks

_LISTS = ("average_precision", "gain_at_capacity")
_FEWEST = 20
_LONG_NIGHT = 60.0
_NAMED = 5


@dataclass(frozen=True)
class Limits:
    """What a better log-loss does not excuse.

    Parameters
    ----------
    level : how much further than the champion's its expected conversions may lie from those that came. 0.1: whoever adds up a list sees a tenth.
    slope : the same for the calibration slope, which takes more leads to measure. 0.2.
    changed : share of tonight's list that may change. 1: any; it is told, and a better model must be allowed to change it.
    slower : times the champion's scoring time, counted only where a night takes more than a minute. 10: boosted trees against a points table.
    """

    level: float = 0.1
    slope: float = 0.2
    changed: float = 1.0
    slower: float = 10.0


@dataclass(frozen=True)
class Tonight:
    """What the next night would be with either model.

    Parameters
    ----------
    open_leads, listed : how many there are, and how many of them sales can work.
    changed : leads on the champion's list that are not on the challenger's.
    seconds, champion_seconds : to score all open leads with reasons.
    """

    open_leads: int
    listed: int
    changed: int
    seconds: float
    champion_seconds: float

    @property
    def capacity(self) -> float:
        """Share of the open leads that sales can work."""
        return self.listed / self.open_leads


@dataclass(frozen=True)
class Evidence:
    """What the gate judges by; where something could not be had it is None, and the gate stays shut.

    Parameters
    ----------
    challenger, champion : predictions on the same rows, none of which either had learned from.
    segments : field in words -> each row's value, see `models.setbacks`; empty where a company has no fields.
    """

    challenger: Judged
    champion: Judged
    segments: Mapping[str, Values] | None
    tonight: Tonight | None


@dataclass(frozen=True)
class Check:
    """One question of the gate, whether its answer lets the challenger through, and the answer in words."""

    name: str
    held: bool
    said: str


@dataclass(frozen=True)
class Compared:
    """A figure of both models, and the paired difference, challenger minus champion."""

    challenger: float
    champion: float
    difference: Estimate


@dataclass(frozen=True)
class Decision:
    """Whether the challenger becomes champion, why, and what that was judged by.

    Parameters
    ----------
    reasons : for a refusal everything that stood against it.
    figures : log-loss, average precision, gain at capacity, expected conversions and calibration slope, with 95 % intervals. Of the last two the
        difference is that of their distances from 1, as logarithms; of the slope only the upper end is asked for, and it is that of a 90 % interval.
    checks : every question that was asked.
    basis : on which rows, in a sentence; empty where none could be compared.
    """

    promote: bool
    reasons: tuple[str, ...]
    figures: Mapping[str, Compared] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    basis: str = ""

    @property
    def differences(self) -> dict[str, Estimate]:
        """The paired differences alone."""
        return {name: compared.difference for name, compared in self.figures.items()}

    @property
    def list_change(self) -> str | None:
        """How much of tonight's list would change, in words; None where that is unknown."""
        return next((check.said for check in self.checks if check.name == "list_change"), None)

    def tags(self) -> dict[str, str]:
        """The decision as short texts: verdict, reasons, every difference with its interval, and the guardrails that have none."""
        return {
            "gate": "promoted" if self.promote else "refused",
            "reasons": "; ".join(self.reasons)[:4000],
            **{f"gate.{check.name}": check.said[:4000] for check in self.checks},
            **{f"gate.{name}": str(difference) for name, difference in self.differences.items()},
        }


def decide(evidence: Evidence, limits: Limits | None = None, seed: int = 7) -> Decision:
    """Promote if log-loss is lower by an interval that excludes zero, nothing that sales feels is worse by one, and every guardrail holds.

    Lists and segments must not be worse beyond doubt. Calibration is asked the other way round: it must be *shown* not to be worse by more
    than the limit, so that where there is too little to tell the gate stays shut. Both models meet the same conversions, so that a
    challenger whose expected conversions agree with the champion's passes however few there are.
    """
    limits = limits or Limits()
    shut = _cannot_judge(evidence.challenger, evidence.champion)
    if shut:
        return Decision(False, (shut,))
    if evidence.tonight is None or not evidence.tonight.listed:
        return Decision(False, ("no lead would be listed tonight, so that neither what sales can work nor what would change of it is known",))
    if evidence.segments is None or any(len(values) != len(evidence.champion.lead) for values in evidence.segments.values()):
        return Decision(False, ("it is not known to which segments the leads belong",))
    figures = _figures(evidence.challenger, evidence.champion, evidence.tonight.capacity, seed)
    segments = setbacks(evidence.challenger, evidence.champion, evidence.segments, seed)
    checks = (
        _truer(figures["log_loss"].difference),
        *(_no_worse_list(name, figures[name]) for name in _LISTS),
        _level(figures["predicted_over_realised"], limits.level),
        _slope(figures["calibration_slope"], limits.slope),
        _every_segment(segments),
        _list_change(evidence.tonight, limits.changed),
        _pace(evidence.tonight, limits.slower),
    )
    against = tuple(check.said for check in checks[1:] if not check.held)
    return Decision(all(check.held for check in checks), (checks[0].said, *against), figures, checks, _basis(evidence.champion))


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


def _figures(challenger: Judged, champion: Judged, capacity: float, seed: int) -> dict[str, Compared]:
    ours, theirs = (measures(rows, capacity) for rows in (challenger, champion))
    found = {
        **paired(challenger, champion, ("log_loss", *_LISTS), seed, capacity=capacity),
        **paired(challenger, champion, ("predicted_over_realised",), seed, seen_as=_distance),
        # Slopes of two models share less of their luck: asked at 97.5 %, hardly any better model of a few hundred conversions would pass.
        **paired(challenger, champion, ("calibration_slope",), seed, resamples=200, seen_as=_distance, tail=0.05),
    }
    return {name: Compared(ours[name](challenger.weight), theirs[name](champion.weight), difference) for name, difference in found.items()}


def _distance(figure: float) -> float:
    """How far a figure is from a perfect 1, twice as much being as far as half as much."""
    return float(np.abs(np.log(np.maximum(figure, 1e-6))))


def _truer(loss: Estimate) -> Check:
    better = loss.high < 0
    return Check("log_loss", better, f"log-loss changed by {loss}: {'better' if better else 'not better'} beyond doubt")


def _no_worse_list(name: str, found: Compared) -> Check:
    words, difference = name.replace("_", " "), found.difference
    held = difference.high >= 0
    return Check(name, held, f"{words} {'changed' if held else 'is worse'} by {difference}")


def _level(found: Compared, limit: float) -> Check:
    ours, theirs = (f"{100 * side:.0f}" for side in (found.challenger, found.champion))
    return _calibrated("predicted_over_realised", f"it expects {ours} conversions where 100 came, the champion {theirs}", found.difference, limit)


def _slope(found: Compared, limit: float) -> Check:
    said = f"its calibration slope is {found.challenger:.2f}, the champion's {found.champion:.2f}, and 1 is perfect"
    return _calibrated("calibration_slope", said, found.difference, limit)


def _calibrated(name: str, said: str, difference: Estimate, limit: float) -> Check:
    """Held only where it is shown: an interval that is no number, or one too wide, does not pass."""
    at_worst = float(np.expm1(difference.high))
    if at_worst <= limit:
        return Check(name, True, said)
    doubt = f"may be further from the truth by {at_worst:.0%}, and {limit:.0%} is allowed" if np.isfinite(at_worst) else "cannot be compared"
    return Check(name, False, f"{said}: it {doubt}")


def _every_segment(segments: list[Segment]) -> Check:
    worse = [segment for segment in segments if segment.difference.low > 0]
    if worse:
        more = f" and {len(worse) - _NAMED} more" if len(worse) > _NAMED else ""
        named = ", ".join(f"{segment} (by {segment.difference})" for segment in worse[:_NAMED])
        return Check("segments", False, f"log-loss is worse beyond doubt for {named}{more}")
    looked = f"worse beyond doubt in none of {len(segments)} segments" if segments else "no segment has enough leads to be looked at"
    return Check("segments", True, looked)


def _list_change(tonight: Tonight, limit: float) -> Check:
    share = tonight.changed / tonight.listed
    said = f"{tonight.changed:,} of the {tonight.listed:,} leads on tonight's list would change ({share:.0%})"
    held = share <= limit
    return Check("list_change", held, said if held else f"{said}, and {limit:.0%} are allowed")


def _pace(tonight: Tonight, limit: float) -> Check:
    said = f"tonight's {tonight.open_leads:,} open leads take {tonight.seconds:.1f} s, with the champion {tonight.champion_seconds:.1f} s"
    held = tonight.seconds <= max(_LONG_NIGHT, limit * tonight.champion_seconds)
    return Check("scoring_time", held, said if held else f"{said}, and {limit:g} times as long is allowed")


def _basis(rows: Judged) -> str:
    leads, customers, nights = len(set(rows.lead)), len(set(rows.lead[rows.converted])), np.unique(rows.night)
    first, last = (str(night)[:10] for night in (nights[0], nights[-1]))
    return f"{leads:,} leads on {len(nights):,} nights from {first} to {last}, of whom {customers:,} became customers within the horizon"
