"""Two runs beside each other: what each said of the lead-nights that both judged, and how sure the difference is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from features.problem import Problem
from models.metrics import Estimate, Judged, paired

COMPARED = ("log_loss", "average_precision", "roc_auc", "precision_at_10", "worked_share", "calibration_slope", "predicted_over_realised")
_BETTER = {"log_loss": -1, "average_precision": 1, "roc_auc": 1, "precision_at_10": 1, "worked_share": -1}


def common_rows(one: pd.DataFrame, other: pd.DataFrame) -> tuple[Judged, Judged]:
    """The predictions of two runs on the same leads and nights, in the same order.

    Parameters
    ----------
    one, other : lead_id, as_of, converted, weight, log_odds, see `models.backtest.Backtest.predictions`. Rows count as they do in `one`.

    Raises
    ------
    Problem : no lead-night was judged by both, or what counts as a conversion differs between them.
    """
    both = one.merge(other, on=["lead_id", "as_of"], suffixes=("", "_other"), validate="one_to_one")
    if both.empty:
        raise Problem("The two runs judged no lead on the same night, so that nothing can be compared: run them on the same source and nights.")
    differing = int((both["converted"] != both["converted_other"]).sum())
    if differing:
        raise Problem(
            f"The two runs disagree on whether a lead converted on {differing:,} of the {len(both):,} lead-nights that both judged: "
            "they predict different things ([outcome] differs, or the source has changed since), and cannot be compared."
        )
    return _judged(both, both["log_odds"]), _judged(both, both["log_odds_other"])


def _judged(rows: pd.DataFrame, log_odds: pd.Series) -> Judged:
    return Judged(
        rows["converted"].to_numpy(dtype=bool),
        log_odds.to_numpy(dtype=float),
        rows["weight"].to_numpy(dtype=float),
        rows["lead_id"].to_numpy(dtype=object),
        rows["as_of"].to_numpy(),
    )


def differences(one: Judged, other: Judged, seed: int = 7) -> dict[str, Estimate]:
    """`other` minus `one`, figure by figure, on the same rows under the same draws of leads."""
    return paired(other, one, COMPARED, seed)


def in_words(figure: str) -> str:
    """A figure as people write it.

    >>> in_words("precision_at_10"), in_words("log_loss")
    ('precision at 10', 'log-loss')
    """
    return "log-loss" if figure == "log_loss" else figure.replace("_", " ")


def sentence(found: Mapping[str, Estimate], name: str) -> str:
    """Where one is better or worse than the other beyond doubt, in words.

    Parameters
    ----------
    found : the differences.
    name : of the one that is spoken of.

    >>> sentence({"log_loss": Estimate(-0.02, -0.03, -0.01), "roc_auc": Estimate(0.01, -0.01, 0.03)}, "b")
    'b is better beyond doubt in log-loss; no difference beyond doubt in roc auc.'
    """
    better, worse, neither = list[str](), list[str](), list[str]()
    for figure, sign in _BETTER.items():
        if figure in found:
            low, high = sorted((sign * found[figure].low, sign * found[figure].high))
            (better if low > 0 else worse if high < 0 else neither).append(in_words(figure))
    said = [f"{name} is {how} beyond doubt in {_list(names)}" for how, names in (("better", better), ("worse", worse)) if names]
    return "; ".join([*said, *([f"no difference beyond doubt in {_list(neither)}"] if neither else [])]) + "."


def what_differs(one: Mapping[str, str], other: Mapping[str, str], names: tuple[str, str]) -> list[str]:
    """The parameters of two runs that are not the same, one sentence each.

    >>> what_differs({"folds": "4", "seed": "7"}, {"folds": "2", "seed": "7", "trials": "0"}, ("a", "b"))
    ['folds: 4 in a, 2 in b.', 'trials: not set in a, 0 in b.']
    """
    keys = [key for key in dict.fromkeys([*one, *other]) if one.get(key) != other.get(key)]
    return [f"{key}: {one.get(key, 'not set')} in {names[0]}, {other.get(key, 'not set')} in {names[1]}." for key in keys]


def features_that_differ(one: Sequence[str], other: Sequence[str], names: tuple[str, str]) -> list[str]:
    """Which features only one of two runs has, a sentence each.

    >>> features_that_differ(["age", "source"], ["age"], ("a", "b"))
    ['Only a has the feature source.']
    """
    alone = ([name for name in one if name not in other], [name for name in other if name not in one])
    return [f"Only {who} has the feature{'s' * (len(only) > 1)} {_list(only)}." for who, only in zip(names, alone, strict=True) if only]


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
