"""The only file that knows MLflow: runs, models, champion and challenger."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import wraps
from io import StringIO
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import pandas as pd

from features.personal import unsigned
from features.problem import Problem
from models.deadline import bound, within
from models.metrics import Estimate
from models.run import Run, Training
from models.scorer import Scorer
from models.seal import seal_of
from models.trail import Entry, in_use, way_back

_TRAIL = "trail."
_PREDICTIONS = "predictions.parquet"
_NESTED = "mlflow.parentRunId"
P = ParamSpec("P")
T = TypeVar("T")
# What every MLflow server takes as a tag.
_LONGEST = 5_000
_SEAL = "seal"
ORIGIN = ("dataset_digest", "code_version", "configuration_digest")
WAY_OUT = "go on with another version: `leadscore rollback`, or `leadscore promote VERSION`."
# What MLflow, or a Python that serves the model, writes beside it whenever it is fetched.
_BESIDE = ("registered_model_meta", "__pycache__")
# What MLflow says of a disk that cannot take what it fetches.
_FULL = re.compile("No space left on device|Read-only file system|Disk quota exceeded")
_REQUIREMENTS = ["lightgbm", "numpy", "pandas", "mlflow"]
_SERVED = '''\
"""What `mlflow.pyfunc` runs: features in, probabilities out. The model itself is text beside it; nothing is unpickled."""

from io import StringIO
from pathlib import Path

import mlflow
import pandas as pd

from models.scorer import Scorer


class Served(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.scorer = Scorer.load(Path(context.artifacts["scorer"]))

    def predict(self, context, model_input: pd.DataFrame, params=None):
        return self.scorer.probability(model_input)


mlflow.models.set_model(Served())
'''


@dataclass(frozen=True)
class Champion:
    """A registered model on this machine.

    Parameters
    ----------
    version, run_id : its own, and the run that it came from.
    metrics : the figures of that run.
    origin : what that run says it was learned from and by: `dataset_digest`, `code_version`, `configuration_digest`.
    minded : what must be minded of where it came from; "": nothing.
    """

    version: str
    run_id: str
    scorer: Scorer
    metrics: Mapping[str, float] = field(default_factory=dict)
    minded: str = ""
    origin: Mapping[str, str] = field(default_factory=dict)


class NoAnswer(Problem):
    """The tracking server does not answer; what it holds may be well."""


def _in_time(method: Callable[Concatenate[Registry, P], T]) -> Callable[Concatenate[Registry, P], T]:
    """Whatever is asked of a server is answered within bounds, see `models.deadline`, or raises NoAnswer."""

    @wraps(method)
    def asked(registry: Registry, /, *given: P.args, **named: P.kwargs) -> T:
        if not registry.uri.startswith("http"):
            return method(registry, *given, **named)
        try:
            return within(bound("tracking"), lambda: method(registry, *given, **named))
        except Exception as error:
            registry._see_answered(error)
            raise

    return asked


class Registry:
    """Runs and versions of one company's model.

    Whatever it asks of a server that does not answer in time raises NoAnswer.

    Parameters
    ----------
    uri : MLflow tracking URI. With SQLite, artifacts lie beside the database.
    name : of experiment and registered model.
    """

    def __init__(self, uri: str, name: str = "leadscore") -> None:
        import mlflow
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        self.uri, self.name, self.mlflow = uri, name, mlflow
        try:
            with _own_environment():
                mlflow.set_tracking_uri(uri)
            self.client = mlflow.MlflowClient(uri)
            self._found()
        except (MlflowException, SQLAlchemyError) as error:
            if uri.startswith("sqlite:///"):
                raise Problem(
                    f"The runs and models in {uri.removeprefix('sqlite:///')} cannot be read ({type(error).__name__}): put back a copy of the file, "
                    "or move it away and run `leadscore train`."
                ) from error
            raise self._no_answer() from None

    @_in_time
    def _found(self) -> None:
        """See that there is an experiment."""
        if self.client.get_experiment_by_name(self.name) is None:
            self.client.create_experiment(self.name, artifact_location=_artifacts(self.uri))

    def _see_answered(self, error: Exception) -> None:
        """See that an error was an answer."""
        if self.uri.startswith("http") and _is_silence(error):
            raise self._no_answer() from None

    def _no_answer(self) -> NoAnswer:
        return NoAnswer(f"The tracking server {unsigned(self.uri)} cannot be reached: start it, or correct `tracking` in leadscore.toml.")

    def log(self, training: Training) -> str:
        """Log a training as one run with a nested run a fold, register its model, and return the new version."""
        run_id, uri = self._log(training)
        # MLflow says on stderr what the report says anyway.
        with redirect_stderr(StringIO()):
            return self._register(training, run_id, uri)

    @_in_time
    def _log(self, training: Training) -> tuple[str, str]:
        with self._run(training, "training") as run_id:
            return run_id, self._log_model(training)

    @_in_time
    def _register(self, training: Training, run_id: str, uri: str) -> str:
        made = self.mlflow.register_model(uri, self.name, tags={"known_until": training.scorer.known_until.isoformat(), "run": run_id})
        self.client.set_model_version_tag(self.name, str(made.version), _SEAL, seal_of(self._folder(made), _BESIDE))
        return str(made.version)

    @_in_time
    def record(self, training: Training) -> str:
        """Log the same as an experiment, without a model: nothing can be promoted from it. Returns the run's id."""
        with self._run(training, "experiment") as run_id:
            return run_id

    @contextmanager
    def _run(self, training: Training, kind: str) -> Iterator[str]:
        mlflow = self.mlflow
        mlflow.set_experiment(self.name)
        with mlflow.start_run(run_name=training.name, tags={**{key: value[:_LONGEST] for key, value in training.tags.items()}, "kind": kind}) as run:
            mlflow.log_params({key: str(value)[:500] for key, value in training.params.items()})
            for name, estimate in training.metrics.items():
                mlflow.log_metrics({name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high})
            mlflow.log_metrics(dict(training.counts))
            with _in_any_script():
                for name, figure in training.figures.items():
                    mlflow.log_figure(figure, f"plots/{name}.png")
            for name, text in training.texts.items():
                mlflow.log_text(text, name)
            self._log_tables(training)
            for fold, metrics in training.folds.items():
                with mlflow.start_run(run_name=fold, nested=True):
                    mlflow.log_metrics(dict(metrics))
            yield str(run.info.run_id)

    def _log_tables(self, training: Training) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for name, table in training.tables.items():
                table.to_parquet(Path(folder) / name, index=False)
                self.mlflow.log_artifact(str(Path(folder) / name))

    def _log_model(self, training: Training) -> str:
        with tempfile.TemporaryDirectory() as folder:
            training.scorer.save(Path(folder) / "scorer")
            served = Path(folder) / "served.py"
            served.write_text(_SERVED, encoding="utf-8")
            signature = self.mlflow.models.infer_signature(training.example, training.scorer.probability(training.example))
            with _only_text():
                logged = self.mlflow.pyfunc.log_model(
                    name="scorer",
                    python_model=str(served),
                    artifacts={"scorer": str(Path(folder) / "scorer")},
                    signature=signature,
                    input_example=training.example,
                    pip_requirements=_REQUIREMENTS,
                )
        return str(logged.model_uri)

    @_in_time
    def champion(self) -> Champion:
        """The model in use.

        Raises
        ------
        Problem : there is none yet.
        """
        found = self.champion_or_none()
        if found is None:
            raise Problem("There is no champion yet: run `leadscore train` first.")
        return found

    @_in_time
    def champion_or_none(self) -> Champion | None:
        """The model in use, if there is one."""
        present = self._present()
        return self._fetched(present) if present else None

    def _present(self) -> Any:
        """The version that the champion alias names; None only where there is no such alias, so that a gate never takes a failure for a vacancy."""
        from mlflow.exceptions import MlflowException

        try:
            return self.client.get_model_version_by_alias(self.name, "champion")
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            if self.uri.startswith("http"):
                raise self._no_answer() from None
            raise

    @_in_time
    def champion_at(self, night: datetime) -> Champion:
        """The model that was in use on a night; of nights before anything was in use, the newest that was promoted from data known by then.

        Raises
        ------
        Problem : no model is that old.
        """
        found = self.champion_at_or_none(night)
        if found is None:
            raise Problem(
                f"No model had been trained by {night:%Y-%m-%d}: run `leadscore train --as-of {night:%Y-%m-%d}` first, "
                "so that the night is scored as it would have been."
            )
        return found

    @_in_time
    def champion_at_or_none(self, night: datetime) -> Champion | None:
        """The same, if there is one."""
        return self.champion_then_or_none(night) or self._newest_known_by(night)

    def champion_then_or_none(self, night: datetime) -> Champion | None:
        """The champion that the trail names for a night; None where there was none yet, or it was withdrawn since."""
        versions = self._versions()
        then = versions.get(in_use(self.trail(), night) or "")
        in_order = then is not None and then.tags.get("promoted") == "true" and _known_until(then) <= night
        return self._fetched(then) if in_order else None

    def _newest_known_by(self, night: datetime) -> Champion | None:
        promoted = [version for version in self._versions().values() if version.tags.get("promoted") == "true" and _known_until(version) <= night]
        newest = max(promoted, key=lambda version: (_known_until(version), int(version.version)), default=None)
        return self._fetched(newest) if newest else None

    @_in_time
    def version_or_none(self, version: str) -> Champion | None:
        """A model by its version, champion or not; None where it, or the run it came from, is no longer kept."""
        from mlflow.exceptions import MlflowException

        try:
            found = self.client.get_model_version(self.name, version)
            return self._fetched(found, self.client.get_run(_run_of(found)).data)
        except NoAnswer:
            raise
        except (MlflowException, OSError, Problem) as error:
            self._see_answered(error)
            return None

    def _fetched(self, version: Any, run: Any = None) -> Champion:
        """A version of which not a byte is other than it was logged: what was changed afterwards scores nobody."""
        folder = self._folder(version)
        if _is_changed(version, folder):
            raise Problem(
                f"The files of model version {version.version} are not those that were logged: somebody changed them, or the disk did. Put back a "
                f"copy of {folder}, or {WAY_OUT}"
            )
        run = run or self._run_if_kept(_run_of(version))
        metrics, origin = (dict(run.metrics), {tag: run.tags[tag] for tag in ORIGIN if tag in run.tags}) if run else ({}, {})
        return Champion(str(version.version), _run_of(version), Scorer.load(folder / "artifacts" / "scorer"), metrics, origin=origin)

    def _folder(self, version: Any) -> Path:
        """Where the files of a version lie on this machine.

        Raises
        ------
        Problem : they are gone, or the disk has no room to fetch them.
        """
        from mlflow.exceptions import MlflowException

        try:
            return Path(self.mlflow.artifacts.download_artifacts(f"models:/{self.name}/{version.version}"))
        except (MlflowException, OSError) as error:
            self._see_answered(error)
            if full := _FULL.search(str(error)):
                raise Problem(f"The files of model version {version.version} cannot be fetched ({full[0]}): free the disk, and run again.") from error
            raise Problem(
                f"The files of model version {version.version} cannot be read ({type(error).__name__}): put back a copy of them, or {WAY_OUT}"
            ) from error

    @_in_time
    def seals(self) -> dict[str, str]:
        """Of every version that is, was or may have been champion, what has become of its files.

        Returns
        -------
        version -> "whole", "changed", "gone", or "unsealed" where an earlier release of leadscore logged it, without a seal.
        """
        versions = self._versions()
        promoted = {number for number, version in versions.items() if version.tags.get("promoted") == "true"}
        named = promoted | {entry.version for entry in self.trail()}
        return {number: self._state(versions.get(number)) for number in sorted(named, key=int)}

    def _state(self, version: Any) -> str:
        try:
            folder = self._folder(version) if version else None
        except NoAnswer:
            raise
        except Problem:
            folder = None
        if folder is None:
            return "gone"
        if _SEAL not in version.tags:
            return "unsealed"
        return "changed" if _is_changed(version, folder) else "whole"

    @_in_time
    def conclude(self, version: str, promoted: bool, reasons: tuple[str, ...], at: datetime) -> None:
        """Record the gate's decision as tags; the champion alias moves only if it promotes, and never back to a model that knew less.

        A model trained as of a past night is that night's champion, which `champion_at` finds; it does not replace today's.

        Parameters
        ----------
        at : when this is decided, for the audit trail.
        """
        self.client.set_model_version_tag(self.name, version, "promoted", str(promoted).lower())
        self.client.set_model_version_tag(self.name, version, "gate", "; ".join(reasons)[:4000])
        present, made = self._present(), self.client.get_model_version(self.name, version)
        if not promoted:
            self.client.set_registered_model_alias(self.name, "challenger", version)
        elif present is None or _known_until(present) <= _known_until(made):
            self._succeed(Entry(at, "gate", version, present and str(present.version), "; ".join(reasons)))

    @_in_time
    def promote(self, version: str, because: str, at: datetime) -> Entry:
        """Make a version champion by a person's word, whatever the gate said, and write down why.

        Models that knew more than it are withdrawn: past nights are no longer scored with them either.

        Raises
        ------
        Problem : there is no such version, or it is champion already.
        """
        present, versions = self._present(), self._versions()
        if version not in versions:
            known = ", ".join(sorted(versions, key=int)) or "none yet"
            raise Problem(f"There is no model version {version}: the versions are {known}. `leadscore status` names the champion.")
        before = present and str(present.version)
        if version == before:
            raise Problem(f"Version {version} is the champion already: there is nothing to promote.")
        return self._overrule(Entry(at, "promoted", version, before, because))

    @_in_time
    def rollback(self, because: str, at: datetime) -> Entry:
        """Go back to the champion before the present one, which is withdrawn, and write down why.

        Raises
        ------
        Problem : there is no champion, or none before it.
        """
        present = self._present()
        if present is None:
            raise Problem("There is no champion yet, so there is nothing to roll back: run `leadscore train` first.")
        earlier = way_back(self.trail())
        if earlier not in self._versions():
            raise Problem(f"There is no champion before version {present.version} to go back to: promote another version with `leadscore promote`.")
        return self._overrule(Entry(at, "rolled back", earlier, str(present.version), because))

    @_in_time
    def trail(self) -> list[Entry]:
        """Every change of champion, oldest first."""
        if not self._versions():
            return []
        tags = self.client.get_registered_model(self.name).tags
        return [Entry.from_text(text) for name, text in sorted(tags.items()) if name.startswith(_TRAIL)]

    def _succeed(self, entry: Entry) -> None:
        """The trail before the alias: a change that nobody can account for must not happen."""
        number = len(self.trail()) + 1
        self.client.set_registered_model_tag(self.name, f"{_TRAIL}{number:05d}", replace(entry, because=entry.because[:3000]).to_text())
        self.client.set_registered_model_alias(self.name, "champion", entry.version)

    def _overrule(self, entry: Entry) -> Entry:
        versions = self._versions()
        knew = _known_until(versions[entry.version])
        withdrawn = {number for number, version in versions.items() if _known_until(version) > knew}
        if entry.act == "rolled back" and entry.before:
            withdrawn.add(entry.before)
        self._succeed(entry)
        for number in sorted(withdrawn):
            self.client.set_model_version_tag(self.name, number, "promoted", "false")
        self.client.set_model_version_tag(self.name, entry.version, "promoted", "true")
        return entry

    def _versions(self) -> dict[str, Any]:
        return {str(version.version): version for version in self.client.search_model_versions(f"name='{self.name}'")}

    @_in_time
    def find(self, named: str) -> Run:
        """The run of a model version, or the one whose id begins so.

        Raises
        ------
        Problem : none or several do, or it keeps no predictions.
        """
        versions = {number: _run_of(version) for number, version in self._versions().items()}
        run_id = versions.get(named) or self._one_run(named)
        run = self.client.get_run(run_id)
        metrics = run.data.metrics
        return Run(
            run_id,
            str(run.info.run_name),
            next((number for number, made in versions.items() if made == run_id), None),
            dict(run.data.params),
            {
                name: Estimate(value, metrics[f"{name}_low"], metrics[f"{name}_high"])
                for name, value in metrics.items()
                if {f"{name}_low", f"{name}_high"} <= set(metrics)
            },
            tuple(json.loads(self._kept(run_id, named, "features.json").read_text(encoding="utf-8"))),
            pd.read_parquet(self._kept(run_id, named, _PREDICTIONS)),
        )

    @_in_time
    def forget(self, leads: Collection[str]) -> int:
        """Take leads out of what every run said of them, lead by lead; how many rows that were. Figures and models stay: they are of everybody."""
        gone = 0
        for run_id in self._every_run():
            if not any(one.path == _PREDICTIONS for one in self.client.list_artifacts(run_id)):
                continue
            with tempfile.TemporaryDirectory() as folder:
                said = pd.read_parquet(self.client.download_artifacts(run_id, _PREDICTIONS, folder))
                theirs = said["lead_id"].isin(list(leads))
                if theirs.any():
                    (Path(folder) / "left").mkdir()
                    said[~theirs].to_parquet(Path(folder) / "left" / _PREDICTIONS, index=False)
                    self.client.log_artifact(run_id, str(Path(folder) / "left" / _PREDICTIONS))
            gone += int(theirs.sum())
        return gone

    def _every_run(self) -> list[str]:
        """Trainings and experiments, those too that somebody deleted, for MLflow keeps their files; not their folds."""
        experiment: Any = self.client.get_experiment_by_name(self.name)
        found = self.client.search_runs([experiment.experiment_id], run_view_type=self.mlflow.entities.ViewType.ALL, max_results=50_000)
        return [str(run.info.run_id) for run in found if _NESTED not in run.data.tags]

    def _one_run(self, named: str) -> str:
        experiment: Any = self.client.get_experiment_by_name(self.name)
        every = [run for run in self.client.search_runs([experiment.experiment_id], max_results=10_000) if _NESTED not in run.data.tags]
        found = [run for run in every if named and run.info.run_id.startswith(named)]
        if len(found) == 1:
            return str(found[0].info.run_id)
        if found:
            raise Problem(f"{named} begins {len(found)} runs ({', '.join(run.info.run_id[:12] for run in found[:5])}): write more of the id.")
        newest = ", ".join(f"{run.info.run_id[:8]} ({run.info.run_name})" for run in every[:5]) or "none yet"
        raise Problem(f"There is no run and no model version {named}: the newest runs are {newest}.")

    def _kept(self, run_id: str, named: str, file: str) -> Path:
        from mlflow.exceptions import MlflowException

        try:
            return Path(self.client.download_artifacts(run_id, file))
        except (MlflowException, OSError) as error:
            self._see_answered(error)
            raise Problem(f"{named} keeps no {file}, so that it cannot be compared: train or backtest again, and name the new run.") from error

    def _run_if_kept(self, run_id: str) -> Any:
        """Figures and tags of a run; None where somebody has deleted it, which is no reason to score nobody."""
        from mlflow.exceptions import MlflowException

        try:
            return self.client.get_run(run_id).data
        except MlflowException:
            return None


