"""`leadscore extract`, `train`, `score` and the other commands that run a flow, by hand or by a schedule."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from pipelines.terminal import DEFAULT_CONFIG, ConfigOption, JsonOption, NightOption, OutcomeOption, day_of, finish, prepare, settings_of

app = typer.Typer()


@app.command()
def extract(
    config: ConfigOption = DEFAULT_CONFIG,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Connect, look at the first page of every table, and write nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Read the company's tables, refuse what is malformed with a reason, and keep the rest."""
    if dry_run:
        from pipelines.rehearsal import rehearse_extract

        finish(rehearse_extract(settings_of(config), datetime.now(UTC).replace(tzinfo=None)), as_json)
        return
    prepare(settings_of(config).home_folder, for_a_flow=True)
    from pipelines.extract import extract as flow

    finish(flow(config), as_json)


@app.command()
def train(config: ConfigOption = DEFAULT_CONFIG, as_of: NightOption = None, outcome: OutcomeOption = None, as_json: JsonOption = False) -> None:
    """Learn from past nights whose outcome is known, test it on later ones, and promote it only if it is better."""
    prepare(settings_of(config).home_folder, for_a_flow=True)
    from pipelines.train import train as flow

    finish(flow(config, day_of(as_of), outcome), as_json)


@app.command()
def backtest(config: ConfigOption = DEFAULT_CONFIG, as_of: NightOption = None, outcome: OutcomeOption = None, as_json: JsonOption = False) -> None:
    """Try a configuration on past nights and compare it with the champion; nothing is registered or promoted."""
    prepare(settings_of(config).home_folder, for_a_flow=True)
    from pipelines.experiment import backtest as flow

    finish(flow(config, day_of(as_of), outcome), as_json)


@app.command()
def score(config: ConfigOption = DEFAULT_CONFIG, as_of: NightOption = None, outcome: OutcomeOption = None, as_json: JsonOption = False) -> None:
    """Rank the open leads of a night with reasons, and write the list that sales works from."""
    prepare(settings_of(config).home_folder, for_a_flow=True)
    from pipelines.score import score as flow

    finish(flow(config, day_of(as_of), outcome), as_json)


@app.command()
def review(config: ConfigOption = DEFAULT_CONFIG, outcome: OutcomeOption = None, as_json: JsonOption = False) -> None:
    """Count what was scored and listed, and judge the nights whose outcome is known by now."""
    prepare(settings_of(config).home_folder, for_a_flow=True)
    from pipelines.review import review as flow

    finish(flow(config, outcome), as_json)


@app.command()
def writeback(
    config: ConfigOption = DEFAULT_CONFIG,
    as_of: NightOption = None,
    outcome: OutcomeOption = None,
    again: Annotated[bool, typer.Option("--again", help="Also send the rows that the CRM refused on this night.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent, and send nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Hand a night's scores back to the CRM; a row once sent is not sent again, and an interrupted run goes on with the rest."""
    prepare(settings_of(config).home_folder, for_a_flow=True)
    from pipelines.writeback import writeback as flow

    finish(flow(config, day_of(as_of), outcome, again, dry_run), as_json)


@app.command()
def nightly(config: ConfigOption = DEFAULT_CONFIG, as_of: NightOption = None, outcome: OutcomeOption = None, as_json: JsonOption = False) -> None:
    """What the schedule runs every night: extract, score, review, and write back where a CRM is named."""
    prepare(settings_of(config).home_folder, for_a_flow=True)
    from pipelines.nightly import nightly as flow

    finish(flow(config, outcome, day_of(as_of)), as_json)


@app.command()
def backfill(
    first: Annotated[datetime, typer.Argument(metavar="FROM", formats=["%Y-%m-%d"], help="First night.")],
    last: Annotated[datetime, typer.Argument(metavar="TO", formats=["%Y-%m-%d"], help="Last night, included.")],
    config: ConfigOption = DEFAULT_CONFIG,
    outcome: OutcomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score past nights exactly as they would have been: with what was known then, and the model in use then."""
    if last < first:
        raise typer.BadParameter(f"TO ({last:%Y-%m-%d}) lies before FROM ({first:%Y-%m-%d}).")
    prepare(settings_of(config).home_folder, for_a_flow=True)
    from pipelines.score import backfill as flow

    finish(flow(config, first.date(), last.date(), outcome), as_json)
