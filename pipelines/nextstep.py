"""What would change it: the cheapest thing to do that history associates with a higher score, for whoever is called tonight."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from features import examples
from features.population import population
from features.whatif import touches, with_one_more
from models.scorer import Scorer
from pipelines.company import Company

# As little as a reason that is not told either.
_SMALLEST = 0.05


def next_steps(company: Company, scorer: Scorer, leads: Sequence[str], night: datetime) -> pd.Series:
    """For each of some leads the first kind of touch, the usual ones first, with which its score would be higher; in words, missing where none is.

    To the business: a hint, and no promise. The model is asked what it would say had the lead got one more touch just now. Who got more touches in
    the past was chosen by somebody, and may have converted for that very reason; the words say so.

    Parameters
    ----------
    leads : who is called tonight.

    Returns
    -------
    By lead id.
    """
    keys = company.nights(night)
    spine = population(company.crm, keys, scorer.plan)
    spine = spine.filter(spine.lead_id.isin(list(leads))).cache()
    if not leads or not (kinds := touches(company.crm)):
        return pd.Series(dtype=object)
    before = _scored(company, scorer, spine)
    words = pd.Series(None, index=before.index, dtype=object)
    for kind in kinds:
        after = _scored(company, scorer, spine, kind)
        more = words.isna() & (after - before >= _SMALLEST)
        words[more] = [_said(kind, old, new) for old, new in zip(before[more], after[more], strict=True)]
    return words.dropna()


def _scored(company: Company, scorer: Scorer, spine: ir.Table, kind: str | None = None) -> pd.Series:
    """The log-odds of every lead, as it stands or with one more touch."""
    crm = company.crm if kind is None else with_one_more(company.crm, spine, kind)
    known = examples.described(crm, spine, scorer.plan).execute().sort_values("lead_id", ignore_index=True)
    return pd.Series(scorer.log_odds(known), index=known["lead_id"])


def _said(kind: str, before: float, after: float) -> str:
    old, new = (f"{100 / (1 + np.exp(-odds)):.0f} %" for odds in (before, after))
    return f"leads like it with one more {kind} from us scored {new} rather than {old}; what went together, not what follows"
