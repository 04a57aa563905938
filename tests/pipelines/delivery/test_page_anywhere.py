"""The same page by keyboard, on a phone and on paper."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from nights import LEADS, all_open, night, shown
from playwright.sync_api import Page

# One browser for all of them.
pytestmark = pytest.mark.xdist_group("browser")
Open = Callable[..., Page]


def test_everything_can_be_reached_and_used_without_a_mouse(show: Open) -> None:
    tab = all_open(show(night(LEADS[:2])))
    where = "document.activeElement.id || document.activeElement.innerText || document.activeElement.tagName"
    tab.locator("summary").focus()
    reached = [tab.evaluate(where)]
    while len(reached) < 12:
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate(where))
    heads = ["Rank", "Lead", "Owner", "Probability", "Change", "Expected value"]
    assert reached == ["How far to believe it", "owner", "tier", "find", *heads, "lead 07", "lead 14"]
    # Who tabs sees where they are.
    assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    tab.keyboard.press("Enter")
    assert tab.locator("tr.more").inner_text().startswith("Past scores")
    tab.keyboard.press("Space")
    assert tab.locator("tr.more").count() == 0
    tab.locator('th button:text-is("Lead")').press("Enter")
    assert tab.locator("th[aria-sort=ascending]").inner_text().startswith("Lead")
    tab.locator("#owner").press("b")
    assert shown(tab) == ["lead 07"]


def test_at_the_width_of_a_phone_nothing_is_wider_than_the_screen(show: Open) -> None:
    parts = "h1, .when, .facts *, .belief *, .bar *, .title *, #team *, tr.lead *, tr.more *, tr.none *, #pages *, footer *"
    outside = "all => all.filter(e => e.getBoundingClientRect().right > innerWidth).map(e => e.outerHTML)"
    for word in ("word", "W" * 90):
        lead = {**LEADS[0], "name": word, "company": word, "owner": word, "lead_id": word, "reasons": [{"words": word, "contribution": 1.0}]}
        wide = night([lead, *LEADS[1:]], company=word, outcome=word, belief=(word,), notices=(word,), currency=word)
        tab = show(wide, width=390)
        tab.locator("summary").click()
        tab.locator("tr.lead button").first.click()
        assert tab.evaluate("document.documentElement.scrollWidth") == 390
        assert tab.eval_on_selector_all(parts, outside) == []
        tab.fill("#find", word + "?")
        assert tab.evaluate("document.documentElement.scrollWidth") == 390


def test_on_a_phone_each_lead_is_a_card_and_facts_stand_two_by_two(show: Open) -> None:
    tab = show(night(), width=390)
    where = "all => all.map(e => e.getBoundingClientRect()).map(box => [Math.round(box.left), Math.round(box.top)])"
    facts = tab.eval_on_selector_all(".facts li", where)
    assert [len({left for left, _ in facts}), len({top for _, top in facts})] == [2, 2]
    controls = tab.eval_on_selector_all("#owner, #tier, #sort, #find", where)
    assert [len({left for left, _ in controls}), len({top for _, top in controls})] == [2, 2]
    labels = tab.eval_on_selector_all("tr.lead:first-child td", "cells => cells.map(cell => getComputedStyle(cell, '::before').content)")
    assert [label.replace('"', "").strip() for label in labels] == ["none", "none", "none", "none", "Change", "Value", "none"]
    left, right = (tab.locator(f"tr.lead:first-child td.{part}").bounding_box() for part in ("lead", "p"))
    assert left is not None
    assert right is not None
    assert left["x"] + left["width"] < right["x"]


def test_paper_says_whose_list_it_is_and_has_all_its_rows(show: Open) -> None:
    tab = all_open(show(night()))
    tab.evaluate("addEventListener('beforeprint', () => { window.printed = document.querySelectorAll('tr.lead').length; })")
    tab.locator("#next").click()
    assert tab.pdf().startswith(b"%PDF")
    assert tab.evaluate("window.printed") == 60
    # Afterwards the reader is where they were.
    assert tab.inner_text("#at") == "51 to 60 of 60"
    tab.select_option("#owner", label="ann")
    tab.emulate_media(media="print")
    try:
        assert tab.locator("#whose").is_visible()
        assert tab.inner_text("#whose") == "ann: all open leads"
        assert not tab.locator(".bar").is_visible()
    finally:
        tab.emulate_media(media="null")
