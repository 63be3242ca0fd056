"""What the crash matrix crashes: each scenario is a row of `SCENARIOS`, its points are learned by running it.

A new operation gets a scenario here; `test_crash_matrix` fails for as long as a point of the code is reached by none.
Disputes will be two: their events by `_event`, their answer by `_operation`.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import requests
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from kassa.v1 import payment_service_pb2 as pb
from kassa.v1 import webhook_service_pb2 as webhook_pb

from server.domain.ids import Prefix, render_id
from tests.acceptance.crash_deeds import Deed, World, send
from tests.acceptance.shop import (
    DECLINED,
    THREE_D_SECURE,
    TIMEOUT_S,
    Json,
    card,
    order,
    wait_until,
    wallet_order,
)
from tests.acceptance.stacks import merchant_uuid
from tests.acceptance.victims import OpenTransaction

LEASE_S = 4.0
"""How long a victim's transactions stay its own: long enough for one call on a busy machine."""
_SHORT_LEASE_S, _LONG_LEASE_S = 1.0, 100.0
_REFUND_FAILS = "4000000000005126"


End = tuple[str, int, int]
"""A payment's state, and what was captured and refunded of it in minor units."""
TAKEN: End = ("COMPLETED", 1999, 0)
NEVER_SENT: End = ("FAILED", 0, 0)


@dataclass(frozen=True)
class Scenario:
    """One operation.

    Attributes:
        prepare: Makes what the operation needs, and says what is asked of the victim; called once for each point.
        ends: How the payment may end. NEVER_SENT is the end of a request of which recovery has proven that the
            processor never got it.
        at_once: The client repeats at once, before anybody recovers.
        goes_on: The customer acts and the merchant confirms once everything is healed.
    """

    name: str
    prepare: Callable[[World], Deed]
    ends: tuple[End, ...]
    at_once: bool = False
    goes_on: bool = False


def _create(**changes: Any) -> Callable[[World], Deed]:
    def prepare(world: World) -> Deed:
        label = uuid4().hex
        return Deed("CreatePayment", _creation(label, order(**changes)), label=label)

    return prepare


def _creation(label: str, body: Json) -> Message:
    return ParseDict(body | {"metadata": {"cell": label}}, pb.CreatePaymentRequest())


def _blocked(world: World) -> Deed:
    label = uuid4().hex
    body = order(customer={"id": world.regular}, amount=1_000_100, shipping_address={"country": "DE"})
    return Deed("CreatePayment", _creation(label, body), label=label)


def _paypal(world: World) -> Deed:
    label = uuid4().hex
    return Deed("CreatePayment", _creation(label, wallet_order()), label=label)


def _operation(verb: str, body: Json, **changes: Any) -> Callable[[World], Deed]:
    request = {"CapturePayment": pb.CapturePaymentRequest, "CancelPayment": pb.CancelPaymentRequest,
               "RefundPayment": pb.RefundPaymentRequest, "ConfirmPayment": pb.ConfirmPaymentRequest}[verb]  # fmt: skip

    def prepare(world: World) -> Deed:
        payment = world.shop.paid(**changes)
        return Deed(verb, ParseDict(body | {"payment_id": payment["id"]}, request()), payment["id"])

    return prepare


def _confirm(make: Callable[[], Json]) -> Callable[[World], Deed]:
    def prepare(world: World) -> Deed:
        response = world.shop.pay(make())
        assert response.status_code == 201, response.text
        payment = response.json()
        world.shop.act(payment)
        return Deed("ConfirmPayment", pb.ConfirmPaymentRequest(payment_id=payment["id"]), payment["id"])

    return prepare


def _event(kind: str, what_happens: Callable[[World], Json]) -> Callable[[World], Deed]:
    """The processor's event of that type about the payment that `what_happens` returns."""

    def prepare(world: World) -> Deed:
        payment = what_happens(world)
        return _delivery(world, kind, payment["id"], payment["processor_payment_id"])

    return prepare


def _delivery(world: World, kind: str, payment: str, intent: str) -> Deed:
    stack = world.platform.stack
    url, secret = f"{stack.sandbox_url}/v1/events", stack.site.credentials.stripe_secret_key
    query = {"type": kind, "limit": "100"}

    def look() -> list[Json]:
        response = requests.get(url, params=query, headers={"authorization": f"Bearer {secret}"}, timeout=TIMEOUT_S)
        found = [(one, one["data"]["object"]) for one in response.json()["data"]]
        return [one for one, about in found if intent in (about["id"], about.get("payment_intent"))]

    event = wait_until(look, bool)[0]
    raw = HttpBody(content_type="application/json", data=json.dumps(event).encode())
    return Deed("ReceiveStripeEvent", webhook_pb.ReceiveStripeEventRequest(raw=raw), payment)


def _dashboard_refund(world: World) -> Json:
    payment = world.shop.paid()
    body = {"payment_intent": payment["processor_payment_id"], "amount": 500}
    made = requests.post(f"{world.shop.sandbox_url}/sandbox/stripe/refunds", json=body, timeout=TIMEOUT_S)
    assert made.ok, made.text
    return payment


