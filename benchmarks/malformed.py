"""Does anything that a company may hand over break extracting or scoring? Ten thousand malformed tables and configurations, each used or refused.

    make bench NAME=malformed

Of every input one of two things is wanted: it is refused whole in one sentence, or every row of it is clean, superseded or in quarantine. How many
rows were handed over is known beforehand wherever the file still says so. Anything else counts under tracebacks: an error that is no sentence, and a
row that is lost. The inputs are drawn by Hypothesis from tables that are right, by spoiling their bytes, their cells and their types.
"""

from __future__ import annotations

import csv
import io
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from time import monotonic
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from benchmarks.results import say, tell
from features.examples import features_of
from features.plan import Attribute, Plan
from features.problem import Problem
from models.baseline import PointsTable
from models.calibration import Calibration
from models.registry import Champion
from models.scorer import Scorer
from pipelines.company import open_company
from pipelines.crm.load import load
from pipelines.crm.tables import open_source
from pipelines.score import build_snapshot, publish_night, rank_leads, see_night, write_lists
from pipelines.settings import Settings, read_settings
from pipelines.warehouse import Warehouse

NOW = datetime(2025, 7, 1)
EXAMPLES = {"bytes of a CSV": 2_500, "cells of a CSV": 2_500, "a Parquet file": 1_500, "leadscore.toml": 3_600, "scored": 100}
TABLES: dict[str, list[list[str]]] = {
    "leads": [
        ["lead_id", "created_at", "owner_id", "account_id", "name", "status", "source", "do_not_contact", "merged_into"],
        *([f"L{n}", f"2025-0{1 + n % 6}-03 10:00", f"o{n % 2}", f"A{n % 3}", f"lead {n}", "working", "web", "false", ""] for n in range(6)),
    ],
    "deals": [
        ["deal_id", "lead_id", "created_at", "outcome", "closed_at", "amount", "stage"],
        ["D0", "L0", "2025-02-01", "won", "2025-03-01", "100.50", "won"],
        ["D1", "L1", "2025-03-01", "lost", "2025-04-01", "", "lost"],
        ["D2", "L2", "2025-04-01", "open", "", "70", "offer"],
    ],
    "activities": [
        ["activity_id", "lead_id", "kind", "direction", "occurred_at", "value", "text"],
        *([f"E{n}", f"L{n}", "call", "out", "2025-06-20T09:00:00Z", "3", "asked for a price"] for n in range(4)),
    ],
    "lead_changes": [["lead_id", "field", "old_value", "new_value", "changed_at"], ["L0", "status", "new", "working", "2025-02-02"]],
    "accounts": [["account_id", "industry"], ["A0", "retail"], ["A1", "health"]],
    "owners": [["owner_id", "name", "email", "team", "capacity", "quota"], ["o0", "Ann", "ann@company.example", "north", "5", "1000"]],
}


def configured(*also: str) -> str:
    """A configuration of leads, deals and some further tables."""
    tables = dict.fromkeys(("leads", "deals", *also))
    source = [f'[source.tables.{name}]\ntable = "{name}.csv"\n' for name in tables]
    return f'[source]\nlocation = "."\nrefusal_limit = 1.0\n{"".join(source)}[outcome]\nhorizon_days = 30\n[list]\ncapacity = 5\n'


