"""A classifier that tells past leads from tonight's accuses what knows the end, and only that."""

from __future__ import annotations

import pandas as pd
import pytest
from closings import FIELD, NIGHT, Story, honest, traps

from features.adversary import adversary
from features.likeness import Nights
from features.plan import Attribute

CAMPAIGN = Attribute("campaign", "leads", "category", "today")


@pytest.fixture
def story() -> Story:
    """One company, drawn anew for each test, so that their order changes nothing."""
    return Story()


@pytest.mark.parametrize("name", ["a number that is written at the win", "an appointment that is cleared when it ends"])
def test_a_classifier_accuses_the_trap_beside_an_honest_field(story: Story, name: str) -> None:
    nights = story.nights(traps(story)[name])
    lead = nights.past["lead_id"].astype(int), nights.tonight["lead_id"].astype(int)
    campaign = honest(story)["campaigns that come and go"]
    for frame, number in zip((nights.past, nights.tonight), lead, strict=True):
        frame["lead__campaign"] = campaign[number]
    trial = adversary(nights, [CAMPAIGN, FIELD])
    assert [(finding.field, finding.method) for finding in trial.findings] == [("field", "adversary")]
    # What is left is told by when the leads came in, which is no crime.
    assert [name for name, _ in trial.by] == ["campaign"]
    assert trial.sentence.startswith("Leads of past nights can be told from tonight's by campaign (ROC AUC 0.")


def test_a_classifier_finds_nothing_where_nothing_differs(story: Story) -> None:
    trial = adversary(story.nights(honest(story)["noise"]), [FIELD])
    assert (trial.findings, trial.by) == ((), ())
    assert trial.auc == pytest.approx(0.5, abs=0.05)


def test_of_few_leads_nothing_is_said() -> None:
    past = pd.DataFrame({"lead_id": [f"p{n}" for n in range(60)], "as_of": NIGHT - pd.Timedelta(days=97), "lead_age_days": 10.0})
    past = past.assign(ending=["won"] * 30 + [None] * 30, lead__field=["C-1"] * 30 + [None] * 30)
    trial = adversary(Nights(past, past.drop(columns="ending").assign(as_of=NIGHT, lead__field=None)), [FIELD])
    assert (trial.findings, trial.auc) == ((), 0.5)
    nobody = past.drop(columns="ending").head(0)
    assert adversary(Nights(past, nobody), [FIELD]).auc == 0.5
