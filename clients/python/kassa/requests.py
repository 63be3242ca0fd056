"""What callers may write, and the messages made of it; called by both clients."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, Required, TypedDict

from kassa.v1 import attention_service_pb2
from kassa.v1 import dispute_service_pb2 as dispute_pb
from kassa.v1 import fraud_service_pb2 as fraud_pb
from kassa.v1 import ledger_service_pb2 as ledger_pb
from kassa.v1 import payment_service_pb2 as pb

Method = Literal["CREDIT_CARD", "DEBIT_CARD", "BANK_TRANSFER", "DIGITAL_WALLET", "CRYPTOCURRENCY"]
CaptureMethod = Literal["AUTOMATIC", "MANUAL"]
RefundReason = Literal["DUPLICATE", "FRAUDULENT", "REQUESTED_BY_CUSTOMER"]
DisputeState = Literal["NEEDS_RESPONSE", "UNDER_REVIEW", "WON", "LOST", "CLOSED"]
State = Literal["PROCESSING", "PENDING", "IN_REVIEW", "AUTHORIZED", "COMPLETED", "FAILED", "CANCELLED", "REFUNDED"]

AttentionKind = Literal[
    "AMOUNT_MISMATCH",
    "CONTRADICTION",
    "IMPOSSIBLE_TRANSITION",
    "MADE_ELSEWHERE",
    "EXTERNAL_REFUND",
    "UNRESOLVED",
    "NOT_GIVEN_BACK",
    "NOT_CANCELLED",
    "PROCESSOR_DIFFERS",
    "FEE_UNKNOWN",
]


ReviewState = Literal["OPEN", "APPROVED", "REJECTED"]
FraudOutcome = Literal["ALLOW", "CHALLENGE", "REVIEW", "BLOCK"]
Account = Literal["PROCESSOR_RECEIVABLE", "MERCHANT_PAYABLE", "REFUNDS", "FEES", "DISPUTES", "RESERVE"]


class Card(TypedDict, total=False):
    """A payment card as the customer enters it."""

    number: Required[str]
    exp_month: Required[int]
    exp_year: Required[int]
    cvc: str
    holder: str


class Wallet(TypedDict, total=False):
    """A wallet; PayPal's, where no provider is named."""

    provider: Literal["PAYPAL"]


class Customer(TypedDict, total=False):
    """The person who pays."""

    id: str
    email: str
    ip: str
    device_id: str
    phone: str
    user_agent: str


class Address(TypedDict, total=False):
    """A postal address; `country` is ISO 3166-1 alpha-2."""

    line1: str
    line2: str
    city: str
    region: str
    postal_code: str
    country: str


class NewPayment(TypedDict, total=False):
    """A payment to make, with exactly one of card, card_token, processor_token and wallet.

    `amount` is in the currency's minor unit: 1999 with USD is 19.99 dollars.
    """

    amount: Required[int]
    currency: Required[str]
    method: Required[Method]
    capture_method: CaptureMethod
    card: Card
    card_token: str
    processor_token: str
    wallet: Wallet
    customer: Customer
    billing_address: Address
    shipping_address: Address
    description: str
    metadata: Mapping[str, str]
    return_url: str
    cancel_url: str


class PaymentFilter(TypedDict, total=False):
    """Which payments to list; all that is given must hold. Times must be aware; `created_before` is exclusive."""

    state: State
    method: Method
    customer_id: str
    created_after: datetime
    created_before: datetime
    page_size: int


class AttentionFilter(TypedDict, total=False):
    """Which attention items to list; all that is given must hold. A platform key may name a merchant."""

    kind: AttentionKind
    payment_id: str
    merchant_id: str
    include_resolved: bool
    page_size: int


class EntryFilter(TypedDict, total=False):
    """Which ledger entries to list; all that is given must hold. Times must be aware; `created_before` is exclusive.

    A platform key must name the merchant.
    """

    merchant_id: str
    payment_id: str
    account: Account
    currency: str
    created_after: datetime
    created_before: datetime
    page_size: int


class DisputeFilter(TypedDict, total=False):
    """Which disputes to list; all that is given must hold. `respond_before` must be aware, and is exclusive."""

    state: DisputeState
    payment_id: str
    respond_before: datetime
    page_size: int


class ReviewFilter(TypedDict, total=False):
    """Which reviews to list; all that is given must hold. A platform key may name a merchant."""

    state: ReviewState
    claimed_by: str
    merchant_id: str
    page_size: int


class DecisionFilter(TypedDict, total=False):
    """Which decisions to list; all that is given must hold. Times must be aware; `created_before` is exclusive."""

    rule: str
    outcome: FraudOutcome
    created_after: datetime
    created_before: datetime
    merchant_id: str
    page_size: int


class NewListEntry(TypedDict, total=False):
    """What to put on a list. `expires_at` must be aware; a platform key may name a merchant, else it concerns all."""

    list_name: Required[str]
    value: Required[str]
    author: Required[str]
    reason: Required[str]
    expires_at: datetime
    merchant_id: str


class ListEntryFilter(TypedDict, total=False):
    """Which entries of lists to show; all that is given must hold. A platform key may name a merchant."""

    list_name: str
    value: str
    merchant_id: str
    include_past: bool
    page_size: int


class SnoozeFilter(TypedDict, total=False):
    """Which snoozes to show; all that is given must hold."""

    rule: str
    include_past: bool
    page_size: int


class DisputeEvidence(TypedDict, total=False):
    """What speaks against a dispute, at least one of these. Days are `YYYY-MM-DD`; card numbers are refused."""

    explanation: str
    product_description: str
    service_date: str
    shipping_carrier: str
    shipping_tracking_number: str
    shipping_date: str
    refund_policy: str
    access_activity_log: str


