"""Where calibration holds and where it fails: tier, source, owner team, and every other group of leads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, norm

from models.metrics import Judged, reliability_of

COLUMNS = ("field", "segment", "predicted", "realised", "low", "high", "leads", "chance", "fails")
_FEWEST = 20
_MOST = 30
_DOUBT = 0.05
_EVERYBODY = 0.9
EVERYBODY = "all leads"


def segments(rows: Judged, groups: pd.DataFrame) -> pd.DataFrame:
    """Predicted beside realised rate in every group of leads, and whether they differ beyond doubt.

    To the business: a source whose leads are promised 12 % and convert at 6 % fills lists with disappointments, however right the average is.

    Parameters
    ----------
    rows : predictions on nights that came later.
    groups : one column a field ("tier", "source"), one row a row of `rows`; what is missing belongs to no group. Groups of less than 20 leads can
        prove nothing and are left out, and so are those of a field beyond its 30 largest, and those that hold nine tenths of all leads: they are
        everybody, and everybody has a row of its own, the first.

    Returns
    -------
    One row a group, by field and then by name: predicted, realised, Wilson's 95 % interval on leads, leads, `chance` (how likely a difference of
    this size is by luck, if calibration holds) and `fails`. Of many groups some differ by luck: a group fails only if its chance survives
    Benjamini and Hochberg's (1995) correction at 5 %, which leaves one false alarm in twenty among those that fail.
    """
    everybody = _field(rows, EVERYBODY, pd.Series([EVERYBODY] * len(rows.lead)), most=np.inf)
    found = [everybody, *(_field(rows, str(name), groups[name]) for name in groups)]
    table = pd.concat([part for part in found if len(part)], ignore_index=True) if any(map(len, found)) else pd.DataFrame(columns=list(COLUMNS))
    if len(table):
        table["fails"] = false_discovery_control(table["chance"]) < _DOUBT
    return table[list(COLUMNS)]


def _field(rows: Judged, name: str, group: pd.Series, most: float = _EVERYBODY) -> pd.DataFrame:
    text = group.astype(object).where(group.notna(), None)
    table = reliability_of(rows, text)
    large = table[(table["leads"] >= _FEWEST) & (table["leads"] < most * len(pd.unique(rows.lead)))].nlargest(_MOST, "leads", keep="all").sort_index()
    # The test that Wilson's interval turns round: below one in twenty the interval leaves out what was predicted.
    error = np.sqrt(large["predicted"] * (1 - large["predicted"]) / large["leads"])
    chance = 2 * norm.sf(np.abs(large["realised"] - large["predicted"]) / np.maximum(error, 1e-12))
    return large.assign(field=name, segment=large.index.astype(str), chance=chance)


def sentence(table: pd.DataFrame, most: int = 3) -> str:
    """The table in one line: where calibration fails, the least likely to be luck first.

    >>> sentence(pd.DataFrame(columns=list(COLUMNS)))
    'No group of leads is large enough to judge its calibration.'
    """
    if table.empty:
        return "No group of leads is large enough to judge its calibration."
    failing = table[table["fails"].astype(bool)].sort_values(["chance", "field", "segment"])
    fields = [str(name) for name in table["field"].unique()]
    looked = ", ".join(fields[:4]) + (f" and {len(fields) - 4} more fields" if len(fields) > 4 else "")
    worst = list(failing.head(most).itertuples())
    if failing.empty:
        return f"Calibration holds in all {len(table)} groups of leads that were looked at ({looked})."
    each = "; ".join(f"{_named(row)}: predicted {row.predicted:.1%}, converted {row.realised:.1%} ({row.low:.1%} to {row.high:.1%})" for row in worst)
    return f"Calibration fails in {len(failing)} of {len(table)} groups of leads ({looked}): {each}{'; ...' if len(failing) > most else ''}."


def _named(row: Any) -> str:
    return str(row.field) if row.field == row.segment else f"{row.field} {row.segment}"
