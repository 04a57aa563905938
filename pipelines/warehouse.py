"""Dated tables in a DuckDB file: what was extracted, what was refused, every night's scores, and what reps said. Replaces one night atomically."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from datetime import date, datetime
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
from pipelines.catalog import whole
from pipelines.environment import keep_private
from pipelines.migrations import migrate
from pipelines.seals import sealed
from pipelines.settings import DEFAULT, Settings, on_a_server
from pipelines.views import views

if TYPE_CHECKING:
    from pipelines.mirror import Mirror

LEDGER = {
    "outcome": "VARCHAR NOT NULL",
    "as_of": "TIMESTAMP NOT NULL",
    "lead_id": "VARCHAR NOT NULL",
    "probability": "DOUBLE NOT NULL",
    "score": "INTEGER",
    "tier": "VARCHAR",
    "expected_value": "DOUBLE",
    "rank": "INTEGER",
    "owner_id": "VARCHAR",
    "owner_rank": "INTEGER",
    "listed": "BOOLEAN",
    "explored": "BOOLEAN",
    "reasons": "VARCHAR",
    "change": "DOUBLE",
    "model_name": "VARCHAR",
    "model_version": "VARCHAR",
    "run_id": "VARCHAR",
    "features_digest": "VARCHAR",
    "scored_at": "TIMESTAMP",
    "left_out": "VARCHAR",
    "by_hand": "VARCHAR",
    "routed": "BOOLEAN",
    "selection_probability": "DOUBLE",
    "fit": "INTEGER",
    "engagement": "INTEGER",
    "grade": "VARCHAR",
    "qualified": "BOOLEAN",
    "next_step": "VARCHAR",
}
_KEPT = {
    "ledger": {**LEDGER, "PRIMARY": "KEY (outcome, as_of, lead_id)"},
    "quarantine": {
        "extracted_at": "TIMESTAMP",
        "table_name": "VARCHAR",
        "row": "BIGINT",
        "column_name": "VARCHAR",
        "value": "VARCHAR",
        "reason": "VARCHAR",
    },
    "extracts": {
        "extracted_at": "TIMESTAMP",
        "table_name": "VARCHAR",
        "rows_in": "BIGINT",
        "clean": "BIGINT",
        "quarantined": "BIGINT",
        "superseded": "BIGINT",
        "lag_hours": "DOUBLE",
        "newest_cursor": "TIMESTAMP",
    },
    "nights": {
        "outcome": "VARCHAR NOT NULL",
        "as_of": "TIMESTAMP NOT NULL",
        "leads": "BIGINT",
        "digest": "VARCHAR",
        "PRIMARY": "KEY (outcome, as_of)",
    },
    "shifts": {"outcome": "VARCHAR", "as_of": "TIMESTAMP", "shift": "DOUBLE", "leads": "BIGINT", "sentence": "VARCHAR"},
    "writebacks": {
        "outcome": "VARCHAR NOT NULL",
        "as_of": "TIMESTAMP NOT NULL",
        "target": "VARCHAR NOT NULL",
        "lead_id": "VARCHAR NOT NULL",
        "digest": "VARCHAR NOT NULL",
        "state": "VARCHAR NOT NULL",
        "reason": "VARCHAR",
        '"at"': "TIMESTAMP",
        "PRIMARY": "KEY (outcome, as_of, target, lead_id)",
    },
    "notices": {"sentence": "VARCHAR"},
    "feedback": {
        "outcome": "VARCHAR NOT NULL",
        "as_of": "TIMESTAMP NOT NULL",
        "lead_id": "VARCHAR NOT NULL",
        "feedback": "VARCHAR",
        "note": "VARCHAR",
        "given_by": "VARCHAR",
        "received_at": "TIMESTAMP",
        "PRIMARY": "KEY (outcome, as_of, lead_id)",
    },
    "decisions": {
        "outcome": "VARCHAR NOT NULL",
        "lead_id": "VARCHAR NOT NULL",
        "place": "INTEGER",
        "until": "DATE",
        "because": "VARCHAR",
        "given_by": "VARCHAR",
        "given_at": "TIMESTAMP",
    },
    "deliveries": {
        "outcome": "VARCHAR NOT NULL",
        "as_of": "TIMESTAMP NOT NULL",
        "channel": "VARCHAR NOT NULL",
        "recipient": "VARCHAR NOT NULL",
        "digest": "VARCHAR",
        "state": "VARCHAR",
        '"at"': "TIMESTAMP",
        "PRIMARY": "KEY (outcome, as_of, channel, recipient)",
    },
    "erased": {"digest": "VARCHAR NOT NULL", "PRIMARY": "KEY (digest)"},
    "erased_salt": {"salt": "VARCHAR NOT NULL"},
    "erasures": {'"at"': "TIMESTAMP", "because": "VARCHAR", "table_name": "VARCHAR", "row_count": "BIGINT"},
    "attributes": {"origin": "VARCHAR", "name": "VARCHAR", "kind": "VARCHAR", "known": "VARCHAR"},
}

# What DuckDB says of a disk that it could not write to.
_KEPT_OUT = re.compile("Could not (write|create|remove|move|truncate|sync)|Failed to commit: Cannot open|No space left|Read-only file system")


class Warehouse:
    """The company's tables and the product's own, in one file with one writer.

    To the business: readers see the old night or the new one, never half of either.
    """

    def __init__(self, connection: Any, mirror: Mirror | None = None, file: Path | None = None) -> None:
        self.ibis, self.mirror = connection, mirror
        self.raw: duckdb.DuckDBPyConnection = connection.con
        # What was computed once for a whole flow: let go of earlier, it would be dropped by whichever thread collects garbage, amid another query.
        self.kept: list[Crm] = []
        migrate(self.raw, file)
        for name in _KEPT:
            self._make(name)
        columns = self.columns()
        self._complete(columns)
        if mirror:
            with whole(self.raw):
                mirror.fetch()
            columns = self.columns()
        self._show(columns)

    def _make(self, name: str) -> None:
        columns = ", ".join(f"{column} {kind}" for column, kind in _KEPT[name].items())
        self.raw.execute(f"CREATE TABLE IF NOT EXISTS {name} ({columns})")

    def columns(self) -> dict[str, list[str]]:
        """The columns of every table and view there is."""
        columns: dict[str, list[str]] = {}
        for table, column in self.raw.execute("SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal").fetchall():
            columns.setdefault(table, []).append(column)
        return columns

    def _complete(self, columns: dict[str, list[str]]) -> None:
        """A file of an earlier version lacks what has come since."""
        for name, wanted in _KEPT.items():
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
            with cls._opened(url) as connection:
                yield cls(connection, file=Path(url))
            return
        with cls._opened(str(copy) if copy else ":memory:") as connection, closing(_mirror(url, connection.con)) as mirror:
            yield cls(connection, mirror)

    @classmethod
    def of(cls, settings: Settings) -> AbstractContextManager[Warehouse]:
        """The warehouse that a company's settings name, see `open`."""
        return cls.open(settings.warehouse_url, settings.copy_file)

    @staticmethod
    @contextmanager
    def _opened(url: str) -> Iterator[Any]:
        """A DuckDB file, closed whatever happens."""
        # Every flow opens the warehouse first, whoever runs it; what DuckDB, MLflow and Prefect write from then on is private too.
        keep_private()
        try:
            Path(url).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            connection = ibis.duckdb.connect(url)
        except OSError as error:
            raise Problem(f"The folder of the warehouse {url} cannot be made ({error.strerror}): check the path and its permissions.") from error
        except duckdb.Error as error:
            if "lock on file" in str(error):
                raise Problem(f"Another process works on the warehouse {url}: wait until it is done and run again.") from error
            if _is_kept_out(error):
                raise _not_written(url, error) from error
            if Path(url).is_file() and os.access(url, os.R_OK | os.W_OK):
                raise Problem(
                    f"The warehouse {url} is damaged or no DuckDB file ({str(error).splitlines()[0]}): put back a copy of it, or move it away "
                    "and run `leadscore extract`; the scores of past nights are lost with it."
                ) from error
            raise Problem(f"The warehouse {url} cannot be opened ({str(error).splitlines()[0]}): check the path and its permissions.") from error
        if url != ":memory:":
            Path(url).chmod(0o600)
        try:
            yield connection
        except duckdb.Error as error:
            if not _is_kept_out(error):
                raise
            raise _not_written(url, error) from error
        finally:
            # Ibis drops what `cache` made when it is garbage collected, which may be after the file is closed.
            for name in list(connection._cache_name_to_entry):
                connection._finalize_cached_table(name)
            connection.disconnect()

    @contextmanager
    def transaction(self, *tables: str) -> Iterator[None]:
        """All of what happens inside, or none of it, also where a server holds the warehouse.

        Parameters
        ----------
        tables : those that may be changed; none are named: any.
        """
        with whole(self.raw), self.mirror.transaction(tables or (*SCHEMAS, *_KEPT)) if self.mirror else nullcontext():
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

    def publish_night(self, as_of: datetime, scores: pd.DataFrame, shift: tuple[float, int, str] | None = None, outcome: str = DEFAULT) -> None:
        """Replace one night of the ledger, whole, in one transaction; the same night of other outcomes stays.

        Parameters
        ----------
        scores : the columns of the ledger, null where there are none; `reasons` as lists, kept as JSON. Written in the order of the ranks, so that
        equal nights are equal bytes.
        shift : what was added to all log-odds of the night because the base rate had moved, how many leads that rests on, and both in words.
        """
        absent = dict.fromkeys(column for column in LEDGER if column not in scores)
        ordered = scores.sort_values(["rank", "lead_id"]).assign(**{**absent, "outcome": outcome})
        night = pa.Table.from_pandas(ordered[list(LEDGER)], preserve_index=False)
        with self.transaction("ledger", "nights", "shifts"):
            self.raw.execute("DELETE FROM ledger WHERE outcome = ? AND as_of = ?", [outcome, as_of])
            self.raw.register("night_to_publish", night)
            self.raw.execute("INSERT INTO ledger BY NAME SELECT * REPLACE (to_json(reasons) AS reasons) FROM night_to_publish")
            self.raw.unregister("night_to_publish")
            self.seal_night(as_of, outcome)
            self.raw.execute("DELETE FROM shifts WHERE outcome = ? AND as_of = ?", [outcome, as_of])
            if shift:
                self.raw.execute("INSERT INTO shifts VALUES (?, ?, ?, ?, ?)", [outcome, as_of, *shift])

    def seal_night(self, as_of: datetime, outcome: str = DEFAULT) -> None:
        """Remember what a night of the ledger is now, inside the transaction that made it so."""
        self.raw.execute("DELETE FROM nights WHERE outcome = ? AND as_of = ?", [outcome, as_of])
        self.raw.execute(f"INSERT INTO nights {sealed(LEDGER)} HAVING outcome = ? AND as_of = ?", [outcome, as_of])

    def newest_night(self, outcome: str = DEFAULT) -> datetime | None:
        """The newest night that was scored; None before the first."""
        found: datetime | None = self.raw.execute("SELECT max(as_of) FROM ledger WHERE outcome = ?", [outcome]).fetchall()[0][0]
        return found

    def read_night(self, as_of: datetime, outcome: str = DEFAULT) -> pd.DataFrame:
        """One night of the ledger in the order of the ranks; empty when it was never scored."""
        return self.raw.execute("SELECT * FROM ledger WHERE outcome = ? AND as_of = ? ORDER BY rank, lead_id", [outcome, as_of]).df()

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

    def decide(self, lead_id: str, place: int | None, until: date, because: str, given_by: str, given_at: datetime, outcome: str = DEFAULT) -> None:
        """Remember what a person decided about a lead; the newest decision holds.

        Parameters
        ----------
        place : where on its owner's list it is to stand; 0: nowhere; None: wherever its score puts it.
        until : the last day on which the decision holds.
        """
        self.raw.execute("INSERT INTO decisions VALUES (?, ?, ?, ?, ?, ?, ?)", [outcome, lead_id, place, until, because, given_by, given_at])

    def decisions(self, as_of: datetime, day: date, outcome: str = DEFAULT) -> pd.DataFrame:
        """What people had decided by a night and still holds on its day: lead_id, place, until, because, given_by."""
        return self.raw.execute(
            "SELECT * EXCLUDE (outcome, given_at) FROM (SELECT * FROM decisions WHERE outcome = ? AND given_at < ?"
            " QUALIFY row_number() OVER (PARTITION BY lead_id ORDER BY given_at DESC, rowid DESC) = 1)"
            " WHERE place IS NOT NULL AND until >= ? ORDER BY lead_id",
            [outcome, as_of, day],
        ).df()

    def histories(self, until: datetime, nights: int = 30, outcome: str = DEFAULT) -> pd.DataFrame:
        """The scores of the last nights up to one: lead_id, as_of, probability."""
        return self.raw.execute(
            "SELECT lead_id, as_of, probability FROM ledger"
            " WHERE outcome = $1 AND as_of IN (SELECT DISTINCT as_of FROM ledger WHERE outcome = $1 AND as_of <= $2 ORDER BY as_of DESC LIMIT $3)"
            " ORDER BY lead_id, as_of",
            [outcome, until, nights],
        ).df()

    def keep_feedback(self, replies: pd.DataFrame, as_of: datetime, outcome: str, received_at: datetime) -> int:
        """Keep what reps said of leads of a night; how many replies are new or other than before.

        A lead of a night has one reply: read again it changes nothing, and a corrected one takes its place. It tells a manager what became of a list.
        It is never a label and never a feature: whom a rep calls, and what they write, follows from the score that they had before them.

        Parameters
        ----------
        replies : lead_id (each once), feedback, note, given_by (owner_id), each null where nothing is known.
        received_at : when they were read.
        """
        self.raw.register("replies_to_keep", replies.assign(outcome=outcome, as_of=as_of, received_at=received_at))
        try:
            changed = self.raw.execute(
                "INSERT INTO feedback BY NAME SELECT * FROM replies_to_keep new WHERE NOT EXISTS (SELECT 1 FROM feedback old"
                " WHERE (old.outcome, old.as_of, old.lead_id) = (new.outcome, new.as_of, new.lead_id)"
                " AND old.feedback IS NOT DISTINCT FROM new.feedback AND old.note IS NOT DISTINCT FROM new.note"
                " AND old.given_by IS NOT DISTINCT FROM new.given_by)"
                " ON CONFLICT (outcome, as_of, lead_id) DO UPDATE SET"
                " feedback = excluded.feedback, note = excluded.note, given_by = excluded.given_by, received_at = excluded.received_at"
            ).fetchall()
        finally:
            self.raw.unregister("replies_to_keep")
        return int(changed[0][0])

    def delivery(self, as_of: datetime, channel: str, recipient: str, outcome: str = DEFAULT) -> tuple[str, str] | None:
        """How the delivery of a night to somebody stands, and the digest of what was delivered; None where none was begun."""
        found = self.raw.execute(
            "SELECT state, digest FROM deliveries WHERE outcome = ? AND as_of = ? AND channel = ? AND recipient = ?",
            [outcome, as_of, channel, recipient],
        ).fetchall()
        return (str(found[0][0]), str(found[0][1])) if found else None

    def note_delivery(self, as_of: datetime, channel: str, recipient: str, digest: str, state: str, at: datetime, outcome: str = DEFAULT) -> None:
        """Remember how a delivery stands, so that a night scored again, or a crash, delivers nothing twice.

        Parameters
        ----------
        channel : how it goes out, such as "mail".
        recipient : whose list it is: the owner's id.
        digest : of what is delivered.
        state : "sending" before, "sent" after; "refused" where it surely did not arrive, so that the next run may try again.
        """
        with self.transaction("deliveries"):
            self.raw.execute(
                "INSERT OR REPLACE INTO deliveries VALUES (?, ?, ?, ?, ?, ?, ?)", [outcome, as_of, channel, recipient, digest, state, at]
            )


def _is_kept_out(error: duckdb.Error) -> bool:
    """Whether the disk is full or closed to us, which says nothing against what is on it."""
    return _KEPT_OUT.search(str(error)) is not None


def _not_written(url: str, error: duckdb.Error) -> Problem:
    return Problem(
        f"The warehouse {url} could not be written ({str(error).splitlines()[0]}): free the disk or correct its permissions, and run again; "
        "nothing is half-written."
    )


def _mirror(url: str, raw: duckdb.DuckDBPyConnection) -> Mirror:
    """A copy of a server's warehouse; what it takes is an extra that few need."""
    try:
        from pipelines.mirror import Mirror
    except ImportError as error:
        raise Problem(f"A warehouse on PostgreSQL needs {error.name}, which is not installed: pip install 'leadscore[postgres]'.") from error
    return Mirror(url, raw)
