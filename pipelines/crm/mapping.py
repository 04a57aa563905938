"""The company's words made ours: a source table of texts becomes a canonical table of typed columns, in one SQL statement.

Beside each canonical column X stands `raw__X`, the text it was read from, so that a refusal can show what was there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import duckdb

from features.contract import CLOCKS, RAW, REQUIRED, SCHEMAS
from features.problem import Problem
from pipelines.crm.base import nameless, tell_apart
from pipelines.settings import SourceTable

# A time of day and something behind it: an offset, Z, UTC, the name of a zone, or what we must not guess at.
_AWARE = r":\d\d(\.\d+)?\s*([A-Za-z].*|[+-]\d.*)$"
_ZULU, _SPACED = r"\s*[zZ]$", r"\s+([+-])"
_FIRST, _LAST = "0001-01-03 00:00:00", "9999-12-29 00:00:00"
# A currency before or behind an amount is passed over.
_CURRENCY = r"(\p{Sc}|[A-Z]{3}|[A-Z]{1,3}\p{Sc}|kr\.?|Fr\.?|zł|Kč)"
_ATTRIBUTED = ("leads", "accounts", "deals")


def quoted(name: str) -> str:
    """An identifier that cannot be anything else, whatever characters it has.

    >>> quoted('a"b')
    '"a""b"'
    """
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text value inside SQL.

    >>> literal("O'Hara")
    "'O''Hara'"
    """
    return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True)
