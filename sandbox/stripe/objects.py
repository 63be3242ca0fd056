"""Stripe's objects as JSON, with every key of Stripe's published fixtures; the operations and events render with it."""

from typing import Any

from sandbox.stripe import payment_method_objects
from sandbox.stripe.context import Context
from sandbox.stripe.params import words
from sandbox.stripe.records import (
    BalanceTransaction,
    Dispute,
    Failure,
    PaymentIntent,
    Refund,
)

Json = dict[str, Any]


def payment_intent(context: Context, intent: PaymentIntent) -> Json:
    """https://docs.stripe.com/api/payment_intents/object"""
    return {
        "id": intent.id,
        "object": "payment_intent",
        "amount": intent.amount,
        "amount_capturable": intent.amount_capturable,
        "amount_details": {"tip": {}},
        "amount_received": intent.amount_received,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None,
        "canceled_at": intent.canceled_at,
        "cancellation_reason": intent.cancellation_reason,
        "capture_method": intent.capture_method,
        "client_secret": client_secret(intent),
        "confirmation_method": "automatic",
        "created": intent.created,
        "currency": intent.currency.lower(),
        "customer": intent.customer,
        "customer_account": None,
        "description": intent.description,
        "excluded_payment_method_types": None,
        "last_payment_error": failure(context, intent.account, intent.failure) if intent.failure else None,
        "latest_charge": intent.latest_charge,
        "livemode": False,
        "managed_payments": {"enabled": False},
        "metadata": intent.metadata,
        "next_action": _next_action(context, intent),
        "on_behalf_of": None,
        "payment_method": intent.payment_method,
        "payment_method_configuration_details": None,
        "payment_method_options": _payment_method_options(intent),
        "payment_method_types": intent.payment_method_types,
        "processing": None,
        "receipt_email": intent.receipt_email,
        "review": None,
        "setup_future_usage": intent.setup_future_usage,
        "shipping": None,
        "source": None,
        "statement_descriptor": intent.statement_descriptor,
        "statement_descriptor_suffix": intent.statement_descriptor_suffix,
        "status": intent.status,
        "transfer_data": None,
        "transfer_group": None,
    }


def client_secret(intent: PaymentIntent) -> str:
    """What lets a customer act on this intent."""
    return f"{intent.id}_secret_{intent.secret}"


def failure(context: Context, account: str, failed: Failure) -> Json:
    """`last_payment_error`, and the body of the error that reports it."""
    fields: Json = {
        "code": failed.code,
        "doc_url": f"https://stripe.com/docs/error-codes/{failed.code.replace('_', '-')}",
        "message": failed.message,
        "type": failed.type,
        "charge": failed.charge,
        "decline_code": failed.decline_code,
        "param": failed.param,
    }
    method = context.books.payment_methods.get(account, failed.payment_method or "")
    if method:
        fields["payment_method"] = payment_method_objects.payment_method(method)
    return {name: value for name, value in fields.items() if value is not None}


def _next_action(context: Context, intent: PaymentIntent) -> Json | None:
    if not intent.action:
        return None
    url = f"{context.public_url}/stripe/authenticate/{intent.id}?key={intent.secret}"
    return {"type": "redirect_to_url", "redirect_to_url": {"return_url": intent.return_url or None, "url": url}}


def _payment_method_options(intent: PaymentIntent) -> Json:
    card = {
        "installments": None,
        "mandate_options": None,
        "network": None,
        "request_three_d_secure": intent.three_d_secure,
    }
    return {kind: card if kind == "card" else {} for kind in intent.payment_method_types}


def refund(record: Refund) -> Json:
    """https://docs.stripe.com/api/refunds/object"""
    rendered: Json = {
        "id": record.id,
        "object": "refund",
        "amount": record.amount,
        "balance_transaction": record.balance_transaction,
        "charge": record.charge,
        "created": record.created,
        "currency": record.currency.lower(),
        "customer": None,
        "customer_account": None,
        "destination_details": {"card": {"type": "refund"}, "type": "card"},
        "metadata": record.metadata,
        "payment_intent": record.payment_intent,
        "payment_method": None,
        "reason": record.reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": record.status,
        "transfer_reversal": None,
    }
    if record.failure_reason:
        rendered["failure_reason"] = record.failure_reason
        rendered["failure_balance_transaction"] = record.failure_balance_transaction
    return rendered


EVIDENCE = words(
    "access_activity_log billing_address cancellation_policy cancellation_policy_disclosure "
    "cancellation_rebuttal customer_communication customer_email_address customer_name customer_purchase_ip "
    "customer_signature duplicate_charge_documentation duplicate_charge_explanation duplicate_charge_id "
    "product_description receipt refund_policy refund_policy_disclosure refund_refusal_explanation "
    "service_date service_documentation shipping_address shipping_carrier shipping_date shipping_documentation "
    "shipping_tracking_number uncategorized_file uncategorized_text"
)


def dispute(context: Context, record: Dispute) -> Json:
    """https://docs.stripe.com/api/disputes/object"""
    movements = (context.books.balance_transactions.get(record.account, key) for key in record.balance_transactions)
    return {
        "id": record.id,
        "object": "dispute",
        "amount": record.amount,
        "balance_transactions": [balance_transaction(movement) for movement in movements if movement],
        "charge": record.charge,
        "created": record.created,
        "currency": record.currency.lower(),
        "enhanced_eligibility_types": [],
        "evidence": dict.fromkeys(EVIDENCE) | {"enhanced_evidence": {}} | record.evidence,
        "evidence_details": {
            "due_by": record.created + 21 * 86_400,
            "enhanced_eligibility": {},
            "has_evidence": bool(record.evidence),
            "past_due": False,
            "submission_count": record.submissions,
        },
        "is_charge_refundable": not record.withdrawn,
        "livemode": False,
        "metadata": {},
        "payment_intent": record.payment_intent,
        "payment_method_details": {
            "card": {
                "brand": "visa",
                "case_type": "chargeback" if record.withdrawn else "inquiry",
                "network": "visa",
                "network_reason_code": "83",
            },
            "type": "card",
        },
        "reason": record.reason,
        "status": record.status,
    }


def balance_transaction(record: BalanceTransaction) -> Json:
    """https://docs.stripe.com/api/balance_transactions/object"""
    fee = {
        "amount": record.fee,
        "application": None,
        "currency": record.currency.lower(),
        "description": "Sandbox processing fees",
        "type": "stripe_fee",
    }
    return {
        "id": record.id,
        "object": "balance_transaction",
        "amount": record.amount,
        "available_on": record.created + 2 * 86_400,
        "balance_type": "payments",
        "created": record.created,
        "currency": record.currency.lower(),
        "description": record.description,
        "exchange_rate": None,
        "fee": record.fee,
        "fee_details": [fee] if record.fee else [],
        "net": record.amount - record.fee,
        "reporting_category": record.category,
        "source": record.source,
        "status": "pending",
        "type": record.type,
    }
