"""How tests ask Stripe's side for things, through the official SDK."""

from typing import Any

import pytest
import stripe

from tests.sandbox.harness import Json, Running

VISA = "4242424242424242"
RETURN_URL = "https://shop.example/return?basket=7"


def card(number: str = VISA, **fields: Any) -> Json:
    """`payment_method_data` with a raw card."""
    return {"type": "card", "card": {"number": number, "exp_month": 12, "exp_year": 2035, "cvc": "123", **fields}}


def pay(sandbox: Running, number: str = VISA, key: str | None = None, **changes: Any) -> Any:
    """Creates and confirms a payment intent of 20.00 USD."""
    params: Json = {
        "amount": 2000,
        "currency": "usd",
        "confirm": True,
        "payment_method_types": ["card"],
        "payment_method_data": card(number),
        "return_url": RETURN_URL,
        "metadata": {"kassa_transaction": "t-1", "kassa_payment": "p-1", "kassa_merchant": "m-1"},
    } | changes
    wanted: Any = {name: value for name, value in params.items() if value is not None}
    return sandbox.stripe().v1.payment_intents.create(wanted, {"idempotency_key": key} if key else {})


def held(sandbox: Running, number: str = VISA, **changes: Any) -> Any:
    """A payment intent that waits for its capture."""
    return pay(sandbox, number, capture_method="manual", **changes)


def refused(call: Any, kind: type[stripe.StripeError] = stripe.InvalidRequestError) -> Any:
    """Runs a call that must be refused; the error."""
    with pytest.raises(kind) as caught:
        call()
    return caught.value
