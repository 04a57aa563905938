"""The columns of a training table as numbers, the same tomorrow as today, and storable as JSON."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.feature import Feature
from features.problem import Problem

Floats = NDArray[np.float64]
_WORD = re.compile(r"[^\W_]+")
FEWEST_LEADS = 20
_MOST_LEVELS, _MOST_WORDS = 30, 40
_MOST_IN_DETAIL = 300
_BANDS = np.arange(1, 10) / 10
MISSING = "missing"


@dataclass(frozen=True)
class Column:
    """One number a model sees: a feature's value, or whether it is at a level, or whether its text has a word."""

    name: str
    feature: str
    level: str | None = None


@dataclass(frozen=True)
class Encoder:
    """Numbers as they are, categories as one column a frequent level, texts as one column a frequent word.

    A level that training saw on fewer than twenty leads, or never, is none of the frequent ones: an unknown category at scoring is harmless,
    and so is an attribute with 100,000 values. Constant and empty columns are dropped. Missing numbers stay missing.

    >>> frame = pd.DataFrame({"lead_id": [str(n) for n in range(60)], "source": ["web"] * 30 + ["ads"] * 29 + ["rare"], "n": range(60)})
    >>> encoder = Encoder.fit(frame, (Feature("source", "category", "source", ""), Feature("n", "number", "n", "")))
    >>> [column.name for column in encoder.columns]
    ['source = ads', 'source = web', 'n']
    >>> encoder.transform(frame.tail(1)).tolist()
    [[0.0, 0.0, 59.0]]
    """

    columns: tuple[Column, ...]
    kinds: dict[str, str]
    edges: dict[str, list[float]] = field(default_factory=dict)

    @classmethod
    def fit(cls, frame: pd.DataFrame, features: Sequence[Feature]) -> Encoder:
        """Choose the columns from training examples."""
        one_each = frame.drop_duplicates("lead_id", keep="last")
        columns: list[Column] = []
        for feature in features:
            columns += _columns_of(feature, frame[feature.name], one_each[feature.name])
        return cls(tuple(columns), {f.name: f.kind for f in features})

    @classmethod
    def in_detail(cls, leads: pd.DataFrame, features: Sequence[Feature]) -> Encoder:
        """Every level that repeats, for a model that is held tightly enough to bear them.

        Numbers are cut into bands, a text counts as a whole beside its words, and missing is a level like any other.

        Parameters
        ----------
        leads : one row a lead.
        """
        edges = {f.name: cuts for f in features if f.kind == "number" and (cuts := edges_of(leads[f.name], _BANDS))}
        kinds = {f.name: "bands" if f.name in edges else "whole text" if f.kind == "text" else "level" for f in features}
        encoder = cls((), kinds, edges)
        return cls(tuple(column for f in features for column in encoder._columns_in_detail(f.name, leads[f.name])), kinds, edges)

    def _columns_in_detail(self, name: str, values: pd.Series) -> list[Column]:
        codes, levels = self._factored(name, values)
        frequent = _frequent(levels, np.bincount(codes, minlength=len(levels)), _MOST_IN_DETAIL)
        return [Column(f"{name} = {level}", name, level) for level in sorted(frequent)]

    def _factored(self, name: str, values: pd.Series) -> tuple[NDArray[np.int64], list[frozenset[str]]]:
        kind = self.kinds[name]
        return _factored(bands(values, self.edges[name]) if kind == "bands" else values, kind)

    def transform(self, frame: pd.DataFrame) -> Floats:
        """One row an example, one column each of `columns`; missing is NaN.

        Raises
        ------
        Problem : a column that training had is missing.
        """
        require({column.feature for column in self.columns}, frame)
        out = np.empty((len(frame), len(self.columns)))
        texts: dict[str, Any] = {}
        for at, column in enumerate(self.columns):
            if column.level is None:
                values = frame[column.feature].to_numpy(dtype=float, na_value=np.nan)
                out[:, at] = np.where(np.isfinite(values), values, np.nan)
                continue
            if column.feature not in texts:
                texts[column.feature] = self._factored(column.feature, frame[column.feature])
            codes, levels = texts[column.feature]
            out[:, at] = np.array([column.level in level for level in levels] or [False])[codes]
        return out

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Encoder:
        """What `to_dict` wrote."""
        return cls(tuple(Column(**column) for column in stored["columns"]), dict(stored["kinds"]), dict(stored.get("edges", {})))


