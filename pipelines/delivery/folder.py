"""Files that sales opens, published together: written beside, then renamed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from features.problem import Problem


def publish_folder(target: Path, files: Mapping[str, bytes]) -> Path:
    """Replace a folder by new files; whoever looks sees the old ones or the new ones, never some of each.

    What a killed run left beside is swept away by the next one.

    Raises
    ------
    Problem : the disk is full or the folder cannot be written; the old files then stay.
    """
    beside, old = target.with_name(f".{target.name}.new"), target.with_name(f".{target.name}.old")
    try:
        for leftover in (beside, old):
            shutil.rmtree(leftover, ignore_errors=True)
        beside.mkdir(parents=True, mode=0o700)
        for name, content in files.items():
            path = beside / name
            path.write_bytes(content)
            path.chmod(0o600)
        if target.exists():
            os.replace(target, old)
        os.replace(beside, target)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        shutil.rmtree(beside, ignore_errors=True)
        raise Problem(
            f"The list could not be written to {target} ({error.strerror}): free the disk or correct its permissions, and run again."
        ) from error
    return target
