"""What people must look at, in a closed vocabulary; opened by `storage`, shown and closed by `usecases.attention`."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class AttentionKind(StrEnum):
    """What happened; below each stands what a person does next. The contract says the same to its callers."""

    AMOUNT_MISMATCH = "AMOUNT_MISMATCH"
    """The processor speaks of another amount or currency than was asked for; nothing was settled. Compare the object in
    its dashboard with the transaction: return there what was taken wrongly; Kassa asks on until the two agree."""
    CONTRADICTION = "CONTRADICTION"
    """A transaction that is over has ended otherwise at the processor. An approved authorization is given back without
    asking: look whether the payment's compensating void or refund is COMPLETED. Anything else is put right by hand."""
    IMPOSSIBLE_TRANSITION = "IMPOSSIBLE_TRANSITION"
    """The processor reports what cannot happen to a payment in its state. Read the payment's transactions beside the
    processor's object, and put right by a refund what was taken too much."""
    MADE_ELSEWHERE = "MADE_ELSEWHERE"
    """A capture, void or refund was done at the processor that Kassa did not do or held for failed; it is booked. Ask
    who works in its dashboard, and whether the order knows of it."""
    EXTERNAL_REFUND = "EXTERNAL_REFUND"
    """Money was returned at the processor, not through Kassa; it is booked. Where the payment is marked as beyond its
    limit, more went back than was captured: claim it from the customer."""
    UNRESOLVED = "UNRESOLVED"
    """The processor has not said for an hour what became of a transaction; Kassa asks on. Look for the transaction's id
    in its dashboard, and whether the processor is in trouble. It is closed by itself once the answer is known."""
    NOT_GIVEN_BACK = "NOT_GIVEN_BACK"
    """The processor declines to give back what it approved against our books. Return the money in its dashboard; Kassa
    asks on, and the item is closed by itself once the money is back."""
    NOT_CANCELLED = "NOT_CANCELLED"
    """The time of a hold or of a customer's approval is over, and the processor declines to cancel it. Cancel it in its
    dashboard; the item is closed by itself once the payment has moved."""
    FEE_UNKNOWN = "FEE_UNKNOWN"
    """The processor has not said for days what it kept of a capture; Kassa asks on. Look for it in the balance report
    of its dashboard. The item is closed by itself once the fee is booked."""
    PROCESSOR_DIFFERS = "PROCESSOR_DIFFERS"
    """Captured or refunded amounts at the processor are not those of our books, twice in a row. Compare its object with
    the payment's transactions and the ledger, and put the difference right by a refund, or with the processor."""


@dataclass(frozen=True, slots=True)
class AttentionItem:
    """One thing for people. Times are UTC and aware.

    Attributes:
        detail: In a sentence what was asked and what the processor said; it holds no card data.
        resolved_at: None while it is open.
        resolved_by: Who closed it, in the caller's words; `kassa` where it was settled by itself; else empty.
        note: What that person did about it, or why it is over; else empty.
    """

    id: UUID
    merchant_id: UUID
    payment_id: UUID
    transaction_id: UUID
    kind: AttentionKind
    detail: str
    created_at: datetime
    resolved_at: datetime | None
    resolved_by: str
    note: str


RESOLVED_BY_ITSELF = "kassa"
"""Stands in `resolved_by` where nobody had to do anything."""
