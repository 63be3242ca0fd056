"""Stripe's objects as JSON, with every key of Stripe's published fixtures; the operations and events render with it."""

from typing import Any

from sandbox.stripe.context import Context
from sandbox.stripe.params import words
from sandbox.stripe.records import (
    BalanceTransaction,
    Charge,
    Dispute,
    Failure,
    PaymentIntent,
    PaymentMethod,
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
        fields["payment_method"] = payment_method(method)
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


def charge(context: Context, record: Charge) -> Json:
    """https://docs.stripe.com/api/charges/object"""
    intent = context.books.intents.get(record.account, record.payment_intent)
    method = context.books.payment_methods.get(record.account, record.payment_method)
    assert intent is not None and method is not None
    failed = record.failure
    return {
        "id": record.id,
        "object": "charge",
        "amount": record.amount,
        "amount_captured": record.amount_captured,
        "amount_refunded": record.amount_refunded + record.released,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": record.balance_transaction,
        "billing_details": _billing_details(method),
        "calculated_statement_descriptor": "SANDBOX",
        "captured": record.captured,
        "created": record.created,
        "currency": record.currency.lower(),
        "customer": intent.customer,
        "description": intent.description,
        "disputed": record.dispute is not None,
        "failure_balance_transaction": None,
        "failure_code": failed.code if failed else None,
        "failure_message": failed.message if failed else None,
        "fraud_details": {},
        "livemode": False,
        "metadata": intent.metadata,
        "on_behalf_of": None,
        "outcome": _outcome(record),
        "paid": record.status == "succeeded",
        "payment_intent": intent.id,
        "payment_method": method.id,
        "payment_method_details": _payment_method_details(record, method),
        "receipt_email": intent.receipt_email,
        "receipt_number": None,
        "receipt_url": None,
        "refunded": record.amount_refunded + record.released == record.amount and record.status == "succeeded",
        "refunds": _refunds(context, record),
        "review": None,
        "shipping": None,
        "source": None,
        "source_transfer": None,
        "statement_descriptor": intent.statement_descriptor,
        "statement_descriptor_suffix": intent.statement_descriptor_suffix,
        "status": record.status,
        "transfer_data": None,
        "transfer_group": None,
    }


def _refunds(context: Context, record: Charge) -> Json:
    rows = (context.books.refunds.get(record.account, key) for key in reversed(record.refunds))
    data = [refund(row) for row in rows if row]
    return {"object": "list", "data": data, "has_more": False, "url": f"/v1/charges/{record.id}/refunds"}


def _outcome(record: Charge) -> Json:
    failed = record.failure
    blocked = bool(failed and failed.decline_code == "fraudulent")
    return {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "not_sent_to_network"
        if blocked
        else "declined_by_network"
        if failed
        else "approved_by_network",
        "reason": "highest_risk_level" if blocked else (failed.decline_code or failed.code) if failed else None,
        "risk_level": record.risk_level,
        "risk_score": {"normal": 20, "elevated": 65, "highest": 90}[record.risk_level],
        "seller_message": "The bank did not return any further details." if failed else "Payment complete.",
        "type": "blocked" if blocked else "issuer_declined" if failed else "authorized",
    }


def _billing_details(method: PaymentMethod) -> Json:
    address = dict.fromkeys(("city", "line1", "line2", "state"))
    return {
        "address": {**address, "country": method.country, "postal_code": method.postal_code},
        "email": method.email,
        "name": method.name,
        "phone": method.phone,
        "tax_id": None,
    }


def _payment_method_details(record: Charge, method: PaymentMethod) -> Json:
    if method.card is None:
        return {"type": method.type, method.type: {"last4": method.last4 or None}}
    three_d_secure = {
        "authentication_flow": "challenge",
        "electronic_commerce_indicator": "05",
        "exemption_indicator": None,
        "result": "authenticated",
        "result_reason": None,
        "transaction_id": None,
        "version": "2.2.0",
    }
    card = method.card
    details: Json = {
        "amount_authorized": record.amount,
        "authorization_code": None,
        "brand": card.brand,
        "checks": _checks(method),
        "country": card.country,
        "exp_month": card.exp_month,
        "exp_year": card.exp_year,
        "extended_authorization": {"status": "disabled"},
        "fingerprint": card.fingerprint,
        "funding": card.funding,
        "incremental_authorization": {"status": "unavailable"},
        "installments": None,
        "last4": card.last4,
        "mandate": None,
        "multicapture": {"status": "unavailable"},
        "network": card.brand,
        "network_token": {"used": False},
        "network_transaction_id": None,
        "overcapture": {"maximum_amount_capturable": record.amount, "status": "unavailable"},
        "regulated_status": None,
        "three_d_secure": three_d_secure if record.authenticated else None,
        "transaction_link_id": None,
        "wallet": None,
    }
    return {"type": "card", "card": details}


def _checks(method: PaymentMethod) -> Json:
    assert method.card is not None
    postal = "pass" if method.postal_code else None
    return {"address_line1_check": None, "address_postal_code_check": postal, "cvc_check": method.card.cvc_check}


def payment_method(method: PaymentMethod) -> Json:
    """https://docs.stripe.com/api/payment_methods/object"""
    rendered: Json = {
        "id": method.id,
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": _billing_details(method),
        "created": method.created,
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": method.metadata,
        "type": method.type,
    }
    if method.card is None:
        return rendered | {method.type: {"last4": method.last4 or None}}
    card = method.card
    return rendered | {
        "card": {
            "brand": card.brand,
            "checks": _checks(method),
            "country": card.country,
            "display_brand": card.brand,
            "exp_month": card.exp_month,
            "exp_year": card.exp_year,
            "fingerprint": card.fingerprint,
            "funding": card.funding,
            "generated_from": None,
            "last4": card.last4,
            "networks": {"available": [card.brand], "preferred": None},
            "regulated_status": None,
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        }
    }


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
        "evidence": dict.fromkeys(_EVIDENCE) | {"enhanced_evidence": {}, "uncategorized_text": record.evidence_text},
        "evidence_details": {
            "due_by": record.created + 21 * 86_400,
            "enhanced_eligibility": {},
            "has_evidence": record.evidence_text is not None,
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


_EVIDENCE = words(
    "access_activity_log billing_address cancellation_policy cancellation_policy_disclosure "
    "cancellation_rebuttal customer_communication customer_email_address customer_name customer_purchase_ip "
    "customer_signature duplicate_charge_documentation duplicate_charge_explanation duplicate_charge_id "
    "product_description receipt refund_policy refund_policy_disclosure refund_refusal_explanation "
    "service_date service_documentation shipping_address shipping_carrier shipping_date shipping_documentation "
    "shipping_tracking_number uncategorized_file"
)


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
