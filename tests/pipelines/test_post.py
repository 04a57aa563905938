"""Every rep's list is mailed once: however often the night is scored, wherever the run before it ended."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from postoffice import HOST, PostOffice, hang_up_after, nobody_there, open_office
from reps import BOB, NIGHT, TEAM, night

from pipelines.deliveries import note_delivery
from pipelines.delivery.folder import publish_folder
from pipelines.delivery.night import Night
from pipelines.delivery.workbook import workbook, workbooks
from pipelines.deliveryrules import Mail
from pipelines.post import Posted, post
from pipelines.warehouse import Warehouse

ANN, BOB_AT = "ann@northwind.example", "bob@northwind.example"
KNOWN = {"o1": ANN, "o2": BOB_AT}
NOW = datetime(2025, 3, 4, 3, 30)
NOBODYS = "1 listed lead is nobody's and mailed to nobody: see nobody.xlsx."
ENDED = "an earlier run ended while it was being sent"


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    with Warehouse.open(str(tmp_path / "warehouse.duckdb")) as opened:
        yield opened


@pytest.fixture
def office() -> Iterator[PostOffice]:
    with open_office() as opened:
        yield opened


def _post(warehouse: Warehouse, port: int, scored: Night, known: dict[str, str] = KNOWN, now: datetime = NOW, **rest: Any) -> Posted:
    (file,) = warehouse.raw.execute("SELECT path FROM duckdb_databases() WHERE path IS NOT NULL").fetchall()[0]
    folder = publish_folder(Path(file).parent / "lists", workbooks(scored))
    rules = Mail.model_validate({"server": HOST, "port": port, "tls": "none", "sender": "leads@northwind.example", **rest})
    return post(rules, warehouse, scored, folder, known, now)


def _unknown(why: str) -> str:
    return f"Whether the list of Ann for 2025-03-04 arrived is not known ({why}"


def _states(warehouse: Warehouse) -> list[tuple[str, str]]:
    return warehouse.raw.execute("SELECT recipient, state FROM deliveries ORDER BY recipient").fetchall()


def _attached(message: EmailMessage) -> tuple[str | None, bytes]:
    (part,) = message.iter_attachments()
    return part.get_filename(), part.get_content()  # type: ignore[attr-defined]


def test_every_rep_with_calls_gets_their_own_workbook(warehouse: Warehouse, office: PostOffice) -> None:
    scored = night(*TEAM)
    assert _post(warehouse, office.port, scored) == Posted(2, False, [])
    assert office.recipients == [ANN, BOB_AT]
    assert [_attached(one) for one in office.letters] == [("ann.xlsx", workbook(scored, "o1")), ("bob.xlsx", workbook(scored, "o2"))]
    rows = warehouse.raw.execute('SELECT outcome, as_of, channel, recipient, state, "at" FROM deliveries ORDER BY recipient').fetchall()
    assert rows == [("default", NIGHT, "mail", "o1", "sent", NOW), ("default", NIGHT, "mail", "o2", "sent", NOW)]


def test_a_night_scored_again_is_not_mailed_again(warehouse: Warehouse, office: PostOffice) -> None:
    _post(warehouse, office.port, night(*TEAM))
    assert _post(warehouse, office.port, night(*TEAM), now=NOW + timedelta(hours=1)) == Posted(0, False, [])
    # With everything sent there is nobody to connect to.
    assert _post(warehouse, nobody_there(), night(*TEAM)) == Posted(0, False, [])
    assert len(office.letters) == 2


def test_the_next_night_and_another_outcome_are_mailed(warehouse: Warehouse, office: PostOffice) -> None:
    for scored in (night(*TEAM), night(*TEAM, as_of=NIGHT + timedelta(days=1)), night(*TEAM, chosen="churn")):
        assert _post(warehouse, office.port, scored).sent == 2


def test_a_list_that_changed_after_it_was_mailed_is_said_and_not_mailed_twice(warehouse: Warehouse, office: PostOffice) -> None:
    _post(warehouse, office.port, night(*TEAM))
    changed = (*TEAM[:2], {**TEAM[2], "probability": 0.9}, *TEAM[3:])
    assert _post(warehouse, office.port, night(*changed)) == Posted(
        0, False, ["The list of Bob changed after it was mailed and is not mailed twice: the new one is bob.xlsx."]
    )
    assert len(office.letters) == 2


def test_a_refused_rep_is_said_and_the_others_get_theirs(warehouse: Warehouse, office: PostOffice) -> None:
    office.refused.add(ANN)
    posted = _post(warehouse, office.port, night(*TEAM))
    assert (posted.sent, posted.failed, office.recipients) == (1, True, [BOB_AT])
    assert posted.notices == [
        "The list of Ann was not mailed: ann@northwind.example is not accepted by the mail server (550 no such mailbox). "
        "Correct it, and run `leadscore score` again."
    ]
    assert _states(warehouse) == [("o1", "refused"), ("o2", "sent")]
    # Corrected, only the one that was refused is sent.
    assert _post(warehouse, office.port, night(*TEAM), to={"o1": "ann.other@northwind.example"}) == Posted(1, False, [])
    assert office.recipients == [BOB_AT, "ann.other@northwind.example"]


def test_a_server_that_is_gone_loses_no_list(warehouse: Warehouse, office: PostOffice) -> None:
    port = nobody_there()
    posted = _post(warehouse, port, night(*TEAM))
    assert (posted.sent, posted.failed, _states(warehouse)) == (0, True, [])
    assert posted.notices == [
        f"The mail server 127.0.0.1, port {port}, does not answer as [delivery.mail] wants (Connection refused): check server, port and tls, and run "
        "`leadscore score` again. Not mailed: the lists of Ann, Bob."
    ]
    assert _post(warehouse, office.port, night(*TEAM)) == Posted(2, False, [])


@pytest.mark.parametrize("command", [b"DATA", b"."])
def test_a_letter_that_may_have_arrived_is_said_and_never_sent_again_by_itself(warehouse: Warehouse, office: PostOffice, command: bytes) -> None:
    with hang_up_after(command) as port:
        posted = _post(warehouse, port, night({}))
    assert (posted.sent, posted.failed, _states(warehouse)) == (0, True, [("o1", "sending")])
    assert posted.notices[0].startswith(_unknown("the connection to the mail server was lost ("))
    again = _post(warehouse, office.port, night({}))
    hand = "so that it is not mailed again: ask, and send ann.xlsx by hand if it did not."
    assert again == Posted(0, True, [f"{_unknown(ENDED)}), {hand}"])
    assert office.letters == []


def test_a_run_that_died_before_it_could_say_sent_is_followed_by_one_that_mails_the_others(warehouse: Warehouse, office: PostOffice) -> None:
    note_delivery(warehouse, NIGHT, "mail", "o1", "d", "sending", NOW)
    posted = _post(warehouse, office.port, night(*TEAM))
    assert (posted.sent, posted.failed, office.recipients) == (1, True, [BOB_AT])
    assert posted.notices[0].startswith(_unknown(ENDED))


def test_who_has_no_address_or_no_name_is_said(warehouse: Warehouse, office: PostOffice) -> None:
    leads = ({}, {"lead_id": "L2", "rank": 2, **BOB}, {"lead_id": "L3", "rank": 3, "owner_id": "", "owner": ""})
    posted = _post(warehouse, office.port, night(*leads), {"o1": "Ann <ann@northwind.example>\nBcc: eve@evil.example"}, to={"o3": ANN})
    wanted = "has no e-mail address that can be used: write it into the table of owners, or under `to` of [delivery.mail]."
    assert posted == Posted(0, False, [f"Ann (owner_id o1) {wanted}", f"Bob (owner_id o2) {wanted}", NOBODYS])
    assert office.letters == []


def test_who_has_no_calls_today_gets_no_mail(warehouse: Warehouse, office: PostOffice) -> None:
    leads = ({}, {"lead_id": "L2", "rank": 2, "listed": False, **BOB})
    assert _post(warehouse, office.port, night(*leads)) == Posted(1, False, [])
    assert office.recipients == [ANN]


def test_two_reps_of_one_name_each_get_their_own(warehouse: Warehouse, office: PostOffice) -> None:
    scored = night({}, {"lead_id": "L2", "rank": 2, "owner_id": "o2", "owner": "ANN"})
    assert _post(warehouse, office.port, scored).sent == 2
    assert [_attached(one)[1] for one in office.letters] == [workbook(scored, "o1"), workbook(scored, "o2")]


def test_a_password_that_is_not_set_keeps_no_list_back(warehouse: Warehouse, office: PostOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAIL_PASSWORD", raising=False)
    posted = _post(warehouse, office.port, night({}), tls="starttls", user="leads", password="env:MAIL_PASSWORD")
    unset = "[delivery.mail] password names the environment variable MAIL_PASSWORD, which is not set: export it and run again."
    assert posted == Posted(0, True, [f"{unset} Not mailed: the lists of Ann."])
