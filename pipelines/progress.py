"""What a person sees while they wait: one line a step, moving while it runs, with its seconds when it is done."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from time import monotonic

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from pipelines import journal

Tell = Callable[[float, str], None]
"""Called with the share done (0 to 1) and a few words on what is being done."""

_between = ExitStack()
"""What moves on a terminal while no step runs; empty elsewhere."""


@contextmanager
def step(what: str) -> Iterator[Tell]:
    """Show that a step runs, how far it is, and how long it took.

    On a terminal the line moves; elsewhere (a log, a scheduler) it is printed once when the step starts and once when it ends.

    >>> with step("Counting") as tell:
    ...     tell(0.5, "half way")
    """
    settle()
    console = Console(stderr=True, highlight=False, quiet=journal.for_machines())
    began = monotonic()
    journal.tell("step begun", what=what)
    if console.is_terminal:
        with _moving(console, what) as tell:
            yield tell
    else:
        if not journal.for_machines():
            print(f"  {what} ...", file=sys.stderr, flush=True)
        yield _quiet
    console.print(f"  [green]done[/]  {what} [dim]{monotonic() - began:.1f} s[/]")
    journal.tell("step done", what=what, seconds=round(monotonic() - began, 3))
    wait("Getting ready for the next step")


def say(sentence: str) -> None:
    """Tell whoever watches, and the journal, what has to be minded of the machine and is no fact of the run."""
    settle()
    if not journal.for_machines():
        print(f"  {sentence}", file=sys.stderr, flush=True)
    journal.tell("told", what=sentence)


def wait(what: str) -> None:
    """Show on a terminal that something is under way until the next step begins: a program being loaded, a server being started."""
    settle()
    console = Console(stderr=True, highlight=False)
    if console.is_terminal:
        _between.enter_context(_moving(console, what))


def settle() -> None:
    """Nothing is waited for any longer: leave the terminal as it was."""
    _between.close()


@contextmanager
def _moving(console: Console, what: str) -> Iterator[Tell]:
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)

        def move(share: float, words: str) -> None:
            bar.update(task, description=f"{what}: {words} ({share:.0%})" if words else f"{what} ({share:.0%})")

        yield move


def _quiet(share: float, words: str) -> None:
    """Nobody watches: say nothing."""
