"""An answer to a person who asks what is known of them (GDPR, articles 13 to 15 and 22): in plain words, complete, and for a machine as a copy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pandas as pd

from features import examples
from features.problem import Problem
from pipelines.baserate import followed
from pipelines.company import Company, open_company
from pipelines.erase import person
from pipelines.registry import registry_of
from pipelines.report import Report
from pipelines.settings import Settings
from pipelines.story import every_reason

_CRM = {"lead_changes": "changed_at", "activities": "occurred_at", "deals": "created_at"}
_OURS = {"ledger": "as_of", "feedback": "as_of", "decisions": "given_at", "writebacks": "as_of"}
_NEVER = "Names, addresses, telephone numbers and the texts of messages never count; they are shown to the sales team."
_DECIDES = (
    "A person decides. The score puts a list in order; whether, when and about what anybody is called is decided by the member of the sales team in "
    "charge, who sees the reasons, can overrule the order, and is not bound by it. No contract, price, credit or refusal follows from a score."
)
_RIGHTS = (
    "To know: this is the answer. A complete copy for a machine comes with --json.",
    "To have it corrected: what is wrong is corrected in the CRM where it came from, and the next night's score takes it from there.",
    "To be erased: `leadscore erase` takes the person out of everything here for good; the CRM is asked to do the same.",
    "To object: once the CRM says unsubscribed or do_not_contact, nobody calls; who wants not to be scored at all is erased, and stays so.",
    "To have a person look at it again: whoever is in charge can move anybody up or off the list by hand.",
    "To complain to the authority for data protection.",
)


@dataclass(frozen=True)
class Disclosure:
    """What is told to the person.

    Parameters
    ----------
    known : what is known: "what", "value", "from" (the table), "since".
    scores : outcome -> sentences: the score, what counted for it and against it.
    kept : sentences on what it is for, who sees it and how long it is kept.
    copy : every row that is kept of the person, table by table.
    """

    company: str
    lead: str
    until: datetime
    known: tuple[dict[str, str], ...]
    scores: dict[str, tuple[str, ...]]
    kept: tuple[str, ...]
    copy: dict[str, list[dict[str, Any]]]
    refused: bool = False
    failed: bool = False

    def to_dict(self) -> dict[str, Any]:
        """One JSON object, with the copy."""
        return {
            "flow": "explain",
            "lead": self.lead,
            "complete until": f"{self.until:%Y-%m-%d %H:%M}",
            "known": list(self.known),
            "scores": {name: list(said) for name, said in self.scores.items()},
            "kept": list(self.kept),
            "who decides": _DECIDES,
            "rights": list(_RIGHTS),
            "copy": self.copy,
        }

    def text(self) -> str:
        """A letter's worth of words."""
        parts = {
            "What is known, where from, and since when": Report("", rows=self.known),
            **{f"What it counted for: {name}": Report("", notices=said) for name, said in self.scores.items()},
            "What it is for, who sees it, and how long it is kept": Report("", notices=self.kept),
            "Who decides": Report("", notices=(_DECIDES,)),
            "Your rights": Report("", notices=_RIGHTS),
        }
        head = f"What the lead scoring of {self.company} knows of lead {self.lead}, complete until {self.until:%Y-%m-%d %H:%M} UTC"
        # Without the first line of a report, which names a flow.
        return "\n\n".join([head, *("\n".join([title, *part.text().splitlines()[1:]]) for title, part in parts.items())])


def disclose(settings: Settings, lead: str) -> Disclosure:
    """Tell a person what is known of them, where from and since when, what it counted for, what a score means, who decides, and what they may ask.

    Of a lead that is not scored tonight, or never was, it says so and why. Leads merged with it are the same person. An outcome that scores accounts
    tells the score of the person's account.

    Raises
    ------
    Problem : there is no such lead, or it is an account.
    """
    with open_company(settings) as company:
        ids = person(company.warehouse, lead)
        if not ids:
            raise Problem(f"There is no lead {lead} in the warehouse: check the id, or run `leadscore extract`.")
        copy = _copy(company, ids)
        scores = {one.outcome.name: _score(replace(company, settings=one), ids) for one in settings.each_outcome()}
        return Disclosure(settings.company.name, lead, company.extracted_at, tuple(_known(company, copy)), scores, _kept(settings), copy)


