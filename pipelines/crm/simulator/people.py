"""Accounts, owners, leads: who they are, when they come, and how inclined to buy that makes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.crm.simulator import parameters as p
from pipelines.crm.simulator.parameters import World

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Texts = NDArray[np.object_]

OWNERS = 24
CAMPAIGNS = 3
_FIRST = (
    "Ada",
    "Ben",
    "Cleo",
    "Dan",
    "Eva",
    "Finn",
    "Gia",
    "Hugo",
    "Ida",
    "Jon",
    "Kim",
    "Leo",
    "Mia",
    "Noa",
    "Ole",
    "Pia",
    "Rui",
    "Sol",
    "Tom",
    "Uma",
)
_LAST = (
    "Adler",
    "Berg",
    "Costa",
    "Dias",
    "Egger",
    "Frey",
    "Grau",
    "Hahn",
    "Ito",
    "Jung",
    "Klein",
    "Lima",
    "Mora",
    "Novak",
    "Otto",
    "Petit",
    "Rossi",
)
_FIRM = (
    "Acme",
    "Borealis",
    "Cobalt",
    "Delta",
    "Elm",
    "Fjord",
    "Granite",
    "Helix",
    "Iris",
    "Juniper",
    "Kite",
    "Lumen",
    "Maple",
    "Nova",
    "Onyx",
)
_KIND = ("Works", "Systems", "Foods", "Labs", "Group", "Partners", "Logistics", "Media")
_TITLES = (
    ("Chief {} Officer", "C-level, {}", "Chief of {}"),
    ("VP of {}", "Vice President {}", "VP {}"),
    ("{} Director", "Director of {}", "Head of {}"),
    ("{} Manager", "Sr. {} Manager", "Manager, {}"),
    ("{} Specialist", "{} Analyst", "{} Coordinator"),
    ("{} Intern", "Working student {}", "{} Trainee"),
)


@dataclass(frozen=True)
class People:
    """One block of leads, as arrays of the same length.

    `arrival` is the day of the world a lead came in, `appeal` what its profile adds to the log of its chances; the rest is what the CRM says.
    """

    first_lead: int
    arrival: Ints
    appeal: Floats
    account: Ints
    source: Ints
    campaign: Texts
    industry: Ints
    size: Ints
    region: Ints
    owner: Ints
    next_owner: Ints
    title: Texts
    next_title: Texts
    name: Texts
    company: Texts

    def __len__(self) -> int:
        return len(self.arrival)

    @property
    def ids(self) -> Texts:
        """Lead ids, unique over all blocks."""
        return np.char.add("L", np.char.zfill((self.first_lead + np.arange(len(self))).astype(str), 8)).astype(object)


def owner_appeal(world: World) -> Floats:
    """How much better or worse than the average each owner sells."""
    return np.random.default_rng([world.seed, 1]).normal(0, p.OWNER_SPREAD, OWNERS)


def draw_people(world: World, block: int, first_lead: int, count: int) -> People:
    """One block of leads, complete with their accounts, drawn from a stream of its own."""
    rng = np.random.default_rng([world.seed, 2, block])
    arrival = _arrivals(rng, world, count)
    progress = arrival / world.days
    account = first_lead + np.sort(rng.integers(0, max(count * 2 // 5, 1), count))
    homes, home = np.unique(account, return_inverse=True)
    industry = rng.integers(0, len(p.INDUSTRIES), len(homes))[home]
    size = rng.choice(len(p.SIZES), len(homes), p=p.SIZE_SHARE)[home]
    region = rng.integers(0, len(p.REGIONS), len(homes))[home]
    firm = _firms(rng, homes)[home]
    source = _sources(rng, world, progress)
    seniority = rng.choice(len(p.SENIORITIES), count, p=p.SENIORITY_SHARE)
    quarter = arrival // 91
    number = rng.integers(0, CAMPAIGNS, count)
    campaign_id = (quarter * len(p.SOURCES) + source) * CAMPAIGNS + number
    campaign_appeal = np.random.default_rng([world.seed, 3]).normal(0, p.CAMPAIGN_SPREAD, int(campaign_id.max(initial=0)) + 1)
    per_region = OWNERS // len(p.REGIONS)
    owner = region * per_region + rng.integers(0, per_region, count)
    appeal = (
        np.asarray(p.SOURCE_APPEAL)[source]
        + np.asarray(p.INDUSTRY_APPEAL)[industry]
        + np.asarray(p.SIZE_APPEAL)[size]
        + np.asarray(p.SENIORITY_APPEAL)[seniority]
        + campaign_appeal[campaign_id]
        + owner_appeal(world)[owner]
        + world.drift * p.DRIFT_OF_APPEAL * progress
    )
    names = np.array([f"{a} {b}" for a in _FIRST for b in _LAST], dtype=object)
    reassigned = rng.random(count) < p.REASSIGNED_SHARE
    retitled = rng.random(count) < p.RETITLED_SHARE
    title = _titles(rng, seniority)
    return People(
        first_lead,
        arrival,
        appeal,
        account,
        source,
        _campaigns(quarter, source, number),
        industry,
        size,
        region,
        owner,
        np.where(reassigned, region * per_region + rng.integers(0, per_region, count), owner),
        title,
        np.where(retitled, _titles(rng, seniority), title),
        rng.choice(names, count),
        firm,
    )


def _arrivals(rng: np.random.Generator, world: World, count: int) -> Ints:
    """More leads in February and August, few on weekends, slowly more over time."""
    days = np.arange(world.days)
    weekday = (world.first_day.weekday() + days) % 7
    weight = np.asarray(p.WEEKDAY_FACTOR)[weekday] * (1 + 0.25 * np.sin(days / 182.6 * 2 * np.pi)) * (1 + 0.3 * days / world.days)
    return np.sort(rng.choice(world.days, count, p=weight / weight.sum())).astype(np.int64)[rng.permutation(count)]


def _sources(rng: np.random.Generator, world: World, progress: Floats) -> Ints:
    first, last = np.asarray(p.SOURCE_SHARE_FIRST), np.asarray(p.SOURCE_SHARE_LAST)
    share = first + np.clip(world.drift * progress, 0, 1)[:, None] * (last - first)
    edges = np.cumsum(share, axis=1)
    return np.minimum((rng.random(len(progress))[:, None] > edges).sum(axis=1), len(p.SOURCES) - 1)


def _titles(rng: np.random.Generator, seniority: Ints) -> Texts:
    texts = np.array([[[form.format(f) for f in p.FUNCTIONS] for form in forms] for forms in _TITLES], dtype=object)
    return texts[seniority, rng.integers(0, 3, len(seniority)), rng.integers(0, len(p.FUNCTIONS), len(seniority))]


def _firms(rng: np.random.Generator, homes: Ints) -> Texts:
    stems = np.array([f"{a} {b}" for a in _FIRM for b in _KIND], dtype=object)
    return rng.choice(stems, len(homes)) + np.char.add(" ", homes.astype(str)).astype(object)


def _campaigns(quarter: Ints, source: Ints, number: Ints) -> Texts:
    """Campaign names such as "Q3 webinar 2"."""
    names = np.array(p.SOURCES, dtype=object)[source]
    return "Q" + (quarter + 1).astype(str).astype(object) + " " + names + " " + (number + 1).astype(str).astype(object)
