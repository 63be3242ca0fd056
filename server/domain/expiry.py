"""How long a payment may wait before it is called off. Settling writes the deadline, `expire_payment` keeps it."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from server.domain.payment import Payment, State, Transaction
from server.domain.review import EXPIRED, ReviewTerms

__all__ = ["EXPIRED", "HOLD_MARGIN", "PATIENCE", "Lifetimes", "deadline", "waits", "waits_for_customer"]

HOLD_MARGIN = timedelta(hours=24)
"""A hold is called off so long before its processor lets it go, so that nobody captures into the void."""


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Counted from the making of the authorization.

    Attributes:
        approval: For the customer to approve it.
        hold: For the merchant to capture it.
        review: For people to decide it, within `hold`; counted from when it came into review.
    """

    approval: timedelta = timedelta(hours=24)
    hold: timedelta = timedelta.max
    review: ReviewTerms = field(default_factory=ReviewTerms)

    def within(self, processor_holds: timedelta) -> "Lifetimes":
        """Narrows them to what a processor allows, so much before that it is still there to confirm."""
        return replace(self, hold=min(self.hold, processor_holds - HOLD_MARGIN))


PATIENCE = Lifetimes()
"""A day for the customer; for the merchant as long as the processor holds the funds."""


def waits(payment: Payment) -> bool:
    """Whether time can run out on it: it waits for its customer or its merchant.

    What a bank works on waits for neither: it has no page where its customer could act, and the processor decides.
    """
    return payment.state in {State.AUTHORIZED, State.IN_REVIEW} or waits_for_customer(payment)


def waits_for_customer(payment: Payment) -> bool:
    """Whether nothing happens unless the customer acts."""
    return payment.state is State.PENDING and payment.redirect_url != ""


def deadline(payment: Payment, authorization: Transaction, lifetimes: Lifetimes) -> datetime | None:
    """Returns when a payment's time is over, None where it does not wait."""
    if not waits(payment):
        return None
    return authorization.created_at + (lifetimes.approval if waits_for_customer(payment) else lifetimes.hold)
