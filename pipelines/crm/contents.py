"""What lies in a source before it is read: whether files are those that were read last time."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import file_digest, sha256
from pathlib import Path

# Beside a database file lies what has not been written into it yet.
_BESIDE = ("", ".wal", "-wal")


def contents_digest(location: str, tables: Iterable[str]) -> str:
    """A digest of the files that a source consists of; "" where there are none, and only reading tells.

    Parameters
    ----------
    location : of the source, see `pipelines.crm.tables.open_source`.
    tables : file names, where the source is a folder.
    """
    path = Path(location)
    if "://" in location or not path.exists():
        return ""
    files = [path / table for table in sorted(set(tables))] if path.is_dir() else [path.with_name(path.name + ending) for ending in _BESIDE]
    mixed = sha256()
    for file in (file for file in files if file.is_file()):
        with file.open("rb") as opened:
            mixed.update(f"{file.name}\0".encode() + file_digest(opened, "sha256").digest())
    return mixed.hexdigest()[:16]
