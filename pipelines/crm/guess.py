"""Looks at tables it has never seen and writes a commented leadscore.toml.

A guess is only a start: every line of it is there to be read and corrected. It looks at names first and at values second.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

import pandas as pd

from features.personal import FIRST, LAST, identifying, protected, words
from features.problem import Problem
from pipelines.crm.base import CrmSource, nameless, tell_apart
from pipelines.crm.dateformats import chosen, fitting
from pipelines.crm.draft import Draft, blank, quoted, written
from pipelines.crm.tables import open_source

_ROWS = 5_000
_LEAD_ID = r"(lead|mql|contact|prospect|kontakt|interessenten) (id|nr|no|number|nummer)"
_NUMBER = r"nr|nummer|numéro|número"
_CREATED = r"(angelegt|erstellt|eröffnet)( am)?|erstellungsdatum|créée? le|cread[ao] el|fecha de creación"
_OWNER_ID = (r"((lead|contact|deal|account|record) )?owner id", r"((lead|contact|deal|account) )?owner|sales (agent|rep)( id)?|assigned to")
# Canonical column -> what it is called elsewhere, as words; of several the first that is found.
_NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    "leads": {
        "lead_id": (_LEAD_ID, r"(opportunity|record) id|id", _NUMBER),
        "created_at": (r"(created?|creation|first contact|engage|registered|inserted)( (at|date|on|time))?", _CREATED),
        "owner_id": _OWNER_ID,
        "account_id": (r"(account|company|firmen) (id|nr|nummer)", r"account|company( name)?|firma"),
        "name": (r"((full|lead|contact|person) )?name|nom|nombre",),
        "company": (r"(company|account|organi[sz]ation)( name)?|firma|société|empresa",),
        "email": (r"e ?mail( address)?",),
        "merged_into": (r"(is )?merged into( (lead|contact|record))?( id)?|master record id",),
    },
    "deals": {
        "deal_id": (r"(deal|opp(ortunity)?|record) id|id", _NUMBER),
        "lead_id": (_LEAD_ID, r"associated contact( ids?)?", r"lead|contact", r"opportunity id"),
        "created_at": (r"(created?|creation|engage|open(ed)?)( (at|date|on))?", _CREATED),
        "closed_at": (r"(won|closed?|closing)( (at|date|on))?", r"(geschlossen|abgeschlossen|gewonnen) am|abschlussdatum|clôturée? le|cerrad[ao] el"),
        "amount": (r"amount|(close|deal|won) value|revenue|betrag|umsatz|montant|importe",),
        "outcome": (r"((deal|opportunity) )?(stage|status)( name)?", r"(is )?won", r"(is )?converted", r"result|ergebnis|résultat|resultado"),
    },
    "activities": {
        "lead_id": (_LEAD_ID,),
        "kind": (r"(activity|event) (type|name)", r"type"),
        "occurred_at": (r"((occurred|happened|event|activity) )?(at|date|time|timestamp)",),
    },
    "lead_changes": {
        "lead_id": (r"(lead|contact) id",),
        "field": (r"field( name)?|property",),
        "changed_at": (r"(changed|modified|created) (at|date|on)",),
    },
    "accounts": {"account_id": (r"(account|company)( id)?",)},
    "owners": {"owner_id": _OWNER_ID},
}
# A deal may have its lead's id, and an account may be known by its name alone.
_SHARED = (("deals", "lead_id"), ("leads", "company"))
_HEADS = {
    "leads": ("lead|mql", "contact|prospect|kontakt|interessent"),
    "deals": ("deal|opportunit|chance|geschäft|affaire|oportunidad",),
    "activities": ("activit|event|engagement",),
    "lead_changes": ("change|history",),
    "accounts": ("account|compan(y|ies)|customer",),
    "owners": ("owner|team|rep|user|sdr",),
}
_WON = r"(closed?[ _-]*)?won|gewonnen|gagnée?|ganad[ao]|y|yes|1|1\.0|true|converted"
_LOST = r"(closed?[ _-]*)?lost|verloren|perdue?|perdid[ao]|n|no|0|0\.0|false"
_FATE = r"(closed?[ _-]*)?(won|lost)|gewonnen|verloren|gagnée?|perdue?|ganad[ao]|perdid[ao]"
_FLAG = r"(is )?(converted|won|customer)"
_MISSING = ("Select", "N/A", "n/a", "NULL", "null", "None", "-")


class Unrecognised(Problem):
    """Nothing looks like leads, or like what became of them; `text` is a leadscore.toml to fill in by hand."""

    text = ""


def guess(folder: Path) -> str:
    """The text of a leadscore.toml for tables found at a place.

    Raises
    ------
    Unrecognised : nothing there looks like leads, or nothing like what became of them.
    """
    source = open_source(str(folder.resolve()))
    samples: dict[str, pd.DataFrame] = {}
    unread: list[str] = []
    for name in source.tables():
        try:
            samples[name] = _sample(source, name)
        except Problem as problem:
            unread.append(str(problem))
    samples = {name: sample for name, sample in samples.items() if len(sample) and len(sample.columns) > 1}
    columns = {name: list(sample.columns) for name, sample in samples.items()}
    try:
        return written(folder.resolve(), _drafts(samples, unread), columns, unread)
    except Unrecognised as nothing:
        nothing.text = blank(folder.resolve(), columns, unread)
        raise


def _sample(source: CrmSource, table: str) -> pd.DataFrame:
    columns = source.columns(table)
    tell_apart(table, columns)
    pieces = [piece.to_pandas() for piece, _ in islice(source.pieces(table), 1)] if columns else []
    return pieces[0][[c for c in columns if not nameless(c)]].head(_ROWS) if pieces else pd.DataFrame()


def _candidates(column: str, patterns: tuple[str, ...], sample: pd.DataFrame) -> Iterator[str]:
    """The table's columns that may be a canonical one, the likeliest first."""
    for pattern in (re.escape(column.replace("_", " ")), *patterns):
        yield from (theirs for theirs in sample.columns if re.fullmatch(pattern, words(theirs)))


