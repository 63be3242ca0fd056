"""The older payments of the very batch that is being opened, which no counter holds yet. Used by `velocity_counters`."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from server.domain.payment import Payment
from server.domain.velocity import Spent, Velocity


@dataclass(frozen=True, slots=True)
class Before:
    """The batch's payments of one merchant and value that are older than the one at hand, which was made at `moment`."""

    moment: datetime
    payments: Sequence[Payment]

    def added(self, velocity: Velocity, known: Any) -> Any:
        """Adds them to what the counters say; they are but payments, nobody has approved or declined them yet.

        Args:
            known: As `Counted` has it; None where the counters know of none.
        """
        if velocity.over != "payments":
            return known
        window = None if velocity.within_s is None else timedelta(seconds=velocity.within_s)
        if not self.payments:
            return known
        within = self.payments
        if window is not None and within[0].created_at <= self.moment - window:
            within = [one for one in within if one.created_at > self.moment - window]
            if not within:
                return known
        match velocity.function:
            case "count":
                return known + len(within)
            case "first_seen":
                return False
            case "sum" | "average":
                return _spent(known, within)
            case "seconds_since_last":
                return min(self._seconds(within)) if known is None else min(known, *self._seconds(within))
            case "seconds_since_first":
                return max(self._seconds(within)) if known is None else max(known, *self._seconds(within))
            case _:
                raise AssertionError(f"no counter answers {velocity.function}")

    def _seconds(self, payments: Sequence[Payment]) -> list[int]:
        return [max(0, int((self.moment - one.created_at).total_seconds())) for one in payments]


def _spent(known: Mapping[str, Spent], payments: Sequence[Payment]) -> dict[str, Spent]:
    spent = dict(known)
    for one in payments:
        before = spent.get(one.currency, Spent(0, 0))
        spent[one.currency] = Spent(before.payments + 1, before.amount + one.amount)
    return spent


@dataclass(slots=True)
class Older:
    """Collects a batch, the oldest payment first."""

    _payments: dict[tuple[UUID, str], list[Payment]] = field(default_factory=lambda: defaultdict(list))

    def of(self, payment: Payment, value: str) -> Before:
        """Returns what was added of the payment's merchant with the same value."""
        return Before(payment.created_at, tuple(self._payments[payment.merchant_id, value]))

    def add(self, payment: Payment, value: str) -> None:
        """Counts a payment for those that follow."""
        self._payments[payment.merchant_id, value].append(payment)
