"""From a source to the warehouse: read, map, refuse, merge; every row accounted for, in one transaction."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import ibis
import pyarrow as pa

from features.contract import CLOCKS, KEYS, RAW, SCHEMAS, Rule, lead_rules, refusals, rules
from features.problem import Problem
from pipelines.crm.attributes import reached, remember_attributes
from pipelines.crm.base import CrmSource, Reject
from pipelines.crm.lag import Lag, advice, measured
from pipelines.crm.mapping import Mapping, literal, quoted
from pipelines.erased import REASON, Erased
from pipelines.settings import Settings, TableName
from pipelines.warehouse import Warehouse

ORDER: tuple[TableName, ...] = ("accounts", "owners", "leads", "lead_changes", "activities", "deals")
# Under so many refused rows a share of them proves nothing.
_FEW = 20
_LOOKED_AT, _USUAL = 5_000, 0.1
# No zone is further from UTC: what a database compares in its own zone is read once more rather than missed.
_ZONES = timedelta(days=1)


@dataclass(frozen=True)
class Loaded:
    """What became of the rows of one table: rows_in = clean + quarantined + superseded, always."""

    table: str
    rows_in: int
    clean: int
    quarantined: int
    superseded: int
    lag_hours: float | None = None
    newest_cursor: datetime | None = None


@dataclass(frozen=True)
class Load:
    """One extract: its tables, until when they are complete, and what a person should know."""

    tables: tuple[Loaded, ...]
    extracted_at: datetime
    notices: tuple[str, ...]


def load(settings: Settings, source: CrmSource, warehouse: Warehouse, now: datetime, tell: Callable[[float, str], None]) -> Load:
    """Read every mapped table into the warehouse, or leave the warehouse as it was.

    Parameters
    ----------
    now : the instant of extraction, UTC; rows later than it are refused.
    tell : told the share done and the table at hand.

    Raises
    ------
    Problem : a missing table or column, no leads or no deals at all, a table that shrank by more than `shrink_limit` or of which more than
        `refusal_limit` is refused.
    """
    tables = [name for name in ORDER if name in settings.source.tables]
    with warehouse.transaction():
        loaded, lags, standing = [], {}, _standing_notices(settings)
        notices = [*standing]
        for number, name in enumerate(tables):
            tell(number / len(tables), name)
            table = _Table(settings, source, warehouse, name, now)
            counts, said = table.load()
            loaded.append(counts)
            lags[name] = table.lag
            notices += said
        notices += _lag_advice(settings, lags)
        _drop_missing(warehouse, tables)
        notices += remember_attributes(settings, warehouse, tables)
        extracted_at = _complete_until(settings, warehouse, now)
        warehouse.raw.execute("DELETE FROM extracts WHERE extracted_at = ?", [extracted_at])
        warehouse.raw.execute("DELETE FROM quarantine WHERE extracted_at = ?", [extracted_at])
        warehouse.raw.execute("UPDATE quarantine SET extracted_at = ? WHERE extracted_at IS NULL", [extracted_at])
        notices = [*warehouse.refusals(extracted_at), *notices]
        warehouse.raw.execute("DELETE FROM notices")
        for sentence in standing:
            warehouse.raw.execute("INSERT INTO notices VALUES (?)", [sentence])
        for one in loaded:
            warehouse.raw.execute("INSERT INTO extracts VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)", [extracted_at, *asdict(one).values()])
        warehouse.seal_tables()
    return Load(tuple(loaded), extracted_at, tuple(notices))


def rehearse(settings: Settings, source: CrmSource, now: datetime, most: int = _LOOKED_AT) -> list[str]:
    """What would be refused of the first rows of every table, one sentence a reason, where that is more than one row in ten; nothing is kept.

    Parameters
    ----------
    most : no further rows are asked for once so many are there; 1: the first page of each table, and no more.
    """
    with tempfile.TemporaryDirectory() as place, Warehouse.open(f"{place}/rehearsal.duckdb") as warehouse:
        for name in (name for name in ORDER if name in settings.source.tables):
            _Table(settings, source, warehouse, name, now).rehearse(most)
        return [f"Of the first rows of {sentence}" for sentence in warehouse.refusals(None)]


def _standing_notices(settings: Settings) -> list[str]:
    """What every report must say of a source without dates."""
    return [
        f"{name}.{column} is no date of the source: its rows are spread evenly from {clock.first} to {clock.last} in the order of '{clock.column}'."
        for name, table in settings.source.tables.items()
        for column, clock in table.clocks.items()
    ]


def _lag_advice(settings: Settings, lags: dict[TableName, Lag | None]) -> list[str]:
    """What to mind about the tables that do not say when they knew."""
    declared: dict[str, float] = {name: settings.source.tables[name].lag_hours for name, lag in lags.items() if lag is None and name in CLOCKS}
    return advice([lag for lag in lags.values() if lag], declared)


class _Table:
    """One table on its way: raw texts, mapped columns, refusals, clean rows."""

    def __init__(self, settings: Settings, source: CrmSource, warehouse: Warehouse, name: TableName, now: datetime) -> None:
        self.settings, self.source, self.warehouse, self.name, self.now = settings, source, warehouse, name, now
        self.spec = settings.source.tables[name]
        self.mapping = Mapping(name, self.spec, tuple(source.columns(self.spec.table)), settings.company.time_zone)
        self.raw = warehouse.raw
        self.erased = Erased(warehouse)
        self.lag: Lag | None = None

    def load(self) -> tuple[Loaded, list[str]]:
        """Bring the table into the warehouse and say what became of its rows."""
        rejects = self._read()
        self.raw.execute(f"CREATE OR REPLACE TEMP TABLE mapped AS {self._mapped()}")
        read = self._count("mapped")
        self._refuse(rejects, lead_rules(self.name))
        self._keep()
        clean, refused = self._count("clean"), self._count("refused")
        if self.name in ("leads", "deals") and not clean and not (self._is_unchanged and read == len(rejects) == 0):
            raise Problem(
                f"{self.spec.table} gave no usable row for {self.name} ({read + len(rejects)} read, {refused} refused): nothing was changed. "
                "Check its mapping with `leadscore check`."
            )
        rows_in = read + len(rejects)
        self._believe(rows_in, refused)
        both_clocks = f"(SELECT * FROM mapped ANTI JOIN refused USING (row) WHERE {RAW}known_at IS NOT NULL)"
        self.lag = measured(self.raw, self.name, both_clocks) if self.mapping.sources_of("known_at") else None
        self._merge(clean)
        late = self.lag.late if self.lag else None
        return Loaded(self.name, rows_in, clean, refused, rows_in - clean - refused, late, self._newest_cursor()), self._notices()

    def rehearse(self, most: int) -> None:
        """Read the first rows, and put into quarantine what is wrong with them by themselves."""
        rejects = self._read(most)
        self.raw.execute(f"CREATE OR REPLACE TEMP TABLE mapped AS {self.mapping.sql('raw_rows')}")
        self._refuse(rejects, [])
        if self._count("refused") <= self._count("raw_rows") * _USUAL:
            self.raw.execute("DELETE FROM quarantine WHERE table_name = ?", [self.name])

    def _believe(self, rows_in: int, refused: int) -> None:
        """A table of which too much is refused was misread: what is left of it is no table of the company's. Who was erased is no mistake of it."""
        limit = self.settings.source.refusal_limit
        refused -= int(self.raw.execute("SELECT count(*) FROM refused WHERE reason = ?", [REASON]).fetchall()[0][0])
        if refused < _FEW or refused <= rows_in * limit:
            return
        raise Problem(
            f"{refused:,} of {rows_in:,} rows of {self.spec.table} were refused, more than [source] refusal_limit = {limit:.0%} allows: nothing was "
            f"changed. The most frequent reason: {self.warehouse.refusals(None, self.name)[0]} Correct [source.tables.{self.name}], "
            "or raise the limit if this is right."
        )

    def _count(self, table: str) -> int:
        return int(self.raw.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0])

    def _read(self, most: int | None = None) -> list[Reject]:
        """The source's rows, or the first so many, as texts in a table of their own; the rows that could not be read are returned."""
        rejects: list[Reject] = []
        self.raw.execute(f"CREATE OR REPLACE TEMP TABLE raw_rows (row BIGINT, {', '.join(f'{quoted(c)} VARCHAR' for c in self.mapping.columns)})")
        since = self._since()
        for piece, unread in self.source.pieces(self.spec.table, self.spec.cursor, since and since - _ZONES):
            rejects += unread
            self._append(piece)
            if most and self._count("raw_rows") >= most:
                break
        if self.spec.cursor and since:
            self.raw.execute(f"DELETE FROM raw_rows WHERE {self.mapping.instant(self.spec.cursor)} < ?", [since])
        return rejects

    def _append(self, piece: pa.Table) -> None:
        self.raw.register("piece", piece)
        self.raw.execute("INSERT INTO raw_rows BY NAME SELECT * FROM piece")
        self.raw.unregister("piece")

    def _since(self) -> datetime | None:
        """Where an incremental read starts: the newest cursor seen, less the overlap, in which late rows may hide; never later than now."""
        if self.spec.cursor is None or not self.warehouse.has(self.name):
            return None
        newest = self.warehouse.newest_cursor(self.name)
        return min(newest, self.now) - timedelta(days=self.settings.source.overlap_days) if newest else None

    @property
    def _is_unchanged(self) -> bool:
        """Whether nothing at all that is read would be no news: of a table that is read incrementally there are rows already."""
        return self.spec.cursor is not None and self.warehouse.size(self.name) > 0

    def _newest_cursor(self) -> datetime | None:
        """The newest cursor among the rows just read and those read before: never later than now, whatever a row claims."""
        if self.spec.cursor is None:
            return None
        read = f"SELECT max({self.mapping.instant(self.spec.cursor)}) FROM raw_rows"
        seen = [self.raw.execute(read).fetchall()[0][0], self.warehouse.newest_cursor(self.name)]
        return min(max((one for one in seen if one), default=self.now), self.now)

    def _mapped(self) -> str:
        mapped = self.mapping.sql("raw_rows")
        if not lead_rules(self.name):
            return mapped
        return f"SELECT m.*, l.lead_id AS lead_there, l.created_at AS lead_created FROM ({mapped}) m LEFT JOIN leads l ON m.lead_id = l.lead_id"

    def _refuse(self, rejects: list[Reject], beside_lead: list[Rule]) -> None:
        """Rows that break a rule of the contract go to quarantine, with the first rule they break."""
        mapped = self.warehouse.ibis.table("mapped")
        texts = tuple(c for c in mapped.columns if c.startswith(RAW)) + self.mapping.attributes
        refused = refusals(mapped, rules(self.name, texts, self.now) + beside_lead)
        self.raw.execute(f"CREATE OR REPLACE TEMP TABLE refused AS {ibis.to_sql(refused, dialect='duckdb', pretty=False)}")
        for reject in rejects:
            value = None if self.erased.is_named(reject.value) else reject.value
            self.raw.execute("INSERT INTO refused VALUES (?, NULL, ?, ?)", [reject.row, value, reject.reason])
        # Last, and before any other reason: that one would tell whose row it is.
        self.erased.refuse(self.name)
        self.raw.execute("DELETE FROM quarantine WHERE table_name = ? AND extracted_at IS NULL", [self.name])
        row = f"CASE WHEN reason <> {literal(REASON)} THEN row END"
        self.raw.execute(f'INSERT INTO quarantine SELECT NULL, {literal(self.name)}, {row}, "column", value, reason FROM refused ORDER BY row')

    def _keep(self) -> None:
        """Of the rows that were not refused, the newest of each key."""
        keys = ", ".join(quoted(key) for key in KEYS[self.name])
        newest = "known_at DESC NULLS LAST, row DESC" if "known_at" in SCHEMAS[self.name] else "row DESC"
        columns = ", ".join(quoted(c) for c in (*SCHEMAS[self.name], *self.mapping.attributes))
        self.raw.execute(
            f"CREATE OR REPLACE TEMP TABLE clean AS SELECT {columns} FROM mapped ANTI JOIN refused USING (row) "
            f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {newest}) = 1"
        )

    def _merge(self, clean: int) -> None:
        """Full reads replace the table, incremental ones replace the rows they bring."""
        typed = self._typed("clean")
        there = self.warehouse.size(self.name)
        if self.spec.cursor and there:
            keys = " AND ".join(f"old.{quoted(k)} IS NOT DISTINCT FROM new.{quoted(k)}" for k in KEYS[self.name])
            typed += f" UNION ALL BY NAME SELECT * FROM {self.name} old WHERE NOT EXISTS (SELECT 1 FROM clean new WHERE {keys})"
        elif clean < there * (1 - self.settings.source.shrink_limit):
            raise Problem(
                f"{self.spec.table} shrank from {there:,} to {clean:,} rows, more than [source] shrink_limit = "
                f"{self.settings.source.shrink_limit:.0%} allows: nothing was changed. Export it again, or raise the limit if this is right."
            )
        order = ", ".join(quoted(key) for key in KEYS[self.name])
        self.raw.execute(f"CREATE OR REPLACE TABLE {self.name} AS SELECT * FROM ({typed}) ORDER BY {order}")

    def _typed(self, table: str) -> str:
        """Attributes of which every value is a number become numbers, unless they are called by telephone; once a text, always a text."""
        parts = []
        for column in self.mapping.attributes:
            name = quoted(column)
            number = self.mapping.number(name)
            numeric, filled = self.raw.execute(f"SELECT count({number}), count({name}) FROM {table}").fetchall()[0]
            if filled and numeric == filled and not self._was_text(column) and not reached(self.raw, table, name):
                parts.append(f"CASE WHEN isfinite({number}) THEN {number} END AS {name}")
        replaced = f"REPLACE ({', '.join(parts)})" if parts else ""
        return f"SELECT * {replaced} FROM {table}"

    def _was_text(self, column: str) -> bool:
        known: dict[tuple[str, str], str] = {(a.origin, a.name): a.kind for a in self.warehouse.attributes()}
        return known.get((self.name, column), "number") != "number"

    def _notices(self) -> list[str]:
        said = [self.lag.sentence] if self.lag else []
        if self.mapping.unused:
            said.append(f"{self.name}: the columns {', '.join(self.mapping.unused)} of {self.spec.table} are not used.")
        for column in self.mapping.attributes:
            distinct, rows = self.raw.execute(f"SELECT count(DISTINCT {quoted(column)}), count(*) FROM clean").fetchall()[0]
            if distinct <= 1:
                said.append(f"{self.name}.{column} is {'empty' if not distinct else 'the same in every row'}: it tells nothing.")
            elif distinct > 10_000 and distinct > rows // 2:
                said.append(f"{self.name}.{column} has {distinct:,} different values: only its frequent words can be learned.")
        return said


def _drop_missing(warehouse: Warehouse, tables: list[TableName]) -> None:
    """A table that is no longer mapped is no longer held."""
    for name in ORDER:
        if name not in tables:
            warehouse.raw.execute(f"DROP TABLE IF EXISTS {name}")


def _complete_until(settings: Settings, warehouse: Warehouse, now: datetime) -> datetime:
    """What the user says, else the newest thing that the tables know of: conservative, and the same on every run."""
    if settings.source.extracted_at:
        return settings.source.extracted_at
    newest = [now]
    for name, clocks in {
        "leads": ["created_at"],
        "lead_changes": ["changed_at"],
        "activities": ["occurred_at"],
        "deals": ["created_at", "closed_at"],
    }.items():
        if warehouse.has(name):
            newest += [warehouse.raw.execute(f"SELECT max({clock}) FROM {name}").fetchall()[0][0] for clock in clocks]
    return min(now, max(moment for moment in newest[1:] if moment is not None))
