"""Files that sales opens, published together: written beside, then shown by moving one link.

lists/2025-08-23  ->  .published/2025-08-23.4f0c...      a link; whoever opens it sees one whole night
lists/.published/     the folders themselves, each named by its content
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from features.problem import Problem
from models.seal import seal, seal_of

KEPT = ".published"


def publish_folder(target: Path, files: Mapping[str, bytes]) -> Path:
    """Replace a folder by new files; whoever looks sees the old ones or the new ones, never some of each and never none.

    A folder cannot replace another in one step, but a link can: that is why `target` is a link. What a killed run left behind is swept away by
    the next one.

    Raises
    ------
    Problem : the disk is full or the folder cannot be written; the old files then stay.
    """
    kept, named = target.parent / KEPT, seal(files)
    new, half, spoilt = (kept / f"{target.name}.{ending}" for ending in (named, "half", "spoilt"))
    try:
        _sweep(half)
        if not (new.is_dir() and seal_of(new) == named):
            _write(half, files)
            _sweep(spoilt)
            if new.is_dir():
                # Somebody changed a file in it: the only case in which, for the blink of an eye, nothing is shown.
                os.replace(new, spoilt)
            os.replace(half, new)
        _show(target, new)
        for old in kept.glob(f"{target.name}.*"):
            if old != new:
                # Renamed first: a folder under its final name is always whole.
                os.replace(old, half)
                _sweep(half)
    except OSError as error:
        shutil.rmtree(half, ignore_errors=True)
        raise Problem(
            f"The list could not be written to {target} ({error.strerror}): free the disk or correct its permissions, and run again."
        ) from error
    return target


def changed(lists: Path) -> list[str]:
    """The nights whose files are not those that were published: one was changed, added or taken away, or the link leads elsewhere."""
    return [link.name for link in nights(lists) if not is_whole(link)]


def nights(lists: Path) -> list[Path]:
    """The nights that are shown in a folder of lists, oldest first."""
    return sorted(path for path in lists.glob("[0-9]*") if path.is_symlink() or path.is_dir()) if lists.is_dir() else []


def is_whole(link: Path) -> bool:
    """Whether the files have the seal that their folder is named by; of a link that became a folder when somebody copied the lists, one beside it."""
    shown = link.resolve()
    sealed = [shown] if link.is_symlink() else list((link.parent / KEPT).glob(f"{link.name}.*"))
    home = (link.parent / KEPT).resolve()
    return shown.is_dir() and any(one.parent.resolve() == home and one.name == f"{link.name}.{seal_of(shown)}" for one in sealed)


def withdraw_folder(target: Path) -> None:
    """Take a folder down that was published, with all that was kept for it.

    Raises
    ------
    Problem : it cannot be removed.
    """
    kept = target.parent / KEPT
    try:
        for old in (target, *kept.glob(f"{target.name}.*")):
            _sweep(old)
    except OSError as error:
        raise Problem(f"The list {target} could not be taken down ({error.strerror}): correct its permissions, and run again.") from error


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.mkdir(mode=0o700)
    for name, content in files.items():
        path = folder / name
        path.write_bytes(content)
        path.chmod(0o600)


def _show(target: Path, new: Path) -> None:
    link = new.with_name(f"{target.name}.half")
    if target.is_dir() and not target.is_symlink():
        # Somebody copied the lists and the link became a folder.
        os.replace(target, link)
        _sweep(link)
    link.symlink_to(os.path.relpath(new, target.parent))
    os.replace(link, target)


def _sweep(half: Path) -> None:
    if half.is_symlink():
        half.unlink()
    elif half.exists():
        shutil.rmtree(half)
