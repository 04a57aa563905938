"""A field written at the end is missed tonight; a world that moves is not accused of it."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from closings import FIELD, NIGHT, Story, honest, traps

from features.likeness import Nights, Shift, Thresholds, accusation, drift, shift, shifts


@pytest.fixture
def story() -> Story:
    """One company, drawn anew for each test, so that their order changes nothing."""
    return Story()


def _shift(story: Story, values: Any) -> Shift:
    return shift(story.nights(values), FIELD)


@pytest.mark.parametrize("name", traps(Story()))
def test_a_field_that_is_written_when_a_lead_ends_is_accused(story: Story, name: str) -> None:
    found = _shift(story, traps(story)[name])
    assert found.accused(Thresholds()), found
    assert accusation(found).method == "tonight"


@pytest.mark.parametrize("name", honest(Story()))
def test_an_honest_field_is_not_accused_however_it_drifts(story: Story, name: str) -> None:
    found = _shift(story, honest(story)[name])
    assert not found.accused(Thresholds()), found


def test_the_evidence_is_told_in_figures() -> None:
    past = pd.DataFrame({"lead_id": [f"p{n}" for n in range(400)], "as_of": NIGHT - pd.Timedelta(days=97), "lead_age_days": 10.0})
    past = past.assign(ending=["won"] * 100 + [None] * 300, lead__field=["C-1"] * 100 + [None] * 300)
    tonight = pd.DataFrame({"lead_id": [f"t{n}" for n in range(100)], "as_of": NIGHT, "lead_age_days": 10.0, "lead__field": None})
    found = shift(Nights(past, tonight), FIELD)
    # One half of the distance's square is the winners' quarter against nothing, the other what the rest gains by it.
    assert found.distance == pytest.approx(0.372, abs=0.001)
    # Winners' worth is (100 + 5) / (25 + 5) and that of the others 5 / (75 + 5): 0.0625 over the mean of both.
    assert found.promise == pytest.approx(0.0625 / (0.25 * 3.5 + 0.75 * 0.0625))
    assert accusation(found).sentence == (
        "'field' (leads) is not used: it is filled for 25% of the leads of past nights and 0% of tonight's (Jensen-Shannon distance 0.37), and by "
        "its values tonight's leads would become customers 0.07 times as often as those did; it seems to be written when a lead ends, so map its "
        "field history, or allow it if it is known before."
    )


def test_drift_is_told_without_an_accusation(story: Story) -> None:
    found = _shift(story, honest(story)["campaigns that come and go"])
    assert found.excess > Thresholds().drift
    assert drift(found).startswith("field (leads) has drifted: between past nights and tonight its Jensen-Shannon distance is 0.")


def test_of_few_leads_nothing_is_said() -> None:
    past = pd.DataFrame({"lead_id": [f"p{n}" for n in range(60)], "as_of": NIGHT - pd.Timedelta(days=97), "lead_age_days": 10.0})
    past = past.assign(ending=["won"] * 30 + [None] * 30, lead__field=["C-1"] * 30 + [None] * 30)
    tonight = past.drop(columns="ending").assign(as_of=NIGHT, lead__field=None)
    assert shift(Nights(past, tonight), FIELD).promise == 1.0
    assert shifts(Nights(past, tonight.head(0)), [FIELD]) == []
