"""PayPal's disputes as JSON, with their links; the operations and events render with it.

https://developer.paypal.com/docs/api/customer-disputes/v1/
"""

from typing import Final

from sandbox.paypal.context import Context, Json, timestamp
from sandbox.paypal.money import money
from sandbox.paypal.objects import link, payee
from sandbox.paypal.records import Dispute, Movement

_ANSWER_S: Final = 10 * 86_400
ACCEPTABLE: Final = frozenset({"OPEN", "WAITING_FOR_SELLER_RESPONSE", "UNDER_REVIEW"})
"""Statuses in which the seller may give in."""


_SELLERS_STATES: Final = {
    "OPEN": "OPEN_INQUIRIES",
    "WAITING_FOR_SELLER_RESPONSE": "REQUIRED_ACTION",
    "UNDER_REVIEW": "UNDER_PAYPAL_REVIEW",
    "RESOLVED": "RESOLVED",
}


def dispute(context: Context, record: Dispute) -> Json:
    """https://developer.paypal.com/docs/api/customer-disputes/v1/#disputes_get"""
    body = summary(context, record) | {
        "disputed_transactions": [_transaction(context, record)],
        "links": _links(context, record),
    }
    if record.evidences:
        body["evidences"] = record.evidences
    if record.notes:
        posted = timestamp(record.updated or record.created)
        body["messages"] = [{"posted_by": "SELLER", "time_posted": posted, "content": note} for note in record.notes]
    if record.outcome:
        taken = sum(movement.amount for movement in record.movements if movement.party == "BUYER")
        body["dispute_outcome"] = {
            "outcome_code": record.outcome,
            **({"amount_refunded": money(taken, record.currency)} if taken else {}),
        }
    if record.movements:
        body["money_movements"] = [_movement(record, movement) for movement in record.movements]
    return body


def summary(context: Context, record: Dispute) -> Json:
    """A dispute as a list shows it."""
    body: Json = {
        "dispute_id": record.id,
        "create_time": timestamp(record.created),
        "update_time": timestamp(record.updated or record.created),
        "reason": record.reason,
        "status": record.status,
        "dispute_state": _SELLERS_STATES[record.status],
        "dispute_amount": money(record.amount, record.currency),
        "dispute_life_cycle_stage": record.stage,
        "dispute_channel": "INTERNAL",
        "links": [_self(context, record)],
    }
    if record.status in ("OPEN", "WAITING_FOR_SELLER_RESPONSE"):
        body["seller_response_due_date"] = timestamp(record.created + _ANSWER_S)
    return body


def subsequent_action(context: Context, record: Dispute) -> Json:
    """What an action on a dispute answers: a link alone."""
    return {"links": [_self(context, record)]}


def _transaction(context: Context, record: Dispute) -> Json:
    capture = context.capture(record.account, record.capture)
    returned = sum(movement.amount for movement in record.movements if movement.party == "BUYER")
    status = "COMPLETED" if not returned else "REFUNDED" if returned == capture.amount else "PARTIALLY_REFUNDED"
    found = {
        "buyer_transaction_id": f"B{capture.id[1:]}",
        "seller_transaction_id": capture.id,
        "create_time": timestamp(capture.created),
        "transaction_status": status,
        "gross_amount": money(capture.amount, capture.currency),
        "invoice_number": capture.invoice_id,
        "custom": capture.custom_id,
        "buyer": {"name": "Sandy Box"},
        "seller": {**_seller(record.account), "name": "Sandbox Store"},
    }
    return {name: value for name, value in found.items() if value}


def _seller(account: str) -> Json:
    known = payee(account)
    return {"email": known["email_address"], "merchant_id": known["merchant_id"]}


def _movement(record: Dispute, movement: Movement) -> Json:
    return {
        "affected_party": movement.party,
        "amount": money(movement.amount, record.currency),
        "initiated_time": timestamp(movement.created),
        "type": movement.kind,
        "reason": movement.reason,
    }


def _links(context: Context, record: Dispute) -> list[Json]:
    links, url = [_self(context, record)], _url(context, record)
    if record.status in ACCEPTABLE:
        links.append(link(f"{url}/accept-claim", "accept_claim", "POST"))
    if record.status == "WAITING_FOR_SELLER_RESPONSE":
        links.append(link(f"{url}/provide-evidence", "provide_evidence", "POST"))
    return links


def _self(context: Context, record: Dispute) -> Json:
    return link(_url(context, record), "self")


def _url(context: Context, record: Dispute) -> str:
    return f"{context.public_url}/v1/customer/disputes/{record.id}"
