"""A field as a few levels that can be counted, whatever it holds."""

from __future__ import annotations

import numpy as np
import pandas as pd

_LEVELS = 50
_QUANTILES = 20
MISSING = ""


def levels(values: pd.Series) -> np.ndarray:
    """Twenty quantiles of a number of many values, else the fifty most frequent values and "other"; what is not given is a level of its own.

    Parameters
    ----------
    values : those to be compared, together: past ones and tonight's get the same levels.

    >>> levels(pd.Series(["web", None, " ", "ads"])).tolist()
    ['web', '', '', 'ads']
    """
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values) and values.nunique() > _LEVELS:
        cut = pd.qcut(values, _QUANTILES, duplicates="drop")
        return cut.astype("string").fillna(MISSING).to_numpy(dtype=object)
    codes, names = pd.factorize(values)
    # The words of each value once, however many rows hold it.
    words = pd.Series(names).astype("string").str.strip().fillna(MISSING)
    counts = pd.Series(np.bincount(codes[codes >= 0], minlength=len(words))).groupby(words.to_numpy(dtype=object)).sum()
    common = counts.drop(MISSING, errors="ignore").sort_values(ascending=False, kind="stable").index[:_LEVELS]
    kept = words.where(words.isin([*common, MISSING]), "other").to_numpy(dtype=object)
    return np.append(kept, MISSING)[codes]
