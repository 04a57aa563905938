"""`leadscore explain`, `erase`, `pin`, `drop`, `release`, `feedback`: what people ask and decide about leads."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from pipelines.terminal import (
    DEFAULT_CONFIG,
    BecauseOption,
    ByOption,
    ConfigOption,
    JsonOption,
    LeadArgument,
    NightOption,
    OneOutcomeOption,
    UntilOption,
    day_of,
    finish,
    prepare,
    settings_of,
)

app = typer.Typer()


@app.command()
def explain(
    lead: Annotated[str, typer.Argument(help="The lead's id.")],
    config: ConfigOption = DEFAULT_CONFIG,
    as_of: NightOption = None,
    outcome: OneOutcomeOption = "default",
    for_the_person: Annotated[
        bool, typer.Option("--for-the-person", help="In plain words, all that is known, of every outcome: an answer to whom it is about.")
    ] = False,
    lineage: Annotated[
        bool, typer.Option("--lineage", help="What the score was made of: model, run, code, configuration, tables, quarantine.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Print one lead's story: what was known, what it counted for, and its past scores."""
    if for_the_person and (as_of or outcome != "default" or lineage):
        raise typer.BadParameter("A person is told of tonight and of every outcome: leave out --as-of, --outcome and --lineage.")
    settings = settings_of(config, outcome)
    prepare(settings.home_folder)
    if for_the_person:
        from pipelines.disclosure import disclose

        finish(disclose(settings, lead), as_json)
        return
    if lineage:
        from pipelines.lineage import tell_lineage

        finish(tell_lineage(settings, lead, day_of(as_of)), as_json)
        return
    from pipelines.story import tell

    finish(tell(settings, lead, day_of(as_of)), as_json)


@app.command()
def erase(
    lead: LeadArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether it is meant.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Take a person out of warehouse, lists and past runs for good, and never extract them again. That it was done is kept, not who it was."""
    settings = settings_of(config)
    if not yes:
        _ask(f"Erase lead {lead} and all that is known of this person, for good?")
    prepare(settings.home_folder)
    from pipelines.erase import erase as forget

    finish(forget(settings, lead, datetime.now(UTC).replace(tzinfo=None)), as_json)


def _ask(question: str) -> None:
    """See that what cannot be undone is meant."""
    from features.problem import Problem

    if not sys.stdin.isatty():
        raise Problem("This cannot be undone, and there is nobody at a terminal to be asked whether it is meant: add --yes.")
    if not typer.confirm(question):
        raise Problem("Nothing was erased.")


@app.command()
def pin(
    lead: LeadArgument,
    until: UntilOption,
    because: BecauseOption,
    place: Annotated[int, typer.Option(help="Where on its owner's list it is to stand.", min=1)] = 1,
    by: ByOption = "",
    config: ConfigOption = DEFAULT_CONFIG,
    outcome: OneOutcomeOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Give a lead a place on its owner's list by hand, until a day. Its score stays as it is, and nothing is learned from it."""
    _decide(config, outcome, lead, place, until, because, by, as_json)


@app.command()
def drop(
    lead: LeadArgument,
    until: UntilOption,
    because: BecauseOption,
    by: ByOption = "",
    config: ConfigOption = DEFAULT_CONFIG,
    outcome: OneOutcomeOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Take a lead off the lists by hand, until a day. Its score stays as it is, and nothing is learned from it."""
    _decide(config, outcome, lead, 0, until, because, by, as_json)


@app.command()
def release(
    lead: LeadArgument,
    because: BecauseOption = "",
    by: ByOption = "",
    config: ConfigOption = DEFAULT_CONFIG,
    outcome: OneOutcomeOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Let the score decide again where a lead stands that was pinned or dropped."""
    _decide(config, outcome, lead, None, datetime.max, because, by, as_json)


def _decide(config: Path, outcome: str, lead: str, place: int | None, until: datetime, because: str, by: str, as_json: bool) -> None:
    settings = settings_of(config, outcome)
    prepare(settings.home_folder)
    from pipelines.decisions import decide

    finish(decide(settings, lead, place, until.date(), because, by, datetime.now(UTC).replace(tzinfo=None)), as_json)


@app.command()
def feedback(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Workbooks that reps sent back, or CSV files with lead_id and feedback.")],
    config: ConfigOption = DEFAULT_CONFIG,
    as_of: Annotated[
        datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"], help="The night of files that do not say it, such as a CSV.")
    ] = None,
    outcome: OneOutcomeOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Read back what reps wrote under Feedback and Note, and keep it beside the scores. Nothing is learned from it."""
    settings = settings_of(config, outcome)
    prepare(settings.home_folder)
    from pipelines.replies import keep

    finish(keep(settings, files, day_of(as_of), outcome, datetime.now(UTC).replace(tzinfo=None)), as_json)
