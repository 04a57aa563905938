"""No connector's test speaks to another machine."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@pytest.fixture(autouse=True)
def only_this_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Whoever asks for the address of another machine, or connects to one, is kept from it and told of at the end."""
    elsewhere: list[Any] = []
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def see(host: Any) -> None:
        if host not in _LOOPBACK:
            elsewhere.append(host)
            raise OSError(f"a test asked for {host}")

    def connected(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple):
            see(address[0])
        connect(self, address)

    def looked_up(host: Any, *more: Any, **how: Any) -> Any:
        see(host)
        return look_up(host, *more, **how)

    monkeypatch.setattr(socket.socket, "connect", connected)
    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    yield elsewhere
    assert elsewhere == []
