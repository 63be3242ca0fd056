"""What Kassa asks of every processor. Use cases know this file and never an adapter.

Each call returns an `Outcome` (a decline is a value) or raises one of the three errors below. Our transaction id
travels as the processor's idempotency key and as its reference, so that an identical repeat is harmless.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from server.domain.card import Card
from server.domain.dispute import DisputeReason, DisputeStanding, DisputeState, Evidence
from server.domain.fee import Fee
from server.domain.outcome import ActionRequired, Approved, Cancelled, Declined, Outcome, Pending
from server.domain.payment import Address, Method

__all__ = [
    "Account",
    "ActionRequired",
    "Approved",
    "Authorization",
    "BankOrCrypto",
    "Cancelled",
    "Capabilities",
    "Capture",
    "CurrencyRule",
    "Declined",
    "DisputeAnswer",
    "DisputeReason",
    "DisputeStanding",
    "DisputeState",
    "EventRejected",
    "Evidence",
    "Fee",
    "FraudWarning",
    "Instrument",
    "MethodRule",
    "Outcome",
    "OutcomeUnknown",
    "Pending",
    "Processor",
    "ProcessorBusy",
    "ProcessorEvent",
    "ProcessorRejected",
    "ProcessorToken",
    "ProcessorUnavailable",
    "Refund",
    "Request",
    "Subject",
    "Totals",
    "Void",
    "Wallet",
]


class OutcomeUnknown(Exception):
    """The request was sent and no answer came: money may or may not have moved. Only `resolve` can tell."""


class ProcessorUnavailable(Exception):
    """Nothing was sent: the connection failed, the pool is full or the circuit is open."""


class ProcessorBusy(ProcessorUnavailable):
    """Our own limit of calls in flight is reached: nothing was sent, and it tells nothing of the processor's health."""


class ProcessorRejected(Exception):
    """The processor refused our request itself (bad credentials, malformed request): no money moved, people must act.

    Args:
        code: The processor's own code, safe to store and show to the merchant.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class EventRejected(Exception):
    """A webhook that must not be believed.

    Args:
        stale: True when the signature holds and only its time lies outside the tolerance.
    """

    def __init__(self, message: str, *, stale: bool = False) -> None:
        super().__init__(message)
        self.stale = stale


@dataclass(frozen=True, slots=True)
class Account:
    """A merchant's (or the platform's) account at a processor.

    Attributes:
        id: Ours, as in `/v1/webhooks/{processor}/{account_id}`.
        merchant_id: The owner; None for the platform's own account.
        credentials: As the adapter's `credential_names` lists them; decrypted, never logged.
        test_mode: Only test-mode accounts may name other endpoints than the processor's own.
    """

    id: UUID
    merchant_id: UUID | None
    processor: str
    test_mode: bool
    credentials: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ProcessorToken:
    """An instrument that the processor keeps, such as Stripe's `pm_…`."""

    value: str


@dataclass(frozen=True, slots=True)
class Wallet:
    """The customer approves in the wallet's own pages; `return_url` and `cancel_url` are needed."""


@dataclass(frozen=True, slots=True)
class BankOrCrypto:
    """Bank transfer or cryptocurrency without a token: the processor's pages or the mandate collect the details."""


