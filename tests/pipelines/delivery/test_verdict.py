"""What a head of sales reads of a gate: the verdict first, then why, then what was asked; on a desk and on a phone."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import learnable
import pytest
from playwright.sync_api import Page

from features.plan import Plan
from models.baseline import fit_points
from models.calibration import Calibration
from models.gate import Check, Compared, Decision
from models.metrics import Estimate
from models.scorer import Scorer
from pipelines.delivery.verdict import verdict

pytestmark = pytest.mark.xdist_group("browser")
MODEL = fit_points(learnable.examples(leads=60, weeks=4), learnable.FEATURES)
SCORER = Scorer(MODEL, Calibration(), Plan(), learnable.FEATURES, datetime(2025, 1, 22, 2), datetime(2025, 5, 1), 0.2, {}, None)
FIGURES = {
    "log_loss": Compared(0.2128, 0.2304, Estimate(-0.0176, -0.0228, -0.0121)),
    "gain_at_capacity": Compared(0.804, 0.831, Estimate(-0.027, -0.05, -0.006)),
    "calibration_slope": Compared(0.998, 1.021, Estimate(0.0, -0.0513, 0.0488)),
}
CHECKS = (
    Check("log_loss", True, "log-loss changed by -0.018 (-0.023 to -0.012): better beyond doubt"),
    Check("gain_at_capacity", False, "gain at capacity is worse by -0.027 (-0.050 to -0.006)"),
    Check("calibration_slope", True, "its calibration slope is 1.00, the champion's 1.02, and 1 is perfect"),
    Check("segments", False, "log-loss is worse beyond doubt for source: <b>fair</b> (by 0.007 (0.001 to 0.014))"),
    Check("list_change", True, "86 of the 600 leads on tonight's list would change (14%)"),
)
REFUSED = Decision(False, (CHECKS[0].said, CHECKS[1].said, CHECKS[3].said), FIGURES, CHECKS, "1,358 leads on 31 nights")


def _words(decision: Decision, company: str = "Northwind") -> str:
    page = re.sub(r"<style>.*?</style>", "", verdict(decision, company, SCORER), flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_a_refusal_says_so_first_then_why_then_what_was_asked() -> None:
    words = _words(REFUSED)
    order = [
        "Refused: the champion stays",
        "2 of 5 questions went against it.",
        "Gain at capacity is worse by -0.027",
        "What was asked",
        "1,358 leads",
    ]
    assert [words.index(part) for part in order] == sorted(words.index(part) for part in order)
    assert "0.2128 0.2304 -0.0176 (-0.0228 to -0.0121) yes" in words
    assert "80.4% 83.1% -2.7 points (-5.0 to -0.6) no" in words
    assert "0.998 1.021 +0% (-5% to +5%) yes" in words
    assert "86 of the 600 leads on tonight&#39;s list would change (14%). yes" in words


def test_a_promotion_says_that_the_champion_is_replaced() -> None:
    promoted = replace(REFUSED, promote=True, reasons=REFUSED.reasons[:1], checks=CHECKS[:1])
    assert "Promoted: it replaces the champion Its probabilities are truer beyond doubt, and nothing that sales feels is worse." in _words(promoted)


def test_the_first_model_has_nobody_to_beat() -> None:
    words = _words(Decision(True, ("there was no champion",)))
    assert "Promoted: it is the first model There was no champion to compare it with." in words
    assert "What was asked" not in words


def test_what_could_not_be_judged_is_refused_with_the_reason() -> None:
    words = _words(Decision(False, ("only 3 conversions ripened since the champion learned; 20 are needed to judge",)))
    assert "Refused: the champion stays It could not be judged, and what cannot be judged is not promoted." in words
    assert "Only 3 conversions ripened since the champion learned; 20 are needed to judge." in words


def test_names_are_text_and_nothing_runs_or_is_fetched() -> None:
    page = verdict(REFUSED, "<script>alert(1)</script>", SCORER)
    assert "<script" not in page
    assert "<b>fair" not in page
    assert "default-src 'none'; style-src 'sha256-" in page
    assert not re.search(r"(src|href)=", page)


@pytest.mark.parametrize("width", [1_200, 390])
def test_it_fits_a_desk_and_a_phone_and_breaks_no_rule_of_its_own(watched: tuple[Page, list[str], list[str]], tmp_path: Path, width: int) -> None:
    tab, complaints, requests = watched
    complaints.clear()
    requests.clear()
    (tmp_path / "gate.html").write_text(verdict(REFUSED, "Northwind", SCORER), encoding="utf-8")
    tab.set_viewport_size({"width": width, "height": 900})
    tab.goto((tmp_path / "gate.html").as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    assert tab.locator("h1").bounding_box()["y"] < 120  # type: ignore[index]
    # The style is let through by its hash, so that the verdict has its colour.
    assert tab.evaluate("getComputedStyle(document.querySelector('h1')).color") == "rgb(163, 58, 18)"
    assert (complaints, requests) == ([], [(tmp_path / "gate.html").as_uri()])