def _matches(canonical: str, sample: pd.DataFrame) -> dict[str, str]:
    """Canonical column -> the first of the table's columns whose name, and values, fit. Each serves once, if there is any choice."""
    found: dict[str, str] = {}
    for column, patterns in _NAMES[canonical].items():
        fits = [c for c in _candidates(column, patterns, sample) if not column.endswith("_at") or fitting(sample[c])]
        free = [c for c in fits if c not in found.values()]
        if free or (fits and (canonical, column) in _SHARED):
            found[column] = (free or fits)[0]
    if canonical == "deals" and "outcome" not in found:
        telling = (theirs for theirs in sample.columns if theirs not in found.values() and _tells_fate(sample[theirs]))
        found |= dict(zip(["outcome"], telling, strict=False))
    return found


def _tells_fate(values: pd.Series) -> bool:
    """Whether a column, whatever it is called, says won or lost."""
    texts = values.dropna().astype(str).unique()
    return len(texts) <= 50 and any(re.fullmatch(_FATE, text.strip().lower()) for text in texts)


def _drafts(samples: Mapping[str, pd.DataFrame], unread: list[str]) -> dict[str, Draft]:
    found: dict[str, Draft] = {}
    for canonical in _NAMES:
        best = max(samples, key=lambda name: _likeness(canonical, name, samples[name]), default="")
        if best and _likeness(canonical, best, samples[best]) >= 1:
            found[canonical] = _described(canonical, best, samples[best])
    if "leads" not in found:
        rest = f" Not looked at: {unread[0]}" if unread else ""
        raise Unrecognised(f"No table looks like leads: one is needed with an id per row and a date (or an order).{rest}")
    _complete_outcomes(found, samples)
    return found


