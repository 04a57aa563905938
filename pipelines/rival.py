"""Whom a new model has to beat."""

from __future__ import annotations

from models.registry import Champion
from pipelines.company import Company
from pipelines.groups import may_learn
from pipelines.registry import registry_of


def rival(company: Company, past: bool) -> tuple[Champion | None, str]:
    """The champion that is in a new model's way; None, and why, where there is none, or one that may not score any more.

    Parameters
    ----------
    past : whether the new model is trained as of a past night; its rival is then the champion of that night, not today's.
    """
    registry = registry_of(company.settings)
    champion = registry.champion_at_or_none(company.extracted_at) if past else registry.champion_or_none()
    if champion is None:
        return None, "there was no champion"
    if champion.scorer.plan.outcome != company.settings.outcome.rule:
        return None, "the champion before it predicts another outcome, so there was none of this one"
    forbidden = sorted({a.name for a in champion.scorer.plan.attributes if not may_learn(company, a)})
    if forbidden:
        return None, f"the champion learned from {', '.join(forbidden)}, which is protected by now"
    return champion, ""
