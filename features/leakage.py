"""Proves that no feature changes when the future is cut off."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import ibis
import numpy as np
import pandas as pd

from features.crm import Crm
from features.examples import features_of, snapshot
from features.history import cut
from features.plan import Plan


@dataclass(frozen=True)
class Leak:
    """A feature that saw the future, with one lead to look at.

    >>> str(Leak("in_7d", 2, "L1", 3.0, 1.0))
    'in_7d (2 leads, e.g. L1: 3.0 with the future, 1.0 without)'
    """

    feature: str
    leads: int
    lead_id: str
    full: object
    truncated: object

    def __str__(self) -> str:
        return f"{self.feature} ({self.leads} leads, e.g. {self.lead_id}: {self.full} with the future, {self.truncated} without)"


def truncation_audit(crm: Crm, as_of: datetime, plan: Plan) -> list[Leak]:
    """Every feature of a night, computed from full history and from history cut at that night, must be equal: here are those that are not.

    To the business: the score in the backtest is the score that sales would have had. An empty list is a proof for this night. Attributes of which
    only today's value exists have no past to be cut; `features.proxies` judges those.

    Parameters
    ----------
    as_of : a past night, UTC.
    """
    night = ibis.memtable({"as_of": [as_of]}, schema={"as_of": "timestamp(6)"})
    full = snapshot(crm, night, plan).execute().set_index("lead_id").sort_index()
    truncated = snapshot(cut(crm, as_of), night, plan).execute().set_index("lead_id").sort_index()
    absent = full.index.symmetric_difference(truncated.index)
    leaks = [Leak("population", len(absent), str(absent[0]), absent[0] in full.index, absent[0] in truncated.index)] if len(absent) else []
    common = full.index.intersection(truncated.index)
    judged_elsewhere = {attribute.column for attribute in plan.attributes if attribute.known == "today"}
    for name in ["owner_id", "account_id", *(f.name for f in features_of(plan) if f.name not in judged_elsewhere)]:
        moved = _moved(full.loc[common, name], truncated.loc[common, name])
        if moved.any():
            lead = common[moved][0]
            leaks.append(Leak(name, int(moved.sum()), str(lead), full.at[lead, name], truncated.at[lead, name]))
    return leaks


def _moved(one: pd.Series, other: pd.Series) -> np.ndarray:
    if pd.api.types.is_numeric_dtype(one) and pd.api.types.is_numeric_dtype(other):
        same = np.isclose(one.to_numpy(dtype=float), other.to_numpy(dtype=float), rtol=1e-9, atol=1e-9, equal_nan=True)
        return np.asarray(~same)
    left, right = one.astype(object).where(one.notna(), None), other.astype(object).where(other.notna(), None)
    return np.fromiter((a != b for a, b in zip(left, right, strict=True)), dtype=bool, count=len(left))
