"""Authorizations, captures and refunds: what their states mean. Pure; `orders`, `operations` and `recovery` use it.

https://developer.paypal.com/docs/api/payments/v2/
"""

import logging
from collections.abc import Mapping
from typing import Any

from server.domain.decline import DeclineCode
from server.domain.outcome import Approved, Cancelled, Declined, Outcome, Pending
from server.processors.failures import failure
from server.processors.paypal.currencies import read_money
from server.processors.paypal.declines import ISSUER_CODES
from server.processors.paypal.fees import fee_of_capture

_log = logging.getLogger(__name__)

Payment = Mapping[str, Any]

CAPTURED = frozenset({"COMPLETED", "PARTIALLY_REFUNDED", "REFUNDED"})
"""Statuses of a capture whose money was taken."""


def authorization(found: Payment, order_id: str) -> Outcome:
    """Says what an authorization's state means for the authorization itself."""
    match found["status"]:
        case "CREATED" | "CAPTURED" | "PARTIALLY_CAPTURED":
            return _approved(found, order_id, captured=False)
        case "DENIED":
            return _declined(found, order_id)
        case "VOIDED" | "EXPIRED":
            return Cancelled(processor_payment_id=order_id)
        case _:
            return _pending(found, order_id, "authorization")


def capture(found: Payment, order_id: str) -> Outcome:
    """Says what a capture's state means."""
    match found["status"]:
        case status if status in CAPTURED:
            return _approved(found, order_id, captured=True)
        case "DECLINED" | "FAILED":
            return _declined(found, order_id)
        case _:
            return _pending(found, order_id, "capture")


def refund(found: Payment, order_id: str) -> Outcome:
    """Says what a refund's state means."""
    match found["status"]:
        case "COMPLETED":
            return _approved(found, order_id, captured=False)
        case "CANCELLED" | "FAILED":
            code = (found.get("status_details") or {}).get("reason") or found["status"]
            why = failure(DeclineCode.REFUND_FAILED, str(code))
            return Declined(failure=why, processor_payment_id=order_id, processor_transaction_id=str(found["id"]))
        case _:
            return _pending(found, order_id, "refund")


def _approved(found: Payment, order_id: str, *, captured: bool) -> Approved:
    amount, currency = read_money(found["amount"])
    return Approved(
        processor_payment_id=order_id,
        processor_transaction_id=str(found["id"]),
        amount=amount,
        currency=currency,
        captured=captured,
        fee=fee_of_capture(found) if captured else None,
    )


def _declined(found: Payment, order_id: str) -> Declined:
    issuer_code = str((found.get("processor_response") or {}).get("response_code") or "")
    code = ISSUER_CODES.get(issuer_code, DeclineCode.CARD_DECLINED)
    return Declined(
        failure=failure(code, issuer_code or str(found["status"])),
        processor_payment_id=order_id,
        processor_transaction_id=str(found["id"]),
    )


def _pending(found: Payment, order_id: str, what: str) -> Pending:
    if found["status"] != "PENDING":
        _log.error("paypal %s %s has a status that we do not know: %s", what, found["id"], found["status"])
    return Pending(processor_payment_id=order_id, processor_transaction_id=str(found["id"]))
