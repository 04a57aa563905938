"""The model card: what a model is for, what it learned from, how far to believe it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from models.metrics import Estimate
from models.race import Learned
from models.variants import remarks

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


def model_card(learned: Learned, counts: Mapping[str, int], findings: Sequence[str], gate: Sequence[str], groups: Sequence[str] = ()) -> str:
    """Markdown that a stranger can read. Source of the form: Mitchell et al. (2019).

    Parameters
    ----------
    counts : examples, conversions, unripe and so on.
    findings : sentences of the leakage screen.
    gate : why it was promoted or not.
    groups : sentences on where calibration fails, and on what is protected.
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
        f"{scorer.last_night:%Y-%m-%d}; {counts['unripe']:,} unripe examples carry no label and say only what had happened so far. "
        f"Base rate {scorer.base_rate:.1%}.",
        "",
        f"**Blend.** {learned.blending.sentence}",
        *_blend(learned),
        "",
        f"**Features** {len(scorer.features)}. **Calibration** {scorer.calibration.name}: {learned.choice.because}.",
        *_calibrations(learned),
        *(remark for each in remarks(scorer.model) for remark in ("", f"**Variant.** {each}")),
        "",
        f"**Base rate** {'followed' if scorer.recent_days else 'not followed'} by an intercept from the newest ripe nights: "
        f"{learned.following.because}.",
        "",
        f"**Amount.** {learned.worth.sentence(words.who, scorer.value)}",
        *_amounts(learned),
        "",
        "**Backtest**, on later nights and on leads that the past did not hold, with 95 % intervals from resampling leads:",
        "",
        *table,
        "",
        *(["**Groups.** On the same nights:", *(f"- {sentence}" for sentence in groups), ""] if groups else []),
        "**Leakage.** No feature changed when the future was cut off.",
        *(f"- {finding}" for finding in findings),
        "",
        "**Gate.** " + "; ".join(gate) + ".",
    ]
    return "\n".join(lines) + "\n"


def _blend(learned: Learned) -> list[str]:
    """How much every racer counts in the blend, and how it did on the nights that the blend was judged on."""
    table = learned.blending.table()
    if table.empty:
        return []
    weights = ["" if pd.isna(weight) else f"{weight:.3f}" for weight in table["weight"]]
    rows = [f"| {name} | {weight} | {loss:.4f} |" for name, weight, loss in zip(table["racer"], weights, table["log_loss"], strict=True)]
    return ["", "| racer | weight in the blend | log-loss |", "|---|---|---|", *rows]


def _calibrations(learned: Learned) -> list[str]:
    """How every calibration did on nights later than those it was learned from."""
    choice = learned.choice
    if not choice.losses:
        return []
    rows = [f"| {name} | {choice.losses[name]:.4f} | {_fine(found)} |" for name, found in choice.differences.items()]
    if learned.following.difference:
        rows.append(f"| recent intercept, on top of the one that is used | | {_fine(learned.following.difference)} |")
    return ["", "| calibration | log-loss | difference to going without |", "|---|---|---|", *rows]


def _amounts(learned: Learned) -> list[str]:
    """How every amount model did on later conversions than those it was learned from."""
    worth = learned.worth
    if not worth.losses:
        return []
    rows = [
        f"| {name} | {loss:.4f} | {_fine(worth.differences[name]) if name in worth.differences else ''} | {worth.totals[name]} |"
        for name, loss in worth.losses.items()
    ]
    return ["", "| amount | gamma deviance | difference to the average | expected over true sum |", "|---|---|---|---|", *rows]


def _fine(found: Estimate) -> str:
    return f"{found.value:+.5f} ({found.low:+.5f} to {found.high:+.5f})"
