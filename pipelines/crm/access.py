"""What opens a vendor's API: secrets from the environment, and addresses that a secret may be sent to."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from features.problem import Problem

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def secret(name: str, what: str) -> str:
    """A secret from the environment, which is the only place that secrets are read from.

    Parameters
    ----------
    name : the environment variable.
    what : what it holds, in words, such as "the token of a HubSpot private app".

    Raises
    ------
    Problem : it is not set, or holds what no header can carry, such as a line break that was copied along.
    """
    value = os.environ.get(name, "").strip()
    if not value:
        raise Problem(f"The environment variable {name} is not set: export {what} under this name and run again.")
    if not value.isascii() or not value.isprintable() or " " in value:
        raise Problem(f"The environment variable {name} holds blanks, line breaks or letters that no token has: copy {what} again.")
    return value


def address(name: str, default: str) -> str:
    """Where an API is called: the vendor's own address, unless the environment names a proxy or a test server.

    Tokens travel with every call, so anything but this machine must speak https.

    Raises
    ------
    Problem : the address is no URL, or would carry a token in clear over a network.
    """
    url = os.environ.get(name, "").strip().rstrip("/") or default
    try:
        parts = urlsplit(url)
        # Only who asks for the port is told that it is no number.
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    if not host or parts.username is not None or (parts.scheme != "https" and not (parts.scheme == "http" and host in _LOOPBACK)):
        raise Problem(
            f"The address of {name} must be https:// without a user name, or http:// on this machine, because a token is sent there: correct it."
        )
    return url
