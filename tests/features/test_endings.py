"""How each lead's story has ended by now."""

from __future__ import annotations

from datetime import datetime

from stories import company_of, day

from features.endings import endings


def test_won_once_is_won_all_lost_is_lost_and_one_open_deal_is_neither() -> None:
    crm = company_of(
        {
            "leads": [{"lead_id": lead, "created_at": day(0), "status": "working"} for lead in ("acme", "both", "late", "hope", "none")],
            "deals": [
                {"lead_id": "acme", "created_at": day(1), "outcome": "won", "closed_at": day(40)},
                {"lead_id": "both", "created_at": day(1), "outcome": "lost", "closed_at": day(5)},
                {"lead_id": "both", "created_at": day(6), "outcome": "won", "closed_at": day(9), "known_at": day(11)},
                {"lead_id": "both", "created_at": day(12), "outcome": "won", "closed_at": day(20)},
                {"lead_id": "late", "created_at": day(1), "outcome": "lost", "closed_at": day(5)},
                {"lead_id": "late", "created_at": day(2), "outcome": "lost", "closed_at": day(7)},
                {"lead_id": "hope", "created_at": day(1), "outcome": "lost", "closed_at": day(5)},
                {"lead_id": "hope", "created_at": day(6), "outcome": "open"},
            ],
        }
    )
    found = endings(crm).order_by("lead_id").execute()
    stories: list[tuple[str, str, datetime]] = [(row.lead_id, row.ending, row.ended_at.to_pydatetime()) for row in found.itertuples()]
    assert stories == [("acme", "won", day(40)), ("both", "won", day(11)), ("late", "lost", day(7))]


def test_a_status_ends_a_story_without_a_deal_at_a_time_nobody_wrote_down() -> None:
    leads = [("off", "Disqualified"), ("on", "working"), ("dealing", "disqualified")]
    crm = company_of(
        {
            "leads": [{"lead_id": lead, "created_at": day(0), "status": status} for lead, status in leads],
            "deals": [{"lead_id": "dealing", "created_at": day(1), "outcome": "open"}],
        }
    )
    found = endings(crm, ("disqualified",)).execute()
    assert found[["lead_id", "ending"]].to_numpy().tolist() == [["off", "lost"]]
    assert found["ended_at"].isna().all()
