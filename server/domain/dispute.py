"""Disputes: a customer takes a payment back through their bank or wallet.

Adapters report how one stands, `dispute_settlement` books it.

https://docs.stripe.com/disputes/how-disputes-work, https://developer.paypal.com/docs/disputes/
"""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from server.domain.fee import Fee


class DisputeState(StrEnum):
    """Where a dispute stands; the last three are its end."""

    NEEDS_RESPONSE = "NEEDS_RESPONSE"
    UNDER_REVIEW = "UNDER_REVIEW"
    WON = "WON"
    LOST = "LOST"
    CLOSED = "CLOSED"
    """It ended without a verdict: an inquiry that never became a dispute, or a claim that the customer withdrew."""


OPEN_DISPUTE_STATES = frozenset({DisputeState.NEEDS_RESPONSE, DisputeState.UNDER_REVIEW})


class DisputeReason(StrEnum):
    """What the customer says, in a closed vocabulary that every processor's codes are mapped to."""

    FRAUDULENT = "FRAUDULENT"
    UNRECOGNIZED = "UNRECOGNIZED"
    DUPLICATE = "DUPLICATE"
    PRODUCT_NOT_RECEIVED = "PRODUCT_NOT_RECEIVED"
    PRODUCT_UNACCEPTABLE = "PRODUCT_UNACCEPTABLE"
    CREDIT_NOT_PROCESSED = "CREDIT_NOT_PROCESSED"
    SUBSCRIPTION_CANCELED = "SUBSCRIPTION_CANCELED"
    INCORRECT_AMOUNT = "INCORRECT_AMOUNT"
    GENERAL = "GENERAL"


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeStanding:
    """A dispute as its processor describes it now. Settling books the difference to what stood before.

    Attributes:
        processor_dispute_id: The processor's own id of it.
        processor_payment_id: An object by which the payment is found: Stripe's intent, PayPal's capture.
        reason_code: The processor's own word, verbatim.
        inquiry: The bank or the customer only asks; no money is withdrawn, and it may become a dispute.
        amount: Disputed, minor units of `currency`.
        withdrawn: Of it, what the processor has taken from the account and not given back, minor units.
        held: Of it, what the processor withholds until it has decided, minor units; what is withdrawn is not held.
        fees: All that the processor has charged for the dispute so far, each under a reference of its own.
        respond_by: Until when evidence is taken, UTC; None where none is wanted.
    """

    processor_dispute_id: str
    processor_payment_id: str
    state: DisputeState
    reason: DisputeReason
    reason_code: str
    inquiry: bool
    amount: int
    currency: str
    withdrawn: int
    held: int
    fees: tuple[Fee, ...]
    respond_by: datetime | None
    opened_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the merchant tells the bank or the processor; empty fields are not sent. Free text, so never card data."""

    explanation: str = ""
    product_description: str = ""
    service_date: date | None = None
    shipping_carrier: str = ""
    shipping_tracking_number: str = ""
    shipping_date: date | None = None
    refund_policy: str = ""
    access_activity_log: str = ""
    """Proof that a digital product was used: addresses and times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """A dispute as stored: the last standing that was settled, and what the merchant answered. Times are UTC and aware.

    Attributes:
        transaction_id: Its transaction of type DISPUTE, open for as long as the dispute is.
        version: How many readings were settled; a reading is settled only on top of the version that it began with.
        evidence: What was submitted; None where nothing was, or where the dispute was accepted.
        answered_at: When the processor had the merchant's answer.
        amount_withdrawn: With amount_held, see `DisputeStanding`.
    """

    id: UUID
    merchant_id: UUID
    payment_id: UUID
    transaction_id: UUID
    version: int
    state: DisputeState
    reason: DisputeReason
    reason_code: str
    inquiry: bool
    amount: int
    currency: str
    amount_withdrawn: int
    amount_held: int
    processor: str
    processor_account_id: UUID
    processor_dispute_id: str
    respond_by: datetime | None
    evidence: Evidence | None
    answered_at: datetime | None
    opened_at: datetime
    created_at: datetime
    updated_at: datetime

    @property
    def open(self) -> bool:
        """Whether it is still to be decided."""
        return self.state in OPEN_DISPUTE_STATES

    @property
    def over(self) -> bool:
        """Whether nothing more is expected of it: it has ended, and its money lies where the verdict puts it."""
        at_rest = self.amount_held == 0 and (self.state is DisputeState.LOST or self.amount_withdrawn == 0)
        return at_rest and not self.open

    @property
    def amount_counted(self) -> int:
        """What `Payment.amount_disputed` counts of it, minor units: all that an open one asks for, then what is gone.

        An inquiry asks for nothing yet, and refunding it is a good answer.
        """
        if self.open:
            return 0 if self.inquiry else self.amount
        return self.amount_withdrawn + self.amount_held