class Mapping:
    """How one source table becomes a canonical one.

    Parameters
    ----------
    name : canonical table.
    spec : what leadscore.toml says of it.
    columns : the columns that the source table has.
    zone : IANA zone in which dates without one are read.
    """

    name: str
    spec: SourceTable
    columns: tuple[str, ...]
    zone: str

    def __post_init__(self) -> None:
        tell_apart(self.spec.table, self.columns)
        for form in self.spec.dates:
            _see_format(self.name, form)
        wanted = [*self._named, *self.spec.where, *(clock.column for clock in self.spec.clocks.values())]
        for column in wanted:
            if column not in self.columns:
                raise Problem(
                    f"{self.spec.table} has no column '{column}', which [source.tables.{self.name}] names: it has "
                    f"{', '.join(self.columns) or 'no columns at all'}. Correct leadscore.toml."
                )
        for column in REQUIRED[self.name]:
            if not (self.sources_of(column) or column in self.spec.constants or column in self.spec.clocks):
                raise Problem(
                    f"{self.spec.table} has no column '{column}': write which of its columns that is, as "
                    f'columns = {{ {column} = "..." }} under [source.tables.{self.name}] in leadscore.toml.'
                )

    @cached_property
    def _named(self) -> set[str]:
        """The source's columns that leadscore.toml maps by name."""
        return {theirs for named in self.spec.columns.values() for theirs in _each(named)}

    def sources_of(self, column: str) -> tuple[str, ...]:
        """The source's names of a canonical column, if it has any: what leadscore.toml names, else the same name in whatever case."""
        if column in self.spec.columns:
            return _each(self.spec.columns[column])
        same = next((theirs for theirs in self.columns if theirs.lower() == column), None)
        # A column that is mapped by name keeps its own meaning too only where its name is exactly ours.
        mapped = same != column and same in self._named
        return () if same is None or mapped or same in self.spec.ignore else (same,)

    @cached_property
    def _read(self) -> set[str]:
        """The source's columns that the mapping needs."""
        sources = {theirs for column in SCHEMAS[self.name] for theirs in self.sources_of(column)}
        return sources | self._named | {clock.column for clock in self.spec.clocks.values()} | set(self.spec.where)

    @property
    def attributes(self) -> tuple[str, ...]:
        """The columns that are no canonical column: fields of the company's own."""
        if self.name not in _ATTRIBUTED or not self.spec.attributes:
            return ()
        free = (c for c in self.columns if c not in self._read and c not in self.spec.ignore)
        return tuple(c for c in free if c.lower() not in SCHEMAS[self.name] and not nameless(c))

    @property
    def unused(self) -> tuple[str, ...]:
        """The columns that map to nothing although nobody said that they should not."""
        if self.name in _ATTRIBUTED and not self.spec.attributes:
            return ()
        told = {*self._read, *self.attributes, *self.spec.ignore, self.spec.cursor}
        return tuple(column for column in self.columns if column not in told)

    def sql(self, raw: str) -> str:
        """The statement that maps a table of texts: row, every canonical column with its raw text, then the attributes as texts."""
        parts = ["row"]
        for column, kind in SCHEMAS[self.name].items():
            text = self._text(column)
            value = self._clock(column) if column in self.spec.clocks else self._typed(text, kind)
            parts += [f"{text} AS {quoted(RAW + column)}", f"{value} AS {quoted(column)}"]
        parts += [f"{self._clean(quoted(column))} AS {quoted(column)}" for column in self.attributes]
        kept = [f"{quoted(c)} IN ({', '.join(map(literal, values))})" for c, values in self.spec.where.items()]
        inner = f"SELECT {', '.join(parts)}, {' AND '.join(kept) or 'TRUE'} AS {RAW}kept FROM {raw}"
        # Filtered outside, so that an order clock ranks the rows that `where` leaves out too.
        return self._filled(f"SELECT * EXCLUDE {RAW}kept FROM ({inner}) WHERE {RAW}kept")

    def instant(self, column: str) -> str:
        """A column of the source read as a date: an expression over the table of texts."""
        return self._date(quoted(column))

    def _filled(self, typed: str) -> str:
        """The same with what a source may leave out: when we knew, and the direction and id of an activity."""
        replaced = []
        clock = CLOCKS.get(self.name)
        if clock:
            moment = "greatest(created_at, closed_at)" if self.name == "deals" else clock
            lag = f"to_microseconds(CAST({self.spec.lag_hours * 3_600_000_000:.0f} AS BIGINT))"
            replaced.append(f"coalesce(known_at, {moment} + {lag}) AS known_at")
        if self.name == "activities":
            # Each text behind its length, so that no two rows of different cells look the same.
            every = " || ".join(
                f"coalesce(length({r}) || ':' || {r}, '-')" for r in (quoted(RAW + c) for c in SCHEMAS[self.name] if c != "activity_id")
            )
            replaced.append(f"coalesce(activity_id, md5({every})) AS activity_id")
            replaced.append("CASE WHEN lower(direction) IN ('out', 'outbound', 'outgoing') THEN 'out' ELSE 'in' END AS direction")
        star = f"* REPLACE ({', '.join(replaced)})" if replaced else "*"
        return f"SELECT {star} FROM ({typed})"

    def _clean(self, text: str) -> str:
        missing = ", ".join(map(literal, ("", *self.spec.missing)))
        return f"CASE WHEN trim({text}) IN ({missing}) THEN NULL ELSE trim({text}) END"

    def _text(self, column: str) -> str:
        if column in self.spec.constants:
            return literal(self.spec.constants[column])
        if column in self.spec.clocks:
            return quoted(self.spec.clocks[column].column)
        sources = [self._clean(quoted(theirs)) for theirs in self.sources_of(column)]
        if not sources:
            return "CAST(NULL AS VARCHAR)"
        text = sources[0] if len(sources) == 1 else f"nullif(concat_ws(' ', {', '.join(sources)}), '')"
        values = self.spec.values.get(column)
        if not values:
            return text
        whens = " ".join(f"WHEN {text} = {literal(theirs)} THEN {literal(ours)}" for theirs, ours in values.items())
        return f"CASE {whens} ELSE {text} END"

    def _typed(self, text: str, kind: object) -> str:
        name = str(kind)
        if name.startswith("timestamp"):
            return self._date(text)
        return {
            "float64": f"coalesce({self.number(text)}, {self.number(_without_currency(text))})",
            "boolean": f"try_cast({text} AS BOOLEAN)",
            "int64": f"try_cast({text} AS BIGINT)",
        }.get(name, text)

    def number(self, text: str) -> str:
        """A text read as a number: plainly, or with thousands set apart and the company's sign before its decimals."""
        thousands, decimals = (",", r"\.") if self.spec.decimal == "." else (r"\.", ",")
        form = rf"[+-]?(\d{{1,3}}([{thousands} '’\x{{a0}}\x{{202f}}]\d{{3}})+|\d+)({decimals}\d+)?"
        bare = f"replace(regexp_replace({text}, {literal(rf'[^-+0-9{decimals}]')}, '', 'g'), {literal(self.spec.decimal)}, '.')"
        plain = f"try_cast({text} AS DOUBLE)"
        grouped = f"CASE WHEN regexp_full_match({text}, {literal(form)}) THEN try_cast({bare} AS DOUBLE) END"
        # With a decimal comma 6.600 is six thousand six hundred, whatever a machine would read.
        return f"coalesce({', '.join([plain, grouped] if self.spec.decimal == '.' else [grouped, plain])})"

    def _date(self, text: str) -> str:
        """A date with a zone is moved to UTC; one without is read in the company's zone. What `dates` understands is never read otherwise."""
        formed = [self._formed(text, form) for form in self.spec.dates]
        offset = f"regexp_replace(regexp_replace({text}, {literal(_ZULU)}, '+00'), {literal(_SPACED)}, '\\1')"
        aware = f"try_cast({offset} AS TIMESTAMPTZ) AT TIME ZONE 'UTC'"
        local = _utc(f"try_cast({text} AS TIMESTAMP)", self.zone)
        plain = f"CASE WHEN regexp_matches({text}, {literal(_AWARE)}) THEN {aware} ELSE {local} END"
        return f"coalesce({', '.join([*formed, plain])})"

    def _formed(self, text: str, form: str) -> str:
        parsed = f"try_strptime({text}, {literal(form)})"
        return f"{parsed} AT TIME ZONE 'UTC'" if _has_zone(form) else _utc(parsed, self.zone)

    def _clock(self, column: str) -> str:
        """Rows spread evenly between two dates, in the order of a column."""
        clock = self.spec.clocks[column]
        number = f"try_cast({quoted(clock.column)} AS DOUBLE)"
        order = f"CASE WHEN isfinite({number}) THEN {number} END"
        edges = [f"TIMESTAMP {literal(f'{day} 00:00:00')}" for day in (clock.first, clock.last)]
        micros = f"epoch_us({edges[1]}) - epoch_us({edges[0]})"
        shift = f"{clock.plus_days} * 86400000000"
        # Rows without an order are ranked among themselves, and lengthen nothing.
        place = f"percent_rank() OVER (PARTITION BY ({order}) IS NULL ORDER BY {order})"
        moment = f"make_timestamp(CAST(epoch_us({edges[0]}) + {place} * ({micros}) + {shift} AS BIGINT))"
        return f"CASE WHEN ({order}) IS NULL THEN NULL ELSE {moment} END"


