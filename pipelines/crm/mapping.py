"""The company's words made ours: a source table of texts becomes a canonical table of typed columns, in one SQL statement.

Beside each canonical column X stands `raw__X`, the text it was read from, so that a refusal can show what was there.
"""

from __future__ import annotations

from dataclasses import dataclass

from features.contract import CLOCKS, RAW, REQUIRED, SCHEMAS
from features.problem import Problem
from pipelines.settings import SourceTable

_AWARE = r"(Z|[+-]\d\d(:?\d\d)?)$"
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
        wanted = [*self.spec.columns.values(), *self.spec.where, *(clock.column for clock in self.spec.clocks.values())]
        for column in wanted:
            if column not in self.columns:
                raise Problem(
                    f"{self.spec.table} has no column '{column}', which [source.tables.{self.name}] names: it has {', '.join(self.columns)}. "
                    "Correct leadscore.toml."
                )
        for column in REQUIRED[self.name]:
            if not (self.source_of(column) or column in self.spec.constants or column in self.spec.clocks):
                raise Problem(
                    f"{self.spec.table} has no column '{column}': write which of its columns that is, as "
                    f'columns = {{ {column} = "..." }} under [source.tables.{self.name}] in leadscore.toml.'
                )

    def source_of(self, column: str) -> str | None:
        """The source's name of a canonical column, if it has one."""
        named = self.spec.columns.get(column)
        return named or (column if column in self.columns and column not in self.spec.ignore else None)

    @property
    def attributes(self) -> tuple[str, ...]:
        """The columns that are no canonical column: fields of the company's own."""
        taken = set(self.spec.columns.values()) | set(SCHEMAS[self.name]) | set(self.spec.ignore)
        taken |= {clock.column for clock in self.spec.clocks.values()} | set(self.spec.where)
        return tuple(column for column in self.columns if column not in taken) if self.name in _ATTRIBUTED and self.spec.attributes else ()

    @property
    def unused(self) -> tuple[str, ...]:
        """The columns of a table without attributes that map to nothing."""
        taken = set(self.spec.columns.values()) | set(SCHEMAS[self.name]) | set(self.spec.ignore)
        return () if self.name in _ATTRIBUTED else tuple(column for column in self.columns if column not in taken)

    def sql(self, raw: str) -> str:
        """The statement that maps a table of texts: row, every canonical column with its raw text, then the attributes as texts."""
        parts = ["row"]
        for column, kind in SCHEMAS[self.name].items():
            text = self._text(column)
            value = self._clock(column) if column in self.spec.clocks else self._typed(text, kind)
            parts += [f"{text} AS {quoted(RAW + column)}", f"{value} AS {quoted(column)}"]
        parts += [f"{self._clean(quoted(column))} AS {quoted(column)}" for column in self.attributes]
        kept = [f"{quoted(c)} IN ({', '.join(map(literal, values))})" for c, values in self.spec.where.items()]
        # Filtered outside, so that an order clock ranks the rows that `where` leaves out too.
        return self._filled(f"SELECT * EXCLUDE kept FROM (SELECT {', '.join(parts)}, {' AND '.join(kept) or 'TRUE'} AS kept FROM {raw}) WHERE kept")

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
            every = ", ".join(f"coalesce({quoted(RAW + c)}, '')" for c in SCHEMAS[self.name] if c != "activity_id")
            replaced.append(f"coalesce(activity_id, md5(concat_ws('|', {every}))) AS activity_id")
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
        source = self.source_of(column)
        if source is None:
            return "CAST(NULL AS VARCHAR)"
        text = self._clean(quoted(source))
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
            "float64": f"try_cast({text} AS DOUBLE)",
            "boolean": f"try_cast({text} AS BOOLEAN)",
            "int64": f"try_cast({text} AS BIGINT)",
        }.get(name, text)

    def _date(self, text: str) -> str:
        """A date with a zone is moved to UTC; one without is read in the company's zone."""
        tried = [f"try_strptime({text}, {literal(form)})" for form in self.spec.dates] + [f"try_cast({text} AS TIMESTAMP)"]
        naive = f"coalesce({', '.join(tried)})"
        local = naive if self.zone == "UTC" else f"({naive} AT TIME ZONE {literal(self.zone)}) AT TIME ZONE 'UTC'"
        aware = f"try_cast({text} AS TIMESTAMPTZ) AT TIME ZONE 'UTC'"
        return f"CASE WHEN regexp_matches({text}, {literal(_AWARE)}) AND length({text}) > 10 THEN {aware} ELSE {local} END"

    def _clock(self, column: str) -> str:
        """Rows spread evenly between two dates, in the order of a column."""
        clock = self.spec.clocks[column]
        order = f"try_cast({quoted(clock.column)} AS DOUBLE)"
        edges = [f"TIMESTAMP {literal(f'{day} 00:00:00')}" for day in (clock.first, clock.last)]
        micros = f"epoch_us({edges[1]}) - epoch_us({edges[0]})"
        shift = f"{clock.plus_days} * 86400000000"
        place = f"percent_rank() OVER (ORDER BY {order})"
        moment = f"make_timestamp(CAST(epoch_us({edges[0]}) + {place} * ({micros}) + {shift} AS BIGINT))"
        return f"CASE WHEN {order} IS NULL THEN NULL ELSE {moment} END"