# What a person, a program or a broken export has put into a cell.
CELLS = (
    *(
        "",
        " ",
        "\t",
        "NULL",
        "nan",
        "NaN",
        "inf",
        "-inf",
        "-0",
        "1e309",
        "9" * 400,
        "0x10",
        "1,5",
        "1.2.3",
        "٣",
        "½",
        "true",
        "\x00",
        "\ufeff",
        "\\N",
    ),
    *("0000-00-00", "2025-02-30", "9999-12-31T23:59:59Z", "0001-01-01", "-4713-01-01", "294247-01-10", "infinity", "epoch", "now", "today", "24:00"),
    *("2025-01-01T00:00:00+99:99", "2025-01-01 00:00:00 Mars/Base", "2025-01-01 10:00 -14", "31/12/2024", "20250101", "1735689600", "2025-W01-1"),
    *(
        '"',
        '""',
        '"a',
        'a"b',
        "'",
        ";",
        ",",
        "\r",
        "\n",
        "\r\n",
        "=1+1",
        "<b>",
        "a\u2028b",
        "\u202e",
        "🙈",
        "e\u0301",
        "x" * 100_001,
        "won",
        "open",
        "L0",
        "L1",
    ),
)
BROKEN = (
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xc3",
    b"\xed\xa0\x80",
    b'"',
    b'""',
    b"\r",
    b"\n",
    b"\r\n",
    b",",
    b";",
    b"\t",
    b"'",
    b"\\",
    b"\x1a",
    b"=",
)
SLICES = st.lists(
    st.tuples(st.integers(0, 5_000), st.integers(0, 40), st.one_of(st.sampled_from(BROKEN), st.binary(max_size=12))), min_size=1, max_size=6
)


@dataclass(frozen=True)
class Input:
    """Files by name, a configuration, and how many rows each table has, where that is known."""

    files: dict[str, bytes]
    config: str | bytes
    rows: dict[str, int] = field(default_factory=dict)


def _csv(rows: list[list[str]], delimiter: str = ",", encoding: str = "utf-8") -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    return text.getvalue().encode(encoding, "surrogatepass")


RIGHT = {f"{name}.csv": _csv(rows) for name, rows in TABLES.items()}


def _spoilt(content: bytes, slices: list[tuple[int, int, bytes]]) -> bytes:
    """Bytes of which some were lost, and others put in their place."""
    for at, lost, put in slices:
        place = at % (len(content) + 1)
        content = content[:place] + put + content[place + lost :]
    return content


@st.composite
def spoilt_bytes(draw: st.DrawFn) -> Input:
    """A table of which bytes are lost, doubled or other ones, in one of several encodings."""
    name, encoding = draw(st.sampled_from(list(TABLES))), draw(st.sampled_from(["utf-8", "utf-16", "utf-8-sig", "cp1252", "utf-32"]))
    content = _csv(TABLES[name], draw(st.sampled_from(",;\t|")), encoding)
    return Input({**RIGHT, f"{name}.csv": _spoilt(content, draw(SLICES))}, configured(name))


CELL = st.one_of(st.sampled_from(CELLS), st.text(st.characters(exclude_categories=["Cs"]), max_size=12))


@st.composite
def spoilt_cells(draw: st.DrawFn) -> Input:
    """A table some cells of which hold anything, and none, one or many rows."""
    name = draw(st.sampled_from(list(TABLES)))
    head, *rows = TABLES[name]
    many = [list(row) for row in draw(st.lists(st.sampled_from(rows), max_size=12))]
    for row in many:
        for at, cell in draw(st.lists(st.tuples(st.integers(0, len(head) - 1), CELL), max_size=3)):
            row[at] = cell
    return Input({**RIGHT, f"{name}.csv": _csv([head, *many])}, configured(name), {name: len(many)})


_BIG = 2**62
VALUES: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "text": (pa.string(), CELL),
    "whole": (pa.int64(), st.integers(-_BIG, _BIG)),
    "unsigned": (pa.uint64(), st.integers(0, 2**64 - 1)),
    "float": (pa.float64(), st.floats()),
    "half": (pa.float32(), st.floats(width=32)),
    "decimal": (pa.decimal128(38, 9), st.decimals(-(10**20), 10**20, places=9).map(Decimal)),
    "instant": (pa.timestamp("us"), st.datetimes()),
    "instant in ns": (pa.timestamp("ns"), st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1))),
    "instant of a zone": (pa.timestamp("us", "Asia/Kolkata"), st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1))),
    "any instant": (pa.timestamp("us"), st.integers(-_BIG, _BIG)),
    "day": (pa.date32(), st.dates(date(1, 1, 1))),
    "time": (pa.time64("us"), st.times()),
    "bytes": (pa.binary(), st.binary(max_size=8)),
    "truth": (pa.bool_(), st.booleans()),
    "list": (pa.list_(pa.string()), st.lists(CELL, max_size=3)),
    "struct": (pa.struct({"a": pa.int64()}), st.fixed_dictionaries({"a": st.integers(0, 9)})),
    "nothing": (pa.null(), st.none()),
}


