"""The company as our warehouse holds it: tables, settings, and how far the last extract reaches."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import ibis
import pandas as pd

from features.accountwise import as_population, linked
from features.crm import Crm
from features.history import cut
from features.outcome import united
from features.plan import Attribute, Plan
from features.problem import Problem
from models.ranking import Rules
from pipelines.report import Report, combined
from pipelines.settings import Settings
from pipelines.warehouse import Warehouse


@dataclass(frozen=True)
class Company:
    """What a flow works on.

    Parameters
    ----------
    crm : the clean canonical tables.
    extracted_at : until when they are complete; decides which past nights are ripe.
    attributes : the company's own fields.
    minded : what must be minded of those who are scored, see `of_population`.
    """

    settings: Settings
    warehouse: Warehouse
    crm: Crm
    extracted_at: datetime
    attributes: tuple[Attribute, ...]
    minded: tuple[str, ...] = ()

    def each_outcome(self, wanted: str | None, work: Callable[[Company], Report]) -> Report:
        """Do a flow's work for the outcome that is named, or for every one that is configured, in turn; tell it as one report.

        What fails for one does not keep the others from their lists: it is said when all are done, and the run is red.

        Raises
        ------
        Problem : there is no outcome of that name, or the work failed for one.
        """
        every = self.settings.each_outcome(wanted)
        if len(every) == 1:
            return work(replace(self, settings=every[0]).of_population())
        done, failed = dict[str, Report](), []
        for settings in every:
            try:
                done[settings.chosen] = work(replace(self, settings=settings).of_population())
            except Problem as problem:
                failed.append(f"Outcome {settings.chosen}: {problem}")
        if failed:
            raise Problem(" ".join(failed))
        return combined(done)

    def of_population(self) -> Company:
        """The company as the chosen outcome sees it: itself, or with every account as one lead.

        Raises
        ------
        Problem : accounts are to be scored, and no lead has one.
        """
        rule = self.settings.outcome.rule
        if rule.population == "leads":
            return self
        housed, untold = linked(self.crm)
        if not housed:
            raise Problem(
                'population = "accounts" scores the accounts of leads, and no lead has one: write which column of leads names its account as '
                'columns = { account_id = "..." } under [source.tables.leads] in leadscore.toml and run `leadscore extract`, or score leads.'
            )
        kept = tuple(attribute for attribute in self.attributes if attribute.origin != "leads")
        gone = [attribute.name for attribute in self.attributes if attribute.origin == "leads"]
        minded = [f"Fields of leads have no single value for an account and are not used: {', '.join(gone)}."] * bool(gone)
        if untold:
            minded.append(
                f"Of {housed:,} leads with an account lead_changes do not say since when {untold:,} have it: on past nights too these count for the "
                "account that they have today."
            )
        crm = as_population(self.crm, rule)
        self.warehouse.kept.append(crm)
        return replace(self, crm=crm, attributes=kept, minded=tuple(minded))

    def notices(self) -> tuple[str, ...]:
        """What every report must repeat: what was said at the last extract, and what is to be minded of those who are scored."""
        return (*self.minded, *self.warehouse.notices())

    def must_predict(self, plan: Plan) -> None:
        """A model answers only what it learned, of those of whom it learned it.

        Raises
        ------
        Problem : the model learned another outcome than the chosen one, or of others.
        """
        if plan.outcome != self.settings.outcome.rule:
            raise Problem(
                "The champion learned to predict another outcome than leadscore.toml names now: run `leadscore train`, or name it as before."
            )

    def night(self, day: date | None) -> datetime:
        """The instant of a named night, or of the first one that the last extract may serve.

        Raises
        ------
        Problem : the extract does not reach the night, so that it would be scored without what happens until then.
        """
        timeline = self.settings.timeline
        newest = timeline.night_after(self.extracted_at)
        if day and timeline.night(day) > newest:
            raise Problem(
                f"The extract ends on {self.extracted_at:%Y-%m-%d %H:%M}, so that {timeline.day(newest)} is the newest night it can serve and "
                f"{day} is still to come: run `leadscore extract` first, or name an earlier night."
            )
        return timeline.night(day) if day else newest

    def night_due(self, day: date) -> datetime:
        """The instant of the night that a run was meant for; where the extract does not reach it, the newest one that it may serve.

        A source in which nothing happened since the night before is no reason for a red run: `stale` says when it has become one.
        """
        return min(self.settings.timeline.night(day), self.settings.timeline.night_after(self.extracted_at))

    def is_newest(self, night: datetime, now: datetime) -> bool:
        """Whether a night is the one that sales works from: no later one has begun by now, or could be scored from the extract."""
        timeline = self.settings.timeline
        return night >= self.extracted_at or timeline.night(timeline.day(night) + timedelta(days=1)) > now

    def capacities(self) -> dict[str, int]:
        """Calls a night by owner, where the table of owners says so."""
        owners = self.crm.owners.execute()
        return {str(owner): int(calls) for owner, calls in zip(owners["owner_id"], owners["capacity"], strict=True) if pd.notna(calls)}

    def list_rules(self) -> Rules:
        """What is wanted of the list, as `models.ranking` knows it."""
        wanted, owners = self.settings.list, self.crm.owners.execute()
        teams = {str(owner): str(team) for owner, team in zip(owners["owner_id"], owners["team"], strict=True) if pd.notna(team)}
        return Rules(
            by=wanted.by,
            value_weight=wanted.value_weight,
            capacity=wanted.capacity,
            explore=wanted.explore,
            per_account=wanted.per_account,
            hold=wanted.hold,
            boost=wanted.boost,
            teams=teams,
            team_capacity=wanted.team_capacity,
            route=wanted.route,
            covers=wanted.covers,
        )

    def territories(self) -> pd.Series:
        """The territory of each lead that has one, by lead id, as the field stands today.

        Raises
        ------
        Problem : [list] territory names no field of leads or accounts.
        """
        return self._field("territory", self.settings.list.territory)

    def sources(self) -> pd.Series:
        """Where each lead came from, by lead id, as the field stands today: the one that [list] names, or else the first that is called a source.

        Raises
        ------
        Problem : [list] source names no field of leads or accounts.
        """
        called = [a.name for a in self.attributes if a.origin == "leads" and re.sub("[^a-z]", "", a.name.lower()).endswith("source")]
        return self._field("source", self.settings.list.source or next(iter(called), ""))

    def _field(self, setting: str, name: str) -> pd.Series:
        """A field of leads, or of their accounts, by lead id."""
        if not name:
            return pd.Series(dtype=object)
        if name in self.crm.leads.columns:
            found = self.crm.leads.select("lead_id", value=self.crm.leads[name].cast("string"))
        elif name in self.crm.accounts.columns:
            homes = self.crm.accounts.select(home="account_id", value=self.crm.accounts[name].cast("string"))
            found = self.crm.leads.join(homes, self.crm.leads.account_id == homes.home).select("lead_id", "value")
        else:
            raise Problem(f"[list] {setting} names '{name}', which is no field of leads or accounts: correct the name in leadscore.toml.")
        return found.execute().set_index("lead_id")["value"]

    def lacks(self, plan: Plan) -> list[str]:
        """The fields that a model needs and the last extract did not bring."""
        there = {(a.origin, a.name) for a in self.attributes}
        return [f"{a.origin}.{a.name}" for a in plan.attributes if (a.origin, a.name) not in there]

    def stale(self, now: datetime) -> str | None:
        """What to mind when the source knows of nothing recent: a stopped export looks like a quiet week.

        None where the user said until when the source reaches.
        """
        source = self.settings.source
        days = (now - self.extracted_at).total_seconds() / 86_400
        if source.extracted_at or days <= source.stale_days:
            return None
        return (
            f"The newest thing that the source knows of is {days:.0f} days old ({self.extracted_at:%Y-%m-%d}), more than [source] stale_days = "
            f"{source.stale_days:g}: see whether its export has stopped, for this list then is an old one."
        )

    def as_of(self, day: date | None) -> Company:
        """The company as it stood strictly before a past night; itself when no night is named."""
        if day is None:
            return self
        night = self.night(day)
        return replace(self, crm=cut(self.crm, night), extracted_at=min(night, self.extracted_at))

    def as_extracted(self) -> Company:
        """The company as the last extract left it, whatever night it was cut at: today's values are judged by today's knowledge."""
        return _extracted(self.settings, self.warehouse, self.warehouse.extracted_at() or self.extracted_at).of_population()

    def past_nights(self) -> list[datetime]:
        """The as-of grid from the first lead to the end of the extract: back from the newest ripe night, and back from tonight to it.

        Raises
        ------
        Problem : history is shorter than horizon and settle lag.
        """
        timeline, since = self.settings.timeline, self.settings.training.since
        first = pd.Timestamp(self.crm.leads.created_at.min().execute()).to_pydatetime()
        if since:
            first = max(first, timeline.night(since))
        ripe = timeline.nights(first, self.extracted_at - timeline.gap)
        if not ripe:
            raise Problem(
                f"No night is ripe: leads start on {first:%Y-%m-%d} and the extract ends on {self.extracted_at:%Y-%m-%d}, too close for a "
                f"horizon of {timeline.horizon_days} days and a settle lag of {timeline.settle_days}. "
                "Extract more history, or shorten [outcome] horizon_days."
            )
        later = timeline.nights(ripe[-1], self.extracted_at)
        return ripe + [night for night in later if night > ripe[-1]]

    def nights(self, *instants: datetime) -> ibis.expr.types.Table:
        """Some nights as a table of one column, as features want them."""
        return ibis.memtable({"as_of": [pd.Timestamp(instant).to_pydatetime() for instant in instants]}, schema={"as_of": "timestamp(6)"})


@contextmanager
def open_company(settings: Settings) -> Iterator[Company]:
    """Open the warehouse, and close it again whatever happens.

    Raises
    ------
    Problem : nothing has been extracted yet.
    """
    with Warehouse.of(settings) as warehouse:
        yield company_of(settings, warehouse)


def company_of(settings: Settings, warehouse: Warehouse) -> Company:
    """The company as an open warehouse holds it.

    Raises
    ------
    Problem : nothing has been extracted yet.
    """
    extracted_at = warehouse.extracted_at()
    if extracted_at is None:
        raise Problem(f"The warehouse {settings.warehouse_name} holds no tables yet: run `leadscore extract` first.")
    return _extracted(settings, warehouse, extracted_at)


def _extracted(settings: Settings, warehouse: Warehouse, extracted_at: datetime) -> Company:
    """The company of the last extract, with leads that were merged into one as one person."""
    return Company(settings, warehouse, united(warehouse.crm(), extracted_at), extracted_at, warehouse.attributes())
