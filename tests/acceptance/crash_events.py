"""Stripe's events as deeds: what happens there is published, no webhook brings it, and a victim is handed it."""

import json
from collections.abc import Callable

import requests
from google.api.httpbody_pb2 import HttpBody
from kassa.v1 import webhook_service_pb2 as webhook_pb

from tests.acceptance.crash_deeds import Deed, World
from tests.acceptance.shop import TIMEOUT_S, Json, Shop, card, wait_until
from tests.acceptance.stacks import OwnAccount

_REFUND_FAILS = "4000000000005126"


def event(kind: str, what_happens: Callable[[World], Json]) -> Callable[[World], Deed]:
    """The processor's event of that type about the payment that `what_happens` returns."""

    def prepare(world: World) -> Deed:
        payment = what_happens(world)
        return delivery(world, kind, payment["id"], payment["processor_payment_id"])

    return prepare


def delivery(world: World, kind: str, payment: str, intent: str, own: tuple[Shop, OwnAccount] | None = None) -> Deed:
    """The event of that type about an intent, at the platform's account or at a shop's own."""
    keys = world.platform.stack.site.credentials
    secret = own[1].secret_key if own else keys.stripe_secret_key
    url, query = f"{world.platform.stack.sandbox_url}/v1/events", {"type": kind, "limit": "100"}

    def look() -> list[Json]:
        response = requests.get(url, params=query, headers={"authorization": f"Bearer {secret}"}, timeout=TIMEOUT_S)
        found = [(one, one["data"]["object"]) for one in response.json()["data"]]
        return [one for one, about in found if intent in (about["id"], about.get("payment_intent"))]

    told = wait_until(look, bool)[0]
    raw = HttpBody(content_type="application/json", data=json.dumps(told).encode())
    request = webhook_pb.ReceiveStripeEventRequest(account_id=own[1].id if own else "", raw=raw)
    signed_with = own[1].webhook_secret if own else keys.stripe_webhook_secret
    return Deed("ReceiveStripeEvent", request, payment, shop=own[0] if own else None, webhook_secret=signed_with)


def caught(world: World, kind: str, payment: str, about: str) -> Deed:
    """PayPal's event of that type about an object, as PayPal sent it."""
    shop, account = world.wallets
    one = world.catcher.wait_for(kind, about)
    raw = HttpBody(content_type="application/json", data=one.body)
    request = webhook_pb.ReceivePayPalEventRequest(account_id=account, raw=raw)
    signature = {name: value for name, value in one.headers.items() if name.startswith("paypal-")}
    return Deed("ReceivePayPalEvent", request, payment, shop=shop, signature=signature)


def dashboard_refund(world: World) -> Json:
    """Somebody returns money past Kassa."""
    payment = world.shop.paid()
    body = {"payment_intent": payment["processor_payment_id"], "amount": 500}
    made = requests.post(f"{world.shop.sandbox_url}/sandbox/stripe/refunds", json=body, timeout=TIMEOUT_S)
    assert made.ok, made.text
    return payment


def bank_debit(world: World) -> Json:
    """A bank takes its time."""
    return world.shop.paid(method="BANK_TRANSFER", card=None)


def failing_refund(world: World) -> Json:
    """A refund comes back."""
    payment = world.shop.paid(card=card(_REFUND_FAILS))
    assert world.shop.post(payment, "refunds").status_code == 200
    return payment


def warned(world: World) -> Json:
    """A card network warns of a payment."""
    payment = world.shop.paid()
    body = {"payment_intent": payment["processor_payment_id"]}
    made = requests.post(f"{world.shop.sandbox_url}/sandbox/stripe/early_fraud_warnings", json=body, timeout=TIMEOUT_S)
    assert made.ok, made.text
    return payment
