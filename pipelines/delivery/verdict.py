"""The page of the gate: may the new model replace the champion, and why, for whoever answers for the lists."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from math import expm1
from pathlib import Path

import jinja2
from markupsafe import Markup

from models.gate import Compared, Decision
from models.scorer import Scorer

_HERE = Path(__file__).parent
Say = Callable[[float], str]
_QUESTIONS = {
    "log_loss": ("Are its probabilities truer?", "Log-loss on later nights; lower is better. It must be lower beyond doubt."),
    "gain_at_capacity": ("Does its list hold as many customers?", "Share of all conversions among the leads that sales can work a night."),
    "average_precision": ("Does it put customers first?", "Average precision over the whole order; higher is better."),
    "predicted_over_realised": ("Does it expect as many as come?", "Conversions expected for every one that came; 1 is perfect."),
    "calibration_slope": ("Are high and low probabilities as far apart as they should be?", "Calibration slope; 1 is perfect, below 1 is too bold."),
    "segments": ("Is it worse for some of the leads?", "Log-loss in every segment of enough leads, corrected for how many were looked at."),
    "list_change": ("How much of tonight's list would change?", "Leads on the champion's list that would not be on the new one."),
    "scoring_time": ("Is a night scored in time?", "With reasons, measured on this machine."),
}
_SAID: dict[str, Say] = {"log_loss": "{:.4f}".format, "gain_at_capacity": "{:.1%}".format}
_CHANGED: dict[str, Say] = {
    "log_loss": "{:+.4f}".format,
    "gain_at_capacity": lambda share: f"{100 * share:+.1f}",
    **dict.fromkeys(("predicted_over_realised", "calibration_slope"), lambda further: f"{expm1(further):+.0%}"),
}


@dataclass(frozen=True)
class Line:
    """A row of the table: what was asked, what it means, both figures and their difference, or the answer in words."""

    question: str
    meaning: str
    held: bool
    said: str
    figures: tuple[str, str, str] | None


def verdict(decision: Decision, company: str, challenger: Scorer) -> str:
    """One HTML page without scripts and without network access: the verdict first, then why, then a small table of what was asked.

    Parameters
    ----------
    company : its name.
    challenger : the model that was judged.
    """
    style = (_HERE / "verdict.css").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string((_HERE / "verdict.html.j2").read_text(encoding="utf-8")).render(
        company=company,
        promote=decision.promote,
        first=decision.promote and not decision.checks,
        model=challenger.model.name,
        known_until=f"{challenger.known_until:%d %B %Y}",
        reasons=[_sentence(reason) for reason in decision.reasons],
        basis=decision.basis,
        lines=[_line(check.name, check.held, check.said, decision.figures.get(check.name)) for check in decision.checks],
        style=Markup(style),
        style_hash=Markup(f"'sha256-{b64encode(sha256(style.encode('utf-8')).digest()).decode()}'"),
    )


def _sentence(reason: str) -> str:
    return f"{reason[:1].upper()}{reason[1:]}."


def _line(name: str, held: bool, said: str, found: Compared | None) -> Line:
    question, meaning = _QUESTIONS[name]
    if found is None:
        return Line(question, meaning, held, _sentence(said), None)
    say, change, difference = _SAID.get(name, "{:.3f}".format), _CHANGED.get(name, "{:+.3f}".format), found.difference
    value, low, high = (change(side) for side in (difference.value, difference.low, difference.high))
    unit = " points" if name == "gain_at_capacity" else ""
    return Line(question, meaning, held, said, (say(found.challenger), say(found.champion), f"{value}{unit} ({low} to {high})"))
