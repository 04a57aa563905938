"""The whole company has the rates it promises, the same bytes for the same seed, and never more than a block in memory."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tomllib
from collections import Counter
from datetime import date, datetime
from pathlib import Path

import pandas as pd
import pytest

from features.problem import Problem
from pipelines.crm.simulator import TRUTH, Counts, simulate, truth
from pipelines.crm.simulator.chain import first_intent, win_chances
from pipelines.crm.simulator.parameters import SOURCES, World
from pipelines.crm.simulator.people import draw_people

TABLES = ("leads", "lead_changes", "activities", "deals", "accounts", "owners")
LEADS = 5_000


@pytest.fixture(scope="module")
def drifting(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Counts]:
    folder = tmp_path_factory.mktemp("drifting")
    return folder, simulate(folder, leads=LEADS, seed=41)


def _cohort(folder: Path) -> pd.DataFrame:
    """Every true lead, whether it was won within 90 days of its creation, and whether the history is long enough to tell."""
    leads = pd.read_parquet(folder / "leads.parquet").dropna(subset="created_at").drop_duplicates("lead_id").set_index("lead_id")
    deals = pd.read_parquet(folder / "deals.parquet")
    won = deals[(deals["outcome"] == "won") & deals["closed_at"].notna() & (deals["amount"] > 0)].drop_duplicates("lead_id")
    created = pd.to_datetime(leads["created_at"])
    closed = pd.to_datetime(won.set_index("lead_id")["closed_at"]).reindex(leads.index)
    converted = closed - created < pd.Timedelta(days=90)
    return leads.assign(created=created, converted=converted, ripe=created < datetime(2025, 10, 1))


def _hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_few_percent_to_a_quarter_convert_within_90_days_by_source(drifting: tuple[Path, Counts]) -> None:
    leads = _cohort(drifting[0])
    ripe = leads[leads["ripe"]]
    rates = ripe.groupby("source")["converted"].mean().sort_values()
    assert len(rates) == 8
    assert rates.index[-1] == "referral"
    assert 0.01 < rates.iloc[0] < 0.05
    assert 0.18 < rates.iloc[-1] < 0.30
    assert 0.06 < ripe["converted"].mean() < 0.15


def test_a_lead_has_some_tens_of_activities(drifting: tuple[Path, Counts]) -> None:
    deeds = pd.read_parquet(drifting[0] / "activities.parquet", columns=["lead_id", "kind"])
    each = deeds.groupby("lead_id").size()
    assert 20 < len(deeds) / LEADS < 45
    assert 10 < each.median() < 30
    assert each.quantile(0.95) < 120
    assert set(deeds["kind"]) == {"page_view", "email_open", "email_click", "form", "webinar", "reply", "meeting", "call", "email"}


def _half_years(drift: float) -> tuple[list[float], list[float]]:
    """The exact chance to be won within 90 days of arrival, and the share of paid social, in each half year."""
    people = draw_people(World(leads=LEADS, seed=41, drift=drift), 0, 0, LEADS)
    chance = (first_intent(people.appeal) * win_chances(people.appeal, 90)[:, 0]).sum(axis=1)
    halves = [people.arrival // 183 == half for half in range(4)]
    return [chance[half].mean() for half in halves], [(people.source[half] == 6).mean() for half in halves]


def test_base_rate_and_mix_move_over_two_years_with_drift() -> None:
    rate, social = _half_years(drift=1.0)
    assert rate[3] < 0.8 * rate[0]
    assert 0.12 < social[0] < 0.18 < social[3] < 0.24


def test_without_drift_the_mix_stays_and_the_base_rate_only_wobbles_with_the_campaigns() -> None:
    rate, social = _half_years(drift=0.0)
    assert 0.85 < rate[3] / rate[0] < 1.15
    assert all(0.12 < share < 0.16 for share in social)
    # What drift does is more than campaigns do.
    moved, _ = _half_years(drift=1.0)
    assert moved[3] / moved[0] < 0.75 * rate[3] / rate[0]


def test_the_files_are_of_the_world_that_was_asked_for(tmp_path: Path) -> None:
    simulate(tmp_path, leads=200, seed=5, days=90, first_day=date(2022, 3, 1), drift=0.0)
    leads = pd.read_parquet(tmp_path / "leads.parquet").dropna(subset="created_at").drop_duplicates()
    people = draw_people(World(200, 5, 90, date(2022, 3, 1), drift=0.0), 0, 0, 200)
    assert leads["source"].tolist() == [SOURCES[one] for one in people.source]
    days = (pd.to_datetime(leads["created_at"]) - pd.Timestamp(2022, 3, 1)).dt.days
    assert days.tolist() == people.arrival.tolist()
    assert tomllib.loads((tmp_path / "leadscore.toml").read_text(encoding="utf-8"))["source"]["extracted_at"] == datetime(2022, 5, 30)


def test_the_counts_are_those_of_the_files(drifting: tuple[Path, Counts]) -> None:
    folder, counts = drifting
    rows = {name: len(pd.read_parquet(folder / f"{name}.parquet")) for name in TABLES}
    assert (rows["leads"], rows["activities"], rows["deals"]) == (counts.leads, counts.activities, counts.deals)
    assert counts.leads == LEADS + counts.mess["leads: doubled"] + counts.mess["leads: no creation date"]
    assert (counts.mess["leads: doubled"], counts.mess["leads: no creation date"]) == (10, 2)
    assert rows["owners"] == 24


def test_the_configuration_names_the_files_and_the_midnight_after_the_history(drifting: tuple[Path, Counts]) -> None:
    configured = tomllib.loads((drifting[0] / "leadscore.toml").read_text(encoding="utf-8"))
    tables = configured["source"]["tables"]
    assert {name: table["table"] for name, table in tables.items()} == {name: f"{name}.parquet" for name in TABLES}
    assert all((drifting[0] / table["table"]).is_file() for table in tables.values())
    assert configured["source"]["extracted_at"] == datetime(2025, 12, 31)


def test_the_same_seed_writes_the_same_bytes_and_another_seed_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Three blocks, the last of them not full.
    monkeypatch.setattr("pipelines.crm.simulator.world.BLOCK", 250)
    for name, seed in (("one", 7), ("again", 7), ("other", 8)):
        told: list[float] = []
        simulate(tmp_path / name, leads=600, seed=seed, days=365, progress=lambda share, words, told=told: told.append(share) if words else None)
        assert told == sorted(told)
        assert (told[0], len(told) > 10, told[-1] < 1) == (0.0, True, True)
    one, again, other = (_hashes(tmp_path / name) for name in ("one", "again", "other"))
    assert one == again
    assert set(one) >= {f"{name}.parquet" for name in TABLES} | {"leadscore.toml"}
    same = {name for name in one if one[name] == other[name]}
    # The sales team and the configuration are no draw.
    assert same == {"owners.parquet", "leadscore.toml"}


def test_a_larger_company_begins_with_the_same_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.crm.simulator.world.BLOCK", 250)
    counted = [simulate(tmp_path / str(leads), leads=leads, days=365) for leads in (500, 600)]
    for name in TABLES:
        small, large = (pd.read_parquet(tmp_path / str(leads) / f"{name}.parquet") for leads in (500, 600))
        pd.testing.assert_frame_equal(small, large.iloc[: len(small)])
    assert counted[0].leads < counted[1].leads
    leads = pd.read_parquet(tmp_path / "600" / "leads.parquet").dropna(subset="created_at")
    ids = Counter(leads["lead_id"])
    assert sorted(ids) == [f"L{number:08d}" for number in range(600)]
    assert sum(ids.values()) == 600 + counted[1].mess["leads: doubled"]
    # Every block is its own draw.
    names = leads.drop_duplicates().set_index("lead_id").sort_index()["name"].to_numpy()
    assert (names[:250] == names[250:500]).mean() < 0.05


MEASURED = """
import resource, sys, tempfile
from pathlib import Path
from pipelines.crm.simulator import simulate, world

