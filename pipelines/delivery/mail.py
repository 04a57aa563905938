"""A rep's list of a night as an e-mail: the first calls with their reasons, and the workbook with everything."""

from __future__ import annotations

import re
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import jinja2

from features.problem import Problem
from models.deadline import bound, within
from pipelines.delivery.night import Night, said
from pipelines.deliveryrules import Mail

FIRST = 10
_SPREADSHEET = ("application", "vnd.openxmlformats-officedocument.spreadsheetml.sheet")
# What ends a line, turns the reading direction, or is no text: with none of it, a name cannot make a header, nor a second line, of itself.
_COMMANDS = re.compile("[\x00-\x20\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")
_LONGEST = 300


class Unreachable(Problem):
    """The server does not answer, or takes no mail of ours: nothing was sent."""


class Refused(Problem):
    """The server answered, and did not take the letter: it was not sent."""


class Uncertain(Problem):
    """The connection was lost while a letter was under way: nobody knows whether it arrived."""


@dataclass(frozen=True)
class Letter:
    """What one rep gets of one night.

    Parameters
    ----------
    owner, address : whose list it is, and where it goes.
    text, html : the first calls in both forms.
    file, workbook : the attachment.
    """

    owner: str
    address: str
    subject: str
    text: str
    html: str
    file: str
    workbook: bytes

    @cached_property
    def digest(self) -> str:
        """Of all that the rep sees: equal letters have equal digests."""
        parts = (self.subject, self.text, self.html, sha256(self.workbook).hexdigest())
        return sha256("\0".join(parts).encode()).hexdigest()[:16]

    def message(self, sender: str, at: datetime) -> EmailMessage:
        """The letter as it is sent.

        Parameters
        ----------
        at : when, in UTC.
        """
        message = EmailMessage(policy=SMTP.clone(cte_type="7bit"))
        message["From"], message["To"], message["Subject"] = sender, self.address, self.subject
        message["Date"] = format_datetime(at.replace(tzinfo=UTC))
        message["Message-ID"] = f"<{sha256(f'{self.owner} {self.digest}'.encode('utf-8', 'replace')).hexdigest()[:32]}@{_domain(sender)}>"
        # Nobody's absence note is a reply to a list. Source: RFC 3834.
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(self.text)
        message.add_alternative(self.html, subtype="html")
        message.add_attachment(self.workbook, *_SPREADSHEET, filename=self.file)
        return message


def letter(night: Night, owner: str, address: str, file: str, workbook: bytes, subject: str) -> Letter:
    """One owner's letter: the first ten calls with reasons, what to mind, and how to answer. The same night, the same letter.

    Names and reasons are data: each is one line of text, and in HTML text and never markup.

    Parameters
    ----------
    address : checked by `pipelines.deliveryrules.address`.
    file, workbook : as `pipelines.delivery.workbook.workbooks` gives them.
    subject : may hold {company}, {calls} and {day}.
    """
    leads = night.leads_of(owner)
    listed = leads[leads["listed"].astype(bool)]
    count = f"{len(listed):,} call{'' if len(listed) == 1 else 's'}"
    calls = [_call(night, lead) for lead in listed.head(FIRST).itertuples(index=False)]
    head = f"{line(night.company)}, {night.day:%A, %d %B %Y}: {count} for {line(night.owners[owner]) or 'you'}."
    if len(listed) > FIRST:
        head += f" The first {FIRST}:"
    after = [
        f"Probability {line(night.chance)} within {night.horizon_days} days. {line(night.means)}",
        *(line(notice) for notice in night.notices),
        f"All of them are in {file}: write what came of a call under Feedback and Note, save, and answer with the file.",
    ]
    lines = [f"{at}. {_in_text(call)}" for at, call in enumerate(calls, start=1)]
    filled = {"{company}": night.company, "{calls}": count, "{day}": f"{night.day:%Y-%m-%d}"}
    subject = re.sub("|".join(map(re.escape, filled)), lambda named: filled[named[0]], subject)
    return Letter(owner, address, line(subject), "\n\n".join([head, *lines, *after]) + "\n", _html(head, calls, after), file, workbook)


def line(text: object) -> str:
    """A text as one line of a length that people read, whatever was in it.

    >>> line("Ann\\r\\nBcc: eve@company.example")
    'Ann Bcc: eve@company.example'
    """
    shown = _COMMANDS.sub(" ", str(text)).strip()
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"


