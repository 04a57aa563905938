"""Who asks, what goes wrong, and what is said of it: never a secret."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
import requests

from features.problem import Problem
from pipelines.crm.base import Unreachable
from pipelines.crm.salesforce import Salesforce
from pipelines.crm.salesforceapi import Connection
from tests.pipelines.crm.vendors.loopback import Answer, told
from tests.pipelines.crm.vendors.salesforce import SalesforceVendor, error
from tests.pipelines.crm.vendors.salesforcecompany import reached


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Iterator[SalesforceVendor]:
    with reached(monkeypatch) as there:
        yield there


def _opened(slept: list[float] | None = None) -> Salesforce:
    return Salesforce(Connection(sleep=(slept if slept is not None else list[float]()).append))


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        (error(401, "INVALID_SESSION_ID", "Session CANARY-token-0 expired"), Problem, "renew SALESFORCE_CLIENT_SECRET and run again"),
        (
            error(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded for CANARY-token-0."),
            Unreachable,
            "no API requests left for your company",
        ),
        (error(403, "API_DISABLED_FOR_ORG", "API is not enabled for CANARY-token-0"), Problem, "give it that right"),
        (error(400, "MALFORMED_QUERY", "unexpected token: CANARY-consumer-secret"), Problem, "refused to read Lead"),
        (error(503, "SERVER_UNAVAILABLE", "CANARY-token-0"), Unreachable, "tried 6 times"),
        (Answer(None), Unreachable, "no answer"),
        (told(302, "", Location="http://127.0.0.1:1/elsewhere"), Problem, "302"),
    ],
)
def test_what_does_not_pass_is_said_in_a_sentence_without_secrets(
    vendor: SalesforceVendor, said: Answer, kind: type[Problem], words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    slept: list[float] = []
    source = _opened(slept)
    source.columns("Lead")
    vendor.instead = [lambda method, path: said] * 20
    with pytest.raises(kind) as problem:
        list(source.pieces("Lead"))
    assert words in str(problem.value)
    spoken, at_hand = "", problem.value
    while at_hand is not None:
        spoken += f"{at_hand!r} {vars(at_hand)}"
        at_hand = at_hand.__cause__ or at_hand.__context__
    assert "CANARY" not in spoken + "".join(capfd.readouterr())
    assert type(problem.value) is kind or kind is Problem


def test_a_session_that_ended_is_begun_anew_once_a_call(vendor: SalesforceVendor) -> None:
    source = _opened()
    assert source.columns("User") == ["Id", "Name", "Email", "Department", "CreatedDate", "SystemModstamp"]
    vendor.end_session()
    assert [row["Name"] for piece, _ in source.pieces("User") for row in piece.to_pylist()] == ["Rep 0", "Rep 1"]
    assert vendor.logins == 2


def test_a_token_that_ended_is_a_problem_at_once(vendor: SalesforceVendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SALESFORCE_ACCESS_TOKEN", vendor.token)
    source = _opened()
    assert "Lead" in source.tables()
    vendor.end_session()
    with pytest.raises(Problem, match=r"the token was refused .*renew SALESFORCE_ACCESS_TOKEN and run again"):
        list(source.pieces("User"))
    assert vendor.logins == 0


def test_a_wrong_secret_is_said_with_where_to_look(vendor: SalesforceVendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SALESFORCE_CLIENT_SECRET", "CANARY-wrong")
    with pytest.raises(Problem, match="Check SALESFORCE_CLIENT_ID and SALESFORCE_CLIENT_SECRET") as said:
        _opened().tables()
    assert "CANARY" not in str(said.value)
    assert vendor.logins == 1


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "SALESFORCE_INSTANCE_URL is not set"),
        ({"SALESFORCE_INSTANCE_URL": "http://example.my.salesforce.com", "SALESFORCE_ACCESS_TOKEN": "t0ken"}, "must be https://"),
        ({"SALESFORCE_INSTANCE_URL": "https://example.my.salesforce.com"}, "Neither SALESFORCE_ACCESS_TOKEN nor SALESFORCE_CLIENT_ID and"),
        ({"SALESFORCE_INSTANCE_URL": "https://example.my.salesforce.com", "SALESFORCE_CLIENT_ID": "key"}, "SALESFORCE_CLIENT_SECRET is not set"),
    ],
)
def test_what_the_environment_lacks_is_said(environment: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("INSTANCE_URL", "ACCESS_TOKEN", "CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.delenv(f"SALESFORCE_{name}", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Problem, match=words):
        Salesforce()


def test_the_vendor_is_waited_for_as_long_as_it_asks(vendor: SalesforceVendor) -> None:
    slept: list[float] = []
    source = _opened(slept)
    source.columns("User")
    vendor.instead = [lambda method, path: error(503, "SERVER_UNAVAILABLE", "busy", Retry_After="7")]
    assert len(list(source.pieces("User"))) == 1
    assert slept == [7.0]


def test_a_netrc_does_not_replace_the_token(vendor: SalesforceVendor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("machine example.my.salesforce.com login somebody password else\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    url = "https://example.my.salesforce.com"
    with Connection()._session(url) as session:
        sent = session.prepare_request(requests.Request("GET", url, headers={"Authorization": "Bearer ours"}))
    assert sent.headers["Authorization"] == "Bearer ours"


def test_without_the_client_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "simple_salesforce.api", None)
    monkeypatch.delitem(sys.modules, "pipelines.crm.salesforceapi")
    with pytest.raises(Problem, match=r"run `pip install 'leadscore\[salesforce\]'`"):
        import_module("pipelines.crm.salesforceapi")
