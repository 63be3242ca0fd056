"""Payments and transactions as rows: the same flat form for Postgres, for stored answers and for events."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from server.domain.decline import Advice, DeclineCode, Failure
from server.domain.payment import (
    Address,
    CaptureMethod,
    CardSummary,
    Customer,
    FraudDecision,
    FraudOutcome,
    Method,
    Payment,
    ShadowDecision,
    State,
    Transaction,
    TransactionState,
    TransactionType,
)
from server.domain.rulesets import Role
from server.domain.velocity import Traces

Row = dict[str, Any]

PAYMENT_COLUMNS = (
    "merchant_id", "id", "state", "amount", "currency", "method", "capture_method", "amount_authorized",
    "amount_captured", "amount_refunded", "amount_refunding", "amount_disputed", "beyond_limit", "card_brand",
    "card_last4", "card_exp_month", "card_exp_year", "customer_id", "customer_email", "customer_ip",
    "customer_device_id", "customer_phone", "customer_user_agent", "billing_address", "shipping_address",
    "description", "metadata", "return_url", "cancel_url", "redirect_url", "failure", "processor",
    "processor_account_id", "processor_payment_id", "processor_authorization_id", "processor_capture_id", "test_mode",
    "created_at", "updated_at", "processor_checks", "early_fraud_warning",
)  # fmt: skip
TRACE_COLUMNS = ("card_fingerprint", "card_bin", "email_key", "email_domain", "holder_hash", "shipping_key")
PAYMENT_CHANGES = (
    "state", "amount_authorized", "amount_captured", "amount_refunded", "amount_refunding", "amount_disputed",
    "beyond_limit", "card_brand", "card_last4", "card_exp_month", "card_exp_year", "redirect_url", "failure",
    "processor_payment_id", "processor_authorization_id", "processor_capture_id", "updated_at", "processor_checks",
    "early_fraud_warning",
)  # fmt: skip
TRANSACTION_COLUMNS = (
    "merchant_id", "id", "payment_id", "type", "state", "amount", "currency", "processor", "processor_account_id",
    "processor_transaction_id", "reason", "failure", "waiting", "owner", "lease_until", "attempts",
    "idempotency_keys", "detail", "created_at", "updated_at",
)  # fmt: skip
DECISION_COLUMNS = (
    "merchant_id", "payment_id", "outcome", "score_thousandths", "rules", "shadow_rules", "ruleset", "facts",
    "backend", "role", "shadows", "snoozed_rules", "created_at",
)  # fmt: skip


TOLD_OF_DECISION = ("outcome", "score_thousandths", "rules", "shadow_rules", "ruleset")
"""What a payment shows of its decision."""


def columns(names: Sequence[str], alias: str = "") -> str:
    """Lists columns for a statement, each under `alias` where one is given."""
    return ", ".join(f"{alias}.{name}" if alias else name for name in names)


def insert(table: str, names: Sequence[str]) -> str:
    """Writes the statement that inserts a batch given as one JSON array of complete rows, `:rows`."""
    listed = columns(names)
    source = f"jsonb_populate_recordset(NULL::{table}, CAST(:rows AS jsonb))"
    return f"INSERT INTO {table} ({listed}) SELECT {listed} FROM {source}"


def payment_row(payment: Payment) -> Row:
    """Flattens a payment; the fraud decision lives in a table of its own and is added by `snapshot`.

    Its traces are written once, when it is opened, and no answer and no event shows them.
    """
    card = payment.card or CardSummary("", "", None, None)
    return {
        "merchant_id": payment.merchant_id, "id": payment.id, "state": payment.state, "amount": payment.amount,
        "currency": payment.currency, "method": payment.method, "capture_method": payment.capture_method,
        "amount_authorized": payment.amount_authorized, "amount_captured": payment.amount_captured,
        "amount_refunded": payment.amount_refunded, "amount_refunding": payment.amount_refunding,
        "amount_disputed": payment.amount_disputed, "beyond_limit": payment.beyond_limit, "card_brand": card.brand,
        "card_last4": card.last4, "card_exp_month": card.exp_month, "card_exp_year": card.exp_year,
        "customer_id": payment.customer.id, "customer_email": payment.customer.email,
        "customer_ip": payment.customer.ip, "customer_device_id": payment.customer.device_id,
        "customer_phone": payment.customer.phone, "customer_user_agent": payment.customer.user_agent,
        "billing_address": payment.billing_address,
        "shipping_address": payment.shipping_address, "description": payment.description,
        "metadata": dict(payment.metadata), "return_url": payment.return_url, "cancel_url": payment.cancel_url,
        "redirect_url": payment.redirect_url, "failure": payment.failure,
        "processor": payment.processor, "processor_account_id": payment.processor_account_id,
        "processor_payment_id": payment.processor_payment_id,
        "processor_authorization_id": payment.processor_authorization_id,
        "processor_capture_id": payment.processor_capture_id, "test_mode": payment.test_mode,
        "created_at": payment.created_at, "updated_at": payment.updated_at,
        "processor_checks": dict(payment.processor_checks), "early_fraud_warning": payment.early_fraud_warning,
    }  # fmt: skip


def traces_row(traces: Traces) -> Row:
    """Flattens what a payment is found again by; it is written once, when the payment is opened."""
    return {name: getattr(traces, name) for name in TRACE_COLUMNS}


def decision_row(payment: Payment, decision: FraudDecision) -> Row:
    """Flattens the fraud decision of a payment."""
    return {
        "merchant_id": payment.merchant_id,
        "payment_id": payment.id,
        "outcome": decision.outcome,
        "score_thousandths": decision.score_thousandths,
        "rules": decision.rules,
        "shadow_rules": decision.shadow_rules,
        "ruleset": decision.ruleset,
        "facts": decision.facts,
        "backend": decision.backend,
        "role": decision.role,
        "shadows": decision.shadows,
        "snoozed_rules": decision.snoozed,
        "created_at": payment.created_at,
    }


def snapshot(payment: Payment) -> Row:
    """Returns all that an answer or an event needs to show the payment later as it stands now.

    What the rules saw is not for merchants, and is kept with the decision alone.
    """
    row, decision = payment_row(payment), payment.fraud
    row["fraud"] = decision and {name: getattr(decision, name) for name in TOLD_OF_DECISION}
    return row


def read_failure(value: Mapping[str, Any] | None) -> Failure | None:
    """Reads a failure back."""
    if value is None:
        return None
    return Failure(DeclineCode(value["code"]), value["message"], Advice(value["advice"]), value["decline_code"])


def read_decision(row: Mapping[str, Any] | None) -> FraudDecision | None:
    """Reads a fraud decision back, None where the payment has none."""
    if row is None or row["outcome"] is None:
        return None
    return FraudDecision(
        FraudOutcome(row["outcome"]),
        row["score_thousandths"],
        tuple(row["rules"]),
        tuple(row["shadow_rules"]),
        row["ruleset"],
        # A snapshot has none of these.
        row.get("facts", {}),
        row.get("backend", ""),
        Role(row.get("role", Role.LIVE)),
        tuple(_read_shadow(shadow) for shadow in row.get("shadows", ())),
        tuple(row.get("snoozed_rules", ())),
    )


def _read_shadow(row: Mapping[str, Any]) -> ShadowDecision:
    return ShadowDecision(
        row["ruleset"],
        FraudOutcome(row["outcome"]),
        row["score_thousandths"],
        tuple(row["rules"]),
        # What was stored before shadows were replayed lacks these.
        tuple(row.get("shadow_rules", ())),
        row.get("backend", ""),
        row.get("facts"),
        tuple(row.get("without", ())),
    )


def read_payment(row: Mapping[str, Any], decision: Mapping[str, Any] | None = None) -> Payment:
    """Makes a payment of a database row or of a `snapshot`."""
    has_card = bool(row["card_last4"] or row["card_brand"])
    return Payment(
        id=read_uuid(row["id"]),
        merchant_id=read_uuid(row["merchant_id"]),
        state=State(row["state"]),
        amount=row["amount"],
        currency=row["currency"],
        method=Method(row["method"]),
        capture_method=CaptureMethod(row["capture_method"]),
        amount_authorized=row["amount_authorized"],
        amount_captured=row["amount_captured"],
        amount_refunded=row["amount_refunded"],
        amount_refunding=row["amount_refunding"],
        amount_disputed=row["amount_disputed"],
        beyond_limit=row["beyond_limit"],
        card=CardSummary(row["card_brand"], row["card_last4"], row["card_exp_month"], row["card_exp_year"])
        if has_card
        else None,
        customer=_read_customer(row),
        billing_address=Address(**row["billing_address"]),
        shipping_address=Address(**row["shipping_address"]),
        description=row["description"],
        metadata=row["metadata"],
        return_url=row["return_url"],
        cancel_url=row["cancel_url"],
        redirect_url=row["redirect_url"],
        failure=read_failure(row["failure"]),
        fraud=read_decision(decision if decision is not None else row.get("fraud")),
        processor=row["processor"],
        processor_account_id=read_uuid(row["processor_account_id"]),
        processor_payment_id=row["processor_payment_id"],
        processor_authorization_id=row["processor_authorization_id"],
        processor_capture_id=row["processor_capture_id"],
        test_mode=row["test_mode"],
        created_at=read_time(row["created_at"]),
        updated_at=read_time(row["updated_at"]),
        # Answers that were stored before these were known lack them.
        processor_checks=row.get("processor_checks") or {},
        early_fraud_warning=row.get("early_fraud_warning") or False,
    )


def _read_customer(row: Mapping[str, Any]) -> Customer:
    return Customer(
        row["customer_id"],
        row["customer_email"],
        row["customer_ip"],
        row["customer_device_id"],
        row.get("customer_phone") or "",
        row.get("customer_user_agent") or "",
    )


def transaction_row(transaction: Transaction) -> Row:
    """Flattens a transaction but for its lease, which `storage` alone sets."""
    return {
        "merchant_id": transaction.merchant_id, "id": transaction.id, "payment_id": transaction.payment_id,
        "type": transaction.type, "state": transaction.state, "amount": transaction.amount,
        "currency": transaction.currency, "processor": transaction.processor,
        "processor_account_id": transaction.processor_account_id,
        "processor_transaction_id": transaction.processor_transaction_id, "reason": transaction.reason,
        "failure": transaction.failure, "waiting": transaction.waiting,
        "attempts": transaction.attempts, "idempotency_keys": transaction.idempotency_keys,
        "detail": dict(transaction.detail), "created_at": transaction.created_at,
        "updated_at": transaction.updated_at,
    }  # fmt: skip


def read_transaction(row: Mapping[str, Any]) -> Transaction:
    """Makes a transaction of a database row or of a stored answer."""
    return Transaction(
        id=read_uuid(row["id"]),
        merchant_id=read_uuid(row["merchant_id"]),
        payment_id=read_uuid(row["payment_id"]),
        type=TransactionType(row["type"]),
        state=TransactionState(row["state"]),
        amount=row["amount"],
        currency=row["currency"],
        processor=row["processor"],
        processor_account_id=read_uuid(row["processor_account_id"]),
        processor_transaction_id=row["processor_transaction_id"],
        reason=row["reason"],
        failure=read_failure(row["failure"]),
        waiting=row["waiting"],
        attempts=row["attempts"],
        idempotency_keys=tuple(row["idempotency_keys"]),
        detail=row["detail"],
        created_at=read_time(row["created_at"]),
        updated_at=read_time(row["updated_at"]),
    )


def read_uuid(value: UUID | str) -> UUID:
    """Takes an id as Postgres' driver or as JSON gives it."""
    return value if isinstance(value, UUID) else UUID(value)


def read_time(value: datetime | str) -> datetime:
    """Takes a time as Postgres' driver or as JSON gives it."""
    return value if isinstance(value, datetime) else datetime.fromisoformat(value).astimezone(UTC)
