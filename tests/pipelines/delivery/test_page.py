"""The page of a night in a real browser: it opens without a network, answers a rep's hand, and shows whatever a CRM holds as text."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from playwright.sync_api import Error, Page, sync_playwright

from pipelines.delivery.night import Night
from pipelines.delivery.page import page

# One browser for all of them.
pytestmark = pytest.mark.xdist_group("browser")
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
SILENT = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
Row = dict[str, Any]
Open = Callable[..., Page]


def _lead(n: int) -> Row:
    """The lead of rank n: numbers scattered by multiples of primes, so that no two columns have the same order."""
    return {
        "rank": n,
        "owner_rank": n,
        "tier": "ABCDE"[min((n - 1) // 12, 4)],
        "lead_id": f"L{n:02}",
        "name": f"lead {n * 7 % 61:02}",
        "company": f"firm {n % 5}",
        "owner": ["ann", "bob", "cleo"][n % 3],
        "probability": (61 - n) / 100,
        "expected_value": None if n % 10 == 0 else float(n * 17 % 61 * 100),
        "change": None if n % 7 == 0 else (n * 13 % 61 - 30) / 100,
        "listed": n <= 12,
        "explored": n == 12,
        "reasons": [{"words": f"opened {n} e-mails", "contribution": 0.5}, {"words": "came in long ago", "contribution": -0.25}],
        "history": [["2025-05-30", 0.25], ["2025-05-31", 0.05], ["2025-06-01", (61 - n) / 100]],
    }


LEADS = [_lead(n) for n in range(1, 61)]


def _night(leads: list[Row] = LEADS, leads_frame: pd.DataFrame | None = None, **rest: Any) -> Night:
    frame = pd.DataFrame(leads).astype({"expected_value": float, "change": float}) if leads_frame is None else leads_frame
    return Night(
        **{"company": "Northwind", "currency": "EUR", "day": date(2025, 6, 1), "horizon_days": 90, "outcome": "sale", "leads": frame, **rest}
    )


@pytest.fixture(scope="module")
def watched() -> Iterator[tuple[Page, list[str], list[str]]]:
    """A tab of LEADSCORE_CHROMIUM, of what is on PATH, or of Playwright's own; its complaints; its requests."""
    named = [os.environ.get("LEADSCORE_CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"]
    found = next((path for name in named if name and (path := shutil.which(name))), None)
    complaints, requests = list[str](), list[str]()
    with sync_playwright() as play:
        try:
            browser = play.chromium.launch(executable_path=found, args=[*QUIET, *SILENT])
        except Error:
            if found:
                raise
            pytest.skip("no browser for the page: run tests/chromium, or name one in LEADSCORE_CHROMIUM")
        tab = browser.new_page(locale="en-US")
        tab.set_default_timeout(5_000)
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
        tab.on("request", lambda request: requests.append(request.url))
        yield tab, complaints, requests
        browser.close()


@pytest.fixture
def show(watched: tuple[Page, list[str], list[str]], tmp_path: Path) -> Iterator[Open]:
    """Open a night as a rep does; whatever the test then does, nothing may complain and nothing may be asked of a network."""
    tab, complaints, requests = watched
    complaints.clear()
    requests.clear()

    def go(night: Night, width: int = 1280) -> Page:
        (tmp_path / "index.html").write_bytes(page(night))
        tab.set_viewport_size({"width": width, "height": 800})
        tab.goto((tmp_path / "index.html").as_uri())
        return tab

    yield go
    assert complaints == []
    assert {request.split("#")[0] for request in requests} == {(tmp_path / "index.html").as_uri()}


def _shown(tab: Page, column: int = 1) -> list[str]:
    """The texts of a column, top to bottom."""
    return tab.eval_on_selector_all("tr.lead", f"rows => rows.map(row => row.cells[{column}].innerText.trim().split('\\n')[0])")


def _names(leads: list[Row]) -> list[str]:
    return [lead["name"] + (" random pick" if lead["explored"] else "") for lead in leads]


def _all(tab: Page) -> Page:
    tab.select_option("#tier", label="All open leads")
    return tab


def test_the_head_says_what_the_day_is_and_keeps_how_far_to_believe_it_folded(show: Open) -> None:
    tab = show(_night(belief=("It held on 9 of 10 nights.",), notices=("3 rows were refused.", "A field was left out.")))
    assert tab.title() == "Northwind: leads to call, Sunday, 01 June 2025"
    assert tab.inner_text("h1") == "Northwind: who to call first"
    assert tab.inner_text(".when") == "Sunday, 01 June 2025. Probability of a sale within 90 days."
    assert tab.inner_text("summary") == "How far to believe it 2"
    assert not tab.locator(".belief li").first.is_visible()
    tab.locator("summary").click()
    # What to mind today comes first; what an engineer asks for stands below.
    assert tab.locator(".belief li").all_inner_texts() == ["3 rows were refused.", "A field was left out.", "It held on 9 of 10 nights."]
    assert "20 % means: of 100 leads like it, about 20 come to a sale within 90 days." in tab.inner_text(".belief")


def test_without_a_notice_there_is_nothing_to_count(show: Open) -> None:
    assert show(_night(belief=("It held on 9 of 10 nights.",))).inner_text("summary") == "How far to believe it"


def _facts(tab: Page) -> list[str]:
    return [" ".join(fact.split()) for fact in tab.locator(".facts li").all_inner_texts()]


def test_the_facts_are_those_of_whoever_is_chosen(show: Open) -> None:
    tab = show(_night())
    assert _facts(tab) == [
        "12 leads to call today",
        "6.5 conversions expected among the leads listed for today",
        "60 open leads scored",
        "30.5 % average probability of all of them",
    ]
    tab.select_option("#owner", label="ann")
    assert _facts(tab) == [
        "4 leads to call today",
        "2.1 conversions expected among the leads listed for today",
        "20 open leads scored",
        "29.5 % average probability of all of these",
    ]


def test_one_lead_is_a_lead(show: Open) -> None:
    tab = show(_night(LEADS[:1]))
    assert tab.inner_text("#count") == "1 lead"
    assert _facts(tab)[:2] == ["1 lead to call today", "0.6 conversions expected among the lead listed for today"]
    assert _facts(tab)[2] == "1 open lead scored"


def test_a_rep_first_sees_todays_calls_best_first(show: Open) -> None:
    tab = show(_night())
    assert _shown(tab) == _names(LEADS[:12])
    assert (tab.inner_text("#whose"), tab.inner_text("#count")) == ("Everybody: calls today", "12 leads")
    first = [_shown(tab, column)[0] for column in range(7)]
    assert first == ["1 A", "lead 07", "bob", "60 %", "−17.0 pts", "1,700 EUR", "opened 1 e-mails"]
    assert _shown(tab, 5)[8:10] == ["3,100 EUR", ""]
    # The order at the start is marked like any other.
    assert tab.locator("th[aria-sort=ascending]").all_inner_texts() == ["Rank"]
    assert "tonight" not in tab.inner_text("body").lower()


def test_a_change_is_told_in_points_and_greyed_where_there_is_none(show: Open) -> None:
    changes = [0.0161, -0.004, 0.0004, None]
    tab = show(_night([{**LEADS[n], "change": change} for n, change in enumerate(changes)]))
    told = tab.eval_on_selector_all("td.change span", "all => all.map(span => [span.textContent, span.className])")
    assert told == [["+1.6 pts", "up"], ["−0.4 pts", "down"], ["same", "grey"], ["new", "grey"]]


def test_a_row_gives_two_reasons_for_and_one_against_with_the_usual_in_small(show: Open) -> None:
    told = [("a (usual: 1)", 0.9), ("b", 0.5), ("c", 0.2), ("d (usual: x (usual: 2))", -0.8), ("e", -0.1)]
    tab = show(_night([{**LEADS[0], "reasons": [{"words": words, "contribution": strength} for words, strength in told]}]))
    row = tab.locator("tr.lead")
    assert row.locator("li").all_inner_texts() == ["a (usual: 1)", "b", "d (usual: x (usual: 2))"]
    assert row.locator(".usual").all_text_contents() == [" (usual: 1)", " (usual: 2))"]
    size = "span => [getComputedStyle(span).fontSize, getComputedStyle(span.parentElement).fontSize].map(parseFloat)"
    small, large = row.locator(".usual").first.evaluate(size)
    assert small < large


def test_a_random_pick_says_why_it_is_there(show: Open) -> None:
    tab = show(_night())
    assert tab.locator(".pick").get_attribute("title") == "Added at random, whatever its score, to measure what scoring brings."
    assert "A random pick was added" in tab.inner_text("footer")
    assert "random" not in show(_night(LEADS[:3])).inner_text("body")


def test_rows_are_compact_and_the_page_uses_the_screen(show: Open) -> None:
    tab = show(_night(), width=1400)
    assert tab.eval_on_selector("#list", "list => list.offsetWidth") == 1240
    assert tab.eval_on_selector("td.lead", "cell => cell.offsetWidth") >= 150
    assert tab.eval_on_selector_all("tr.lead", "rows => Math.max(...rows.map(row => row.offsetHeight))") <= 60


def _ranked(key: str, backwards: bool) -> list[Row]:
    """Sorted by hand: what is missing comes last whichever way, equals in the order of rank."""
    known = [lead for lead in LEADS if lead[key] is not None]
    return sorted(known, key=lambda lead: lead[key], reverse=backwards) + [lead for lead in LEADS if lead[key] is None]


# The list comes by rank, so that the first click on it turns it round; numbers start with the most.
HEADS = [("Rank", "rank", 1), ("Lead", "name", 0), ("Owner", "owner", 0), ("Probability", "probability", 1)]
MORE_HEADS = [("Change", "change", 1), ("Expected value", "expected_value", 1)]


def test_a_click_on_a_head_sorts_by_it_and_another_turns_it_round(show: Open) -> None:
    tab = _all(show(_night()))
    for head, key, backwards in [*HEADS, *MORE_HEADS]:
        for way in (backwards, not backwards):
            tab.locator(f'th button:text-is("{head}")').click()
            assert _shown(tab) == _names(_ranked(key, bool(way))[:50])
            sorts = tab.eval_on_selector_all("th", "heads => heads.filter(h => h.ariaSort).map(h => [h.firstChild.textContent, h.ariaSort])")
            assert sorts == [[head, "descending" if way else "ascending"]]


def test_owner_tier_and_search_narrow_the_list_together(show: Open) -> None:
    tab = _all(show(_night()))
    assert tab.locator("#owner option").all_inner_texts() == ["Everybody", "ann", "bob", "cleo"]
    tiers = ["Today's calls", "All open leads", "Tier B", "Tier C", "Tier D", "Tier E"]
    assert tab.locator("#tier option").all_inner_texts() == tiers
    tab.select_option("#owner", label="bob")
    assert _shown(tab) == _names([lead for lead in LEADS if lead["owner"] == "bob"])
    tab.select_option("#tier", label="Tier B")
    assert _shown(tab) == _names([lead for lead in LEADS if lead["owner"] == "bob" and lead["tier"] == "B"])
    tab.fill("#find", "  FIRM 3 ")
    assert _shown(tab) == _names([lead for lead in LEADS if (lead["owner"], lead["tier"], lead["company"]) == ("bob", "B", "firm 3")])
    tab.select_option("#owner", label="Everybody")
    _all(tab)
    for words, expected in (("L07", [LEADS[6]]), ("lead 49", [LEADS[6]]), ("firm 2", [lead for lead in LEADS if lead["company"] == "firm 2"])):
        tab.fill("#find", words)
        assert _shown(tab) == _names(expected)
    tab.fill("#find", "nobody of that name")
    assert (_shown(tab), tab.inner_text("tr.none"), tab.inner_text("#count")) == ([], "No lead matches.", "0 leads")


def test_a_search_knows_no_accents_and_no_case(show: Open) -> None:
    tab = show(_night([{**LEADS[0], "name": "José Straße"}, {**LEADS[1], "company": "ØRSTED Łódź"}]))
    for words, name in (("jose", "José Straße"), ("STRASSE", "José Straße"), ("josé s", "José Straße"), ("orsted", "lead 14"), ("łodz", "lead 14")):
        tab.fill("#find", words)
        assert _shown(tab) == [name]


def test_a_search_says_where_the_lead_is_when_it_is_not_among_todays_calls_and_goes_there(show: Open) -> None:
    tab = show(_night())
    tab.fill("#find", "L60")
    assert tab.locator("#rows").inner_text().split("\t")[0] == "None among today's calls; 1 among all open leads.Show it"
    tab.get_by_role("button", name="Show it").click()
    assert (_shown(tab), tab.input_value("#find")) == ([LEADS[59]["name"]], "L60")
    # L60 is ann's.
    tab.select_option("#owner", label="bob")
    assert tab.inner_text("tr.none td").startswith("None among the open leads of bob; 1 among everybody's.")
    tab.get_by_role("button", name="Show it").click()
    assert (_shown(tab), tab.locator("#owner option:checked").inner_text()) == ([LEADS[59]["name"]], "Everybody")
    tab.select_option("#tier", label="Tier B")
    tab.fill("#find", "firm 4")
    tab.select_option("#owner", label="cleo")
    tab.select_option("#tier", label="Tier C")
    tab.fill("#find", "lead 14")
    assert tab.inner_text("tr.none td").startswith("None among tier C of cleo; 1 among all open leads of cleo.")


def test_nobodys_leads_can_be_chosen_by_that_name(show: Open) -> None:
    tab = _all(show(_night([{**LEADS[0], "owner": ""}, LEADS[1], {**LEADS[2], "owner": "zoe"}])))
    assert tab.locator("#owner option").all_inner_texts() == ["Everybody", "cleo", "zoe", "nobody"]
    tab.select_option("#owner", label="nobody")
    assert (_shown(tab), tab.inner_text("#whose")) == (["lead 07"], "nobody: all open leads")
    assert tab.evaluate("location.hash") == "#owner="


def test_owners_are_sorted_as_people_count(show: Open) -> None:
    owners = ["Rep 10", "Rep 2", "Rep 007", "rep 1", "Åke", "Zoe", "9" * 5000]
    tab = _all(show(_night([{**LEADS[n], "owner": owner} for n, owner in enumerate(owners)])))
    expected = ["9" * 5000, "Åke", "rep 1", "Rep 2", "Rep 007", "Rep 10", "Zoe"]
    assert tab.locator("#owner option").all_inner_texts() == ["Everybody", *expected]
    tab.locator('th button:text-is("Owner")').click()
    assert _shown(tab, 2) == expected


def test_the_owner_stays_in_the_address(show: Open) -> None:
    tab = show(_night([{**LEADS[n], "owner": owner} for n, owner in enumerate(["Ann & Bob=#1", "cleo", "cleo"])]))
    tab.select_option("#owner", label="Ann & Bob=#1")
    assert tab.evaluate("location.hash") == "#owner=Ann%20%26%20Bob%3D%231"
    tab.reload()
    assert _shown(tab) == ["lead 07"]
    tab.select_option("#owner", label="cleo")
    assert _shown(tab) == ["lead 14", "lead 21"]
    # Back is back to the list before.
    tab.go_back()
    tab.wait_for_function("document.querySelectorAll('tr.lead').length === 1")
    assert _shown(tab) == ["lead 07"]
    # A colleague who has left is nobody's choice.
    tab.evaluate("location.hash = 'owner=gone'")
    tab.wait_for_function("document.querySelectorAll('tr.lead').length === 3")
    assert tab.inner_text("#whose") == "Everybody: calls today"


def test_a_rep_counts_ones_own_list(show: Open) -> None:
    tab = show(_night([{**LEADS[n], "owner_rank": own} for n, own in ((0, 1), (3, 2), (6, 3))]))
    assert _shown(tab, 0) == ["1 A", "4 A", "7 A"]
    tab.select_option("#owner", label="bob")
    assert _shown(tab, 0) == ["1 A", "2 A", "3 A"]
    assert not tab.locator("td.owner").first.is_visible()


def _team(tab: Page) -> list[list[str]]:
    return tab.eval_on_selector_all(
        "#owners tr", "rows => rows.filter(row => row.offsetHeight).map(row => [...row.cells].map(cell => cell.innerText.trim()))"
    )


def test_a_manager_sees_the_team_and_goes_from_a_name_to_its_list(show: Open) -> None:
    tab = show(_night())
    assert _team(tab) == [
        ["bob", "4", "2.2", "", "lead 07 firm 1 60 %"],
        ["cleo", "4", "2.2", "", "lead 14 firm 2 59 %"],
        ["ann", "4", "2.1", "", "lead 21 firm 3 58 %"],
    ]
    assert "Expected conversions: among the leads listed for today, within 90 days." in tab.inner_text("#team")
    tab.get_by_role("button", name="cleo").click()
    assert _shown(tab) == _names([lead for lead in LEADS[:12] if lead["owner"] == "cleo"])
    # A table of the team is in the way of whoever looks for one owner, one tier or one lead.
    assert not tab.locator("#team").is_visible()
    tab.select_option("#owner", label="Everybody")
    assert tab.locator("#team").is_visible()
    _all(tab)
    assert not tab.locator("#team").is_visible()
    assert not show(_night(LEADS[:1])).locator("#team").is_visible()


def test_a_large_team_shows_its_first_five_until_asked_for_all(show: Open) -> None:
    owners = [{**LEADS[n], "owner": f"Rep {n}", "listed": n < 6, "explored": False} for n in range(7)]
    tab = show(_night(owners))
    assert [row[0] for row in _team(tab)] == ["Rep 0", "Rep 1", "Rep 2", "Rep 3", "Rep 4"]
    tab.get_by_role("button", name="Show all 7 owners").click()
    assert _team(tab)[5:] == [["Rep 5", "1", "0.6", "", "lead 42 firm 1 55 %"], ["Rep 6", "0", "0.0", "", "–"]]


def test_leads_beyond_the_limit_are_said_in_a_sentence_and_calls_are_never_left_out(show: Open) -> None:
    many = pd.DataFrame([{**LEADS[n % 60], "reasons": [], "history": [], "listed": n in (0, 50_001)} for n in range(50_003)])
    many = many.assign(rank=range(1, 50_004), lead_id=[f"L{n}" for n in range(50_003)]).astype({"expected_value": float, "change": float})
    tab = show(_night(leads_frame=many))
    said = "This page holds 50,001 of 50,003 open leads: all of today's calls and the best of the rest. leads.csv, beside it, holds every one."
    assert tab.inner_text(".beyond") == said
    assert (_shown(tab, 0), _facts(tab)[2]) == (["1 A", "50,002 B"], "50,003 open leads scored")
    _all(tab)
    assert (tab.inner_text("#count"), tab.inner_text("#at")) == ("50,001 leads", "1 to 50 of 50,001")
    assert show(_night()).locator(".beyond").count() == 0


def test_a_long_list_comes_in_pages(show: Open) -> None:
    tab = _all(show(_night()))
    back, forth = tab.locator("#back"), tab.locator("#next")
    assert (_shown(tab), tab.inner_text("#at")) == (_names(LEADS[:50]), "1 to 50 of 60")
    assert (back.is_disabled(), forth.is_disabled()) == (True, False)
    forth.click()
    assert (_shown(tab), tab.inner_text("#at")) == (_names(LEADS[50:]), "51 to 60 of 60")
    assert (back.is_disabled(), forth.is_disabled()) == (False, True)
    # Whoever narrows the list is back at its start.
    tab.select_option("#owner", label="ann")
    assert _shown(tab) == _names([lead for lead in LEADS if lead["owner"] == "ann"])
    assert not tab.locator("#pages").is_visible()
    tab.select_option("#owner", label="Everybody")
    forth.click()
    back.click()
    assert _shown(tab) == _names(LEADS[:50])


def test_opening_a_lead_adds_its_other_reasons_and_its_past_scores(show: Open) -> None:
    words = ["a", "b", "c", "d", "e"]
    told = [{"words": word, "contribution": strength} for word, strength in zip(words, [3.0, 2.0, 1.0, -2.0, -1.0], strict=True)]
    tab = show(_night([LEADS[0], {**LEADS[1], "reasons": told}]))
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
    tab = show(_night([{**LEADS[0], "history": [["2025-05-31", 0.6], ["2025-06-01", 0.6]]}]))
    tab.locator("tr.lead button").click()
    assert tab.locator("polyline").get_attribute("points") == "6.0,24.0 214.0,24.0"


def test_a_lead_scored_for_the_first_time_says_so(show: Open) -> None:
    # What the ledger gives: the history of a lead ends with the day itself.
    tab = show(_night([{**LEADS[0], "history": [["2025-06-01", 0.6]], "change": None}]))
    tab.locator("tr.lead button").click()
    assert "Scored for the first time." in tab.locator("tr.more").inner_text()


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


def test_whatever_a_crm_holds_is_shown_as_text_and_never_runs(show: Open) -> None:
    named = [{"name": text, "company": text, "owner": text, "lead_id": text, "reasons": [{"words": text, "contribution": 1.0}]} for text in HOSTILE]
    every = "".join(HOSTILE)
    tab = show(
        _night([{**LEADS[0], **hostile} for hostile in named], company=every, currency=every, outcome=every, belief=(every,), notices=(every,))
    )
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
    tab, complaints = show(_night()), watched[1]
    tab.evaluate("document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = 1'}))")
    tab.evaluate("document.body.insertAdjacentHTML('beforeend', '<p onclick=\"window.ran = 1\">x</p>'), document.body.lastChild.click()")
    fetched = "fetch('https://a.example').then(() => 'fetched', () => 'refused')"
    assert [tab.evaluate("window.ran"), tab.evaluate(fetched)] == [None, "refused"]
    assert len(complaints) >= 3
    assert all("Content Security Policy" in complaint for complaint in complaints)
    complaints.clear()


def test_everything_can_be_reached_and_used_without_a_mouse(show: Open) -> None:
    tab = _all(show(_night(LEADS[:2])))
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
    assert _shown(tab) == ["lead 07"]


def test_at_the_width_of_a_phone_nothing_is_wider_than_the_screen(show: Open) -> None:
    parts = "h1, .when, .facts *, .belief *, .bar *, .title *, #team *, tr.lead *, tr.more *, tr.none *, #pages *, footer *"
    outside = "all => all.filter(e => e.getBoundingClientRect().right > innerWidth).map(e => e.outerHTML)"
    for word in ("word", "W" * 90):
        lead = {**LEADS[0], "name": word, "company": word, "owner": word, "lead_id": word, "reasons": [{"words": word, "contribution": 1.0}]}
        night = _night([lead, *LEADS[1:]], company=word, outcome=word, belief=(word,), notices=(word,), currency=word)
        tab = show(night, width=390)
        tab.locator("summary").click()
        tab.locator("tr.lead button").first.click()
        assert tab.evaluate("document.documentElement.scrollWidth") == 390
        assert tab.eval_on_selector_all(parts, outside) == []
        tab.fill("#find", word + "?")
        assert tab.evaluate("document.documentElement.scrollWidth") == 390


def test_on_a_phone_each_lead_is_a_card_and_facts_stand_two_by_two(show: Open) -> None:
    tab = show(_night(), width=390)
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


def test_on_a_phone_a_select_sorts(show: Open) -> None:
    tab = _all(show(_night(), width=390))
    assert not tab.locator("#list thead").is_visible()
    assert tab.locator("#sort option").all_inner_texts() == [head for head, _, _ in [*HEADS, *MORE_HEADS]]
    for head, key, backwards in [*HEADS[1:], *MORE_HEADS, ("Rank", "rank", 0)]:
        tab.select_option("#sort", label=head)
        assert _shown(tab) == _names(_ranked(key, bool(backwards))[:50])
    assert not show(_night()).locator("#sort").is_visible()


def test_paper_says_whose_list_it_is_and_has_all_its_rows(show: Open) -> None:
    tab = _all(show(_night()))
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


def test_the_same_night_gives_the_same_bytes() -> None:
    assert page(_night()) == page(_night([_lead(n) for n in range(1, 61)]))


def test_a_lead_without_a_name_is_known_by_its_id_and_one_without_an_owner_is_nobodys(show: Open) -> None:
    tab = show(_night([{**LEADS[0], "name": "", "owner": ""}]))
    assert [_shown(tab, column)[0] for column in (1, 2)] == ["L01", "nobody"]


def test_leads_without_a_name_are_sorted_by_what_they_are_shown_as(show: Open) -> None:
    tab = show(_night([{**LEADS[n], "name": name, "lead_id": lead} for n, (name, lead) in enumerate([("", "c"), ("", "a"), ("b", "z")])]))
    tab.locator('th button:text-is("Lead")').click()
    assert _shown(tab) == ["a", "b", "c"]
