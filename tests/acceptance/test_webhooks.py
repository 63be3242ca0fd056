"""Webhooks through Envoy: verified over their raw bytes, stored once, and never believed without asking again."""

import hashlib
import hmac
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import requests

from tests.acceptance.shop import THREE_D_SECURE, TIMEOUT_S, Shop, card, order
from tests.acceptance.stacks import Platform


def event(payment_intent: str, kind: str = "payment_intent.succeeded", **metadata: str) -> dict[str, Any]:
    """A Stripe event as its signature's holder would send it."""
    return {
        "id": f"evt_{uuid4().hex}",
        "object": "event",
        "type": kind,
        "created": int(time.time()),
        "data": {"object": {"id": payment_intent, "object": "payment_intent", "metadata": metadata}},
    }


def send(platform: Platform, body: bytes, *, secret: str, at: float | None = None) -> requests.Response:
    """Signs a body as Stripe does (https://docs.stripe.com/webhooks#verify-manually) and sends it through Envoy."""
    moment = int(time.time() if at is None else at)
    mac = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {"stripe-signature": f"t={moment},v1={mac}", "content-type": "application/json"}
    return requests.post(f"{platform.url}/v1/webhooks/stripe", data=body, headers=headers, timeout=TIMEOUT_S)


def test_an_event_is_stored_once_however_often_it_is_sent(platform: Platform, shop: Shop) -> None:
    payment = shop.paid()
    body = json.dumps(event(payment["processor_payment_id"])).encode()
    with ThreadPoolExecutor(8) as threads:
        responses = list(threads.map(lambda _: send(platform, body, secret=platform.stripe_webhook_secret), range(8)))
    assert {response.status_code for response in responses} == {200}
    event_id = json.loads(body)["id"]
    found = platform.query("SELECT count(*) FROM processor_events WHERE event_id = %s", event_id)
    assert found == [(1,)]
    assert shop.get(payment) == payment


def test_a_forged_event_is_refused_and_not_stored(platform: Platform, shop: Shop) -> None:
    payment = shop.pay(order(card=card(THREE_D_SECURE))).json()
    body = json.dumps(event(payment["processor_payment_id"])).encode()
    response = send(platform, body, secret="whsec_somebody_else")
    assert (response.status_code, response.json()["error"]["code"]) == (400, "WEBHOOK_SIGNATURE_INVALID")
    unsigned = requests.post(f"{platform.url}/v1/webhooks/stripe", data=body, timeout=TIMEOUT_S)
    assert (unsigned.status_code, unsigned.json()["error"]["code"]) == (400, "WEBHOOK_SIGNATURE_INVALID")
    paypal = requests.post(f"{platform.url}/v1/webhooks/paypal", data=body, timeout=TIMEOUT_S)
    assert (paypal.status_code, paypal.json()["error"]["code"]) == (400, "WEBHOOK_SIGNATURE_INVALID")
    event_id = json.loads(body)["id"]
    assert platform.query("SELECT count(*) FROM processor_events WHERE event_id = %s", event_id) == [(0,)]
    assert shop.get(payment)["state"] == "PENDING"


def test_a_stale_event_is_refused(platform: Platform) -> None:
    body = json.dumps(event("pi_1")).encode()
    response = send(platform, body, secret=platform.stripe_webhook_secret, at=time.time() - 3600)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "WEBHOOK_STALE")


def test_an_event_alone_moves_no_money(platform: Platform, shop: Shop) -> None:
    """It is signed and says that the payment succeeded; the processor, asked again, says otherwise."""
    payment = shop.pay(order(card=card(THREE_D_SECURE))).json()
    body = json.dumps(event(payment["processor_payment_id"])).encode()
    assert send(platform, body, secret=platform.stripe_webhook_secret).status_code == 200
    assert shop.get(payment)["state"] == "PENDING"
    assert [entry["captured"] for entry in shop.books()] in ([], [0])


def test_an_event_alone_books_no_refund(platform: Platform, shop: Shop) -> None:
    """It is signed and tells of a refund; the processor, asked for it, knows of none."""
    payment = shop.paid()
    intent = payment["processor_payment_id"]
    refund = {"id": f"re_{uuid4().hex}", "object": "refund", "payment_intent": intent, "amount": 1999, "metadata": {}}
    body = json.dumps(event(intent, "refund.created") | {"data": {"object": refund}}).encode()
    assert send(platform, body, secret=platform.stripe_webhook_secret).status_code == 200
    assert shop.get(payment)["amount_refunded"] == "0"


def test_a_dashboard_refund_is_booked_when_its_webhook_comes(shop: Shop) -> None:
    payment = shop.paid()
    body = {"payment_intent": payment["processor_payment_id"], "amount": 500}
    made = requests.post(f"{shop.sandbox_url}/sandbox/stripe/refunds", json=body, timeout=TIMEOUT_S)
    assert made.ok, made.text
    refunded = shop.until(payment, lambda now: now["amount_refunded"] == "500")
    assert refunded["state"] == "COMPLETED"
    assert [(one["type"], one["state"]) for one in shop.transactions(payment)][-1] == ("REFUND", "COMPLETED")


def test_a_refund_that_fails_later_brings_the_money_back(shop: Shop) -> None:
    payment = shop.paid(card=card("4000000000005126"))
    assert shop.post(payment, "refunds").status_code == 200
    back = shop.until(payment, lambda now: now["amount_refunded"] == "0" and now["state"] == "COMPLETED")
    assert shop.transactions(back)[-1]["state"] == "FAILED"
