"""[people]: for how long the product knows people, and nights."""

from __future__ import annotations

from pydantic import Field

from pipelines.section import LONGEST, Section


class PeopleRules(Section):
    """How long what is known of people is kept; 0 keeps it for as long as the source does.

    Parameters
    ----------
    keep_days : a person whose last sign of life is older is erased, as by `leadscore erase`. A sign of life is that their lead came in, anything that
        was done by them or with them, a change of their fields, a deal opened or closed.
    keep_nights_days : scores, lists, feedback and refused rows of nights that are older are removed.
    """

    keep_days: int = Field(default=0, ge=0, le=LONGEST)
    keep_nights_days: int = Field(default=0, ge=0, le=LONGEST)
