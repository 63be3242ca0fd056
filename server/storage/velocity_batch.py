"""The older payments of the very batch that is being opened: no counter holds them. Used by `velocity_counters`."""

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
    """The older payments of the batch, of one merchant and value; `moment` is when the one at hand was made."""

    moment: datetime
    payments: Sequence[Payment]

    def added(self, velocity: Velocity, known: Any) -> Any:
        """Adds them to what the counters say; they are but payments, nobody has approved or declined them yet.

        Args:
            known: As `Counted` has it; None where the counters know of none.
        """
        within = self._within(velocity.within_s) if velocity.over == "payments" else ()
        if not within:
            return known
        if velocity.function == "count":
            return known + len(within)
        if velocity.function in {"sum", "average"}:
            return _spent(known, within)
        if velocity.function == "first_seen":
            return False
        seconds = [max(0, int((self.moment - one.created_at).total_seconds())) for one in within]
        if known is not None:
            seconds.append(known)
        return min(seconds) if velocity.function == "seconds_since_last" else max(seconds)

    def _within(self, within_s: int | None) -> Sequence[Payment]:
        since = None if within_s is None else self.moment - timedelta(seconds=within_s)
        if since is None or not self.payments or self.payments[0].created_at > since:
            return self.payments  # the rule, since a batch is a matter of milliseconds
        return [one for one in self.payments if one.created_at > since]


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
