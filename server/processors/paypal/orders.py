"""Orders: what is sent to make one, and what its state means. Pure; `operations` and `recovery` use it.

https://developer.paypal.com/docs/api/orders/v2/
"""

import logging
from collections.abc import Mapping
from typing import Any

from server.domain.outcome import ActionRequired, Cancelled, Outcome, Pending
from server.processors.contract import Authorization
from server.processors.paypal import payments
from server.processors.paypal.currencies import read_money, write_money

_log = logging.getLogger(__name__)

Order = Mapping[str, Any]

APPROVAL_LINKS = ("payer-action", "approve")
_DESCRIPTION_LENGTH = 127


def creation(request: Authorization) -> dict[str, Any]:
    """Body that creates an order: the same for the same request, since a repeat must be identical."""
    unit: dict[str, Any] = {
        "custom_id": str(request.transaction_id),
        "invoice_id": str(request.payment_id),
        "amount": write_money(request.currency, request.amount),
    }
    if description := " ".join(request.description.split())[:_DESCRIPTION_LENGTH]:
        unit["description"] = description
    context = {
        "user_action": "PAY_NOW",
        "shipping_preference": "NO_SHIPPING",
        "return_url": request.return_url,
        "cancel_url": request.cancel_url,
    }
    return {
        "intent": "CAPTURE" if request.capture else "AUTHORIZE",
        "purchase_units": [unit],
        "payment_source": {"paypal": {"experience_context": context}},
    }


def is_ours(order: Order, request: Authorization) -> bool:
    """Whether the order was made by this very transaction."""
    return bool(order["purchase_units"][0].get("custom_id") == str(request.transaction_id))


def amount_is_ours(order: Order, request: Authorization) -> bool:
    """Whether the order asks the customer for what we asked for."""
    units = order["purchase_units"]
    return len(units) == 1 and read_money(units[0]["amount"]) == (request.amount, request.currency)


def payment(order: Order) -> tuple[str, Mapping[str, Any]] | None:
    """Returns `authorizations` or `captures`, by the order's intent, and the first of them; None: there is none."""
    kind = "authorizations" if order["intent"] == "AUTHORIZE" else "captures"
    found = (order["purchase_units"][0].get("payments") or {}).get(kind) or []
    return (kind, found[0]) if found else None


def outcome(order: Order) -> Outcome:
    """Says what an order means for its authorization; Pending where it is approved and not yet taken.

    Raises:
        KeyError, TypeError, ValueError, IndexError: It is no order that PayPal would describe.
    """
    key, status = str(order["id"]), order["status"]
    match status:
        case "COMPLETED" | "APPROVED" if (made := payment(order)) is not None:
            kind, found = made
            return payments.authorization(found, key) if kind == "authorizations" else payments.capture(found, key)
        case "CREATED" | "SAVED" | "PAYER_ACTION_REQUIRED":
            return _approval(order)
        case "VOIDED":
            return Cancelled(processor_payment_id=key)
        case "APPROVED":
            return Pending(processor_payment_id=key)
        case _:
            _log.error("paypal order %s has a status that we do not know: %s", key, status)
            return Pending(processor_payment_id=key)


def _approval(order: Order) -> Outcome:
    key = str(order["id"])
    links = {link["rel"]: str(link["href"]) for link in order.get("links") or []}
    for rel in APPROVAL_LINKS:
        if rel in links:
            return ActionRequired(processor_payment_id=key, redirect_url=links[rel])
    _log.error("paypal order %s waits for its customer without a page", key)
    return Pending(processor_payment_id=key)
