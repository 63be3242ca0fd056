"""The payment, its transactions, and their closed vocabularies; rows of `storage` are read into these."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from server.domain.decline import Failure
from server.domain.rulesets import Role


class State(StrEnum):
    """Where a payment stands; `domain.states` says what may follow what."""

    PROCESSING = "PROCESSING"
    PENDING = "PENDING"
    IN_REVIEW = "IN_REVIEW"
    AUTHORIZED = "AUTHORIZED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    REFUNDED = "REFUNDED"


class Method(StrEnum):
    """How the customer pays."""

    CREDIT_CARD = "CREDIT_CARD"
    DEBIT_CARD = "DEBIT_CARD"
    BANK_TRANSFER = "BANK_TRANSFER"
    DIGITAL_WALLET = "DIGITAL_WALLET"
    CRYPTOCURRENCY = "CRYPTOCURRENCY"


class CaptureMethod(StrEnum):
    """Whether funds are taken at once or held until the merchant captures them."""

    AUTOMATIC = "AUTOMATIC"
    MANUAL = "MANUAL"


class TransactionType(StrEnum):
    """What was asked of a processor, or done to us there."""

    AUTHORIZATION = "AUTHORIZATION"
    CAPTURE = "CAPTURE"
    VOID = "VOID"
    REFUND = "REFUND"
    CHARGEBACK = "CHARGEBACK"
    DISPUTE = "DISPUTE"


class TransactionState(StrEnum):
    """What became of a transaction. UNKNOWN: sent, and the answer was lost; recovery finds out."""

    PENDING = "PENDING"
    UNKNOWN = "UNKNOWN"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


OPEN_TRANSACTION_STATES = (TransactionState.PENDING, TransactionState.UNKNOWN)


class RefundReason(StrEnum):
    """Why money goes back."""

    DUPLICATE = "DUPLICATE"
    FRAUDULENT = "FRAUDULENT"
    REQUESTED_BY_CUSTOMER = "REQUESTED_BY_CUSTOMER"


class FraudOutcome(StrEnum):
    """What the ruleset decided."""

    ALLOW = "ALLOW"
    CHALLENGE = "CHALLENGE"
    REVIEW = "REVIEW"
    BLOCK = "BLOCK"


@dataclass(frozen=True, slots=True)
class ShadowDecision:
    """What a shadow ruleset would have decided; nothing follows from it. The fields are those of `FraudDecision`.

    Attributes:
        facts: What it saw and the decision beside it saw otherwise, or not at all; None where that was not kept.
        without: Names of facts that the decision beside it saw, and this one did not.
    """

    ruleset: str
    outcome: FraudOutcome
    score_thousandths: int
    rules: tuple[str, ...]
    shadow_rules: tuple[str, ...] = ()
    backend: str = ""
    facts: Mapping[str, str | int | bool] | None = None
    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FraudDecision:
    """The ruleset's word on a payment.

    Attributes:
        outcome: What the payment's life follows.
        score_thousandths: The sum of the live rules' scores; 900 is 0.9.
        rules: Ids of the live rules that fired.
        shadow_rules: Ids of the rules that would have fired, were they live.
        ruleset: Content hash of the ruleset, hexadecimal.
        facts: What the rules saw; empty where the decision was read to go on with its payment.
        backend: Which back end found the rules that fire; empty where that was not kept.
        role: LIVE or CANDIDATE: whose word it is.
        shadows: What shadow rulesets would have decided.
        snoozed: Ids of the live rules that would have fired, were they not snoozed.
    """

    outcome: FraudOutcome
    score_thousandths: int
    rules: tuple[str, ...]
    shadow_rules: tuple[str, ...]
    ruleset: str
    facts: Mapping[str, str | int | bool]
    backend: str = ""
    role: Role = Role.LIVE
    shadows: tuple[ShadowDecision, ...] = ()
    snoozed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CardSummary:
    """All that is kept of a card beside its keyed fingerprint. `last4` and `brand` may be empty for tokens."""

    brand: str
    last4: str
    exp_month: int | None
    exp_year: int | None


@dataclass(frozen=True, slots=True)
class Customer:
    """Who pays, as far as the merchant told; empty strings where it did not."""

    id: str = ""
    email: str = ""
    ip: str = ""
    device_id: str = ""
    phone: str = ""
    user_agent: str = ""


@dataclass(frozen=True, slots=True)
class Address:
    """A postal address; `country` is ISO 3166-1 alpha-2, upper case, or empty."""

    line1: str = ""
    line2: str = ""
    city: str = ""
    region: str = ""
    postal_code: str = ""
    country: str = ""


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment as stored. Amounts are in minor units of `currency`; times are UTC and aware."""

    id: UUID
    merchant_id: UUID
    state: State
    amount: int
    currency: str
    method: Method
    capture_method: CaptureMethod
    amount_authorized: int
    amount_captured: int
    amount_refunded: int
    amount_refunding: int
    amount_disputed: int
    beyond_limit: bool
    """The processor returned more than was captured (a refund made in its dashboard); people must look."""
    card: CardSummary | None
    customer: Customer
    billing_address: Address
    shipping_address: Address
    description: str
    metadata: Mapping[str, str]
    return_url: str
    cancel_url: str
    redirect_url: str
    """Where the customer must go while the payment is PENDING; else empty."""
    failure: Failure | None
    fraud: FraudDecision | None
    processor: str
    processor_account_id: UUID
    processor_payment_id: str
    processor_authorization_id: str
    processor_capture_id: str
    test_mode: bool
    created_at: datetime
    updated_at: datetime
    processor_checks: Mapping[str, str] = field(default_factory=dict)
    """What the processor said of address, postcode, security code and 3-D Secure, in the rules' words."""
    early_fraud_warning: bool = False
    """The card network has warned that the cardholder calls the payment a fraud."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """One thing asked of a processor. `id` is the idempotency key and reference that the processor saw."""

    id: UUID
    merchant_id: UUID
    payment_id: UUID
    type: TransactionType
    state: TransactionState
    amount: int
    currency: str
    processor: str
    processor_account_id: UUID
    processor_transaction_id: str
    reason: str
    failure: Failure | None
    waiting: bool
    """The processor has it and waits for the customer or a bank; nobody is working on it."""
    attempts: int
    idempotency_keys: tuple[str, ...]
    """The merchant's keys whose answers end with this transaction."""
    created_at: datetime
    updated_at: datetime
    detail: Mapping[str, Any] = field(default_factory=dict)
