"""The columns of a training table as numbers, the same tomorrow as today, and storable as JSON."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.feature import Feature
from features.problem import Problem
from models.categories import FEWEST_LEADS, MISSING, LevelCodes, LevelRates, distinct, fit_codes, fit_rates
from models.texts import TextHashes, TextTopics, fit_hashes, fit_topics

Floats = NDArray[np.float64]
_WORD = re.compile(r"[^\W_]+")
_MOST_LEVELS, _MOST_WORDS = 30, 40
_MOST_IN_DETAIL = 300
_BANDS = np.arange(1, 10) / 10
Coder: TypeAlias = LevelCodes | LevelRates | TextHashes | TextTopics
_CODERS: dict[str, type[Coder]] = {"native": LevelCodes, "target": LevelRates, "hashed": TextHashes, "topics": TextTopics}
_FITS: dict[str, Callable[[pd.Series], Coder | None]] = {"native": fit_codes, "hashed": fit_hashes, "topics": fit_topics}


@dataclass(frozen=True)
class Style:
    """How categories and texts become numbers; which way is best differs from company to company, and a backtest can tell.

    Parameters
    ----------
    categories : "levels" (one column a frequent level, at most 30), "native" (LightGBM divides up to 500 levels in two by itself; for trees only) or
        "target" (how often leads of the level convert, as other leads tell it). The last two are for fields of many levels.
    texts : "words" (one column a frequent word, at most 40), "hashed" or "topics" (near each other where their letters are).
    """

    categories: Literal["levels", "native", "target"] = "levels"
    texts: Literal["words", "hashed", "topics"] = "words"

    def of(self, kind: str) -> str:
        """How one kind of feature is turned: its own name, where that is done in the plain way."""
        asked = {"category": self.categories, "text": self.texts}.get(kind, kind)
        return kind if asked in ("levels", "words") else asked


PLAIN = Style()
STYLES: dict[str, Style] = {"native": Style("native"), "target": Style("target"), "hashed": Style(texts="hashed"), "topics": Style(texts="topics")}
"""Every way that differs from the plain one, one at a time."""


@dataclass(frozen=True)
class Column:
    """One number a model sees: a feature's value, or whether it is at a level, or whether its text has a word, or what else `level` says of it."""

    name: str
    feature: str
    level: str | None = None


@dataclass(frozen=True)
class Encoder:
    """Numbers as they are; categories as one column a frequent level and texts as one column a frequent word, unless `Style` asks for another way.

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
    coders: dict[str, Coder] = field(default_factory=dict)

    @classmethod
    def fit(cls, frame: pd.DataFrame, features: Sequence[Feature], style: Style = PLAIN) -> Encoder:
        """Choose the columns from training examples; for rates of levels, `fit_transform` gives the numbers to learn from."""
        return cls._learned(frame, features, style)[0]

    @classmethod
    def fit_transform(cls, frame: pd.DataFrame, features: Sequence[Feature], style: Style = PLAIN) -> tuple[Encoder, Floats]:
        """The encoder, and the numbers of the training examples themselves, to which their own leads' outcomes have contributed nothing.

        These differ from what `transform` says of the same rows where a category is a rate: what scores tonight has learned from all leads.

        Parameters
        ----------
        frame : lead_id and the features; for rates also converted and weight.
        """
        encoder, crossed = cls._learned(frame, features, style)
        values = encoder.transform(frame)
        for name, rates in crossed.items():
            values[:, encoder._places(name)] = rates
        return encoder, values

    @classmethod
    def _learned(cls, frame: pd.DataFrame, features: Sequence[Feature], style: Style) -> tuple[Encoder, dict[str, Floats]]:
        """The encoder, and per rate of a category that of the frame's rows as other leads tell it."""
        one_each = frame.drop_duplicates("lead_id", keep="last")
        columns: list[Column] = []
        kinds = {f.name: style.of(f.kind) for f in features}
        coders: dict[str, Coder] = {}
        crossed: dict[str, Floats] = {}
        for feature in features:
            coder: Coder | None
            name, way = feature.name, kinds[feature.name]
            if way not in _CODERS:
                columns += _columns_of(feature, frame[name], one_each[name])
                continue
            if way == "target":
                coder, crossed[name] = fit_rates(frame, name)
            else:
                coder = _FITS[way](one_each[name])
            if coder is not None:
                coders[name] = coder
                columns += [Column(f"{name}: {mark}", name, mark) for mark in coder.marks]
        return cls(tuple(columns), kinds, {}, coders), crossed

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
        for name, coder in self.coders.items():
            out[:, self._places(name)] = coder.transform(frame[name])
        for at, column in enumerate(self.columns):
            if column.feature in self.coders:
                continue
            if column.level is None:
                values = frame[column.feature].to_numpy(dtype=float, na_value=np.nan)
                out[:, at] = np.where(np.isfinite(values), values, np.nan)
                continue
            if column.feature not in texts:
                texts[column.feature] = self._factored(column.feature, frame[column.feature])
            codes, levels = texts[column.feature]
            out[:, at] = np.array([column.level in level for level in levels] or [False])[codes]
        return out

    @property
    def categorical(self) -> list[int]:
        """The columns whose numbers are names of levels and have no order."""
        return [at for at, column in enumerate(self.columns) if isinstance(self.coders.get(column.feature), LevelCodes)]

    @property
    def grouped(self) -> tuple[list[str], NDArray[np.int64]]:
        """The features that have columns, and for each column the place of its feature among them."""
        names = list(dict.fromkeys(column.feature for column in self.columns))
        place = {name: at for at, name in enumerate(names)}
        return names, np.array([place[column.feature] for column in self.columns], dtype=int)

    def _places(self, name: str) -> list[int]:
        return [at for at, column in enumerate(self.columns) if column.feature == name]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Encoder:
        """What `to_dict` wrote."""
        kinds = dict(stored["kinds"])
        coders = {name: _CODERS[kinds[name]](**coder) for name, coder in stored.get("coders", {}).items()}
        return cls(tuple(Column(**column) for column in stored["columns"]), kinds, dict(stored.get("edges", {})), coders)


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
    codes, texts = distinct(values)
    missing = frozenset([MISSING] if kind in ("level", "whole text") else [])
    return codes % (len(texts) + 1), [*(_levels(text, kind) for text in texts), missing]