def _is_silence(error: Exception) -> bool:
    """Whether an error means that a server did not answer, rather than that it answered no. MLflow tells both by the same exception."""
    from mlflow.exceptions import MlflowException, RestException
    from requests import exceptions

    if isinstance(error, MlflowException):
        said = str(error)
        return not isinstance(error, RestException) and any(sign in said for sign in ("timed out", "Max retries exceeded", "Connection"))
    return isinstance(error, TimeoutError | exceptions.ConnectionError | exceptions.Timeout)


@contextmanager
def _in_any_script() -> Iterator[None]:
    """A name whose signs no installed font has is drawn as boxes: the figures beside it are the same."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+", UserWarning)
        yield


@contextmanager
def _only_text() -> Iterator[None]:
    """MLflow tries the model out where it is stored; Python would leave compiled code beside it."""
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def _is_changed(version: Any, folder: Path) -> bool:
    """Whether the files of a version are other than those that were logged; without a seal nobody can tell."""
    return _SEAL in version.tags and seal_of(folder, _BESIDE) != version.tags[_SEAL]


def _run_of(version: Any) -> str:
    """The run that a registered version came from."""
    return str(version.run_id or version.tags.get("run"))


def _known_until(version: Any) -> datetime:
    """The end of the extract that a registered version learned from."""
    return datetime.fromisoformat(version.tags["known_until"])


@contextmanager
def _own_environment() -> Iterator[None]:
    """Undo what MLflow writes into the environment: the next company of this process would read it as the user's own setting."""
    before = os.environ.get("MLFLOW_TRACKING_URI")
    try:
        yield
    finally:
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        if before is not None:
            os.environ["MLFLOW_TRACKING_URI"] = before


def _artifacts(uri: str) -> str | None:
    """Beside the SQLite file; a server decides for itself."""
    if not uri.startswith("sqlite:///"):
        return None
    folder = Path(uri.removeprefix("sqlite:///")).resolve().parent / "mlartifacts"
    folder.mkdir(parents=True, exist_ok=True)
    return folder.as_uri()
