"""[list]: what a rep can work, who must not be called, and whom a lead goes to."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from pipelines.section import LONGEST, Section, Share


class ListRules(Section):
    """What a company wants of its lists.

    `by` orders by "probability", "expected value" or a "blend" of both, see `models.ranking.Rules`. `capacity` is calls a night of an owner whom the
    table of owners does not give one, `team_capacity` those of a whole team. `explore` is the share of them drawn at random among the rest, flagged
    and logged with its probability, by which the benefit of scoring can be measured; `hold` by how much better a lead must be to push another off
    that was listed the night before; `boost` by how much a lead is raised that came in by itself within `fresh_hours` and was not touched yet. A lead
    rests for `rest_days` after our last touch, and no more than `per_account` of one account are called (0: no limit). Leads that nobody owns go to
    reps with room (`route`), by `territory`, a field of leads or accounts, where `covers` says which of its values are whose. From the sub-scores
    `fit` and `engagement` on marketing hands a lead over, see `models.grade`. `quota` is what a team is to reach within the horizon, a rep's
    stands in the table of owners, and both count `quota_of`, "wins" or "amount". `source` is the field by which the page says where a lead came from.
    """

    by: Literal["probability", "expected value", "blend"] = "probability"
    value_weight: Share = 0.5
    capacity: int = Field(default=25, ge=1)
    team_capacity: dict[str, int] = {}
    explore: Share = 0.05
    hold: float = Field(default=0.1, ge=0, le=10)
    boost: float = Field(default=0.5, ge=0, le=100)
    fresh_hours: float = Field(default=24.0, ge=0, le=LONGEST)
    rest_days: float = Field(default=1.0, ge=0, le=LONGEST)
    per_account: int = Field(default=3, ge=0)
    quota: dict[str, float] = {}
    quota_of: Literal["wins", "amount"] = "amount"
    route: bool = True
    territory: str = ""
    source: str = ""
    covers: dict[str, tuple[str, ...]] = {}
    fit: int = Field(default=50, ge=0, le=100)
    engagement: int = Field(default=60, ge=0, le=100)
    hour: int = Field(default=2, ge=0, le=23)

    @field_validator("team_capacity")
    @classmethod
    def _some_calls(cls, calls: dict[str, int]) -> dict[str, int]:
        for team, number in calls.items():
            if number < 0:
                raise ValueError(f"'{team}' has {number} calls a night, which is less than none")
        return calls

    @field_validator("quota")
    @classmethod
    def _something_to_reach(cls, quotas: dict[str, float]) -> dict[str, float]:
        for team, quota in quotas.items():
            if not 0 <= quota < float("inf"):
                raise ValueError(f"'{team}' has a quota of {quota:g}, which is nothing that can be reached")
        return quotas
