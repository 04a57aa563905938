"""What would change it: the cheapest thing to do that history associates with a higher score, for whoever is called tonight."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from features import examples
from features.population import population
from features.whatif import touches, with_one_more
from models.calibration import sigmoid
from models.scorer import Scorer
from pipelines.company import Company

# As little as a reason that is not told either.
_SMALLEST = 0.05


def next_steps(company: Company, scorer: Scorer, known: pd.DataFrame, night: datetime) -> pd.Series:
    """For each of some leads the first kind of touch, the usual ones first, with which its score would be higher; in words, missing where none is.

    To the business: a hint, and no promise. The model is asked what it would say had the lead got one more touch just now. Who got more touches in
    the past was chosen by somebody, and may have converted for that very reason; the words say so.

    Parameters
    ----------
    known : the snapshot of the night, of who is called.

    Returns
    -------
    By lead id.
    """
    if known.empty or not (kinds := touches(company.crm)):
        return pd.Series(dtype=object)
    spine = population(company.crm, company.nights(night), scorer.plan)
    spine = spine.filter(spine.lead_id.isin(known["lead_id"].tolist())).cache()
    before = pd.Series(scorer.log_odds(known), index=known["lead_id"])
    words = pd.Series(None, index=before.index, dtype=object)
    for kind, more in _asked(company, scorer, spine, kinds):
        after = pd.Series(scorer.log_odds(more), index=more["lead_id"]).reindex(before.index)
        higher = words.isna() & (after - before >= _SMALLEST)
        words[higher] = [_said(kind, old, new) for old, new in zip(before[higher], after[higher], strict=True)]
    return words.dropna()


def _asked(company: Company, scorer: Scorer, spine: ir.Table, kinds: list[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """The features of the leads had each got one more touch, kind by kind."""
    engine, raw = company.warehouse.ibis, company.warehouse.raw
    touch = engine.create_table("touch", schema={"kind": "string"}, temp=True, overwrite=True)
    question = examples.described(with_one_more(company.crm, spine, touch), spine, scorer.plan)
    raw.execute(f"CREATE OR REPLACE TEMP VIEW touched AS {ibis.to_sql(question, dialect='duckdb', pretty=False)}")
    for kind in kinds:
        raw.execute("DELETE FROM touch")
        raw.execute("INSERT INTO touch VALUES (?)", [kind])
        yield kind, engine.table("touched").execute()
    raw.execute("DROP VIEW touched")
    raw.execute("DROP TABLE touch")


def _said(kind: str, before: float, after: float) -> str:
    old, new = (f"{100 * p:.0f} %" for p in sigmoid(np.array([before, after])))
    return f"leads like it with one more {kind} from us scored {new} rather than {old}; what went together, not what follows"
