"""Settles transactions that are open: what each finding does to its payment. Called by `settlement.settle`."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import assert_never

from server.domain.consequence import (
    Known,
    Settlement,
    capture_settlement,
    completed,
    failed,
    failure_of,
    refund_settlement,
    refunded,
)
from server.domain.outcome import ActionRequired, Approved, Cancelled, Declined, NotSent, Pending, Rejected
from server.domain.payment import (
    CardSummary,
    FraudOutcome,
    Payment,
    State,
    Transaction,
    TransactionState,
    TransactionType,
)
from server.domain.states import Event, next_state


def _settle_authorization(payment: Payment, transaction: Transaction, finding: Known) -> Settlement:
    match finding:
        case Approved():
            return _authorized(payment, transaction, finding)
        case ActionRequired(processor_payment_id=object_id, redirect_url=url):
            return _waits(payment, transaction, object_id, url)
        case Pending(processor_payment_id=object_id):
            return _waits(payment, transaction, object_id, "")
        case Cancelled():
            moved = replace(payment, state=next_state(payment.state, Event.CANCELLED), redirect_url="")
            closed = replace(transaction, state=TransactionState.CANCELLED, waiting=False)
            return Settlement(moved, closed, event="payment.cancelled")
        case Declined() | Rejected() | NotSent():
            object_id = finding.processor_payment_id if isinstance(finding, Declined) else ""
            moved = replace(
                payment,
                state=next_state(payment.state, Event.DECLINED),
                failure=failure_of(finding),
                redirect_url="",
                processor_payment_id=object_id or payment.processor_payment_id,
                processor_checks={**payment.processor_checks, **_checks(finding)},
            )
            unsent = isinstance(finding, NotSent)
            return Settlement(moved, failed(transaction, finding), event="payment.failed", release_key=unsent)
        case _:
            assert_never(finding)


def _authorized(payment: Payment, transaction: Transaction, finding: Approved) -> Settlement:
    in_review = payment.fraud is not None and payment.fraud.outcome is FraudOutcome.REVIEW
    held = Event.HELD_FOR_REVIEW if in_review else Event.AUTHORIZED
    event = Event.CAPTURED if finding.captured else held
    moved = replace(
        payment,
        state=next_state(payment.state, event),
        amount_authorized=finding.amount,
        amount_captured=finding.amount if finding.captured else 0,
        redirect_url="",
        processor_payment_id=finding.processor_payment_id,
        processor_authorization_id=finding.processor_transaction_id,
        processor_capture_id=finding.processor_transaction_id if finding.captured else "",
        card=_card(payment.card, finding),
        processor_checks={**payment.processor_checks, **finding.checks},
    )
    event_type = f"payment.{moved.state.value.lower()}"
    if not finding.captured:
        return Settlement(moved, completed(transaction, finding), event=event_type)
    return capture_settlement(moved, completed(transaction, finding), finding, event_type)


def _checks(finding: Declined | Rejected | NotSent) -> Mapping[str, str]:
    return finding.checks if isinstance(finding, Declined) else {}


def _card(known: CardSummary | None, finding: Approved) -> CardSummary | None:
    """Keeps what the merchant gave; a token's card is known only from the processor."""
    if known is not None or not finding.card_last4:
        return known
    return CardSummary(finding.card_brand, finding.card_last4, finding.card_exp_month, finding.card_exp_year)


def _waits(payment: Payment, transaction: Transaction, object_id: str, redirect_url: str) -> Settlement:
    moved = replace(
        payment,
        state=next_state(payment.state, Event.WAITS),
        processor_payment_id=object_id,
        redirect_url=redirect_url,
    )
    told = "" if payment.state is State.PENDING else "payment.pending"
    return Settlement(moved, replace(transaction, state=TransactionState.PENDING, waiting=True), event=told)


def _settle_capture(payment: Payment, transaction: Transaction, finding: Known) -> Settlement | None:
    match finding:
        case Approved():
            moved = replace(
                payment,
                state=next_state(payment.state, Event.CAPTURED),
                amount_captured=finding.amount,
                processor_capture_id=finding.processor_transaction_id,
            )
            return capture_settlement(moved, completed(transaction, finding), finding, "payment.completed")
        case Pending() | ActionRequired():
            return _still_pending(payment, transaction)
        case Cancelled():
            moved = replace(payment, state=next_state(payment.state, Event.CANCELLED))
            closed = replace(transaction, state=TransactionState.CANCELLED, waiting=False)
            return Settlement(moved, closed, event="payment.cancelled")
        case Declined() | Rejected() | NotSent():
            return Settlement(payment, failed(transaction, finding), release_key=isinstance(finding, NotSent))
        case _:
            assert_never(finding)


def _settle_void(payment: Payment, transaction: Transaction, finding: Known) -> Settlement | None:
    match finding:
        case Approved() | Cancelled():
            moved = replace(payment, state=next_state(payment.state, Event.CANCELLED), redirect_url="")
            closed = replace(transaction, state=TransactionState.COMPLETED, waiting=False)
            return Settlement(moved, closed, event="payment.cancelled", closes_authorization=True)
        case Pending() | ActionRequired():
            return _still_pending(payment, transaction)
        case Declined() | Rejected() | NotSent():
            return Settlement(payment, failed(transaction, finding), release_key=isinstance(finding, NotSent))
        case _:
            assert_never(finding)


def _settle_refund(payment: Payment, transaction: Transaction, finding: Known) -> Settlement | None:
    released = replace(payment, amount_refunding=payment.amount_refunding - transaction.amount)
    match finding:
        case Approved():
            moved = refunded(released, transaction.amount)
            return refund_settlement(moved, completed(transaction, finding), finding)
        case Pending(processor_transaction_id=object_id):
            known = replace(transaction, processor_transaction_id=object_id or transaction.processor_transaction_id)
            return _still_pending(payment, known)
        case ActionRequired():
            return _still_pending(payment, transaction)
        case Cancelled():
            closed = replace(transaction, state=TransactionState.CANCELLED, waiting=False)
            return Settlement(released, closed, event="refund.failed")
        case Declined() | Rejected() | NotSent():
            unsent = isinstance(finding, NotSent)
            return Settlement(released, failed(transaction, finding), event="refund.failed", release_key=unsent)
        case _:
            assert_never(finding)


def _still_pending(payment: Payment, transaction: Transaction) -> Settlement:
    """The processor has it; whoever holds the lease lets go, and recovery asks again later."""
    return Settlement(payment, replace(transaction, state=TransactionState.PENDING, waiting=True))


SETTLE: Mapping[TransactionType, Callable[[Payment, Transaction, Known], Settlement | None]] = {
    TransactionType.AUTHORIZATION: _settle_authorization,
    TransactionType.CAPTURE: _settle_capture,
    TransactionType.VOID: _settle_void,
    TransactionType.REFUND: _settle_refund,
}
"""Chargebacks and disputes are done to us, never asked of a processor; `dispute_settlement` settles them."""