Instrument = Card | ProcessorToken | Wallet | BankOrCrypto


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What every request names. Amounts are in minor units of `currency` (ISO 4217), always positive.

    Attributes:
        transaction_id: Processor's idempotency key and our reference there.
        processor_payment_id: The processor's object of the payment (`pi_…`, a PayPal order); None until known.
        processor_transaction_id: The processor's object of this very transaction (`re_…`, a capture); None until known.
        key_age: How old the idempotency key is, on the database's clock, since servers' clocks may jump: one older than
            its lifetime must not be repeated. None: the request is over, so it is read and never repeated.
        asked_at: When this attempt was leased, on the same clock: a process may sleep between its lease and its call.
    """

    merchant_id: UUID
    payment_id: UUID
    transaction_id: UUID
    amount: int
    currency: str
    key_age: timedelta | None
    processor_payment_id: str | None = None
    processor_transaction_id: str | None = None
    asked_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization(Request):
    """Holds or takes funds.

    Attributes:
        capture: True takes the funds at once; False holds them.
        instrument: None when it is gone (recovery): then only `resolve` may be called, and it fences.
        challenge: True demands 3-D Secure where the method knows it.
        billing_address: What the issuer holds against the cardholder's own.
    """

    method: Method
    capture: bool
    instrument: Instrument | None = None
    challenge: bool = False
    return_url: str = ""
    cancel_url: str = ""
    description: str = ""
    customer_email: str = ""
    customer_ip: str = ""
    customer_name: str = ""
    billing_address: Address = field(default_factory=Address)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture(Request):
    """Takes held funds, in part or whole, once; what is left is released. `authorization_id` as `Approved` gave it."""

    authorization_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Void(Request):
    """Releases held funds, or calls off a payment that waits for its customer (`authorization_id` is empty then)."""

    authorization_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund(Request):
    """Returns captured funds, in part or whole. `capture_id` as `Approved` gave it; `reason` a `RefundReason` or ''."""

    capture_id: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeAnswer:
    """What the merchant answers to a dispute.

    Attributes:
        key: The processor's idempotency key, where it knows one.
        evidence: None accepts the dispute as lost.
    """

    key: str
    processor_dispute_id: str
    evidence: Evidence | None


@dataclass(frozen=True, slots=True)
class Totals:
    """What a processor believes of one payment, minor units of `currency`; what is pending there does not count."""

    captured: int
    refunded: int
    currency: str


@dataclass(frozen=True, slots=True)
class FraudWarning:
    """What a card network tells early: the cardholder calls a payment a fraud, and may dispute it.

    Attributes:
        processor_object_ids: The processor's objects of that payment: charge, intent.
        kind: The processor's own word for the fraud, such as `made_with_stolen_card`.
    """

    processor_object_ids: tuple[str, ...]
    kind: str


class Subject(StrEnum):
    """What an event is about."""

    PAYMENT = "PAYMENT"
    REFUND = "REFUND"
    DISPUTE = "DISPUTE"
    WARNING = "WARNING"
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessorEvent:
    """A verified webhook. Nothing in it moves money: it says which object to read again.

    Attributes:
        id: The processor's event id, out of the verified body.
        type: The processor's own name, such as `payment_intent.succeeded`.
        processor_payment_id: The payment's object, or another by which it can be found (PayPal names a refund's and a
            dispute's capture), or empty where the event does not tell.
        processor_object_id: The refund, dispute or capture that the event is about, or the payment's object.
        transaction_id: Ours, out of the object's metadata, where it is there.
    """

    id: str
    type: str
    subject: Subject
    processor_payment_id: str
    processor_object_id: str
    transaction_id: UUID | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CurrencyRule:
    """How a processor writes a currency: its `exponent`, and the smallest `step` in our minor units it can express."""

    exponent: int
    step: int = 1


@dataclass(frozen=True, slots=True)
class MethodRule:
    """What a processor can do with a method: hold funds, capture a part, ask for 3-D Secure, refund."""

    holds: bool
    partial_capture: bool
    challenge: bool = False
    currencies: frozenset[str] | None = None
    """Currencies that this method takes; None: all of the processor's."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a processor can do, checked before anything is written.

    Attributes:
        currencies: ISO 4217 code to rule; absent means refused.
        key_lifetime: By request type name (`Authorization`, `Capture`, `Void`, `Refund`): how long a repeat under the
            same key is answered from memory instead of being done again.
        authorization_lifetime: After this a hold is gone.
        refund_maximum_age: After this a refund is refused.
    """

    methods: Mapping[Method, MethodRule]
    currencies: Mapping[str, CurrencyRule]
    key_lifetime: Mapping[str, timedelta]
    authorization_lifetime: timedelta
    refund_maximum_age: timedelta


class Processor(Protocol):
    """One adapter. Every method has a deadline of its own and raises `OutcomeUnknown`, `ProcessorUnavailable` or
    `ProcessorRejected`; nothing else may leave it."""

    name: str
    credential_names: tuple[str, ...]
    capabilities: Capabilities

    async def authorize(self, account: Account, request: Authorization) -> Outcome:
        """Asks for funds; `request.instrument` is there."""

    async def complete(self, account: Account, request: Authorization) -> Outcome:
        """Carries an authorization on whose `processor_payment_id` is known: reads it, and takes the next step when
        the customer has done theirs. Harmless to repeat. The object must match our amount, currency and reference.

        Raises:
            OutcomeUnknown: Of the three errors this one alone, since that nothing was sent now tells nothing of before.
        """

    async def capture(self, account: Account, request: Capture) -> Outcome:
        """Takes held funds."""

    async def void(self, account: Account, request: Void) -> Outcome:
        """Releases held funds."""

    async def refund(self, account: Account, request: Refund) -> Outcome:
        """Returns captured funds."""

    async def resolve(self, account: Account, request: Authorization | Capture | Void | Refund) -> Outcome:
        """Finds out what became of a request whose answer was lost: reads the object where its id is known, else
        repeats under the same key, else (an authorization without its instrument) fences, so that a late original
        can never run. `NOT_SUBMITTED` is the decline of what never happened.

        Raises:
            OutcomeUnknown: It still cannot be told; ask again later. Of the three errors this one alone.
        """

    async def read_dispute(self, account: Account, processor_dispute_id: str) -> DisputeStanding:
        """Reads a dispute as it stands now."""

    async def list_disputes(self, account: Account, since: datetime) -> Sequence[str]:
        """Lists the ids of the account's disputes that were opened since a moment, UTC; others than ours, too."""

    async def answer_dispute(self, account: Account, answer: DisputeAnswer) -> DisputeStanding:
        """Accepts a dispute or submits evidence, and returns how it stands then.

        Harmless to repeat. A dispute that takes no answer any more is no error: its standing says so.
        """

    async def read_warning(self, account: Account, processor_warning_id: str) -> FraudWarning:
        """Reads an early fraud warning. Only a processor whose events tell of warnings is ever asked."""

    async def read_fee(self, account: Account, processor_payment_id: str, capture_id: str) -> Fee | None:
        """Reads what the processor kept of a capture; None where it does not say so yet."""

    async def read_totals(self, account: Account, processor_payment_id: str) -> Totals:
        """Reads what was captured and refunded of a payment, whoever asked for it."""

    async def parse_event(self, account: Account, headers: Mapping[str, str], body: bytes) -> ProcessorEvent:
        """Verifies a webhook with this account's secret alone, over the raw bytes; header names are lower case.

        Raises:
            EventRejected: Forged, stale or unreadable.
        """

    async def close(self) -> None:
        """Lets go of connections."""
