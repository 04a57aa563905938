"""The company's words made ours: names, values, dates in any clock, and what a source leaves out."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.contract import SCHEMAS
from features.problem import Problem
from features.timeline import Timeline
from pipelines.crm.mapping import Mapping
from pipelines.settings import SourceTable

Cells = dict[str, list[str | None]]


def _mapped(table: str, cells: Cells, zone: str = "UTC", **spec: Any) -> list[dict[str, Any]]:
    """The rows that a table of texts becomes, in the order of the source."""
    mapping = Mapping(table, SourceTable(table="t.csv", **spec), tuple(cells), zone)
    rows = len(next(iter(cells.values())))
    with duckdb.connect() as connection:
        texts = {column: pa.array(values, pa.string()) for column, values in cells.items()}
        connection.register("raw_rows", pa.table({"row": pa.array(range(1, rows + 1), pa.int64()), **texts}))
        found = connection.sql(f"SELECT * FROM ({mapping.sql('raw_rows')}) ORDER BY row")
        return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def _one(table: str, cells: dict[str, str | None], zone: str = "UTC", **spec: Any) -> dict[str, Any]:
    (row,) = _mapped(table, {column: [value] for column, value in cells.items()}, zone, **spec)
    return row


def _created(*texts: str, zone: str = "UTC", **spec: Any) -> list[datetime | None]:
    rows = _mapped("leads", {"lead_id": ["L1"] * len(texts), "created_at": list(texts)}, zone, **spec)
    assert [row["raw__created_at"] for row in rows] == list(texts)
    return [row["created_at"] for row in rows]


def test_columns_get_our_names_and_keep_what_was_there_beside() -> None:
    row = _one("leads", {"Nr.": " 7 ", "Angelegt": "2025-01-02", "Ort": "Köln", "Größe": "12"}, columns={"lead_id": "Nr.", "created_at": "Angelegt"})
    assert (row["lead_id"], row["created_at"]) == ("7", datetime(2025, 1, 2))
    assert (row["raw__lead_id"], row["raw__created_at"]) == ("7", "2025-01-02")
    # What the company has beside that stays under its own name, as text.
    assert (row["Ort"], row["Größe"]) == ("Köln", "12")
    # What the source does not have is missing.
    assert (row["owner_id"], row["unsubscribed"]) == (None, None)
    assert [column for column in row if column in SCHEMAS["leads"]] == list(SCHEMAS["leads"])


def test_hostile_names_and_values_are_only_names_and_values() -> None:
    hostile = "x\"; DROP TABLE leads; --'\n"
    row = _one(
        "leads", {hostile: "O'Hara", "created_at": "2025-01-01", hostile + "2": '"'}, columns={"lead_id": hostile}, missing=[hostile], ignore=["x'"]
    )
    assert (row["lead_id"], row[hostile + "2"]) == ("O'Hara", '"')
    row = _one(
        "deals", {"deal_id": "D1", "lead_id": "L1", "created_at": "2025-01-01", "outcome": hostile}, values={"outcome": {hostile.strip(): "won"}}
    )
    assert row["outcome"] == hostile.strip(" ")


def test_a_column_that_is_needed_and_nowhere_is_a_problem_with_its_cure() -> None:
    with pytest.raises(Problem) as said:
        Mapping("leads", SourceTable(table="t.csv"), ("Nr.", "created_at"), "UTC")
    assert str(said.value) == (
        "t.csv has no column 'lead_id': write which of its columns that is, as "
        'columns = { lead_id = "..." } under [source.tables.leads] in leadscore.toml.'
    )
    clock = {"created_at": {"column": "Nr", "first": "2024-01-01", "last": "2024-12-31"}}
    for wrong in ({"columns": {"name": "Nr"}}, {"where": {"Nr": ["1"]}}, {"clocks": clock}):
        with pytest.raises(
            Problem,
            match=r"^t\.csv has no column 'Nr', which \[source\.tables\.leads\] names: it has lead_id, created_at\. Correct leadscore\.toml\.$",
        ):
            Mapping("leads", SourceTable(table="t.csv", **wrong), ("lead_id", "created_at"), "UTC")


@pytest.mark.parametrize(
    ("decimal", "text", "amount"),
    [
        *(
            (".", text, 6600.5)
            for text in ("6600.5", "6,600.50", "$6,600.50", "USD 6600.50", "6,600.50 €", "6 600.50", "6'600.50", "6\u202f600.50 kr")
        ),
        *((",", text, 6600.5) for text in ("6600,5", "6.600,50", "6.600,50 €", "EUR 6.600,50", "6 600,50", "6\u00a0600,50", "CHF 6'600,50")),
        (".", "6.600", 6.6),
        (",", "6.600", 6600.0),
        (",", "6600.55", 6600.55),
        (".", "1,234,567", 1234567.0),
        (".", "-1,200", -1200.0),
        (".", "6e3", 6000.0),
        *((decimal, text, None) for decimal in ".," for text in ("six thousand", "6,60,0.5", "L6600", "6600-6700", "6..600", "EUR", "6600 pieces")),
        (".", "6.600,50", None),
        (",", "6,600.50", None),
    ],
)
def test_an_amount_is_read_as_people_write_it(decimal: str, text: str, amount: float | None) -> None:
    deal = {"deal_id": "D1", "lead_id": "L1", "created_at": "2025-01-01", "outcome": "won", "amount": text}
    assert _one("deals", deal, decimal=decimal)["amount"] == amount


def test_several_columns_are_joined_by_a_space() -> None:
    row = {"lead_id": "L1", "created_at": "2025-01-01", "First": " Eva ", "Last": "Rossi"}
    both = {"columns": {"name": ["First", "Last"]}}
    assert _one("leads", row, **both)["name"] == "Eva Rossi"
    assert _one("leads", {**row, "First": ""}, **both)["name"] == "Rossi"
    assert _one("leads", {**row, "First": "", "Last": None}, **both)["name"] is None
    mapping = Mapping("leads", SourceTable(table="t.csv", **both), tuple(row), "UTC")
    assert (mapping.sources_of("name"), mapping.attributes, mapping.unused) == (("First", "Last"), (), ())


def test_a_name_that_differs_from_ours_only_in_case_is_ours() -> None:
    row = _one("leads", {"LEAD_ID": "L1", "Created_At": "2025-01-02", "Status": "new", "eMail": "a@b.c", "City": "Bonn"})
    assert (row["lead_id"], row["created_at"], row["status"], row["email"], row["City"]) == ("L1", datetime(2025, 1, 2), "new", "a@b.c", "Bonn")
    # What leadscore.toml says comes first: a column that is mapped is not another of ours by its name too.
    columns = ("lead_id", "created_at", "Name", "Company", "Stufe", "Status")
    mapping = Mapping("leads", SourceTable(table="t.csv", columns={"name": "Company", "status": "Stufe"}), columns, "UTC")
    assert (mapping.sources_of("name"), mapping.sources_of("company"), mapping.sources_of("status")) == (("Company",), (), ("Stufe",))
    # Beside our own name there is no place for theirs: that is said.
    assert (mapping.attributes, mapping.unused) == ((), ("Name", "Status"))
    assert Mapping("leads", SourceTable(table="t.csv", ignore=("Status",)), ("lead_id", "created_at", "Status"), "UTC").sources_of("status") == ()


@pytest.mark.parametrize(
    ("column", "sentence"),
    [
        ("row", "t.csv has a column 'row', a name that leadscore uses itself: "),
        ("Raw__x", "t.csv has a column 'Raw__x', a name that leadscore uses itself: "),
        ("lead_id", "t.csv has two columns 'lead_id', which cannot be told apart: "),
        ("Lead_ID", "t.csv has the columns 'lead_id' and 'Lead_ID', which cannot be told apart: "),
        ("", "t.csv has a column without a name: "),
        ("x\0y", "t.csv has a column whose name holds a NUL byte: "),
    ],
)
def test_columns_that_cannot_be_told_apart_are_a_problem_with_its_cure(column: str, sentence: str) -> None:
    with pytest.raises(Problem) as said:
        Mapping("leads", SourceTable(table="t.csv"), ("lead_id", "created_at", column), "UTC")
    assert str(said.value).startswith(sentence)
    assert str(said.value).endswith("in the table or in a view of it.")


def test_a_column_that_filters_orders_or_tells_what_is_new_is_not_called_unused() -> None:
    clocks = {"known_at": {"column": "Folge", "first": "2024-01-01", "last": "2024-12-31"}}
    spec: dict[str, Any] = {"table": "t.csv", "where": {"Art": ["1"]}, "clocks": clocks, "cursor": "changed", "ignore": ["geheim"]}
    columns = ("lead_id", "kind", "occurred_at", "Art", "Folge", "changed", "geheim", "Ort", "nameless column 9")
    assert Mapping("activities", SourceTable(**spec), columns, "UTC").unused == ("Ort", "nameless column 9")
    leads = Mapping("leads", SourceTable(table="t.csv"), ("lead_id", "created_at", "Ort", "nameless column 4"), "UTC")
    assert (leads.attributes, leads.unused) == (("Ort",), ("nameless column 4",))


def test_what_is_mapped_ignored_or_filtered_by_is_no_field_of_the_companys() -> None:
    columns = ("Nr", "created_at", "status", "Ort", "geheim", "Art", "Folge")
    clocks = {"known_at": {"column": "Folge", "first": "2024-01-01", "last": "2024-12-31"}}
    spec: dict[str, Any] = {"table": "t.csv", "columns": {"lead_id": "Nr"}, "ignore": ["geheim"], "where": {"Art": ["1"]}, "clocks": clocks}
    assert Mapping("leads", SourceTable(**spec), columns, "UTC").attributes == ("Ort",)
    assert Mapping("leads", SourceTable(**spec, attributes=False), columns, "UTC").attributes == ()
    changes = Mapping("lead_changes", SourceTable(table="t.csv"), ("lead_id", "field", "changed_at", "note"), "UTC")
    assert (changes.attributes, changes.unused) == ((), ("note",))


def test_an_ignored_column_is_not_read_under_our_name_either() -> None:
    assert _one("leads", {"lead_id": "L1", "created_at": "2025-01-01", "status": "won"}, ignore=["status"])["status"] is None


def test_values_constants_and_missing_texts() -> None:
    cells: Cells = {
        "deal_id": ["1", "2", "3", "4"],
        "lead_id": ["L"] * 4,
        "Stand": ["Gewonnen", " Verloren", "offen", "k. A."],
        "amount": ["5", "-", "", "k. A."],
    }
    rows = _mapped(
        "deals",
        cells,
        columns={"outcome": "Stand"},
        values={"outcome": {"Gewonnen": "won", "Verloren": "lost"}},
        constants={"created_at": "2025-02-03", "stage": "O'End"},
        missing=["k. A.", "-"],
    )
    assert [row["outcome"] for row in rows] == ["won", "lost", "offen", None]
    assert [row["amount"] for row in rows] == [5.0, None, None, None]
    assert {(row["created_at"], row["stage"]) for row in rows} == {(datetime(2025, 2, 3), "O'End")}


def test_only_rows_with_the_wanted_values_are_read() -> None:
    cells: Cells = {"lead_id": ["a", "b", "c", "d"], "created_at": ["2025-01-01"] * 4, "Art": ["1", "2", "3", None], "Land": ["DE", "DE", "FR", "DE"]}
    assert [row["lead_id"] for row in _mapped("leads", cells, where={"Art": ["1", "3"]})] == ["a", "c"]
    assert [row["lead_id"] for row in _mapped("leads", cells, where={"Art": ["1", "3"], "Land": ["DE"]})] == ["a"]


def test_numbers_and_flags_are_read_where_they_can_be() -> None:
    cells: Cells = {"lead_id": ["a"] * 4, "created_at": ["2025-01-01"] * 4, "unsubscribed": ["true", "F", "1", "maybe"]}
    assert [row["unsubscribed"] for row in _mapped("leads", cells)] == [True, False, True, None]
    cells = {"owner_id": ["a"] * 3, "capacity": ["25", "many", None]}
    assert [row["capacity"] for row in _mapped("owners", cells)] == [25, None, None]


def test_each_date_is_read_by_the_first_format_that_fits() -> None:
    told = _created("31.01.2025", "02/03/2025", "2025-01-02", "2025-01-02T03:04:05.5", "soon", dates=["%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y"])
    assert told == [datetime(2025, 1, 31), datetime(2025, 2, 3), datetime(2025, 1, 2), datetime(2025, 1, 2, 3, 4, 5, 500_000), None]
    assert _created("13/03/2025", "02/03/2025", dates=["%m/%d/%Y", "%d/%m/%Y"]) == [datetime(2025, 3, 13), datetime(2025, 2, 3)]
    assert _created("05-03-2025 17:30", "05-03-2025", dates=["%d-%m-%Y %H:%M", "%d-%m-%Y"]) == [datetime(2025, 3, 5, 17, 30), datetime(2025, 3, 5)]


def test_a_date_with_a_zone_is_moved_to_utc_whatever_the_companys() -> None:
    texts = ["2025-07-01T10:00:00Z", "2025-07-01 10:00:00+02:00", "2025-07-01T10:00:00.000+0000", "2025-07-01T10:00:00-03"]
    utc = [datetime(2025, 7, 1, hour) for hour in (10, 8, 10, 13)]
    for zone in ("UTC", "Asia/Tokyo"):
        assert _created(*texts, zone=zone, dates=["%d.%m.%Y"]) == utc


def test_a_date_that_says_its_zone_in_words_is_believed() -> None:
    texts = [
        "2025-07-01 10:00:00 UTC",
        "2025-07-01 10:00 GMT",
        "2025-07-01T10:00:00z",
        "2025-07-01 10:00:00 +02:00",
        "2025-07-01 10:00 Europe/Berlin",
    ]
    utc = [datetime(2025, 7, 1, hour) for hour in (10, 10, 10, 8, 8)]
    for zone in ("UTC", "Asia/Tokyo"):
        assert _created(*texts, zone=zone) == utc
        # What stands behind a time and is not understood is never left out.
        assert _created("2025-07-01 10:00 PM", "2025-07-01 10:00 Uhr", "2025-07-01 10:00 Nowhere/City", zone=zone) == [None] * 3


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("05-Mar-2025", "%d-%b-%Y"),
        ("5-March-2025", "%d-%B-%Y"),
        ("10:00 05-03-25", "%H:%M %d-%m-%y"),
    ],
)
def test_a_format_that_ends_in_a_year_is_not_taken_for_a_zone(text: str, form: str) -> None:
    (told,) = _created(text, dates=[form])
    assert told is not None
    assert told.date() == date(2025, 3, 5)


def test_a_format_may_hold_the_zone_itself() -> None:
    told = _created("01.07.2025 10:00 +0200", "01.07.2025 10:00 CET", zone="Asia/Tokyo", dates=["%d.%m.%Y %H:%M %z", "%d.%m.%Y %H:%M %Z"])
    assert told == [datetime(2025, 7, 1, 8), datetime(2025, 7, 1, 8)]


def test_what_no_calendar_holds_is_no_date() -> None:
    for zone in ("UTC", "Europe/Berlin"):
        assert _created("infinity", "-infinity", "290000-01-01", "2025-01-01 (BC)", zone=zone) == [None] * 4


@pytest.mark.parametrize("form", ["%Q", ""])
def test_a_date_format_that_does_not_exist_is_a_problem(form: str) -> None:
    with pytest.raises(Problem) as said:
        _created("2025-01-01", dates=["%d.%m.%Y", form])
    assert str(said.value) == (
        f"[source.tables.leads] dates names '{form}', which is no date format: write one such as '%d.%m.%Y %H:%M' in leadscore.toml."
    )


def test_a_date_without_a_zone_is_read_in_the_companys_summer_and_winter() -> None:
    assert _created("2025-01-15 12:00", "2025-07-15 12:00", zone="Europe/Berlin") == [datetime(2025, 1, 15, 11), datetime(2025, 7, 15, 10)]
    assert _created("15.07.2025", zone="America/Sao_Paulo", dates=["%d.%m.%Y"]) == [datetime(2025, 7, 15, 3)]
    # At two the clocks of Berlin spring to three: the skipped half past two is what the old offset makes of it.
    spring = _created("2025-03-30 01:59:59", "2025-03-30 02:30:00", "2025-03-30 03:00:00", zone="Europe/Berlin")
    assert spring == [datetime(2025, 3, 30, 0, 59, 59), datetime(2025, 3, 30, 1, 30), datetime(2025, 3, 30, 1)]


@settings(max_examples=30, deadline=None)
@given(
    moment=st.datetimes(datetime(1990, 1, 1), datetime(2035, 1, 1)),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Sao_Paulo", "Pacific/Apia"]),
)
def test_every_local_hour_is_the_instant_that_the_zones_own_clocks_say(moment: datetime, zone: str) -> None:
    local = moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    (told,) = _created(local.isoformat(sep=" "), zone=zone)
    # An hour that the clocks repeat is two instants: the first is taken.
    assert told == local.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC).replace(tzinfo=None)
    assert told <= moment


@pytest.mark.parametrize(
    ("zone", "day", "hour"),
    [("Europe/Berlin", date(2025, 10, 26), 2), ("Europe/Berlin", date(2025, 3, 30), 2), ("America/New_York", date(2025, 11, 2), 1)],
)
def test_an_hour_that_the_clocks_repeat_or_skip_is_the_one_of_the_nightly_run(zone: str, day: date, hour: int) -> None:
    (told,) = _created(f"{day} {hour:02}:00", zone=zone)
    assert told == Timeline(hour=hour, zone=zone).night(day)


def test_the_hours_around_a_change_of_the_clocks_each_have_one_instant() -> None:
    texts = ["2025-10-26 01:59:59", "2025-10-26 02:00:00", "2025-10-26 02:59:59", "2025-10-26 03:00:00", "2025-10-26 23:00:00"]
    told = [(25, 23, 59, 59), (26, 0, 0, 0), (26, 0, 59, 59), (26, 2, 0, 0), (26, 22, 0, 0)]
    assert _created(*texts, zone="Europe/Berlin") == [datetime(2025, 10, *one) for one in told]
    assert _created(*texts, zone="Europe/Berlin", dates=["%Y-%m-%d %H:%M:%S"]) == [datetime(2025, 10, *one) for one in told]


def test_an_order_stands_in_for_dates() -> None:
    clock = {"created_at": {"column": "Nr", "first": "2025-01-01", "last": "2025-01-31", "plus_days": 0.5}}
    rows = _mapped("leads", {"lead_id": list("abcd"), "Nr": ["40", "7", "700", "100"]}, clocks=clock)
    half = timedelta(days=0.5)
    expected = {"b": datetime(2025, 1, 1), "a": datetime(2025, 1, 11), "d": datetime(2025, 1, 21), "c": datetime(2025, 1, 31)}
    assert {row["lead_id"]: row["created_at"] - half for row in rows} == expected
    assert {row["raw__created_at"] for row in rows} == {"40", "7", "700", "100"}
    # Rows that `where` leaves out hold their place, so that a deal falls on the day of its lead.
    (kept,) = _mapped("leads", {"lead_id": list("abcd"), "Nr": ["40", "7", "700", "100"]}, clocks=clock, where={"lead_id": ["d"]})
    assert kept["created_at"] - half == datetime(2025, 1, 21)


def test_rows_without_an_order_do_not_shorten_the_clock() -> None:
    clock = {"created_at": {"column": "n", "first": "2025-01-01", "last": "2025-02-01"}}
    rows = _mapped("leads", {"lead_id": list("abcdef"), "n": ["1", None, "2", "x", "inf", "nan"]}, clocks=clock)
    assert [row["created_at"] for row in rows] == [datetime(2025, 1, 1), None, datetime(2025, 2, 1), None, None, None]


@settings(max_examples=15, deadline=None)
@given(order=st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=12, unique=True), width=st.integers(0, 800))
def test_spread_rows_keep_their_order_and_their_distance(order: list[int], width: int) -> None:
    first, last = datetime(2024, 1, 1), datetime(2024, 1, 1) + timedelta(days=width)
    clock = {"created_at": {"column": "Nr", "first": f"{first:%Y-%m-%d}", "last": f"{last:%Y-%m-%d}"}}
    rows = _mapped("leads", {"lead_id": [str(n) for n in order], "Nr": [str(n) for n in order]}, clocks=clock)
    places = {n: place for place, n in enumerate(sorted(order))}
    for n, row in zip(order, rows, strict=True):
        expected = first + timedelta(days=width) * places[n] / max(len(order) - 1, 1)
        assert abs(row["created_at"] - expected) <= timedelta(microseconds=1)


def test_when_we_knew_is_what_the_source_says_or_some_hours_later() -> None:
    lead = {"lead_id": "L1", "created_at": "2025-01-01"}
    assert _one("leads", lead)["known_at"] == datetime(2025, 1, 1)
    assert _one("leads", lead, lag_hours=36.5)["known_at"] == datetime(2025, 1, 2, 12, 30)
    assert _one("leads", {**lead, "known_at": "2025-02-01"}, lag_hours=36.5)["known_at"] == datetime(2025, 2, 1)
    # A deal is known in its present state only once it is closed.
    deal = {"deal_id": "D", "lead_id": "L1", "created_at": "2025-01-01", "outcome": "won", "closed_at": "2025-03-01"}
    assert _one("deals", deal, lag_hours=24)["known_at"] == datetime(2025, 3, 2)
    assert _one("deals", {**deal, "closed_at": None}, lag_hours=24)["known_at"] == datetime(2025, 1, 2)


def test_an_activity_without_an_id_gets_one_that_is_the_same_tomorrow() -> None:
    cells: Cells = {"lead_id": ["L1", "L1", "L2", "L1"], "kind": ["open", "open", "open", "call"], "occurred_at": ["2025-01-01"] * 4}
    ids = [row["activity_id"] for row in _mapped("activities", cells)]
    assert len(set(ids)) == 3
    assert ids[0] == ids[1]
    assert [row["activity_id"] for row in _mapped("activities", {name: values[::-1] for name, values in cells.items()})] == ids[::-1]
    assert _one("activities", {"activity_id": "A7", "lead_id": "L1", "kind": "open", "occurred_at": "2025-01-01"})["activity_id"] == "A7"


@pytest.mark.parametrize(
    ("one", "other"), [(("a|b", "c"), ("a", "b|c")), (("1:a", ""), ("", "1:a")), ((None, "x"), ("x", None)), (("-", "x"), (None, "x"))]
)
def test_activities_that_differ_get_ids_that_differ(one: tuple[str | None, str | None], other: tuple[str | None, str | None]) -> None:
    cells: Cells = {"lead_id": ["L1"] * 2, "kind": ["open"] * 2, "occurred_at": ["2025-01-01"] * 2}
    rows = _mapped("activities", {**cells, "channel": [one[0], other[0]], "campaign": [one[1], other[1]]})
    assert rows[0]["activity_id"] != rows[1]["activity_id"]


def test_what_is_not_said_to_go_out_came_in() -> None:
    theirs: list[str | None] = ["out", "Outbound", " OUTGOING ", "raus", "in", "Inbound", "rein", "", None]
    cells: Cells = {"lead_id": ["L1"] * 9, "kind": ["call"] * 9, "occurred_at": ["2025-01-01"] * 9, "direction": theirs}
    told = [row["direction"] for row in _mapped("activities", cells, values={"direction": {"raus": "out"}})]
    assert told == ["out"] * 4 + ["in"] * 5
    del cells["direction"]
    assert {row["direction"] for row in _mapped("activities", cells)} == {"in"}
