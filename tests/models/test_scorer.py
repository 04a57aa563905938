"""A stored scorer says tomorrow exactly what it says today, and nothing of it is ever executed."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

import learnable
import numpy as np
import pandas as pd
import pytest

from features.labels import as_known
from features.plan import Attribute, Deed, Plan
from features.problem import Problem
from features.timeline import Timeline
from models.amount import fit_gamma
from models.baseline import fit_logistic, fit_points
from models.blend import Blend, BlendModel
from models.calendar import TimelessModel
from models.calibration import Calibration, Knots, sigmoid
from models.encoding import Style
from models.hazard import fit_hazard
from models.merit import MeritedModel, with_merit
from models.scorer import Model, Scorer
from models.segmented import SegmentedModel
from models.trees import fit_boosted

FRAME = learnable.examples(leads=200, weeks=6)
FEW = partial(fit_boosted, rounds=10)
MODELS: dict[str, Model] = {
    "points table": fit_points(FRAME, learnable.FEATURES),
    "logistic": fit_logistic(FRAME, learnable.FEATURES),
    "boosted trees": fit_boosted(FRAME, learnable.FEATURES, rounds=40),
    "hazard": fit_hazard(as_known(FRAME, datetime(2025, 3, 1), Timeline()), learnable.FEATURES, 90.0),
    "boosted trees on codes and hashes": fit_boosted(FRAME, learnable.FEATURES, rounds=40, style=Style("native", "hashed")),
    "boosted trees on rates and topics": fit_boosted(FRAME, learnable.FEATURES, rounds=40, style=Style("target", "topics")),
    "trees of two seeds": FEW(FRAME, learnable.FEATURES, bags=2),
    "trees by segment": SegmentedModel(
        FEW(FRAME, learnable.FEATURES), "source", {"web": FEW(FRAME[FRAME["source"] == "web"], learnable.FEATURES[:1])}
    ),
    "trees without the time": TimelessModel(FEW(FRAME, learnable.FEATURES[:2]), ("job_title", "met")),
}
MODELS["blend"] = BlendModel(
    Blend({"logistic": 0.4, "boosted trees, native": 0.5, "hazard": 0.2}, -0.1),
    {"logistic": MODELS["logistic"], "boosted trees, native": MODELS["boosted trees on codes and hashes"], "hazard": MODELS["hazard"]},
)
STRANGE = FRAME.head(2).assign(source="carrier pigeon", job_title=None, opens_7d=[np.nan, 1e9], met=np.nan)


def _scorer(model: Model) -> Scorer:
    return Scorer(
        model,
        Calibration(0.8, -0.3),
        Plan(deeds=(Deed("E-Mail geöffnet", "in"),), attributes=(Attribute("source", "leads", "category", "creation"),)),
        learnable.FEATURES,
        datetime(2025, 2, 5, 2),
        datetime(2025, 5, 20, 17, 30),
        0.21,
        {"opens_7d": 1.0, "source": "ads", "job_title": None, "met": 0.0},
        250.0,
    )


@pytest.mark.parametrize("name", MODELS)
def test_what_is_stored_is_text_and_comes_back_whole(name: str, tmp_path: Path) -> None:
    scorer = _scorer(MODELS[name])
    scorer.save(tmp_path / "new" / "scorer")
    for file in (path for path in (tmp_path / "new" / "scorer").rglob("*") if path.is_file()):
        file.read_text(encoding="utf-8")
        assert file.suffix in (".json", ".lgb")
    back = Scorer.load(tmp_path / "new" / "scorer")
    rows = pd.concat([FRAME, STRANGE], ignore_index=True)
    np.testing.assert_array_equal(back.log_odds(rows), scorer.log_odds(rows))
    assert replace(back, model=scorer.model) == scorer


def test_a_calibration_of_knots_and_what_follows_the_base_rate_are_stored_too(tmp_path: Path) -> None:
    scorer = replace(_scorer(MODELS["logistic"]), calibration=Knots("isotonic", (-2.0, 0.5), (-2.5, 0.25)), recent_days=90)
    scorer.save(tmp_path)
    back = Scorer.load(tmp_path)
    assert (back.calibration, back.recent_days) == (scorer.calibration, 90)
    assert back.shifted(-0.5).log_odds(FRAME) == pytest.approx(scorer.log_odds(FRAME) - 0.5)


def test_a_variant_is_stored_with_its_merit_and_what_it_does_without(tmp_path: Path) -> None:
    profile = tuple(replace(feature, profile=feature.name == "source") for feature in learnable.FEATURES)
    known = as_known(FRAME.assign(lead_age_days=1.0), datetime(2025, 6, 1), Timeline())
    merited = with_merit({"it": partial(FEW, bags=2)})["it"](known, profile)
    assert isinstance(merited, MeritedModel)
    _scorer(TimelessModel(merited, ("contract_number",))).save(tmp_path)
    back = Scorer.load(tmp_path)
    assert (back.name, back.model.without) == ("boosted trees", ("contract_number",))  # type: ignore[attr-defined]
    np.testing.assert_array_equal(back.log_odds(FRAME), 0.8 * merited.log_odds(FRAME) - 0.3)


def test_a_scorer_of_an_older_version_is_read(tmp_path: Path) -> None:
    _scorer(MODELS["logistic"]).save(tmp_path)
    stored = json.loads((tmp_path / "scorer.json").read_text(encoding="utf-8"))
    del stored["recent_days"], stored["calibration"]["bend"]
    (tmp_path / "scorer.json").write_text(json.dumps(stored), encoding="utf-8")
    back = Scorer.load(tmp_path)
    assert (back.calibration, back.recent_days) == (Calibration(0.8, -0.3), 0)


def test_stored_and_loaded_each_lead_is_worth_the_same_amount(tmp_path: Path) -> None:
    paid = FRAME.drop_duplicates("lead_id").assign(amount=lambda t: 1_000 * (1 + t["opens_7d"]), weight=1.0)
    scorer = replace(_scorer(MODELS["logistic"]), amount=fit_gamma(paid, learnable.FEATURES))
    scorer.save(tmp_path)
    rows = pd.concat([FRAME, STRANGE], ignore_index=True)
    back = Scorer.load(tmp_path)
    np.testing.assert_array_equal(back.amounts(rows), scorer.amounts(rows))
    assert back.amounts(FRAME).std() > 500
    np.testing.assert_array_equal(back.shifted(0.3).amounts(rows), scorer.amounts(rows))


def test_without_an_amount_model_every_lead_is_worth_the_average_or_nobody_knows_what(tmp_path: Path) -> None:
    _scorer(MODELS["logistic"]).save(tmp_path)
    assert Scorer.load(tmp_path).amounts(FRAME.head(3)).tolist() == [250.0] * 3
    assert np.isnan(replace(_scorer(MODELS["logistic"]), value=None).amounts(FRAME.head(2))).all()


@pytest.mark.parametrize("name", MODELS)
def test_calibrated_contributions_add_up_to_the_score(name: str) -> None:
    scorer = _scorer(MODELS[name])
    rows = pd.concat([FRAME, STRANGE], ignore_index=True)
    assert scorer.contributions(rows).sum(axis=1).to_numpy() == pytest.approx(scorer.log_odds(rows), abs=1e-6)
    assert set(scorer.contributions(rows)) <= {"bias", *(feature.name for feature in learnable.FEATURES)}
    assert scorer.log_odds(rows) == pytest.approx(0.8 * scorer.model.log_odds(rows) - 0.3)
    assert scorer.probability(rows) == pytest.approx(sigmoid(scorer.log_odds(rows)))


def test_a_model_this_version_does_not_know_is_refused(tmp_path: Path) -> None:
    _scorer(MODELS["logistic"]).save(tmp_path)
    stored = json.loads((tmp_path / "scorer.json").read_text(encoding="utf-8"))
    (tmp_path / "scorer.json").write_text(json.dumps({**stored, "model": "os.system"}), encoding="utf-8")
    with pytest.raises(Problem, match=r"of a kind \(os\.system\) that this version of leadscore does not know: install a newer one"):
        Scorer.load(tmp_path)


# What runs a command when it is unpickled; and what skops would load only of a type that one trusts.
PICKLE = b"cos\nmkdir\n(S'pwned'\ntR."
SKOPS = io.BytesIO()
with zipfile.ZipFile(SKOPS, "w") as packed:
    packed.writestr("schema.json", json.dumps({"__class__": "system", "__module__": "os", "__loader__": "FunctionNode", "protocol": 0}))


@pytest.mark.parametrize("planted", [PICKLE, SKOPS.getvalue(), b"", b"{}", b"[]", b"null"], ids=["pickle", "skops", "nothing", "{}", "[]", "null"])
@pytest.mark.parametrize(
    ("model", "file"),
    [("points table", "scorer.json"), ("logistic", "model.json"), ("boosted trees", "encoder.json"), ("boosted trees", "model.lgb")],
)
def test_what_is_no_text_of_a_model_is_refused_in_a_sentence_and_never_run(
    model: str, file: str, planted: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _scorer(MODELS[model]).save(tmp_path / "model")
    assert (tmp_path / "model" / file).is_file()
    (tmp_path / "model" / file).write_bytes(planted)
    with pytest.raises(Problem, match=r"The stored model in .* cannot be read \(\w+\): put back a copy of it, or run `leadscore train`"):
        Scorer.load(tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_blend_with_a_member_that_this_version_does_not_know_is_refused(tmp_path: Path) -> None:
    _scorer(MODELS["blend"]).save(tmp_path)
    stored = (tmp_path / "blend.json").read_text(encoding="utf-8")
    (tmp_path / "blend.json").write_text(stored.replace('"model": "hazard"', '"model": "os.system"'), encoding="utf-8")
    with pytest.raises(Problem, match=r"of a kind \(os\.system\) that this version of leadscore does not know"):
        Scorer.load(tmp_path)