def _kept(settings: Settings) -> tuple[str, ...]:
    target, people = settings.writeback.target, settings.people
    sees = "the sales team, on lists and in letters" + (f", and whoever has access to the CRM ({target})" if target else "")
    return (
        "It is for deciding whom the sales team calls first, and for nothing else.",
        f"It is seen by {sees}. Nobody else is given any of it.",
        f"It is kept for {people.keep_days:,} days after the last sign of life, and then erased."
        if people.keep_days
        else "It is kept for as long as the CRM keeps it, or until it is erased; no other time is set.",
        *([f"Scores and lists are kept for {people.keep_nights_days:,} days."] if people.keep_nights_days else []),
    )


def _copy(company: Company, ids: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Every row of these leads in every table that has any, as texts and numbers."""
    kept: dict[str, list[dict[str, Any]]] = {}
    for table, clock in {"leads": "lead_id", **_CRM, **_OURS}.items():
        if company.warehouse.has(table):
            rows = company.warehouse.raw.execute(f"SELECT * FROM {table} WHERE lead_id IN (SELECT unnest(?)) ORDER BY {clock}", [ids]).df()
            if len(rows):
                told = rows.astype(object).where(rows.notna(), None)
                kept[table] = [{name: str(value) if isinstance(value, pd.Timestamp) else value for name, value in row.items()} for row in _rows(told)]
    return kept


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _known(company: Company, copy: dict[str, list[dict[str, Any]]]) -> list[dict[str, str]]:
    """What is known, a line each: what the company recorded, what happened, and what was made of it here."""
    return [*_recorded(company, copy), *_happened(company, copy), *_made(company, copy)]


def _recorded(company: Company, copy: dict[str, list[dict[str, Any]]]) -> Iterator[dict[str, str]]:
    """Every field as it stands, since its last change, and every change."""
    changes = copy.get("lead_changes", [])
    changed = {(row["lead_id"], row["field"], row["new_value"]): row["changed_at"] for row in changes}
    for row in copy.get("leads", []):
        for name, value in row.items():
            if value is not None and value != "":
                since = changed.get((row["lead_id"], name, str(value))) or row.get("known_at") or row["created_at"]
                yield _line(company, "leads", name, value, since)
    for row in changes:
        moved = f"{row['old_value'] or 'nothing'} to {row['new_value']}"
        yield _line(company, "lead_changes", f"{row['field']} was changed", moved, row["changed_at"])


def _happened(company: Company, copy: dict[str, list[dict[str, Any]]]) -> Iterator[dict[str, str]]:
    """How often each kind of thing was done and by whom, every text, and every deal."""
    deeds: dict[str, list[dict[str, Any]]] = {}
    for row in copy.get("activities", []):
        by = {"in": " by the person", "out": " by the company"}.get(row["direction"] or "", "")
        deeds.setdefault(f"{row['kind']}{by}", []).append(row)
    for what, rows in deeds.items():
        often = "once" if len(rows) == 1 else f"{len(rows)} times, last on {rows[-1]['occurred_at'][:10]}"
        yield _line(company, "activities", what, often, rows[0]["occurred_at"])
        yield from (_line(company, "activities", f"{what}: its text", row["text"], row["occurred_at"]) for row in rows if row.get("text"))
    for row in copy.get("deals", []):
        fields = [f"{name} {value}" for name, value in row.items() if value is not None and name not in ("lead_id", "known_at", "created_at")]
        yield _line(company, "deals", "deal", ", ".join(fields), row["created_at"])


def _made(company: Company, copy: dict[str, list[dict[str, Any]]]) -> Iterator[dict[str, str]]:
    """What reps answered and decided, and of how many nights there are scores."""
    for row in copy.get("feedback", []):
        yield _line(company, "feedback", "what came of a call", " ".join(filter(None, (row["feedback"], row["note"]))), row["as_of"])
    for row in copy.get("decisions", []):
        yield _line(company, "decisions", "moved on the list by hand", f"{row['because']} (until {row['until']})", row["given_at"])
    for table, what in (("ledger", "scores"), ("writebacks", "scores handed to the CRM")):
        if nights := sorted({str(row["as_of"]) for row in copy.get(table, [])}):
            yield _line(company, table, what, f"nights: {len(nights)}, last {nights[-1][:10]}", nights[0])


def _line(company: Company, table: str, what: str, value: Any, since: str) -> dict[str, str]:
    """One thing that is known; a table of the company's is called as the company calls it."""
    source = company.settings.source.tables.get(table)  # type: ignore[call-overload]
    place = source.table if source else f"{table} (made here)"
    return {"what": what.replace("_", " "), "value": str(value), "from": place, "since": str(since)[:10]}


def _score(company: Company, ids: list[str]) -> tuple[str, ...]:
    """What one outcome's score is of this person tonight, what counted for it and against it, or why there is none."""
    settings, said = company.settings, company.settings.outcome.rule.words
    head = f"Scored is how likely a {said.who} is to {said.do}, from what was known before each night."
    scored = _scored_as(company, ids)
    nights = _nights(company, scored)
    try:
        seen, night = company.of_population(), company.night(None)
        champion = registry_of(settings).champion()
        seen.must_predict(champion.scorer.plan)
    except Problem:
        return (head, nights, "There is no model that could score tonight: nothing counted for anything.")
    known = examples.snapshot(seen.crm, seen.nights(night), champion.scorer.plan)
    known = known.filter(known.lead_id.isin(scored)).execute().head(1).reset_index(drop=True)
    if known.empty:
        why = f"not among the {said.those} of {night:%Y-%m-%d}: too new or too old, closed, or merged into another"
        return (head, nights, f"This person is not scored now, being {why}. Nothing of what is known counts for anything.")
    champion, _ = followed(seen, champion, night)
    reasons = every_reason(champion.scorer, known)
    rate = round(100 * float(champion.scorer.probability(known)[0]))
    of = "This is the score of the person's account, to which what this person did adds." if settings.outcome.population == "accounts" else ""
    means = settings.outcome.rule.words.means.format(name=settings.outcome.name)
    return (
        head,
        *([of] if of else []),
        nights,
        f"On {night:%Y-%m-%d}: of 100 {said.who}s about which as much speaks, about {rate} {means} within {settings.outcome.horizon_days} days. "
        f"It speaks of many such {said.who}s and says nothing certain of one.",
        *(f"Counted for it: {reason['words']}." for reason in reasons if reason["contribution"] > 0),
        *(f"Counted against it: {reason['words']}." for reason in reasons if reason["contribution"] < 0),
        f"Everything else that is known counted for little or nothing. {_NEVER}",
    )


def _nights(company: Company, scored: list[str]) -> str:
    """Of how many nights there are scores, and from when to when."""
    ledger = company.warehouse.ledger(company.settings.chosen)
    past = sorted(pd.Timestamp(night) for night in ledger.filter(ledger.lead_id.isin(scored)).as_of.execute().unique())
    return f"Nights with a score: {len(past)}, from {past[0]:%Y-%m-%d} to {past[-1]:%Y-%m-%d}." if past else "There is no score of any night."


def _scored_as(company: Company, ids: list[str]) -> list[str]:
    """Under which ids the chosen outcome scores a person: their own, or those of their accounts."""
    if company.settings.outcome.population == "leads":
        return ids
    leads = company.crm.leads
    accounts = leads.filter(leads.lead_id.isin(ids), leads.account_id.notnull()).account_id.execute()
    return [*(str(one) for one in accounts), *(f"account {one}" for one in accounts), *ids]
