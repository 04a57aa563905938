"""Whoever does not answer is given up within bounds that a user can set, in one sentence that names them, and nobody hangs."""

from __future__ import annotations

import gc
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from features.problem import Problem
from models.registry import NoAnswer, Registry
from pipelines.crm.tables import open_source
from pipelines.crm.vendors import open_target
from pipelines.delivery.mail import connected
from pipelines.deliveryrules import Mail
from pipelines.environment import see_orchestrator
from pipelines.server import Server
from pipelines.warehouse import Warehouse
from pipelines.writebackrules import Writeback
from tests.pipelines.crm.vendors.loopback import Answer, Asked, Vendor, serving

_HOST = "127.0.0.1"
_BOUNDS = {
    # libpq waits for two seconds at least.
    "LEADSCORE_CONNECT_SECONDS": "2",
    "LEADSCORE_SILENCE_SECONDS": "0.5",
    "LEADSCORE_ANSWER_SECONDS": "1",
    "LEADSCORE_RETRY_SECONDS": "0.4",
    "LEADSCORE_STATEMENT_SECONDS": "0.5",
    "LEADSCORE_TRACKING_SECONDS": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "1",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
}
# Far more than all of these together, for a busy machine; far less than what any of them is without.
_SOON = 15


def _hubspot(port: int) -> None:
    open_source("hubspot://").columns("contacts")


def _salesforce(port: int) -> None:
    open_source("salesforce://").tables()


def _scores_for(target: str, kind: str) -> Callable[[int], None]:
    return lambda port: open_target(Writeback.model_validate({"target": target}), kind, {"score": "leadscore_score"}).prepare(False) and None


def _database(port: int) -> None:
    open_source(f"postgresql+psycopg://ann:s3cret@{_HOST}:{port}/crm")


def _warehouse(port: int) -> None:
    with Warehouse.open(f"postgresql://ann:s3cret@{_HOST}:{port}/leads"):
        pass


def _registry(port: int) -> None:
    Registry(f"http://ann:s3cret@{_HOST}:{port}")


def _mail(port: int) -> None:
    with connected(Mail.model_validate({"server": _HOST, "port": port, "tls": "none", "sender": "leads@northwind.example"})):
        pass


WHO: dict[str, tuple[Callable[[int], None], str]] = {
    "HubSpot as a source": (_hubspot, "HubSpot could not be made to read .*: run again later"),
    "HubSpot as a target": (_scores_for("hubspot", "contacts"), "HubSpot could not be made to read .*: run again later"),
    "Salesforce as a source": (_salesforce, "Salesforce could not be made to log in, .*: run again later"),
    "Salesforce as a target": (_scores_for("salesforce", "Lead"), "Salesforce could not be made to log in, .*: run again later"),
    "Dynamics 365": (_scores_for("dynamics", "lead"), "Microsoft Entra ID could not be made to give its application a token, .*: run again later"),
    "a database": (_database, "The database of .source. location (did not list its tables within 1 seconds|cannot be reached)"),
    "the warehouse": (_warehouse, "The PostgreSQL warehouse cannot be reached: .* See that it runs and its address is right, and run again"),
    "the tracking server": (_registry, r"The tracking server http://127\.0\.0\.1:\d+ cannot be reached: start it, or correct `tracking`"),
    "the mail server": (_mail, r"The mail server 127\.0\.0\.1, port \d+, does not answer .*: check server, port and tls"),
    "Prefect": (lambda port: see_orchestrator(), r"The Prefect server http://127\.0\.0\.1:\d+/api does not answer .*: start it or correct"),
}


@contextmanager
def _nobody(how: str) -> Iterator[int]:
    """A port where calls are taken and never answered, or with a byte now and then, or not taken."""
    over = Event()

    def drip(caller: socket.socket) -> None:
        with caller:
            while not over.wait(0.1):
                try:
                    caller.sendall(b"S" if how == "a byte now and then" else b"")
                except OSError:
                    return

    def take() -> None:
        while not over.is_set():
            try:
                caller, _ = place.accept()
            except OSError:
                return
            Thread(target=drip, args=(caller,), daemon=True).start()

    with socket.create_server((_HOST, 0)) as place:
        port = place.getsockname()[1]
        if how == "refused":
            place.close()
        else:
            Thread(target=take, daemon=True).start()
        yield port
        over.set()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bounds as a user who is in a hurry would set them."""
    for name, seconds in _BOUNDS.items():
        monkeypatch.setenv(name, seconds)


def _point(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """Let all whose address stands in the environment be at a port of this machine."""
    url = f"http://{_HOST}:{port}"
    monkeypatch.delenv("SALESFORCE_ACCESS_TOKEN", raising=False)
    for name in ("HUBSPOT_API_URL", "SALESFORCE_INSTANCE_URL", "DYNAMICS_URL", "DYNAMICS_TOKEN_URL"):
        monkeypatch.setenv(name, url)
    for name in ("HUBSPOT_ACCESS_TOKEN", "SALESFORCE_CLIENT_ID", "SALESFORCE_CLIENT_SECRET", "DYNAMICS_TENANT_ID", "DYNAMICS_CLIENT_ID"):
        monkeypatch.setenv(name, "s3cret-word")
    monkeypatch.setenv("DYNAMICS_CLIENT_SECRET", "s3cret-word")
    monkeypatch.setenv("PREFECT_API_URL", f"{url}/api")


@pytest.mark.parametrize("how", ["silence", "a byte now and then", "refused"])
@pytest.mark.parametrize("who", WHO)
def test_whoever_does_not_answer_is_given_up_in_a_sentence(who: str, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    call, sentence = WHO[who]
    with _nobody(how) as port:
        _point(monkeypatch, port)
        began = monotonic()
        with pytest.raises(Problem, match=sentence) as said:
            call(port)
    assert monotonic() - began < _SOON
    assert str(said.value).endswith(".")
    assert "s3cret" not in str(said.value)


def test_a_bound_that_is_no_number_of_seconds_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for said in ("soon", "-1", "0", "inf", "nan"):
        monkeypatch.setenv("LEADSCORE_CONNECT_SECONDS", said)
        with pytest.raises(Problem) as wrong:
            _warehouse(1)
        assert str(wrong.value) == (
            f"The environment variable LEADSCORE_CONNECT_SECONDS is '{said}', which is no number of seconds: correct it, or unset it for 10."
        )


class _Half(Vendor):
    """A tracking server that knows the champion, and is silent when it is asked for the model's files."""

    def __init__(self) -> None:
        self.url = ""
        self.over = Event()

    def answer(self, asked: Asked) -> Answer:
        version = {"name": "leadscore", "version": "3", "run_id": "r", "source": "mlflow-artifacts:/1/models/m/artifacts", "status": "READY"}
        known = {
            "experiments/get-by-name": {"experiment": {"experiment_id": "1", "name": "leadscore", "lifecycle_stage": "active"}},
            "registered-models/alias": {"model_version": version},
            "model-versions/get": {"model_version": version},
            "model-versions/get-download-uri": {"artifact_uri": version["source"]},
        }
        path = asked.path.partition("?")[0].removeprefix("/api/2.0/mlflow/")
        if path not in known:
            self.over.wait(_SOON)
        return Answer(200, json.dumps(known.get(path, {})).encode())