def _likeness(canonical: str, name: str, sample: pd.DataFrame) -> float:
    """How many required columns a table has, all of them counting as one, its name as a little more."""
    matched = _matches(canonical, sample)
    needed = {"leads": ("lead_id",), "deals": ("lead_id",), "activities": ("lead_id", "kind", "occurred_at")}.get(canonical, tuple(_NAMES[canonical]))
    if not set(needed) <= set(matched):
        return 0.0
    named = next((0.5 - 0.2 * place for place, head in enumerate(_HEADS[canonical]) if re.search(head, name.lower())), 0.0)
    if canonical in ("accounts", "owners", "lead_changes") and not named:
        return 0.0
    if canonical == "leads" and sample[matched["lead_id"]].duplicated().mean() > 0.05:
        return 0.0
    if canonical == "deals" and not ({"closed_at", "outcome"} & set(matched)):
        return 0.0
    return 1.0 + named + 0.1 * len(matched)


def _described(canonical: str, name: str, sample: pd.DataFrame) -> Draft:
    matched = _matches(canonical, sample)
    seen = {value for column in sample for value in sample[column].dropna().unique()[:200] if value in _MISSING}
    draft = Draft(name, {ours: theirs for ours, theirs in matched.items() if ours != theirs}, missing=tuple(sorted(seen)))
    _date(draft, {theirs: fitting(sample[theirs]) for ours, theirs in matched.items() if ours.endswith("_at")}, sample)
    if canonical == "leads":
        _name(draft, matched, sample)
    if "amount" in matched:
        _read_amounts(draft, matched["amount"], sample[matched["amount"]])
    if canonical == "leads" and "created_at" not in matched:
        order = _order(sample)
        if order is None:
            raise Unrecognised(f"{name} looks like leads but has neither a creation date nor a number that rises.")
        draft.clocks["created_at"] = (order, 0)
    return draft


def _name(draft: Draft, matched: Mapping[str, str], sample: pd.DataFrame) -> None:
    """What a person is called: one column or two, and never a field to learn from; neither is what a law protects."""
    parts = [next((c for c in sample.columns if re.fullmatch(pattern, words(c))), None) for pattern in (FIRST, LAST)]
    if "name" not in matched and all(parts):
        draft.columns["name"] = (str(parts[0]), str(parts[1]))
    used = {*matched.values(), *(parts if "name" not in matched else ())}
    draft.personal = tuple(c for c in sample.columns if c not in used and (identifying(c) or protected(c)))


def _read_amounts(draft: Draft, column: str, values: pd.Series) -> None:
    """Which sign stands before the decimals, where the amounts tell."""
    texts = values.dropna().astype(str).str.strip()
    comma, point = texts.str.contains(r",\d{1,2}\D*$").any(), texts.str.contains(r"\.\d{1,2}\D*$").any()
    thousands = len(texts) and texts.str.fullmatch(r"\D*\d{1,3}(\.\d{3})+\D*|\D*\d{1,3}\D*").all() and texts.str.contains(".", regex=False).any()
    if (comma and not point) or thousands:
        draft.decimal = ","
    if thousands:
        draft.doubts.append(f"{quoted(next(text for text in texts if '.' in text))} of {quoted(column)} is read as thousands, not as decimals.")


def _date(draft: Draft, forms: Mapping[str, tuple[str, ...]], sample: pd.DataFrame) -> None:
    """Decide how the dates of a table are read, and say where they could be read otherwise."""
    read = chosen(forms)
    draft.dates = tuple(sorted({form for form, _ in read.values() if form}))
    for column, (form, sure) in read.items():
        if not sure:
            shown = next(text for text in sample[column].dropna().astype(str) if text.strip())
            other = next(one for one in forms[column] if one != form)
            draft.doubts.append(f"{quoted(shown)} of {quoted(column)} is read as {form}, but every date there fits {other} as well.")


def _order(sample: pd.DataFrame) -> str | None:
    """A column of distinct whole numbers, the best stand-in for a clock."""
    for column in sample.columns:
        numbers = pd.to_numeric(sample[column], errors="coerce")
        if numbers.notna().all() and numbers.is_unique and (numbers % 1 == 0).all() and len(numbers) > 1:
            return str(column)
    return None


