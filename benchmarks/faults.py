"""What may befall a night: each fault happens at a point that is drawn, and is over when the night has ended."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from random import Random
from time import sleep

import psycopg

from benchmarks.nursery import Inside, Point
from benchmarks.runs import Ended, Started
from benchmarks.twins import Twins, draw_point, resize

_MANY = 2**40


@dataclass(frozen=True)
class Befallen:
    """What befell a night.

    Parameters
    ----------
    point : where, or when, in words.
    run : how the run that it befell ended.
    seen : what was wrong while it ran.
    """

    point: str
    run: Ended
    seen: list[str]


Fault = Callable[[Twins, datetime, Random], Befallen]


def killed_at_a_line(twins: Twins, now: datetime, draw: Random) -> Befallen:
    """kill -9 between two lines of the product."""
    return _at_a_point(twins, now, draw, deed=Inside.die)


def killed_at_an_instant(twins: Twins, now: datetime, draw: Random) -> Befallen:
    """kill -9 whatever it is that runs, be it in the midst of a write."""
    share = draw.random()
    started = twins.nursery.start(twins.run(now))
    sleep(share * twins.seconds)
    started.kill()
    return Befallen(f"{share:.0%} of the run", *_watched(twins, started.ended))


def full_disk(twins: Twins, now: datetime, draw: Random) -> Befallen:
    """The disk has room for a few pages more, or for none."""
    room = draw.choice([0, 1, 4, 16, 64, 256]) * 4096

    def fill() -> None:
        there = os.statvfs(folder)
        resize(folder, (there.f_blocks - there.f_bfree) * there.f_frsize + room)

    folder = twins.tried.parent
    try:
        return _at_a_point(twins, now, draw, fill, said=f", {room // 1024} KiB free")
    finally:
        resize(folder, 2**31)


def no_larger_files(twins: Twins, now: datetime, draw: Random) -> Befallen:
    """No file may become larger than the largest now is, or by little: the nearest to a full disk where none can be had.

    No limit is smaller than what is there: within a file that it has already, a full disk lets everybody write.
    """
    largest = max(file.stat().st_size for file in twins.home.rglob("*") if file.is_file())
    size = largest + draw.choice([0, 1, 16]) * 4096
    return _at_a_point(twins, now, draw, deed=partial(_limit, size=size), said=f", {size // 1024} KiB a file")


def _limit(inside: Inside, size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, _MANY))


def read_only(twins: Twins, now: datetime, draw: Random) -> Befallen:
    """A folder in which nobody may write."""
    folders = [one for one in [twins.home, *twins.home.rglob("*")] if one.is_dir() and not one.is_symlink() and "mlartifacts" not in one.parts]
    chosen = draw.choice([folders, [twins.home], *([one] for one in folders)])

    def close() -> None:
        for folder in chosen:
            if folder.exists():
                folder.chmod(0o500)

    try:
        name = "all" if len(chosen) > 1 else str(chosen[0].relative_to(twins.home.parent))
        return _at_a_point(twins, now, draw, close, said=f", {name}", humble=True)
    finally:
        for folder in folders:
            if folder.exists():
                folder.chmod(0o700)


def damaged(twins: Twins, now: datetime, draw: Random) -> Befallen:
    """The file of the warehouse, or what was fetched of a server's, is overwritten, cut short or gone before the run begins."""
    file = twins.settings.warehouse_file
    how = draw.choice(["overwritten", "cut short", "gone"])
    if how == "gone":
        file.unlink(missing_ok=True)
    elif file.exists():
        os.truncate(file, draw.choice([file.stat().st_size, 100, 5000, 20_000]) if how == "cut short" else file.stat().st_size)
        with file.open("r+b") as blocks:
            blocks.seek(draw.choice([0, 4096, 8192, 12_288]))
            blocks.write(draw.randbytes(64))
    ended, seen = _watched(twins, twins.nursery.start(twins.run(now)).ended)
    if not twins.second and "Putting back its backup" not in ended.words:
        seen.append("nobody was told that a backup was put back")
    # Somebody has read it.
    for part in (*file.parent.glob(f"{file.name}.damaged*"), *file.parent.glob(f"{file.name}.restored")):
        part.unlink()
    return Befallen(f"{file.name} {how}", ended, seen)


def wrong_clock(twins: Twins, now: datetime, draw: Random) -> Befallen:
    """The clock is wrong from the beginning, or jumps amid a run."""
    ahead = timedelta(hours=draw.choice([-20_000, -24 * 8, -24 * 2, -5, -1, 1, 5, 24 * 2, 24 * 8, 20_000]))
    said = f", {ahead / timedelta(hours=1):+,.0f} h"
    if draw.random() < 0.5:
        return Befallen(f"before it began{said}", *_watched(twins, twins.nursery.start(twins.run(now + ahead)).ended))
    return _at_a_point(twins, now, draw, deed=partial(_jump, ahead=ahead), said=said)