@contextmanager
def connected(rules: Mail) -> Iterator[smtplib.SMTP]:
    """A server that has let us in.

    Raises
    ------
    Unreachable : it does not answer, cannot prove who it is, or refuses user or password; or there is no password for it.
    """
    where = f"The mail server {rules.server}, port {rules.port}"
    try:
        credentials = rules.credentials
        server = within(bound("answer"), lambda: _entered(rules, credentials))
    except Problem as problem:
        raise Unreachable(str(problem)) from None
    # Neither what the server said to user and password, nor which sign of them cannot be sent, is repeated: it may repeat them.
    except UnicodeError:
        raise Unreachable(f"{where}, cannot be told its name, user or password: they hold signs that are not ASCII.") from None
    except smtplib.SMTPAuthenticationError as error:
        raise Unreachable(f"{where}, does not accept user and password ({error.smtp_code}): correct them under [delivery.mail].") from None
    except (smtplib.SMTPException, OSError) as error:
        why = f"does not answer as [delivery.mail] wants ({_reason(error)}): check server, port and tls, and run `leadscore score` again."
        raise Unreachable(f"{where}, {why}") from None
    try:
        yield server
    finally:
        _close(server)


def _entered(rules: Mail, credentials: tuple[str, str] | None) -> smtplib.SMTP:
    known, silence, context = _domain(rules.sender), bound("silence"), ssl.create_default_context()
    server: smtplib.SMTP
    if rules.tls == "tls":
        server = smtplib.SMTP_SSL(rules.server, rules.port, known, timeout=silence, context=context)
    else:
        server = smtplib.SMTP(rules.server, rules.port, known, timeout=silence)
    try:
        if rules.tls == "starttls":
            server.starttls(context=context)
        if credentials:
            server.login(*credentials)
    except BaseException:
        _close(server)
        raise
    return server


def send(server: smtplib.SMTP, letter: Letter, sender: str, at: datetime) -> None:
    """Hand a letter to the server.

    Raises
    ------
    Refused : it does not take it.
    Uncertain : the connection was lost on the way.
    """
    try:
        within(bound("answer"), lambda: server.send_message(letter.message(sender, at), sender, [letter.address]))
    except smtplib.SMTPRecipientsRefused as error:
        code, answer = next(iter(error.recipients.values()))
        raise Refused(f"{letter.address} is not accepted by the mail server ({_answer(code, answer)})") from None
    except smtplib.SMTPServerDisconnected as error:
        raise Uncertain(f"the connection to the mail server was lost ({_reason(error)})") from None
    except smtplib.SMTPException as error:
        raise Refused(f"the mail server did not take the letter ({_reason(error)})") from None
    except OSError as error:
        raise Uncertain(f"the connection to the mail server was lost ({_reason(error)})") from None


def _call(night: Night, lead: Any) -> dict[str, str]:
    return {
        "name": line(lead.name) or line(lead.lead_id),
        "company": line(lead.company),
        "probability": f"{100 * lead.probability:.1f} %",
        "reasons": line(said(lead.reasons, 1)),
        "record": night.record(str(lead.lead_id)),
    }


def _in_text(call: dict[str, str]) -> str:
    who = ", ".join(part for part in (call["name"], call["company"]) if part)
    return "\n   ".join(part for part in (f"{who}: {call['probability']}", call["reasons"], call["record"]) if part)


def _html(head: str, calls: list[dict[str, str]], after: list[str]) -> str:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = (Path(__file__).parent / "mail.html.j2").read_text(encoding="utf-8")
    return environment.from_string(template).render(head=head, calls=calls, after=after)


def _domain(address: str) -> str:
    """What we call ourselves: the sender's domain, for the name of this machine is nobody's business."""
    return address.rpartition("@")[2]


def _reason(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return _answer(error.smtp_code, error.smtp_error)
    return line(getattr(error, "verify_message", "") or getattr(error, "strerror", "") or error or type(error).__name__)


def _answer(code: int, answer: bytes | str) -> str:
    words = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    return line(f"{code} {words}")


def _close(server: smtplib.SMTP) -> None:
    """Say goodbye, if there still is anybody to say it to."""
    try:
        within(bound("silence"), server.quit)
    except (smtplib.SMTPException, OSError):
        server.close()
