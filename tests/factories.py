"""Makes valid domain objects for tests; each test names only what it is about."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from server.domain.dispute import DisputeReason, DisputeStanding, DisputeState
from server.domain.ids import new_id
from server.domain.outcome import Approved
from server.domain.payment import (
    Address,
    CaptureMethod,
    CardSummary,
    Customer,
    Method,
    Payment,
    State,
    Transaction,
    TransactionState,
    TransactionType,
)

STRIPE_ACCOUNT = UUID(int=1)


def make_payment(**changes: Any) -> Payment:
    """A new card payment of 19.99 USD, PROCESSING."""
    now = datetime.now(UTC)
    payment = Payment(
        id=new_id(),
        merchant_id=uuid4(),
        state=State.PROCESSING,
        amount=1999,
        currency="USD",
        method=Method.CREDIT_CARD,
        capture_method=CaptureMethod.AUTOMATIC,
        amount_authorized=0,
        amount_captured=0,
        amount_refunded=0,
        amount_refunding=0,
        amount_disputed=0,
        beyond_limit=False,
        card=CardSummary("visa", "4242", 12, 2030),
        customer=Customer("cus_1", "ada@example.com", "203.0.113.7", ""),
        billing_address=Address(country="US"),
        shipping_address=Address(country="US"),
        description="Order 1001",
        metadata={"order": "1001"},
        return_url="",
        cancel_url="",
        redirect_url="",
        failure=None,
        fraud=None,
        processor="stripe",
        processor_account_id=STRIPE_ACCOUNT,
        processor_payment_id="",
        processor_authorization_id="",
        processor_capture_id="",
        test_mode=True,
        created_at=now,
        updated_at=now,
    )
    return replace(payment, **changes)


def make_transaction(payment: Payment, **changes: Any) -> Transaction:
    """The payment's first authorization, PENDING."""
    transaction = Transaction(
        id=new_id(),
        merchant_id=payment.merchant_id,
        payment_id=payment.id,
        type=TransactionType.AUTHORIZATION,
        state=TransactionState.PENDING,
        amount=payment.amount,
        currency=payment.currency,
        processor=payment.processor,
        processor_account_id=payment.processor_account_id,
        processor_transaction_id="",
        reason="",
        failure=None,
        waiting=False,
        attempts=0,
        idempotency_keys=(),
        created_at=payment.created_at,
        updated_at=payment.created_at,
    )
    return replace(transaction, **changes)


def approved(transaction: Transaction, **changes: Any) -> Approved:
    """The processor's yes to a transaction, with captured funds."""
    yes = Approved(
        processor_payment_id=f"pi_{transaction.payment_id.hex}",
        processor_transaction_id=f"ch_{transaction.id.hex}",
        amount=transaction.amount,
        currency=transaction.currency,
        captured=True,
    )
    return replace(yes, **changes)


def make_standing(**changes: Any) -> DisputeStanding:
    """A dispute of 19.99 USD that waits for the merchant, its money withdrawn."""
    now = datetime.now(UTC)
    standing = DisputeStanding(
        processor_dispute_id="dp_1",
        processor_payment_id="pi_1",
        state=DisputeState.NEEDS_RESPONSE,
        reason=DisputeReason.FRAUDULENT,
        reason_code="fraudulent",
        inquiry=False,
        amount=1999,
        currency="USD",
        withdrawn=1999,
        held=0,
        fees=(),
        respond_by=now + timedelta(days=7),
        opened_at=now,
    )
    return replace(standing, **changes)