def require(columns: Iterable[str], frame: pd.DataFrame) -> None:
    """Every column that a model needs is there.

    Raises
    ------
    Problem : one is not.
    """
    absent = sorted(set(columns) - set(frame.columns))
    if absent:
        raise Problem(f"The model needs the columns {', '.join(absent)}, which are missing tonight: extract again, or retrain without them.")


def edges_of(values: pd.Series, shares: Any) -> list[float]:
    """Where a number is cut into bands: at these shares of its leads, each cut once."""
    known = values.to_numpy(dtype=float, na_value=np.nan)
    return [float(cut) for cut in np.unique(np.nanquantile(known, shares))] if values.notna().any() else []


def bands(values: pd.Series, edges: list[float] | None) -> pd.Series:
    """A field as a person would table it: its level, or between which edges a number lies."""
    if edges is None:
        return values.astype("object").where(values.notna(), MISSING).map(str)
    texts = np.array([f"below {edges[0]:g}", *(f"{a:g} to {b:g}" for a, b in pairwise(edges)), f"{edges[-1]:g} or more", MISSING], dtype=object)
    numbers = values.to_numpy(dtype=float, na_value=np.nan)
    at = np.where(np.isnan(numbers), len(texts) - 1, np.searchsorted(edges, numbers, side="right"))
    # Objects: pandas would turn every text into its own string type, which costs more than the rest of the table.
    return pd.Series(texts[at], index=values.index, dtype=object)


def _columns_of(feature: Feature, values: pd.Series, per_lead: pd.Series) -> list[Column]:
    if feature.kind in ("number", "flag"):
        return [Column(feature.name, feature.name)] if values.nunique(dropna=False) > 1 else []
    codes, levels = _factored(per_lead, feature.kind)
    most = _MOST_LEVELS if feature.kind == "category" else _MOST_WORDS
    sign = "=" if feature.kind == "category" else "~"
    frequent = _frequent(levels, np.bincount(codes, minlength=len(levels)), most)
    return [Column(f"{feature.name} {sign} {level}", feature.name, level) for level in sorted(frequent)]


def _frequent(levels: list[frozenset[str]], times: NDArray[np.int64], most: int) -> list[str]:
    """The levels that enough leads are at, but not all of them."""
    counts: Counter[str] = Counter()
    for each, count in zip(levels, times, strict=True):
        counts.update(dict.fromkeys(each, int(count)))
    common = sorted((level for level, count in counts.items() if FEWEST_LEADS <= count < times.sum()), key=lambda level: (-counts[level], level))
    return common[:most]


def _levels(text: str, kind: str) -> frozenset[str]:
    """The levels a value is at: itself, or its words, or both."""
    if kind in ("category", "level", "bands"):
        return frozenset([text])
    words = frozenset(word.lower() for word in _WORD.findall(text))
    return words | {text} if kind == "whole text" and len(words) > 1 else words


def _factored(values: pd.Series, kind: str) -> tuple[NDArray[np.int64], list[frozenset[str]]]:
    """Each distinct value is taken apart once, however many rows have it; the last set is that of the missing ones."""
    codes, distinct = pd.factorize(values.astype("object").where(values.notna(), None))
    missing = frozenset([MISSING] if kind in ("level", "whole text") else [])
    return codes % (len(distinct) + 1), [*(_levels(str(text), kind) for text in distinct), missing]
