"""One frozen, validated settings object from leadscore.toml and the environment."""

from __future__ import annotations

import os
import re
import tomllib
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Literal
from zoneinfo import available_timezones

from pydantic import Field, ValidationError, field_validator, model_validator

from features.personal import unsigned
from features.plan import NIGHTS_PER_LEAD
from features.problem import Problem
from features.timeline import Timeline
from pipelines.deliveryrules import Delivery
from pipelines.listrules import ListRules
from pipelines.outcomerules import OutcomeRules
from pipelines.peoplerules import PeopleRules
from pipelines.section import LONGEST, Days, Section, Share, in_words, looked_up
from pipelines.writebackrules import Writeback

DEFAULT = "default"
TableName = Literal["leads", "lead_changes", "activities", "deals", "accounts", "owners"]


@cache
def _zones() -> set[str]:
    return available_timezones()


class Company(Section):
    """Who the lists are for."""

    name: str = "My company"
    time_zone: str = "UTC"
    currency: str = ""

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, zone: str) -> str:
        if zone not in _zones():
            raise ValueError(f"'{zone}' is no IANA time zone such as 'Europe/Berlin'")
        return zone


class OrderClock(Section):
    """A column that only rises with time, spread evenly between two dates: the clock of a source that has no dates.

    `plus_days` moves the result, for example to date the win of a lead whose closing nobody recorded.
    """

    column: str
    first: date
    last: date
    plus_days: float = Field(default=0.0, ge=-LONGEST, le=LONGEST)

    @model_validator(mode="after")
    def _forwards(self) -> OrderClock:
        if self.first > self.last:
            raise ValueError(f"first is {self.first}, which is after last, {self.last}")
        return self


