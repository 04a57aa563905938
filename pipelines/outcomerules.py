"""What counts as a conversion, as a company writes it down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, model_validator

from features.outcome import OF_CUSTOMERS, Filter, Kind, Outcome, Population
from features.plan import Plan
from pipelines.section import LONGEST, Days, Section

Wanted = dict[str, Annotated[tuple[str, ...], Field(min_length=1)]]


class OutcomeRules(Section):
    """What counts as a conversion, and from when until when somebody is worth scoring: see `features.outcome`.

    A customer is a lead that has bought, or with `population = "accounts"` the account of one, with everybody in it: see `features.accountwise`.
    `name` is `kind` unless it is given; a customer may have been disqualified as a lead, so of statuses only "merged" takes one off
    unless others are given.
    """

    kind: Kind = "first purchase"
    name: str = "first purchase"
    horizon_days: Days = 90
    settle_days: int = Field(default=7, ge=0, le=LONGEST)
    min_age_days: int = Field(default=0, ge=0, le=LONGEST)
    max_age_days: Days = 365
    closed_statuses: tuple[str, ...] = Plan.closed_statuses
    deals: Wanted = {}
    customers: Wanted = {}
    activities: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    population: Population = "leads"

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_kind(cls, given: Any) -> Any:
        kind = given.get("kind", "first purchase") if isinstance(given, dict) else "first purchase"
        if kind == "first purchase":
            return given
        return {"name": kind, **({"closed_statuses": ("merged",)} if kind in OF_CUSTOMERS else {}), **given}

    @model_validator(mode="after")
    def _of_one_piece(self) -> OutcomeRules:
        if self.kind == "meeting" and not (self.activities or self.statuses):
            raise ValueError('a meeting needs `activities` such as ["demo"], or `statuses` such as ["meeting held"]')
        if self.activities and self.kind != "meeting":
            raise ValueError("`activities` belong to the kind meeting")
        if self.statuses and self.kind not in ("meeting", "churn"):
            raise ValueError("`statuses` belong to the kinds meeting and churn")
        if self.customers and not self.rule.of_customers:
            raise ValueError("`customers` belong to the kinds next purchase, renewal and churn")
        if self.population == "accounts" and not self.rule.of_customers:
            raise ValueError('population = "accounts" belongs to the kinds next purchase, renewal and churn: an open lead is a person')
        if self.population == "accounts" and self.statuses:
            raise ValueError('`statuses` are those of leads, and an account has none: leave them out, or keep population = "leads"')
        if self.min_age_days >= self.max_age_days:
            raise ValueError(f"min_age_days is {self.min_age_days}, which leaves nobody under max_age_days = {self.max_age_days}")
        return self

    @property
    def rule(self) -> Outcome:
        """The outcome, as features know it."""
        return Outcome(self.kind, _filter(self.deals), _filter(self.customers), self.activities, self.statuses, self.population)


def _filter(wanted: Mapping[str, tuple[str, ...]]) -> Filter:
    return tuple((column, tuple(values)) for column, values in wanted.items())
