"""A letter says what the list says; it reaches one address, encrypted, and no name can make more of it than a name."""

from __future__ import annotations

import re
import socket
from datetime import datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from postoffice import HOST, PostOffice, certify, hang_up_after, nobody_there, open_office
from reps import TEAM, night

from pipelines.delivery.mail import Letter, Refused, Uncertain, Unreachable, connected, letter, line, send
from pipelines.delivery.night import Night
from pipelines.deliveryrules import Mail

SENDER, ANN = "leads@northwind.example", "ann@northwind.example"
NOW = datetime(2025, 3, 4, 3, 30)
TEXT = st.text(st.one_of(st.sampled_from(list("\r\n\t <>&\"':,;@=")), st.characters(exclude_categories=["Cs"])), max_size=20)


def _rules(port: int, **rest: Any) -> Mail:
    return Mail.model_validate({"server": HOST, "port": port, "tls": "none", "sender": SENDER, **rest})


def _letter(scored: Night, subject: str = "{company}: your {calls} for {day}") -> Letter:
    return letter(scored, "o1", ANN, "ann.xlsx", b"PK workbook", subject)


def _written(one: Letter) -> EmailMessage:
    """A letter as its reader's program takes it apart."""
    return message_from_bytes(one.message(SENDER, NOW).as_bytes(), policy=default)  # type: ignore[return-value]


def _hand_in(rules: Mail, one: Letter) -> None:
    with connected(rules) as server:
        send(server, one, rules.sender, NOW)


def _body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def test_a_letter_has_the_calls_with_their_reasons_and_the_workbook() -> None:
    message = _written(_letter(night(*TEAM, notices=("3 rows were refused.",), crm_link="https://crm.example/{lead_id}")))
    assert (message["From"], message["To"], message["Subject"]) == (SENDER, ANN, "Northwind: your 2 calls for 2025-03-04")
    assert (message["Date"], message["Auto-Submitted"]) == ("Tue, 04 Mar 2025 03:30:00 +0000", "auto-generated")
    assert re.fullmatch(r"<[0-9a-f]{32}@northwind\.example>", message["Message-ID"])
    assert _body(message, "plain").splitlines() == [
        "Northwind, Tuesday, 04 March 2025: 2 calls for Ann.",
        "",
        "1. Zoë Zorn, Acme, Inc.: 12.3 %",
        "   opened 3 e-mails; source: web",
        "   https://crm.example/L1",
        "",
        "2. Zoë Zorn, Acme, Inc.: 12.3 %",
        "   opened 3 e-mails; source: web",
        "   https://crm.example/L2",
        "",
        "Probability of a first purchase within 90 days. 20 % means: of 100 leads like it, about 20 come to a first purchase within 90 days. "
        "It speaks of many such leads, not of one.",
        "",
        "3 rows were refused.",
        "",
        "All of them are in ann.xlsx: write what came of a call under Feedback and Note, save, and answer with the file.",
    ]
    html = _body(message, "html")
    assert '<a href="https://crm.example/L1">Zoë Zorn</a>' in html
    assert "opened 3 e-mails; source: web" in html
    (attached,) = message.iter_attachments()
    assert (attached.get_filename(), attached.get_content()) == ("ann.xlsx", b"PK workbook")
    assert attached.get_content_type() == "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def test_only_the_first_ten_calls_are_told_and_all_are_counted() -> None:
    many = [{"lead_id": f"L{n}", "name": f"lead {n}", "rank": n} for n in range(1, 13)]
    text = _letter(night(*many)).text
    assert text.startswith("Northwind, Tuesday, 04 March 2025: 12 calls for Ann. The first 10:\n")
    assert "\n10. lead 10, " in text
    assert "lead 11" not in text
    assert _letter(night({})).text.startswith("Northwind, Tuesday, 04 March 2025: 1 call for Ann.\n")


def test_equal_nights_make_equal_letters_and_others_do_not() -> None:
    assert _letter(night(*TEAM)).digest == _letter(night(*TEAM)).digest
    assert _letter(night(*TEAM)).digest != _letter(night(*TEAM, notices=("x",))).digest


class _Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)


@settings(max_examples=60, deadline=None)
@given(company=TEXT, name=TEXT, owner=TEXT, lead=TEXT, words=TEXT)
def test_whatever_names_hold_a_letter_has_its_own_headers_lines_and_tags(company: str, name: str, owner: str, lead: str, words: str) -> None:
    hostile = {"name": name, "company": name, "owner": owner, "lead_id": lead, "reasons": [{"words": words, "contribution": 1.0}]}
    one = _letter(night(hostile, company=company, crm_link="https://crm.example/{lead_id}"), "{company} {calls} {day}")
    message, plain = _written(one), _written(_letter(night({}, crm_link="https://crm.example/{lead_id}")))
    assert sorted(message.keys()) == sorted(plain.keys())
    assert (message["To"], message["From"]) == (ANN, SENDER)
    assert len(_body(message, "plain").split("\n")) <= len(_body(plain, "plain").split("\n"))
    assert _Tags(_body(message, "html")).tags <= _Tags(_body(plain, "html")).tags
    assert message["Subject"].split() == f"{line(company)} 1 call 2025-03-04".split()


