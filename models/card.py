"""The model card: what a model is for, what it learned from, how far to believe it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from models.race import Learned

_SHOWN = (
    "roc_auc",
    "average_precision",
    "log_loss",
    "brier",
    "calibration_slope",
    "calibration_intercept",
    "lift_at_10",
    "precision_at_10",
    "worked_share",
)


def model_card(learned: Learned, counts: Mapping[str, int], findings: Sequence[str], gate: Sequence[str]) -> str:
    """Markdown that a stranger can read. Source of the form: Mitchell et al. (2019).

    Parameters
    ----------
    counts : examples, conversions, unripe and so on.
    findings : sentences of the leakage screen.
    gate : why it was promoted or not.
    """
    scorer = learned.scorer
    horizon = scorer.plan.timeline.horizon_days
    words = scorer.plan.outcome.words
    said = f"{'an' if words.one == 'open lead' else 'a'} {words.one} {words.does}"
    names = list(learned.metrics)
    table = ["| | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    table += [f"| {metric.replace('_', ' ')} | " + " | ".join(str(learned.metrics[name][metric]) for name in names) + " |" for metric in _SHOWN]
    lines = [
        f"# {learned.leader}, known until {scorer.known_until:%Y-%m-%d}",
        "",
        f"**Use.** The probability that {said} within {horizon} days, to order calls. Not for deciding about a person alone.",
        "",
        f"**Learned from** {counts['examples']:,} examples (one lead on one night) with {counts['conversions']:,} {words.noun} until "
        f"{scorer.last_night:%Y-%m-%d}; {counts['unripe']:,} unripe examples carry no label and were left out. Base rate {scorer.base_rate:.1%}.",
        "",
        f"**Calibration** {scorer.calibration.name}. **Features** {len(scorer.features)}.",
        "",
        "**Backtest**, on later nights and on leads that the past did not hold, with 95 % intervals from resampling leads:",
        "",
        *table,
        "",
        "**Leakage.** No feature changed when the future was cut off.",
        *(f"- {finding}" for finding in findings),
        "",
        "**Gate.** " + "; ".join(gate) + ".",
    ]
    return "\n".join(lines) + "\n"
