"""What every command shares: its options, how it is begun, how its report is shown, and how a failure is said. Nothing heavy is imported here."""

from __future__ import annotations

import json
import sys
import tempfile
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pipelines.settings import Settings

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="Your configuration file.", envvar="LEADSCORE_CONFIG")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines instead of words for people.")]
NightOption = Annotated[datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"], help="The night to work as of; default: the newest.")]
BecauseOption = Annotated[str, typer.Option("--because", help="Why, in your own words; it stays in the audit trail.")]
OutcomeOption = Annotated[str | None, typer.Option("--outcome", help="One outcome of your configuration by name; default: every one, in turn.")]
OneOutcomeOption = Annotated[str, typer.Option("--outcome", help="Which outcome of your configuration, by name.")]
LeadArgument = Annotated[str, typer.Argument(help="The lead's id.")]
UntilOption = Annotated[datetime, typer.Option("--until", formats=["%Y-%m-%d"], help="The last day on which it holds.")]
ByOption = Annotated[str, typer.Option("--by", help="Who decides, as it will be shown.")]
DEFAULT_CONFIG = Path("leadscore.toml")
_homes: list[Path] = []


def settings_of(config: Path, outcome: str = "default") -> Settings:
    """What a leadscore.toml says, as one of its outcomes sees it."""
    from pipelines.settings import read_settings

    return read_settings(config).each_outcome(outcome)[0]


def prepare(home: Path, for_a_flow: bool = False) -> None:
    """Begin a command: make the home of a company ready, before anything heavy is imported.

    Parameters
    ----------
    for_a_flow : whether a Prefect server, where one is named, has to answer.
    """
    from pipelines import environment
    from pipelines.progress import wait

    _homes.append(home.resolve())
    wait("Starting")
    environment.prepare(home.resolve())
    if for_a_flow:
        environment.see_orchestrator()


def day_of(as_of: datetime | None) -> date | None:
    """The day that was typed, if one was."""
    return as_of.date() if as_of else None


def finish(report: Any, as_json: bool, refused_is_fine: bool = False) -> None:
    """Show a report to a person or a machine, and leave with 1 when it says that the rest failed, with 3 when something was refused."""
    from pipelines.progress import settle

    settle()
    typer.echo(json.dumps(report.to_dict(), default=str) if as_json else report.text())
    if report.failed:
        raise typer.Exit(1)
    if report.refused and not refused_is_fine:
        raise typer.Exit(3)


def said(sentence: str) -> int:
    """Say why a command failed, to a person and to a machine that asked for JSON; the exit code."""
    from pipelines.progress import settle
    from pipelines.report import plain

    settle()
    if "--json" in sys.argv:
        print(json.dumps({"error": sentence}))
    print(f"leadscore: {plain(sentence)}", file=sys.stderr)
    return 1


def unexpected(error: Exception) -> str:
    """Keep the traceback in a file for whoever mends it, and say where."""
    import traceback

    import httpx

    from pipelines.environment import unanswered

    # Of all who are spoken to, only Prefect is asked by a program that lets its client's errors through.
    if isinstance(error, httpx.TransportError):
        return unanswered(error)
    what = f"something unexpected went wrong ({type(error).__name__}: {str(error)[:300]})"
    file = (_homes or [Path(tempfile.gettempdir())])[-1] / "unexpected.log"
    try:
        file.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    except OSError as full:
        return f"{what}, and its details could not be written ({full})."
    return f"{what}. The details are in {file}; please report them."
