"""Pictures that show the figures they are named after, with words on their axes."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from models import plots
from models.metrics import Judged, gain_curve, reliability_table
from models.segments import segments

RNG = np.random.default_rng(6)
ODDS = RNG.normal(-1, 1.5, 600)
NIGHTS = np.repeat(np.array(["2025-03-03", "2025-03-10", "2025-03-17"], "datetime64[us]"), 200)
WON = RNG.random(600) < 1 / (1 + np.exp(-ODDS))
ROWS = Judged(WON, ODDS, np.ones(600), np.array([f"L{n}" for n in range(600)], dtype=object), NIGHTS)
RACERS = {"points table": ROWS, "boosted trees": ROWS}
MOVED = pd.DataFrame({"bias": [-2.0, -2.0], "e-mail opens": [0.4, -0.6], "source": [0.1, 0.1]})
GROUPS = segments(ROWS, pd.DataFrame({"source": np.where(np.arange(600) % 3, "web", "ads"), "tier": np.where(WON, "A", "E")}))
PICTURES = {
    "gain": plots.gain(RACERS),
    "lift": plots.lift(RACERS),
    "reliability": plots.reliability(ROWS),
    "segments": plots.segments(GROUPS),
    "over time": plots.over_time(ROWS),
    "importance": plots.importance(MOVED),
}


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_has_a_title_and_axes_in_words_and_can_be_drawn(name: str) -> None:
    (axes,) = PICTURES[name].axes
    assert axes.get_title()
    assert axes.get_xlabel()
    assert axes.get_ylabel() or name in ("importance", "segments")
    PICTURES[name].savefig(drawn := BytesIO(), format="png")
    assert drawn.getvalue().startswith(b"\x89PNG")


def _line(figure: Figure, label: str) -> tuple[np.ndarray, np.ndarray]:
    (line,) = [line for line in figure.axes[0].get_lines() if line.get_label() == label]
    return np.asarray(line.get_xdata()), np.asarray(line.get_ydata())


def test_gain_shows_every_racer_and_what_random_order_finds() -> None:
    worked, found = _line(PICTURES["gain"], "boosted trees")
    curve = gain_curve(ROWS)
    np.testing.assert_array_equal(worked, curve["worked"])
    np.testing.assert_array_equal(found, curve["found"])
    assert [text.get_text() for text in PICTURES["gain"].axes[0].get_legend().get_texts()] == ["points table", "boosted trees", "random order"]


def test_nobody_is_missing_however_many_run() -> None:
    many = {f"racer {n}": ROWS for n in range(9)}
    for picture in (plots.gain(many), plots.lift(many)):
        assert [text.get_text() for text in picture.axes[0].get_legend().get_texts()] == [*many, "random order"]


def test_lift_falls_to_one_when_everybody_is_worked() -> None:
    worked, times = _line(PICTURES["lift"], "points table")
    assert (worked[-1], times[-1]) == (1.0, pytest.approx(1.0))
    assert times[0] > 2


def test_reliability_shows_predicted_against_realised() -> None:
    table = reliability_table(ROWS)
    (points,) = [c.lines[0] for c in PICTURES["reliability"].axes[0].containers]
    np.testing.assert_array_equal(points.get_xdata(), table["predicted"])
    np.testing.assert_array_equal(points.get_ydata(), table["realised"])


def test_groups_whose_calibration_fails_stand_apart() -> None:
    # The tier was made from the outcome: no honest prediction holds in it.
    holds, fails = PICTURES["segments"].axes[0].containers
    table = GROUPS.set_index("segment")["realised"]
    assert sorted(fails.lines[0].get_xdata()) == sorted(table[["A", "E"]])
    assert sorted(holds.lines[0].get_xdata()) == sorted(table[["web", "ads", "all leads"]])
    labels = {label.get_text() for label in PICTURES["segments"].axes[0].get_yticklabels()}
    assert labels == {"all leads", "source: web", "source: ads", "tier: A", "tier: E"}


def test_without_a_group_large_enough_the_picture_is_empty() -> None:
    few = ROWS.of(np.arange(600) < 10)
    assert plots.segments(segments(few, pd.DataFrame(index=range(10)))).axes[0].get_yticks().size == 0


def test_over_time_shows_the_mean_of_each_night() -> None:
    _, realised = _line(PICTURES["over time"], "realised")
    assert realised == pytest.approx([WON[:200].mean(), WON[200:400].mean(), WON[400:].mean()])


def test_importance_is_the_mean_size_of_what_a_field_adds_and_leaves_the_bias_out() -> None:
    (axes,) = PICTURES["importance"].axes
    bars = {label.get_text(): bar.get_width() for label, bar in zip(axes.get_yticklabels(), axes.patches, strict=True)}
    assert bars == {"source": pytest.approx(0.1), "e-mail opens": pytest.approx(0.5)}
