"""The one vocabulary of time: as-of date, horizon, settle lag, ripeness.

        created      known_at < as_of: may be a feature    as_of    won within the horizon?    horizon ends   ripe
  lead ----o-----------x----x---------x----------------------|--------------o-----------------------|-----------|--> time
                                                          snapshot                                       settle lag

Every timestamp inside the product is UTC and carries no zone; the company's zone only decides *which* instant a night is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class Timeline:
    """When a lead is scored, how long it has to convert, and when we may know whether it did.

    Sales reads it as: "every night at `hour`, how likely is each open lead to become a customer within `horizon_days`?"
    Training asks the same of past nights, one every `every_days`, whose answer is known: the *ripe* ones.

    Parameters
    ----------
    horizon_days : days a lead has to convert. 90 is one sales quarter.
    settle_days : days after the horizon until late entries have arrived. 7, because reps catch up within a week.
    max_age_days : a lead older than this is no longer worth a nightly score. 365. The age of a customer is that of its last purchase.
    min_age_days : a younger one is not scored yet. 0; with yearly contracts, 275 begins three months before the renewal.
    every_days : distance between two training nights. 7: daily ones repeat nearly the same rows.
    hour : local hour of the nightly run. 2, when nobody works.
    zone : the company's IANA time zone.

    >>> line = Timeline(horizon_days=90, settle_days=7)
    >>> line.ripe_at(datetime(2025, 1, 1, 2))
    datetime.datetime(2025, 4, 8, 2, 0)
    """

    horizon_days: int = 90
    settle_days: int = 7
    max_age_days: int = 365
    every_days: int = 7
    hour: int = 2
    zone: str = "UTC"
    min_age_days: int = 0

    @property
    def horizon(self) -> timedelta:
        """How long a lead has to convert."""
        return timedelta(days=self.horizon_days)

    @property
    def gap(self) -> timedelta:
        """Horizon and settle lag together: how far a training night must lie before the night it helps to judge."""
        return timedelta(days=self.horizon_days + self.settle_days)

    @property
    def max_age(self) -> timedelta:
        """How old a lead may be and still be scored."""
        return timedelta(days=self.max_age_days)

    def night(self, day: date) -> datetime:
        """The instant of the nightly run on a local calendar day, in UTC.

        A local hour that daylight saving skips is read with the offset before the jump, one that it repeats is the first.

        >>> Timeline(zone="Europe/Berlin").night(date(2025, 7, 1))
        datetime.datetime(2025, 7, 1, 0, 0)
        """
        local = datetime.combine(day, time(self.hour), tzinfo=ZoneInfo(self.zone))
        return local.astimezone(UTC).replace(tzinfo=None)

    def day(self, as_of: datetime) -> date:
        """The local calendar day a night is named after.

        >>> Timeline(zone="Europe/Berlin").day(datetime(2025, 6, 30, 23))
        datetime.date(2025, 7, 1)
        """
        return as_of.replace(tzinfo=UTC).astimezone(ZoneInfo(self.zone)).date()

    def night_after(self, instant: datetime) -> datetime:
        """The first night at or after an instant: the one that everything extracted until then may serve.

        >>> Timeline().night_after(datetime(2025, 1, 1, 17))
        datetime.datetime(2025, 1, 2, 2, 0)
        """
        night = self.night(self.day(instant))
        return night if night >= instant else self.night(self.day(instant) + timedelta(days=1))

    def nights(self, first: datetime, last: datetime) -> list[datetime]:
        """The as-of grid from `first` to `last`, both included when they fit, anchored at the newest night.

        Steps are local calendar days, so that a night stays at its local hour across daylight saving.

        >>> [n.day for n in Timeline(every_days=7).nights(datetime(2025, 1, 1), datetime(2025, 1, 20, 2))]
        [6, 13, 20]
        """
        day = self.day(last)
        if self.night(day) > last:
            day -= timedelta(days=1)
        grid: list[datetime] = []
        while self.night(day) >= first:
            grid.append(self.night(day))
            day -= timedelta(days=self.every_days)
        return grid[::-1]

    def horizon_ends(self, as_of: datetime) -> datetime:
        """The instant after which a win no longer counts for this night."""
        return as_of + self.horizon

    def ripe_at(self, as_of: datetime) -> datetime:
        """The first extraction that may judge this night."""
        return as_of + self.gap

    def is_ripe(self, as_of: datetime, extracted_at: datetime) -> bool:
        """May we know, from an extract of `extracted_at`, what became of the leads of this night?

        >>> Timeline().is_ripe(datetime(2025, 1, 1, 2), extracted_at=datetime(2025, 4, 8, 1))
        False
        """
        return self.ripe_at(as_of) <= extracted_at
