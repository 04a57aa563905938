"""Two runs side by side, for whoever decides which configuration to keep."""

from __future__ import annotations

from features.problem import Problem
from models.comparison import COMPARED, common_rows, differences, features_that_differ, in_words, sentence, what_differs
from models.run import Run
from pipelines.registry import registry_of
from pipelines.report import Report
from pipelines.settings import Settings


def compare(settings: Settings, one: str, other: str) -> Report:
    """The figures of both with their intervals, the paired differences on the rows both judged, and what differed in how they were made.

    Parameters
    ----------
    one, other : run id, the beginning of one, or a model version.

    Raises
    ------
    Problem : no such run, no predictions kept, no lead-night judged by both, or twice the same run.
    """
    registry = registry_of(settings)
    first, second = registry.find(one), registry.find(other)
    if first.run_id == second.run_id:
        raise Problem(f"{one} and {other} are the same run: name two different ones.")
    sides = common_rows(first.predictions, second.predictions)
    found = differences(*sides, settings.training.seed)
    rows = tuple(
        {
            "figure": in_words(name),
            first.short: _said(first, name),
            second.short: _said(second, name),
            "difference on the same rows": str(found[name]),
        }
        for name in COMPARED
    )
    leads = set(sides[0].lead)
    facts = {
        "one": _named(first),
        "other": _named(second),
        "rows judged by both": len(sides[0].lead),
        "leads": len(leads),
        "customers among them": len(set(sides[0].lead[sides[0].converted])),
    }
    names = (first.short, second.short)
    notices = (
        f"On the same rows, {sentence(found, second.short)}",
        "The two columns of figures are each run's own, on all rows that it judged; the difference is the second minus the first.",
        *what_differs(first.params, second.params, names),
        *features_that_differ(first.features, second.features, names),
    )
    return Report("compare", facts, rows, notices)


def _named(run: Run) -> str:
    return f"{run.short} ({run.name}, {run.params.get('model', 'unknown model')})"


def _said(run: Run, name: str) -> str:
    return str(run.metrics[name]) if name in run.metrics else "not measured"
