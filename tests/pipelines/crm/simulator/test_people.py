"""Who the leads are, when they come, and how inclined to buy their profile makes them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pipelines.crm.simulator import parameters as p
from pipelines.crm.simulator.parameters import World
from pipelines.crm.simulator.people import OWNERS, People, draw_people, owner_appeal

WORLD = World(leads=6_000, seed=3)
# What a title says of its holder's seniority, from the chief down to the intern.
WORDS = (("Chief", "C-level"), ("VP", "Vice President"), ("Director", "Head"), ("Manager",), ("Specialist", "Analyst", "Coordinator"))


@pytest.fixture(scope="module")
def people() -> People:
    return draw_people(WORLD, 0, 0, 6_000)


def _seniority(title: str) -> int:
    return next((rank for rank, words in enumerate(WORDS) if any(word in title for word in words)), 5)


def _explained(world: World, people: People, lead: int) -> float:
    """What the profile that the CRM shows explains of a lead's appeal: everything but its campaign."""
    return (
        p.SOURCE_APPEAL[people.source[lead]]
        + p.INDUSTRY_APPEAL[people.industry[lead]]
        + p.SIZE_APPEAL[people.size[lead]]
        + p.SENIORITY_APPEAL[_seniority(people.title[lead])]
        + float(owner_appeal(world)[people.owner[lead]])
        + world.drift * p.DRIFT_OF_APPEAL * people.arrival[lead] / world.days
    )


def test_appeal_is_the_sum_of_the_profile_and_the_campaign(people: People) -> None:
    effects: dict[str, list[float]] = {}
    for lead in range(len(people)):
        effects.setdefault(people.campaign[lead], []).append(people.appeal[lead] - _explained(WORLD, people, lead))
    assert len(effects) > 150
    assert max(max(one) - min(one) for one in effects.values()) < 1e-12
    # Some two hundred campaigns: their spread is known to a twentieth.
    assert np.std([one[0] for one in effects.values()]) == pytest.approx(p.CAMPAIGN_SPREAD, rel=0.2)
    assert np.std(owner_appeal(WORLD)) == pytest.approx(p.OWNER_SPREAD, rel=0.5)


def test_without_drift_the_time_of_arrival_adds_nothing() -> None:
    still = dataclasses.replace(WORLD, drift=0.0)
    moved, stayed = draw_people(dataclasses.replace(WORLD, drift=1e-9), 0, 0, 500), draw_people(still, 0, 0, 500)
    assert (moved.source == stayed.source).all()
    drifting = draw_people(WORLD, 0, 0, 500)
    same = drifting.campaign == stayed.campaign
    assert same.sum() > 300
    expected = p.DRIFT_OF_APPEAL * stayed.arrival[same] / 730
    assert np.allclose((drifting.appeal - stayed.appeal)[same], expected)


def test_the_mix_of_sources_starts_at_the_first_shares_and_ends_at_the_last() -> None:
    for drift, end in ((1.0, p.SOURCE_SHARE_LAST), (0.0, p.SOURCE_SHARE_FIRST)):
        people = draw_people(World(leads=40_000, seed=4, drift=drift), 0, 0, 40_000)
        for days, shares in ((people.arrival < 73, p.SOURCE_SHARE_FIRST), (people.arrival >= 657, end)):
            seen = np.bincount(people.source[days], minlength=8) / days.sum()
            # A tenth of the history: the mix moves by a twentieth of the way within it, on average.
            within = 0.05 * np.abs(np.subtract(p.SOURCE_SHARE_LAST, p.SOURCE_SHARE_FIRST)) * drift
            assert (np.abs(seen - shares) < 4 * np.sqrt(np.multiply(shares, np.subtract(1, shares)) / days.sum()) + within).all()


def test_leads_come_throughout_the_history_and_few_on_weekends(people: People) -> None:
    assert (people.arrival.min(), people.arrival.max()) == (0, 729)
    a_day = np.bincount((WORLD.first_day.weekday() + people.arrival) % 7, minlength=7) / 6_000
    assert a_day[5:].max() < 0.08
    assert a_day[:5].min() > 0.12
    # Two waves a year, a quarter up and down.
    crest, trough = (np.isin(people.arrival % 183 // 30, months).sum() for months in ((0, 1, 2), (3, 4, 5)))
    assert crest > 1.2 * trough


def test_leads_of_an_account_share_its_profile(people: People) -> None:
    _, first, account, size = np.unique(people.account, return_index=True, return_inverse=True, return_counts=True)
    for name in ("industry", "size", "region", "company"):
        values = getattr(people, name)
        assert (values == values[first][account]).all()
    assert 2.0 < size.mean() < 3.5
    assert len(set(people.company)) == len(first)


def test_an_owner_serves_one_region_and_so_does_the_next(people: People) -> None:
    assert (people.owner // 6 == people.region).all()
    assert (people.next_owner // 6 == people.region).all()
    assert set(people.owner) == set(range(OWNERS)) == set(range(24))
    # One reassigned lead in six meets the owner it had.
    assert (people.next_owner != people.owner).mean() == pytest.approx(p.REASSIGNED_SHARE * 5 / 6, rel=0.25)


def test_a_corrected_title_is_another_word_for_the_same_rank(people: People) -> None:
    corrected = np.flatnonzero(people.next_title != people.title)
    assert len(corrected) / len(people) == pytest.approx(p.RETITLED_SHARE, rel=0.25)
    assert [_seniority(people.title[one]) for one in corrected] == [_seniority(people.next_title[one]) for one in corrected]
    ranks = np.bincount([_seniority(title) for title in people.title], minlength=6) / len(people)
    assert ranks.tolist() == pytest.approx(list(p.SENIORITY_SHARE), abs=0.02)


def test_a_campaign_is_named_after_the_quarter_it_ran_in(people: People) -> None:
    for lead in range(200):
        quarter, *source, number = people.campaign[lead].split()
        assert (quarter, " ".join(source)) == (f"Q{people.arrival[lead] // 91 + 1}", p.SOURCES[people.source[lead]])
        assert number in ("1", "2", "3")


def test_blocks_share_no_lead_and_no_account(people: People) -> None:
    other = draw_people(WORLD, 1, 6_000, 300)
    assert (people.ids[0], people.ids[-1], other.ids[0]) == ("L00000000", "L00005999", "L00006000")
    assert set(people.ids).isdisjoint(other.ids)
    assert set(people.account).isdisjoint(other.account)
    assert (other.appeal != people.appeal[:300]).all()


def test_the_same_seed_draws_the_same_people_and_another_seed_others() -> None:
    one, again, other = (draw_people(World(leads=300, seed=seed), 0, 0, 300) for seed in (5, 5, 6))
    for field in dataclasses.fields(People):
        assert np.array_equal(getattr(one, field.name), getattr(again, field.name))
    assert (one.appeal != other.appeal).all()
    # A larger company begins with the same people.
    larger = draw_people(World(leads=90_000, seed=5), 0, 0, 300)
    assert np.array_equal(one.appeal, larger.appeal)
