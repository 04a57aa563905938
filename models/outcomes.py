"""What became of the leads we ranked, once their horizon has passed."""

from __future__ import annotations

import pandas as pd


def judge(nights: pd.DataFrame) -> pd.DataFrame:
    """Judge what sales actually received: per night, how many conversions the list held, and how many were expected.

    Parameters
    ----------
    nights : one row per lead and ripe night: as_of, probability, listed, converted.

    Returns
    -------
    One row per night: scored, listed, conversions, listed_conversions, expected, lift (conversion rate of the listed leads over the rate of all).

    >>> night = pd.DataFrame({"as_of": ["mon"] * 4, "probability": [0.8, 0.2, 0.5, 0.5],
    ...                       "listed": [True, False, False, False], "converted": [True, False, True, False]})
    >>> judge(night)[["conversions", "listed_conversions", "expected", "lift"]].to_dict("records")
    [{'conversions': 2, 'listed_conversions': 1, 'expected': 2.0, 'lift': 2.0}]
    """
    each = nights.assign(
        listed=nights["listed"].astype(bool),
        converted=nights["converted"].astype(bool),
        both=nights["listed"].astype(bool) & nights["converted"].astype(bool),
    )
    sums = each.groupby("as_of").agg(
        scored=("converted", "size"),
        listed=("listed", "sum"),
        conversions=("converted", "sum"),
        listed_conversions=("both", "sum"),
        expected=("probability", "sum"),
    )
    rate = sums["conversions"] / sums["scored"]
    return sums.assign(lift=(sums["listed_conversions"] / sums["listed"]) / rate).reset_index()