def _complete_outcomes(found: dict[str, Draft], samples: Mapping[str, pd.DataFrame]) -> None:
    """Where what became of the leads stands: in a table of deals, or in a column of the leads themselves."""
    leads = found["leads"]
    sample = samples[leads.table]
    flags = [c for c in sample.columns if re.fullmatch(_FLAG, words(c))]
    matched = _matches("deals", samples[found["deals"].table]) if "deals" in found else {}
    if not matched or (found["deals"].table == leads.table and (leads.clocks or "closed_at" not in matched)):
        found["deals"] = _flagged(leads, sample, [*flags, *([matched["outcome"]] if "outcome" in matched else [])])
    else:
        _complete_deals(found["deals"], matched, samples[found["deals"].table], leads)
    leads.ignore = tuple(dict.fromkeys([*leads.ignore, *flags]))


def _flagged(leads: Draft, sample: pd.DataFrame, flags: list[str]) -> Draft:
    """The deals of a flat table, in which a column says of each lead whether it became a customer."""
    won = {flag: [str(v) for v in sample[flag].dropna().unique() if re.fullmatch(_WON, str(v).strip().lower())] for flag in flags}
    flag = next((flag for flag in flags if won[flag]), None)
    if flag is None:
        raise Unrecognised(
            f"Nothing says which leads of {leads.table} became customers: a table of deals is needed, or a column such as 'Converted'."
        )
    lead_id = leads.columns.get("lead_id", "lead_id")
    deals = Draft(leads.table, {"deal_id": lead_id, "lead_id": lead_id}, dates=leads.dates, constants={"outcome": "won"}, attributes=False)
    deals.where[flag] = tuple(won[flag])
    if leads.clocks:
        order = leads.clocks["created_at"][0]
        deals.clocks = {"created_at": (order, 14), "closed_at": (order, 14)}
    else:
        created = leads.columns.get("created_at", "created_at")
        deals.columns |= {"created_at": created, "closed_at": created}
        deals.doubts.append(
            "nothing says when a lead became a customer, so the day it came in is taken, on which no lead is scored: "
            "nothing can be learned until closed_at names a date."
        )
    leads.ignore = (*leads.ignore, flag)
    return deals


def _complete_deals(deals: Draft, matched: dict[str, str], sample: pd.DataFrame, leads: Draft) -> None:
    if "deal_id" not in matched:
        deals.columns["deal_id"] = matched["lead_id"]
    elif matched["deal_id"] == matched["lead_id"] and deals.table != leads.table:
        deals.doubts.append(f"no column names the lead of a deal, so its own {quoted(matched['deal_id'])} is taken.")
    _completewords(deals, matched, sample)
    if "created_at" not in matched and "closed_at" in matched:
        deals.columns["created_at"] = matched["closed_at"]
    if "closed_at" not in matched and "created_at" in matched:
        deals.columns["closed_at"] = matched["created_at"]
        deals.doubts.append("nothing says when a deal was closed, so the day it was created is taken.")
    if deals.table == leads.table:
        deals.attributes = False
        late = [matched[c] for c in ("closed_at", "amount", "outcome") if c in matched]
        leads.ignore = (*leads.ignore, *late)


def _completewords(deals: Draft, matched: Mapping[str, str], sample: pd.DataFrame) -> None:
    """What the company's words for the fate of a deal mean to us."""
    if "outcome" not in matched:
        deals.constants["outcome"] = "won"
        deals.doubts.append("no column says which deals were lost or are open, so every row is taken for a win.")
        return
    texts = [str(v) for v in sample[matched["outcome"]].dropna().unique() if str(v).strip()]
    words = {t: "won" if re.fullmatch(_WON, t.strip().lower()) else "lost" if re.fullmatch(_LOST, t.strip().lower()) else "open" for t in texts}
    if any(theirs != ours for theirs, ours in words.items()):
        deals.values["outcome"] = {theirs.strip(): ours for theirs, ours in sorted(words.items())}
    if "won" not in words.values():
        deals.doubts.append(f"no word of {quoted(matched['outcome'])} is taken for a win.")
