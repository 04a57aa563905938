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
import numpy as np
import pandas as pd
from markupsafe import Markup

from models.forecast import between
from pipelines.delivery.night import Night

_HERE = Path(__file__).parent
_LIMIT = 50_000
_HEADS = (("rank", "Rank"), ("lead", "{who}"), ("owner", "Owner"), ("p", "Probability"), ("change", "Change"), ("value", "Expected value"))


def page(night: Night) -> bytes:
    """A self-contained HTML page: today's calls per rep, the team for its manager, each lead with its reasons and its past scores.

    The same night gives the same bytes. Everything that came from the company is data, never markup: it enters as JSON whose "<", ">" and "&"
    are escaped, and is shown as text; beyond that, the page's own policy lets nothing run but the script it was made with, and nothing be fetched.
    """
    shown = night.complete[night.leads["listed"].to_numpy(dtype=bool) | (np.arange(len(night.leads)) < _LIMIT)]
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
        random=bool(night.leads["explored"].any()),
        beyond=_beyond(len(shown), len(night.leads), night.words.those),
        data=_data(night, shown, owners),
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


def _beyond(shown: int, leads: int, those: str) -> str:
    if shown == leads:
        return ""
    return f"This page holds {shown:,} of {leads:,} {those}: all of today's calls and the best of the rest. leads.csv, beside it, holds every one."


def _naturally(owner: str) -> tuple[bool, list[tuple[str, int, str]], str]:
    """People sort Rep 2 before Rep 10, whatever the case and the accents, and nobody last."""
    plain = "".join(sign for sign in unicodedata.normalize("NFKD", owner.casefold()) if not unicodedata.combining(sign))
    parts = re.findall(r"(\D*)(\d*)", plain)
    # Digits are compared by length and then as text: a number of any length, without the limit of `int`.
    return not owner, [(word, len(digits.lstrip("0")), digits.lstrip("0")) for word, digits in parts], owner


def _data(night: Night, shown: pd.DataFrame, owners: list[str]) -> Any:
    """The leads as JSON that cannot end its script element; phrases and days that return are said once."""
    owner_at = {owner: at for at, owner in enumerate(owners)}
    words, days = dict[str, int](), dict[str, int]()
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
            [[words.setdefault(str(reason["words"]), len(words)), reason["contribution"]] for reason in lead.reasons],
            [[days.setdefault(str(day), len(days)), round(p, 4)] for day, p in lead.history],
            "" if pd.isna(lead.left_out) else lead.left_out,
            "" if pd.isna(lead.by_hand) else lead.by_hand,
            "" if pd.isna(lead.fit) else f"{lead.grade}: fit {lead.fit:.0f}, engagement {lead.engagement:.0f}",
            0 if pd.isna(lead.qualified) else int(lead.qualified),
            "" if pd.isna(lead.next_step) else lead.next_step,
        ]
        for lead in shown.itertuples(index=False)
    ]
    place = dict(zip(shown["lead_id"], range(len(shown)), strict=True))
    each = {str(owner): theirs for owner, theirs in night.leads.groupby("owner", sort=False)}
    everything = {
        "currency": night.currency,
        "said": {name: getattr(night.words, name) for name in ("who", "those", "one", "noun")},
        "everybody": _sums(night.leads),
        "owners": [{"name": owner, **_sums(each[owner]), "best": _best(each[owner], place)} for owner in owners],
        "words": list(words),
        "days": list(days),
        "leads": leads,
    }
    text = json.dumps(everything, ensure_ascii=False, separators=(",", ":"), default=_plain)
    for sign, code in (("&", "\\u0026"), ("<", "\\u003c"), (">", "\\u003e"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029")):
        text = text.replace(sign, code)
    return Markup(text)


def _sums(leads: pd.DataFrame) -> dict[str, float]:
    """What the cards and the manager's table say of some leads; conversions are expected of the listed ones."""
    listed = leads["listed"].to_numpy(dtype=bool)
    probability = leads["probability"].to_numpy()
    low, high = between(probability[listed])
    return {
        "calls": int(listed.sum()),
        "expected": round(float(probability[listed].sum()), 4),
        "low": low,
        "high": high,
        "open": len(leads),
        "rate": round(float(probability.mean()), 4),
    }


def _best(leads: pd.DataFrame, place: dict[Any, int]) -> int | None:
    """Where the first of today's calls stands among the leads of the page."""
    listed = leads.loc[leads["listed"].astype(bool), "lead_id"]
    return place[listed.iloc[0]] if len(listed) else None


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)
