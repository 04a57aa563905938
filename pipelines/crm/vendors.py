"""The CRMs that are reached through their APIs, each loaded only when it is named."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.problem import Problem
from pipelines.crm.base import CrmSource
from pipelines.crm.writeback import Target

if TYPE_CHECKING:
    from features.outcome import Population
    from pipelines.writebackrules import Writeback

SCHEMES = ("hubspot", "salesforce")
"""What a location may begin with, before "://"."""

_SOURCES = {"hubspot": ("pipelines.crm.hubspot", "HubSpot"), "salesforce": ("pipelines.crm.salesforce", "Salesforce")}
_TARGETS = {
    "hubspot": ("pipelines.crm.hubspottarget", "HubSpotTarget"),
    "salesforce": ("pipelines.crm.salesforcetarget", "SalesforceTarget"),
    "dynamics": ("pipelines.crm.dynamics", "DynamicsTarget"),
}
_OBJECTS = {
    "hubspot": {"leads": "contacts", "accounts": "companies"},
    "salesforce": {"leads": "Lead", "accounts": "Account"},
    "dynamics": {"leads": "lead"},
}
# Behind the names that users choose, in Salesforce.
_CUSTOM = "__c"


def scheme(location: str) -> str | None:
    """Which CRM a location names, if it names one.

    >>> scheme("hubspot://"), scheme("postgresql://host/crm"), scheme("data")
    ('hubspot', None, None)
    """
    found, apart, _ = location.partition("://")
    return found if apart and found in SCHEMES else None


def open_vendor(name: str) -> CrmSource:
    """A CRM as a source, opened by what stands in the environment.

    Raises
    ------
    Problem : its token is not set, or its client is not installed.
    """
    source: CrmSource = _found(_SOURCES[name])()
    return source


def ready(name: str) -> str:
    """The text of a leadscore.toml for a CRM whose tables are the same for everybody; it lies beside this file."""
    return Path(__file__).with_name(f"{name}.toml").read_text(encoding="utf-8")


def written_to(rules: Writeback, outcome: str, population: Population, default: str) -> tuple[str, dict[str, str]]:
    """Which records an outcome's scores are written to, and into which of their fields: ours -> theirs.

    Parameters
    ----------
    default : the name of the first outcome. Those of any other have its name at their end, so that two outcomes do not write one field.

    Raises
    ------
    Problem : the target has no room for it.
    """
    if rules.target == "dynamics" and (outcome != default or population != "leads"):
        raise Problem(
            f"Dynamics 365 has one predictive score a lead, so that outcome '{outcome}' cannot be written to it beside or instead of that of leads: "
            "name another with --outcome."
        )
    usual = _OBJECTS[rules.target][population]
    fields = {**_found(_TARGETS[rules.target], "FIELDS"), **rules.fields}
    return (rules.object if rules.object and population == "leads" else usual), {
        ours: theirs if outcome == default else _of_outcome(theirs, outcome) for ours, theirs in fields.items() if theirs
    }


def open_target(rules: Writeback, kind: str, fields: Mapping[str, str]) -> Target:
    """A CRM as a target, opened by what stands in the environment.

    Raises
    ------
    Problem : its token is not set, or its client is not installed.
    """
    target: Target = _found(_TARGETS[rules.target]).from_environment(kind, fields)
    return target


def _of_outcome(theirs: str, outcome: str) -> str:
    behind = _CUSTOM if theirs.endswith(_CUSTOM) else ""
    return f"{theirs.removesuffix(behind)}_{outcome.replace('-', '_')}{behind}"


def _found(place: tuple[str, str], name: str = "") -> Any:
    return getattr(import_module(place[0]), name or place[1])
