"""A day is the merchant's own."""

from datetime import UTC, date, datetime

import pytest

from server.domain.daily_limit import LONGEST_WAIT_S, daily_limit
from server.domain.errors import Reason


@pytest.mark.parametrize(
    ("zone", "day", "ends_at"),
    [
        ("UTC", date(2026, 3, 28), "2026-03-29T00:00:00+00:00"),
        ("Europe/Berlin", date(2026, 3, 29), "2026-03-30T00:00:00+02:00"),
        ("America/Los_Angeles", date(2026, 3, 28), "2026-03-29T00:00:00-07:00"),
    ],
)
def test_a_day_ends_at_the_merchants_midnight(zone: str, day: date, ends_at: str) -> None:
    limit = daily_limit(10, zone, datetime(2026, 3, 28, 23, 30, tzinfo=UTC))
    assert limit is not None
    assert (limit.day, limit.ends_at.isoformat()) == (day, ends_at)


def test_a_refusal_tells_how_long_to_wait_and_never_too_long() -> None:
    now = datetime(2026, 3, 28, 23, 59, 30, 500_000, tzinfo=UTC)
    limit = daily_limit(10, "UTC", now)
    assert limit is not None
    refusal = limit.refusal(now)
    assert refusal.reason is Reason.DAILY_LIMIT_REACHED
    assert refusal.metadata["retry_after_s"] == "30"
    assert limit.refusal(datetime(2026, 3, 28, 1, tzinfo=UTC)).metadata["retry_after_s"] == str(LONGEST_WAIT_S)
    assert limit.refusal(datetime(2026, 3, 29, 0, 0, 1, tzinfo=UTC)).metadata["retry_after_s"] == "1"


@pytest.mark.parametrize("none", [None, 0])
def test_without_a_limit_nothing_is_counted(none: int | None) -> None:
    assert daily_limit(none, "UTC", datetime(2026, 3, 28, tzinfo=UTC)) is None
