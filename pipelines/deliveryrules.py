"""How a night reaches sales beside the page, as a company writes it down."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from pipelines.section import ENVIRONMENT, Section, looked_up

LEAD_ID = "{lead_id}"
_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}"
_DOMAIN = r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?"
# No address holds a space, a quote or an angle bracket; and nobody writes {lead} and means the text.
_LINK = re.compile(r"https?://[^\s\"<>\\^`{}\x00-\x20\x7f]+")


def address(text: str) -> str:
    """One e-mail address and nothing else, a domain in any script in the form that every server reads.

    An address may come from the CRM, and whatever would make a second one of it, or a header, is refused. Source: RFC 5321, 4.1.2.

    Raises
    ------
    ValueError : it is none.

    >>> address(" ann@bäckerei.example ")
    'ann@xn--bckerei-5wa.example'
    """
    local, at, domain = text.strip().rpartition("@")
    try:
        plain = domain.encode("idna").decode("ascii")
    except UnicodeError:
        plain = ""
    if not at or not re.fullmatch(_LOCAL, local) or not re.fullmatch(_DOMAIN, plain) or ".." in plain:
        raise ValueError(f"{text[:60]!r} is no e-mail address such as 'ann@company.example'")
    return f"{local}@{plain}"


class Mail(Section):
    """The server that mails every rep the list of the night; without `server` nothing is mailed.

    Parameters
    ----------
    server, port : of outgoing mail. The port is the usual one of `tls`: 587, 465 or 25.
    tls : "starttls" and "tls" encrypt, and the server has to prove who it is; "none" is for a server on this machine.
    sender : the address that the lists come from, and that a rep answers to.
    user, password : where the server wants them. Either may be "env:NAME", and the password must be: it never stands in a file.
    subject : {company}, {calls} and {day} are filled in.
    to : owner_id -> address, for owners whose address in the table `owners` is missing or another one.
    """

    server: str = ""
    port: int = Field(default=587, ge=1, le=65_535)
    tls: Literal["starttls", "tls", "none"] = "starttls"
    sender: str = ""
    user: str = ""
    password: str = ""
    subject: str = Field(default="{company}: your {calls} for {day}", min_length=1)
    to: dict[str, str] = {}

    @model_validator(mode="before")
    @classmethod
    def _port_of_the_tls(cls, given: Any) -> Any:
        usual = _PORTS.get(str(given.get("tls"))) if isinstance(given, dict) else None
        return {"port": usual, **given} if usual else given

    @field_validator("server")
    @classmethod
    def _a_name(cls, server: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9.:_-]*", server):
            raise ValueError(f"'{server[:60]}' is no name of a server such as 'smtp.company.example'; its port is written as `port`")
        return server

    @field_validator("sender")
    @classmethod
    def _one_address(cls, sender: str) -> str:
        return address(sender) if sender else sender

    @field_validator("to")
    @classmethod
    def _addresses(cls, to: dict[str, str]) -> dict[str, str]:
        return {owner: address(one) for owner, one in to.items()}

    @field_validator("password")
    @classmethod
    def _not_in_the_file(cls, password: str) -> str:
        # Its value is not repeated: what was written here may be the password itself.
        if password and not re.fullmatch(f"{ENVIRONMENT}[A-Za-z_][A-Za-z0-9_]*", password):
            raise ValueError('a password does not stand in a file: write password = "env:NAME" and export NAME')
        return password

    @model_validator(mode="after")
    def _of_one_piece(self) -> Mail:
        if self.server and not self.sender:
            raise ValueError("`sender` is missing: the address that the lists come from")
        if bool(self.user) != bool(self.password):
            raise ValueError("`user` and `password` belong together: write both, or neither")
        if self.password and self.tls == "none":
            raise ValueError('a password is not sent in the clear: write tls = "starttls" or "tls"')
        return self

    @property
    def credentials(self) -> tuple[str, str] | None:
        """User and password, looked up where they are kept; None where the server wants none.

        Raises
        ------
        Problem : an environment variable is not set.
        """
        return (looked_up("[delivery.mail] user", self.user), looked_up("[delivery.mail] password", self.password)) if self.user else None


class Delivery(Section):
    """How sales gets to a lead's record in the CRM from the workbook, and the workbook by mail.

    Parameters
    ----------
    crm_link : address of a lead's record, with {lead_id} where its id belongs; "": the workbook has no such column.
    """

    crm_link: str = ""
    mail: Mail = Mail()

    @field_validator("crm_link")
    @classmethod
    def _an_address(cls, link: str) -> str:
        if link and not (LEAD_ID in link and _LINK.fullmatch(link.replace(LEAD_ID, "1"))):
            raise ValueError(f"'{link[:80]}' is no address of a record such as 'https://crm.example/leads/{LEAD_ID}'")
        return link
