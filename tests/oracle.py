"""Every feature once more, as loops over rows that anyone can read: what the engine must agree with."""

from __future__ import annotations

import math
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

    def unite(self, today: datetime) -> None:
        """Leads merged into one: each gets copies of the other's deals, the one that remains copies of what the other did, from the merge on."""
        into = {}
        for lead in self.leads:
            if lead["merged_into"] is None or lead["merged_into"] == lead["lead_id"]:
                lead["merged_at"] = None
                continue
            logged = [c for c in self.changes if c["lead_id"] == lead["lead_id"] and c["field"] == "merged_into"]
            first = max(min(c["changed_at"] for c in logged), min(c["known_at"] for c in logged)) if logged else None
            lead["merged_at"] = lead["merged_at"] or first or today
            into[lead["lead_id"]] = (lead["merged_into"], lead["merged_at"])
        since: dict[tuple[str, str], datetime] = {}
        for merged in into:
            remains, known = merged, datetime.min
            for _ in range(3):
                if remains in into:
                    remains, known = into[remains][0], max(known, into[remains][1])
                    if remains != merged:
                        since[merged, remains] = min(known, since.get((merged, remains), known))
        deeds, deals = list(self.activities), list(self.deals)
        for (merged, remains), known in since.items():
            self.activities += [{**a, "lead_id": remains, "known_at": max(a["known_at"], known)} for a in deeds if a["lead_id"] == merged]
            for one, other in ((merged, remains), (remains, merged)):
                later = [(d, max(d["known_at"], known), max(d["created_at"], known)) for d in deals if d["lead_id"] == one]
                self.deals += [{**d, "lead_id": other, "known_at": k, "created_at": c} for d, k, c in later]

    def house(self) -> None:
        """Everybody at an account becomes one lead: the first contact's row under the account's id, with what every contact did and bought."""
        home, known, since, first = self._homes()
        ids = {lead["lead_id"]: lead for lead in self.leads}
        of = {name: lead["account_id"] for name, lead in ids.items()}
        none = dict.fromkeys(("status", "unsubscribed", "email", "merged_into", "merged_at"))
        self.changes = [
            {**c, "lead_id": home[who], "known_at": max(c["known_at"], since[who]) if of[who] else c["known_at"]}
            for c in self.changes
            if (who := c["lead_id"]) in ids and c["field"] != "account_id"
            if not of[who] or c["field"] == "stage" or (c["field"] == "owner_id" and first[home[who]] == who)
        ]
        deeds = [
            {**a, "lead_id": home[who], "known_at": max(a["known_at"], since[who]) if of[who] else a["known_at"]}
            for a in self.activities
            if (who := a["lead_id"]) in ids
        ]
        deals, places = [], {account: home[who] for who, account in of.items() if account}
        for deal in self.deals:
            who = deal["lead_id"]
            account = deal["account_id"] if deal["account_id"] in places else of[who]
            floor = known[who] if deal["account_id"] in places else since[who] if account else datetime.min
            later = {"created_at": max(deal["created_at"], floor), "known_at": max(deal["known_at"], floor)}
            deals.append({**deal, **later, "lead_id": places.get(account, who), "account_id": account})
        self.activities = self._once(deeds, "activity_id", "known_at")
        self.deals = self._once(deals, "deal_id", "created_at", "known_at")
        self.leads = [{**ids[who], **({"lead_id": name, "known_at": since[who], **none} if of[who] else {})} for name, who in first.items()]

    def _homes(self) -> tuple[dict[str, str], dict[str, datetime], dict[str, datetime], dict[str, str]]:
        """Of each lead whom it is one with, when it was known, and since when that; of each home its first contact."""
        ids = {lead["lead_id"] for lead in self.leads}
        home, known, since, first = {}, {}, {}, dict[str, str]()
        for lead in self.leads:
            who, account = lead["lead_id"], lead["account_id"]
            home[who] = who if not account else f"account {account}" if account in ids else account
            known[who] = since[who] = max(lead["known_at"], lead["created_at"])
            moves = [c for c in self.changes if c["lead_id"] == who and c["field"] == "account_id"]
            entries = [max(c["changed_at"], c["known_at"]) for c in moves if c["new_value"] == account]
            began = min(moves, key=lambda c: (c["known_at"], c["changed_at"], c["new_value"]))["old_value"] if moves else None
            if entries and (account is None or began != account):
                since[who] = max(since[who], min(entries))
        for lead in sorted(self.leads, key=lambda lead: (since[lead["lead_id"]], lead["created_at"], lead["lead_id"])):
            first.setdefault(home[lead["lead_id"]], lead["lead_id"])
        return home, known, since, first

    @staticmethod
    def _once(rows: Rows, key: str, *clocks: str) -> Rows:
        kept: dict[Any, dict[str, Any]] = {}
        for row in sorted(rows, key=lambda row: tuple(row[clock] for clock in clocks)):
            kept.setdefault((row["lead_id"], row[key]), row)
        return list(kept.values())

    def gone(self, lead: dict[str, Any], as_of: datetime) -> bool:
        return lead["merged_at"] is not None and lead["merged_at"] < as_of

    def counting(self, wanted: Any) -> Rows:
        return [d for d in self.deals if all(d[column] in values for column, values in wanted)]

    def purchases(self, lead: dict[str, Any], as_of: datetime | None = None) -> Rows:
        wanted = self.plan.outcome.customers or self.plan.outcome.deals
        won = [d for d in self.counting(wanted) if d["lead_id"] == lead["lead_id"] and d["outcome"] == "won"]
        return sorted((d for d in won if as_of is None or self.closed_by(d, as_of)), key=lambda d: d["closed_at"])

    def events(self, lead: dict[str, Any]) -> list[tuple[datetime, datetime]]:
        """When what counts happened to a lead, and when that was known."""
        outcome, me = self.plan.outcome, lead["lead_id"]
        if outcome.activities or outcome.statuses:
            met = [(a["occurred_at"], a["known_at"]) for a in self.activities if a["lead_id"] == me and a["kind"] in outcome.activities]
            status = [c for c in self.changes if c["lead_id"] == me and c["field"] == "status" and c["new_value"] in outcome.statuses]
            return [(at, max(at, known)) for at, known in met + [(c["changed_at"], c["known_at"]) for c in status]]
        won = [d for d in self.counting(outcome.deals) if d["lead_id"] == me and d["outcome"] == "won"]
        return [(d["closed_at"], max(d["closed_at"], d["known_at"])) for d in won]

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

    def is_scored(self, lead: dict[str, Any], as_of: datetime) -> bool:
        line, outcome = self.plan.timeline, self.plan.outcome
        if not (lead["known_at"] < as_of and lead["created_at"] < as_of) or self.gone(lead, as_of):
            return False
        bought = self.purchases(lead, as_of)
        if outcome.of_customers and not bought:
            return False
        begun = bought[-1]["closed_at"] if outcome.of_customers else lead["created_at"]
        if not as_of - timedelta(days=line.max_age_days) <= begun < as_of - timedelta(days=line.min_age_days):
            return False
        if not outcome.of_customers and self.is_closed(lead, as_of):
            return False
        status = self.value_at(lead, "status", as_of) if "status" in self.plan.tracked else None
        return status is None or status.lower() not in (*self.plan.closed_statuses, *outcome.statuses)

    def is_closed(self, lead: dict[str, Any], as_of: datetime) -> bool:
        deals = [d for d in self.counting(self.plan.outcome.deals) if d["lead_id"] == lead["lead_id"] and d["created_at"] < as_of]
        if any(d["outcome"] == "won" and self.closed_by(d, as_of) for d in deals):
            return True
        if deals and all(self.closed_by(d, as_of) for d in deals):
            return True
        return self.plan.outcome.kind == "meeting" and any(known < as_of for _, known in self.events(lead))

    def label(self, lead: dict[str, Any], as_of: datetime, extracted_at: datetime) -> bool | None:
        line, outcome = self.plan.timeline, self.plan.outcome
        if as_of + timedelta(days=line.horizon_days + line.settle_days) > extracted_at:
            return None
        happened = [at for at, _ in self.events(lead)]
        if not outcome.of_customers and any(at < as_of for at in happened):
            return None
        came = any(as_of <= at < as_of + timedelta(days=line.horizon_days) for at in happened)
        return not came if outcome.is_absence else came

    def amount(self, lead: dict[str, Any], as_of: datetime, extracted_at: datetime) -> float | None:
        """What the purchase brought with which a lead-night converted; deals won at the same instant together."""
        outcome = self.plan.outcome
        if not self.label(lead, as_of, extracted_at) or outcome.is_absence or outcome.activities or outcome.statuses:
            return None
        won = [d for d in self.counting(outcome.deals) if d["lead_id"] == lead["lead_id"] and d["outcome"] == "won" and d["closed_at"] >= as_of]
        first = min(d["closed_at"] for d in won)
        amounts = [d["amount"] for d in won if d["closed_at"] == first and d["amount"] is not None]
        return sum(amounts) if amounts else None

    def seen(self, lead_id: str, as_of: datetime) -> Rows:
        return [a for a in self.activities if a["lead_id"] == lead_id and a["known_at"] < as_of and a["occurred_at"] < as_of]

    def features(self, lead: dict[str, Any], as_of: datetime) -> dict[str, Any]:
        return {
            **self.profile(lead, as_of),
            **self.engagement(lead, as_of),
            **self.deal_features(lead, as_of),
            **(self.purchase_features(lead, as_of) if self.plan.outcome.of_customers else {}),
            **self.account(lead, as_of),
            **self.outreach(lead, as_of),
        }

    def profile(self, lead: dict[str, Any], as_of: datetime) -> dict[str, Any]:
        found: dict[str, Any] = {"lead_age_days": days(as_of, lead["created_at"])}
        for a in self.plan.attributes:
            if a.origin == "leads":
                found[a.column] = self.value_at(lead, a.name, as_of) if a.known == "history" else lead[a.name]
            elif a.origin == "deals":
                opened = [d for d in self.deals if d["lead_id"] == lead["lead_id"] and d["created_at"] < as_of]
                newest = min(opened, key=lambda d: (-d["created_at"].timestamp(), d["deal_id"]), default={})
                found[a.column] = newest.get(a.name)
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
        for half in self.plan.half_lives:
            found[f"in_fading_{half}d"] = faded([days(as_of, a["occurred_at"]) for a in inward], half)
        for deed in self.plan.deeds:
            mine = [a for a in seen if a["kind"] == deed.kind and a["direction"] == deed.direction]
            for half in self.plan.half_lives:
                found[f"{deed.column}_fading_{half}d"] = faded([days(as_of, a["occurred_at"]) for a in mine], half)
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

    def purchase_features(self, lead: dict[str, Any], as_of: datetime) -> dict[str, Any]:
        bought = self.purchases(lead, as_of)
        first, last = bought[0]["closed_at"], bought[-1]["closed_at"]
        amounts = [d["amount"] for d in bought if d["amount"] is not None]
        newest = min((d for d in bought if d["closed_at"] == last), key=lambda d: d["deal_id"])
        rhythm = days(last, first) / (len(bought) - 1) if len(bought) > 1 else None
        return {
            "purchases": len(bought),
            "bought_amount": sum(amounts) if amounts else None,
            "last_amount": newest["amount"],
            "days_since_purchase": days(as_of, last),
            "days_since_first_purchase": days(as_of, first),
            "days_between_purchases": rhythm,
            "rhythm_passed": days(as_of, last) / rhythm if rhythm else None,
        }

    def account(self, lead: dict[str, Any], as_of: datetime) -> dict[str, Any]:
        home, me = lead["account_id"], lead["lead_id"]
        others = [o for o in self.leads if home is not None and o["account_id"] == home and o["lead_id"] != me and not self.gone(o, as_of)]
        there = [o for o in others if o["known_at"] < as_of and o["created_at"] < as_of]
        found: dict[str, Any] = {"siblings": len(there)}
        for width in (30, 90):
            found[f"siblings_in_{width}d"] = sum(
                a["direction"] == "in" and days(as_of, a["occurred_at"]) <= width for o in there for a in self.seen(o["lead_id"], as_of)
            )
        homes = {o["lead_id"]: o["account_id"] for o in self.leads if o["known_at"] < as_of and o["created_at"] < as_of}
        gone = {o["lead_id"] for o in self.leads if self.gone(o, as_of)}
        theirs = [d for d in self.deals if home is not None and d["lead_id"] not in {me, *gone} and d["created_at"] < as_of]
        deals = [d for d in theirs if (d["account_id"] or homes.get(d["lead_id"])) == home]
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
            **{f"lift_{name}": self.lift(lead, name, as_of) for name in self.plan.rated},
        }

    def group(self, lead: dict[str, Any], name: str, as_of: datetime) -> Any:
        changes = [c for c in self.changes if c["lead_id"] == lead["lead_id"] and c["field"] == name]
        if name in self.plan.tracked and changes:
            first = min(changes, key=lambda c: (c["known_at"], c["changed_at"], c["new_value"]))
            entered = first["new_value"] if first["known_at"] < as_of else None
            return first["old_value"] if first["old_value"] is not None else entered
        return lead[name]

    def lift(self, lead: dict[str, Any], name: str, as_of: datetime) -> float | None:
        line, outcome, k = self.plan.timeline, self.plan.outcome, self.plan.smoothing
        reach = timedelta(days=line.min_age_days + line.horizon_days)
        # Everybody's chances: a lead's from its creation, a customer's from each purchase.
        chances = [(o, o["created_at"]) for o in self.leads if o["known_at"] < as_of]
        if outcome.of_customers:
            chances = [(o, d["closed_at"]) for o, _ in chances if o["created_at"] < as_of for d in self.purchases(o, as_of)]
        ripe = [(o, start) for o, start in chances if start + reach + timedelta(days=line.settle_days) <= as_of]

        def came(one: dict[str, Any], start: datetime) -> bool:
            since = start if outcome.of_customers else datetime.min
            found = any(since < at < start + reach and known < as_of for at, known in self.events(one))
            return not found if outcome.is_absence else found

        if not any(came(*one) for one in ripe):
            return None
        overall = sum(came(*one) for one in ripe) / len(ripe)
        own = self.group(lead, name, as_of)
        group = [one for one in ripe if own is not None and self.group(one[0], name, as_of) == own]
        return (sum(came(*one) for one in group) + k * overall) / (len(group) + k) / overall


def days(later: datetime, earlier: datetime | None) -> float | None:
    return None if earlier is None else (later - earlier).total_seconds() / 86_400


def faded(ages: list[float], half_life: int) -> float:
    """What activities of some ages count for, each half as much after every half-life."""
    return sum(0.5 ** (age / half_life) for age in ages)


def hours(later: datetime | None, earlier: datetime) -> float | None:
    return None if later is None else (later - earlier).total_seconds() / 3_600


def same(one: object, other: object) -> bool:
    """Whether engine and loop say the same: missing is missing, texts are equal, numbers close."""
    missing = [value is None or (isinstance(value, float) and math.isnan(value)) for value in (one, other)]
    if any(missing):
        return all(missing)
    return one == other if isinstance(other, str) else math.isclose(float(str(one)), float(str(other)), abs_tol=1e-9)
