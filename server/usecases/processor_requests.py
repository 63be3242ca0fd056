"""Writes what is asked of a processor from the payment and the transaction as stored; called by the use cases."""

from datetime import datetime, timedelta
from typing import TypedDict, assert_never
from uuid import UUID

from server.domain.payment import (
    OPEN_TRANSACTION_STATES,
    CaptureMethod,
    FraudOutcome,
    Payment,
    Transaction,
    TransactionType,
)
from server.processors.contract import Authorization, Capture, Instrument, Refund, Void


def authorization_request(
    payment: Payment, transaction: Transaction, instrument: Instrument | None = None, holder: str = ""
) -> Authorization:
    """Asks for funds. A payment that may go to review is only held, so that losing our process never captures it."""
    outcome = None if payment.fraud is None else payment.fraud.outcome
    return Authorization(
        **_named(payment, transaction),
        method=payment.method,
        capture=payment.capture_method is CaptureMethod.AUTOMATIC and outcome is not FraudOutcome.REVIEW,
        instrument=instrument,
        challenge=outcome is FraudOutcome.CHALLENGE,
        return_url=payment.return_url,
        cancel_url=payment.cancel_url,
        description=payment.description,
        customer_email=payment.customer.email,
        customer_ip=payment.customer.ip,
        customer_name=holder,
        billing_address=payment.billing_address,
    )


def follow_up_request(payment: Payment, transaction: Transaction) -> Authorization | Capture | Void | Refund:
    """Asks for what the transaction says; an authorization comes without its instrument, which is never stored."""
    match transaction.type:
        case TransactionType.AUTHORIZATION:
            return authorization_request(payment, transaction)
        case TransactionType.CAPTURE:
            return Capture(**_named(payment, transaction), authorization_id=payment.processor_authorization_id)
        case TransactionType.VOID:
            held = transaction.detail.get("object_id", payment.processor_authorization_id)
            return Void(**_named(payment, transaction), authorization_id=held)
        case TransactionType.REFUND:
            taken = transaction.detail.get("object_id", payment.processor_capture_id)
            return Refund(**_named(payment, transaction), capture_id=taken, reason=transaction.reason)
        case TransactionType.CHARGEBACK | TransactionType.DISPUTE:
            raise AssertionError(f"a {transaction.type.value} is followed by `follow_dispute`")
        case _:
            assert_never(transaction.type)


class _Named(TypedDict):
    merchant_id: UUID
    payment_id: UUID
    transaction_id: UUID
    amount: int
    currency: str
    key_age: timedelta | None
    processor_payment_id: str | None
    processor_transaction_id: str | None
    asked_at: datetime


def _named(payment: Payment, transaction: Transaction) -> _Named:
    """What every request names; a compensation names the object that it undoes, which the payment may not know."""
    is_open = transaction.state in OPEN_TRANSACTION_STATES
    return {
        "merchant_id": payment.merchant_id,
        "payment_id": payment.id,
        "transaction_id": transaction.id,
        "amount": transaction.amount,
        "currency": transaction.currency,
        # Both are stamped by the database: when it was opened, and when it was last taken up.
        "key_age": transaction.updated_at - transaction.created_at if is_open else None,
        "processor_payment_id": transaction.detail.get("processor_payment_id", payment.processor_payment_id) or None,
        "processor_transaction_id": transaction.processor_transaction_id or None,
        "asked_at": transaction.updated_at,
    }
