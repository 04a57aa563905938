"""The page of a day: one file that opens without a network, for a rep who has five seconds and a manager who has one minute."""

from __future__ import annotations

import json
import re
import unicodedata
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from pipelines.delivery.goals import sums
from pipelines.delivery.night import Night, shown

_HERE = Path(__file__).parent
_HEADS = (("rank", "Rank"), ("lead", "{who}"), ("owner", "Owner"), ("p", "Probability"), ("change", "Change"), ("value", "Expected value"))


def page(night: Night) -> bytes:
    """A self-contained HTML page: today's calls per rep, the team for its manager, each lead with its reasons and its past scores.

    The same night gives the same bytes. Everything that came from the company is data, never markup: it enters as JSON whose "<", ">" and "&"
    are escaped, and is shown as text; beyond that, the page's own policy lets nothing run but the script it was made with, and nothing be fetched.
    """
    kept = night.complete[shown(night.leads)]
    sources, territories = _values(kept["source"]), _values(kept["territory"])
    owners = sorted({str(owner) for owner in night.leads["owner"]}, key=_naturally)
    style, script = _part("page.css"), _part("page.js")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    text = environment.from_string(_part("page.html.j2")).render(
        company=night.company,
        day=f"{night.day:%A, %d %B %Y}",
        horizon=night.horizon_days,
        said=night.words,
        chance=night.chance,
        means=night.means,
        graded=night.graded,
        belief=night.belief,
        notices=night.notices,
        owners=owners,
        heads=[(key, head.format(who=night.words.who.capitalize())) for key, head in _HEADS],
        priced=bool(night.leads["expected_value"].notna().any()),
        random=bool(night.leads["explored"].any()),
        sources=sources,
        territories=territories,
        beyond=_beyond(len(kept), len(night.leads), night.words.those),
        data=_data(night, kept, {"owners": owners, "sources": sources, "territories": territories}),
        style=Markup(style),
        style_hash=Markup(_hash(style)),
        script=Markup(script),
        script_hash=Markup(_hash(script)),
    )
    return text.encode("utf-8")


def _part(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _hash(inline: str) -> str:
    """How a Content-Security-Policy names the one script or style that it lets through."""
    return f"'sha256-{b64encode(sha256(inline.encode('utf-8')).digest()).decode()}'"


def _beyond(kept: int, leads: int, those: str) -> str:
    if kept == leads:
        return ""
    return f"This page holds {kept:,} of {leads:,} {those}: all of today's calls and the best of the rest. leads.csv, beside it, holds every one."


def _naturally(owner: str) -> tuple[bool, list[tuple[str, int, str]], str]:
    """People sort Rep 2 before Rep 10, whatever the case and the accents, and nobody last."""
    plain = "".join(sign for sign in unicodedata.normalize("NFKD", owner.casefold()) if not unicodedata.combining(sign))
    parts = re.findall(r"(\D*)(\d*)", plain)
    # Digits are compared by length and then as text: a number of any length, without the limit of `int`.
    return not owner, [(word, len(digits.lstrip("0")), digits.lstrip("0")) for word, digits in parts], owner


def _values(column: pd.Series) -> list[str]:
    """What there is to choose by, in the order in which people look for it; what is not said comes last."""
    return sorted({str(value) for value in column}, key=_naturally)


def _data(night: Night, kept: pd.DataFrame, named: dict[str, list[str]]) -> Any:
    """The leads as JSON that cannot end its script element; phrases, days and names that return are said once."""
    owner_at, source_at, territory_at = ({name: at for at, name in enumerate(names)} for names in named.values())
    words, days = dict[str, int](), dict[str, int]()

    def once(text: object, told: dict[str, int]) -> int:
        return told.setdefault(str(text), len(told))

    leads = [
        [
            lead.rank,
            lead.owner_rank,
            lead.tier,
            lead.lead_id,
            lead.name,
            lead.company,
            owner_at[str(lead.owner)],
            round(lead.probability, 4),
            None if pd.isna(lead.expected_value) else round(lead.expected_value),
            None if pd.isna(lead.change) else round(lead.change, 4),
            int(lead.listed),
            int(lead.explored),
            [[once(reason["words"], words), reason["contribution"]] for reason in lead.reasons],
            [[once(day, days), round(p, 4)] for day, p in lead.history],
            "" if pd.isna(lead.left_out) else lead.left_out,
            "" if pd.isna(lead.by_hand) else lead.by_hand,
            "" if pd.isna(lead.fit) else f"{lead.grade}: fit {lead.fit:.0f}, engagement {lead.engagement:.0f}",
            0 if pd.isna(lead.qualified) else int(lead.qualified),
            "" if pd.isna(lead.next_step) else lead.next_step,
            int(lead.new),
            source_at[str(lead.source)],
            territory_at[str(lead.territory)],
            [[once(day, days), once(_event(who, what), words), times] for day, who, what, times in _list(lead.diary)],
        ]
        for lead in kept.itertuples(index=False)
    ]
    everything = {
        "currency": night.currency,
        "said": {name: getattr(night.words, name) for name in ("who", "those", "one", "noun")},
        "count": night.goals.count,
        **_team(night, named["owners"], dict(zip(kept["lead_id"], range(len(kept)), strict=True))),
        "sources": named["sources"],
        "territories": named["territories"],
        "words": list(words),
        "days": list(days),
        "leads": leads,
    }
    text = json.dumps(everything, ensure_ascii=False, separators=(",", ":"), default=_plain)
    for sign, code in (("&", "\\u0026"), ("<", "\\u003c"), (">", "\\u003e"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029")):
        text = text.replace(sign, code)
    return Markup(text)


def _list(value: Any) -> list[Any]:
    """What happened with a lead; of one with which nothing did, a frame says NaN."""
    return value if isinstance(value, list) else []


def _event(who: str, what: str) -> str:
    """A line of what happened, as a person says it."""
    return what.replace("_", " ") + (" by us" if who == "us" else "")


def _team(night: Night, owners: list[str], place: dict[Any, int]) -> dict[str, Any]:
    """Everybody's sums, each team's where there are several, and each owner's with the best of today's calls."""
    leads = night.complete.assign(owner_id=night.leads.get("owner_id", night.leads["owner"]))
    each = {str(owner): theirs for owner, theirs in leads.groupby("owner", sort=False)}
    of_team = {str(team): theirs for team, theirs in leads.groupby("team", sort=True)}
    ids, own = _owner_ids(of_team), _owner_ids(each)
    goals, teams = night.goals, [team for team in ids if team] if len(ids) > 1 else []
    return {
        "everybody": sums(leads, goals, goals.everybody(ids)),
        "teams": [{"name": team, **sums(of_team[team], goals, goals.team(team, ids[team]), goals.room(ids[team], team))} for team in teams],
        "owners": [
            {
                "name": owner,
                "team": str(each[owner]["team"].iloc[0]),
                **sums(each[owner], goals, goals.of(own[owner]), goals.room(own[owner])),
                "best": _best(each[owner], place),
            }
            for owner in owners
        ],
    }


def _owner_ids(groups: dict[str, pd.DataFrame]) -> dict[str, list[str]]:
    """Whose leads are in each group."""
    return {name: list(theirs["owner_id"].dropna().astype(str).unique()) for name, theirs in groups.items()}


def _best(leads: pd.DataFrame, place: dict[Any, int]) -> int | None:
    """Where the first of today's calls stands among the leads of the page."""
    listed = leads.loc[leads["listed"].astype(bool), "lead_id"]
    return place[listed.iloc[0]] if len(listed) else None


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)
