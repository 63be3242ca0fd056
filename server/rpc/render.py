"""Payments, refunds and transactions as the wire shows them. Called by `rpc.payment_service`."""

from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp
from kassa.v1 import payment_service_pb2 as pb

from server.domain.decline import Advice, DeclineCode, Failure
from server.domain.ids import Prefix, render_id
from server.domain.payment import (
    Address,
    CaptureMethod,
    CardSummary,
    Customer,
    FraudDecision,
    FraudOutcome,
    Method,
    Payment,
    RefundReason,
    State,
    Transaction,
    TransactionState,
    TransactionType,
)
from server.rpc.vocabulary import to_wire

_STATES = to_wire(State, pb.Payment.State)
_METHODS = to_wire(Method, pb.Payment.Method)
_CAPTURE_METHODS = to_wire(CaptureMethod, pb.Payment.CaptureMethod)
_OUTCOMES = to_wire(FraudOutcome, pb.FraudDecision.Outcome)
_CODES = to_wire(DeclineCode, pb.Failure.Code)
_ADVICE = to_wire(Advice, pb.Failure.Advice)
_TRANSACTION_TYPES = to_wire(TransactionType, pb.Transaction.Type)
_TRANSACTION_STATES = to_wire(TransactionState, pb.Transaction.State)
_REFUND_STATES = to_wire(TransactionState, pb.Refund.State)
_REFUND_REASONS = to_wire(RefundReason, pb.Refund.Reason)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)


def render_payment(payment: Payment) -> pb.Payment:
    """Shows a payment as it stands."""
    return pb.Payment(
        id=render_id(Prefix.PAYMENT, payment.id),
        merchant_id=render_id(Prefix.MERCHANT, payment.merchant_id),
        state=_STATES[payment.state],
        amount=payment.amount,
        currency=payment.currency,
        amount_authorized=payment.amount_authorized,
        amount_captured=payment.amount_captured,
        amount_refunded=payment.amount_refunded,
        amount_disputed=payment.amount_disputed,
        method=_METHODS[payment.method],
        capture_method=_CAPTURE_METHODS[payment.capture_method],
        card=None if payment.card is None else _card(payment.card),
        customer=_customer(payment.customer),
        billing_address=_address(payment.billing_address),
        shipping_address=_address(payment.shipping_address),
        description=payment.description,
        metadata=payment.metadata,
        return_url=payment.return_url,
        cancel_url=payment.cancel_url,
        next_action=_next_action(payment),
        fraud=None if payment.fraud is None else render_decision(payment.fraud),
        failure=render_failure(payment.failure),
        processor=payment.processor,
        processor_payment_id=payment.processor_payment_id,
        created_at=render_time(payment.created_at),
        updated_at=render_time(payment.updated_at),
        test_mode=payment.test_mode,
        early_fraud_warning=payment.early_fraud_warning,
    )


def render_refund(transaction: Transaction) -> pb.Refund:
    """Shows a transaction of type REFUND as the refund that merchants know."""
    assert transaction.type is TransactionType.REFUND
    reason = _REFUND_REASONS[RefundReason(transaction.reason)] if transaction.reason else pb.Refund.REASON_UNSPECIFIED
    return pb.Refund(
        id=render_id(Prefix.REFUND, transaction.id),
        payment_id=render_id(Prefix.PAYMENT, transaction.payment_id),
        amount=transaction.amount,
        currency=transaction.currency,
        state=_REFUND_STATES[transaction.state],
        reason=reason,
        failure=render_failure(transaction.failure),
        created_at=render_time(transaction.created_at),
        updated_at=render_time(transaction.updated_at),
    )


def render_transaction(transaction: Transaction) -> pb.Transaction:
    """Shows one thing that was asked of a processor."""
    return pb.Transaction(
        id=render_id(Prefix.TRANSACTION, transaction.id),
        payment_id=render_id(Prefix.PAYMENT, transaction.payment_id),
        type=_TRANSACTION_TYPES[transaction.type],
        state=_TRANSACTION_STATES[transaction.state],
        amount=transaction.amount,
        currency=transaction.currency,
        processor=transaction.processor,
        processor_transaction_id=transaction.processor_transaction_id,
        failure=render_failure(transaction.failure),
        created_at=render_time(transaction.created_at),
        updated_at=render_time(transaction.updated_at),
    )


def render_decision(decision: FraudDecision) -> pb.FraudDecision:
    """Shows what the fraud rules decided."""
    return pb.FraudDecision(
        score=decision.score_thousandths / 1000,
        outcome=_OUTCOMES[decision.outcome],
        rules=decision.rules,
        ruleset=decision.ruleset,
    )


def render_failure(failure: Failure | None) -> pb.Failure | None:
    """Shows why something failed."""
    if failure is None:
        return None
    return pb.Failure(
        code=_CODES[failure.code],
        decline_code=failure.decline_code or "",
        message=failure.message,
        advice=_ADVICE[failure.advice],
    )


def render_time(moment: datetime) -> Timestamp:
    """Shows an aware time; whole microseconds, without the detour of a float."""
    elapsed = moment - _EPOCH
    return Timestamp(seconds=elapsed // _SECOND, nanos=elapsed.microseconds * 1_000)


def _card(card: CardSummary) -> pb.CardSummary:
    return pb.CardSummary(
        brand=card.brand, last4=card.last4, exp_month=card.exp_month or 0, exp_year=card.exp_year or 0
    )


def _customer(customer: Customer) -> pb.Customer | None:
    if customer == Customer():
        return None
    return pb.Customer(
        id=customer.id,
        email=customer.email,
        ip=customer.ip,
        device_id=customer.device_id,
        phone=customer.phone,
        user_agent=customer.user_agent,
    )


def _address(address: Address) -> pb.Address | None:
    if address == Address():
        return None
    return pb.Address(
        line1=address.line1,
        line2=address.line2,
        city=address.city,
        region=address.region,
        postal_code=address.postal_code,
        country=address.country,
    )


def _next_action(payment: Payment) -> pb.NextAction | None:
    if payment.state is not State.PENDING or not payment.redirect_url:
        return None
    return pb.NextAction(type=pb.NextAction.REDIRECT, redirect_url=payment.redirect_url)
