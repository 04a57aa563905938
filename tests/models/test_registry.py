"""Who is champion, who was it on a past night, and what happens when the registry cannot be asked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import learnable
import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR

from features.plan import Plan
from features.problem import Problem
from models.baseline import fit_logistic, fit_points
from models.blend import Blend, BlendModel
from models.calibration import Calibration
from models.metrics import Estimate
from models.registry import Registry
from models.run import Training
from models.scorer import Scorer
from models.segmented import SegmentedModel
from models.trail import Entry
from models.trees import fit_boosted

pytestmark = pytest.mark.xdist_group("registry")
FRAME = learnable.examples(leads=60, weeks=4)
SCORER = Scorer(
    fit_points(FRAME, learnable.FEATURES), Calibration(), Plan(), learnable.FEATURES, datetime(2025, 1, 22, 2), datetime(2025, 5, 1), 0.2, {}, None
)
NAMES = iter(range(1_000))


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('registry') / 'mlflow.db'}"


@pytest.fixture
def registry(uri: str) -> Registry:
    """A registry without a model: a name of its own in one database."""
    return Registry(uri, f"company {next(NAMES)}")


@pytest.fixture
def logged(registry: Registry) -> Callable[[datetime], str]:
    """Log a training known until some day; its version."""

    def log(known_until: datetime) -> str:
        scorer = replace(SCORER, known_until=known_until)
        example = FRAME[[feature.name for feature in learnable.FEATURES]].head(3)
        metrics = {"roc_auc": Estimate(0.7, 0.6, 0.8)}
        return registry.log(
            Training("train", {"model": "points table"}, metrics, {"fold 1": {"roc_auc": 0.71}}, scorer, example, tags={"dataset_digest": "abc"})
        )

    return log


NOW = datetime(2025, 8, 1, 2)
MAY, JUNE, JULY = (datetime(2025, month, 1) for month in (5, 6, 7))


def test_before_the_first_training_there_is_no_champion(registry: Registry) -> None:
    assert registry.champion_or_none() is None
    with pytest.raises(Problem, match="There is no champion yet: run `leadscore train` first"):
        registry.champion()


def test_a_blend_is_registered_with_the_models_it_is_made_of_and_serves_its_scores(registry: Registry) -> None:
    points, line = fit_points(FRAME, learnable.FEATURES), fit_logistic(FRAME, learnable.FEATURES)
    blend = BlendModel(Blend({"points table": 0.4, "logistic": 0.7}, -0.2), {"points table": points, "logistic": line})
    scorer, example = replace(SCORER, model=blend), FRAME[[feature.name for feature in learnable.FEATURES]].head(3)
    registry.conclude(registry.log(Training("train", {"model": "blend"}, {}, {}, scorer, example)), True, ("first",), NOW)
    expected = scorer.probability(example)
    assert registry.champion().scorer.probability(example).tolist() == expected.tolist()
    assert registry.mlflow.pyfunc.load_model(f"models:/{registry.name}@champion").predict(example) == pytest.approx(expected)


def test_a_run_keeps_figures_with_intervals_its_folds_and_its_tags(registry: Registry, logged: Callable[[datetime], str]) -> None:
    registry.conclude(logged(MAY), True, ("there was no champion",), NOW)
    champion = registry.champion()
    assert champion.metrics == {"roc_auc": 0.7, "roc_auc_low": 0.6, "roc_auc_high": 0.8}
    run = registry.client.get_run(champion.run_id)
    assert (run.data.tags["dataset_digest"], run.data.params["model"]) == ("abc", "points table")
    (fold,) = registry.client.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{champion.run_id}'")
    assert (fold.info.run_name, fold.data.metrics) == ("fold 1", {"roc_auc": 0.71})
    assert champion.scorer.log_odds(FRAME) == pytest.approx(SCORER.log_odds(FRAME))


def test_a_model_of_several_folders_comes_back_whole(registry: Registry) -> None:
    trees = fit_boosted(FRAME, learnable.FEATURES, rounds=3, bags=2)
    scorer = replace(SCORER, model=SegmentedModel(trees, "source", {"web": trees}))
    example = FRAME[[feature.name for feature in learnable.FEATURES]].head(3)
    version = registry.log(Training("train", {}, {"roc_auc": Estimate(0.7, 0.6, 0.8)}, {}, scorer, example))
    registry.conclude(version, True, ("there was no champion",), NOW)
    assert registry.champion().scorer.log_odds(FRAME).tolist() == scorer.log_odds(FRAME).tolist()


def test_a_refused_challenger_leaves_the_champion_alone_and_says_why(registry: Registry, logged: Callable[[datetime], str]) -> None:
    first, second = logged(MAY), logged(JUNE)
    registry.conclude(first, True, ("there was no champion",), NOW)
    registry.conclude(second, False, ("log-loss rose", "lists got worse"), NOW)
    assert registry.champion().version == first
    refused = registry.client.get_model_version_by_alias(registry.name, "challenger")
    assert (refused.version, refused.tags["promoted"], refused.tags["gate"]) == (int(second), "false", "log-loss rose; lists got worse")


def test_a_better_challenger_becomes_champion(registry: Registry, logged: Callable[[datetime], str]) -> None:
    for known_until in (MAY, JUNE):
        registry.conclude(logged(known_until), True, ("better",), NOW)
    assert registry.champion().scorer.known_until == JUNE


def test_a_model_of_a_past_night_never_replaces_one_that_knew_more(registry: Registry, logged: Callable[[datetime], str]) -> None:
    registry.conclude(logged(JULY), True, ("better",), NOW)
    registry.conclude(logged(MAY), True, ("there was no champion then",), NOW)
    assert registry.champion().scorer.known_until == JULY


def test_a_past_night_is_served_by_the_newest_model_promoted_from_what_was_known(registry: Registry, logged: Callable[[datetime], str]) -> None:
    may, june, july = logged(MAY), logged(JUNE), logged(JULY)
    for version, promoted in ((may, True), (june, False), (july, True)):
        registry.conclude(version, promoted, ("said",), NOW)
    assert registry.champion_at(JULY).version == july
    # June's was refused, so May's was still at work.
    assert registry.champion_at(datetime(2025, 6, 15)).version == may
    with pytest.raises(Problem, match=r"No model had been trained by 2025-04-30: run `leadscore train --as-of 2025-04-30` first"):
        registry.champion_at(datetime(2025, 4, 30))


def test_a_late_night_is_scored_by_the_champion_of_its_time_though_a_later_one_learned_from_nothing_newer(
    registry: Registry, logged: Callable[[datetime], str]
) -> None:
    saturday, sunday = NOW - timedelta(days=1), NOW
    first, second = logged(MAY), logged(MAY)
    registry.conclude(first, True, ("there was no champion",), saturday)
    registry.conclude(second, True, ("better",), sunday)
    assert [registry.champion_at(night).version for night in (sunday - timedelta(hours=1), sunday)] == [first, second]
    assert registry.champion_then_or_none(saturday - timedelta(hours=1)) is None
    # Who was rolled back is in nobody's use, whenever it was champion.
    registry.rollback("lists got worse", sunday + timedelta(hours=8))
    assert registry.champion_then_or_none(sunday) is None
    assert registry.champion_at(sunday).version == first


def test_a_person_may_overrule_the_gate_and_the_trail_says_who_was_champion_when_and_why(
    registry: Registry, logged: Callable[[datetime], str]
) -> None:
    may, june = logged(MAY), logged(JUNE)
    registry.conclude(may, True, ("there was no champion",), NOW)
    registry.conclude(june, False, ("not better beyond doubt",), NOW)
    registry.promote(june, "new product line", NOW + timedelta(days=1))
    assert (registry.champion().version, registry.champion_at(JULY).version) == (june, june)
    assert registry.trail() == [
        Entry(NOW, "gate", may, None, "there was no champion"),
        Entry(NOW + timedelta(days=1), "promoted", june, may, "new product line"),
    ]


def test_rolling_back_twice_goes_back_two_champions(registry: Registry, logged: Callable[[datetime], str]) -> None:
    may, june, july = logged(MAY), logged(JUNE), logged(JULY)
    for version in (may, june, july):
        registry.conclude(version, True, ("better",), NOW)
    assert registry.rollback("lists got worse", NOW) == Entry(NOW, "rolled back", june, july, "lists got worse")
    assert registry.champion_at(NOW).version == june
    assert registry.rollback("still worse", NOW).version == may
    assert (registry.champion().version, registry.champion_at(NOW).version) == (may, may)
    with pytest.raises(Problem, match=f"There is no champion before version {may} to go back to"):
        registry.rollback("once more", NOW)
    assert [entry.act for entry in registry.trail()] == ["gate", "gate", "gate", "rolled back", "rolled back"]


def test_going_back_by_hand_to_a_model_that_knew_less_withdraws_those_that_knew_more(registry: Registry, logged: Callable[[datetime], str]) -> None:
    may, june = logged(MAY), logged(JUNE)
    for version in (may, june):
        registry.conclude(version, True, ("better",), NOW)
    registry.promote(may, "june was trained on a broken extract", NOW)
    assert (registry.champion().version, registry.champion_at(NOW).version) == (may, may)
    assert registry.rollback("the extract was fine", NOW).version == june
    assert (registry.champion().version, registry.champion_at(NOW).version) == (june, june)


def test_what_cannot_be_promoted_is_one_sentence(registry: Registry, logged: Callable[[datetime], str]) -> None:
    with pytest.raises(Problem, match="There is no champion yet, so there is nothing to roll back"):
        registry.rollback("", NOW)
    with pytest.raises(Problem, match="There is no model version 9: the versions are none yet"):
        registry.promote("9", "why not", NOW)
    version = logged(MAY)
    registry.conclude(version, True, ("first",), NOW)
    with pytest.raises(Problem, match=f"Version {version} is the champion already"):
        registry.promote(version, "again", NOW)


def test_a_registry_that_fails_is_no_vacancy(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise MlflowException("the database is gone", INTERNAL_ERROR)

    monkeypatch.setattr(registry.client, "get_model_version_by_alias", broken)
    with pytest.raises(MlflowException, match="the database is gone"):
        registry.champion_or_none()


def _files(registry: Registry, version: str) -> Path:
    return Path(registry.mlflow.artifacts.download_artifacts(f"models:/{registry.name}/{version}"))


@pytest.mark.parametrize("how", ["changed", "added", "taken away"])
def test_a_model_whose_files_were_tampered_with_scores_nobody(registry: Registry, logged: Callable[[datetime], str], how: str) -> None:
    may, june = logged(MAY), logged(JUNE)
    for version in (may, june):
        registry.conclude(version, True, ("better",), NOW)
    assert registry.seals() == {may: "whole", june: "whole"}
    file = _files(registry, june) / "artifacts" / "scorer" / "scorer.json"
    if how == "added":
        (file.parent / "model.pkl").write_bytes(b"cos\nsystem\n.")
    elif how == "taken away":
        (_files(registry, june) / "requirements.txt").unlink()
    else:
        # Every lead half as likely: nothing but a seal could tell.
        file.write_text(file.read_text(encoding="utf-8").replace('"base_rate": 0.2', '"base_rate": 0.1'), encoding="utf-8")
    for asked in (registry.champion, registry.champion_or_none, lambda: registry.champion_at(JULY)):
        with pytest.raises(Problem, match=f"The files of model version {june} are not those that were logged: somebody changed them"):
            asked()
    assert registry.seals() == {may: "whole", june: "changed"}
    # The way out that the sentence names.
    registry.rollback("somebody changed it", NOW)
    assert registry.champion().version == may


def test_a_model_whose_files_are_gone_is_said_and_one_of_an_earlier_release_is_believed(
    registry: Registry, logged: Callable[[datetime], str]
) -> None:
    may, june = logged(MAY), logged(JUNE)
    for version in (may, june):
        registry.conclude(version, True, ("better",), NOW)
    registry.client.delete_model_version_tag(registry.name, may, "seal")
    shutil.rmtree(_files(registry, june))
    assert registry.seals() == {may: "unsealed", june: "gone"}
    with pytest.raises(Problem, match=f"The files of model version {june} cannot be read"):
        registry.champion()
    registry.rollback("lost", NOW)
    assert registry.champion().version == may


def test_a_full_disk_is_said_and_no_model_is_called_lost(
    registry: Registry, logged: Callable[[datetime], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.conclude(logged(MAY), True, ("better",), NOW)

    def full(uri: str) -> str:
        raise OSError(28, "No space left on device", "registered_model_meta")

    monkeypatch.setattr(registry.mlflow.artifacts, "download_artifacts", full)
    with pytest.raises(
        Problem, match=r"^The files of model version 1 cannot be fetched \(No space left on device\): free the disk, and run again\.$"
    ):
        registry.champion()


def test_serving_a_model_leaves_it_whole(registry: Registry, logged: Callable[[datetime], str]) -> None:
    registry.conclude(logged(MAY), True, ("first",), NOW)
    registry.mlflow.pyfunc.load_model(f"models:/{registry.name}@champion")
    assert set(registry.seals().values()) == {"whole"}


def _experiment(name: str) -> Training:
    example = FRAME[[feature.name for feature in learnable.FEATURES]].head(3)
    said = FRAME[["lead_id", "as_of", "converted", "weight"]].assign(log_odds=SCORER.log_odds(FRAME))
    kept = {"texts": {"features.json": '["opens_7d"]'}, "tables": {"predictions.parquet": said}}
    return Training(name, {"folds": 2}, {"log_loss": Estimate(0.4, 0.3, 0.5)}, {}, SCORER, example, **kept)


def test_an_experiment_is_kept_without_a_model_and_found_by_the_beginning_of_its_id(registry: Registry) -> None:
    run_id = registry.record(_experiment("backtest"))
    assert registry.client.search_model_versions(f"name='{registry.name}'") == []
    found = registry.find(run_id[:9])
    assert (found.run_id, found.name, found.version, found.short) == (run_id, "backtest", None, f"run {run_id[:8]}")
    assert (found.params, found.features) == ({"folds": "2"}, ("opens_7d",))
    assert found.metrics == {"log_loss": Estimate(0.4, 0.3, 0.5)}
    assert found.predictions["log_odds"].to_numpy() == pytest.approx(SCORER.log_odds(FRAME))
    assert found.predictions["as_of"].tolist() == FRAME["as_of"].tolist()


def test_a_lead_is_taken_out_of_the_predictions_of_every_run_deleted_ones_too(registry: Registry) -> None:
    runs = [registry.record(_experiment(f"backtest {n}")) for n in range(2)]
    registry.client.delete_run(runs[1])
    lead, rows = FRAME["lead_id"].iloc[0], int((FRAME["lead_id"] == FRAME["lead_id"].iloc[0]).sum())
    assert registry.forget([lead, "nobody"]) == 2 * rows
    registry.client.restore_run(runs[1])
    for run_id in runs:
        assert set(registry.find(run_id).predictions["lead_id"]) == set(FRAME["lead_id"]) - {lead}
    assert registry.forget([lead]) == 0


def test_a_model_is_found_by_its_version_while_it_is_kept(registry: Registry, logged: Callable[[datetime], str]) -> None:
    version = logged(MAY)
    found = registry.version_or_none(version)
    assert found is not None
    assert found.version == version
    registry.client.delete_model_version(registry.name, version)
    assert registry.version_or_none(version) is None
    assert registry.version_or_none("7") is None


def test_a_run_that_cannot_be_named_or_compared_is_one_sentence(registry: Registry, logged: Callable[[datetime], str]) -> None:
    with pytest.raises(Problem, match="There is no run and no model version 7: the newest runs are none yet"):
        registry.find("7")
    ids = [registry.record(_experiment(f"backtest {n}")) for n in range(17)]
    first = next(sign for sign in "0123456789abcdef" if sum(run_id.startswith(sign) for run_id in ids) > 1)
    with pytest.raises(Problem, match=rf"{first} begins \d+ runs \(.*\): write more of the id"):
        registry.find(first)
    with pytest.raises(Problem, match="There is no run and no model version : the newest runs are"):
        registry.find("")
    with pytest.raises(Problem, match=r"1 keeps no features\.json, so that it cannot be compared: train or backtest again"):
        registry.find(logged(MAY))


def test_a_server_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(Problem, match=r"The tracking server http://127\.0\.0\.1:9 cannot be reached: start it, or correct `tracking`"):
        Registry("http://127.0.0.1:9")


def test_a_damaged_file_of_runs_is_one_sentence_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"garbage" * 1_000)
    with pytest.raises(
        Problem, match=r"The runs and models in .*mlflow\.db cannot be read \(DatabaseError\): put back a copy of the file, or move it"
    ):
        Registry(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert (tmp_path / "mlflow.db").read_bytes() == b"garbage" * 1_000


def test_the_environment_is_left_as_it_was(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    Registry(uri)
    assert "MLFLOW_TRACKING_URI" not in os.environ


def test_artifacts_lie_beside_the_database(registry: Registry, uri: str) -> None:
    experiment = registry.client.get_experiment_by_name(registry.name)
    assert Path(experiment.artifact_location.removeprefix("file://")) == Path(uri.removeprefix("sqlite:///")).parent / "mlartifacts"
