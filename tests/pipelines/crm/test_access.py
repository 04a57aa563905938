"""Secrets come from the environment alone, and travel in clear to nobody."""

from __future__ import annotations

import pytest

from features.problem import Problem
from pipelines.crm.access import address, secret


def test_a_secret_is_read_and_bared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", " abc \n")
    assert secret("A_TOKEN", "a token") == "abc"


@pytest.mark.parametrize("value", ["", "  "])
def test_a_missing_secret_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("A_TOKEN", value)
    with pytest.raises(Problem, match="A_TOKEN is not set: export a token under this name"):
        secret("A_TOKEN", "a token")


@pytest.mark.parametrize("value", ["one two", "one\ntwo", "schlüssel", "a\tb"])
def test_what_no_header_carries_is_refused_without_being_said(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("A_TOKEN", value)
    with pytest.raises(Problem, match="that no token has") as caught:
        secret("A_TOKEN", "a token")
    assert value not in str(caught.value)


@pytest.mark.parametrize("url", ["https://proxy.example/hub/", "http://127.0.0.1:80", "http://localhost:8080/", "http://[::1]:9"])
def test_https_and_this_machine_are_addresses(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("A_URL", url)
    assert address("A_URL", "https://example.com") == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "ftp://localhost",
        "example.com",
        "https://",
        "https://user:pw@example.com",
        "http://[",
        "http://localhost.example.com",
        "https://example.com:pw",
    ],
)
def test_no_token_travels_in_clear(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("A_URL", url)
    with pytest.raises(Problem, match="The address of A_URL must be https://") as caught:
        address("A_URL", "https://example.com")
    assert "pw" not in str(caught.value)


def test_the_vendor_s_own_address_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("A_URL", raising=False)
    assert address("A_URL", "https://example.com") == "https://example.com"