def _without_currency(text: str) -> str:
    before, behind = literal(rf"^{_CURRENCY}\s*"), literal(rf"\s*{_CURRENCY}$")
    return f"regexp_replace(regexp_replace({text}, {before}, ''), {behind}, '')"


def _each(named: str | tuple[str, ...]) -> tuple[str, ...]:
    return (named,) if isinstance(named, str) else named


def _has_zone(form: str) -> bool:
    return "%z" in form or "%Z" in form


def _see_format(table: str, form: str) -> None:
    try:
        duckdb.execute("SELECT try_strptime('', ?)", [form])
    except duckdb.Error as error:
        raise Problem(
            f"[source.tables.{table}] dates names '{form}', which is no date format: write one such as '%d.%m.%Y %H:%M' in leadscore.toml."
        ) from error


def _utc(local: str, zone: str) -> str:
    """A local time moved to UTC: of an hour that the clocks repeat the first, like `Timeline.night`; one that they skip by the offset before.

    DuckDB takes the second of a repeated hour; that there is a first is told by the offset of the day before. What no calendar holds is no date.
    """
    held = f"t BETWEEN TIMESTAMP {literal(_FIRST)} AND TIMESTAMP {literal(_LAST)}"
    if zone == "UTC":
        return f"list_transform([{local}], lambda t: CASE WHEN {held} THEN t END)[1]"
    there = f"AT TIME ZONE {literal(zone)}"
    last, before = "make_timestamp(epoch_us(z))", "(z - INTERVAL 24 HOUR)"
    first = f"(t - (({before} {there}) - make_timestamp(epoch_us({before}))))"
    chosen = f"CASE WHEN {first} < {last} AND ({first} AT TIME ZONE 'UTC') {there} = t THEN {first} ELSE {last} END"
    # Lists of one, so that what is read is read once.
    return f"list_transform([{local}], lambda t: CASE WHEN {held} THEN list_transform([t {there}], lambda z: {chosen})[1] END)[1]"
