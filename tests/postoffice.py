"""A real mail server on loopback that a test can tell how to behave."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "127.0.0.1"


@dataclass
class PostOffice:
    """What it took in, and whom it refuses.

    Parameters
    ----------
    refused : addresses that it does not accept. busy : it takes no letter at the moment. logins : who came with which password.
    """

    port: int = 0
    letters: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    busy: bool = False

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802
        """Accept an address or not."""
        if address in self.refused:
            return "550 no such\tmailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        """Take a letter in."""
        if self.busy:
            return "451 try again later"
        self.letters.append(message_from_bytes(envelope.content, policy=default))  # type: ignore[arg-type]
        self.recipients += envelope.rcpt_tos
        self.encrypted.append(server.transport.get_extra_info("sslcontext") is not None)
        return "250 OK"

    def let_in(self, server: Any, session: Any, envelope: Any, mechanism: str, given: Any) -> AuthResult:
        """Whether user and password are right."""
        assert isinstance(given, LoginPassword)
        self.logins.append((given.login.decode(), given.password.decode()))
        return AuthResult(success=given.password == b"hunter2", handled=False)


class _Counter(Controller):
    """A server on whichever port is free."""

    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def open_office(certificate: Path | None = None, password: bool = False, tls: bool = False) -> Iterator[PostOffice]:
    """Open a mail server.

    Parameters
    ----------
    certificate : a file with key and certificate, with which it offers STARTTLS, or with `tls` speaks nothing else.
    password : whether it wants user and password.
    """
    office, context = PostOffice(), None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    counter = _Counter(
        office,
        hostname=HOST,
        port=0,
        server_hostname="localhost",
        ssl_context=context if tls else None,
        tls_context=None if tls else context,
        authenticator=office.let_in,
        # It cannot know that it speaks nothing but TLS, and would warn.
        auth_required=password and not tls,
        auth_require_tls=not tls,
    )
    counter.start()
    office.port = counter.port
    try:
        yield office
    finally:
        counter.stop()


@contextmanager
def hang_up_after(command: bytes) -> Iterator[int]:
    """A server that takes everything until a line begins so, and then is gone without a word: its port. b".": after the whole letter."""

    def serve(listening: socket.socket) -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            with client, client.makefile("rwb", buffering=0) as line:
                line.write(b"220 here\r\n")
                data = False
                for said in line:
                    if said.upper().startswith(command) and (data or command != b"."):
                        break
                    if not data:
                        data = said.upper().startswith(b"DATA")
                        line.write(b"354 go on\r\n" if data else b"250 OK\r\n")

    with socket.create_server((HOST, 0)) as listening:
        threading.Thread(target=serve, args=(listening,), daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


def nobody_there() -> int:
    """A port at which nobody listens."""
    with socket.create_server((HOST, 0)) as free:
        port: int = free.getsockname()[1]
    return port


def certify(folder: Path, host: str = HOST) -> Path:
    """A file with a key and the certificate of a server, signed by itself."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = folder / f"{host}.pem"
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return file
