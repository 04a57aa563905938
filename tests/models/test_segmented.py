"""A segment has a model of its own where that is better beyond doubt on leads that neither had seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.feature import Feature
from features.problem import Problem
from models.calibration import log_losses, sigmoid
from models.segmented import SegmentedModel, segmented
from models.trees import fit_boosted

FEATURES = (
    Feature("size", "number", "size", "size {value}"),
    Feature("visits", "number", "visits", "visits {value}"),
    Feature("country", "category", "country", "country: {value}"),
)


def _company(own_law: bool = True, leads: int = 8_000, seed: int = 4) -> pd.DataFrame:
    """Leads of four countries, seen once. Large firms buy, in Japan small ones where it has a law of its own; Malta has hardly any leads."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"lead_id": [f"L{n:05}" for n in range(leads)], "size": rng.uniform(0, 10, leads), "weight": 1.0})
    frame["visits"] = rng.poisson(2, leads).astype(float)
    frame["country"] = rng.choice(["France", "Japan", "Spain", "Malta", None], leads, p=[0.4, 0.1, 0.35, 0.02, 0.13])
    sign = np.where((frame["country"] == "Japan") & own_law, -1, 1)
    frame["converted"] = rng.random(leads) < sigmoid((sign * (frame["size"] - 5) / 2 + 0.3 * frame["visits"] - 1.5).to_numpy())
    return frame.assign(as_of=pd.Timestamp("2025-01-01 02:00"))


COMPANY = _company()
MODEL = segmented(fit_boosted, "country")(COMPANY, FEATURES)
STRANGE = COMPANY.head(4).assign(country=["Peru", None, "Malta", "Japan"], size=[1.0, 2.0, np.nan, 9.0])


def test_a_segment_with_a_law_of_its_own_is_found_and_no_other() -> None:
    assert list(MODEL.own) == ["Japan"]
    assert MODEL.sentence == "Segments of country with a model of their own, for it was better beyond doubt on leads held out: Japan."
    later, everywhere = _company(seed=9), fit_boosted(COMPANY, FEATURES)
    japan = (later["country"] == "Japan").to_numpy()
    told, plain = (log_losses(later["converted"].to_numpy(), one.log_odds(later)) for one in (MODEL, everywhere))
    assert told[japan].mean() < 0.95 * plain[japan].mean()
    np.testing.assert_array_equal(told[~japan], plain[~japan])


def test_where_all_work_alike_there_is_one_model() -> None:
    for seed in range(3):
        model = segmented(fit_boosted, "country")(_company(own_law=False, seed=seed), FEATURES)
        assert model.own == {}
    assert model.sentence.endswith("on leads held out: none.")


def test_new_and_missing_values_are_spoken_of_by_everybodys_model() -> None:
    said = MODEL.log_odds(STRANGE)
    np.testing.assert_array_equal(said[:3], MODEL.everywhere.log_odds(STRANGE)[:3])
    assert said[3] == MODEL.own["Japan"].log_odds(STRANGE)[3]
    assert said[3] < MODEL.everywhere.log_odds(STRANGE)[3]


@pytest.mark.parametrize("rows", [COMPANY, STRANGE, COMPANY[COMPANY["country"] == "Japan"], pd.concat([STRANGE, STRANGE])])
def test_contributions_add_up_row_by_row(rows: pd.DataFrame) -> None:
    told = MODEL.contributions(rows)
    assert told.index.equals(rows.index)
    assert told.columns[-1] == "bias"
    assert told.sum(axis=1).to_numpy() == pytest.approx(MODEL.log_odds(rows), abs=1e-6)


def test_it_comes_back_from_disk_as_it_was(tmp_path: Path) -> None:
    MODEL.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"everywhere", "segment-0", "segments.json"}
    back = SegmentedModel.load(tmp_path)
    assert (back.by, list(back.own)) == ("country", ["Japan"])
    rows = pd.concat([COMPANY, STRANGE], ignore_index=True)
    np.testing.assert_array_equal(back.log_odds(rows), MODEL.log_odds(rows))


def test_the_same_past_finds_the_same() -> None:
    again = segmented(fit_boosted, "country")(COMPANY, FEATURES)
    for one, other in ((again.everywhere, MODEL.everywhere), (again.own["Japan"], MODEL.own["Japan"])):
        assert one.bags[0].model_to_string() == other.bags[0].model_to_string()


def _counted(company: pd.DataFrame) -> list[int]:
    """How many examples every model that was tried had learned from."""
    seen: list[int] = []

    def fit(past: pd.DataFrame, features: Any) -> Any:
        seen.append(len(past))
        return fit_boosted(past, features)

    segmented(fit, "country")(company, FEATURES)
    return seen


def test_too_few_customers_or_one_country_are_not_tried() -> None:
    few = COMPANY.assign(converted=COMPANY["converted"] & (COMPANY.groupby("country", dropna=False)["converted"].cumsum() <= 99))
    assert _counted(few) == [8_000]
    assert _counted(COMPANY.assign(country="France")) == [8_000]


def test_a_night_without_the_field_is_refused() -> None:
    with pytest.raises(Problem, match=r"^The model needs the columns country, which are missing tonight"):
        MODEL.log_odds(COMPANY.drop(columns="country"))
