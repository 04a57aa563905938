"""Two companies that are alike in all but what befalls one of them: the same days, the same champion, the same nights."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random

from benchmarks.account import Account
from benchmarks.export import Export
from benchmarks.nursery import Lines, Run
from benchmarks.runs import Nursery
from benchmarks.state import State, state
from features.examples import features_of
from features.plan import Plan
from models.baseline import PointsTable
from models.calibration import Calibration
from models.registry import Registry
from models.run import Training
from models.scorer import Scorer
from models.seal import seal_of
from pipelines.crm.simulator import simulate
from pipelines.settings import Settings, read_settings
from tests.pipelines.crm.vendors.loopback import serving

FIRST, DAYS = date(2024, 1, 1), 600
LAST = datetime(2024, 1, 1) + timedelta(days=DAYS)
_READY = Path(__file__).parents[1] / "pipelines" / "crm" / "hubspot.toml"
# Of each number, where its bands begin and what they are worth.
_POINTS = {"in_in_30d": ([1.0, 4.0], [-2, 0, 2]), "active_days_in_7d": ([1.0, 3.0], [0, 1, 3]), "lead_age_days": ([14.0, 60.0], [2, 1, 0])}


@dataclass
class Twins:
    """Two companies.

    Parameters
    ----------
    kind : what they read and where they keep it, in words.
    plain, tried : the leadscore.toml of the one that nothing befalls, and of the other.
    advance : lets an instant come for both.
    accounts : their accounts in a CRM, where they have one.
    second : another machine of the tried one, which has a home of its own and shares its warehouse; None: the warehouse is a file.
    mounted : whether the tried one's folder is a disk of its own.
    """

    kind: str
    nursery: Nursery
    plain: Path
    tried: Path
    advance: Callable[[datetime], None]
    accounts: tuple[Account, Account] | None = None
    second: Path | None = None
    mounted: bool = False
    lines: Lines = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def home(self) -> Path:
        """The home of the tried one."""
        return self.settings.home_folder

    @property
    def settings(self) -> Settings:
        """The settings of the tried one."""
        return read_settings(self.tried)

    def undisturbed(self, now: datetime) -> State:
        """A night of the plain one; the lines it came by are where something may happen to the other.

        Raises
        ------
        RuntimeError : it fails although nothing happened.
        """
        self.advance(now)
        run = self.nursery.ended(Run(("nightly", "--config", str(self.plain)), now, self._environment(0)))
        if run.code not in (0, 3):
            raise RuntimeError(f"a night that nothing befell failed: {run.words}")
        self.lines, self.seconds = run.lines, run.seconds
        return state(read_settings(self.plain))

    def run(self, now: datetime, command: str = "nightly", config: Path | None = None) -> Run:
        """A run of the tried one."""
        return Run((command, "--config", str(config or self.tried)), now, self._environment(1))

    def mend(self) -> None:
        """Have the tried one be as the plain one is, where both keep their tables in a file, so that a broken night is told once."""
        if self.second:
            return
        shutil.rmtree(self.home)
        _copied(self.plain, self.tried.parent)
        if self.accounts:
            plain, tried = self.accounts
            for number, scores in plain.scores().items():
                tried.vendor.records["contacts"][number]["held"].update(scores)

    def _environment(self, which: int) -> dict[str, str]:
        if not self.accounts:
            return {}
        vendor = self.accounts[which].vendor
        return {"HUBSPOT_API_URL": vendor.url, "HUBSPOT_ACCESS_TOKEN": vendor.token}

    def torn_list(self) -> str | None:
        """What is wrong with the newest list at this very instant: a reader opens it whenever they like."""
        lists = self.settings.lists_folder
        link = max(lists.glob("2*"), default=None)
        if link is None:
            return None
        folder = link.resolve()
        try:
            whole = folder.name == f"{link.name}.{seal_of(folder)}"
        except OSError:
            whole = False
        # What is no longer shown may be swept away while it is read.
        return None if whole or link.resolve() != folder else f"a reader saw half of the list of {link.name}"


def draw_point(lines: Lines, draw: Random) -> tuple[str, int, int]:
    """A line that a run comes by, and at which time."""
    file, line = draw.choice(sorted(lines))
    return file, line, draw.randint(1, min(lines[file, line], 20))


@contextmanager
def twins(place: Path, nursery: Nursery, leads: int, since: datetime, hubspot: bool, server: str = "") -> Iterator[Twins]:
    """Twins whose lives begin.

    Parameters
    ----------
    place : an empty folder.
    hubspot : they read HubSpot and hand their scores back; otherwise they read a nightly export.
    server : the PostgreSQL database that keeps the tables of the tried one; none: a file, as with the plain one.
    """
    simulate(place / "simulated", leads=leads, seed=1, days=DAYS, first_day=FIRST)
    accounts = (Account(place / "simulated"), Account(place / "simulated")) if hubspot else None
    comes: Callable[[datetime], None] = Export(place / "simulated", place / "export", LAST).advance

    def both(now: datetime) -> None:
        for account in accounts or ():
            account.advance(now)

    with ExitStack() as stack:
        for account in accounts or ():
            stack.enter_context(serving(account.vendor))
        mounted = stack.enter_context(_disk(place / "tried"))
        plain = _company(place / "plain", _hubspot() if accounts else _export(place / "simulated"), since)
        tried = _copied(plain, place / "tried")
        kind = f"{'HubSpot' if accounts else 'an export'}, {'PostgreSQL' if server else 'a file'}"
        pair = Twins(kind, nursery, plain, tried, both if accounts else comes, accounts, mounted=mounted)
        if server:
            pair.second = _on_a_server(tried, server)
        yield pair


def _hubspot() -> str:
    return f'{_READY.read_text(encoding="utf-8")}\n[writeback]\ntarget = "hubspot"\ncreate_properties = true\n'


def _export(simulated: Path) -> str:
    text = (simulated / "leadscore.toml").read_text(encoding="utf-8")
    return text.replace(f"extracted_at = {LAST:%Y-%m-%d}T00:00:00\n", "").replace('location = "."', 'location = "../export"')


def _on_a_server(config: Path, server: str) -> Path:
    """Have a company keep its tables on a server; the configuration of a second machine that shares them."""
    tracking = f"sqlite:///{config.parent / '.leadscore' / 'mlflow.db'}"
    text = f'warehouse = "{server}"\ntracking = "{tracking}"\n{config.read_text(encoding="utf-8")}'
    if 'home = ".leadscore"' not in text:
        text = f'home = ".leadscore"\n{text}'
    config.write_text(text, encoding="utf-8")
    second = config.with_name("second.toml")
    second.write_text(text.replace('home = ".leadscore"', 'home = ".second"'), encoding="utf-8")
    return second


def _company(folder: Path, text: str, since: datetime) -> Path:
    """A company with a champion that nobody had to train: it decides what a night says, and not how well."""
    folder.mkdir()
    config = folder / "leadscore.toml"
    config.write_text(text, encoding="utf-8")
    settings = read_settings(config)
    settings.home_folder.mkdir()
    plan = Plan(settings.timeline, rated=(), windows=(7, 30), half_lives=(5,), closed_statuses=settings.outcome.closed_statuses)
    points = {name: [(band, worth) for band, worth in zip(_bands(edges), worths, strict=True)] for name, (edges, worths) in _POINTS.items()}
    table = PointsTable("points table", points, {name: edges for name, (edges, _) in _POINTS.items()}, 0.6, -2.0)
    features = features_of(plan)
    usual = {feature.name: 0.0 for feature in features if feature.kind in ("number", "flag")}
    scorer = Scorer(table, Calibration(), plan, features, since - timedelta(days=99), since - timedelta(days=9), 0.2, usual, caveat="made up")
    registry = Registry(settings.tracking_uri)
    registry.promote(registry.log(Training("made up", {}, {}, {}, scorer, scorer.average())), "made up", since)
    return config


def _bands(edges: list[float]) -> list[str]:
    low, high = edges
    return [f"below {low:g}", f"{low:g} to {high:g}", f"{high:g} or more"]


def _copied(plain: Path, folder: Path) -> Path:
    """A copy of a company; the files of its champion are both's, as MLflow names them by their whole paths."""
    shutil.copytree(plain.parent, folder, dirs_exist_ok=True, symlinks=True)
    return folder / plain.name


@contextmanager
def _disk(folder: Path) -> Iterator[bool]:
    """A folder that is a disk of its own where this machine lets us have one, and whether it is."""
    folder.mkdir()
    mounted = _mount("-t", "tmpfs", "-o", "size=2g", "leadscore", str(folder))
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def resize(folder: Path, size: int) -> None:
    """Give such a disk another size, in bytes."""
    if not _mount("-o", f"remount,size={size}", str(folder)):
        raise RuntimeError("the disk cannot be resized")


def mount_apart() -> None:
    """Have what this process mounts from now on be seen by nobody else, and vanish with it, where this machine lets us."""
    new_mounts = 0x00020000
    if ctypes.CDLL(None).unshare(new_mounts) == 0:
        _mount("--make-rprivate", "/")


def _mount(*words: str) -> bool:
    try:
        return subprocess.run(["mount", *words], check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False
