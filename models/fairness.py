"""Who gets the calls: share listed, conversion and calibration among groups that a company has declared protected."""

from __future__ import annotations

import numpy as np
import pandas as pd

from models.encoding import bands
from models.metrics import Bools, Estimate, Judged, average, reliability_of

_FEWEST = 20
_DISTINCT = 10
_FIGURES = ("share_listed", "converted_of_listed")
COLUMNS = (
    *("attribute", "level", "leads"),
    *(f"{name}{side}" for name in _FIGURES for side in ("", "_low", "_high")),
    *("predicted_of_listed", "predicted", "realised", "realised_low", "realised_high"),
)


def fairness(rows: Judged, listed: Bools, protected: pd.DataFrame, seed: int = 7) -> pd.DataFrame:
    """For every level of every protected attribute: how much of it is listed, what becomes of the listed, and whether the promise holds.

    A protected attribute is never learned from; what is learned from may still stand for it. Levels that are listed less often *and* convert more
    often once listed are being passed over; levels whose realised rate lies off the predicted one are promised wrongly.

    Parameters
    ----------
    rows : predictions on nights that came later.
    listed : which of them would have been called.
    protected : one column an attribute, one row a row of `rows`. A number of more than ten values is cut into quarters; levels of less than 20
        leads are put together, so that no table tells of a person.

    Returns
    -------
    One row a level: leads, share_listed, converted_of_listed and realised (of all its leads) with 95 % intervals (`_low`, `_high`), and
    predicted_of_listed and predicted beside them.
    """
    found = [_level(rows, listed, str(name), level, inside, seed) for name in protected for level, inside in _levels(protected[name], rows.lead)]
    return pd.DataFrame(found, columns=list(COLUMNS))


def _levels(values: pd.Series, lead: np.ndarray) -> list[tuple[str, Bools]]:
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    cuts = sorted(set(values.dropna().quantile([0.25, 0.5, 0.75]))) if numeric and values.nunique() > _DISTINCT else None
    text = bands(values, cuts).reset_index(drop=True)
    leads = pd.Series(lead).groupby(text).transform("nunique")
    level = text.mask((leads < _FEWEST).to_numpy(), "all others")
    return [(str(name), (level == name).to_numpy()) for name in sorted(level.unique())]


def _level(rows: Judged, listed: Bools, attribute: str, level: str, inside: Bools, seed: int) -> dict[str, object]:
    own, called = rows.of(inside), rows.of(inside & listed)
    calibration = reliability_of(own, pd.Series(np.zeros(len(own.lead)))).iloc[0]
    promised = reliability_of(called, pd.Series(np.zeros(len(called.lead))))["predicted"]
    figures = {
        "share_listed": average(listed[inside].astype(float), own, seed),
        "converted_of_listed": average(called.converted.astype(float), called, seed),
    }
    return {
        "attribute": attribute,
        "level": level,
        "leads": int(calibration["leads"]),
        **{f"{name}{side}": value for name, found in figures.items() for side, value in _sides(found)},
        "predicted_of_listed": float(promised.iloc[0]) if len(promised) else float("nan"),
        "predicted": calibration["predicted"],
        "realised": calibration["realised"],
        "realised_low": calibration["low"],
        "realised_high": calibration["high"],
    }


def _sides(found: Estimate) -> tuple[tuple[str, float], ...]:
    return ("", found.value), ("_low", found.low), ("_high", found.high)


def sentences(table: pd.DataFrame) -> tuple[str, ...]:
    """One sentence an attribute: who is listed least and most often, and what became of the listed of both."""
    return tuple(_sentence(str(name), levels) for name, levels in table.groupby("attribute", sort=False))


def _sentence(name: str, levels: pd.DataFrame) -> str:
    least, most = levels.loc[levels["share_listed"].idxmin()], levels.loc[levels["share_listed"].idxmax()]
    if least["level"] == most["level"]:
        return f"Fairness, {name}: {_said(least)}."
    return f"Fairness, {name} (never learned from): {_said(least)}, {_said(most)}; every level stands in fairness.csv of the run."


def _said(level: pd.Series) -> str:
    listed = f"{level['share_listed']:.1%} ({level['share_listed_low']:.1%} to {level['share_listed_high']:.1%}) of '{level['level']}' are listed"
    if np.isnan(level["converted_of_listed"]):
        return listed
    converted = f"{level['converted_of_listed']:.1%} ({level['converted_of_listed_low']:.1%} to {level['converted_of_listed_high']:.1%})"
    return f"{listed} and {converted} of those convert"
