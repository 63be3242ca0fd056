"""Charges as JSON, with every key of Stripe's fixtures; the operations and events render with it."""

import time
from typing import Any

from sandbox.stripe import payment_method_objects
from sandbox.stripe.context import Context
from sandbox.stripe.objects import refund
from sandbox.stripe.records import Charge, PaymentMethod

Json = dict[str, Any]


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
        "balance_transaction": record.balance_transaction if record.told_at <= time.time() else None,
        "billing_details": payment_method_objects.billing_details(method),
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
        "checks": payment_method_objects.checks(method),
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
