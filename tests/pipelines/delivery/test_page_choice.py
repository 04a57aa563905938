"""A rep sorts, narrows and searches the list, and keeps the place."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest
from nights import LEADS, Row, all_open, facts, names, night, shown
from playwright.sync_api import Page

# One browser for all of them.
pytestmark = pytest.mark.xdist_group("browser")
Open = Callable[..., Page]


def _ranked(key: str, backwards: bool) -> list[Row]:
    """Sorted by hand: what is missing comes last whichever way, equals in the order of rank."""
    known = [lead for lead in LEADS if lead[key] is not None]
    return sorted(known, key=lambda lead: lead[key], reverse=backwards) + [lead for lead in LEADS if lead[key] is None]


# The list comes by rank, so that the first click on it turns it round; numbers start with the most.


HEADS = [("Rank", "rank", 1), ("Lead", "name", 0), ("Owner", "owner", 0), ("Probability", "probability", 1)]
MORE_HEADS = [("Change", "change", 1), ("Expected value", "expected_value", 1)]


MORE_HEADS = [("Change", "change", 1), ("Expected value", "expected_value", 1)]


def test_a_click_on_a_head_sorts_by_it_and_another_turns_it_round(show: Open) -> None:
    tab = all_open(show(night()))
    for head, key, backwards in [*HEADS, *MORE_HEADS]:
        for way in (backwards, not backwards):
            tab.locator(f'th button:text-is("{head}")').click()
            assert shown(tab) == names(_ranked(key, bool(way))[:50])
            sorts = tab.eval_on_selector_all("th", "heads => heads.filter(h => h.ariaSort).map(h => [h.firstChild.textContent, h.ariaSort])")
            assert sorts == [[head, "descending" if way else "ascending"]]


def test_owner_tier_and_search_narrow_the_list_together(show: Open) -> None:
    tab = all_open(show(night()))
    assert tab.locator("#owner option").all_inner_texts() == ["Everybody", "ann", "bob", "cleo"]
    tiers = ["Today's calls", "All open leads", "Tier B", "Tier C", "Tier D", "Tier E", "New among today's calls", "Qualified", "Left out today"]
    assert tab.locator("#tier option").all_inner_texts() == tiers
    tab.select_option("#owner", label="bob")
    assert shown(tab) == names([lead for lead in LEADS if lead["owner"] == "bob"])
    tab.select_option("#tier", label="Tier B")
    assert shown(tab) == names([lead for lead in LEADS if lead["owner"] == "bob" and lead["tier"] == "B"])
    tab.fill("#find", "  FIRM 3 ")
    assert shown(tab) == names([lead for lead in LEADS if (lead["owner"], lead["tier"], lead["company"]) == ("bob", "B", "firm 3")])
    tab.select_option("#owner", label="Everybody")
    all_open(tab)
    for words, expected in (("L07", [LEADS[6]]), ("lead 49", [LEADS[6]]), ("firm 2", [lead for lead in LEADS if lead["company"] == "firm 2"])):
        tab.fill("#find", words)
        assert shown(tab) == names(expected)
    tab.fill("#find", "nobody of that name")
    assert (shown(tab), tab.inner_text("tr.none"), tab.inner_text("#count")) == ([], "No lead matches.", "0 leads")


def test_a_search_knows_no_accents_and_no_case(show: Open) -> None:
    tab = show(night([{**LEADS[0], "name": "José Straße"}, {**LEADS[1], "company": "ØRSTED Łódź"}]))
    for words, name in (
        ("jose", "José Straße"),
        ("STRASSE", "José Straße"),
        ("josé s", "José Straße"),
        ("Straße jose", "José Straße"),
        ("ørsted lead", "lead 14"),
        ("orsted", "lead 14"),
        ("łodz", "lead 14"),
    ):
        tab.fill("#find", words)
        assert shown(tab) == [name]


def test_a_search_says_where_the_lead_is_when_it_is_not_among_todays_calls_and_goes_there(show: Open) -> None:
    tab = show(night())
    tab.fill("#find", "L60")
    assert tab.locator("#rows").inner_text().split("\t")[0] == "None among today's calls; 1 among all open leads.Show it"
    tab.get_by_role("button", name="Show it").click()
    assert (shown(tab), tab.input_value("#find")) == ([LEADS[59]["name"]], "L60")
    # L60 is ann's.
    tab.select_option("#owner", label="bob")
    assert tab.inner_text("tr.none td").startswith("None among the open leads of bob; 1 among everybody's.")
    tab.get_by_role("button", name="Show it").click()
    assert (shown(tab), tab.locator("#owner option:checked").inner_text()) == ([LEADS[59]["name"]], "Everybody")
    tab.select_option("#tier", label="Tier B")
    tab.fill("#find", "firm 4")
    tab.select_option("#owner", label="cleo")
    tab.select_option("#tier", label="Tier C")
    tab.fill("#find", "lead 14")
    assert tab.inner_text("tr.none td").startswith("None among tier C of cleo; 1 among all open leads of cleo.")


def test_nobodys_leads_can_be_chosen_by_that_name(show: Open) -> None:
    tab = all_open(show(night([{**LEADS[0], "owner": ""}, LEADS[1], {**LEADS[2], "owner": "zoe"}])))
    assert tab.locator("#owner option").all_inner_texts() == ["Everybody", "cleo", "zoe", "nobody"]
    tab.select_option("#owner", label="nobody")
    assert (shown(tab), tab.inner_text("#whose")) == (["lead 07"], "nobody: all open leads")
    assert tab.evaluate("location.hash") == "#owner="


def test_owners_are_sorted_as_people_count(show: Open) -> None:
    owners = ["Rep 10", "Rep 2", "Rep 007", "rep 1", "Åke", "Zoe", "9" * 5000]
    tab = all_open(show(night([{**LEADS[n], "owner": owner} for n, owner in enumerate(owners)])))
    expected = ["9" * 5000, "Åke", "rep 1", "Rep 2", "Rep 007", "Rep 10", "Zoe"]
    assert tab.locator("#owner option").all_inner_texts() == ["Everybody", *expected]
    tab.locator('th button:text-is("Owner")').click()
    assert shown(tab, 2) == expected


def test_the_owner_stays_in_the_address(show: Open) -> None:
    tab = show(night([{**LEADS[n], "owner": owner} for n, owner in enumerate(["Ann & Bob=#1", "cleo", "cleo"])]))
    tab.select_option("#owner", label="Ann & Bob=#1")
    assert tab.evaluate("location.hash") == "#owner=Ann%20%26%20Bob%3D%231"
    tab.reload()
    assert shown(tab) == ["lead 07"]
    tab.select_option("#owner", label="cleo")
    assert shown(tab) == ["lead 14", "lead 21"]
    # Back is back to the list before.
    tab.go_back()
    tab.wait_for_function("document.querySelectorAll('tr.lead').length === 1")
    assert shown(tab) == ["lead 07"]
    # A colleague who has left is nobody's choice.
    tab.evaluate("location.hash = 'owner=gone'")
    tab.wait_for_function("document.querySelectorAll('tr.lead').length === 3")
    assert tab.inner_text("#whose") == "Everybody: calls today"


def test_leads_beyond_the_limit_are_said_in_a_sentence_and_calls_are_never_left_out(show: Open) -> None:
    many = pd.DataFrame([{**LEADS[n % 60], "reasons": [], "history": [], "listed": n in (0, 50_001)} for n in range(50_003)])
    many = many.assign(rank=range(1, 50_004), lead_id=[f"L{n}" for n in range(50_003)]).astype({"expected_value": float, "change": float})
    tab = show(night(leads_frame=many))
    said = "This page holds 50,001 of 50,003 open leads: all of today's calls and the best of the rest. leads.csv, beside it, holds every one."
    assert tab.inner_text(".beyond") == said
    assert (shown(tab, 0), facts(tab)[3]) == (["1 A", "50,002 B"], "50,003 open leads scored")
    all_open(tab)
    assert (tab.inner_text("#count"), tab.inner_text("#at")) == ("50,001 leads", "1 to 50 of 50,001")
    assert show(night()).locator(".beyond").count() == 0


def test_a_long_list_comes_in_pages(show: Open) -> None:
    tab = all_open(show(night()))
    back, forth = tab.locator("#back"), tab.locator("#next")
    assert (shown(tab), tab.inner_text("#at")) == (names(LEADS[:50]), "1 to 50 of 60")
    assert (back.is_disabled(), forth.is_disabled()) == (True, False)
    forth.click()
    assert (shown(tab), tab.inner_text("#at")) == (names(LEADS[50:]), "51 to 60 of 60")
    assert (back.is_disabled(), forth.is_disabled()) == (False, True)
    # Whoever narrows the list is back at its start.
    tab.select_option("#owner", label="ann")
    assert shown(tab) == names([lead for lead in LEADS if lead["owner"] == "ann"])
    assert not tab.locator("#pages").is_visible()
    tab.select_option("#owner", label="Everybody")
    forth.click()
    back.click()
    assert shown(tab) == names(LEADS[:50])


def test_on_a_phone_a_select_sorts(show: Open) -> None:
    tab = all_open(show(night(), width=390))
    assert not tab.locator("#list thead").is_visible()
    assert tab.locator("#sort option").all_inner_texts() == [head for head, _, _ in [*HEADS, *MORE_HEADS]]
    for head, key, backwards in [*HEADS[1:], *MORE_HEADS, ("Rank", "rank", 0)]:
        tab.select_option("#sort", label=head)
        assert shown(tab) == names(_ranked(key, bool(backwards))[:50])
    assert not show(night()).locator("#sort").is_visible()


def test_leads_without_a_name_are_sorted_by_what_they_are_shown_as(show: Open) -> None:
    tab = show(night([{**LEADS[n], "name": name, "lead_id": lead} for n, (name, lead) in enumerate([("", "c"), ("", "a"), ("b", "z")])]))
    tab.locator('th button:text-is("Lead")').click()
    assert shown(tab) == ["a", "b", "c"]
