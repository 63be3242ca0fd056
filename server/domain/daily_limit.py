"""How many payments a merchant may open on a day of its own time zone. Made by `create_payment`, kept by storage."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from math import ceil
from zoneinfo import ZoneInfo

from server.domain.errors import KassaError, Reason

LONGEST_WAIT_S = 3_600
"""What a refusal tells to wait for at most: the limit may be raised before the day is over."""


@dataclass(frozen=True, slots=True)
class DailyLimit:
    """A limit on one day.

    Attributes:
        day: As the merchant's calendar has it.
        most: Payments that may be opened on it.
        ends_at: When the next day begins, aware.
    """

    day: date
    most: int
    ends_at: datetime

    def refusal(self, now: datetime) -> KassaError:
        """Makes what a payment beyond the limit is refused with; its key stays free."""
        wait_s = max(1, min(LONGEST_WAIT_S, ceil((self.ends_at - now).total_seconds())))
        return KassaError(
            Reason.DAILY_LIMIT_REACHED,
            f"The limit of {self.most} payments a day is reached; nothing was done. It is counted anew after midnight.",
            metadata={
                "max_daily_transactions": str(self.most),
                "resets_at": self.ends_at.isoformat(),
                "retry_after_s": str(wait_s),
            },
        )


def daily_limit(most: int | None, time_zone: str, now: datetime) -> DailyLimit | None:
    """Returns the limit of the present day; None where there is none.

    Args:
        most: Payments a day; None or 0 for no limit.
        time_zone: IANA name of the merchant's zone.
    """
    if not most:
        return None
    zone = ZoneInfo(time_zone)
    day = now.astimezone(zone).date()
    # Where the clocks change at midnight, 00:00 may not exist; it is then the same moment as 01:00.
    return DailyLimit(day, most, datetime.combine(day + timedelta(days=1), time(), zone))
