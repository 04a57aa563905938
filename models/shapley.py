"""Shapley values of boosted trees for every lead of a night: exact, and fast enough that nobody has to do without reasons.

What a leaf adds for a lead depends only on which questions on its way the lead answers as the leaf wants. A tree asks few questions, and so has few
different leads: all its answers can be worked out beforehand, and a lead's are looked up.

    tree                     questions        table: 2 ** 3 rows, one column a feature
    opens <= 2 ----- A       0  opens <= 2
      |                      1  source = web        lead -> answers 1, 0, 1 -> row 5 -> opens +0.31, source -0.04
    source = web --- B       2  opens <= 9
      |
    opens <= 9 ----- C, D

A tree that asks too many is taken in parts, each the leaves of a branch with the questions on their ways.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Question: TypeAlias = tuple[int, str, bool, str]
"""Column, threshold or levels, where a missing value goes, and what counts as missing."""
_MOST_QUESTIONS, _MOST_OF_ONE_LEAF = 8, 12
_BLOCK = 8_192
_ZERO = float(np.float32(1e-35))
_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class _Step:
    """One question on the way to a leaf: the answer that leads there, and the share of the leads that gave it."""

    question: Question
    answer: bool
    share: float


@dataclass(frozen=True)
class _Leaf:
    value: float
    way: tuple[_Step, ...]


@dataclass(frozen=True)
class _Part:
    """Leaves that are looked up together, and the questions by which."""

    questions: tuple[Question, ...]
    leaves: tuple[_Leaf, ...]


class _Player(NamedTuple):
    """A column on the way to a leaf: its row of the tables, what it is asked and is to answer, as bits, and the share of the leads that do."""

    row: int
    asked: int = 0
    wanted: int = 0
    share: float = 1.0


@dataclass(frozen=True)
class _Table:
    """What a part adds to some columns, by the number of a row's answers to its questions."""

    questions: list[int]
    columns: list[int]
    adds: Floats

    def add(self, number: NDArray[np.intp], out: Floats) -> None:
        """Look up what some rows get, and add it to theirs."""
        for column, adds in zip(self.columns, self.adds, strict=True):
            out[column] += adds.take(number)


def shapley_values(boosters: Sequence[lgb.Booster], values: Floats, groups: Sequence[int] | NDArray[np.int64] | None = None) -> Floats:
    """What each column, or group of columns, adds to the raw score of every row, and the bias: the mean over some boosters of the same columns.

    To the business: the reasons on the list are those of the score itself, for every lead and not only for the first hundred. The values are those
    of LightGBM's `pred_contrib`; a row's sum is its raw score.

    Parameters
    ----------
    values : one row a lead, one column each of the boosters' features; NaN is missing.
    groups : for every column the place of its feature among the answer's columns; default: each its own.

    Returns
    -------
    One row a lead, one column a group, and the bias as the last.

    Source: Owen (1972), Multilinear extensions of games: a Shapley value is an integral over how likely each other feature is to be known. Of one
    leaf that is a polynomial, which Gauss and Legendre's points integrate exactly. The game, in which an unknown feature is answered as the leads of
    the training did at that node, is that of Lundberg et al. (2020), From local explanations to global understanding.

    >>> rng = np.random.default_rng(7)
    >>> x = rng.normal(size=(400, 3))
    >>> booster = lgb.train({"verbosity": -1, "num_threads": 1}, lgb.Dataset(x, x[:, 0] * x[:, 1]), 20)
    >>> told = shapley_values([booster], x)
    >>> bool(np.allclose(told, booster.predict(x, pred_contrib=True))), bool(np.allclose(told.sum(axis=1), booster.predict(x)))
    (True, True)
    """
    places = np.arange(values.shape[1]) if groups is None else np.asarray(groups, dtype=int)
    parts = [part for booster in boosters for tree in booster.dump_model()["tree_info"] for part in _parts(list(_leaves(tree["tree_structure"], ())))]
    out = np.zeros((int(places.max(initial=-1)) + 2, len(values)))
    out[-1] = sum(leaf.value * np.prod([step.share for step in leaf.way]) for part in parts for leaf in part.leaves)
    questions = {question: at for at, question in enumerate(dict.fromkeys(question for part in parts for question in part.questions))}
    short = _tables([part for part in parts if 0 < len(part.questions) <= _MOST_OF_ONE_LEAF], questions, places)
    long = [_Alike([part], questions, places) for part in parts if len(part.questions) > _MOST_OF_ONE_LEAF]

    def told(start: int) -> None:
        rows = slice(start, start + _BLOCK)
        answers = _answers(list(questions), np.ascontiguousarray(values[rows].T))
        for table in short:
            table.add(_number(answers, table.questions), out[:, rows])
        for leaf in long:
            # Of so many answers few occur: these are worked out here.
            occur, number = np.unique(_number(answers, leaf.questions[0]), return_inverse=True)
            leaf.tables(occur)[0].add(number, out[:, rows])

    with ThreadPoolExecutor(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1))) as pool:
        list(pool.map(told, range(0, len(values), _BLOCK)))
    return out.T / len(boosters)


def _leaves(node: dict[str, Any], way: tuple[_Step, ...]) -> Iterator[_Leaf]:
    """The leaves below a node of LightGBM's dump, each with its way from the root."""
    if "split_feature" not in node:
        yield _Leaf(float(node["leaf_value"]), way)
        return
    question = (int(node["split_feature"]), f"{node['decision_type']}{node['threshold']!r}", bool(node["default_left"]), str(node["missing_type"]))
    for side, answer in (("left_child", True), ("right_child", False)):
        child = node[side]
        share = _leads(child) / _leads(node)
        yield from _leaves(child, (*way, _Step(question, answer, share)))


