"""Dated tables in a DuckDB file: what was extracted, what was refused, every night's scores, and what reps said. Replaces one night atomically."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa

from features.contract import SCHEMAS
from features.crm import Crm
from features.personal import may_be_told
from features.plan import Attribute
from features.problem import Problem
from pipelines.backup import keep
from pipelines.catalog import whole
from pipelines.migrations import migrate
from pipelines.schema import KEPT, LEDGER
from pipelines.seals import sealed, table_digest
from pipelines.settings import DEFAULT, Settings, on_a_server
from pipelines.storage import MEMORY, let_go, opened
from pipelines.views import views

if TYPE_CHECKING:
    from pipelines.mirror import Mirror


class Warehouse:
    """The company's tables and the product's own, in one file with one writer.

    To the business: readers see the old night or the new one, never half of either.
    """

    def __init__(self, connection: Any, mirror: Mirror | None = None, file: Path | None = None) -> None:
        self.ibis, self.mirror = connection, mirror
        self.raw: duckdb.DuckDBPyConnection = connection.con
        # What was computed once for a whole flow: let go of earlier, it would be dropped by whichever thread collects garbage, amid another query.
        self.kept: list[Crm] = []
        self.changed = False
        migrate(self.raw, file)
        for name in KEPT:
            self._make(name)
        columns = self.columns()
        self._complete(columns)
        if mirror:
            with whole(self.raw):
                mirror.fetch()
            # An earlier version may have made what was fetched.
            self._complete(self.columns())
            columns = self.columns()
        self._show(columns)

    def back_up(self, file: Path) -> None:
        """Renew the backup, if anything was changed."""
        if self.changed:
            keep(self.raw, file)

    def _make(self, name: str) -> None:
        columns = ", ".join(f"{column} {kind}" for column, kind in KEPT[name].items())
        self.raw.execute(f"CREATE TABLE IF NOT EXISTS {name} ({columns})")

    def columns(self) -> dict[str, list[str]]:
        """The columns of every table and view there is."""
        columns: dict[str, list[str]] = {}
        for table, column in self.raw.execute("SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal").fetchall():
            columns.setdefault(table, []).append(column)
        return columns

    def _complete(self, columns: dict[str, list[str]]) -> None:
        """A file of an earlier version lacks what has come since."""
        for name, wanted in KEPT.items():
            for column, kind in wanted.items():
                if column != "PRIMARY" and column.strip('"') not in columns[name]:
                    self.raw.execute(f"ALTER TABLE {name} ADD COLUMN {column} {kind}")

    def _show(self, columns: dict[str, list[str]]) -> None:
        """Views of the ledger, with whatever names the tables of the last extract have; a server has views of its own."""
        with whole(self.raw):
            for view in views(columns):
                self.raw.execute(view)

    @classmethod
    @contextmanager
    def open(cls, url: str, copy: Path | None = None) -> Iterator[Warehouse]:
        """Open the warehouse, making it where it is missing; close it whatever happens.

        Parameters
        ----------
        url : a DuckDB file, or the address of a PostgreSQL server, see `pipelines.mirror`.
        copy : of a server, the file in which this machine keeps what it has fetched; none: it fetches everything each time.

        Raises
        ------
        Problem : another process has it open, it is no DuckDB file, or the server cannot be reached.
        """
        if not on_a_server(url):
            file = Path(url).resolve()
            with opened(url) as connection:
                warehouse = cls(connection, file=file)
                try:
                    yield warehouse
                except duckdb.Error:
                    raise
                except Exception:
                    warehouse.back_up(file)
                    raise
                warehouse.back_up(file)
            return
        with opened(str(copy or MEMORY), let_go) as connection, closing(_mirror(url, connection.con)) as mirror:
            yield cls(connection, mirror)

    @classmethod
    def of(cls, settings: Settings) -> AbstractContextManager[Warehouse]:
        """The warehouse that a company's settings name, see `open`."""
        return cls.open(settings.warehouse_url, settings.copy_file)

    @contextmanager
    def transaction(self, *tables: str) -> Iterator[None]:
        """All of what happens inside, or none of it, also where a server holds the warehouse.

        Parameters
        ----------
        tables : those that may be changed; none are named: any.
        """
        self.changed = True
        with whole(self.raw), self.mirror.transaction(tables or (*SCHEMAS, *KEPT)) if self.mirror else nullcontext():
            yield

    @contextmanager
    def amendment(self, table: str, as_of: datetime, outcome: str, leads: Sequence[str]) -> Iterator[None]:
        """The same where only rows of some leads of one outcome's night may be changed: a server is sent these, however many others there are."""
        self.changed = True
        with whole(self.raw), self.mirror.amendment(table, f"{outcome} {as_of}", leads) if self.mirror else nullcontext():
            yield

    def has(self, table: str) -> bool:
        """Whether a table exists."""
        return bool(self.raw.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = ?", [table]).fetchall()[0][0])

    def size(self, table: str) -> int:
        """How many rows a table has; 0 when there is none."""
        return int(self.raw.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0]) if self.has(table) else 0

    def crm(self) -> Crm:
        """The canonical tables, those the company does not have being empty."""
        return Crm(**{name: self._table(name) if self.has(name) else ibis.memtable([], schema=schema) for name, schema in SCHEMAS.items()})

    def _table(self, name: str) -> ir.Table:
        """A table of an extract; columns that it could not have yet when it was made are empty."""
        table = self.ibis.table(name)
        return table.mutate(**{column: ibis.null(kind) for column, kind in SCHEMAS[name].items() if column not in table.columns})

    def attributes(self) -> tuple[Attribute, ...]:
        """The company's own fields, in the order of their tables and columns."""
        rows = self.raw.execute("SELECT name, origin, kind, known FROM attributes ORDER BY rowid").fetchall()
        return tuple(Attribute(*row) for row in rows)

    def extracted_at(self) -> datetime | None:
        """Until when the tables are complete; None before the first extract.

        What the last extract says, not the farthest of all: one that was made while the clock was ahead is forgotten with the next.
        """
        last: datetime | None = self.raw.execute("SELECT arg_max(extracted_at, rowid) FROM extracts").fetchall()[0][0]
        return last

    def newest_cursor(self, table: str) -> datetime | None:
        """How far incremental reads of a table have come; None before the first."""
        last = "SELECT arg_max(newest_cursor, rowid) FROM extracts WHERE table_name = ?"
        found: datetime | None = self.raw.execute(last, [table]).fetchall()[0][0]
        return found

    def notices(self) -> tuple[str, ...]:
        """What the last extract said that every report must repeat."""
        return tuple(sentence for (sentence,) in self.raw.execute("SELECT sentence FROM notices ORDER BY rowid").fetchall())

    def extract_counts(self) -> pd.DataFrame:
        """The counts of the last extract, table by table."""
        return self.raw.execute("SELECT * FROM extracts WHERE extracted_at = ? ORDER BY rowid", [self.extracted_at()]).df()

    def refusals(self, extracted_at: datetime | None, table: str | None = None, most: int = 3) -> tuple[str, ...]:
        """Why rows were refused, one sentence a table and reason, at most so many a table, the most frequent first; no sentence names anybody.

        Parameters
        ----------
        extracted_at : which extract; None: the one that is under way.
        table : of which table alone; None: of all of them.
        """
        found = self.raw.execute(
            "SELECT table_name, concat_ws(' ', column_name, reason), count(*) AS refused, min(row), min_by(value, row),"
            " coalesce(min_by(column_name, row), ''), min_by(shared, row)"
            " FROM (SELECT *, count(*) OVER (PARTITION BY table_name, column_name, reason, value) AS shared FROM quarantine"
            "  WHERE extracted_at IS NOT DISTINCT FROM ? AND table_name = coalesce(?, table_name)) GROUP BY table_name, 2"
            " QUALIFY row_number() OVER (PARTITION BY table_name ORDER BY refused DESC, 2) <= ? ORDER BY 1, refused DESC, 2",
            [extracted_at, table, most],
        ).fetchall()
        return tuple(
            f"{name}: {refused:,} {'row was' if refused == 1 else 'rows were'} refused because {reason}"
            f"{f', such as {value[:40]!r}' if value is not None and may_be_told(column, value, shared) else ''}"
            f"{'' if row is None else f' (row {row:,})'}."
            for name, reason, refused, row, value, column, shared in found
        )

    def ledger(self, outcome: str = DEFAULT) -> ir.Table:
        """Every score of every night, for one outcome."""
        every = self.ibis.table("ledger")
        return every.filter(every.outcome == outcome)

    def publish_night(
        self,
        as_of: datetime,
        scores: pd.DataFrame,
        shift: tuple[float, int, str] | None = None,
        outcome: str = DEFAULT,
        lineage: Mapping[str, Any] | None = None,
    ) -> None:
        """Replace one night of the ledger, whole, in one transaction; the same night of other outcomes stays.

        Parameters
        ----------
        scores : the columns of the ledger, null where there are none; `reasons` as lists, kept as JSON. Written in the order of the ranks, so that
        equal nights are equal bytes.
        shift : what was added to all log-odds of the night because the base rate had moved, how many leads that rests on, and both in words.
        lineage : what the scores are made of, see `pipelines.lineage`.
        """
        absent = dict.fromkeys(column for column in LEDGER if column not in scores)
        ordered = scores.sort_values(["rank", "lead_id"]).assign(**{**absent, "outcome": outcome})
        night = pa.Table.from_pandas(ordered[list(LEDGER)], preserve_index=False)
        with self.transaction("ledger", "nights", "shifts", "lineage"):
            self.raw.execute("DELETE FROM ledger WHERE outcome = ? AND as_of = ?", [outcome, as_of])
            self.raw.register("night_to_publish", night)
            self.raw.execute("INSERT INTO ledger BY NAME SELECT * REPLACE (to_json(reasons) AS reasons) FROM night_to_publish")
            self.raw.unregister("night_to_publish")
            self.seal_night(as_of, outcome)
            self.raw.execute("DELETE FROM shifts WHERE outcome = ? AND as_of = ?", [outcome, as_of])
            if shift:
                self.raw.execute("INSERT INTO shifts VALUES (?, ?, ?, ?, ?)", [outcome, as_of, *shift])
            self.raw.execute("DELETE FROM lineage WHERE outcome = ? AND as_of = ?", [outcome, as_of])
            if lineage:
                values = ", ".join("?" * (len(lineage) + 2))
                self.raw.execute(f"INSERT INTO lineage (outcome, as_of, {', '.join(lineage)}) VALUES ({values})", [outcome, as_of, *lineage.values()])

    def seal_night(self, as_of: datetime, outcome: str = DEFAULT) -> None:
        """Remember what a night of the ledger is now, inside the transaction that made it so."""
        self.raw.execute("DELETE FROM nights WHERE outcome = ? AND as_of = ?", [outcome, as_of])
        self.raw.execute(f"INSERT INTO nights {sealed(LEDGER)} HAVING outcome = ? AND as_of = ?", [outcome, as_of])

    def is_sealed(self, as_of: datetime, outcome: str = DEFAULT) -> bool:
        """Whether a night of the ledger is there, and is what was published."""
        there = self.raw.execute(f"{sealed(LEDGER)} HAVING outcome = ? AND as_of = ?", [outcome, as_of]).fetchall()
        return bool(there) and there == self.raw.execute("SELECT * FROM nights WHERE outcome = ? AND as_of = ?", [outcome, as_of]).fetchall()

    def is_overtaken(self, as_of: datetime, extracted_at: datetime, outcome: str = DEFAULT) -> bool:
        """Whether a newer night was published after this one, and from what was known later than an instant."""
        newer = (
            "SELECT count(*) FROM nights JOIN lineage USING (outcome, as_of) WHERE outcome = $1 AND as_of > $2 AND lineage.extracted_at > $3"
            " AND nights.rowid > (SELECT rowid FROM nights WHERE outcome = $1 AND as_of = $2)"
        )
        return bool(self.raw.execute(newer, [outcome, as_of, extracted_at]).fetchall()[0][0])

    def seals(self, before: datetime, outcome: str = DEFAULT) -> str:
        """What all nights before an instant were when they were published, in one text."""
        return str(self.raw.execute("SELECT as_of, digest FROM nights WHERE outcome = ? AND as_of < ? ORDER BY as_of", [outcome, before]).fetchall())

    def seal_tables(self) -> None:
        """Remember what every table of the last extract is now, inside the transaction that made it so."""
        for table in self.extract_counts()["table_name"]:
            self.raw.execute(
                "UPDATE extracts SET digest = ? WHERE table_name = ? AND extracted_at = ?",
                [table_digest(self.raw, table), table, self.extracted_at()],
            )

    def newest_night(self, until: datetime, outcome: str = DEFAULT) -> datetime | None:
        """The newest night up to an instant that was scored; None before the first.

        Parameters
        ----------
        until : a night that was scored while the clock was ahead lies after it, and is nobody's list yet.
        """
        newest = "SELECT max(as_of) FROM ledger WHERE outcome = ? AND as_of <= ?"
        found: datetime | None = self.raw.execute(newest, [outcome, until]).fetchall()[0][0]
        return found

    def read_night(self, as_of: datetime, outcome: str = DEFAULT) -> pd.DataFrame:
        """One night of the ledger in the order of the ranks; empty when it was never scored."""
        return self.raw.execute("SELECT * FROM ledger WHERE outcome = ? AND as_of = ? ORDER BY rank, lead_id", [outcome, as_of]).df()

    def lineage(self, as_of: datetime, outcome: str = DEFAULT) -> dict[str, Any] | None:
        """What the scores of a night are made of; None where nobody kept it."""
        found = self.raw.execute("SELECT * FROM lineage WHERE outcome = ? AND as_of = ?", [outcome, as_of])
        columns, rows = [column[0] for column in found.description], found.fetchall()
        return dict(zip(columns, rows[0], strict=True)) if rows else None

    def shift(self, as_of: datetime, outcome: str = DEFAULT) -> tuple[str, ...]:
        """By how much the scores of a night were shifted and why, in a sentence; empty when they were not."""
        found = self.raw.execute("SELECT sentence FROM shifts WHERE outcome = ? AND as_of = ?", [outcome, as_of]).fetchall()
        return tuple(sentence for (sentence,) in found)

    def last_probabilities(self, before: datetime, outcome: str = DEFAULT) -> pd.Series:
        """Each lead's probability on the newest night before another: the base of "change since the last night"."""
        found = self.raw.execute(
            "SELECT lead_id, probability FROM ledger"
            " WHERE outcome = $1 AND as_of = (SELECT max(as_of) FROM ledger WHERE outcome = $1 AND as_of < $2)",
            [outcome, before],
        ).df()
        return found.set_index("lead_id")["probability"]

    def last_listed(self, before: datetime, outcome: str = DEFAULT) -> pd.Series:
        """Who was listed on the newest night before another: by lead id, whether by merit (those are not pushed off by noise) or drawn."""
        found = self.raw.execute(
            "SELECT lead_id, NOT explored AS by_merit FROM ledger WHERE listed"
            " AND outcome = $1 AND as_of = (SELECT max(as_of) FROM ledger WHERE outcome = $1 AND as_of < $2)",
            [outcome, before],
        ).df()
        return found.set_index("lead_id")["by_merit"]

    def knows(self, lead_id: str) -> bool:
        """Whether the last extract has a lead, or an account, of that id."""
        tables = [table for table in ("leads", "accounts") if self.has(table)]
        keys = [("lead_id" if table == "leads" else "account_id", table) for table in tables]
        return any(self.raw.execute(f"SELECT count(*) FROM {table} WHERE {key} = ?", [lead_id]).fetchall()[0][0] for key, table in keys)

    def histories(self, until: datetime, nights: int = 30, outcome: str = DEFAULT) -> pd.DataFrame:
        """The scores of the last nights up to one: lead_id, as_of, probability."""
        return self.raw.execute(
            "SELECT lead_id, as_of, probability FROM ledger"
            " WHERE outcome = $1 AND as_of IN (SELECT DISTINCT as_of FROM ledger WHERE outcome = $1 AND as_of <= $2 ORDER BY as_of DESC LIMIT $3)"
            " ORDER BY lead_id, as_of",
            [outcome, until, nights],
        ).df()


def _mirror(url: str, raw: duckdb.DuckDBPyConnection) -> Mirror:
    """A copy of a server's warehouse; what it takes is an extra that few need."""
    try:
        from pipelines.mirror import Mirror
    except ImportError as error:
        raise Problem(f"A warehouse on PostgreSQL needs {error.name}, which is not installed: pip install 'leadscore[postgres]'.") from error
    return Mirror(url, raw)