world.BLOCK = 1_000
with tempfile.TemporaryDirectory() as folder:
    for leads in (20, 2_000, 6_000):
        simulate(Path(folder), leads=leads, days=365)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


# A process inherits the peak of the one that started it; one of no size stands between.
BETWEEN = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]], check=True)"


def test_six_blocks_need_hardly_more_memory_than_two() -> None:
    # The peak of a process never falls, so one process tells all three; the first is what the libraries need.
    done = subprocess.run([sys.executable, "-c", BETWEEN, MEASURED], capture_output=True, text=True, check=True)
    libraries, two, six = map(int, done.stdout.split())
    assert two > 1.2 * libraries
    assert six / two < 1.2
    # Keeping the rows of every block would need 1.6 times as much on top of the libraries.
    assert (six - libraries) / (two - libraries) < 1.4


def test_a_copy_of_a_won_deal_is_no_win(drifting: tuple[Path, Counts]) -> None:
    folder, counts = drifting
    deals, leads = pd.read_parquet(folder / "deals.parquet"), pd.read_parquet(folder / "leads.parquet")
    true = (deals["outcome"] == "won") & deals["closed_at"].notna() & (deals["amount"] > 0) & deals["lead_id"].isin(leads["lead_id"])
    assert counts.won == int(true.sum())


def test_the_truth_of_named_nights_is_written_beside_the_tables(tmp_path: Path) -> None:
    nights = [datetime(2024, 9, 1, 2), datetime(2024, 12, 31, 2)]
    simulate(tmp_path, leads=300, seed=3, days=366, truth_of=nights)
    written = pd.read_parquet(tmp_path / TRUTH)
    told = truth(nights, leads=300, seed=3, days=366)
    pd.testing.assert_frame_equal(written, told)
    assert list(written.columns) == ["lead_id", "as_of", "knowable", "informed"]
    assert "truth" not in (tmp_path / "leadscore.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("night", [datetime(2024, 1, 1, 2), datetime(2025, 1, 2, 2), datetime(2024, 6, 1, 3)])
def test_a_night_outside_the_history_has_no_truth(tmp_path: Path, night: datetime) -> None:
    with pytest.raises(Problem, match=f"The truth of {night:%Y-%m-%d %H:%M} cannot be told"):
        simulate(tmp_path, leads=300, seed=3, days=366, truth_of=[night])
