"""Where the models of a chosen outcome are kept."""

from __future__ import annotations

from models.registry import Registry
from pipelines.settings import Settings


def registry_of(settings: Settings) -> Registry:
    """The registry of the outcome that is chosen: each has runs, versions and a champion of its own, so that none is taken for another's."""
    return Registry(settings.tracking_uri, settings.registry_name)
