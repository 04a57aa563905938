"""A real Prefect server and worker on loopback, as an operator starts them, that a test may kill."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import psutil
import yaml

ROOT = Path(__file__).parents[1]
_PREFECT = str(Path(sys.executable).with_name("prefect"))
# A machine that does other things besides is no failure.
_PATIENCE = 120


@dataclass
class OwnServer:
    """A server with a home of its own.

    Parameters
    ----------
    folder : for its database, its logs and whatever is deployed from. silence : seconds after which a run without a sign of life has crashed.
    """

    folder: Path
    silence: int
    port: int = field(default_factory=lambda: _free_port())
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def api(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def environment(self) -> dict[str, str]:
        """What an operator sets, and shorter waits, all of which they could set as well."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT", "PYTEST", "MLFLOW"))}
        return {
            **own,
            "PREFECT_HOME": str(self.folder / "prefect"),
            "PREFECT_API_URL": self.api,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), own.get("PYTHONPATH")])),
        }

    def start(self, *words: str) -> Path:
        """Start something that stays, in a session of its own; its log."""
        log = self.folder / f"{len(self.started)}.log"
        with log.open("wb") as written:
            run = subprocess.Popen(
                [_PREFECT, *words], cwd=ROOT, env=self.environment, stdout=written, stderr=subprocess.STDOUT, start_new_session=True
            )
        self.started.append(run)
        return log

    def worker(self) -> Path:
        """Start a worker as docs/unattended.md does; its log, which holds that of its runs too."""
        return self.start("worker", "start", "--pool", "leadscore", "--limit", "1")

    def kill(self, run: subprocess.Popen[bytes]) -> None:
        """End a process and all that it started, as the power does."""
        family = psutil.Process(run.pid).children(recursive=True) if run.poll() is None else []
        for one in family:
            one.kill()
        run.kill()
        run.wait()
        psutil.wait_procs(family, timeout=10)

    def type(self, *commands: tuple[str, ...]) -> None:
        """Commands at the same time that end, and must end well."""
        typed = [
            subprocess.Popen([_PREFECT, "--no-prompt", *words], cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            for words in commands
        ]
        said = [run.communicate()[0].decode() for run in typed]
        assert [run.returncode for run in typed] == [0] * len(typed), said

    def set_up(self, config: Path) -> None:
        """Work pool, automations and deployments, from the project's own files; only whose company it is, and how long silence lasts, is told."""
        automations = yaml.safe_load((ROOT / "automations.yaml").read_text(encoding="utf-8"))
        for one in automations["automations"]:
            one["trigger"]["within"] = self.silence
        deployments = (ROOT / "prefect.yaml").read_text(encoding="utf-8").replace("config: leadscore.toml", f"config: {config}")
        for name, text in {"automations.yaml": yaml.safe_dump(automations), "prefect.yaml": deployments}.items():
            (self.folder / name).write_text(text, encoding="utf-8")
        self.until(lambda: _answers(f"{self.api}/health"), "the server answers")
        self.type(
            ("work-pool", "create", "leadscore", "--type", "process"),
            ("automation", "create", "--from-file", str(self.folder / "automations.yaml")),
        )
        self.type(("deploy", "--all", "--prefect-file", str(self.folder / "prefect.yaml")))

    def ask(self, way: str, **told: Any) -> Any:
        """Ask the API something, or tell it."""
        answer = httpx.post(f"{self.api}/{way}", json=told, timeout=30) if told else httpx.get(f"{self.api}/{way}", timeout=30)
        answer.raise_for_status()
        return answer.json()

    def run(self, name: str, scheduled: datetime, **parameters: str) -> str:
        """Schedule a run of a deployment through the API: its id."""
        deployment = self.ask(f"deployments/name/{name}/{name}")["id"]
        state = {"type": "SCHEDULED", "state_details": {"scheduled_time": f"{scheduled.isoformat()}Z"}}
        return str(self.ask(f"deployments/{deployment}/create_flow_run", state=state, parameters=parameters)["id"])

    def state(self, run: str) -> str:
        """Where a run stands."""
        return str(self.ask(f"flow_runs/{run}")["state"]["type"])

    def states(self, run: str) -> list[str]:
        """Every state that a run has had, by its name, oldest first."""
        return [state["name"] for state in self.ask(f"flow_run_states/?flow_run_id={run}")]

    def until(self, holds: Any, what: str) -> None:
        """Wait until something holds."""
        end = monotonic() + _PATIENCE
        while not holds():
            assert monotonic() < end, f"{what}: not within {_PATIENCE} s\n" + "\n".join(
                log.read_text(encoding="utf-8", errors="replace")[-3000:] for log in sorted(self.folder.glob("*.log"))
            )
            sleep(0.1)


def _answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=5).is_success
    except httpx.HTTPError:
        return False


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@contextmanager
def open_server(folder: Path, silence: int) -> Iterator[OwnServer]:
    """A server that is about to answer; all that it started is ended whatever happens."""
    server = OwnServer(folder, silence)
    try:
        server.start("server", "start", "--no-ui", "--host", "127.0.0.1", "--port", str(server.port))
        yield server
    finally:
        for run in reversed(server.started):
            server.kill(run)
