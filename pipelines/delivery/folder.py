"""Files that sales opens, published together: written beside, then shown by moving one link.

lists/2025-08-23  ->  .published/2025-08-23.4f0c...      a link; whoever opens it sees one whole night
lists/.published/     the folders themselves, each named by its content
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from features.problem import Problem

KEPT = ".published"


def publish_folder(target: Path, files: Mapping[str, bytes]) -> Path:
    """Replace a folder by new files; whoever looks sees the old ones or the new ones, never some of each and never none.

    A folder cannot replace another in one step, but a link can: that is why `target` is a link. What a killed run left behind is swept away by
    the next one.

    Raises
    ------
    Problem : the disk is full or the folder cannot be written; the old files then stay.
    """
    kept = target.parent / KEPT
    new, half = kept / f"{target.name}.{_digest(files)}", kept / f"{target.name}.half"
    try:
        _sweep(half)
        if not new.is_dir():
            _write(half, files)
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


def _digest(files: Mapping[str, bytes]) -> str:
    each = (f"{name} {sha256(content).hexdigest()}" for name, content in sorted(files.items()))
    return sha256("\n".join(each).encode()).hexdigest()[:16]


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
