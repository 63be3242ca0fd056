"""What an analyst has on the screen: a decision with what came of it, a review with its payment. Read by `storage`."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from server.domain.label import PaymentLabel
from server.domain.payment import FraudDecision, Payment
from server.domain.review import Review, ReviewNote


@dataclass(frozen=True, slots=True)
class Decided:
    """The rules' word on a payment, and what the payment turned out to be, where anybody knows."""

    merchant_id: UUID
    payment_id: UUID
    decision: FraudDecision
    label: PaymentLabel | None
    created_at: datetime

    @property
    def id(self) -> UUID:
        """A payment is decided once, so its id is the decision's."""
        return self.payment_id


@dataclass(frozen=True, slots=True)
class ReviewCase:
    """A review, its payment as it stands now, the decision that led to it, and what analysts noted, oldest first."""

    review: Review
    payment: Payment
    decided: Decided
    notes: tuple[ReviewNote, ...] = ()