def test_a_model_whose_files_do_not_come_is_a_server_that_does_not_answer_not_a_model_that_is_gone() -> None:
    server = _Half()
    with serving(server):
        registry = Registry(server.url)
        for asked in (registry.champion, lambda: registry.version_or_none("3")):
            with pytest.raises(NoAnswer, match="cannot be reached: start it"):
                asked()
        server.over.set()


@contextmanager
def _between(url: str) -> Iterator[tuple[str, Event]]:
    """The address of somebody who hands on what a client and a server say, until the event is set: then both hear nothing more."""
    halted, there, callers = Event(), urlsplit(url), list[socket.socket]()
    folder = Path(parse_qs(there.query)["host"][0])
    name = next(one for one in folder.iterdir() if one.name.startswith(".s.PGSQL") and one.suffix != ".lock")

    def hand_on(one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while said := one.recv(65_536):
                if not halted.is_set():
                    other.sendall(said)
            other.shutdown(socket.SHUT_RDWR)

    def serve(caller: socket.socket) -> None:
        with caller, socket.socket(socket.AF_UNIX) as behind:
            callers.append(caller)
            behind.connect(str(name))
            back = Thread(target=hand_on, args=(behind, caller), daemon=True)
            back.start()
            hand_on(caller, behind)
            back.join()

    def take() -> None:
        with suppress(OSError):
            while True:
                Thread(target=serve, args=(place.accept()[0],), daemon=True).start()

    with socket.create_server((_HOST, 0)) as place:
        Thread(target=take, daemon=True).start()
        yield f"postgresql://{there.username}@{_HOST}:{place.getsockname()[1]}{there.path}?gssencmode=disable&sslmode=disable", halted
        for one in (place, *callers):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def test_a_warehouse_that_falls_silent_amid_a_transaction_is_given_up(postgres_url: str) -> None:
    with _between(postgres_url) as (url, halted):
        server, began = Server(url), monotonic()
        silent = pytest.raises(Problem, match=r"could not be read: no whole answer within 1 seconds\. .* nothing is half-written")
        with silent, server.reading():
            _ = halted.set(), server.parts()
        server.close()
    assert monotonic() - began < _SOON


# What nobody waits for any longer is never closed either.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <function ServerCursorMixin")
def test_a_database_that_falls_silent_between_two_pieces_is_given_up(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.crm.csvfile.BATCH", 2)
    before = set(threading.enumerate())
    with psycopg.connect(postgres_url) as plain:
        plain.execute("CREATE TABLE leads AS SELECT n::text AS lead_id FROM generate_series(1, 100000) n")
    with _between(postgres_url) as (url, halted):
        pieces = open_source(url.replace("postgresql:", "postgresql+psycopg:")).pieces("leads")
        assert next(pieces)[0]["lead_id"].to_pylist() == ["1", "2"]
        halted.set()
        began = monotonic()
        with pytest.raises(Problem, match=r"did not read leads within 0\.5 seconds: .*, or wait longer by LEADSCORE_STATEMENT_SECONDS\."):
            list(pieces)
    assert monotonic() - began < _SOON
    del pieces
    for late in set(threading.enumerate()) - before:
        late.join(_SOON)
    gc.collect()


def test_what_an_address_says_of_time_outs_goes_before_ours(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as plain:
        parted = "&" if "?" in postgres_url else "?"
        server = Server(f"{postgres_url}{parted}options=-c%20lock_timeout%3D7s&connect_timeout=33")
        shown = [server.connection.execute(f"SHOW {name}").fetchone() for name in ("lock_timeout", "statement_timeout", "timezone")]
        assert shown == [("7s",), ("500ms",), ("UTC",)]
        assert server.connection.info.get_parameters()["connect_timeout"] == "33"
        assert plain.execute("SHOW statement_timeout").fetchone() == ("0",)
        server.close()
