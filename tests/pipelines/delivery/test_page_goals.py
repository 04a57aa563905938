"""A manager sees quota and forecast side by side, and everybody finds leads by source, by territory, and by what happened with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from nights import LEADS, all_open, facts, names, night, shown
from playwright.sync_api import Page

from pipelines.delivery.goals import Goals

# One browser for all of them.
pytestmark = pytest.mark.xdist_group("browser")
Open = Callable[..., Page]
TEAMS = {"ann": "north", "bob": "north", "cleo": "south"}
WORTH = [
    {**lead, "expected_value": 100.0 * lead["probability"], "team": TEAMS[lead["owner"]], "source": ["web", "fair", ""][n % 3], "territory": "EMEA"}
    for n, lead in enumerate(LEADS)
]
GOALS = Goals({"ann": 400.0, "bob": 300.0, "cleo": 250.0}, {"north": 900.0})


def _rows(tab: Page, body: str) -> list[list[str]]:
    return tab.eval_on_selector_all(
        f"#{body} tr", "rows => rows.map(row => [...row.cells].filter(cell => cell.offsetWidth).map(cell => cell.innerText.trim()))"
    )


def test_owner_team_and_everybody_have_a_quota_beside_what_can_be_expected(show: Open) -> None:
    tab = show(night(WORTH, goals=GOALS))
    heads = [head for head in tab.locator("#team thead th").all_inner_texts() if head]
    assert heads == ["Owner", "Calls today", "Expected conversions", "Expected amount", "Quota", "Best lead"]
    assert [row[:5] for row in _rows(tab, "owners")] == [
        ["bob north", "4", "2.2 (1 to 3)", "222 EUR (100 to 300)", "300 EUR"],
        ["cleo south", "4", "2.2 (1 to 3)", "218 EUR (100 to 300)", "250 EUR"],
        ["ann north", "4", "2.1 (1 to 3)", "214 EUR (100 to 300)", "400 EUR"],
    ]
    assert [row[:5] for row in _rows(tab, "teams")] == [
        ["north", "8", "4.4 (3 to 6)", "436 EUR (290 to 600)", "900 EUR"],
        ["south", "4", "2.2 (1 to 3)", "218 EUR (100 to 300)", "250 EUR"],
    ]
    assert facts(tab)[2:4] == ["654 EUR expected of these calls, 400 to 900 in 8 of 10 cases", "1.15K EUR quota for the same time"]
    assert "and amounts be as unlike each other as those of the past" in tab.inner_text("#team")


def test_beside_todays_calls_stands_how_many_could_be_made(show: Open) -> None:
    tab = show(night(WORTH, goals=Goals(rooms={"ann": 4, "bob": 5, "cleo": 20}, team_rooms={"north": 8})))
    assert [row[:2] for row in _rows(tab, "owners")] == [["bob north", "4 of 5"], ["cleo south", "4 of 20"], ["ann north", "4 of 4"]]
    assert [row[:2] for row in _rows(tab, "teams")] == [["north", "8 of 8"], ["south", "4 of 20"]]


def test_a_quota_of_wins_is_a_number_of_wins(show: Open) -> None:
    tab = show(night(goals=Goals({"ann": 6.0}, count="wins")))
    tab.select_option("#owner", label="ann")
    assert "6 quota for the same time" in facts(tab)


def test_where_nothing_is_known_of_money_or_quotas_no_column_speaks_of_them(show: Open) -> None:
    tab = show(night([{**lead, "expected_value": None} for lead in LEADS]))
    heads = tab.eval_on_selector_all("#team thead th", "all => all.filter(head => head.offsetWidth).map(head => head.innerText)")
    assert [head for head in heads if head] == ["Owner", "Calls today", "Expected conversions", "Best lead"]
    assert "amounts" not in tab.inner_text("#team")


def test_source_narrows_the_list_and_is_named_where_there_is_more_than_one(show: Open) -> None:
    tab = all_open(show(night(WORTH)))
    assert tab.locator("#source option").all_inner_texts() == ["All", "fair", "web", "not known"]
    assert tab.locator("#territory").count() == 0
    tab.select_option("#source", label="fair")
    assert shown(tab) == names([lead for lead in WORTH if lead["source"] == "fair"])
    assert tab.inner_text("#whose") == "Everybody: all open leads, fair"
    tab.select_option("#source", label="not known")
    assert shown(tab) == names([lead for lead in WORTH if lead["source"] == ""])
    told = dict(zip(tab.locator("dt").all_inner_texts(), tab.locator("dd").all_inner_texts(), strict=True))
    assert "Source" not in told


def test_a_choice_that_finds_nobody_says_where_they_would_be(show: Open) -> None:
    north = [{**lead, "territory": "north" if lead["owner"] == "ann" else "south"} for lead in WORTH]
    tab = show(night(north))
    tab.select_option("#owner", label="bob")
    tab.select_option("#territory", label="north")
    assert tab.inner_text("tr.none") == "None among the open leads of bob (north); 12 among everybody's.Show them".replace("12", "60")
    tab.get_by_role("button", name="Show them").click()
    assert tab.inner_text("#whose") == "Everybody: all open leads"


def test_what_happened_with_a_lead_stands_in_its_drawer(show: Open) -> None:
    lines: list[list[Any]] = [["2025-05-31", "us", "call", 1], ["2025-05-30", "lead", "email_open", 3], ["2025-05-12", "", "status: working", 1]]
    tab = show(night([{**LEADS[0], "diary": lines}, {**LEADS[1], "diary": float("nan")}]))
    tab.locator("tr.lead button").nth(0).click()
    assert tab.locator(".diary li").all_inner_texts() == ["2025-05-31 call by us", "2025-05-30 email open (3 times)", "2025-05-12 status: working"]
    tab.locator("tr.lead button").nth(0).click()
    tab.locator("tr.lead button").nth(1).click()
    assert tab.locator(".diary").count() == 0


def test_who_is_new_on_the_list_is_marked_and_can_be_listed(show: Open) -> None:
    tab = show(night([{**lead, "new": lead["rank"] in (2, 12)} for lead in LEADS]))
    assert shown(tab)[1] == f"{LEADS[1]['name']} new today"
    tab.select_option("#tier", label="New among today's calls")
    assert shown(tab) == [f"{LEADS[1]['name']} new today", f"{LEADS[11]['name']} new today random pick"]
    assert tab.inner_text("#whose") == "Everybody: new among today's calls"
    # A random pick says what it is, whatever stands before it.
    assert tab.locator(".pick", has_text="random").get_attribute("title") == "Added at random, whatever its score, to measure what scoring brings."