def _bank_debit(world: World) -> Json:
    return world.shop.paid(method="BANK_TRANSFER", card=None)


def _failing_refund(world: World) -> Json:
    payment = world.shop.paid(card=card(_REFUND_FAILS))
    assert world.shop.post(payment, "refunds").status_code == 200
    return payment


def _lost(world: World, deed: Deed, point: str, lease_s: float) -> OpenTransaction:
    """Lets a victim die at a point, and returns the transaction that it leaves open."""
    victim = world.nursery.serve(f"lost-{deed.key}", {"kill": point}, lease_s)
    assert send(world, victim, deed) is None and victim.died(), f"it did not die at {point}"
    query = """SELECT merchant_id, payment_id, transaction_id FROM idempotency_keys
               WHERE merchant_id = %s::uuid AND key = %s"""
    ((merchant, payment, transaction),) = world.platform.query(query, merchant_uuid(world.shop), deed.key)
    return UUID(str(merchant)), UUID(str(payment)), UUID(str(transaction))


def _recovery(make: Callable[[World], Deed], point: str) -> Callable[[World], Deed]:
    def prepare(world: World) -> Deed:
        deed = make(world)
        transaction = _lost(world, deed, point, _SHORT_LEASE_S)
        ended = "SELECT lease_until < now() FROM transactions WHERE id = %s::uuid"
        wait_until(lambda: world.platform.query(ended, str(transaction[2])), lambda found: found == [(True,)])
        return Deed("", payment=deed.payment or render_id(Prefix.PAYMENT, transaction[1]), transaction=transaction)

    return prepare


def _overtaking(world: World) -> Deed:
    """The event of a charge whose own call is under way still: its process is gone, and its lease is not."""
    transaction = _lost(world, _create()(world), "authorize.after", _LONG_LEASE_S)
    payment = render_id(Prefix.PAYMENT, transaction[1])
    intents = [one for one in _intents(world) if one["metadata"].get("kassa_payment") == str(transaction[1])]
    return _delivery(world, "payment_intent.succeeded", payment, intents[0]["id"])


def _intents(world: World) -> list[Json]:
    books = requests.get(f"{world.shop.sandbox_url}/books", timeout=TIMEOUT_S).json()["accounts"]
    return [entry for account in books for entry in account["payments"] if "metadata" in entry]


_HELD = {"capture_method": "MANUAL"}
_SECURE = {"card": card(THREE_D_SECURE)}

SCENARIOS: tuple[Scenario, ...] = (
    Scenario("create", _create(), (TAKEN, NEVER_SENT)),
    Scenario("create, repeated at once", _create(), (TAKEN,), at_once=True),
    Scenario("create, declined", _create(card=card(DECLINED)), (("FAILED", 0, 0),)),
    Scenario("create, blocked by rules", _blocked, (("FAILED", 0, 0),)),
    Scenario("create, manual capture", _create(**_HELD), (("AUTHORIZED", 0, 0), NEVER_SENT)),
    Scenario("create, 3-D Secure", _create(**_SECURE), (TAKEN, NEVER_SENT), goes_on=True),
    Scenario("create, PayPal", _paypal, (TAKEN,), goes_on=True),
    Scenario("capture", _operation("CapturePayment", {}, **_HELD), (TAKEN,)),
    Scenario("capture, in part", _operation("CapturePayment", {"amount": 1500}, **_HELD), (("COMPLETED", 1500, 0),)),
    Scenario("cancel", _operation("CancelPayment", {}, **_HELD), (("CANCELLED", 0, 0),)),
    Scenario("cancel, before the customer acts", _operation("CancelPayment", {}, **_SECURE), (("CANCELLED", 0, 0),)),
    Scenario("refund", _operation("RefundPayment", {}), (("REFUNDED", 1999, 1999),)),
    Scenario("refund, in part", _operation("RefundPayment", {"amount": 700}), (("COMPLETED", 1999, 700),)),
    Scenario("confirm, 3-D Secure", _confirm(lambda: order(**_SECURE)), (TAKEN,)),
    Scenario("confirm, repeated at once", _confirm(lambda: order(**_SECURE)), (TAKEN,), at_once=True),
    Scenario("confirm, PayPal", _confirm(wallet_order), (TAKEN,)),
    Scenario("event, a dashboard refund", _event("refund.created", _dashboard_refund), (("COMPLETED", 1999, 500),)),
    Scenario("event, a bank debit succeeds", _event("payment_intent.succeeded", _bank_debit), (TAKEN,)),
    Scenario("event, a refund fails later", _event("refund.failed", _failing_refund), (TAKEN,)),
    Scenario("event, it overtakes its call", _overtaking, (TAKEN,)),
    Scenario("recovery, an authorization", _recovery(_create(), "authorize.after"), (TAKEN,)),
    Scenario(
        "recovery, a refund",
        _recovery(_operation("RefundPayment", {"amount": 700}), "refund.after"),
        (("COMPLETED", 1999, 700),),
    ),
)
