"""leadscore.toml is read once, checked, and answered in words; the environment wins where a secret or a machine is concerned."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from zoneinfo import available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from features.problem import Problem
from features.timeline import Timeline
from pipelines.outcomerules import OutcomeRules
from pipelines.settings import Company, ListRules, Settings, Source, SourceTable, Training, read_settings

ZONES = available_timezones()
TABLES = '[source.tables.leads]\ntable = "leads.csv"\n[source.tables.deals]\ntable = "deals.csv"\n'
STORY = """
[company]
name = "Café Olé"
time_zone = "Europe/Berlin"

[source]
location = "export"
extracted_at = 2025-03-01T06:00:00

[source.tables.leads]
table = "Kontakte.csv"
columns = { lead_id = "Nr." }
dates = ["%d.%m.%Y"]
missing = ["k. A."]
clocks = { created_at = { column = "Nr.", first = 2024-01-01, last = 2024-12-31, plus_days = 1.5 } }

[source.tables.deals]
table = "deals.csv"
where = { Art = ["Kauf", "Miete"] }
values = { outcome = { Ja = "won" } }
lag_hours = 12

[outcome]
horizon_days = 30
settle_days = 3
max_age_days = 180

[training]
every_days = 14

[list]
hour = 5
"""


def _file(folder: Path, text: str | bytes) -> Path:
    path = folder / "leadscore.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_file_becomes_one_object_with_everything_in_it(tmp_path: Path) -> None:
    read = read_settings(_file(tmp_path, STORY))
    assert read.company == Company(name="Café Olé", time_zone="Europe/Berlin")
    assert read.source.extracted_at == datetime(2025, 3, 1, 6)
    leads, deals = read.source.tables["leads"], read.source.tables["deals"]
    assert (leads.table, leads.columns, leads.dates, leads.missing) == ("Kontakte.csv", {"lead_id": "Nr."}, ("%d.%m.%Y",), ("k. A.",))
    clock = leads.clocks["created_at"]
    assert (clock.column, clock.first, clock.last, clock.plus_days) == ("Nr.", date(2024, 1, 1), date(2024, 12, 31), 1.5)
    assert (deals.where, deals.values, deals.lag_hours) == ({"Art": ("Kauf", "Miete")}, {"outcome": {"Ja": "won"}}, 12.0)
    assert read.timeline == Timeline(horizon_days=30, settle_days=3, max_age_days=180, every_days=14, hour=5, zone="Europe/Berlin")
    assert read.timeline.night(date(2025, 7, 1)) == datetime(2025, 7, 1, 3)


def test_what_is_not_said_has_a_default(tmp_path: Path) -> None:
    read = read_settings(_file(tmp_path, TABLES))
    assert read.company == Company(name="My company", time_zone="UTC", currency="")
    tables = {"leads": SourceTable(table="leads.csv"), "deals": SourceTable(table="deals.csv")}
    assert read.source == Source(location=".", encoding="utf-8", overlap_days=3.0, shrink_limit=0.5, tables=tables)
    assert read.outcome == OutcomeRules(
        name="first purchase",
        horizon_days=90,
        settle_days=7,
        max_age_days=365,
        closed_statuses=("disqualified", "merged", "lost", "won", "customer"),
    )
    assert read.training == Training(
        every_days=7,
        max_examples=2_000_000,
        min_conversions=100,
        folds=4,
        trials=8,
        search_minutes=5.0,
        monotone={},
        encodings=(),
        variants=(),
        recent_days=365,
        half_life_days=180,
        bags=3,
        segment_by="",
        seed=7,
    )
    assert read.list == ListRules(capacity=25, explore=0.05, hold=0.1, boost=0.5, rest_days=1.0, per_account=3, route=True, hour=2)


def test_places_are_read_from_beside_the_file_wherever_the_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LEADSCORE_WAREHOUSE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    config = _file(tmp_path, '[source]\nlocation = "../export: all"\n' + TABLES)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    for path in (config, Path("../leadscore.toml")):
        read = read_settings(path)
        assert read.source_location == str(tmp_path.parent / "export: all")
        assert read.home_folder == tmp_path / ".leadscore"
        assert read.search_file == tmp_path / ".leadscore" / "search.db"
        assert read.warehouse_url == str(tmp_path / ".leadscore" / "warehouse.duckdb")
        assert read.tracking_uri == f"sqlite:///{tmp_path / '.leadscore' / 'mlflow.db'}"


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = read_settings(_file(tmp_path, 'warehouse = "mine.duckdb"\ntracking = "http://127.0.0.1:5000"\n' + TABLES))
    for name in ("LEADSCORE_WAREHOUSE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    assert (read.warehouse_url, read.tracking_uri) == ("mine.duckdb", "http://127.0.0.1:5000")
    monkeypatch.setenv("LEADSCORE_WAREHOUSE", "/data/w.duckdb")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////data/m.db")
    assert (read.warehouse_url, read.tracking_uri) == ("/data/w.duckdb", "sqlite:////data/m.db")


def test_a_url_with_a_password_stays_out_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = read_settings(_file(tmp_path, '[source]\nlocation = "env:CRM_URL"\n' + TABLES))
    monkeypatch.delenv("CRM_URL", raising=False)
    with pytest.raises(Problem, match=r"^\[source\] location names the environment variable CRM_URL, which is not set: export it and run again\.$"):
        _ = read.source_location
    monkeypatch.setenv("CRM_URL", "postgresql://ann:secret@127.0.0.1/crm")
    assert read.source_location == "postgresql://ann:secret@127.0.0.1/crm"
    assert "secret" not in repr(read)
    monkeypatch.setenv("CRM_URL", "export")
    assert read.source_location == str(tmp_path / "export")


WRONG = [
    ("[company\n", r"is not valid TOML: .*\(at line 1, column 9\)\. Correct that line and run `leadscore check`\."),
    ('[company]\nname = "Caf\xe9"\n'.encode("cp1252"), "is not valid TOML: .*utf-8"),
    ("", "source: Field required"),
    ('[source.tables.leads]\ntable = "l.csv"\n', r"\[source.tables.deals\] is missing: without deals there is nothing to learn"),
    ("[source.tables]\n", r"\[source.tables.leads\] is missing: without leads and deals there is nothing to learn"),
    (TABLES + "[outcom]\nhorizon_days = 30\n", "'outcom' is not a setting that leadscore knows"),
    (TABLES + 'colums = { lead_id = "x" }\n', "'source.tables.deals.colums' is not a setting that leadscore knows"),
    (TABLES + '[source.tables.lead]\ntable = "x"\n', "source.tables.lead.*'leads', 'lead_changes', 'activities', 'deals', 'accounts' or 'owners'"),
    (TABLES + '[company]\ntime_zone = "Berlin"\n', "company.time_zone: 'Berlin' is no IANA time zone such as 'Europe/Berlin'"),
    (TABLES + "[outcome]\nhorizon_days = 0\n", "outcome.horizon_days: Input should be greater than or equal to 1"),
    (TABLES + "[outcome]\nhorizon_days = 0\nsettle_days = -1\n", r"outcome.horizon_days: .* 1; outcome.settle_days: .* 0\. Correct"),
    (TABLES + "[outcome]\nhorizon_days = 1.5\n", "outcome.horizon_days: a whole number is wanted"),
    (TABLES + "[list]\nhour = 24\n", "list.hour: Input should be less than or equal to 23"),
    (TABLES + "[list]\nexplore = 1.5\n", "list.explore: Input should be less than or equal to 1"),
    (TABLES + "[training]\nsearch_minutes = 0\n", "training.search_minutes: Input should be greater than 0"),
    (TABLES + '[training]\nencodings = ["words"]\n', "training.encodings.0: Input should be 'native', 'target', 'hashed' or 'topics'"),
    (TABLES + '[training]\nvariants = ["newest"]\n', "training.variants.0: Input should be 'recent', 'fading' or 'timeless'"),
    (TABLES + "[training]\nhalf_life_days = 0\n", "training.half_life_days: Input should be greater than or equal to 1"),
    (TABLES + "[training]\nbags = 0\n", "training.bags: Input should be greater than or equal to 1"),
    (TABLES + '[training]\nmonotone = { employees = "more" }\n', "training.monotone.employees: Input should be 'up' or 'down'"),
    (TABLES + "lag_hours = nan\n", "source.tables.deals.lag_hours: Input should be a finite number"),
    (TABLES + "lag_hours = inf\n", "source.tables.deals.lag_hours: Input should be a finite number"),
    (TABLES + "lag_hours = 876001\n", "source.tables.deals.lag_hours: Input should be less than or equal to 876000"),
    (TABLES + "[source]\noverlap_days = inf\n", "source.overlap_days: Input should be a finite number"),
    (TABLES + "[outcome]\nhorizon_days = 99999999999\n", "outcome.horizon_days: Input should be less than or equal to 36500"),
    (TABLES + "[outcome]\nsettle_days = 36501\n", "outcome.settle_days: Input should be less than or equal to 36500"),
    (TABLES + "[outcome]\nmax_age_days = 36501\n", "outcome.max_age_days: Input should be less than or equal to 36500"),
    (TABLES + "[training]\nevery_days = 36501\n", "training.every_days: Input should be less than or equal to 36500"),
    (
        TABLES + 'clocks = { known_at = { column = "n", first = 2025-01-01, last = 2025-02-01, plus_days = nan } }\n',
        "plus_days: Input should be a finite",
    ),
    (
        TABLES + 'clocks = { known_at = { column = "n", first = 2025-02-01, last = 2025-01-01 } }\n',
        "source.tables.deals.clocks.known_at: first is 2025-02-01, which is after last, 2025-01-01",
    ),
    (TABLES + "where = { Art = [] }\n", "source.tables.deals.where: 'Art' has no value, so that no row would be read"),
    ('folder = "x"\n' + TABLES, "'folder' is not a setting that leadscore knows"),
    (TABLES + '[list]\nlink = "x"\n', "'list.link' is not a setting that leadscore knows"),
    (TABLES + 'where = { Art = "Kauf" }\n', "source.tables.deals.where.Art: "),
]


@pytest.mark.parametrize(("text", "sentence"), WRONG)
def test_what_cannot_be_used_is_said_in_words_and_with_its_place(tmp_path: Path, text: str | bytes, sentence: str) -> None:
    path = _file(tmp_path, text)
    with pytest.raises(Problem, match=sentence) as said:
        read_settings(path)
    assert str(said.value).startswith(str(path))
    assert "\n" not in str(said.value)


def test_a_file_saved_by_notepad_is_read(tmp_path: Path) -> None:
    assert read_settings(_file(tmp_path, b"\xef\xbb\xbf" + TABLES.encode())) == read_settings(_file(tmp_path, TABLES))


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2025-05-01T00:00:00+02:00", datetime(2025, 4, 30, 22)),
        ("2025-05-01T00:00:00Z", datetime(2025, 5, 1)),
        ("2025-05-01T00:00:00", datetime(2025, 5, 1)),
    ],
)
def test_the_instant_of_extraction_is_kept_in_utc(tmp_path: Path, text: str, instant: datetime) -> None:
    assert read_settings(_file(tmp_path, f"[source]\nextracted_at = {text}\n" + TABLES)).source.extracted_at == instant


def test_an_order_clock_may_stand_still(tmp_path: Path) -> None:
    read = read_settings(_file(tmp_path, TABLES + 'clocks = { known_at = { column = "n", first = 2025-01-01, last = 2025-01-01 } }\n'))
    assert read.source.tables["deals"].clocks["known_at"].first == date(2025, 1, 1)


def test_a_missing_file_says_how_to_write_one(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.toml", tmp_path):
        with pytest.raises(Problem) as said:
            read_settings(path)
        assert str(said.value) == f"There is no {path}: run `leadscore init --from DIR` to write one, or name yours with --config."


def test_settings_never_change(tmp_path: Path) -> None:
    read = read_settings(_file(tmp_path, TABLES))
    with pytest.raises(ValidationError, match="frozen"):
        read.home = Path("elsewhere")
    with pytest.raises(ValidationError, match="frozen"):
        read.outcome.horizon_days = 1


@settings(max_examples=20, deadline=None)
@given(zone=st.sampled_from(sorted(ZONES)))
def test_every_zone_that_the_machine_knows_can_be_the_companys(zone: str) -> None:
    tables = {"leads": SourceTable(table="l.csv"), "deals": SourceTable(table="d.csv")}
    assert Settings(company=Company(time_zone=zone), source=Source(tables=tables)).timeline.zone == zone


@settings(max_examples=20, deadline=None)
@given(zone=st.text().filter(lambda text: text not in ZONES))
def test_no_other_text_is_a_zone(zone: str) -> None:
    with pytest.raises(ValidationError, match="is no IANA time zone"):
        Company(time_zone=zone)
