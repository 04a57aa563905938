"""Whoever looks in the morning sees which night is missing, by the clock of the company."""

from __future__ import annotations

from datetime import datetime

import pytest

from features.timeline import Timeline
from pipelines.standing import late_nights

MONDAY = datetime(2025, 3, 3, 2)
NEW_YORK = Timeline(zone="America/New_York")


@pytest.mark.parametrize(
    ("timeline", "last", "now", "said"),
    [
        pytest.param(Timeline(), MONDAY, datetime(2025, 3, 3, 2), "", id="just scored"),
        pytest.param(Timeline(), MONDAY, datetime(2025, 3, 4, 1, 59), "", id="a minute before the next is due"),
        pytest.param(Timeline(), MONDAY, datetime(2025, 3, 4, 2, 1), "2025-03-04 is late: no list was published since that of 2025-03-03.", id="one"),
        pytest.param(Timeline(), MONDAY, datetime(2025, 3, 6, 12), "2025-03-04 to 2025-03-06, 3 nights, are late: no list", id="three"),
        # Two o'clock in New York is seven in London, and six once its clocks have gone forward.
        pytest.param(NEW_YORK, datetime(2025, 3, 8, 7), datetime(2025, 3, 9, 5, 59), "", id="not yet night in New York"),
        pytest.param(NEW_YORK, datetime(2025, 3, 8, 7), datetime(2025, 3, 9, 7, 1), "2025-03-09 is late", id="the night that has no two o'clock"),
        pytest.param(NEW_YORK, datetime(2025, 3, 9, 7), datetime(2025, 3, 10, 6, 1), "2025-03-10 is late", id="an hour earlier by London time"),
    ],
)
def test_a_night_is_late_once_its_hour_has_passed(timeline: Timeline, last: datetime, now: datetime, said: str) -> None:
    found = late_nights(timeline, last, now)
    assert len(found) == bool(said)
    assert "".join(found).startswith(said)
