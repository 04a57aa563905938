"""A training leaves behind everything that says how far to believe it, and never promotes what is not better."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from conftest import MadeUp
from mlflow.entities import Run

from features import examples
from features.plan import Plan
from features.problem import Problem
from models.registry import Registry
from models.variants import Variants
from pipelines.company import open_company
from pipelines.settings import read_settings
from pipelines.train import Study, learn_models, screen_fields, train
from pipelines.warehouse import Warehouse

pytestmark = pytest.mark.xdist_group("company")
INTERVALS = [
    *("roc_auc", "average_precision", "log_loss", "brier", "calibration_slope", "calibration_intercept", "worked_share"),
    *(f"{figure}_at_{share}" for figure in ("lift", "precision") for share in (5, 10, 20)),
]


def _client(config: Path) -> mlflow.MlflowClient:
    return Registry(read_settings(config).tracking_uri).client


def _runs(config: Path) -> tuple[Run, list[Run]]:
    """The training's run and its nested ones."""
    client = _client(config)
    experiment = client.get_experiment_by_name("leadscore")
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    return parent, [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]


def test_one_run_holds_the_metrics_with_intervals_and_a_nested_run_a_fold(company: MadeUp) -> None:
    parent, folds = _runs(company.config)
    found = parent.data.metrics
    for name in INTERVALS:
        assert found[f"{name}_low"] <= found[name] <= found[f"{name}_high"], name
    for racer in ("points_table", "logistic", "boosted_trees"):
        assert {f"{racer}.{name}" for name in INTERVALS} <= set(found)
    assert len(folds) == 4
    assert all("log_loss" in fold.data.metrics for fold in folds)


def test_pictures_card_digest_and_signature_are_there(company: MadeUp) -> None:
    parent, _ = _runs(company.config)
    client = _client(company.config)
    names = {file.path for folder in ("", "plots") for file in client.list_artifacts(parent.info.run_id, folder)}
    assert {f"plots/{name}.png" for name in ("gain", "lift", "reliability", "segments", "score_over_time", "importance")} <= names
    card = Path(client.download_artifacts(parent.info.run_id, "model_card.md")).read_text(encoding="utf-8")
    assert "**Backtest**, on later nights and on leads that the past did not hold" in card
    assert "'contract_number' (leads) is not used" in card
    assert "**Groups.** On the same nights:\n- Calibration " in card
    tables = {
        name: pd.read_csv(client.download_artifacts(parent.info.run_id, f"{name}.csv"))
        for name in ("segments", "calibration", "fairness", "amount", "blend")
    }
    assert {"tier", "owner team", "source", "account's industry"} <= set(tables["segments"]["field"])
    assert (tables["segments"]["low"] <= tables["segments"]["realised"]).all()
    assert tables["calibration"]["candidate"].tolist() == ["identity", "sigmoid", "beta", "isotonic", "Venn-Abers", "spline", "recent intercept"]
    assert tables["calibration"]["chosen"].sum() in (1, 2)
    assert tables["amount"]["candidate"].tolist() == ["average", "log-normal", "gamma"]
    assert tables["amount"].loc[tables["amount"]["chosen"], "candidate"].tolist() == [parent.data.params["amount"]]
    assert tables["blend"]["racer"].tolist() == ["points table", "logistic", "boosted trees", "hazard", "blend"]
    assert tables["blend"]["weight"].isna().tolist() == [False] * 4 + [True]
    assert "**Blend.** A blend of " in card
    assert tables["fairness"].empty
    assert re.fullmatch(r"[0-9a-f]{16}", parent.data.tags["dataset_digest"])
    model = mlflow.models.get_model_info("models:/leadscore/1")
    assert "lead_age_days" in model.signature.inputs.input_names()


