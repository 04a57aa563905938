"""The post of a night: every rep's list mailed once, however often the night is scored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pipelines.deliveries import delivery, note_delivery
from pipelines.delivery.mail import Letter, Refused, Uncertain, Unreachable, connected, letter, line, send
from pipelines.delivery.night import Night
from pipelines.delivery.workbook import files
from pipelines.deliveryrules import Mail, address
from pipelines.warehouse import Warehouse

CHANNEL = "mail"


@dataclass
class Posted:
    """What came of it.

    Parameters
    ----------
    sent : letters that the server took in this run.
    failed : whether one that should have gone out did not, or may not have.
    notices : a sentence for every rep whose list was not mailed, and why.
    """

    sent: int = 0
    failed: bool = False
    notices: list[str] = field(default_factory=list)

    def lacks(self, sentence: str) -> None:
        """Say what went wrong."""
        self.failed = True
        self.notices.append(sentence)


def post(rules: Mail, warehouse: Warehouse, night: Night, folder: Path, known: Mapping[str, str], now: datetime) -> Posted:
    """Mail every owner of a listed lead their list, one message a night and outcome.

    What is about to be sent is written down before, and that it was sent after, so that neither a night scored again nor a crash sends anything
    twice: a letter of which nobody knows whether it arrived is said, and not sent again. The lists lie in their folder whatever becomes of the mail.

    Parameters
    ----------
    folder : where the workbooks were published; these very files are mailed.
    known : owner_id -> address as the table of owners has it; `to` of the rules goes before it.
    now : when, in UTC.
    """
    posted = Posted()
    waiting = [one for one in _letters(rules, night, folder, known, posted) if _is_due(warehouse, night, one, posted)]
    for at, one in enumerate(waiting):
        try:
            # A connection for every letter: some servers hang up after a few.
            with connected(rules) as server:
                _note(warehouse, night, one, "sending", now)
                send(server, one, rules.sender, now)
                _note(warehouse, night, one, "sent", now)
                posted.sent += 1
        except Refused as problem:
            _note(warehouse, night, one, "refused", now)
            posted.lacks(f"The list of {_called(night, one.owner)} was not mailed: {problem}. Correct it, and run `leadscore score` again.")
        except Uncertain as problem:
            posted.lacks(_unknown(night, one, str(problem)))
        except Unreachable as problem:
            posted.lacks(f"{problem} Not mailed: the lists of {', '.join(_called(night, left.owner) for left in waiting[at:])}.")
            break
    return posted


def _letters(rules: Mail, night: Night, folder: Path, known: Mapping[str, str], posted: Posted) -> Iterator[Letter]:
    """A letter for every owner of a listed lead, as far as there is an address."""
    names = files(night.owners)
    for owner in night.owners:
        calls = int(night.leads_of(owner)["listed"].sum())
        if not calls:
            continue
        if not owner:
            whose = "lead is" if calls == 1 else "leads are"
            posted.notices.append(f"{calls:,} listed {whose} nobody's and mailed to nobody: see {names[owner]}.")
            continue
        try:
            to = address(rules.to.get(owner) or known.get(owner) or "")
        except ValueError:
            posted.notices.append(
                f"{_called(night, owner)} (owner_id {line(owner)}) has no e-mail address that can be used: write it into the table of owners, "
                "or under `to` of [delivery.mail]."
            )
            continue
        yield letter(night, owner, to, names[owner], (folder / names[owner]).read_bytes(), rules.subject)


def _is_due(warehouse: Warehouse, night: Night, one: Letter, posted: Posted) -> bool:
    """Whether a letter still has to go out; what keeps it from going out is said."""
    assert night.as_of is not None
    state, digest = delivery(warehouse, night.as_of, CHANNEL, one.owner, night.chosen) or ("", "")
    if state == "sending":
        posted.lacks(_unknown(night, one, "an earlier run ended while it was being sent"))
    elif state == "sent" and digest != one.digest:
        posted.notices.append(
            f"The list of {_called(night, one.owner)} changed after it was mailed and is not mailed twice: the new one is {one.file}."
        )
    return state not in ("sending", "sent")


def _note(warehouse: Warehouse, night: Night, one: Letter, state: str, now: datetime) -> None:
    assert night.as_of is not None
    note_delivery(warehouse, night.as_of, CHANNEL, one.owner, one.digest, state, now, night.chosen)


def _unknown(night: Night, one: Letter, why: str) -> str:
    return (
        f"Whether the list of {_called(night, one.owner)} for {night.day} arrived is not known ({why}), so that it is not mailed again: "
        f"ask, and send {one.file} by hand if it did not."
    )


def _called(night: Night, owner: str) -> str:
    return line(night.owners.get(owner) or owner)
