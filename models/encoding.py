"""The columns of a training table as numbers, the same tomorrow as today, and storable as JSON."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
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

    @classmethod
    def fit(cls, frame: pd.DataFrame, features: Sequence[Feature]) -> Encoder:
        """Choose the columns from training examples."""
        first = frame.drop_duplicates("lead_id", keep="last")
        columns: list[Column] = []
        for feature in features:
            columns += _columns_of(feature, frame[feature.name], first[feature.name])
        return cls(tuple(columns), {f.name: f.kind for f in features})

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
                texts[column.feature] = _factored(frame[column.feature], self.kinds[column.feature])
            codes, levels = texts[column.feature]
            out[:, at] = np.array([column.level in level for level in levels] or [False])[codes]
        return out

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Encoder:
        """What `to_dict` wrote."""
        return cls(tuple(Column(**column) for column in stored["columns"]), dict(stored["kinds"]))


def require(columns: Iterable[str], frame: pd.DataFrame) -> None:
    """Every column that a model needs is there.

    Raises
    ------
    Problem : one is not.
    """
    absent = sorted(set(columns) - set(frame.columns))
    if absent:
        raise Problem(f"The model needs the columns {', '.join(absent)}, which are missing tonight: extract again, or retrain without them.")


def _columns_of(feature: Feature, values: pd.Series, per_lead: pd.Series) -> list[Column]:
    if feature.kind in ("number", "flag"):
        return [Column(feature.name, feature.name)] if values.nunique(dropna=False) > 1 else []
    counts: Counter[str] = Counter()
    for text, times in per_lead.dropna().value_counts().items():
        for level in _levels(str(text), feature.kind):
            counts[level] += int(times)
    most = _MOST_LEVELS if feature.kind == "category" else _MOST_WORDS
    frequent = [level for level, times in sorted(counts.items(), key=lambda item: (-item[1], item[0])) if times >= FEWEST_LEADS][:most]
    telling = [level for level in frequent if counts[level] < len(per_lead)]
    sign = "=" if feature.kind == "category" else "~"
    return [Column(f"{feature.name} {sign} {level}", feature.name, level) for level in sorted(telling)]


def _levels(text: str, kind: str) -> frozenset[str]:
    """The levels a value is at: itself, or its words."""
    return frozenset([text]) if kind == "category" else frozenset(word.lower() for word in _WORD.findall(text))


def _factored(values: pd.Series, kind: str) -> tuple[NDArray[np.int64], list[frozenset[str]]]:
    """Each distinct value is taken apart once, however many rows have it; the last set is that of the missing ones."""
    codes, distinct = pd.factorize(values.astype("object").where(values.notna(), None))
    return codes, [*(_levels(str(text), kind) for text in distinct), frozenset()]