@st.composite
def parquet(draw: st.DrawFn) -> Input:
    """A table some columns of which are of another type, as a Parquet file that may be cut off or damaged."""
    name = draw(st.sampled_from(list(TABLES)))
    head, *rows = TABLES[name]
    columns: dict[str, pa.Array] = {column: pa.array([row[at] for row in rows]) for at, column in enumerate(head)}
    for column, kind in draw(st.dictionaries(st.sampled_from(head), st.sampled_from(list(VALUES)), min_size=1, max_size=4)).items():
        type_, values = VALUES[kind]
        columns[column] = pa.array(draw(st.lists(st.none() | values, min_size=len(rows), max_size=len(rows))), type_)
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    damage = draw(st.none() | SLICES) if draw(st.booleans()) else None
    config = configured(name).replace(f'"{name}.csv"', f'"{name}.parquet"')
    return Input({**RIGHT, f"{name}.parquet": _spoilt(file.getvalue(), damage or [])}, config, {} if damage else {name: len(rows)})


@st.composite
def configuration(draw: st.DrawFn) -> Input:
    """A leadscore.toml with bytes or whole values replaced."""
    if draw(st.booleans()):
        return Input(RIGHT, _spoilt(configured("owners").encode(), draw(SLICES)))
    return Input(RIGHT, f"{configured('owners')}{draw(st.sampled_from(_PLACES))} = {draw(st.sampled_from(_WRITTEN))}\n")


_WRITTEN = (
    *(
        '""',
        '"x"',
        "0",
        "-1",
        "1e400",
        "nan",
        "inf",
        "true",
        "[]",
        "{}",
        "[[]]",
        '["x"]',
        '{ "" = "" }',
        '{ a = { b = "c" } }',
        "9999-12-31",
        "1979-05-27T07:32:00Z",
    ),
    *("07:32:00", f'"{"x" * 10_000}"', "'\"'", f"1{'0' * 30}", '"env:NOBODY_SET_THIS"', '"hubspot:"', '"../.."', '"/dev/null"', '"%Y"', '"%"'),
)
_PLACES = (
    *("quota", "covers", "hour", "fresh_hours", "source", "territory", "boost", "[company]\nname", "[company]\ntime_zone", "[company]\ncurrency"),
    *(f"[source.tables.{table}]\n{key}" for table in ("leads", "contacts") for key in ("table", "columns", "where")),
    *(f"[source.tables.activities.{key}]\nkind" for key in ("values", "constants", "where", "columns", "clocks")),
    *(f"[outcomes.{name}]\n{key}" for name in ("renewal", '"../x"', '""') for key in ("kind", "deals", "horizon_days", "name", "max_age_days")),
    *(f"[delivery.mail]\n{key}" for key in ("server", "sender", "password", "to", "port")),
    *("[writeback]\ntarget", "[gate]\nlevel", "[delivery]\ncrm_link", "[surprise]\nkey"),
)
KINDS: dict[str, st.SearchStrategy[Input]] = {
    "bytes of a CSV": spoilt_bytes(),
    "cells of a CSV": spoilt_cells(),
    "a Parquet file": parquet(),
    "leadscore.toml": configuration(),
    "scored": spoilt_cells(),
}


