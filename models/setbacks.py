"""Is one model worse than another for some of the leads, although it is better for all of them together?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.calibration import log_losses
from models.metrics import Estimate, Judged, redraw

Values = NDArray[np.object_]
ENOUGH_LEADS, ENOUGH_CONVERSIONS = 100, 20


@dataclass(frozen=True)
class Segment:
    """The leads that share a value of a field, and how much one model's log-loss exceeds the other's on them.

    Parameters
    ----------
    difference : with an interval that holds for all segments looked at together with 95 %, so that one in twenty is not found worse by chance.
    """

    field: str
    value: str
    leads: int
    conversions: int
    difference: Estimate

    def __str__(self) -> str:
        return f"{self.field}: {self.value}"


def setbacks(one: Judged, other: Judged, fields: Mapping[str, Values], seed: int = 7, resamples: int = 400) -> list[Segment]:
    """`one` minus `other` in log-loss on every segment of enough leads, the worst first.

    A segment of less than a hundred leads, or of less than twenty that converted, tells nothing and is passed over.
    Source of the intervals: the largest of all studentised deviations in each draw of the bootstrap (Romano and Wolf 2005).

    Parameters
    ----------
    one, other : predictions on the same rows.
    fields : in a person's words ("source", "team") -> each row's value; None where it is missing.
    """
    sizes = _large(one, fields)
    if sizes.empty:
        return []
    row, segment = _members(fields, sizes)
    excess = log_losses(one.converted, one.log_odds) - log_losses(other.converted, other.log_odds)

    def means(weight: NDArray[np.float64]) -> NDArray[np.float64]:
        of_segment = weight[row]
        total = np.bincount(segment, of_segment, len(sizes))
        return np.asarray(np.bincount(segment, of_segment * excess[row], len(sizes)) / np.maximum(total, 1e-12))

    found, drawn = means(one.weight), np.array([means(weight) for weight in redraw(one, seed, resamples)])
    error = drawn.std(axis=0)
    deviations = np.divide(np.abs(drawn - found), error, out=np.zeros_like(drawn), where=error > 0)
    half = float(np.quantile(deviations.max(axis=1), 0.95)) * error
    segments = [
        Segment(size.field, size.value, size.leads, size.conversions, Estimate(float(mean), float(mean - width), float(mean + width)))
        for size, mean, width in zip(sizes.itertuples(), found, half, strict=True)
    ]
    return sorted(segments, key=lambda segment: (-segment.difference.low, str(segment)))


def _large(rows: Judged, fields: Mapping[str, Values]) -> pd.DataFrame:
    """field, value, leads, conversions of every segment of enough leads."""
    parts = []
    for field, values in fields.items():
        frame = pd.DataFrame({"value": values, "lead": rows.lead, "won": pd.Series(rows.lead).where(rows.converted)})
        sizes = frame.groupby("value").agg(leads=("lead", "nunique"), conversions=("won", "nunique")).reset_index()
        parts.append(sizes.assign(field=field))
    every = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["field", "value", "leads", "conversions"])
    return every[(every["leads"] >= ENOUGH_LEADS) & (every["conversions"] >= ENOUGH_CONVERSIONS)].reset_index(drop=True)


def _members(fields: Mapping[str, Values], sizes: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row numbers beside numbers of the segments that they belong to, one segment at most a field."""
    rows, segments = [], []
    for field, theirs in sizes.groupby("field", sort=False):
        at = pd.Index(theirs["value"]).get_indexer(pd.Index(fields[str(field)]))
        inside = at >= 0
        rows.append(np.flatnonzero(inside))
        segments.append(theirs.index.to_numpy()[at[inside]])
    return np.concatenate(rows), np.concatenate(segments)
