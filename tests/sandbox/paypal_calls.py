"""How tests ask PayPal's side for things, through the official SDK."""

import json
from typing import Any
from uuid import uuid4

import pytest
from paypalrestsdk import exceptions

from tests.sandbox.harness import Json, Running

RETURN_URL = "https://shop.example/return?basket=7"
CANCEL_URL = "https://shop.example/cancel"


def order(intent: str = "CAPTURE", value: str = "20.00", currency: str = "USD") -> Json:
    """The body of a new order."""
    unit = {
        "amount": {"currency_code": currency, "value": value},
        "custom_id": "t-1",
        "invoice_id": "p-1",
        "description": "Two cups",
    }
    context = {"return_url": RETURN_URL, "cancel_url": CANCEL_URL, "user_action": "PAY_NOW"}
    source = {"paypal": {"experience_context": context}}
    return {"intent": intent, "purchase_units": [unit], "payment_source": source}


def post(sandbox: Running, path: str, body: Json | None = None, request_id: str = "", **headers: str) -> Any:
    """A POST with the whole object in the answer."""
    sent = {"PayPal-Request-Id": request_id or str(uuid4()), "Prefer": "return=representation"} | headers
    return sandbox.paypal().post(path, body or {}, headers=sent)


def create(sandbox: Running, body: Json | None = None, request_id: str = "", **headers: str) -> Any:
    """A new order."""
    return post(sandbox, "v2/checkout/orders", body or order(), request_id, **headers)


def link(found: Any, rel: str) -> str:
    """The address of a link."""
    return next(str(one["href"]) for one in found["links"] if one["rel"] == rel)


def approved(sandbox: Running, intent: str = "CAPTURE", choice: str = "approve", value: str = "20.00") -> Any:
    """An order that its payer has approved."""
    made = create(sandbox, order(intent, value))
    sandbox.choose(link(made, "payer-action"), choice)
    return made


def captured(sandbox: Running, choice: str = "approve", value: str = "20.00") -> Any:
    """The capture of an approved order."""
    made = approved(sandbox, choice=choice, value=value)
    taken = post(sandbox, f"v2/checkout/orders/{made['id']}/capture")
    return taken["purchase_units"][0]["payments"]["captures"][0]


def hold(sandbox: Running) -> Any:
    """The authorization of an approved order."""
    made = approved(sandbox, "AUTHORIZE")
    held = post(sandbox, f"v2/checkout/orders/{made['id']}/authorize")
    return held["purchase_units"][0]["payments"]["authorizations"][0]


def money(value: str, currency: str = "USD") -> Json:
    """A body with an amount."""
    return {"amount": {"currency_code": currency, "value": value}}


def issue(call: Any, kind: type[Exception] = exceptions.ResourceInvalid) -> str:
    """Runs a call that must be refused; PayPal's word for why."""
    with pytest.raises(kind) as caught:
        call()
    body: Json = json.loads(caught.value.content)  # type: ignore[attr-defined]
    return str(body["details"][0]["issue"])
