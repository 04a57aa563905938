"""A night as sales sees it: the ledger's rows with names instead of ids, what happened with each lead, and what there is to say about it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import ibis
import pandas as pd

from features.diary import diary
from features.outcome import Outcome, purchases
from models.registry import Champion
from models.scorer import Scorer
from pipelines.company import Company
from pipelines.delivery.goals import Goals
from pipelines.delivery.night import Night, shown

_LINES = 8
_BLANK = {"name": "", "company": "", "team": "", "territory": "", "source": ""}


def tonight(company: Company, champion: Champion | None, night: datetime) -> Night:
    """A night of the ledger as a page, a sheet and a letter tell it.

    Parameters
    ----------
    champion : by which the night was scored; None: it is no longer kept.
    """
    settings, outcome = company.settings, company.settings.chosen
    leads = named(company, company.warehouse.read_night(night, outcome))
    leads = leads.assign(history=leads["lead_id"].map(_histories(company, night)), new=_new(company, leads, night))
    return Night(
        settings.company.name,
        settings.company.currency,
        settings.timeline.day(night),
        settings.outcome.horizon_days,
        settings.outcome.name,
        leads.assign(diary=leads["lead_id"].map(_diaries(company, leads, night))),
        (*_belief(company, champion), *company.warehouse.shift(night, outcome)),
        (*filter(None, [champion.minded if champion else ""]), *_resting(leads), *company.notices()),
        words=settings.outcome.rule.words,
        as_of=night,
        chosen=outcome,
        crm_link=settings.delivery.crm_link,
        goals=goals(company, night),
    )


def named(company: Company, ledger: pd.DataFrame) -> pd.DataFrame:
    """Rows of the ledger with the names of leads, owners and teams, and with where each lead came from and belongs."""
    people, owners = company.crm.leads.select("lead_id", "name", "company").execute(), company.crm.owners.execute().set_index("owner_id")
    told = ledger.merge(people, on="lead_id", how="left").assign(
        reasons=lambda t: t["reasons"].map(json.loads),
        owner=lambda t: t["owner_id"].map(owners["name"]).astype(object).fillna(t["owner_id"]),
        team=lambda t: t["owner_id"].map(owners["team"]),
        territory=lambda t: t["lead_id"].map(company.territories()),
        source=lambda t: t["lead_id"].map(company.sources()),
    )
    return told.assign(**{name: told[name].astype(object).where(told[name].notna(), blank) for name, blank in _BLANK.items()})


def goals(company: Company, night: datetime) -> Goals:
    """What is to be reached, and how unlike each other the deals are that were won by the night."""
    wanted, owners = company.settings.list, company.crm.owners.execute()
    quotas = owners.dropna(subset="quota")
    won = purchases(company.crm, Outcome()).filter(lambda t: t.known_at < ibis.literal(night, "timestamp(6)"), lambda t: t.amount > 0)
    amounts = won.amount.execute()
    return Goals(
        {str(owner): float(quota) for owner, quota in zip(quotas["owner_id"], quotas["quota"], strict=True)},
        dict(wanted.quota),
        wanted.quota_of,
        tuple(sorted(amounts / amounts.mean())) if len(amounts) else (1.0,),
        {str(owner): wanted.capacity for owner in owners["owner_id"]} | company.capacities(),
        dict(wanted.team_capacity),
    )


def _histories(company: Company, night: datetime) -> pd.Series:
    """The past scores of each lead: day and probability, by lead id."""
    past = company.warehouse.histories(night, outcome=company.settings.chosen)
    past["point"] = list(zip(past["as_of"].dt.strftime("%Y-%m-%d"), past["probability"], strict=True))
    return past.groupby("lead_id")["point"].agg(list)


def _new(company: Company, leads: pd.DataFrame, night: datetime) -> pd.Series:
    """Who is listed and was not the night before; nobody on the first night of all."""
    before = company.warehouse.last_listed(night, company.settings.chosen)
    return leads["listed"].astype(bool) & ~leads["lead_id"].isin(before.index) & bool(len(before))


def _diaries(company: Company, leads: pd.DataFrame, night: datetime) -> pd.Series:
    """The newest things that happened with each lead that is shown, by lead id: local day, who, what, and how often on that day."""
    spine = ibis.memtable(leads.loc[shown(leads), ["lead_id"]].assign(as_of=night), schema={"lead_id": "string", "as_of": "timestamp(6)"})
    told, zone = diary(company.crm, spine).execute(), ZoneInfo(company.settings.company.time_zone)
    told["day"] = told["occurred_at"].dt.tz_localize(UTC).dt.tz_convert(zone).dt.strftime("%Y-%m-%d")
    each = told.groupby(["lead_id", "day", "who", "what"], sort=False).size().reset_index(name="times")
    each = each[each.groupby("lead_id").cumcount() < _LINES]
    each["line"] = list(each[["day", "who", "what", "times"]].itertuples(index=False, name=None))
    return each.groupby("lead_id")["line"].agg(list)


def _resting(leads: pd.DataFrame) -> tuple[str, ...]:
    """Who is left out of the calls, and why, as one sentence."""
    counts = leads["left_out"].fillna("").loc[lambda why: why != ""].value_counts()
    # By hand each has words of its own.
    by_rule = counts[~counts.index.str.startswith("off the list")]
    said = [f"{times:,}: {why}" for why, times in sorted(by_rule.items(), key=lambda one: (-one[1], one[0]))]
    said += [f"{counts.sum() - by_rule.sum():,}: off the list by hand"] * bool(counts.sum() > by_rule.sum())
    return (f"Left out of the calls today: {'; '.join(said)}.",) if said else ()


def _belief(company: Company, champion: Champion | None) -> tuple[str, ...]:
    """How far to believe it, from the run that the champion came from."""
    if champion is None:
        return ("The model that scored this night is no longer kept, so that nothing is said of how far to believe it.",)
    settings, scorer = company.settings, champion.scorer
    if scorer.caveat:
        return (
            f"These scores are {scorer.caveat}.",
            f"A points table ranks the {settings.outcome.rule.words.those} until then (version {champion.version}).",
        )
    said, found = settings.outcome.rule.words, champion.metrics
    model = f"Model: {scorer.model.name}, version {champion.version}, learned from what was known until {scorer.known_until:%Y-%m-%d}."
    if not found:
        return (model, "The run that it came from is no longer kept, and with it how it did on past nights.")
    share, slope = found["worked_share"], found["calibration_slope"]
    return (
        f"On past nights it had not seen, {100 * share:.0f} of 100 {said.who}s, {said.first}, held 9 of 10 {said.found} "
        f"(95 % interval {100 * found['worked_share_low']:.0f} to {100 * found['worked_share_high']:.0f}); in random order that takes 90.",
        f"The best tenth of a night {said.rate} {found['lift_at_10']:.1f} times as often as the average "
        f"({found['lift_at_10_low']:.1f} to {found['lift_at_10_high']:.1f}).",
        f"Calibration slope {slope:.2f} ({found['calibration_slope_low']:.2f} to {found['calibration_slope_high']:.2f}); 1 is perfect.",
        *_worth(scorer, said.who),
        model,
    )


def _worth(scorer: Scorer, who: str) -> tuple[str, ...]:
    """What expected value is, where there is any."""
    if scorer.amount:
        return (f"Expected value is the probability times the amount expected of each {who}, should it come to that.",)
    return () if scorer.value is None else (f"Expected value is the probability times the average amount, the same for every {who}.",)


def caveat(champion: Champion) -> tuple[str, ...]:
    """Where scores are not learned, what they are; and where the model did not come from the registry, where from."""
    rules = tuple(f"These scores are {caveat}." for caveat in [champion.scorer.caveat] if caveat)
    return (*rules, *filter(None, [champion.minded]))