def attempt(given: Input, score: bool = False) -> str:
    """Extract an input, and score what came of it where that is wanted: "refused" whole in a sentence, or "clean", every row accounted for."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name, content in given.files.items():
            (folder / name).write_bytes(content)
        config = folder / "leadscore.toml"
        config.write_bytes(given.config if isinstance(given.config, bytes) else given.config.encode())
        try:
            read = read_settings(config)
            source = open_source(read.source_location, read.source.encoding)
            if not score:
                _account(read, source, Warehouse(ibis.duckdb.connect()), given.rows)
                return "clean"
            with Warehouse.open(read.warehouse_url) as warehouse:
                _account(read, source, warehouse, given.rows)
            _score(read)
        except Problem as problem:
            if not str(problem).strip():
                raise ValueError("refused without a word") from problem
            return "refused"
    return "clean"


def _account(read: Settings, source: Any, warehouse: Warehouse, rows: dict[str, int]) -> None:
    done = load(read, source, warehouse, NOW, lambda share, words: None)
    for one in done.tables:
        kept = warehouse.raw.execute("SELECT count(*) FROM quarantine WHERE table_name = ?", [one.table]).fetchall()[0][0]
        assert (one.rows_in, one.quarantined) == (one.clean + one.quarantined + one.superseded, kept), f"rows of {one.table} are lost"
        assert (one.clean, one.superseded >= 0) == (warehouse.size(one.table), True), f"rows of {one.table} are lost"
        assert one.rows_in == rows.get(one.table, one.rows_in), f"rows of {one.table} were never read"


def _score(read: Settings) -> None:
    """The night after, by a points table that was learned from nobody, until the lists are written."""
    plan = Plan(read.timeline, attributes=(Attribute("source", "leads", "category", "creation"),))
    features = features_of(plan)
    source = next(feature.name for feature in features if feature.field == "source")
    table = PointsTable("points table", {source: [("web", 2)]}, {}, 1.0, -1.0)
    scorer = Scorer(table, Calibration(), plan, features, NOW - timedelta(days=99), NOW - timedelta(days=9), 0.2, caveat="rules of nobody")
    champion = Champion("1", "none", scorer)
    with open_company(read) as company:
        night = company.night(None)
        known = build_snapshot.fn(company, champion, night)
        ranked = rank_leads.fn(company, champion, known, night)
        publish_night.fn(company, champion, ranked, night, None)
        write_lists.fn(company, see_night.fn(company, champion, night))
        assert company.warehouse.size("ledger") == len(known), "leads are lost"


def main() -> None:
    """Print one row a kind of input."""
    tell("malformed", [tried(kind, EXAMPLES[kind]) for kind in KINDS])


def tried(kind: str, examples: int) -> dict[str, Any]:
    """So many inputs of a kind: what became of them, and how long the slowest took."""
    say(f"{kind}: {examples:,} inputs")
    verdicts, seconds, said = Counter[str](), [0.0], dict[str, str]()

    def one(given: Input) -> None:
        began = monotonic()
        try:
            verdicts[attempt(given, kind == "scored")] += 1
        except Exception as error:
            verdicts["traceback"] += 1
            said.setdefault(type(error).__name__, str(error)[:200])
        seconds.append(monotonic() - began)

    drawn(KINDS[kind], examples)(one)()
    return {
        "kind of input": kind,
        "examples": sum(verdicts.values()),
        "refused": verdicts["refused"],
        "clean": verdicts["clean"],
        "tracebacks": verdicts["traceback"],
        "slowest seconds": round(max(seconds), 2),
        "first tracebacks": "; ".join(f"{name}: {words}" for name, words in said.items()),
    }


def drawn(inputs: st.SearchStrategy[Input], examples: int) -> Callable[[Callable[[Input], None]], Callable[[], None]]:
    """A function called with so many inputs, the same on every machine."""
    how = settings(max_examples=examples, database=None, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))

    def decorate(one: Callable[[Input], None]) -> Callable[[], None]:
        called: Callable[[], None] = settings(how, phases=(Phase.generate, Phase.shrink))(given(inputs)(one))
        return called

    return decorate


if __name__ == "__main__":
    main()
