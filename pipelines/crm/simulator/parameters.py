"""Every rate of the made-up company, in one table.

Chosen to look like a mid-sized business-to-business seller: a few percent to a quarter of the leads convert within 90 days, by source; a lead
has some tens of activities; the best tenth of the open leads converts four to six times the average.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

INTENTS = ("cold", "warm", "hot")
STAGES = ("none", "qualified", "proposal", "negotiation", "won", "lost")
WON, LOST = 4, 5

SOURCES = ("referral", "partner", "event", "webinar", "organic search", "paid search", "paid social", "outbound list")
SOURCE_SHARE_FIRST = (0.06, 0.06, 0.08, 0.10, 0.24, 0.18, 0.14, 0.14)
SOURCE_SHARE_LAST = (0.05, 0.07, 0.06, 0.12, 0.18, 0.20, 0.22, 0.10)
SOURCE_APPEAL = (0.85, 0.70, 0.45, 0.35, 0.15, -0.05, -0.45, -0.75)

INDUSTRIES = ("software", "manufacturing", "retail", "health", "finance", "education", "logistics", "public sector")
INDUSTRY_APPEAL = (0.45, 0.20, 0.0, 0.10, 0.25, -0.25, 0.0, -0.45)
SIZES = (12, 45, 180, 700, 3000)
SIZE_SHARE = (0.30, 0.28, 0.22, 0.13, 0.07)
SIZE_APPEAL = (-0.35, 0.0, 0.25, 0.20, -0.05)
SENIORITIES = ("chief", "vice president", "director", "manager", "specialist", "intern")
SENIORITY_SHARE = (0.07, 0.10, 0.18, 0.33, 0.26, 0.06)
SENIORITY_APPEAL = (0.35, 0.50, 0.35, 0.05, -0.40, -1.00)
FUNCTIONS = ("Marketing", "Sales", "Operations", "IT", "Finance", "HR")
REGIONS = ("north", "south", "east", "west")

IN_KINDS = ("page_view", "email_open", "email_click", "form", "webinar", "reply", "meeting")
OUT_KINDS = ("call", "email")
# Expected times a day, by intent: cold, warm, hot.
RATES = (
    (0.014, 0.095, 0.300),
    (0.020, 0.060, 0.140),
    (0.003, 0.020, 0.070),
    (0.0008, 0.007, 0.030),
    (0.0012, 0.006, 0.014),
    (0.0010, 0.008, 0.030),
    (0.0002, 0.003, 0.016),
)
REPLY, MEETING = IN_KINDS.index("reply"), IN_KINDS.index("meeting")
# A contact reveals intent: on its day, replies and meetings are so many times more frequent.
CONTACT_BOOST = {REPLY: 10.0, MEETING: 6.0}
OPEN_DEAL_BOOST = {MEETING: 2.0, REPLY: 1.5}
WEEKDAY_FACTOR = (1.15, 1.20, 1.15, 1.10, 0.95, 0.30, 0.30)

FIRST_INTENT = (0.70, 0.24, 0.06)
# Daily chances of intent to rise (before the profile's appeal) and to fade.
COLD_TO_WARM, WARM_TO_HOT = 0.009, 0.016
WARM_TO_COLD, HOT_TO_WARM = 0.022, 0.030
# Daily chances of a deal to move on, by stage and intent; and to be lost.
ADVANCE = (
    (0.0004, 0.0050, 0.0400),
    (0.0040, 0.0180, 0.0700),
    (0.0050, 0.0220, 0.0800),
    (0.0080, 0.0350, 0.1100),
)
LOSE = (0.020, 0.010, 0.004)
APPEAL_ON_ADVANCE = 0.3

# Sales sees stage and yesterday's activity, never intent. Chance of a call today.
CALL_BY_STAGE = (0.006, 0.050, 0.070, 0.090)
CALL_IF_ACTIVE, CALL_IF_FRESH, EMAIL_PER_CALL = 0.10, 0.35, 0.6
DISQUALIFY_AFTER_DAYS, DISQUALIFY_SILENT_DAYS, DISQUALIFY_CHANCE = 120, 60, 0.010

LATE_SHARE, LATE_DAYS = 0.02, 10
RETITLED_SHARE, REASSIGNED_SHARE = 0.04, 0.05
# Scored up to a year old and judged a horizon later.
LIFE_DAYS = 460
OWNER_SPREAD, CAMPAIGN_SPREAD = 0.15, 0.20
DRIFT_OF_APPEAL = -0.35

# Customers, where they are kept: usage a day by mood (content, doubtful, unhappy), how moods move, and the chance to renew at the end of a term.
USAGE_KINDS = ("login", "feature_use", "support_ticket")
USAGE_RATES = ((0.60, 0.25, 0.06), (0.40, 0.15, 0.03), (0.010, 0.030, 0.060))
FIRST_MOOD = (0.70, 0.22, 0.08)
MOOD_FALL, MOOD_RISE, APPEAL_ON_MOOD = (0.008, 0.012), (0.010, 0.005), 0.5
RENEW = (0.97, 0.75, 0.25)
TERM_DAYS, RENEWAL_OPENS_DAYS = 90, 14


@dataclass(frozen=True)
class World:
    """Which company is made up.

    Parameters
    ----------
    leads : how many leads arrive.
    seed : the same seed makes the same company, to the byte.
    days : days of history.
    first_day : the first of them.
    drift : how far base rate and mix of sources move over the history; 1: markedly, 0: not at all.
    contact_effect : how much a contact raises that day's chance of intent to rise; 0: it only reveals intent.
    retention : whether customers use what they bought, renew it and leave; otherwise a win ends the story.
    """

    leads: int = 20_000
    seed: int = 7
    days: int = 730
    first_day: date = date(2024, 1, 1)
    drift: float = 1.0
    contact_effect: float = 0.0
    retention: bool = False

    @property
    def last_day(self) -> date:
        """The day after the last event: the extraction happens at its midnight."""
        return self.first_day + timedelta(days=self.days)
