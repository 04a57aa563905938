"""Why a lead is not called tonight, in words that stay with it."""

from __future__ import annotations

import numpy as np
import pandas as pd


def left_out(known: pd.DataFrame, rest_days: float, dropped: pd.Series | None = None) -> pd.Series:
    """The reason why each lead must rest tonight; "" where nothing speaks against calling it.

    To the business: a list without those who asked not to be called, and nobody has to wonder where a good lead has gone.

    Parameters
    ----------
    known : one row a lead: unsubscribed, do_not_contact, customer, days_since_touch (missing: never touched by us).
    rest_days : for so long after our last touch a lead rests.
    dropped : who took it off by hand, until when and why, in words; missing: nobody did.

    >>> known = pd.DataFrame({"unsubscribed": [True, False], "do_not_contact": False, "customer": False, "days_since_touch": [9.0, 0.4]})
    >>> left_out(known, rest_days=1.0).tolist()
    ['unsubscribed', 'touched by us less than 1 day ago']
    """
    hand = pd.Series(None, index=known.index, dtype=object) if dropped is None else dropped
    rested = f"touched by us less than {rest_days:g} day{'' if rest_days == 1 else 's'} ago"
    reasons = {
        "do not contact": known["do_not_contact"].to_numpy(dtype=bool),
        "unsubscribed": known["unsubscribed"].to_numpy(dtype=bool),
        "a customer already": known["customer"].to_numpy(dtype=bool),
        rested: known["days_since_touch"].to_numpy(dtype=float, na_value=np.inf) < rest_days,
    }
    found = np.select(list(reasons.values()), list(reasons), default="").astype(object)
    # A person's word first: it says more than a rule.
    return pd.Series(np.where(hand.notna(), hand, found), index=known.index, dtype=object)
