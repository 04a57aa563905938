"""Probabilities to a list: the order, each owner's own, tiers, and who is called tonight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.routing import routed

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
TIERS = ("A", "B", "C", "D", "E")
_NOTHING: dict[str, Any] = {
    "account_id": None,
    "expected_value": np.nan,
    "left_out": "",
    "fresh": False,
    "before": False,
    "place": np.nan,
    "territory": "",
}


@dataclass(frozen=True)
class Rules:
    """What a company wants of its lists.

    Parameters
    ----------
    by : "probability", "expected value", or "blend": probability times amount ** `value_weight`, between the two.
    capacity : calls a night of an owner who is not named, and of the leads that nobody owns, together.
    explore : share of each owner's capacity that is drawn at random among the rest, so that what scoring brings can be measured without bias.
    per_account : of one account no more leads are called in a night; 0: as many as there are.
    hold : by how much better another lead must be to push one off that was listed the night before. 0.1: a tenth, more than the noise of a night.
    boost : by how much the worth of a brand-new inbound lead is raised. 0.5: by half, for interest cools within hours.
    teams, team_capacity : each owner's team, and how many calls a night a team can make; a team that is not named can make those of its owners.
    route : whether nobody's leads go to reps who have room.
    covers : the territories that an owner covers; an owner who is not named covers every one. See `models.routing`.
    """

    by: Literal["probability", "expected value", "blend"] = "probability"
    value_weight: float = 0.5
    capacity: int = 25
    explore: float = 0.0
    per_account: int = 0
    hold: float = 0.0
    boost: float = 0.0
    teams: Mapping[str, str] = field(default_factory=dict)
    team_capacity: Mapping[str, int] = field(default_factory=dict)
    route: bool = True
    covers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def rank(scores: pd.DataFrame, capacity: Mapping[str, int], rules: Rules = Rules(), seed: int = 7, as_of: datetime | None = None) -> pd.DataFrame:
    """Put the leads of a night in the order in which they are worth a call.

    Tiers follow capacity, not fixed cut-offs, so that an A always means "tonight": A are the listed ones; B, C and D would fit into the second, third
    and fourth night's capacity of their owner; E is the rest, and who is left out. Leads of equal worth are ordered by lead id, so that a list never
    flickers.

    Parameters
    ----------
    scores : lead_id, probability, owner_id (None: nobody's), and anything else. Where there are: expected_value; account_id; territory; left_out (why
        it must not be called, in words; "": it may); fresh (brand-new and inbound); before (listed by merit the night before); place (where on its
        owner's list somebody put it by hand).
    capacity : calls a night by owner.
    seed, as_of : make the draw the same when a night is scored again.

    Returns
    -------
    The same rows in the order of their rank, with score (0-100), rank, owner_id (of nobody's leads: to whom they go), routed, owner_rank, tier,
    listed, explored, selection_probability (how likely the rules were to list it: 1 by merit, and the share drawn of the rest) and left_out.
    """
    absent = {name: value for name, value in _NOTHING.items() if name not in scores}
    ordered = _ordered(scores.assign(**absent), rules)
    own = ordered["owner_id"].fillna("").astype(str)
    ordered["left_out"] = _of_crowded_accounts(ordered, rules.per_account)
    may = ordered["left_out"].to_numpy() == ""
    owner = routed(own, ordered["territory"].fillna("").astype(str), may, _rooms(own, capacity, rules), rules.covers)
    room = owner.map(lambda one: capacity.get(one, rules.capacity)).to_numpy(dtype=int)
    owner_rank = _owner_rank(owner, may, ordered["place"].to_numpy(dtype=float))
    # Rounded first: 50 calls at 0.58 are 29, and only floating point says 28.999.
    drawn = np.floor(np.round(room * rules.explore, 9)).astype(int)
    best = may & (owner_rank <= room - drawn)
    explored = _drawn(owner, may & ~best, drawn, seed, as_of)
    listed = _within_teams(owner, best, explored, rules)
    nights = np.where(may & (room > 0), (owner_rank - 1) // np.maximum(room, 1), len(TIERS) - 1)
    tier = np.array(TIERS)[np.minimum(nights, len(TIERS) - 1)]
    return ordered.drop(columns=list(absent.keys() - {"left_out"})).assign(
        owner_id=owner.to_numpy(),
        routed=(owner != own).to_numpy(),
        score=np.round(100 * ordered["probability"]).astype(int),
        rank=np.arange(1, len(ordered) + 1),
        owner_rank=owner_rank,
        tier=np.where(listed, "A", np.where(tier == "A", "B", tier)),
        listed=listed,
        explored=explored & listed,
        selection_probability=_chances(owner, may, best, explored),
    )


def _ordered(scores: pd.DataFrame, rules: Rules) -> pd.DataFrame:
    """Best first: what a call is worth, raised for who is new, and for who was listed the night before."""
    probability, value = scores["probability"].to_numpy(dtype=float), scores["expected_value"].to_numpy(dtype=float)
    weight = {"probability": 0.0, "expected value": 1.0, "blend": rules.value_weight}[rules.by]
    # Without any amounts all are worth the same, should they buy.
    worth = probability if weight == 0 or np.isnan(value).any() else probability ** (1 - weight) * value**weight
    raised = worth * (1 + rules.boost * scores["fresh"].to_numpy(dtype=bool)) * (1 + rules.hold * scores["before"].to_numpy(dtype=bool))
    return scores.assign(_raised=raised).sort_values(["_raised", "lead_id"], ascending=[False, True]).drop(columns="_raised").reset_index(drop=True)


def _of_crowded_accounts(ordered: pd.DataFrame, most: int) -> pd.Series:
    """Why each lead is left out, those included whose account has enough better ones."""
    why, may = ordered["left_out"], ordered["left_out"] == ""
    if not most:
        return why
    place = ordered[may].groupby("account_id").cumcount().reindex(ordered.index)
    said = f"its account has {most} better {'lead' if most == 1 else 'leads'}"
    return why.where(~(may & ordered["account_id"].notna() & (place >= most)), said)


def _rooms(own: pd.Series, capacity: Mapping[str, int], rules: Rules) -> dict[str, int]:
    """Calls a night of everybody who may be given a lead: who has leads, a capacity or a territory."""
    if not rules.route:
        return {}
    known = {*own, *capacity, *rules.covers} - {""}
    return {owner: capacity.get(owner, rules.capacity) for owner in sorted(known)}


def _owner_rank(owner: pd.Series, may: Flags, place: Floats) -> NDArray[np.int64]:
    """Each lead's place on its owner's list: who may be called first, in order, those put there by hand at their place."""
    by_hand = may & ~np.isnan(place)
    merit = pd.Series(may & ~by_hand).groupby(owner).cumsum().to_numpy()
    order = np.lexsort([np.arange(len(owner)), np.where(by_hand, place, np.inf)])
    # After so many of its owner's leads by merit a placed one comes: those placed before it take places too.
    placed = pd.Series(np.where(by_hand, place, 0.0)[order])
    after = (placed - placed.groupby(owner.to_numpy()[order]).cumcount()).groupby(owner.to_numpy()[order]).cummax().to_numpy() - 0.5
    wanted = np.empty(len(owner))
    wanted[order] = np.where(by_hand[order], after, np.where(may, merit, np.inf)[order])
    order = order[np.argsort(wanted[order], kind="stable")]
    ranks = np.empty(len(owner), dtype=np.int64)
    ranks[order] = owner.iloc[order].groupby(owner.iloc[order]).cumcount().to_numpy() + 1
    return ranks


def _drawn(owner: pd.Series, rest: Flags, drawn: NDArray[np.int64], seed: int, as_of: datetime | None) -> Flags:
    """For each owner, so many of the leads that may be called and did not make it by merit."""
    # Counted from the epoch and not by `timestamp()`, which would read the night in the machine's own zone.
    night = 0 if as_of is None else (as_of - datetime(1970, 1, 1)) // timedelta(seconds=1)
    luck = np.random.default_rng([seed, abs(night)]).random(len(owner))
    luck[~rest] = 2.0
    place = pd.Series(luck).groupby(owner.to_numpy()).rank(method="first").to_numpy()
    return np.asarray((place <= drawn) & rest)


def _chances(owner: pd.Series, may: Flags, best: Flags, explored: Flags) -> Floats:
    """How likely the rules were to list each lead; a lead that they leave out, not at all."""
    rest, groups = pd.Series(may & ~best), owner.to_numpy()
    lucky, all_rest = pd.Series(explored).groupby(groups).transform("sum"), rest.groupby(groups).transform("sum")
    share = np.divide(lucky, all_rest, out=np.zeros(len(owner)), where=all_rest.to_numpy() > 0)
    return np.asarray(np.where(best, 1.0, np.where(rest, share, 0.0)))


def _within_teams(owner: pd.Series, best: Flags, explored: Flags, rules: Rules) -> Flags:
    """Who is called, of a team no more than it can make: who was drawn, then the best, whoever of the team has them."""
    team, listed = owner.map(lambda one: rules.teams.get(one, "")), best | explored
    order = np.lexsort([np.arange(len(owner)), ~explored])
    place = pd.Series(listed[order]).groupby(team.iloc[order].to_numpy()).cumsum().to_numpy()
    limit = team.iloc[order].map(lambda one: rules.team_capacity.get(one, np.inf)).to_numpy(dtype=float)
    fits = np.ones(len(owner), dtype=bool)
    fits[order] = ~(place > limit)
    return np.asarray(listed & fits)


def likely_tier(scores: pd.DataFrame) -> pd.Series:
    """The tier of leads of which only some were scored: the third of ten scored leads of an owner who has forty is taken for the eleventh.

    Parameters
    ----------
    scores : as_of, lead_id, owner_id, probability, open (how many leads the owner had that night), room (calls a night).
    """
    ordered = scores.sort_values(["probability", "lead_id"], ascending=[False, True])
    owner = ordered.groupby(["as_of", "owner_id"], dropna=False)["lead_id"]
    before = (owner.cumcount() + 0.5) / owner.transform("size") * ordered["open"]
    nights = np.where(ordered["room"] > 0, before // np.maximum(ordered["room"], 1), len(TIERS) - 1).astype(int)
    return pd.Series(np.array(TIERS, dtype=object)[np.minimum(nights, len(TIERS) - 1)], index=ordered.index).reindex(scores.index)
