"""Nobody's leads go to whoever has room for them, in the right territory."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def routed(
    owner: pd.Series, territory: pd.Series, may: NDArray[np.bool_], room: Mapping[str, int], covers: Mapping[str, tuple[str, ...]]
) -> pd.Series:
    """Each lead's owner; of the leads that nobody owns the best go, one after the other, to the rep who has most room left where they are.

    To the business: no good lead waits for somebody to be given it, and no rep gets more than can be called. Who owns a lead keeps it, wherever it
    is. Where nobody has room, or nobody covers a territory, the lead stays on the list of those that nobody owns. Where two have as much room, the
    first by id has it.

    Parameters
    ----------
    owner, territory : of every lead, the best first; "": nobody, nowhere.
    may : whether it may be called.
    room : calls a night, of everybody who may be given leads.
    covers : the territories of an owner; who is not named covers every one.

    >>> owner, where = pd.Series(["ann", "", "", ""]), pd.Series(["DE", "DE", "FR", "FR"])
    >>> routed(owner, where, np.ones(4, dtype=bool), {"ann": 2, "bob": 1}, {"ann": ("DE",), "bob": ("FR", "DE")}).tolist()
    ['ann', 'ann', 'bob', '']
    """
    taken = owner[may].value_counts()
    free = {one: calls - int(taken.get(one, 0)) for one, calls in room.items() if calls > taken.get(one, 0)}
    found = owner.to_numpy(dtype=object, copy=True)
    for place in _waiting(territory[may & (owner == "").to_numpy()], free, covers):
        able = [one for one in free if free[one] and _covers(one, territory.iloc[place], covers)]
        if able:
            found[place] = min(able, key=lambda one: (-free[one], one))
            free[found[place]] -= 1
    return pd.Series(found, index=owner.index)


def _covers(owner: str, territory: str, covers: Mapping[str, tuple[str, ...]]) -> bool:
    return owner not in covers or territory in covers[owner]


def _waiting(territory: pd.Series, free: Mapping[str, int], covers: Mapping[str, tuple[str, ...]]) -> list[int]:
    """The leads that may be given to somebody, best first: of each territory no more than there is room for, however many leads wait."""
    most = {where: sum(calls for one, calls in free.items() if _covers(one, where, covers)) for where in territory.unique()}
    return [int(place) for place in territory.index[territory.groupby(territory).cumcount().to_numpy() < territory.map(most).to_numpy(dtype=float)]]
