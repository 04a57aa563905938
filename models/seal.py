"""The seal of some files: a digest of their names and contents by which it is seen that one was changed, added or taken away."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from hashlib import sha256
from pathlib import Path


def seal(files: Mapping[str, bytes]) -> str:
    """Equal for equal files, in whatever order they are named.

    >>> seal({"a": b"1", "b": b"2"}) == seal({"b": b"2", "a": b"1"}) != seal({"a": b"1", "b": b"3"})
    True
    """
    each = (f"{name} {sha256(content).hexdigest()}" for name, content in sorted(files.items()))
    return sha256("\n".join(each).encode()).hexdigest()[:16]


def seal_of(folder: Path, but: Collection[str] = ()) -> str:
    """The seal of all files in a folder and below it.

    Parameters
    ----------
    but : names of files and folders that others write beside them, and that nothing depends on.
    """
    there = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    return seal({short.as_posix(): path.read_bytes() for short, path in there.items() if not set(short.parts) & set(but)})
