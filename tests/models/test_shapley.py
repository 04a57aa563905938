"""Shapley values are those of the definition, whatever the trees ask and whatever is missing."""

from __future__ import annotations

from itertools import combinations
from math import comb
from typing import Any

import lightgbm as lgb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.shapley import shapley_values

Floats = NDArray[np.float64]
QUIET = {"verbosity": -1, "num_threads": 1, "deterministic": True, "min_data_in_leaf": 5, "min_data_per_group": 5, "cat_smooth": 1.0}


def _table(rows: int = 600, columns: int = 6, missing: float = 0.2) -> Floats:
    rng = np.random.default_rng(11)
    values = np.round(rng.normal(size=(rows, columns)), 1)
    values[:, -1] = rng.integers(0, 12, rows)
    values[rng.random(values.shape) < missing] = np.nan
    values[::9, 0] = 0.0
    return values


VALUES = _table()
ANSWER = np.nansum(VALUES[:, :2], axis=1) * np.nan_to_num(VALUES[:, 2]) + (np.nan_to_num(VALUES[:, 5]) % 3 == 0) + np.isnan(VALUES[:, 3])


def _grown(rounds: int = 12, values: Floats = VALUES, answer: Floats = ANSWER, categorical: Any = (5,), **params: Any) -> lgb.Booster:
    return lgb.train({**QUIET, **params}, lgb.Dataset(values, answer, categorical_feature=list(categorical), params={"verbosity": -1}), rounds)


def _expected(node: dict[str, Any], row: Floats, known: frozenset[int]) -> float:
    """What a tree says of a row of which only some columns are known: at a question about another, as many go each way as in training."""
    if "split_feature" not in node:
        return float(node["leaf_value"])
    left, right = node["left_child"], node["right_child"]
    if node["split_feature"] in known:
        return _expected(left if row[node["split_feature"]] <= node["threshold"] else right, row, known)
    leads = [child.get("internal_count", child.get("leaf_count")) for child in (left, right)]
    return (leads[0] * _expected(left, row, known) + leads[1] * _expected(right, row, known)) / sum(leads)


def test_values_are_those_of_the_definition_summed_over_every_set_of_columns() -> None:
    whole = np.nan_to_num(VALUES[:, :4])
    booster = _grown(3, whole, ANSWER, (), num_leaves=9)
    told = shapley_values([booster], whole[:5])
    for row, said in zip(whole[:5], told, strict=True):
        for column in range(4):
            others = [other for other in range(4) if other != column]
            value = 0.0
            for size in range(4):
                for some in combinations(others, size):
                    with_it, without = frozenset({*some, column}), frozenset(some)
                    trees = [tree["tree_structure"] for tree in booster.dump_model()["tree_info"]]
                    value += sum(_expected(tree, row, with_it) - _expected(tree, row, without) for tree in trees) / (4 * comb(3, size))
            assert said[column] == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize(
    "params",
    [
        {"num_leaves": 6},
        {"num_leaves": 40},
        {"num_leaves": 127, "min_data_in_leaf": 1},
        {"num_leaves": 2},
        {"num_leaves": 12, "use_missing": False},
        {"num_leaves": 12, "zero_as_missing": True},
        {"num_leaves": 12, "bagging_fraction": 0.5, "bagging_freq": 1, "feature_fraction": 0.5},
        {"num_leaves": 12, "objective": "poisson"},
        {"num_leaves": 12, "categorical": ()},
        {"num_leaves": 12, "max_cat_to_onehot": 1},
        {"num_leaves": 12, "min_data_in_leaf": 10_000},
    ],
    ids=str,
)
def test_values_are_those_that_lightgbm_finds_lead_by_lead(params: dict[str, Any]) -> None:
    answer = np.abs(ANSWER) if "objective" in params else ANSWER
    booster = _grown(**{"answer": answer, **params})
    strange = np.array([[np.nan] * 6, [1e300, -1e300, 1e-40, -0.0, np.inf, 99.0], [0.0] * 6, [-1.0, 0.5, 2.5, 1e-36, -np.inf, -3.0]])
    rows = np.vstack([VALUES, strange])
    told = shapley_values([booster], rows)
    assert told == pytest.approx(np.asarray(booster.predict(rows, pred_contrib=True)), abs=1e-9)
    assert told.sum(axis=1) == pytest.approx(np.asarray(booster.predict(rows, raw_score=True)), abs=1e-9)


def test_a_tree_that_is_one_long_chain_is_taken_leaf_by_leaf() -> None:
    steps = np.arange(400.0)
    values = np.column_stack([steps + np.random.default_rng(n).permutation(400) * 1e-3 for n in range(3)])
    booster = _grown(4, values, 1.1**steps, (), num_leaves=60, min_data_in_leaf=1, learning_rate=1.0, feature_fraction=0.7)
    assert booster.trees_to_dataframe()["node_depth"].max() > 20
    told = shapley_values([booster], values)
    theirs = np.asarray(booster.predict(values, pred_contrib=True))
    assert np.abs(told - theirs).max() < 1e-9 * np.abs(theirs).max()


@settings(max_examples=25, deadline=None)
@given(
    leaves=st.integers(2, 30), rounds=st.integers(1, 8), seed=st.integers(0, 1_000), rows=st.integers(0, 30), bags=st.integers(1, 3), data=st.data()
)
def test_columns_add_up_to_their_groups_and_boosters_to_their_mean(
    leaves: int, rounds: int, seed: int, rows: int, bags: int, data: st.DataObject
) -> None:
    boosters = [_grown(rounds, num_leaves=leaves, seed=seed + n, feature_fraction=0.6) for n in range(bags)]
    groups = data.draw(st.lists(st.integers(0, 2), min_size=6, max_size=6))
    told, each = shapley_values(boosters, VALUES[:rows], groups), shapley_values(boosters, VALUES[:rows])
    assert told.shape == (rows, max(groups) + 2)
    for group in range(max(groups) + 1):
        mine = each[:, [at for at, one in enumerate(groups) if one == group]].sum(axis=1)
        assert told[:, group] == pytest.approx(mine, abs=1e-12)
    said = np.mean([np.asarray(booster.predict(VALUES[:rows], raw_score=True)) for booster in boosters], axis=0) if rows else np.zeros(0)
    assert told.sum(axis=1) == pytest.approx(said, abs=1e-12)


def test_many_rows_are_as_few_rows() -> None:
    booster = _grown(num_leaves=6)
    many = np.tile(VALUES, (30, 1))
    assert shapley_values([booster], many) == pytest.approx(np.tile(shapley_values([booster], VALUES), (30, 1)), abs=0)
