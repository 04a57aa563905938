"""A manager sees the team; a rep counts the own list."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from nights import LEADS, all_open, names, night, shown
from playwright.sync_api import Page

# One browser for all of them.
pytestmark = pytest.mark.xdist_group("browser")
Open = Callable[..., Page]


def _team(tab: Page) -> list[list[str]]:
    return tab.eval_on_selector_all(
        "#owners tr",
        "rows => rows.filter(row => row.offsetHeight).map(row => [...row.cells].filter(cell => cell.offsetWidth).map(cell => cell.innerText.trim()))",
    )


def test_a_rep_counts_ones_own_list(show: Open) -> None:
    tab = show(night([{**LEADS[n], "owner_rank": own} for n, own in ((0, 1), (3, 2), (6, 3))]))
    assert shown(tab, 0) == ["1 A", "4 A", "7 A"]
    tab.select_option("#owner", label="bob")
    assert shown(tab, 0) == ["1 A", "2 A", "3 A"]
    assert not tab.locator("td.owner").first.is_visible()


def test_a_manager_sees_the_team_and_goes_from_a_name_to_its_list(show: Open) -> None:
    tab = show(night())
    assert _team(tab) == [
        ["bob", "4", "2.2 (1 to 3)", "", "lead 07 firm 1 60 %"],
        ["cleo", "4", "2.2 (1 to 3)", "", "lead 14 firm 2 59 %"],
        ["ann", "4", "2.1 (1 to 3)", "", "lead 21 firm 3 58 %"],
    ]
    assert "Expected conversions: among the leads listed for today, within 90 days; in brackets, between what and what in 8 of 10" in tab.inner_text(
        "#team"
    )
    tab.get_by_role("button", name="cleo").click()
    assert shown(tab) == names([lead for lead in LEADS[:12] if lead["owner"] == "cleo"])
    # A table of the team is in the way of whoever looks for one owner, one tier or one lead.
    assert not tab.locator("#team").is_visible()
    tab.select_option("#owner", label="Everybody")
    assert tab.locator("#team").is_visible()
    all_open(tab)
    assert not tab.locator("#team").is_visible()
    assert not show(night(LEADS[:1])).locator("#team").is_visible()


def test_a_large_team_shows_its_first_five_until_asked_for_all(show: Open) -> None:
    owners = [{**LEADS[n], "owner": f"Rep {n}", "listed": n < 6, "explored": False} for n in range(7)]
    tab = show(night(owners))
    assert [row[0] for row in _team(tab)] == ["Rep 0", "Rep 1", "Rep 2", "Rep 3", "Rep 4"]
    tab.get_by_role("button", name="Show all 7 owners").click()
    assert _team(tab)[5:] == [
        ["Rep 5", "1", "0.6 (0 to 1)", "4.1K EUR (0 to 7.5K)", "", "lead 42 firm 1 55 %"],
        ["Rep 6", "0", "0.0 (0)", "–", "", "–"],
    ]
