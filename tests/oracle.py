"""Every feature once more, as loops over rows that anyone can read: what the engine must agree with."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from features.plan import Plan

Rows = list[dict[str, Any]]


def rows_of(frame: pd.DataFrame) -> Rows:
    """A table as dictionaries, missing as None."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


class Oracle:
    """A company as lists of dictionaries, asked about one lead on one night."""

    def __init__(self, tables: dict[str, pd.DataFrame], plan: Plan) -> None:
        self.leads, self.changes = rows_of(tables["leads"]), rows_of(tables["lead_changes"])
        self.activities, self.deals = rows_of(tables["activities"]), rows_of(tables["deals"])
        self.accounts = {row["account_id"]: row for row in rows_of(tables["accounts"])}
        self.plan = plan

    def value_at(self, lead: dict[str, Any], field: str, as_of: datetime) -> Any:
        changes = [c for c in self.changes if c["lead_id"] == lead["lead_id"] and c["field"] == field]
        known = [c for c in changes if c["known_at"] < as_of]
        if known:
            return max(known, key=lambda c: (c["changed_at"], c["known_at"], c["new_value"]))["new_value"]
        if changes:
            return min(changes, key=lambda c: (c["known_at"], c["changed_at"], c["new_value"]))["old_value"]
        return lead[field]

    def closing(self, deal: dict[str, Any]) -> datetime | None:
        return max(deal["closed_at"], deal["known_at"]) if deal["outcome"] != "open" else None

    def closed_by(self, deal: dict[str, Any], as_of: datetime) -> bool:
        closing = self.closing(deal)
        return closing is not None and closing < as_of

    def is_open(self, lead: dict[str, Any], as_of: datetime) -> bool:
        line = self.plan.timeline
        if not (lead["known_at"] < as_of and lead["created_at"] < as_of and lead["created_at"] >= as_of - timedelta(days=line.max_age_days)):
            return False
        deals = [d for d in self.deals if d["lead_id"] == lead["lead_id"] and d["created_at"] < as_of]
        if any(d["outcome"] == "won" and self.closed_by(d, as_of) for d in deals):
            return False
        if deals and all(self.closed_by(d, as_of) for d in deals):
            return False
        status = self.value_at(lead, "status", as_of) if "status" in self.plan.tracked else None
        return status is None or status.lower() not in self.plan.closed_statuses

    def label(self, lead: dict[str, Any], as_of: datetime, extracted_at: datetime) -> bool | None:
        line = self.plan.timeline
        if as_of + timedelta(days=line.horizon_days + line.settle_days) > extracted_at:
            return None
        wins = [d["closed_at"] for d in self.deals if d["lead_id"] == lead["lead_id"] and d["outcome"] == "won"]
        if wins and min(wins) < as_of:
            return None
        return bool(wins) and min(wins) < as_of + timedelta(days=line.horizon_days)

    def seen(self, lead_id: str, as_of: datetime) -> Rows:
        return [a for a in self.activities if a["lead_id"] == lead_id and a["known_at"] < as_of and a["occurred_at"] < as_of]

    def features(self, lead: dict[str, Any], as_of: datetime) -> dict[str, Any]:
        return {
            **self.profile(lead, as_of),
            **self.engagement(lead, as_of),
            **self.deal_features(lead, as_of),
            **self.account(lead, as_of),
            **self.outreach(lead, as_of),
        }

    def profile(self, lead: dict[str, Any], as_of: datetime) -> dict[str, Any]:
        found: dict[str, Any] = {"lead_age_days": days(as_of, lead["created_at"])}
        for a in self.plan.attributes:
            if a.origin == "leads":
                found[a.column] = self.value_at(lead, a.name, as_of) if a.known == "history" else lead[a.name]
            else:
                found[a.column] = self.accounts.get(lead["account_id"], {}).get(a.name)
        return found

    def engagement(self, lead: dict[str, Any], as_of: datetime) -> dict[str, Any]:
        seen = self.seen(lead["lead_id"], as_of)
        inward = [a for a in seen if a["direction"] == "in"]
        found: dict[str, Any] = {}
        spans = [(f"in_{w}d", w) for w in self.plan.windows] + [("ever", 10**6)]
        for span, width in spans:
            inside = [a for a in inward if days(as_of, a["occurred_at"]) <= width]
            found[f"in_{span}"] = len(inside)
            if span != "in_1d":
                found[f"active_days_{span}"] = len({a["occurred_at"].date() for a in inside})
        found["days_since_in"] = days(as_of, max((a["occurred_at"] for a in inward), default=None))
        found["days_since_first_in"] = days(as_of, min((a["occurred_at"] for a in inward), default=None))
        week = sum(days(as_of, a["occurred_at"]) <= 7 for a in inward)
        month = sum(days(as_of, a["occurred_at"]) <= 30 for a in inward)
        found["velocity"] = (week + 1) / (month * 7 / 30 + 1)
        for deed in self.plan.deeds:
            mine = [a for a in seen if a["kind"] == deed.kind and a["direction"] == deed.direction]
            for span, width in spans:
                found[f"{deed.column}_{span}"] = sum(days(as_of, a["occurred_at"]) <= width for a in mine)
            found[f"{deed.column}_recency"] = days(as_of, max((a["occurred_at"] for a in mine), default=None))
        return found

    def deal_features(self, lead: dict[str, Any], as_of: datetime) -> dict[str, Any]:
        deals = [d for d in self.deals if d["lead_id"] == lead["lead_id"] and d["created_at"] < as_of]
        standing = [d for d in deals if not self.closed_by(d, as_of)]
        moves = [
            c["changed_at"]
            for c in self.changes
            if c["lead_id"] == lead["lead_id"] and c["field"] == "stage" and c["known_at"] < as_of and c["changed_at"] < as_of
        ]
        return {
            "open_deals": len(standing),
            "open_deal_days": days(as_of, max((d["created_at"] for d in standing), default=None)),
            "lost_deals": sum(d["outcome"] == "lost" and self.closed_by(d, as_of) for d in deals),
            "days_since_stage_change": days(as_of, max(moves, default=None)),
        }

    def account(self, lead: dict[str, Any], as_of: datetime) -> dict[str, Any]:
        home, me = lead["account_id"], lead["lead_id"]
        others = [o for o in self.leads if home is not None and o["account_id"] == home and o["lead_id"] != me]
        there = [o for o in others if o["known_at"] < as_of and o["created_at"] < as_of]
        found: dict[str, Any] = {"siblings": len(there)}
        for width in (30, 90):
            found[f"siblings_in_{width}d"] = sum(
                a["direction"] == "in" and days(as_of, a["occurred_at"]) <= width for o in there for a in self.seen(o["lead_id"], as_of)
            )
        homes = {o["lead_id"]: o["account_id"] for o in self.leads if o["known_at"] < as_of and o["created_at"] < as_of}
        deals = [
            d
            for d in self.deals
            if home is not None and d["lead_id"] != me and (d["account_id"] or homes.get(d["lead_id"])) == home and d["created_at"] < as_of
        ]
        won = [d for d in deals if d["outcome"] == "won" and self.closed_by(d, as_of)]
        found["account_won_deals"] = len(won)
        found["account_won_amount"] = sum(d["amount"] or 0.0 for d in won)
        found["account_open_deals"] = sum(not self.closed_by(d, as_of) for d in deals)
        return found

    def outreach(self, lead: dict[str, Any], as_of: datetime) -> dict[str, Any]:
        seen = self.seen(lead["lead_id"], as_of)
        out = sorted(a["occurred_at"] for a in seen if a["direction"] == "out")
        inward = sorted(a["occurred_at"] for a in seen if a["direction"] == "in")
        answers = [at for at in inward if out and at >= out[0]]
        return {
            **{f"touches_{w}d": sum(days(as_of, at) <= w for at in out) for w in self.plan.windows},
            "touches_ever": len(out),
            "days_since_touch": days(as_of, out[-1] if out else None),
            "unanswered": sum(not inward or at > inward[-1] for at in out),
            "hours_to_first_touch": hours(out[0] if out else None, lead["created_at"]),
            "hours_to_response": hours(answers[0] if answers else None, lead["created_at"]),
            **{f"rate_{name}": self.rate(lead, name, as_of) for name in self.plan.rated},
        }

    def group(self, lead: dict[str, Any], name: str, as_of: datetime) -> Any:
        changes = [c for c in self.changes if c["lead_id"] == lead["lead_id"] and c["field"] == name]
        if name in self.plan.tracked and changes:
            first = min(changes, key=lambda c: (c["known_at"], c["changed_at"], c["new_value"]))
            entered = first["new_value"] if first["known_at"] < as_of else None
            return first["old_value"] if first["old_value"] is not None else entered
        return lead[name]

    def rate(self, lead: dict[str, Any], name: str, as_of: datetime) -> float | None:
        line, k = self.plan.timeline, self.plan.smoothing
        ripe = [o for o in self.leads if o["created_at"] + timedelta(days=line.horizon_days + line.settle_days) <= as_of and o["known_at"] < as_of]

        def won(one: dict[str, Any]) -> bool:
            return any(
                d["lead_id"] == one["lead_id"]
                and d["outcome"] == "won"
                and d["closed_at"] < one["created_at"] + timedelta(days=line.horizon_days)
                and self.closed_by(d, as_of)
                for d in self.deals
            )

        if not ripe:
            return None
        overall = sum(map(won, ripe)) / len(ripe)
        own = self.group(lead, name, as_of)
        group = [o for o in ripe if own is not None and self.group(o, name, as_of) == own]
        return (sum(map(won, group)) + k * overall) / (len(group) + k)


def days(later: datetime, earlier: datetime | None) -> float | None:
    return None if earlier is None else (later - earlier).total_seconds() / 86_400


def hours(later: datetime | None, earlier: datetime) -> float | None:
    return None if later is None else (later - earlier).total_seconds() / 3_600
