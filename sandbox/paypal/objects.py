"""PayPal's objects as JSON, with their links; the operations and events render with it."""

import time

from sandbox.paypal.context import Context, Json, timestamp
from sandbox.paypal.money import fee_of, money
from sandbox.paypal.records import Authorization, Capture, Order, Refund

_HOLD_S = 29 * 86_400
_PAYER = {
    "email_address": "buyer@sandbox.example",
    "payer_id": "SANDBXBUYER22",
    "name": {"given_name": "Sandy", "surname": "Box"},
    "address": {"country_code": "US"},
}
PAYER_ID = "SANDBXBUYER22"


def order(context: Context, record: Order) -> Json:
    """https://developer.paypal.com/docs/api/orders/v2/#orders_get"""
    unit: Json = {
        "reference_id": record.reference_id,
        "amount": money(record.amount, record.currency),
        "payee": payee(record.account),
    }
    for name in ("custom_id", "invoice_id", "description", "soft_descriptor"):
        if value := getattr(record, name):
            unit[name] = value
    payments = _payments(context, record)
    if payments:
        unit["payments"] = payments
    body: Json = {
        "id": record.id,
        "intent": record.intent,
        "status": record.status,
        "purchase_units": [unit],
        "create_time": timestamp(record.created),
        "links": order_links(context, record),
    }
    if record.updated:
        body["update_time"] = timestamp(record.updated)
    if record.funding:
        body["payer"] = _PAYER
    source = payment_source(record)
    return body | ({"payment_source": source} if source else {})


def payment_source(record: Order) -> Json:
    """What paid, or shall pay; empty where that is open."""
    if record.funding:
        return {
            "paypal": {
                "account_id": PAYER_ID,
                "account_status": "VERIFIED",
                "email_address": _PAYER["email_address"],
                "name": _PAYER["name"],
                "address": _PAYER["address"],
            }
        }
    return {"paypal": {}} if record.wallet else {}


def order_links(context: Context, record: Order) -> list[Json]:
    """What may be done next."""
    url = f"{context.public_url}/v2/checkout/orders/{record.id}"
    links = [link(url, "self")]
    if record.status in ("CREATED", "PAYER_ACTION_REQUIRED"):
        approval = f"{context.public_url}/checkoutnow?token={record.id}"
        links.append(link(approval, "payer-action" if record.wallet else "approve"))
    if record.status in ("CREATED", "APPROVED"):
        action = record.intent.lower()
        links.append(link(f"{url}/{action}", action, "POST"))
    return links


def _payments(context: Context, record: Order) -> Json:
    books, account = context.books, record.account
    holds = (books.authorizations.get(account, key) for key in record.authorizations)
    taken = (books.captures.get(account, key) for key in record.captures)
    returned = (books.refunds.get(account, key) for key in record.refunds)
    collection = {
        "authorizations": [authorization(context, row) for row in holds if row],
        "captures": [capture(context, row) for row in taken if row],
        "refunds": [refund(context, row) for row in returned if row],
    }
    return {name: rows for name, rows in collection.items() if rows}


def authorization(context: Context, record: Authorization) -> Json:
    """https://developer.paypal.com/docs/api/payments/v2/#authorizations_get"""
    url = f"{context.public_url}/v2/payments/authorizations/{record.id}"
    parent = context.order(record.account, record.order)
    links = [link(url, "self")]
    if record.status in ("CREATED", "PARTIALLY_CAPTURED"):
        links += [link(f"{url}/capture", "capture", "POST"), link(f"{url}/void", "void", "POST")]
    links.append(link(f"{context.public_url}/v2/checkout/orders/{record.order}", "up"))
    return {
        "id": record.id,
        "status": record.status,
        "amount": money(record.amount, record.currency),
        **_references(parent.custom_id, parent.invoice_id),
        "seller_protection": _SELLER_PROTECTION,
        "expiration_time": timestamp(record.created + _HOLD_S),
        "create_time": timestamp(record.created),
        "update_time": timestamp(record.updated or record.created),
        "supplementary_data": {"related_ids": {"order_id": record.order}},
        "payee": payee(record.account),
        "links": links,
    }


def capture(context: Context, record: Capture) -> Json:
    """https://developer.paypal.com/docs/api/payments/v2/#captures_get"""
    url = f"{context.public_url}/v2/payments/captures/{record.id}"
    related = {"order_id": record.order}
    if record.authorization:
        related["authorization_id"] = record.authorization
        up = f"{context.public_url}/v2/payments/authorizations/{record.authorization}"
    else:
        up = f"{context.public_url}/v2/checkout/orders/{record.order}"
    body: Json = {
        "id": record.id,
        "status": record.status,
        "amount": money(record.amount, record.currency),
        **_references(record.custom_id, record.invoice_id),
        "final_capture": record.final,
        "seller_protection": _SELLER_PROTECTION,
        "create_time": timestamp(record.created),
        "update_time": timestamp(record.updated or record.created),
        "supplementary_data": {"related_ids": related},
        "payee": payee(record.account),
        "links": [link(url, "self"), link(f"{url}/refund", "refund", "POST"), link(up, "up")],
    }
    if record.pending_reason:
        body["status_details"] = {"reason": record.pending_reason}
    if record.status not in ("PENDING", "DECLINED") and record.told_at <= time.time():
        fee = fee_of(record.amount)
        body["seller_receivable_breakdown"] = {
            "gross_amount": money(record.amount, record.currency),
            "paypal_fee": money(fee, record.currency),
            "net_amount": money(record.amount - fee, record.currency),
        }
    return body


def refund(context: Context, record: Refund) -> Json:
    """https://developer.paypal.com/docs/api/payments/v2/#refunds_get"""
    body: Json = {
        "id": record.id,
        "status": record.status,
        "amount": money(record.amount, record.currency),
        **_references(record.custom_id, record.invoice_id),
        "seller_payable_breakdown": {
            "gross_amount": money(record.amount, record.currency),
            "paypal_fee": money(0, record.currency),
            "net_amount": money(record.amount, record.currency),
            "total_refunded_amount": money(record.total_refunded, record.currency),
        },
        "create_time": timestamp(record.created),
        "update_time": timestamp(record.created),
        "payer": payee(record.account),
        "links": [
            link(f"{context.public_url}/v2/payments/refunds/{record.id}", "self"),
            link(f"{context.public_url}/v2/payments/captures/{record.capture}", "up"),
        ],
    }
    return body | ({"note_to_payer": record.note_to_payer} if record.note_to_payer else {})


def minimal(body: Json) -> Json:
    """What `Prefer: return=minimal` leaves, which is PayPal's default."""
    return {name: body[name] for name in ("id", "status", "payment_source", "links") if name in body}


_SELLER_PROTECTION = {"status": "ELIGIBLE", "dispute_categories": ["ITEM_NOT_RECEIVED", "UNAUTHORIZED_TRANSACTION"]}


def _references(custom_id: str, invoice_id: str) -> Json:
    pairs = {"custom_id": custom_id, "invoice_id": invoice_id}
    return {name: value for name, value in pairs.items() if value}


def payee(account: str) -> Json:
    """Who sells."""
    return {"email_address": f"{account.replace('_', '-')}@sandbox.example", "merchant_id": "SANDBXSELLER2"}


def link(href: str, rel: str, method: str = "GET") -> Json:
    """A link of `links`."""
    return {"href": href, "rel": rel, "method": method}
