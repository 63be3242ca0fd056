"""Webhooks are signed so that the official SDK takes them, repeated until they are taken, and faulty on command."""

import time

import pytest
import stripe

from tests.sandbox.harness import Received, Running
from tests.sandbox.stripe_calls import held, pay

SECRET = "whsec_sandbox"


def verified(received: Received, secret: str = SECRET) -> stripe.Event:
    """The event, verified by the SDK."""
    event: stripe.Event = stripe.Webhook.construct_event(received.body, received.headers["stripe-signature"], secret)
    return event


def test_a_webhook_is_verified_by_the_sdk(sandbox: Running) -> None:
    intent = pay(sandbox)
    received = sandbox.inbox.wait_for("payment_intent.succeeded")[0]
    event = verified(received)
    assert received.path == "/v1/webhooks/stripe"
    assert event.data.object["id"] == intent.id
    assert sandbox.stripe().v1.events.retrieve(event.id).type == event.type
    with pytest.raises(stripe.SignatureVerificationError):
        verified(received, "whsec_other")


def test_each_step_is_told(sandbox: Running) -> None:
    api = sandbox.stripe().v1.payment_intents
    api.capture(held(sandbox).id)
    api.cancel(held(sandbox).id)
    for event in ("amount_capturable_updated", "succeeded", "canceled"):
        sandbox.inbox.wait_for(f"payment_intent.{event}")
    released = sandbox.inbox.wait_for("charge.refunded")[0].event["data"]["object"]
    assert (released["captured"], released["refunded"]) == (False, True)


def test_a_webhook_is_sent_again_until_it_is_taken(sandbox: Running) -> None:
    sandbox.inbox.answers += [500, 302, 0, 404]
    pay(sandbox)
    received = sandbox.inbox.wait_for("payment_intent.succeeded", 5)
    assert len({one.event["id"] for one in received}) == 1
    assert all(verified(one) for one in received)


def test_a_duplicate_has_the_same_id(sandbox: Running) -> None:
    sandbox.fault("webhook_duplicate", "stripe.webhook.payment_intent.succeeded", copies=2)
    pay(sandbox)
    received = sandbox.inbox.wait_for("payment_intent.succeeded", 3)
    assert len({one.event["id"] for one in received}) == 1


def test_events_are_reordered(sandbox: Running) -> None:
    sandbox.fault("webhook_reorder", "stripe.webhook.payment_intent.*", window=2, seconds=20)
    intent = held(sandbox)
    sandbox.stripe().v1.payment_intents.capture(intent.id)
    received = sandbox.inbox.wait(lambda all_: len(all_) == 2)
    order = ["payment_intent.succeeded", "payment_intent.amount_capturable_updated"]
    assert [one.type for one in received] == order


def test_reordered_events_are_not_held_for_ever(sandbox: Running) -> None:
    sandbox.fault("webhook_reorder", "stripe.webhook.*", window=50, seconds=0.1)
    pay(sandbox)
    sandbox.inbox.wait_for("payment_intent.succeeded")


def test_a_late_event_comes_late(sandbox: Running) -> None:
    sandbox.fault("webhook_delay", "stripe.webhook.payment_intent.succeeded", seconds=0.4)
    begun = time.monotonic()
    pay(sandbox)
    sandbox.inbox.wait_for("payment_intent.succeeded")
    assert time.monotonic() - begun >= 0.4


def test_a_dropped_event_never_comes(sandbox: Running) -> None:
    sandbox.fault("webhook_drop", "stripe.webhook.payment_intent.succeeded", times=1)
    lost, told = pay(sandbox), pay(sandbox)
    received = sandbox.inbox.wait_for("payment_intent.succeeded")
    assert [one.event["data"]["object"]["id"] for one in received] == [told.id]
    assert lost.status == "succeeded"


def test_an_account_has_its_own_endpoint_and_secret(sandbox: Running) -> None:
    made = sandbox.post(
        "/sandbox/accounts",
        {
            "processor": "stripe",
            "api_key": "sk_test_shop_account",
            "webhook_url": f"{sandbox.inbox.url}/v1/webhooks/stripe/acc_7",
            "events": ["payment_intent.succeeded"],
        },
    )
    intent = sandbox.stripe("sk_test_shop_account").v1.payment_intents.create(
        {"amount": 500, "currency": "usd", "confirm": True, "payment_method": "pm_card_visa"}
    )
    received = sandbox.inbox.wait_for("payment_intent.succeeded")[0]
    assert received.path == "/v1/webhooks/stripe/acc_7"
    assert verified(received, made["webhook_secret"]).data.object["id"] == intent.id