class SourceTable(Section):
    """How one table of the company's becomes a canonical one.

    Parameters
    ----------
    table : file name in the folder, or table name in the database.
    columns : canonical name -> the company's column name, or several whose texts are joined: name = ["First name", "Last name"].
        Columns not named keep their own name.
    values : canonical column -> {the company's value: canonical value}, e.g. outcome = {Won = "won"}.
    constants : canonical column -> one value for every row.
    where : the company's column -> values; only rows with one of them are read.
    missing : texts that mean "not given", beside the empty one.
    decimal : the sign before the decimals of a number: "." reads 6,600.50, "," reads 6.600,50. Currency signs are passed over.
    dates : strptime formats tried in turn; ISO 8601 is always understood.
    clocks : canonical timestamp column -> an order that stands in for dates.
    fixed_at_creation : attributes that never change once the row exists, and so may be used for past nights.
    ignore : the company's columns that are not read at all.
    attributes : whether the columns that are not mapped are fields of the company's own.
    lag_hours : how long after a thing happens our source knows of it, where it does not say itself.
    cursor : the company's column that rises when a row changes; only newer rows (and an overlap) are read again.
    """

    table: str
    columns: dict[str, str | tuple[str, ...]] = {}
    values: dict[str, dict[str, str]] = {}
    constants: dict[str, str] = {}
    where: dict[str, tuple[str, ...]] = {}
    missing: tuple[str, ...] = ()
    decimal: Literal[".", ","] = "."
    dates: tuple[str, ...] = ()
    clocks: dict[str, OrderClock] = {}
    fixed_at_creation: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    attributes: bool = True
    lag_hours: float = Field(default=0.0, ge=0, le=LONGEST * 24)
    cursor: str | None = None

    @field_validator("where")
    @classmethod
    def _some_value(cls, where: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for column, values in where.items():
            if not values:
                raise ValueError(f"'{column}' has no value, so that no row would be read")
        return where


class Source(Section):
    """Where leads come from: a folder of CSV or Parquet files, a DuckDB or SQLite file, a database URL, "hubspot://" or "salesforce://".

    Parameters
    ----------
    location : may be "env:NAME", so that a URL with a password stays out of the file.
    extracted_at : until when the tables are complete, in UTC unless it has an offset of its own; default: the newest thing they know of.
    overlap_days : how far behind the newest cursor an incremental read starts, for late rows and for those that change while a read lasts.
    shrink_limit, refusal_limit : a table that lost a larger share of its rows, or of which a larger share is refused, is not believed.
    stale_days : a source that knows of nothing this recent has probably stopped, and the night says so.
    """

    location: str = "."
    encoding: str = "utf-8"
    extracted_at: datetime | None = None
    overlap_days: float = Field(default=3.0, ge=0, le=LONGEST)
    shrink_limit: Share = 0.5
    refusal_limit: Share = 0.25
    stale_days: float = Field(default=4.0, gt=0, le=LONGEST)
    tables: dict[TableName, SourceTable] = {}

    @field_validator("extracted_at")
    @classmethod
    def _in_utc(cls, instant: datetime | None) -> datetime | None:
        return instant.astimezone(UTC).replace(tzinfo=None) if instant and instant.tzinfo else instant

    @model_validator(mode="after")
    def _leads_and_deals(self) -> Source:
        missing = [name for name in ("leads", "deals") if name not in self.tables]
        if missing:
            raise ValueError(f"[source.tables.{missing[0]}] is missing: without {' and '.join(missing)} there is nothing to learn")
        return self


class Training(Section):
    """How the model is learned.

    `since` leaves out nights before a day on which the business, or its records, changed. `allow` names fields that are used although the
    leakage screen flagged them, `protected` those that are never used and by whose values the fairness table is made. `min_conversions` is the
    smallest number of conversions worth learning from. `search_minutes` ends the search before all `trials` are tried. `monotone` names numbers with
    which boosted trees may only rise, or only fall, see `pipelines.monotone`. `encodings` names other ways in which categories and texts become
    numbers, in each of which the trees run once more, see `models.encoding.Style`. `variants`, `recent_days`, `half_life_days` and
    `segment_by` ask for further racers, see `models.variants.Variants`. Of `bags` seeds the trees are the mean. `max_examples` and
    `nights_per_lead` bound what is learned from: see `features.examples.training`.
    """

    every_days: Days = 7
    since: date | None = None
    max_examples: int = Field(default=2_000_000, ge=1)
    nights_per_lead: int = Field(default=NIGHTS_PER_LEAD, ge=1)
    min_conversions: int = Field(default=100, ge=1)
    folds: int = Field(default=4, ge=2)
    trials: int = Field(default=8, ge=0)
    search_minutes: float = Field(default=5.0, gt=0)
    allow: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    monotone: dict[str, Literal["up", "down"]] = {}
    encodings: tuple[Literal["native", "target", "hashed", "topics"], ...] = ()
    variants: tuple[Literal["recent", "fading", "timeless"], ...] = ()
    recent_days: Days = 365
    half_life_days: Days = 180
    bags: int = Field(default=3, ge=1, le=50)
    segment_by: str = ""
    seed: int = 7


class GateRules(Section):
    """What a better log-loss does not excuse in a new model: see `models.gate.Limits`."""

    level: float = Field(default=0.1, ge=0)
    slope: float = Field(default=0.2, ge=0)
    changed: Share = 1.0
    slower: float = Field(default=10.0, ge=1)


class Settings(Section):
    """Everything a company decides, read once and never changed.

    >>> tables = {"leads": {"table": "leads.csv"}, "deals": {"table": "deals.csv"}}
    >>> Settings(source={"tables": tables}).timeline.horizon_days
    90
    """

    company: Company = Company()
    source: Source
    outcome: OutcomeRules = OutcomeRules()
    outcomes: dict[str, OutcomeRules] = {}
    training: Training = Training()
    gate: GateRules = GateRules()
    list: ListRules = ListRules()
    delivery: Delivery = Delivery()
    writeback: Writeback = Writeback()
    people: PeopleRules = PeopleRules()
    home: Path = Path(".leadscore")
    warehouse: str = ""
    tracking: str = ""
    folder: Path = Path()
    chosen: str = DEFAULT

    @field_validator("outcomes")
    @classmethod
    def _plain_names(cls, outcomes: dict[str, OutcomeRules]) -> dict[str, OutcomeRules]:
        for name in outcomes:
            if name == DEFAULT or not re.fullmatch("[a-z][a-z0-9_-]{0,39}", name):
                raise ValueError(
                    f"'{name}' is no name for an outcome: it is that of a folder too, such as 'renewal' or 'product_b', and not '{DEFAULT}'"
                )
        return outcomes

    def each_outcome(self, wanted: str | None = None) -> tuple[Settings, ...]:
        """These settings once for every outcome that is predicted, [outcome] first; only for one where it is named.

        Raises
        ------
        Problem : there is no outcome of that name.
        """
        every = {DEFAULT: self, **{name: self.model_copy(update={"outcome": rules, "chosen": name}) for name, rules in self.outcomes.items()}}
        if wanted is not None and wanted not in every:
            raise Problem(f"There is no outcome '{wanted}': leadscore.toml has {', '.join(every)}.")
        return tuple(every.values()) if wanted is None else (every[wanted],)

    @property
    def registry_name(self) -> str:
        """Of the experiment and the registered model: every outcome has a champion of its own."""
        return "leadscore" if self.chosen == DEFAULT else f"leadscore-{self.chosen}"

    @property
    def lists_folder(self) -> Path:
        """Where the nights of the chosen outcome are shown."""
        lists = self.home_folder / "lists"
        return lists if self.chosen == DEFAULT else lists / self.chosen

    @property
    def timeline(self) -> Timeline:
        """The settings of time, as features know them."""
        return Timeline(
            horizon_days=self.outcome.horizon_days,
            settle_days=self.outcome.settle_days,
            min_age_days=self.outcome.min_age_days,
            max_age_days=self.outcome.max_age_days,
            every_days=self.training.every_days,
            hour=self.list.hour,
            zone=self.company.time_zone,
        )

    @property
    def home_folder(self) -> Path:
        """Where the product keeps what it makes: beside leadscore.toml unless told otherwise."""
        return (self.folder / self.home).resolve()

    @property
    def source_location(self) -> str:
        """The place of the source, an "env:NAME" looked up, a relative path read from beside leadscore.toml."""
        place = looked_up("[source] location", self.source.location)
        return place if "://" in place else str((self.folder / place).resolve())

    @property
    def warehouse_url(self) -> str:
        """Where the dated tables live: a DuckDB file in the home folder unless the file or LEADSCORE_WAREHOUSE says otherwise.

        "env:NAME" is looked up, so that a password stays out of the file.
        """
        place = os.environ.get("LEADSCORE_WAREHOUSE") or self.warehouse
        return looked_up("warehouse", place) if place else str(self.home_folder / "warehouse.duckdb")

    @property
    def warehouse_name(self) -> str:
        """The same for a sentence: without user and password."""
        return unsigned(self.warehouse_url)

    @property
    def warehouse_file(self) -> Path:
        """The DuckDB file on this machine: the warehouse itself, or what was fetched of it."""
        url = self.warehouse_url
        return self.copy_file if on_a_server(url) else Path(url).resolve()

    @property
    def copy_file(self) -> Path:
        """What this machine has fetched of a warehouse on a server."""
        return self.home_folder / "copy.duckdb"

    @property
    def search_file(self) -> Path:
        """Where the search for parameters remembers what it tried."""
        return self.home_folder / "search.db"

    @property
    def tracking_uri(self) -> str:
        """Where MLflow keeps runs and models: SQLite in the home folder unless told otherwise."""
        return os.environ.get("MLFLOW_TRACKING_URI") or self.tracking or f"sqlite:///{self.home_folder / 'mlflow.db'}"


def on_a_server(warehouse: str) -> bool:
    """Whether a warehouse is a PostgreSQL server rather than a file.

    >>> on_a_server("postgresql://db.example/crm"), on_a_server(".leadscore/warehouse.duckdb")
    (True, False)
    """
    return warehouse.startswith(("postgres://", "postgresql://"))


def read_settings(path: Path) -> Settings:
    """Read and check leadscore.toml, saying in words what is wrong with it and where.

    Raises
    ------
    Problem : the file is missing, is no TOML, or holds a value that cannot be used.
    """
    if not path.is_file():
        raise Problem(f"There is no {path}: run `leadscore init --from DIR` to write one, or name yours with --config.")
    try:
        stored = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Problem(f"{path} is not valid TOML: {error}. Correct that line and run `leadscore check`.") from error
    for ours in {"folder", "chosen"} & set(stored):
        raise Problem(f"{path}: '{ours}' is not a setting that leadscore knows. Correct it and run `leadscore check`.")
    try:
        return Settings(**stored, folder=path.resolve().parent)
    except ValidationError as error:
        raise Problem(f"{path}: {in_words(error)}. Correct it and run `leadscore check`.") from error
