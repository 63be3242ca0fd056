"""Makes valid requests to a processor; each test names only what it is about."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from server.domain.card import Card
from server.domain.ids import new_id
from server.domain.outcome import Approved
from server.domain.payment import Method
from server.processors.contract import Authorization, Capture, Instrument, Refund, Request, Void

RETURN_URL = "https://shop.example/done"
CVC = "987"
HOLDER, EMAIL, IP = "Ada Byron", "ada@example.com", "203.0.113.7"
PLANTED = (
    "4242424242424242", "4000000000009995", "4000002760003184", f"'{CVC}'", HOLDER, EMAIL, IP, "Order 1001", "/done",
    "secret_", "checkoutnow", "token=", "buyer@sandbox.example", "SANDBXBUYER22", "?key=",
)  # fmt: skip
"""What stands in requests and in the sandbox's answers, and must be in no record of them."""


def make_card(number: str = "4242424242424242") -> Card:
    """A card that does not expire soon."""
    return Card(number=number, exp_month=11, exp_year=datetime.now(UTC).year + 3, cvc=CVC, holder=HOLDER)


def make_authorization(instrument: Instrument | None, method: Method, **changes: Any) -> Authorization:
    """An authorization of 19.99 USD that captures at once."""
    facts: dict[str, Any] = {
        "merchant_id": uuid4(),
        "payment_id": new_id(),
        "transaction_id": new_id(),
        "amount": 1999,
        "currency": "USD",
        "key_age": timedelta(),
        "method": method,
        "capture": True,
        "instrument": instrument,
        "return_url": RETURN_URL,
        "cancel_url": "https://shop.example/cancelled",
        "description": "Order 1001",
        "customer_email": EMAIL,
        "customer_ip": IP,
        "customer_name": HOLDER,
    }
    return Authorization(**(facts | changes))


def _after(authorization: Request, approved: Approved, changes: dict[str, Any]) -> dict[str, Any]:
    facts = {
        "merchant_id": authorization.merchant_id,
        "payment_id": authorization.payment_id,
        "transaction_id": new_id(),
        "amount": authorization.amount,
        "currency": authorization.currency,
        "key_age": timedelta(),
        "processor_payment_id": approved.processor_payment_id,
    }
    return facts | changes


def make_capture(authorization: Authorization, approved: Approved, **changes: Any) -> Capture:
    """A capture of all that was authorized."""
    facts = _after(authorization, approved, changes)
    return Capture(authorization_id=approved.processor_transaction_id, **facts)


def make_void(authorization: Authorization, approved: Approved, **changes: Any) -> Void:
    """The release of a hold."""
    return Void(authorization_id=approved.processor_transaction_id, **_after(authorization, approved, changes))


def make_refund(authorization: Authorization, captured: Approved, **changes: Any) -> Refund:
    """A refund of all that was captured."""
    return Refund(capture_id=captured.processor_transaction_id, **_after(authorization, captured, changes))