def test_the_report_says_what_a_blend_is_made_of_and_why_it_leads_or_does_not(company: MadeUp) -> None:
    (said,) = (notice for notice in company.reports["train"].notices if notice.startswith("The model is "))
    assert re.search(r"\. A blend of \d+ % [\w ,%]+ (lowered|did not lower|helped) .*\(difference to [\w ]+ alone, calibrated as it is used, ", said)


def test_the_amount_that_expected_value_takes_is_told_with_its_figures(company: MadeUp) -> None:
    found = _runs(company.config)[0].data.metrics
    assert 0.8 < found["amount.total_low"] < found["amount.total"] < found["amount.total_high"] < 1.25
    assert found["amount.log_normal.difference_high"] < 0
    (said,) = (notice for notice in company.reports["train"].notices if notice.startswith("Expected value"))
    assert re.fullmatch(
        r"Expected value is probability times the amount expected of each lead \((?P<name>[\w-]+)\): (?P=name) lowered gamma deviance "
        r"on later nights beyond doubt \([\d.]+ against [\d.]+ of the average, difference -[\d.]+, 95 % interval -[\d.]+ to -[\d.]+\); "
        r"over \d+ later conversions what is used expected [\d.]+ times what was paid \([\d.]+ to [\d.]+\)\.",
        said,
    )


def test_the_model_is_stored_without_pickle_and_serves_the_same_scores(company: MadeUp) -> None:
    registry = Registry(read_settings(company.config).tracking_uri)
    folder = Path(mlflow.artifacts.download_artifacts("models:/leadscore/1"))
    endings = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert endings <= {".json", ".lgb", ".py", ".yaml", ".yml", ".txt", ""}
    assert not [path for path in folder.rglob("*") if path.is_file() and path.read_bytes()[:1] == b"\x80"]
    example = json.loads((folder / "input_example.json").read_text(encoding="utf-8"))
    served = mlflow.pyfunc.load_model("models:/leadscore/1")
    frame = pd.DataFrame(**example)
    assert served.predict(frame) == pytest.approx(registry.champion().scorer.probability(frame))


def test_the_traps_are_named_and_not_used(company: MadeUp) -> None:
    said = " ".join(company.reports["train"].notices)
    used = {attribute.name for attribute in Registry(read_settings(company.config).tracking_uri).champion().scorer.plan.attributes}
    for trap in ("contract_number", "onboarding_date", "customer_tier"):
        assert f"'{trap}' (leads) is not used" in said
    assert used == {"stage", "source", "campaign", "country_region", "job_title", "newsletter", "language", "industry", "employees", "region"}


def test_every_finding_stands_in_the_run_with_its_evidence(company: MadeUp) -> None:
    parent, _ = _runs(company.config)
    table = pd.read_csv(_client(company.config).download_artifacts(parent.info.run_id, "leakage.csv"))
    assert table.columns.tolist() == ["field", "origin", "method", "evidence", "advice", "used"]
    assert table.groupby("field")["method"].agg(list).to_dict() == {
        "contract_number": ["null-ness", "power", "name", "tonight"],
        "customer_tier": ["null-ness", "power", "tonight"],
        "onboarding_date": ["null-ness", "power", "name", "tonight"],
    }
    assert not table["used"].any()
    assert parent.data.tags["fields_refused"] == "contract_number, onboarding_date, customer_tier"
    assert (parent.data.metrics["fields_refused"], parent.data.metrics["fields_allowed"]) == (3, 0)
    assert 0.4 < parent.data.metrics["adversary_auc"] < 0.6


def test_a_past_training_judges_todays_values_by_todays_knowledge(own_company: MadeUp) -> None:
    # In the spring nobody knew who would be won in summer, but their contract numbers stand in the export all the same.
    with open_company(read_settings(own_company.config)) as today:
        past = today.as_of(date(2025, 3, 1))
        plain = Plan(attributes=tuple(a for a in past.attributes if a.known == "today"))
        known = examples.training(past.crm, past.nights(*past.past_nights()), plain, past.extracted_at).execute()
        screened = screen_fields.fn(past, Study(plain, (), known, {}))
    assert [finding.field for finding in screened.screening.leading] == ["contract_number", "onboarding_date", "customer_tier"]
    assert {finding.method for finding in screened.screening.leading} == {"null-ness"}


