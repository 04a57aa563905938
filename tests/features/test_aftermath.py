"""A value that comes only with the closing is safe through replay, unless replay cannot see when it came."""

from __future__ import annotations

from typing import Any

import ibis
from stories import Rows, company_of, day

from features.aftermath import Late, aftermath, late_values
from features.crm import Crm
from features.plan import Attribute, Known

CLOSED = 30


def _company(logged: int = CLOSED, early: int = 0, stages: tuple[str, ...] = ("offer", "booked")) -> Crm:
    """Thirty leads move from offer to booked on the day they are won, and ten others stand at the offer.

    Parameters
    ----------
    logged : of so many of the thirty the moves stand in the history.
    early : so many of the ten were entered as booked although their deals are open.
    """
    tables: dict[str, Rows] = {"leads": [], "lead_changes": [], "deals": []}
    for number in range(CLOSED + 10):
        lead, won = f"L{number}", number < CLOSED
        tables["leads"].append({"lead_id": lead, "created_at": day(0), "stage": stages[1] if won else stages[0]})
        deal: dict[str, Any] = {"lead_id": lead, "created_at": day(5), "outcome": "open"}
        tables["deals"].append({**deal, "outcome": "won", "closed_at": day(20)} if won else deal)
        if won and number >= logged:
            continue
        tables["lead_changes"].append({"lead_id": lead, "field": "stage", "old_value": None, "new_value": stages[0], "changed_at": day(5)})
        if won or number - CLOSED < early:
            move = {"lead_id": lead, "field": "stage", "old_value": stages[0], "new_value": stages[1]}
            # The rep moves the stage an hour before the deal is booked.
            tables["lead_changes"].append({**move, "changed_at": day(20 - 1 / 24)})
    return company_of(tables)


def _stage(known: Known = "history", origin: Any = "leads") -> Attribute:
    return Attribute("stage", origin, "category", known)


def test_the_stage_booked_comes_with_the_win_and_the_stage_offer_does_not() -> None:
    assert late_values(_company()) == [Late("stage", "booked", 30, 1.0)]
    # Two of 32 were booked before the win: under nineteen of twenty.
    assert late_values(_company(early=2)) == []
    assert late_values(_company(early=1)) == [Late("stage", "booked", 31, 30 / 31)]


def test_a_replayed_field_is_safe_and_said_to_be() -> None:
    findings, safe = aftermath(_company(), [_stage()])
    assert findings == []
    assert safe == [
        "stage (leads): its history shows 'booked' only once a deal is closed (100% of 30 leads); it is replayed, so that no night before sees it."
    ]


def test_a_history_that_began_too_late_lets_past_nights_see_the_win() -> None:
    (found,), safe = aftermath(_company(logged=24), [_stage()])
    assert (found.field, found.method, safe) == ("stage", "history", [])
    assert found.evidence == (
        "its history shows 'booked' only once a deal is closed (100% of 24 leads), and for 20% of the leads that have it today no entry was logged, "
        "so that past nights would see it"
    )


def test_a_title_that_is_corrected_after_the_win_has_been_there_since_the_lead_came_in() -> None:
    leads = [{"lead_id": f"L{n}", "created_at": day(0), "job_title": "buyer"} for n in range(60)]
    deals = [{"lead_id": f"L{n}", "created_at": day(1), "outcome": "won", "closed_at": day(9)} for n in range(40)]
    # An export without old values: the correction looks like a first entry.
    changes = [{"lead_id": f"L{n}", "field": "job_title", "new_value": "buyer", "changed_at": day(12)} for n in range(20)]
    crm = company_of({"leads": leads, "deals": deals, "lead_changes": changes})
    findings, safe = aftermath(crm, [Attribute("job_title", "leads", "category", "history")])
    assert (findings, len(safe)) == ([], 1)


def test_an_account_has_no_history_among_its_leads_changes() -> None:
    assert aftermath(_company(), [_stage("today", "accounts"), _stage("today", "deals")]) == ([], [])


def test_a_field_that_is_not_replayed_is_accused_by_its_history() -> None:
    crm = _company()
    crm = crm._replace(lead_changes=crm.lead_changes.mutate(field=ibis.literal("phase")))
    (found,), safe = aftermath(crm, [Attribute("phase", "deals", "category", "today")])
    assert (found.field, found.origin, found.method, safe) == ("phase", "deals", "history", [])
    assert found.evidence.endswith("(100% of 30 leads), and past nights would see today's")


def test_numbers_of_which_no_two_are_alike_are_seen_by_their_first_entry() -> None:
    deals = [{"lead_id": f"L{n}", "created_at": day(1), "outcome": "lost", "closed_at": day(9)} for n in range(20)]
    leads = [{"lead_id": f"L{n}", "created_at": day(0)} for n in range(20)]
    changes = [{"lead_id": f"L{n}", "field": "invoice", "new_value": f"I-{n}", "changed_at": day(12)} for n in range(20)]
    crm = company_of({"leads": leads, "deals": deals, "lead_changes": changes})
    assert late_values(crm) == [Late("invoice", "any value", 20, 1.0)]
    assert late_values(company_of({"leads": leads, "deals": deals, "lead_changes": changes[:19]})) == []
