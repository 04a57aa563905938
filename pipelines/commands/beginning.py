"""`leadscore demo`, `init`, `check`, `simulate`: what is typed before there is a company to work for."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.terminal import DEFAULT_CONFIG, ConfigOption, JsonOption, finish, prepare, settings_of

app = typer.Typer()


@app.command()
def demo(
    leads: Annotated[int, typer.Option(help="How many leads the made-up company has.", min=500)] = 20_000,
    folder: Annotated[Path, typer.Option(help="Where everything is written.")] = Path(".leadscore/demo"),
    seed: Annotated[int, typer.Option(help="The same seed makes the same company.")] = 7,
    as_json: JsonOption = False,
) -> None:
    """Make up a company, extract, train, score, and show tonight's ranked list. Needs no data of yours."""
    prepare(folder / ".leadscore", for_a_flow=True)
    from pipelines.demonstration import demonstrate

    finish(demonstrate(folder, leads, seed), as_json, refused_is_fine=True)


@app.command()
def init(
    source: Annotated[str, typer.Option("--from", help="Folder, DuckDB file or SQLite file with your tables; or hubspot:// or salesforce://.")],
    config: ConfigOption = DEFAULT_CONFIG,
    force: Annotated[bool, typer.Option(help="Overwrite an existing configuration.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Look at your tables and write a commented leadscore.toml with a guess of what each column means."""
    from features.problem import Problem
    from pipelines.crm.guess import Unrecognised, guess
    from pipelines.crm.vendors import ready, scheme

    if config.exists() and not force:
        raise Problem(f"{config} exists already: add --force to overwrite it, or --config to write another file.")
    try:
        vendor = scheme(source)
        text, unrecognised = ready(vendor) if vendor else guess(Path(source)), ""
    except Unrecognised as nothing:
        text, unrecognised = nothing.text, str(nothing)
    try:
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Problem(f"{config} cannot be written ({error.strerror}): name a file that you may write with --config.") from error
    done = f"Wrote {config}. Read its comments, correct what is guessed wrong, then run `leadscore check --config {config}`."
    blank = f"{unrecognised} Wrote {config} with every table and column there is: fill it in, then run `leadscore check --config {config}`."
    typer.echo(json.dumps({"config": str(config), "unrecognised": unrecognised}) if as_json else blank if unrecognised else done)
    raise typer.Exit(3 if unrecognised else 0)


@app.command()
def check(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Say in words what is wrong with the configuration, before anything is read or written."""
    from pipelines.crm.check import check as findings_of
    from pipelines.report import plain

    findings = findings_of(settings_of(config), datetime.now(UTC).replace(tzinfo=None))
    if as_json:
        typer.echo(json.dumps({"findings": findings}))
    else:
        typer.echo("\n".join(f"- {plain(line)}" for line in findings) or f"{config} is fine: run `leadscore extract`, then `leadscore train`.")
    raise typer.Exit(3 if findings else 0)


@app.command()
def simulate(
    folder: Annotated[Path, typer.Argument(help="Where the company's tables are written.")],
    leads: Annotated[int, typer.Option(help="How many leads.", min=100)] = 20_000,
    seed: Annotated[int, typer.Option(help="The same seed makes the same bytes.")] = 7,
    days: Annotated[int, typer.Option(help="How many days of history.", min=120)] = 730,
    drift: Annotated[float, typer.Option(help="How much base rate and mix move over time; 0: not at all.", min=0)] = 1.0,
    contact_effect: Annotated[float, typer.Option(help="How much a call changes intent; 0: it only reveals it.", min=0)] = 0.0,
    retention: Annotated[bool, typer.Option("--retention", help="Customers use what they bought, renew it and leave.")] = False,
    truth_of: Annotated[
        list[datetime] | None, typer.Option(formats=["%Y-%m-%d"], help="A night whose true probabilities are written too; default: tonight.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make up a company with a messy CRM, to try the product on data whose truth is known."""
    from dataclasses import asdict

    from pipelines.crm.simulator import LEAVING, TRUTH
    from pipelines.crm.simulator import simulate as make_up
    from pipelines.progress import settle, step

    nights = [night.replace(hour=2) for night in truth_of or []]
    with step(f"Simulating {leads:,} leads") as tell:
        counts = make_up(
            folder,
            leads=leads,
            seed=seed,
            days=days,
            drift=drift,
            contact_effect=contact_effect,
            progress=tell,
            truth_of=nights,
            retention=retention,
        )
    settle()
    rows = asdict(counts)
    also = f", and of who leaves {folder / LEAVING}" if retention else ""
    said = f"Wrote {folder}: {_in_words(rows)}. Its leadscore.toml is ready to run; the truth, which no flow reads, is {folder / TRUTH}{also}."
    typer.echo(json.dumps(rows, default=str) if as_json else said)


def _in_words(rows: dict[str, Any]) -> str:
    return ", ".join(f"{value:,} {name.replace('_', ' ')}" for name, value in rows.items() if isinstance(value, int))
