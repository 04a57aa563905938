"""The pictures of a training: gain, lift, reliability, score over time, importance."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models.calibration import sigmoid
from models.metrics import Judged, gain_curve, reliability_table

# Told apart by the colour-blind too (Okabe and Ito 2008); where more run, colours come again.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def _blank(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.subplots()
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def gain(racers: Mapping[str, Judged]) -> Figure:
    """How many of the conversions are found by working the best share of the leads."""
    figure, axes = _blank("Gain: fewer leads for the same deals", "share of leads worked, best first", "share of conversions found")
    for (name, rows), colour in zip(racers.items(), cycle(_COLOURS), strict=False):
        curve = gain_curve(rows)
        axes.plot(curve["worked"], curve["found"], label=name, color=colour)
    axes.plot([0, 1], [0, 1], color="0.6", linestyle="--", label="random order")
    axes.legend(frameon=False)
    return figure


def lift(racers: Mapping[str, Judged]) -> Figure:
    """How many times the average rate the best share converts at."""
    figure, axes = _blank("Lift over working at random", "share of leads worked, best first", "conversion rate over the average")
    for (name, rows), colour in zip(racers.items(), cycle(_COLOURS), strict=False):
        curve = gain_curve(rows).iloc[2:]
        axes.plot(curve["worked"], curve["found"] / curve["worked"], label=name, color=colour)
    axes.axhline(1, color="0.6", linestyle="--", label="random order")
    axes.legend(frameon=False)
    return figure


def reliability(rows: Judged) -> Figure:
    """Of the leads that were given 30 %, did 30 % convert?"""
    table = reliability_table(rows)
    figure, axes = _blank("Reliability on later nights", "predicted probability", "share that converted (95 % interval)")
    spread = np.clip(np.array([table["realised"] - table["low"], table["high"] - table["realised"]]), 0, None)
    axes.errorbar(table["predicted"], table["realised"], yerr=spread, fmt="o", color=_COLOURS[0], capsize=3)
    top = float(max(table["predicted"].max(), table["high"].max()))
    axes.plot([0, top], [0, top], color="0.6", linestyle="--")
    return figure


def segments(table: pd.DataFrame, most: int = 30) -> Figure:
    """Predicted beside realised rate of the groups of leads that are furthest from chance; where calibration fails the interval is orange.

    Parameters
    ----------
    table : see `models.segments.segments`.
    """
    shown = table.sort_values(["chance", "field", "segment"]).head(most).iloc[::-1].reset_index(drop=True)
    figure, axes = _blank("Reliability of groups of leads", "share that converted (95 % interval)", "")
    for fails, colour in ((False, _COLOURS[0]), (True, _COLOURS[1])):
        some = shown[shown["fails"].astype(bool) == fails]
        spread = np.clip(np.array([some["realised"] - some["low"], some["high"] - some["realised"]], dtype=float), 0, None)
        axes.errorbar(some["realised"], some.index, xerr=spread, fmt="o", color=colour, capsize=2, label="fails" if fails else "holds")
    axes.plot(shown["predicted"], shown.index, "|", color="0.2", markersize=10, label="predicted")
    axes.set_yticks(shown.index, [_label(row.field, row.segment) for row in shown.itertuples()], fontsize=7, parse_math=False)
    axes.legend(frameon=False)
    return figure


def _label(field: str, segment: str) -> str:
    return _short(field) if field == segment else f"{_short(field)}: {_short(segment)}"


def _short(name: str) -> str:
    """A name of the company's own as there is room for it, of signs that can be drawn. Its dollars are no mathematics: see `parse_math`."""
    return "".join(sign if sign.isprintable() else " " for sign in name[:30])


def over_time(rows: Judged) -> Figure:
    """Mean probability beside the realised rate, night by night."""
    frame = pd.DataFrame({"night": rows.night, "predicted": sigmoid(rows.log_odds), "realised": rows.converted.astype(float)})
    nights = frame.groupby("night").mean()
    figure, axes = _blank("Score over time", "night", "mean of the night")
    for (name, values), colour in zip(nights.items(), _COLOURS, strict=False):
        axes.plot(nights.index, values, label=name, color=colour)
    axes.tick_params(axis="x", labelrotation=30)
    axes.legend(frameon=False)
    return figure


def importance(contributions: pd.DataFrame, most: int = 15) -> Figure:
    """Which fields move the scores: mean size of their contribution to the log-odds."""
    mean = contributions.iloc[:, 1:].abs().mean().sort_values().tail(most)
    figure, axes = _blank("What moves the score", "mean contribution to the log-odds", "")
    axes.barh(range(len(mean)), mean, color=_COLOURS[0])
    axes.set_yticks(range(len(mean)), map(_short, mean.index), parse_math=False)
    return figure