_INSTRUMENTS = pb.CreatePaymentRequest.DESCRIPTOR.oneofs_by_name["instrument"].fields


def create_request(fields: NewPayment) -> pb.CreatePaymentRequest:
    """Makes the message; protobuf reads mappings as messages and names as enum values.

    Raises:
        ValueError: A name or a value is none of the contract's, or there is more than one instrument: of those protobuf
            would keep the last.
    """
    instruments = [one.name for one in _INSTRUMENTS if fields.get(one.name) is not None]
    if len(instruments) > 1:
        raise ValueError(f"give one instrument, not {' and '.join(instruments)}")
    return pb.CreatePaymentRequest(**_loose(fields))


def list_request(fields: PaymentFilter) -> pb.ListPaymentsRequest:
    """Makes the message.

    Raises:
        ValueError: A name or a value is none of the contract's, or a time is naive.
    """
    return pb.ListPaymentsRequest(**_aware(_loose(fields)))


def entries_request(fields: EntryFilter) -> ledger_pb.ListLedgerEntriesRequest:
    """Makes the message.

    Raises:
        ValueError: A name or a value is none of the contract's, or a time is naive.
    """
    return ledger_pb.ListLedgerEntriesRequest(**_aware(_loose(fields)))


def balances_request(at: datetime | None, merchant_id: str) -> ledger_pb.GetBalancesRequest:
    """Makes the message.

    Raises:
        ValueError: The time is naive.
    """
    return ledger_pb.GetBalancesRequest(**_aware(_loose({"at": at, "merchant_id": merchant_id})))


def refund_request(payment_id: str, amount: int | None, reason: RefundReason | None) -> pb.RefundPaymentRequest:
    """Makes the message."""
    return pb.RefundPaymentRequest(**_loose({"payment_id": payment_id, "amount": amount, "reason": reason}))


def attention_request(fields: AttentionFilter) -> attention_service_pb2.ListAttentionRequest:
    """Makes the message.

    Raises:
        ValueError: A name or a value is none of the contract's.
    """
    return attention_service_pb2.ListAttentionRequest(**_loose(fields))


def disputes_request(fields: DisputeFilter) -> dispute_pb.ListDisputesRequest:
    """Makes the message.

    Raises:
        ValueError: A name or a value is none of the contract's, or a time is naive.
    """
    return dispute_pb.ListDisputesRequest(**_aware(_loose(fields)))


def evidence_request(dispute_id: str, evidence: DisputeEvidence) -> dispute_pb.SubmitDisputeEvidenceRequest:
    """Makes the message.

    Raises:
        ValueError: A name is none of the contract's.
    """
    return dispute_pb.SubmitDisputeEvidenceRequest(**_loose({"dispute_id": dispute_id, "evidence": dict(evidence)}))


def reviews_request(fields: ReviewFilter) -> fraud_pb.ListReviewsRequest:
    """Makes the message.

    Raises:
        ValueError: A name or a value is none of the contract's.
    """
    return fraud_pb.ListReviewsRequest(**_loose(fields))


def decisions_request(fields: DecisionFilter) -> fraud_pb.ListDecisionsRequest:
    """Makes the message.

    Raises:
        ValueError: A name or a value is none of the contract's, or a time is naive.
    """
    return fraud_pb.ListDecisionsRequest(**_aware(_loose(fields)))


def entry_request(fields: NewListEntry) -> fraud_pb.AddListEntryRequest:
    """Makes the message.

    Raises:
        ValueError: A name is none of the contract's, or the time is naive.
    """
    return fraud_pb.AddListEntryRequest(**_aware(_loose(fields)))


def list_entries_request(fields: ListEntryFilter) -> fraud_pb.ListListEntriesRequest:
    """Makes the message.

    Raises:
        ValueError: A name is none of the contract's.
    """
    return fraud_pb.ListListEntriesRequest(**_loose(fields))


def snooze_request(rule: str, author: str, reason: str, expires_at: datetime) -> fraud_pb.SnoozeRuleRequest:
    """Makes the message.

    Raises:
        ValueError: The time is naive.
    """
    fields = {"rule": rule, "author": author, "reason": reason, "expires_at": expires_at}
    return fraud_pb.SnoozeRuleRequest(**_aware(fields))


def snoozes_request(fields: SnoozeFilter) -> fraud_pb.ListRuleSnoozesRequest:
    """Makes the message.

    Raises:
        ValueError: A name is none of the contract's.
    """
    return fraud_pb.ListRuleSnoozesRequest(**_loose(fields))


def label_request(payment_id: str, label: str, analyst: str, note: str) -> fraud_pb.LabelPaymentRequest:
    """Makes the message.

    Raises:
        ValueError: The label is none of the contract's.
    """
    fields = {"payment_id": payment_id, "label": label, "analyst": analyst, "note": note}
    return fraud_pb.LabelPaymentRequest(**_loose(fields))


def statistics_request(
    created_after: datetime | None, created_before: datetime | None, merchant_id: str
) -> fraud_pb.GetRuleStatisticsRequest:
    """Makes the message.

    Raises:
        ValueError: A time is naive.
    """
    fields = {"created_after": created_after, "created_before": created_before, "merchant_id": merchant_id}
    return fraud_pb.GetRuleStatisticsRequest(**_aware(_loose(fields)))


def _aware(fields: dict[str, Any]) -> dict[str, Any]:
    for name, value in fields.items():
        if isinstance(value, datetime) and value.tzinfo is None:
            raise ValueError(f"{name} must have a time zone")
    return fields


def _loose(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Takes fields whose types protobuf's own stubs do not know, though protobuf itself takes them."""
    return dict(fields)
