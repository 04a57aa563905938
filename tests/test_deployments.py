"""What prefect.yaml and automations.yaml promise a server exists: flows by those names, parameters they take, schedules that can be kept."""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow
from prefect.client.schemas.schedules import CronSchedule
from prefect.events.schemas.automations import AutomationCore, EventTrigger

ROOT = Path(__file__).parents[1]
DEPLOYMENTS: list[dict[str, Any]] = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]


def test_the_five_flows_are_deployed() -> None:
    assert [one["name"] for one in DEPLOYMENTS] == ["nightly", "train", "extract", "score", "review"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda one: one["name"])
def test_a_deployment_names_a_flow_and_parameters_it_takes(deployment: dict[str, Any]) -> None:
    module, name = deployment["entrypoint"].rsplit(".", 1)
    flow = getattr(import_module(module), name)
    assert isinstance(flow, Flow)
    assert flow.name == deployment["name"]
    assert set(deployment["parameters"]) <= set(inspect.signature(flow.fn).parameters)
    assert deployment["work_pool"] == {
        "name": "leadscore",
        "job_variables": {"env": {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1"}},
    }


@pytest.mark.parametrize("name", ["nightly", "train", "extract", "score"])
def test_two_runs_that_write_never_overlap(name: str) -> None:
    (deployment,) = (one for one in DEPLOYMENTS if one["name"] == name)
    assert deployment["concurrency_limit"] == {"limit": 1, "collision_strategy": "ENQUEUE"}


def test_the_night_runs_every_night_and_training_every_sunday() -> None:
    crons = {one["name"]: one["schedules"][0]["cron"] for one in DEPLOYMENTS if "schedules" in one}
    assert crons == {"nightly": "0 2 * * *", "train": "0 4 * * 0"}
    for cron in crons.values():
        assert CronSchedule(cron=cron, timezone="UTC").cron == cron


def test_every_deployed_run_that_falls_silent_is_ended_and_what_a_schedule_began_begins_again() -> None:
    heard = dict[str, tuple[Any, str, int]]()
    for one in yaml.safe_load((ROOT / "automations.yaml").read_text(encoding="utf-8"))["automations"]:
        assert isinstance(AutomationCore.model_validate(one).trigger, EventTrigger)
        pool, flows = one["trigger"]["match_related"]
        assert pool == {"prefect.resource.role": "work-pool", "prefect.resource.name": "leadscore"}
        assert flows["prefect.resource.role"] == "flow"
        heard[one["name"]] = (flows["prefect.resource.name"], one["actions"][0]["state"], one["trigger"]["within"])
    assert heard == {
        "leadscore-silent-run-begins-again": (["nightly", "train"], "SCHEDULED", 120),
        "leadscore-crashed-run-begins-again": (["nightly", "train"], "SCHEDULED", 60),
        "leadscore-silent-run-has-crashed": (["extract", "score", "review"], "CRASHED", 120),
    }
    assert {flow for flows, _, _ in heard.values() for flow in flows} == {one["name"] for one in DEPLOYMENTS}
    assert {one["name"] for one in DEPLOYMENTS if "schedules" in one} == set(heard["leadscore-silent-run-begins-again"][0])
