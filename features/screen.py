"""The leakage screen: every field of the company's own before every method, and what is left out for it.

The truncation audit (`features.leakage`) proves that nothing with a clock sees the future. What has no clock, a field of which only today's value
exists, is screened here: by what its values say of past leads (`proxies`), by when its history shows them (`aftermath`), by whether tonight's open
leads have them too (`likeness`, `adversary`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import ibis
import pandas as pd

from features import profile
from features.adversary import adversary
from features.aftermath import aftermath
from features.crm import Crm
from features.endings import endings
from features.finding import METHODS, Finding
from features.likeness import Nights, accusation, drift, shifts
from features.outcome import ever
from features.plan import Attribute, Plan
from features.population import population
from features.proxies import proxies

_ROWS = 200_000
_TOLD = 0.65


@dataclass(frozen=True)
class Screening:
    """What the screen found.

    Parameters
    ----------
    findings : one for each field and method that accuses it.
    notices : what is worth a word and no accusation: drift, and values that replay keeps from past nights.
    auc : how well past leads can be told from tonight's, by the fields that no other method accuses: 0.5 is not at all.
    """

    findings: tuple[Finding, ...] = ()
    notices: tuple[str, ...] = ()
    auc: float = 0.5

    @property
    def leading(self) -> tuple[Finding, ...]:
        """One finding a field: the one that is easiest to check."""
        ranked = sorted(self.findings, key=lambda finding: METHODS.index(finding.method))
        first = {(finding.origin, finding.field): finding for finding in reversed(ranked)}
        return tuple(first[place] for place in dict.fromkeys((finding.origin, finding.field) for finding in self.findings))

    @property
    def sentences(self) -> tuple[str, ...]:
        """Findings, then notices, each a line of a report."""
        return (*(finding.sentence for finding in self.leading), *self.notices)

    @property
    def counts(self) -> dict[str, float]:
        """Figures to be followed from training to training."""
        refused = sum(not finding.allowed for finding in self.leading)
        return {"fields_refused": refused, "fields_allowed": len(self.leading) - refused, "adversary_auc": self.auc}

    def kept(self, attributes: Sequence[Attribute]) -> tuple[Attribute, ...]:
        """The fields that are used: not accused, or allowed."""
        return tuple(_without(attributes, [finding for finding in self.findings if not finding.allowed]))

    def table(self) -> pd.DataFrame:
        """Every finding of every method: field, origin, method, evidence, advice, used."""
        columns = ["field", "origin", "method", "evidence", "advice", "used"]
        return pd.DataFrame([(f.field, f.origin, f.method, f.evidence, f.advice, f.allowed) for f in self.findings], columns=columns)


def screen(crm: Crm, tonight: datetime, examples: pd.DataFrame, plan: Plan, allow: Sequence[str] = (), seed: int = 7) -> Screening:
    """Put every field of which only today's value exists before every method, and every field's history beside its deals.

    To the business: the score stays as good tomorrow as it looked in training.

    Parameters
    ----------
    crm : the company as it was extracted, not cut at a night: today's values are judged by today's knowledge of how each lead ended.
    tonight : the first night after the extract.
    examples : the training table: lead_id, as_of, lead_age_days, and one column per attribute.
    allow : names the user insists on; they are reported, and marked as allowed.
    seed : of every draw.
    """
    findings, notices = aftermath(crm, plan.attributes)
    suspects, auc = [attribute for attribute in plan.attributes if attribute.known == "today"], 0.5
    if suspects:
        past, nights = compared(crm, tonight, examples, plan, suspects)
        moved = shifts(nights, suspects)
        findings += [
            *proxies(past, suspects, seed, said=plan.outcome.words),
            *(accusation(one, plan.outcome.words) for one in moved if one.accused(nights.limits)),
        ]
        # What is accused already would hide the rest from a classifier.
        trial = adversary(nights, _without(suspects, findings), seed)
        findings += trial.findings
        innocent = _without(suspects, findings)
        notices += [drift(one) for one in moved if one.excess > nights.limits.drift and one.attribute in innocent]
        notices += [trial.sentence] * (trial.auc > _TOLD)
        auc = trial.auc
    order = {(attribute.origin, attribute.name): place for place, attribute in enumerate(plan.attributes)}
    findings.sort(key=lambda finding: (order[finding.origin, finding.field], METHODS.index(finding.method)))
    return Screening(tuple(replace(finding, allowed=finding.field in allow) for finding in findings), tuple(notices), auc)


def compared(crm: Crm, tonight: datetime, examples: pd.DataFrame, plan: Plan, suspects: Sequence[Attribute]) -> tuple[pd.DataFrame, Nights]:
    """What the methods look at: past leads, one row each, for `proxies`; past nights beside tonight for `likeness` and `adversary`."""
    past = _past(crm, examples, suspects, plan)
    one_each = past.drop_duplicates("lead_id")
    came = one_each["as_of"] - pd.to_timedelta(one_each["lead_age_days"], unit="D")
    # Today's value is the same on every night of a lead, so that every k-th night tells as much.
    nights = Nights(past.iloc[:: -(-len(past) // _ROWS)], _tonight(crm, tonight, replace(plan, attributes=tuple(suspects))), said=plan.outcome.words)
    return one_each.assign(created_at=came), nights


def _without(attributes: Sequence[Attribute], findings: Sequence[Finding]) -> list[Attribute]:
    accused = {(finding.origin, finding.field) for finding in findings}
    return [attribute for attribute in attributes if (attribute.origin, attribute.name) not in accused]


def _past(crm: Crm, examples: pd.DataFrame, suspects: Sequence[Attribute], plan: Plan) -> pd.DataFrame:
    """The fields on training nights, with how each lead has ended by now."""
    first = plan.outcome.kind == "first purchase"
    ended = endings(crm, plan.closed_statuses).select("lead_id", "ending").execute() if first else _came(crm, examples, plan)
    return examples[["lead_id", "as_of", "lead_age_days", *(attribute.column for attribute in suspects)]].merge(ended, on="lead_id", how="left")


def _came(crm: Crm, examples: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Who came to an outcome that is no first purchase, within the horizon of an example or later; such an outcome has no losers."""
    within = examples.loc[examples["converted"].astype(bool), "lead_id"]
    return pd.DataFrame({"lead_id": sorted({*within, *ever(crm, plan.outcome)}), "ending": "won"})


def _tonight(crm: Crm, tonight: datetime, plan: Plan) -> pd.DataFrame:
    """The fields of the leads that are open now."""
    night = ibis.memtable({"as_of": [tonight]}, schema={"as_of": "timestamp(6)"})
    known = profile.table(crm, population(crm, night, plan), plan)
    return known.order_by("lead_id").execute()
