"""What the made-up vendors share: a server on loopback that answers JSON, and breaks when it is told to."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Protocol


@dataclass
class Answer:
    """What is sent back; without a status nothing is: the connection is dropped.

    Parameters
    ----------
    cut : only half of the body is sent before the connection is dropped.
    """

    status: int | None
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False


def told(status: int, body: Any, **headers: str) -> Answer:
    """An answer in JSON; Retry_After is the header Retry-After."""
    return Answer(status, json.dumps(body).encode(), {name.replace("_", "-"): value for name, value in headers.items()})


@dataclass
class Asked:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Vendor(Protocol):
    """A server with a state; `answer` is what makes it one vendor or another."""

    url: str

    def answer(self, asked: Asked) -> Answer:
        """What is said to a request."""
        ...


@contextmanager
def serving(vendor: Vendor) -> Iterator[None]:
    """Serve on a free port of loopback, one request after the other."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # An answer is written at once, not in two parts of which the second waits to be asked for.
        wbufsize = -1

        def handle_one(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            said = vendor.answer(Asked(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            if said.status is None:
                self._drop()
                return
            self.send_response(said.status)
            for name, value in {"Content-Type": "application/json", **said.headers, "Content-Length": str(len(said.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said.body[: len(said.body) // 2] if said.cut else said.body)
            if said.cut:
                self._drop()

        do_GET = do_POST = do_PATCH = handle_one  # noqa: N815

        def _drop(self) -> None:
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    vendor.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
