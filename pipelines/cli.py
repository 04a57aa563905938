"""`leadscore ...`: every command a person or a schedule types.

Exit codes: 0 done, 1 failed, 2 misused, 3 done with something quarantined or refused. Nothing heavy is imported until a command needs it,
so that `leadscore --help` answers at once.
"""

from __future__ import annotations

import atexit
import os
import sys
from threading import Timer

import typer

from pipelines.commands import beginning, flows, leads, standing
from pipelines.terminal import said, unexpected

app = typer.Typer(
    name="leadscore",
    help="Which open leads are worth a call tonight, why, and how far to believe it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

for part in (beginning, flows, leads, standing):
    app.add_typer(part.app)
# Seconds for Prefect to hand in what it still has to say, and to stop a server of its own.
_TO_LEAVE = 60.0


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
        return said(str(problem))
    except Exception as error:
        return said(unexpected(error))
    return 0


def _leave(code: list[int]) -> None:
    """Registered first, so run last: leave before DuckDB's bindings report harmless leaks of a dying interpreter to the user."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code[0])
