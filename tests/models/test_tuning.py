"""A search that never leaves the training past, keeps the defaults unless something else is clearly better, and may be interrupted."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import learnable
import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.trial import FrozenTrial, TrialState

from features.feature import Feature
from models import tuning
from models.encoding import Encoder, Style
from models.trees import DEFAULTS, early_stopped, lesson_of, settings_of
from models.tuning import PUBLISHED, SPACE, STARTS, Search, falls_behind, tune

PAST = learnable.examples(leads=250, weeks=12)
SQUARES = (Feature("x", "number", "x", "x {value}"), Feature("y", "number", "y", "y {value}"))


@pytest.mark.parametrize("trials", [0, 1])
def test_without_a_search_the_defaults_stand(trials: int) -> None:
    assert tune(PAST, learnable.FEATURES, trials, seed=7) == Search()
    assert Search().params == DEFAULTS
    assert Search().sentences == ()


def test_too_few_conversions_to_judge_by_leave_the_defaults(tmp_path: Path) -> None:
    few = PAST.assign(converted=PAST["lead_id"].isin(["L0001", "L0002"]) & (PAST["as_of"] == PAST["as_of"].min()))
    for _ in range(2):
        assert tune(few, learnable.FEATURES, 3, seed=7, storage=str(tmp_path / "search.db")) == Search()


def _checkers(leads: int = 4_000) -> pd.DataFrame:
    """Whoever sits on a black square converts: nothing that strongly held trees of six leaves would find."""
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(
        {"lead_id": [f"L{n:05}" for n in range(leads)], "x": rng.integers(0, 8, leads), "y": rng.integers(0, 8, leads), "weight": 1.0}
    )
    return frame.assign(converted=((frame["x"] + frame["y"]) % 2 == 0) & (rng.random(leads) < 0.9))


def _loss(past: pd.DataFrame, features: tuple[Feature, ...], params: dict[str, object]) -> float:
    grown = early_stopped(lesson_of(past, Encoder.fit(past, features).transform(past)), settings_of(params, len(past), 7))
    assert grown is not None
    return float(grown.best_score["valid_0"]["binary_logloss"])


def _trials(path: Path) -> list[list[FrozenTrial]]:
    """What a file remembers, study by study."""
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    found = [storage.get_all_trials(storage.get_study_id_from_name(name)) for name in optuna.get_all_study_names(storage)]
    storage.remove_session()
    storage.engine.dispose()
    return found


def test_settings_that_are_clearly_better_are_found_and_the_same_every_time() -> None:
    past = _checkers()
    found = tune(past, SQUARES, 8, seed=7)
    assert found == tune(past, SQUARES, 8, seed=7)
    assert (found.tried, found.wanted, found.sentences) == (8, 8, ())
    assert set(found.params) == set(DEFAULTS)
    assert _loss(past, SQUARES, found.params) < 0.99 * _loss(past, SQUARES, DEFAULTS)


def test_a_little_better_is_not_enough(tmp_path: Path) -> None:
    past, path = learnable.examples(leads=400, weeks=8, seed=6), tmp_path / "search.db"
    assert tune(past, learnable.FEATURES, 6, seed=7, storage=str(path)).params == DEFAULTS
    losses = [trial.value for trial in _trials(path)[0] if trial.state == TrialState.COMPLETE]
    assert 0.99 * losses[0] < min(losses) < losses[0]


def test_the_defaults_come_first_then_what_is_published_and_all_of_it_is_in_the_space(tmp_path: Path) -> None:
    assert STARTS[0] == {name: DEFAULTS[name] for name in SPACE}
    for start in STARTS:
        assert set(start) == set(SPACE)
        assert all(SPACE[name]._contains(value) for name, value in start.items())
    tune(PAST, learnable.FEATURES, 7, seed=7, storage=str(tmp_path / "search.db"))
    (trials,) = _trials(tmp_path / "search.db")
    assert [trial.params for trial in trials[:5]] == [STARTS[0], *PUBLISHED]
    assert len(trials) == 7
    assert trials[5].params != trials[6].params


def _stop_after(monkeypatch: pytest.MonkeyPatch, calls: int) -> None:
    """The computer goes down while a setting is grown."""
    left = [calls]

    def grow(*args: object) -> object:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return early_stopped(*args)

    monkeypatch.setattr(tuning, "early_stopped", grow)


@pytest.mark.parametrize("done", [0, 2, 6])
def test_an_interrupted_search_comes_to_what_an_undisturbed_one_comes_to(done: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    past, storage = _checkers(2_000), tmp_path / "search.db"
    undisturbed = tune(past, SQUARES, 9, seed=7)
    with monkeypatch.context() as broken:
        _stop_after(broken, done)
        with pytest.raises(KeyboardInterrupt):
            tune(past, SQUARES, 9, seed=7, storage=str(storage))
    assert [trial.state.is_finished() for trial in _trials(storage)[0]] == [True] * done + [False]
    with monkeypatch.context() as counted:
        _stop_after(counted, 9 - done)
        assert tune(past, SQUARES, 9, seed=7, storage=str(storage)) == undisturbed
    tried = _trials(storage)[0]
    assert [trial.state for trial in tried].count(TrialState.FAIL) == 1
    # The setting that was cut off is tried again before any other.
    assert tried[done].params == tried[done + 1].params


def test_a_finished_search_is_not_repeated_and_a_longer_one_goes_on_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    past, storage = _checkers(2_000), str(tmp_path / "search.db")
    short, long = (tune(past, SQUARES, trials, seed=7, storage=storage) for trials in (3, 6))
    assert long == tune(past, SQUARES, 6, seed=7)
    _stop_after(monkeypatch, 0)
    assert [tune(past, SQUARES, trials, seed=7, storage=storage) for trials in (3, 6)] == [short, long]
    assert len(_trials(tmp_path / "search.db")[0]) == 6


def test_other_examples_another_seed_and_another_direction_are_another_search(tmp_path: Path) -> None:
    past, path = _checkers(2_000), tmp_path / "search.db"
    turned = past.assign(converted=np.where(past["lead_id"] == "L00007", ~past["converted"], past["converted"]).astype(bool))
    tune(past, SQUARES, 2, seed=7, storage=str(path))
    tune(turned, SQUARES, 2, seed=7, storage=str(path))
    tune(past, SQUARES, 2, seed=8, storage=str(path))
    tune(past, SQUARES, 2, seed=7, storage=str(path), monotone={"x": 1})
    tune(past, SQUARES[:1], 2, seed=7, storage=str(path))
    assert [len(trials) for trials in _trials(path)] == [2] * 5


def test_old_searches_are_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "_KEPT", 1)
    past, path = _checkers(2_000), tmp_path / "search.db"
    for seed in (1, 2, 3):
        tune(past, SQUARES, 2, seed=seed, storage=str(path))
    assert len(_trials(path)) == 2
    _stop_after(monkeypatch, 0)
    assert tune(past, SQUARES, 2, seed=3, storage=str(path)).tried == 2


@pytest.mark.parametrize("broken", ["text", "version"])
def test_a_file_that_cannot_be_read_is_begun_anew(broken: str, tmp_path: Path) -> None:
    past, path = _checkers(2_000), tmp_path / "search.db"
    first = tune(past, SQUARES, 2, seed=7, storage=str(path))
    if broken == "text":
        path.write_text("no database, however one looks at it\n" * 100, encoding="utf-8")
    else:
        database = sqlite3.connect(path)
        database.execute("UPDATE alembic_version SET version_num = 'v99'")
        database.commit()
        database.close()
    assert tune(past, SQUARES, 2, seed=7, storage=str(path)) == first
    assert len(_trials(path)[0]) == 2


def test_time_that_is_over_ends_the_search_and_is_said(tmp_path: Path) -> None:
    past, storage = _checkers(2_000), str(tmp_path / "search.db")
    cut = tune(past, SQUARES, 8, seed=7, minutes=1e-9, storage=storage)
    assert (cut.params, cut.tried, cut.wanted) == (DEFAULTS, 1, 8)
    assert Search(tried=3, wanted=8, minutes=2.5).sentences == (
        "The search for parameters ended after 3 of 8 settings, for the minutes of [training] search_minutes = 2.5 were over: give it more, and it "
        "goes on from there.",
    )
    # Time that was spent stays spent, so that a training that is repeated comes to the same; more of it goes on.
    assert tune(past, SQUARES, 8, seed=7, minutes=1e-9, storage=storage) == cut
    assert tune(past, SQUARES, 8, seed=7, storage=storage) == tune(past, SQUARES, 8, seed=7)


def test_what_falls_behind_is_given_up_and_never_wins(tmp_path: Path) -> None:
    past, path = _checkers(), tmp_path / "search.db"
    found = tune(past, SQUARES, 12, seed=7, storage=str(path))
    (trials,) = _trials(path)
    given_up = [trial for trial in trials if trial.state == TrialState.PRUNED]
    assert len(given_up) > 2
    # After forty rounds at the earliest, at every twentieth.
    assert all(trial.last_step is not None and trial.last_step >= 40 and trial.last_step % 20 == 0 for trial in given_up)
    assert found.params not in [{**DEFAULTS, **trial.params} for trial in given_up]


def test_a_slow_setting_is_not_given_up_for_being_slow() -> None:
    flat = [0.5] * 80
    slow = [0.5 - 0.002 * n for n in range(80)]
    ended = [0.3, 0.31, 0.32]
    assert falls_behind(flat, ended)
    assert not falls_behind(slow, ended)
    # Nobody knows yet what is good, or how the curve goes.
    assert not falls_behind(flat, ended[:1])
    assert not falls_behind(flat[:39], ended)


def test_it_searches_in_the_style_that_will_be_used() -> None:
    styles = (Style("native"), Style("native"), Style("target", "topics"))
    found = [tune(PAST, learnable.FEATURES, 2, seed=7, style=style).params for style in styles]
    assert found[0] == found[1]
    assert [set(each) for each in found] == [set(DEFAULTS)] * 3
