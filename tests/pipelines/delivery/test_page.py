"""The page of a night in a real browser: it opens without a network and shows whatever a CRM holds as text."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from nights import LEADS, facts, lead, names, night, shown
from playwright.sync_api import Page

from features.outcome import WORDS
from pipelines.delivery.page import page

# One browser for all of them.
pytestmark = pytest.mark.xdist_group("browser")
Open = Callable[..., Page]


HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "</script x><img src=x>",
    "<!--<script>",
    "]]>",
    "{{ 7 * 7 }}{% raw %}",
    "\"'&amp;&lt;`${alert(1)}`\\u003c",
    "a\u2028b\u2029c\u202ed",
    "javascript:alert(1)",
]


def test_the_head_says_what_the_day_is_and_keeps_how_far_to_believe_it_folded(show: Open) -> None:
    tab = show(night(belief=("It held on 9 of 10 nights.",), notices=("3 rows were refused.", "A field was left out.")))
    assert tab.title() == "Northwind: leads to call, Sunday, 01 June 2025"
    assert tab.inner_text("h1") == "Northwind: who to call first"
    assert tab.inner_text(".when") == "Sunday, 01 June 2025. Probability of a sale within 90 days."
    assert tab.inner_text("summary") == "How far to believe it 2"
    assert not tab.locator(".belief li").first.is_visible()
    tab.locator("summary").click()
    # What to mind today comes first; what an engineer asks for stands below.
    assert tab.locator(".belief li").all_inner_texts() == ["3 rows were refused.", "A field was left out.", "It held on 9 of 10 nights."]
    assert "20 % means: of 100 leads like it, about 20 come to a sale within 90 days." in tab.inner_text(".belief")


def test_a_list_of_who_leaves_never_speaks_of_who_buys(show: Open) -> None:
    tab = show(night(outcome="churn", words=WORDS["churn"]))
    assert tab.title() == "Northwind: customers to call, Sunday, 01 June 2025"
    assert tab.inner_text("h1") == "Northwind: who is likely to leave"
    assert tab.inner_text(".when") == "Sunday, 01 June 2025. Probability to leave within 90 days."
    assert facts(tab)[:3] == [
        "12 customers to call today",
        "6.5 losses expected among the customers listed for today, 4 to 9 in 8 of 10 cases",
        "60 customers scored",
    ]
    tab.locator("summary").click()
    assert "20 % means: of 100 customers like it, about 20 leave within 90 days. It speaks of many such customers" in tab.inner_text(".belief")
    all_of_them = tab.locator("#tier option").all_inner_texts()[1]
    tab.select_option("#tier", label=all_of_them)
    assert (all_of_them, tab.inner_text("#whose"), tab.inner_text("#count")) == ("All customers", "Everybody: all customers", "60 customers")
    cranes = show(night(outcome="cranes given back", words=WORDS["churn"]))
    assert cranes.inner_text(".when") == "Sunday, 01 June 2025. Probability to leave (cranes given back) within 90 days."
    assert not re.search(r"lead(?! \d\d)|buy|conver", tab.inner_text("body"))


def test_without_a_notice_there_is_nothing_to_count(show: Open) -> None:
    assert show(night(belief=("It held on 9 of 10 nights.",))).inner_text("summary") == "How far to believe it"


def test_the_facts_are_those_of_whoever_is_chosen(show: Open) -> None:
    tab = show(night())
    assert facts(tab) == [
        "12 leads to call today",
        "6.5 conversions expected among the leads listed for today, 4 to 9 in 8 of 10 cases",
        "60 open leads scored",
        "30.5 % average probability of all of them",
    ]
    tab.select_option("#owner", label="ann")
    assert facts(tab) == [
        "4 leads to call today",
        "2.1 conversions expected among the leads listed for today, 1 to 3 in 8 of 10 cases",
        "14.4K EUR expected of these calls, 6K to 22K in 8 of 10 cases",
        "20 open leads scored",
        "29.5 % average probability of all of these",
    ]


def test_one_lead_is_a_lead(show: Open) -> None:
    tab = show(night(LEADS[:1]))
    assert tab.inner_text("#count") == "1 lead"
    assert facts(tab)[:2] == ["1 lead to call today", "0.6 conversions expected among the lead listed for today, 0 to 1 in 8 of 10 cases"]
    assert facts(tab)[2:4] == ["1.7K EUR expected of these calls, 0 to 2.8K in 8 of 10 cases", "1 open lead scored"]


def test_a_rep_first_sees_todays_calls_best_first(show: Open) -> None:
    tab = show(night())
    assert shown(tab) == names(LEADS[:12])
    assert (tab.inner_text("#whose"), tab.inner_text("#count")) == ("Everybody: calls today", "12 leads")
    first = [shown(tab, column)[0] for column in range(7)]
    assert first == ["1 A", "lead 07", "bob", "60 %", "−17.0 pts", "1,700 EUR", "opened 1 e-mails"]
    assert shown(tab, 5)[8:10] == ["3,100 EUR", ""]
    # The order at the start is marked like any other.
    assert tab.locator("th[aria-sort=ascending]").all_inner_texts() == ["Rank"]
    assert "tonight" not in tab.inner_text("body").lower()


def test_a_change_is_told_in_points_and_greyed_where_there_is_none(show: Open) -> None:
    changes = [0.0161, -0.004, 0.0004, None]
    tab = show(night([{**LEADS[n], "change": change} for n, change in enumerate(changes)]))
    told = tab.eval_on_selector_all("td.change span", "all => all.map(span => [span.textContent, span.className])")
    assert told == [["+1.6 pts", "up"], ["−0.4 pts", "down"], ["same", "grey"], ["new", "grey"]]


def test_a_row_gives_two_reasons_for_and_one_against_with_the_usual_in_small(show: Open) -> None:
    told = [
        ("a (usual: 1)", 0.9),
        ("b (x) (converted 3.1 times as often as the average)", 0.5),
        ("c", 0.2),
        ("d (usual: x (usual: 2))", -0.8),
        ("e", -0.1),
    ]
    tab = show(night([{**LEADS[0], "reasons": [{"words": words, "contribution": strength} for words, strength in told]}]))
    row = tab.locator("tr.lead")
    assert row.locator("li").all_inner_texts() == ["a (usual: 1)", "b (x) (converted 3.1 times as often as the average)", "d (usual: x (usual: 2))"]
    assert row.locator(".usual").all_text_contents() == [" (usual: 1)", " (converted 3.1 times as often as the average)", " (usual: 2))"]
    size = "span => [getComputedStyle(span).fontSize, getComputedStyle(span.parentElement).fontSize].map(parseFloat)"
    small, large = row.locator(".usual").first.evaluate(size)
    assert small < large


def test_a_random_pick_says_why_it_is_there(show: Open) -> None:
    tab = show(night())
    assert tab.locator(".pick").get_attribute("title") == "Added at random, whatever its score, to measure what scoring brings."
    assert "A random pick was added" in tab.inner_text("footer")
    assert "random" not in show(night(LEADS[:3])).inner_text("body")


def test_rows_are_compact_and_the_page_uses_the_screen(show: Open) -> None:
    tab = show(night(), width=1400)
    assert tab.eval_on_selector("#list", "list => list.offsetWidth") == 1240
    assert tab.eval_on_selector("td.lead", "cell => cell.offsetWidth") >= 150
    assert tab.eval_on_selector_all("tr.lead", "rows => Math.max(...rows.map(row => row.offsetHeight))") <= 60


def test_opening_a_lead_adds_its_other_reasons_and_its_past_scores(show: Open) -> None:
    words = ["a", "b", "c", "d", "e"]
    told = [{"words": word, "contribution": strength} for word, strength in zip(words, [3.0, 2.0, 1.0, -2.0, -1.0], strict=True)]
    tab = show(night([LEADS[0], {**LEADS[1], "reasons": told}]))
    button = tab.get_by_role("button", name="lead 14")
    row, more = tab.locator("tr.lead").nth(1), tab.locator("tr.more")
    assert row.locator("li").all_inner_texts() == ["a", "b", "d"]
    button.click()
    assert button.get_attribute("aria-expanded") == "true"
    # Each reason once, all of them in the row.
    assert row.locator("li").all_inner_texts() == words
    assert more.locator("li").count() == 0
    assert more.get_by_role("img").get_attribute("aria-label") == "Past scores: 2025-05-30 25 %, 2025-05-31 5.0 %, 2025-06-01 59 %"
    assert [" ".join(end.split()) for end in more.locator(".past > div").all_inner_texts()] == ["25 % 2025-05-30", "59 % 2025-06-01"]
    # From the least, 5 %, at the bottom to the most, 59 %, at the top.
    heights = [float(point.split(",")[1]) for point in str(more.locator("polyline").get_attribute("points")).split()]
    assert heights == [28.7, 42.0, 6.0]
    assert " ".join(more.locator("dl").inner_text().split()) == "Lead L02 Tier A: call today Place 2 of 1 of cleo, 2 of 2 in all"
    button.click()
    assert more.count() == 0
    assert button.get_attribute("aria-expanded") == "false"
    assert row.locator("li").all_inner_texts() == ["a", "b", "d"]
    # A tap anywhere on the row does the same.
    row.locator("td.p").click()
    assert more.count() == 1


def test_scores_that_never_moved_are_a_level_line(show: Open) -> None:
    tab = show(night([{**LEADS[0], "history": [["2025-05-31", 0.6], ["2025-06-01", 0.6]]}]))
    tab.locator("tr.lead button").click()
    assert tab.locator("polyline").get_attribute("points") == "6.0,24.0 214.0,24.0"


def test_a_lead_scored_for_the_first_time_says_so(show: Open) -> None:
    # What the ledger gives: the history of a lead ends with the day itself.
    tab = show(night([{**LEADS[0], "history": [["2025-06-01", 0.6]], "change": None}]))
    tab.locator("tr.lead button").click()
    assert "Scored for the first time." in tab.locator("tr.more").inner_text()


def test_whatever_a_crm_holds_is_shown_as_text_and_never_runs(show: Open) -> None:
    named = [{"name": text, "company": text, "owner": text, "lead_id": text, "reasons": [{"words": text, "contribution": 1.0}]} for text in HOSTILE]
    every = "".join(HOSTILE)
    tab = show(night([{**LEADS[0], **hostile} for hostile in named], company=every, currency=every, outcome=every, belief=(every,), notices=(every,)))
    for button in tab.locator("tr.lead button").all():
        button.click()
    places = ["tr.lead button", "tr.lead .company", "tr.lead td.owner", "tr.lead li", "tr.more dd:nth-of-type(1)", "#owner option:not([value=''])"]
    assert [sorted(tab.locator(place).all_text_contents()) for place in places] == [sorted(HOSTILE)] * 6
    assert tab.locator(".belief li").all_text_contents() == [every, every]
    assert every in str(tab.locator(".belief p").text_content())
    assert tab.locator("h1").text_content() == f"{every}: who to call first"
    # Nothing came to life: the page has the two scripts it was made with, and no picture, frame or link.
    assert tab.locator("script").count() == 2
    assert tab.locator("img, iframe, object, embed, a, link:not([rel=icon])").count() == 0
    for text in HOSTILE:
        tab.select_option("#owner", str(tab.locator("#owner option").all_text_contents().index(text) - 1))
        tab.fill("#find", text)
        assert tab.locator("tr.lead td.owner").all_text_contents() == [text]
        assert tab.locator("#whose bdi").text_content() == text


def test_the_pages_own_policy_lets_nothing_else_run_and_nothing_be_fetched(show: Open, watched: tuple[Page, list[str], list[str]]) -> None:
    tab, complaints = show(night()), watched[1]
    tab.evaluate("document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = 1'}))")
    tab.evaluate("document.body.insertAdjacentHTML('beforeend', '<p onclick=\"window.ran = 1\">x</p>'), document.body.lastChild.click()")
    fetched = "fetch('https://a.example').then(() => 'fetched', () => 'refused')"
    assert [tab.evaluate("window.ran"), tab.evaluate(fetched)] == [None, "refused"]
    assert len(complaints) >= 3
    assert all("Content Security Policy" in complaint for complaint in complaints)
    complaints.clear()


def test_the_same_night_gives_the_same_bytes() -> None:
    assert page(night()) == page(night([lead(n) for n in range(1, 61)]))


def test_a_lead_without_a_name_is_known_by_its_id_and_one_without_an_owner_is_nobodys(show: Open) -> None:
    tab = show(night([{**LEADS[0], "name": "", "owner": ""}]))
    assert [shown(tab, column)[0] for column in (1, 2)] == ["L01", "nobody"]
