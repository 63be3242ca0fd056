"""Refunds: what is sent to make one, and what its state means. Pure; `operations`, `recovery` and `books` use it.

https://docs.stripe.com/api/refunds/object
"""

import logging
from collections.abc import Mapping
from typing import Any

from server.domain.decline import DeclineCode
from server.domain.outcome import Approved, Declined, Outcome, Pending
from server.processors.contract import Refund
from server.processors.failures import failure
from server.processors.stripe.currencies import our_amount, wire_amount
from server.processors.stripe.intents import Json, metadata

_log = logging.getLogger(__name__)


def creation(request: Refund, payment_intent: str) -> Json:
    """Parameters that create a refund: the same for the same request, since a repeat must be identical."""
    params: Json = {
        "payment_intent": payment_intent,
        "amount": wire_amount(request.currency, request.amount),
        "metadata": metadata(request),
    }
    if request.reason:
        params["reason"] = request.reason.lower()
    return params


def outcome(refund: Mapping[str, Any]) -> Outcome:
    """Says what a refund's state means.

    Raises:
        KeyError, TypeError, ValueError: It is no refund that Stripe would describe.
    """
    key, intent, status = str(refund["id"]), str(refund.get("payment_intent") or ""), refund["status"]
    match status:
        case "succeeded" if _is_release(refund):
            return Pending(processor_payment_id=intent, processor_transaction_id=key)
        case "succeeded":
            currency = str(refund["currency"]).upper()
            return Approved(
                processor_payment_id=intent,
                processor_transaction_id=key,
                amount=our_amount(currency, refund["amount"]),
                currency=currency,
            )
        case "failed" | "canceled":
            code = str(refund.get("failure_reason") or status)
            why = failure(DeclineCode.REFUND_FAILED, code)
            return Declined(failure=why, processor_payment_id=intent, processor_transaction_id=key)
        case "pending" | "requires_action":
            return Pending(processor_payment_id=intent, processor_transaction_id=key)
        case _:
            _log.error("stripe refund %s has a status that we do not know: %s", key, status)
            return Pending(processor_payment_id=intent, processor_transaction_id=key)


def has_returned(refund: Mapping[str, Any]) -> bool:
    """Whether captured money has gone back to the customer for good."""
    return refund["status"] == "succeeded" and not _is_release(refund)


def _is_release(refund: Mapping[str, Any]) -> bool:
    """Whether Stripe itself made it for what a partial capture or a cancellation left: no captured money moved.

    Such a refund has no balance transaction: https://docs.stripe.com/payments/place-a-hold-on-a-payment-method
    """
    ours = "kassa_transaction" in (refund.get("metadata") or {})
    return not ours and refund.get("balance_transaction") is None
