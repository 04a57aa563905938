"""What the rules, marketing and people by hand said of a lead can be seen, found and read aloud."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from nights import LEADS, all_open, night, shown
from playwright.sync_api import Page

from pipelines.delivery.goals import Goals

# One browser for all of them.
pytestmark = pytest.mark.xdist_group("browser")
Open = Callable[..., Page]
PLAIN: dict[str, Any] = {
    "source": "",
    "territory": "",
    "new": False,
    "left_out": "",
    "by_hand": None,
    "grade": "B2",
    "fit": 50,
    "engagement": 50,
    "qualified": False,
}
HOT = {**LEADS[0], **PLAIN, "grade": "A1", "fit": 62, "engagement": 71, "qualified": True, "next_step": "one more call"}
OUT = {**LEADS[12], **PLAIN, "left_out": "unsubscribed"}
PINNED = {**LEADS[1], **PLAIN, "by_hand": "place 1 by ann until 2025-07-01: met at the fair"}
KNOWN = {
    **LEADS[2],
    **PLAIN,
    "source": "web",
    "territory": "north",
    "new": True,
    "diary": [["2025-05-31", "us", "call", 2], ["2025-05-30", "lead", "e_mail", 1]],
}
NIGHT = night([KNOWN, HOT, PINNED, OUT, *({**lead, **PLAIN} for lead in LEADS[3:12])], goals=Goals({"ann": 9_000.0}))


def _told(tab: Page, name: str) -> dict[str, str]:
    tab.locator(f'tr.lead button:text-is("{name}")').click()
    return dict(zip(tab.locator("tr.more dt").all_inner_texts(), tab.locator("tr.more dd").all_inner_texts(), strict=True))


def test_a_lead_that_is_left_out_says_why_and_can_be_listed(show: Open) -> None:
    tab = show(NIGHT)
    tab.select_option("#tier", label="Left out today")
    assert shown(tab) == [f"{OUT['name']} left out"]
    assert tab.inner_text("#whose") == "Everybody: left out today"
    assert _told(tab, OUT["name"])["Left out"] == "unsubscribed"


def test_what_a_person_decided_is_shown_as_theirs(show: Open) -> None:
    tab = show(NIGHT)
    assert f"{PINNED['name']} by hand" in shown(tab)
    told = _told(tab, PINNED["name"])
    assert (told["By hand"], "Left out" in told) == ("place 1 by ann until 2025-07-01: met at the fair", False)


def test_marketing_sees_the_grid_and_whom_it_hands_over(show: Open) -> None:
    tab = all_open(show(NIGHT))
    told = _told(tab, HOT["name"])
    assert told["Grade"] == "A1: fit 62, engagement 71; qualified"
    assert told["What would change it"] == "one more call"
    tab.select_option("#tier", label="Qualified")
    assert shown(tab) == [HOT["name"]]


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(show: Open, width: int, scheme: str) -> None:
    tab = show(NIGHT, width=width)
    tab.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    tab.locator("summary").click()
    tab.locator("tr.lead button").first.click()
    found = Axe().run(tab).response["violations"]
    tab.emulate_media(color_scheme="light")
    assert [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")] == []
