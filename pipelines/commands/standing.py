"""`leadscore status`, `verify`, `compare`, `promote`, `rollback`: how things stand, and which model is in use."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from pipelines.terminal import DEFAULT_CONFIG, BecauseOption, ConfigOption, JsonOption, OneOutcomeOption, OutcomeOption, finish, prepare, settings_of

app = typer.Typer()


@app.command()
def status(config: ConfigOption = DEFAULT_CONFIG, outcome: OutcomeOption = None, as_json: JsonOption = False) -> None:
    """Show the champion, the last nights, those that are late, the next one, and what the last extract refused."""
    settings = settings_of(config)
    prepare(settings.home_folder)
    from pipelines.standing import standing

    finish(standing(settings, datetime.now(UTC).replace(tzinfo=None), outcome), as_json)


@app.command()
def verify(config: ConfigOption = DEFAULT_CONFIG, outcome: OutcomeOption = None, as_json: JsonOption = False) -> None:
    """See whether models, ledger, lists and extracts still are what was written, and say what differs."""
    settings = settings_of(config)
    prepare(settings.home_folder)
    from pipelines.verify import verify as verified

    finish(verified(settings, outcome), as_json)


@app.command()
def compare(
    one: Annotated[str, typer.Argument(metavar="RUN", help="A run's id, the beginning of one, or a model version.")],
    other: Annotated[str, typer.Argument(metavar="RUN", help="Another.")],
    config: ConfigOption = DEFAULT_CONFIG,
    outcome: OneOutcomeOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Put two trainings or backtests side by side: figures, differences on the same rows, and what differed in how they were made."""
    settings = settings_of(config, outcome)
    prepare(settings.home_folder)
    from pipelines.comparison import compare as compared

    finish(compared(settings, one, other), as_json)


@app.command()
def promote(
    version: Annotated[str, typer.Argument(help="The model version that becomes champion.")],
    because: BecauseOption,
    config: ConfigOption = DEFAULT_CONFIG,
    outcome: OneOutcomeOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Make a model version champion by your word, whatever the gate said, and write down why."""
    settings = settings_of(config, outcome)
    prepare(settings.home_folder)
    from pipelines.succession import promote as succeed

    finish(succeed(settings, version, because, datetime.now(UTC).replace(tzinfo=None)), as_json)


@app.command()
def rollback(
    because: BecauseOption = "", config: ConfigOption = DEFAULT_CONFIG, outcome: OneOutcomeOption = "default", as_json: JsonOption = False
) -> None:
    """Go back to the champion before the present one, and write down why."""
    settings = settings_of(config, outcome)
    prepare(settings.home_folder)
    from pipelines.succession import rollback as succeed

    finish(succeed(settings, because, datetime.now(UTC).replace(tzinfo=None)), as_json)