def _jump(inside: Inside, ahead: timedelta) -> None:
    inside.ahead = ahead


def two_runners(twins: Twins, now: datetime, draw: Random) -> Befallen:
    """A second runner starts when the first has come to its point, which then waits for it or does not."""
    second = twins.run(now, config=draw.choice([twins.tried, twins.second or twins.tried]))
    waits, others = draw.random() < 0.5, list[Started]()

    def rival() -> None:
        others.append(twins.nursery.start(second))
        if waits:
            others[0].ended()

    befallen = _at_a_point(twins, now, draw, rival, said=f", {'one after the other' if waits else 'at once'}", later=True)
    words = [befallen.run.words, *(other.ended().words for other in others)]
    return replace(befallen, run=replace(befallen.run, words="\n".join(words)))


def terminated(twins: Twins, now: datetime, draw: Random) -> Befallen:
    """The PostgreSQL server ends every connection."""
    return _at_a_point(twins, now, draw, partial(_terminate, twins.settings.warehouse_url), later=True)


def _terminate(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")


def dropped(twins: Twins, now: datetime, draw: Random) -> Befallen:
    """HubSpot drops a connection: before it answers, within the answer, or after what was asked took effect."""
    return _in_hubspot(twins, now, draw, ["reset", "cut off", "answer lost"])


def pages_doubled(twins: Twins, now: datetime, draw: Random) -> Befallen:
    """HubSpot sends a page twice, or an older version of a record behind the newer one."""
    return _in_hubspot(twins, now, draw, ["a page twice", "an older version later"])


def pages_reordered(twins: Twins, now: datetime, draw: Random) -> Befallen:
    """HubSpot sends pages, or the rows of every page, in another order."""
    return _in_hubspot(twins, now, draw, ["pages swapped", "rows reversed"])


def _in_hubspot(twins: Twins, now: datetime, draw: Random, faults: list[str]) -> Befallen:
    assert twins.accounts
    vendor, kind, call = twins.accounts[1].vendor, draw.choice(["contacts", "calls", "emails", "deals", "update"]), draw.randint(1, 2)
    vendor.fault, vendor.broken = draw.choice(faults), (kind, call)
    vendor.calls.clear()
    try:
        return Befallen(f"{vendor.fault}, call {call} for {kind}", *_watched(twins, twins.nursery.start(twins.run(now)).ended))
    finally:
        vendor.fault = ""


FAULTS: dict[str, Fault] = {
    "kill -9 at a line": killed_at_a_line,
    "kill -9 at an instant": killed_at_an_instant,
    "full disk": full_disk,
    "no larger files": no_larger_files,
    "read-only folder": read_only,
    "damaged file": damaged,
    "clock jump": wrong_clock,
    "two runners": two_runners,
    "server hangs up": terminated,
    "dropped connection": dropped,
    "doubled pages": pages_doubled,
    "reordered pages": pages_reordered,
}


def befalling(twins: Twins) -> list[str]:
    """The faults that may befall these twins on this machine."""
    of_hubspot = {"dropped connection", "doubled pages", "reordered pages"}
    there = {"full disk": twins.mounted, "server hangs up": twins.second, **dict.fromkeys(of_hubspot, twins.accounts)}
    return [name for name in FAULTS if there.get(name, True)]


def _at_a_point(
    twins: Twins,
    now: datetime,
    draw: Random,
    outside: Callable[[], None] | None = None,
    deed: Callable[[Inside], None] = Inside.stop,
    said: str = "",
    later: bool = False,
    humble: bool = False,
) -> Befallen:
    """Something happens to a run when it comes to a line.

    Parameters
    ----------
    outside : what is done while the run waits there; None: the deed is all.
    later : never before the first line.
    """
    if outside and not later and draw.random() < 0.3:
        outside()
        return Befallen(f"before it began{said}", *_watched(twins, twins.nursery.start(replace(twins.run(now), humble=humble)).ended))
    point = Point(*draw_point(twins.lines, draw))
    run = replace(twins.run(now), point=point, deed=deed, humble=humble)
    started = twins.nursery.start(run)
    if outside and started.stops():
        outside()
        started.go_on()
    ended, seen = _watched(twins, started.ended)
    return Befallen(f"{point}{said}{'' if ended.reached else ', not reached'}", ended, seen)


def _watched(twins: Twins, wait: Callable[[Callable[[], None]], Ended]) -> tuple[Ended, list[str]]:
    """How a run ends, and what a reader saw meanwhile that is wrong."""
    seen: dict[str, None] = {}

    def look() -> None:
        if wrong := twins.torn_list():
            seen[wrong] = None

    return wait(look), list(seen)
