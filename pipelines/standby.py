"""The copy of the champion that scores a night on which the tracking server does not answer.

Every night that fetches its champion keeps a copy of it, sealed. A night without a server is scored by that copy if not a byte of it was changed, and
every output says so. Nothing is learned, promoted or judged by it: training needs the server.

    .leadscore/standby/leadscore/       3.1f0c...   the files of version 3, named by their seal
                                        newest.json version, run, seal, figures, since when
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from features.problem import Problem
from models.registry import Champion, NoAnswer
from models.scorer import Scorer
from models.seal import seal_of
from pipelines.environment import keep_private
from pipelines.registry import registry_of
from pipelines.settings import Settings

_NEWEST = "newest.json"


def champion_of(settings: Settings, now: datetime, night: datetime | None = None) -> Champion:
    """The model in use; where the tracking server does not answer, the copy of it that was kept.

    Parameters
    ----------
    now : since when a copy that is new is known, UTC.
    night : a run that is late asks for the one that was in use then; where there was none yet, the one in use now.

    Raises
    ------
    Problem : there is no champion; or the server does not answer and there is no copy, or somebody changed it.
    """
    try:
        registry = registry_of(settings)
        champion = registry.champion()
        then = registry.champion_then_or_none(night) if night else None
    except NoAnswer as silence:
        return _kept(_folder(settings), silence)
    keep(_folder(settings), champion, now)
    return then or champion


def _folder(settings: Settings) -> Path:
    return settings.home_folder / "standby" / settings.registry_name


def keep(folder: Path, champion: Champion, now: datetime) -> None:
    """Keep a copy of a champion, once; a run that is killed leaves the copy that was there.

    Raises
    ------
    Problem : it cannot be written.
    """
    keep_private()
    half, note = folder / "half", folder / "half.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(half, ignore_errors=True)
        champion.scorer.save(half)
        told = {"version": champion.version, "seal": seal_of(half)}
        kept = _place(folder, told)
        if seal_of(kept) != told["seal"]:
            shutil.rmtree(kept, ignore_errors=True)
            os.replace(half, kept)
        # Not only where the files are new: a run may have been killed before it could say that it kept them.
        if not _is_noted(folder, told):
            note.write_text(json.dumps({**told, **_said(champion), "since": now.isoformat()}), encoding="utf-8")
            os.replace(note, folder / _NEWEST)
        for other in folder.iterdir():
            if other.is_dir() and other != kept:
                shutil.rmtree(other)
    except OSError as error:
        raise Problem(
            f"The copy of the champion could not be written to {folder} ({error.strerror}): free the disk or correct its permissions, and run again."
        ) from error


def _place(folder: Path, told: Mapping[str, str]) -> Path:
    return folder / f"{told['version']}.{told['seal']}"


def _said(champion: Champion) -> dict[str, Any]:
    """What is known of a model beside its files."""
    return {"run_id": champion.run_id, "metrics": dict(champion.metrics), "origin": dict(champion.origin)}


def _is_noted(folder: Path, told: Mapping[str, str]) -> bool:
    """Whether a copy is said to be the newest; a note that cannot be read says nothing."""
    try:
        return told.items() <= json.loads((folder / _NEWEST).read_text(encoding="utf-8")).items()
    except (OSError, ValueError):
        return False


def altered_copy(settings: Settings) -> Path | None:
    """The copy of the champion, if it is not what was kept."""
    folder = _folder(settings)
    if not (folder / _NEWEST).is_file():
        return None
    told = json.loads((folder / _NEWEST).read_text(encoding="utf-8"))
    return None if seal_of(_place(folder, told)) == told["seal"] else _place(folder, told)


def _kept(folder: Path, silence: NoAnswer) -> Champion:
    """The copy, if it is whole."""
    try:
        told = json.loads((folder / _NEWEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Problem(f"{silence} There is no copy of a champion on this machine to go on with.") from silence
    except (OSError, ValueError) as error:
        raise Problem(f"{silence} The copy of the champion in {folder} cannot be read ({type(error).__name__}).") from silence
    place = _place(folder, told)
    if seal_of(place) != told["seal"]:
        raise Problem(f"{silence} The copy of the champion in {place} is not what was kept: somebody changed it, so it scores nobody.") from silence
    said = (
        f"The tracking server does not answer: this night was scored by the copy of version {told['version']} kept on this machine since "
        f"{told['since'][:10]}, whose files are as they were. A newer champion, if there is one, is not known here."
    )
    return Champion(told["version"], told["run_id"], Scorer.load(place), told["metrics"], said, told.get("origin", {}))
