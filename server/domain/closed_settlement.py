"""Settles what a processor says of transactions that are over here: its word is a fact. Used by `settlement`."""

from dataclasses import replace
from datetime import datetime
from typing import assert_never

from server.domain.attention import AttentionKind
from server.domain.consequence import (
    HELD,
    Contradiction,
    Known,
    Settlement,
    capture_settlement,
    completed,
    refund_settlement,
    refunded,
)
from server.domain.decline import Failure
from server.domain.ids import new_id
from server.domain.ledger import (
    Journal,
    capture_journal,
    capture_reversed_journal,
    fee_journals,
    refund_failed_journal,
)
from server.domain.open_settlement import SETTLE
from server.domain.outcome import (
    ActionRequired,
    Approved,
    Cancelled,
    Declined,
    Finding,
    NotSent,
    Pending,
    Rejected,
    Unknown,
)
from server.domain.payment import Payment, Transaction, TransactionState, TransactionType
from server.domain.states import Event, next_state


def settle_closed(payment: Payment, transaction: Transaction, finding: Finding) -> Settlement | None:
    """Compares a finding with a transaction that is over here. What the processor says is a fact and is recorded."""
    match finding:
        case Unknown() | NotSent() | Rejected() | Pending() | ActionRequired():
            return None  # nothing that could contradict what is settled
        case Approved():
            return _closed_and_approved(payment, transaction, finding)
        case Declined() | Cancelled():
            return _closed_and_refused(payment, transaction, finding)
        case _:
            assert_never(finding)


def _closed_and_approved(payment: Payment, transaction: Transaction, finding: Approved) -> Settlement | None:
    if transaction.state is not TransactionState.COMPLETED:
        return _approved_after_all(payment, transaction, finding)
    is_authorization = transaction.type is TransactionType.AUTHORIZATION
    if is_authorization and finding.captured and payment.state in HELD:
        return _captured_elsewhere(payment, transaction, finding)
    return None


def _closed_and_refused(payment: Payment, transaction: Transaction, finding: Declined | Cancelled) -> Settlement | None:
    kind = transaction.type
    if transaction.state is not TransactionState.COMPLETED or kind is TransactionType.VOID:
        return None
    if kind is TransactionType.REFUND and isinstance(finding, Declined):
        return _reverse_refund(payment, transaction, finding.failure)
    if kind is TransactionType.AUTHORIZATION and isinstance(finding, Cancelled):
        return _voided_elsewhere(payment, transaction)
    raise Contradiction(f"{kind.value} is COMPLETED, and the processor says {type(finding).__name__}")


def _approved_after_all(payment: Payment, transaction: Transaction, finding: Approved) -> Settlement | None:
    """A capture or refund that we hold for failed has happened; an authorization is given back (`compensation`)."""
    told = f"the {transaction.type.value.lower()} had been settled as {transaction.state.value}, and was done after all"
    if transaction.type is TransactionType.REFUND:
        if finding.processor_transaction_id == transaction.processor_transaction_id:
            return None  # that very refund has failed since and never succeeds again: this answer is the older one
        moved = refunded(payment, transaction.amount)
        return refund_settlement(moved, completed(transaction, finding), finding, told)
    if transaction.type is TransactionType.CAPTURE and payment.state in HELD:
        settlement = SETTLE[TransactionType.CAPTURE](payment, replace(transaction, failure=None), finding)
        assert settlement is not None, "an approved capture settles"
        return replace(settlement, attention=told)
    raise Contradiction(f"{transaction.type.value} is {transaction.state.value}, and the processor says Approved")


def _captured_elsewhere(payment: Payment, transaction: Transaction, finding: Approved) -> Settlement:
    moved = replace(
        payment,
        state=next_state(payment.state, Event.CAPTURED),
        amount_captured=finding.amount,
        processor_capture_id=finding.processor_transaction_id,
    )
    told = "captured at the processor, not through Kassa"
    return capture_settlement(moved, transaction, finding, "payment.completed", told)


def _voided_elsewhere(payment: Payment, transaction: Transaction) -> Settlement | None:
    """A hold that was captured or voided through us may be reported as cancelled, too: its own transaction tells."""
    if payment.state not in HELD:
        return None
    moved = replace(payment, state=next_state(payment.state, Event.CANCELLED))
    told = "voided or expired at the processor, not through Kassa"
    return Settlement(moved, transaction, event="payment.cancelled", attention=told)


def _reverse_refund(payment: Payment, transaction: Transaction, failure: Failure) -> Settlement:
    moved = replace(
        payment,
        state=next_state(payment.state, Event.REFUND_REVERSED),
        amount_refunded=payment.amount_refunded - transaction.amount,
    )
    reference = transaction.processor_transaction_id
    journal = refund_failed_journal(transaction.amount, transaction.currency, reference)
    failed = replace(transaction, state=TransactionState.FAILED, failure=failure)
    return Settlement(moved, failed, (journal,), "refund.failed")


def compensation(payment: Payment, transaction: Transaction, finding: Finding, now: datetime) -> Transaction | None:
    """Returns the void or refund that puts right an authorization which we hold for failed and the processor approved.

    None where there is nothing to give back. Recovery sends it; the payment stays as it is.
    """
    if transaction.type is not TransactionType.AUTHORIZATION or not isinstance(finding, Approved):
        return None
    return replace(
        transaction,
        id=new_id(),
        type=TransactionType.REFUND if finding.captured else TransactionType.VOID,
        state=TransactionState.PENDING,
        processor_transaction_id="",
        failure=None,
        attempts=0,
        idempotency_keys=(),
        created_at=now,
        updated_at=now,
        detail={
            "compensates": str(transaction.id),
            "processor_payment_id": finding.processor_payment_id,
            "object_id": finding.processor_transaction_id,
        },
    )


def _came_and_went(refund: Transaction) -> tuple[Journal, ...]:
    """No payment counts this capture, so it is booked back instead of being counted among the refunds."""
    amount, currency = refund.amount, refund.currency
    return (
        capture_journal(amount, currency, refund.detail["object_id"]),
        capture_reversed_journal(amount, currency, refund.processor_transaction_id),
    )


def settle_compensation(payment: Payment, transaction: Transaction, finding: Known) -> Settlement:
    """The payment stays FAILED or CANCELLED; money that came and went back is explained by two journals."""
    refunds = transaction.type is TransactionType.REFUND
    match finding:
        case Approved():
            done = completed(transaction, finding)
            journals = (*(_came_and_went(done) if refunds else ()), *fee_journals(finding.fee))
            return Settlement(payment, done, journals, fee_due=refunds)
        case Cancelled() if not refunds:
            return Settlement(payment, replace(transaction, state=TransactionState.COMPLETED, waiting=False))
        case Cancelled() | Pending() | ActionRequired() | NotSent() | Rejected() | Declined():
            # The customer's money is still out there: it is asked for again until it is back.
            told = "the processor declines to give back what it approved" if isinstance(finding, Declined) else ""
            unsettled = replace(transaction, state=TransactionState.UNKNOWN, waiting=False)
            return Settlement(payment, unsettled, attention=told, attention_kind=AttentionKind.NOT_GIVEN_BACK)
        case _:
            assert_never(finding)