def test_a_trap_is_used_if_allowed_a_search_cut_short_is_told_and_encodings_and_variants_run_beside(own_company: MadeUp) -> None:
    text = own_company.config.read_text(encoding="utf-8")
    asked = '[training]\nallow = ["customer_tier"]\nsearch_minutes = 1e-6\nfolds = 2\nencodings = ["native"]\nvariants = ["timeless"]\nbags = 2\n'
    own_company.config.write_text(f"{text}\n{asked}", encoding="utf-8")
    report = train(own_company.config)
    assert any(notice.startswith("'customer_tier' (leads) is used because the configuration allows it") for notice in report.notices)
    assert [notice for notice in report.notices if notice.startswith("The search")] == [
        "The search for parameters ended after 1 of 8 settings, for the minutes of [training] search_minutes = 1e-06 were over: give it more, and it "
        "goes on from there."
    ]
    assert [row["model"] for row in report.rows] == [
        *("points table", "logistic", "boosted trees", "boosted trees, native", "hazard"),
        *("logistic, timeless", "boosted trees, timeless", "hazard, timeless"),
    ]


def test_what_is_said_of_the_search_and_of_directions_reaches_the_race(own_company: MadeUp, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, object] = {}
    monkeypatch.setattr("pipelines.train.learn", lambda *args, **named: given.update(named))
    text = own_company.config.read_text(encoding="utf-8")
    own_company.config.write_text(
        text + '\n[training]\nsearch_minutes = 0.5\nmonotone = { employees = "up" }\nencodings = ["target", "topics"]\n'
        'variants = ["fading"]\nhalf_life_days = 90\nsegment_by = "industry"\nbags = 2\n',
        encoding="utf-8",
    )
    with open_company(read_settings(own_company.config)) as opened:
        plan = Plan(attributes=opened.attributes)
        learn_models.fn(opened, Study(plan, examples.features_of(plan), pd.DataFrame(), {}))
    assert given == {
        "search_minutes": 0.5,
        "storage": str(own_company.folder / ".leadscore" / "search.db"),
        "monotone": {"account__employees": 1},
        "encodings": ("target", "topics"),
        "variants": Variants(("fading",), 365, 90, "account__industry"),
        "bags": 2,
    }


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("DELETE FROM deals WHERE outcome = 'won'", "No lead converted within the horizon on any ripe night"),
        (
            "DELETE FROM leads WHERE lead_id NOT IN (SELECT lead_id FROM deals JOIN leads l USING (lead_id) "
            "WHERE outcome = 'won' AND closed_at < l.created_at + INTERVAL 80 DAY)",
            "Every lead of every ripe night converted: there is no difference to learn",
        ),
        ("DELETE FROM leads WHERE created_at < '2025-08-01'", "No night is ripe: leads start on 2025-08-01"),
    ],
)
def test_what_cannot_be_learned_from_is_said_in_a_sentence(own_company: MadeUp, statement: str, sentence: str) -> None:
    with Warehouse.open(read_settings(own_company.config).warehouse_url) as warehouse:
        warehouse.raw.execute(statement)
    with pytest.raises(Problem, match=sentence) as said:
        train(own_company.config)
    assert str(said.value).endswith(".")
    assert _client(own_company.config).get_model_version_by_alias("leadscore", "champion").version == 1


def test_a_horizon_longer_than_history_is_refused(own_company: MadeUp) -> None:
    text = own_company.config.read_text(encoding="utf-8")
    own_company.config.write_text(text + "\n[outcome]\nhorizon_days = 900\n", encoding="utf-8")
    with pytest.raises(Problem, match="too close for a horizon of 900 days"):
        train(own_company.config)
