"""Rules for a company that has too few conversions to learn from: the points table, and said to be no more than that.

A learned model of a few dozen conversions knows its own past by heart and nothing else; commercial tools refuse then, or score with other companies'
data. A list is wanted all the same, so leads are ranked by the few fields that tell most, with smoothed rates held close to the average.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pandas as pd

from features.feature import Feature
from features.plan import Plan
from models.baseline import fit_points
from models.calibration import Calibration
from models.scorer import Scorer, base_rate_of, usual_values

_PRIOR = 20.0


def rules(
    answered: pd.DataFrame, features: Sequence[Feature], plan: Plan, known_until: datetime, conversions: int, needed: int, value: float | None = None
) -> tuple[Scorer, pd.DataFrame]:
    """The points table as a scorer that says what it is, wherever its scores are shown.

    Log-odds are drawn towards those of the average lead as if twenty more conversions had come from average leads: of 20 half of the way is left,
    of 80 four fifths.

    Parameters
    ----------
    answered : ripe examples.
    conversions, needed : leads that converted, and how many a learned model needs.
    value : average amount of a conversion, if known.

    Returns
    -------
    The scorer, and its table as a person reads it: field, value, points.
    """
    table, rate = fit_points(answered, features), base_rate_of(answered)
    trust = conversions / (conversions + _PRIOR)
    average = float(np.log(rate / (1 - rate)))
    scorer = Scorer(
        table,
        Calibration(trust, (1 - trust) * average),
        plan,
        tuple(features),
        pd.Timestamp(answered["as_of"].max()).to_pydatetime(),
        known_until,
        rate,
        usual_values(answered, features),
        value,
        caveat=f"rules, not learned yet: {conversions} of {needed} conversions",
    )
    return scorer, table.table()
