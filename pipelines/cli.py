"""`leadscore ...`: every command a person or a schedule types.

Exit codes: 0 done, 1 failed, 2 misused, 3 done with something quarantined or refused. Nothing heavy is imported until a command needs it,
so that `leadscore --help` answers at once.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
import tempfile
from datetime import UTC, date, datetime
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pipelines.settings import Settings

app = typer.Typer(
    name="leadscore",
    help="Which open leads are worth a call tonight, why, and how far to believe it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

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
# Seconds for Prefect to hand in what it still has to say, and to stop a server of its own.
_TO_LEAVE = 60.0


@app.command()
def demo(
    leads: Annotated[int, typer.Option(help="How many leads the made-up company has.", min=500)] = 20_000,
    folder: Annotated[Path, typer.Option(help="Where everything is written.")] = Path(".leadscore/demo"),
    seed: Annotated[int, typer.Option(help="The same seed makes the same company.")] = 7,
    as_json: JsonOption = False,
) -> None:
    """Make up a company, extract, train, score, and show tonight's ranked list. Needs no data of yours."""
    _prepare(folder / ".leadscore", for_a_flow=True)
    from pipelines.demonstration import demonstrate

    _finish(demonstrate(folder, leads, seed), as_json, refused_is_fine=True)


@app.command()
def init(
    source: Annotated[str, typer.Option("--from", help="Folder, DuckDB file or SQLite file with your tables; or hubspot:// or salesforce://.")],
    config: ConfigOption = DEFAULT_CONFIG,
    force: Annotated[bool, typer.Option(help="Overwrite an existing configuration.")] = False,
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
    if unrecognised:
        typer.echo(f"{unrecognised} Wrote {config} with every table and column there is: fill it in, then run `leadscore check --config {config}`.")
        raise typer.Exit(3)
    typer.echo(f"Wrote {config}. Read its comments, correct what is guessed wrong, then run `leadscore check --config {config}`.")


@app.command()
def check(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Say in words what is wrong with the configuration, before anything is read or written."""
    from pipelines.crm.check import check as findings_of
    from pipelines.report import plain

    findings = findings_of(_settings(config), datetime.now(UTC).replace(tzinfo=None))
    if as_json:
        typer.echo(json.dumps({"findings": findings}))
    else:
        typer.echo("\n".join(f"- {plain(line)}" for line in findings) or f"{config} is fine: run `leadscore extract`, then `leadscore train`.")
    raise typer.Exit(3 if findings else 0)


@app.command()
def extract(
    config: ConfigOption = DEFAULT_CONFIG,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Connect, look at the first page of every table, and write nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Read the company's tables, refuse what is malformed with a reason, and keep the rest."""
    if dry_run:
        from pipelines.rehearsal import rehearse_extract

        _finish(rehearse_extract(_settings(config), datetime.now(UTC).replace(tzinfo=None)), as_json)
        return
    _prepare(_settings(config).home_folder, for_a_flow=True)
    from pipelines.extract import extract as flow

    _finish(flow(config), as_json)


@app.command()
def train(config: ConfigOption = DEFAULT_CONFIG, as_of: NightOption = None, outcome: OutcomeOption = None, as_json: JsonOption = False) -> None:
    """Learn from past nights whose outcome is known, test it on later ones, and promote it only if it is better."""
    _prepare(_settings(config).home_folder, for_a_flow=True)
    from pipelines.train import train as flow

    _finish(flow(config, _day(as_of), outcome), as_json)


@app.command()
def backtest(config: ConfigOption = DEFAULT_CONFIG, as_of: NightOption = None, outcome: OutcomeOption = None, as_json: JsonOption = False) -> None:
    """Try a configuration on past nights and compare it with the champion; nothing is registered or promoted."""
    _prepare(_settings(config).home_folder, for_a_flow=True)
    from pipelines.experiment import backtest as flow

    _finish(flow(config, _day(as_of), outcome), as_json)


@app.command()
def compare(
    one: Annotated[str, typer.Argument(metavar="RUN", help="A run's id, the beginning of one, or a model version.")],
    other: Annotated[str, typer.Argument(metavar="RUN", help="Another.")],
    config: ConfigOption = DEFAULT_CONFIG,
    outcome: OneOutcomeOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Put two trainings or backtests side by side: figures, differences on the same rows, and what differed in how they were made."""
    settings = _settings(config, outcome)
    _prepare(settings.home_folder)
    from pipelines.comparison import compare as compared

    _finish(compared(settings, one, other), as_json)


@app.command()
def score(config: ConfigOption = DEFAULT_CONFIG, as_of: NightOption = None, outcome: OutcomeOption = None, as_json: JsonOption = False) -> None:
    """Rank the open leads of a night with reasons, and write the list that sales works from."""
    _prepare(_settings(config).home_folder, for_a_flow=True)
    from pipelines.score import score as flow

    _finish(flow(config, _day(as_of), outcome), as_json)


@app.command()
def review(config: ConfigOption = DEFAULT_CONFIG, outcome: OutcomeOption = None, as_json: JsonOption = False) -> None:
    """Count what was scored and listed, and judge the nights whose outcome is known by now."""
    _prepare(_settings(config).home_folder, for_a_flow=True)
    from pipelines.review import review as flow

    _finish(flow(config, outcome), as_json)


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
    _prepare(_settings(config).home_folder, for_a_flow=True)
    from pipelines.writeback import writeback as flow

    _finish(flow(config, _day(as_of), outcome, again, dry_run), as_json)


@app.command()
def nightly(config: ConfigOption = DEFAULT_CONFIG, as_of: NightOption = None, outcome: OutcomeOption = None, as_json: JsonOption = False) -> None:
    """What the schedule runs every night: extract, score, review, and write back where a CRM is named."""
    _prepare(_settings(config).home_folder, for_a_flow=True)
    from pipelines.nightly import nightly as flow

    _finish(flow(config, outcome, _day(as_of)), as_json)


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
    _prepare(_settings(config).home_folder, for_a_flow=True)
    from pipelines.score import backfill as flow

    _finish(flow(config, first.date(), last.date(), outcome), as_json)


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
    settings = _settings(config, outcome)
    _prepare(settings.home_folder)
    if for_the_person:
        from pipelines.disclosure import disclose

        _finish(disclose(settings, lead), as_json)
        return
    if lineage:
        from pipelines.lineage import tell_lineage

        _finish(tell_lineage(settings, lead, _day(as_of)), as_json)
        return
    from pipelines.story import tell

    _finish(tell(settings, lead, _day(as_of)), as_json)


@app.command()
def erase(
    lead: LeadArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether it is meant.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Take a person out of warehouse, lists and past runs for good, and never extract them again. That it was done is kept, not who it was."""
    settings = _settings(config)
    if not yes:
        _ask(f"Erase lead {lead} and all that is known of this person, for good?")
    _prepare(settings.home_folder)
    from pipelines.erase import erase as forget

    _finish(forget(settings, lead, datetime.now(UTC).replace(tzinfo=None)), as_json)


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
    settings = _settings(config, outcome)
    _prepare(settings.home_folder)
    from pipelines.decisions import decide

    _finish(decide(settings, lead, place, until.date(), because, by, datetime.now(UTC).replace(tzinfo=None)), as_json)


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
    settings = _settings(config, outcome)
    _prepare(settings.home_folder)
    from pipelines.replies import keep

    _finish(keep(settings, files, _day(as_of), outcome, datetime.now(UTC).replace(tzinfo=None)), as_json)


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


@app.command()
def status(config: ConfigOption = DEFAULT_CONFIG, outcome: OutcomeOption = None, as_json: JsonOption = False) -> None:
    """Show the champion, the last nights, those that are late, the next one, and what the last extract refused."""
    settings = _settings(config)
    _prepare(settings.home_folder)
    from pipelines.standing import standing

    _finish(standing(settings, datetime.now(UTC).replace(tzinfo=None), outcome), as_json)


@app.command()
def verify(config: ConfigOption = DEFAULT_CONFIG, outcome: OutcomeOption = None, as_json: JsonOption = False) -> None:
    """See whether models, ledger, lists and extracts still are what was written, and say what differs."""
    settings = _settings(config)
    _prepare(settings.home_folder)
    from pipelines.verify import verify as verified

    _finish(verified(settings, outcome), as_json)


@app.command()
def promote(
    version: Annotated[str, typer.Argument(help="The model version that becomes champion.")],
    because: BecauseOption,
    config: ConfigOption = DEFAULT_CONFIG,
    outcome: OneOutcomeOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Make a model version champion by your word, whatever the gate said, and write down why."""
    settings = _settings(config, outcome)
    _prepare(settings.home_folder)
    from pipelines.succession import promote as succeed

    _finish(succeed(settings, version, because, datetime.now(UTC).replace(tzinfo=None)), as_json)


@app.command()
def rollback(
    because: BecauseOption = "", config: ConfigOption = DEFAULT_CONFIG, outcome: OneOutcomeOption = "default", as_json: JsonOption = False
) -> None:
    """Go back to the champion before the present one, and write down why."""
    settings = _settings(config, outcome)
    _prepare(settings.home_folder)
    from pipelines.succession import rollback as succeed

    _finish(succeed(settings, because, datetime.now(UTC).replace(tzinfo=None)), as_json)


def _settings(config: Path, outcome: str = "default") -> Settings:
    from pipelines.settings import read_settings

    return read_settings(config).each_outcome(outcome)[0]


def _prepare(home: Path, for_a_flow: bool = False) -> None:
    from pipelines.environment import prepare, see_orchestrator
    from pipelines.progress import wait

    _homes.append(home.resolve())
    wait("Starting")
    prepare(home.resolve())
    if for_a_flow:
        see_orchestrator()


def _day(as_of: datetime | None) -> date | None:
    return as_of.date() if as_of else None


def _in_words(rows: dict[str, Any]) -> str:
    return ", ".join(f"{value:,} {name.replace('_', ' ')}" for name, value in rows.items() if isinstance(value, int))


def _finish(report: Any, as_json: bool, refused_is_fine: bool = False) -> None:
    """Show a report to a person or a machine, and leave with 1 when it says that the rest failed, with 3 when something was refused."""
    from pipelines.progress import settle

    settle()
    typer.echo(json.dumps(report.to_dict(), default=str) if as_json else report.text())
    if report.failed:
        raise typer.Exit(1)
    if report.refused and not refused_is_fine:
        raise typer.Exit(3)


def main() -> None:
    """Run a command; whatever goes wrong reaches the user as one sentence, never as a traceback."""
    from pipelines.interruption import end_on_interruption

    atexit.register(_leave, code := [0])
    end_on_interruption()
    code[0] = run()
    # All is said: whoever still waits for a server that does not answer, a thread of MLflow's or Prefect's, is waited for no longer.
    late = Timer(_TO_LEAVE, _leave, [code])
    late.daemon = True
    late.start()
    sys.exit(code[0])


def run() -> int:
    """Run the command that was typed; its exit code, every failure said in one sentence."""
    from features.problem import Problem
    from pipelines.environment import keep_private

    keep_private()
    try:
        app(prog_name="leadscore")
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 0
    except Problem as problem:
        return _said(str(problem))
    except Exception as error:
        return _said(_unexpected(error))
    return 0


def _leave(code: list[int]) -> None:
    """Registered first, so run last: leave before DuckDB's bindings report harmless leaks of a dying interpreter to the user."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code[0])


def _said(sentence: str) -> int:
    from pipelines.progress import settle
    from pipelines.report import plain

    settle()
    if "--json" in sys.argv:
        print(json.dumps({"error": sentence}))
    print(f"leadscore: {plain(sentence)}", file=sys.stderr)
    return 1


def _unexpected(error: Exception) -> str:
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