def test_a_company_cannot_write_a_header_or_a_placeholder() -> None:
    message = _written(_letter(night({}, company="Acme\r\nBcc: eve@evil.example {day}")))
    assert message["Bcc"] is None
    assert message["Subject"] == "Acme Bcc: eve@evil.example {day}: your 1 call for 2025-03-04"


def test_a_letter_is_handed_in_once_to_one_address() -> None:
    with open_office() as office:
        _hand_in(_rules(office.port), _letter(night(*TEAM)))
    assert office.recipients == [ANN]
    assert [one["Subject"] for one in office.letters] == ["Northwind: your 2 calls for 2025-03-04"]
    assert _body(office.letters[0], "plain").startswith("Northwind, Tuesday")


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_user_and_password_travel_encrypted(tls: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = certify(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("MAIL_PASSWORD", "hunter2")
    with open_office(certificate, password=True, tls=tls == "tls") as office:
        _hand_in(_rules(office.port, tls=tls, user="leads", password="env:MAIL_PASSWORD"), _letter(night(*TEAM)))
    assert (office.logins, office.recipients, office.encrypted) == ([("leads", "hunter2")], [ANN], [True])


def _refusal(rules: Mail, kind: type[Exception]) -> str:
    with pytest.raises(kind) as said:
        _hand_in(rules, _letter(night(*TEAM)))
    assert "\n" not in str(said.value)
    return str(said.value)


def test_a_server_that_cannot_prove_who_it_is_gets_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", "hunter2")
    with open_office(certify(tmp_path), password=True) as office:
        said = _refusal(_rules(office.port, tls="starttls", user="leads", password="env:MAIL_PASSWORD"), Unreachable)
    assert "does not answer as [delivery.mail] wants (self-signed certificate" in said
    assert (office.logins, office.letters) == ([], [])


def test_a_server_that_cannot_encrypt_gets_nothing() -> None:
    with open_office() as office:
        said = _refusal(_rules(office.port, tls="starttls"), Unreachable)
    assert "(STARTTLS extension not supported by server.): check server, port and tls, and run `leadscore score` again." in said
    assert office.letters == []


@pytest.mark.parametrize("password", ["wrong", "hünter2"])
def test_a_wrong_password_is_said_and_never_shown(password: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = certify(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("MAIL_PASSWORD", password)
    with open_office(certificate, password=True) as office:
        said = _refusal(_rules(office.port, tls="starttls", user="leads", password="env:MAIL_PASSWORD"), Unreachable)
    assert said in (
        f"The mail server 127.0.0.1, port {office.port}, does not accept user and password (535): correct them under [delivery.mail].",
        f"The mail server 127.0.0.1, port {office.port}, cannot be told its name, user or password: they hold signs that are not ASCII.",
    )
    assert password not in said


def test_a_password_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAIL_PASSWORD", raising=False)
    said = _refusal(_rules(nobody_there(), tls="starttls", user="leads", password="env:MAIL_PASSWORD"), Unreachable)
    assert said == "[delivery.mail] password names the environment variable MAIL_PASSWORD, which is not set: export it and run again."


def test_a_server_that_is_not_there_is_said() -> None:
    port = nobody_there()
    assert _refusal(_rules(port), Unreachable) == (
        f"The mail server 127.0.0.1, port {port}, does not answer as [delivery.mail] wants (Connection refused): check server, port and tls, and run "
        "`leadscore score` again."
    )


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEADSCORE_SILENCE_SECONDS", "0.2")
    with socket.create_server((HOST, 0)) as silent:
        assert "does not answer as [delivery.mail] wants (" in _refusal(_rules(silent.getsockname()[1]), Unreachable)


def test_a_name_that_is_no_servers_is_said() -> None:
    assert "cannot be told its name" in _refusal(_rules(25, server="a..b"), Unreachable)


def _refusing(office: PostOffice) -> None:
    office.refused.add(ANN)


def _busy(office: PostOffice) -> None:
    office.busy = True


@pytest.mark.parametrize(
    ("behave", "sentence"),
    [
        (_refusing, "ann@northwind.example is not accepted by the mail server (550 no such mailbox)"),
        (_busy, "the mail server did not take the letter (451 try again later)"),
    ],
)
def test_a_letter_that_is_refused_surely_did_not_go_out(behave: Any, sentence: str) -> None:
    with open_office() as office:
        behave(office)
        assert _refusal(_rules(office.port), Refused) == sentence
    assert office.letters == []


@pytest.mark.parametrize("command", [b"MAIL", b"DATA", b"."])
def test_of_a_letter_whose_connection_was_lost_nobody_knows(command: bytes) -> None:
    with hang_up_after(command) as port:
        assert _refusal(_rules(port), Uncertain).startswith("the connection to the mail server was lost (")


def test_a_long_line_is_cut_where_it_is_said() -> None:
    assert line("x" * 1_000) == "x" * 299 + "…"
    assert line("\u202eevil\u2028\x00") == "evil"