def _leads(node: dict[str, Any]) -> float:
    return float(node["internal_count"] if "internal_count" in node else node["leaf_count"])


def _parts(leaves: list[_Leaf], depth: int = 0) -> Iterator[_Part]:
    """The leaves below a node, whole or branch by branch: as few parts as ask few enough questions."""
    questions = tuple(dict.fromkeys(step.question for leaf in leaves for step in leaf.way))
    if len(questions) <= _MOST_QUESTIONS or len(leaves) == 1:
        yield _Part(questions, tuple(leaves))
        return
    for answer in (True, False):
        yield from _parts([leaf for leaf in leaves if leaf.way[depth].answer is answer], depth + 1)


def _tables(parts: Sequence[_Part], questions: dict[Question, int], places: NDArray[np.int64]) -> list[_Table]:
    """The tables of some parts; those with equally many questions are worked out together, as many at a time as memory bears."""
    tables = []
    for size in sorted({len(part.questions) for part in parts}):
        alike = [part for part in parts if len(part.questions) == size]
        for start in range(0, len(alike), _AT_ONCE >> size):
            tables += _Alike(alike[start : start + (_AT_ONCE >> size)], questions, places).tables(np.arange(1 << size))
    return tables


class _Alike:
    """Parts with equally many questions, whose tables are worked out in one go.

    Parameters
    ----------
    questions : each with its place among all of them.
    places : of each column its group's.
    """

    def __init__(self, parts: Sequence[_Part], questions: dict[Question, int], places: NDArray[np.int64]) -> None:
        self.questions = [[questions[question] for question in part.questions] for part in parts]
        self._columns = [sorted({int(places[question[0]]) for question in part.questions}) for part in parts]
        self._first = np.cumsum([0, *map(len, self._columns)])
        self._values = np.array([leaf.value for part in parts for leaf in part.leaves])
        players = [found for at, part in enumerate(parts) for found in self._players(at, part, places)]
        width = max(map(len, players))
        # Whoever is asked nothing is met by every answer, and adds nothing.
        padded = np.array([[*each, *[_Player(int(self._first[-1]))] * (width - len(each))] for each in players])
        self._row, self._asked, self._wanted = padded[..., :3].astype(np.int64).transpose(2, 0, 1)
        self._share = padded[..., 3, None]

    def _players(self, at: int, part: _Part, places: NDArray[np.int64]) -> Iterator[list[_Player]]:
        bits = {question: 1 << place for place, question in enumerate(part.questions)}
        rows = {column: int(self._first[at]) + place for place, column in enumerate(self._columns[at])}
        for leaf in part.leaves:
            found: dict[int, _Player] = {}
            for step in leaf.way:
                column, bit = step.question[0], bits[step.question]
                before = found.get(column, _Player(rows[int(places[column])]))
                found[column] = _Player(before.row, before.asked | bit, before.wanted | bit * step.answer, before.share * step.share)
            yield list(found.values())

    def tables(self, numbers: NDArray[np.int64]) -> list[_Table]:
        """A table a part, with a place for each of these numbers of answers."""
        met = (numbers & self._asked[..., None]) == self._wanted[..., None]
        integral = np.zeros(met.shape)
        points, weights = np.polynomial.legendre.leggauss((met.shape[1] + 1) // 2)
        for point, weight in zip((points + 1) / 2, weights / 2, strict=True):
            known = (1 - point) * self._share + point * met
            integral += weight * known.prod(axis=1, keepdims=True) / known
        adds = np.zeros((int(self._first[-1]) + 1, len(numbers)))
        np.add.at(adds, self._row.ravel(), (self._values[:, None, None] * (met - self._share) * integral).reshape(-1, len(numbers)))
        parts = zip(self.questions, self._columns, self._first, self._first[1:], strict=False)
        return [_Table(questions, columns, adds[start:end]) for questions, columns, start, end in parts]


def _answers(questions: Sequence[Question], columns: Floats) -> NDArray[np.uint8]:
    """How some rows answer every question, 1 or 0, as LightGBM would have them go: a row a question."""
    out = np.empty((len(questions), columns.shape[1]), dtype=np.uint8)
    for at, (column, asked, missing_is, missing) in enumerate(questions):
        out[at] = _answer(columns[column], asked, missing_is, missing)
    return out


def _answer(values: Floats, asked: str, missing_is: bool, missing: str) -> NDArray[np.bool_]:
    if asked.startswith("=="):
        return np.isin(np.trunc(values), [float(level) for level in asked[2:].strip("'").split("||")])
    known = values if missing == "NaN" else np.nan_to_num(values, nan=0.0)
    below = known <= float(asked[2:])
    if missing == "None" or not missing_is:
        # What is not a number is not below anything.
        return below if missing != "Zero" else below & (np.abs(known) > _ZERO)
    return below | (np.isnan(known) if missing == "NaN" else np.abs(known) <= _ZERO)


def _number(answers: NDArray[np.uint8], questions: Sequence[int]) -> NDArray[np.intp]:
    """Each row's answers to some questions as the bits of a number."""
    number = answers[questions[0]].astype(np.intp)
    for place, question in enumerate(questions[1:], start=1):
        number |= answers[question].astype(np.intp) << place
    return number
