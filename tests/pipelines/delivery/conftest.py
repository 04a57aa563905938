"""One real browser for every test of the page."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Error, Page, sync_playwright

from pipelines.delivery.night import Night
from pipelines.delivery.page import page

QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
SILENT = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
Open = Callable[..., Page]


@pytest.fixture(scope="session")
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
