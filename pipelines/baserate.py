"""The champion of a night, moved to where the newest ripe nights say the base rate is."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from features import examples
from features.labels import ripe
from models.backtest import Backtest
from models.baserate import Shift, recent_shift
from models.registry import Champion
from pipelines.company import Company

_MOST = 50_000


def followed(company: Company, champion: Champion, night: datetime) -> tuple[Champion, Shift | None]:
    """The champion with its recent-window intercept, where that earned its place in training; itself and None where it did not.

    It looks again at the newest nights whose outcome was known by the night, with nothing known later, so that a night scored again is the same.

    Parameters
    ----------
    night : the night to be scored.
    """
    scorer = champion.scorer
    if not scorer.recent_days:
        return champion, None
    timeline, since = scorer.plan.timeline, company.settings.training.since
    first = night - timeline.gap - timedelta(days=scorer.recent_days)
    # Tonight nothing is known later: what the extract holds came before it.
    then = company if night >= company.extracted_at else company.as_of(company.settings.timeline.day(night))
    # A day before the newest that may be known: tonight's extract ends within that day, and a later one must find the same nights.
    newest = min(night - timedelta(days=1), then.extracted_at) - timeline.gap
    nights = timeline.nights(max(first, timeline.night(since)) if since else first, newest)
    if not nights:
        return champion, None
    known = ripe(examples.training(then.crm, then.nights(*nights), scorer.plan, then.extracted_at, _MOST).execute())
    shift = recent_shift(Backtest.beside_outcomes(known, scorer.log_odds(known)))
    return (champion, None) if shift is None else (replace(champion, scorer=scorer.shifted(shift.value)), shift)
