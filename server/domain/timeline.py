"""A payment's timeline: all that is known of it, as entries in order. Read by `storage.timeline`, shown by `rpc`."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from uuid import UUID

from server.domain.payment import FraudDecision, Transaction
from server.domain.processor_call import ProcessorCall


class Rank(IntEnum):
    """The order of entries that share their time, which is the order of causes."""

    REQUEST = 0
    NOTICE = 1
    DECISION = 2
    CALL = 3
    TRANSACTION = 4
    JOURNAL = 5
    EVENT = 6
    ATTENTION = 7
    REVIEW = 8


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """What a merchant asked for. Amount in minor units.

    Attributes:
        operation: The method of PaymentService, or of FraudService.
        idempotency_key: Empty for a payment that the fraud rules blocked, as is `request_id`.
        transaction_id: What came of it; None where nothing was to be asked of a processor.
    """

    operation: str
    idempotency_key: str
    request_id: str
    transaction_id: UUID | None
    amount: int
    currency: str


@dataclass(frozen=True, slots=True)
class ProcessorNotice:
    """A webhook of the processor's. `result` is a word of ours for what came of it, empty until it was looked at."""

    processor: str
    event_id: str
    type: str
    result: str
    created_at: datetime
    handled_at: datetime | None


@dataclass(frozen=True, slots=True)
class CallMade:
    """A call to the processor, and the transaction it was made for, where it is one of ours."""

    processor: str
    transaction_id: UUID | None
    call: ProcessorCall


@dataclass(frozen=True, slots=True)
class JournalLine:
    """Minor units, a debit positive."""

    account: str
    amount: int
    currency: str


@dataclass(frozen=True, slots=True)
class JournalBooked:
    """A journal of the ledger with its lines."""

    journal_id: UUID
    kind: str
    transaction_id: UUID
    lines: tuple[JournalLine, ...]


@dataclass(frozen=True, slots=True)
class EventTold:
    """An event for the merchant."""

    event_id: UUID
    type: str
    transaction_id: UUID


@dataclass(frozen=True, slots=True)
class AttentionRaised:
    """Something that people must look at, or had to."""

    kind: str
    detail: str
    transaction_id: UUID
    resolved_at: datetime | None


class ReviewStep(StrEnum):
    """What happened to a payment's review."""

    OPENED = "OPENED"
    NOTED = "NOTED"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A step of the payment's review.

    Attributes:
        through: By what it ended; empty before that.
        analyst: Empty where it was none.
        words: The analyst's note or reason, or empty.
    """

    step: ReviewStep
    through: str = ""
    analyst: str = ""
    words: str = ""


Happening = (
    ApiRequest
    | ProcessorNotice
    | FraudDecision
    | CallMade
    | Transaction
    | JournalBooked
    | EventTold
    | AttentionRaised
    | Reviewed
)


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Where an entry stands: by time, then by rank, then by the id of what it shows."""

    at: datetime
    rank: int
    id: str


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """What happened, and when (UTC)."""

    position: Position
    what: Happening
