"""Whoever looks sees the old files or the new ones, never some of each."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.problem import Problem
from pipelines.delivery.folder import KEPT, changed, publish_folder

OLD = {"index.html": b"old page", "leads.csv": b"old sheet", "gone.txt": b"only last night"}
NEW = {"index.html": b"new page", "leads.csv": b"new sheet"}
# Longer than any file system allows: the second file of two cannot be written.
UNWRITABLE = {"index.html": b"half", "x" * 300: b"never"}


def _there(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _beside(folder: Path) -> tuple[list[str], int]:
    """What stands in a folder of nights, and how many folders are kept for it."""
    kept = folder / KEPT
    return sorted(path.name for path in folder.iterdir() if path != kept), len(list(kept.iterdir())) if kept.exists() else 0


def test_new_files_replace_all_old_ones(tmp_path: Path) -> None:
    target = tmp_path / "lists" / "2025-01-01"
    assert publish_folder(target, OLD) == target
    assert _there(target) == OLD
    assert publish_folder(target, NEW) == target
    assert _there(target) == NEW
    assert _beside(target.parent) == (["2025-01-01"], 1)


@pytest.mark.parametrize("how", ["changed", "added", "taken away", "led elsewhere"])
def test_a_list_that_was_tampered_with_is_told_and_written_again(tmp_path: Path, how: str) -> None:
    lists = tmp_path / "lists"
    for night, files in (("2025-01-01", OLD), ("2025-01-02", NEW)):
        publish_folder(lists / night, files)
    assert changed(lists) == []
    page = lists / "2025-01-02" / "index.html"
    if how == "changed":
        page.write_bytes(b"new pagf")
    elif how == "added":
        page.with_name("more.html").write_bytes(b"")
    elif how == "taken away":
        page.unlink()
    else:
        (lists / "2025-01-02").unlink()
        (lists / "2025-01-02").symlink_to(os.path.relpath((lists / "2025-01-01").resolve(), lists))
    assert changed(lists) == ["2025-01-02"]
    publish_folder(lists / "2025-01-02", NEW)
    assert (_there(lists / "2025-01-02"), changed(lists), _beside(lists)) == (NEW, [], (["2025-01-01", "2025-01-02"], 2))


def test_lists_that_somebody_copied_are_what_was_published_where_they_are_the_same(tmp_path: Path) -> None:
    publish_folder(tmp_path / "lists" / "2025-01-02", NEW)
    copied = Path(shutil.copytree(tmp_path / "lists", tmp_path / "copied"))
    assert changed(copied) == []
    (copied / "2025-01-02" / "index.html").write_bytes(b"other")
    assert changed(copied) == ["2025-01-02"]


def test_only_their_owner_may_read_them(tmp_path: Path) -> None:
    target = publish_folder(tmp_path / "night", NEW)
    assert [oct(path.stat().st_mode)[-3:] for path in (target, *sorted(target.iterdir()))] == ["700", "600", "600"]


def test_a_file_that_cannot_be_written_leaves_the_old_ones(tmp_path: Path) -> None:
    target = publish_folder(tmp_path / "night", OLD)
    with pytest.raises(Problem) as said:
        publish_folder(target, UNWRITABLE)
    assert str(said.value) == (
        f"The list could not be written to {target} (File name too long): free the disk or correct its permissions, and run again."
    )
    assert _there(target) == OLD
    assert _beside(tmp_path) == (["night"], 1)


def test_a_first_night_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="could not be written"):
        publish_folder(tmp_path / "night", UNWRITABLE)
    assert _beside(tmp_path) == ([], 0)


def test_a_place_where_no_folder_can_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Problem, match=r"could not be written to .*/file/night \(Not a directory\)"):
        publish_folder(tmp_path / "file" / "night", NEW)


def test_what_a_killed_run_left_beside_is_swept(tmp_path: Path) -> None:
    target = publish_folder(tmp_path / "night", OLD)
    for leftover in (tmp_path / KEPT / "night.half", tmp_path / KEPT / "night.0123456789abcdef"):
        (leftover / "deep").mkdir(parents=True)
        (leftover / "half.html").write_bytes(b"half")
    publish_folder(target, NEW)
    assert _there(target) == NEW
    assert _beside(tmp_path) == (["night"], 1)


def test_a_run_killed_before_its_link_is_moved_is_made_good_by_the_next(tmp_path: Path) -> None:
    target = publish_folder(tmp_path / "night", OLD)
    (tmp_path / KEPT / "night.half").symlink_to("nowhere")
    assert _there(target) == OLD
    publish_folder(target, NEW)
    assert _there(target) == NEW
    assert _beside(tmp_path) == (["night"], 1)


def test_a_copied_folder_is_replaced_like_a_link(tmp_path: Path) -> None:
    (tmp_path / "night").mkdir()
    (tmp_path / "night" / "index.html").write_bytes(b"copied")
    assert _there(publish_folder(tmp_path / "night", NEW)) == NEW
    assert _beside(tmp_path) == (["night"], 1)


def test_there_is_no_moment_without_a_night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = publish_folder(tmp_path / "night", OLD)
    seen: list[dict[str, bytes]] = []
    moved = os.replace

    def watched(source: Path, place: Path) -> None:
        seen.append(_there(target))
        moved(source, place)
        seen.append(_there(target))

    monkeypatch.setattr(os, "replace", watched)
    publish_folder(target, NEW)
    assert seen == [OLD, OLD, OLD, NEW, NEW, NEW]


def test_neighbours_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".night.older").mkdir()
    (tmp_path / "night.new").mkdir()
    publish_folder(tmp_path / "night", NEW)
    assert _beside(tmp_path) == ([".night.older", "night", "night.new"], 1)


@settings(max_examples=20, deadline=None)
@given(nights=st.lists(st.tuples(st.dictionaries(st.sampled_from("abc"), st.binary(max_size=4), max_size=3), st.booleans()), min_size=1, max_size=6))
def test_after_any_row_of_good_and_failing_nights_the_last_good_one_stands(
    tmp_path_factory: pytest.TempPathFactory, nights: list[tuple[dict[str, bytes], bool]]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    last: dict[str, bytes] | None = None
    for files, fails in nights:
        if fails:
            with pytest.raises(Problem):
                publish_folder(folder / "night", {**files, **UNWRITABLE})
        else:
            publish_folder(folder / "night", files)
            last = files
        assert _beside(folder)[0] == ([] if last is None else ["night"])
        assert last is None or _there(folder / "night") == last
