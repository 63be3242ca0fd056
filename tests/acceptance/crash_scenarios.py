"""What the crash matrix crashes: each scenario is a row of `SCENARIOS`, its points are learned by running it.

A new operation gets a scenario here; `test_crash_matrix` fails for as long as a point of the code is reached by none.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import requests
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from kassa.v1 import payment_service_pb2 as pb

from server.domain.ids import Prefix, render_id
from tests.acceptance import crash_disputes as disputes
from tests.acceptance.crash_deeds import Deed, World
from tests.acceptance.crash_events import bank_debit, dashboard_refund, delivery, event, failing_refund, warned
from tests.acceptance.crash_reviews import HELD as HELD_FOR_REVIEW
from tests.acceptance.crash_reviews import decision, overdue
from tests.acceptance.crash_sweeps import expiry, late_fee, lost, recovery
from tests.acceptance.disputes import EVIDENCE
from tests.acceptance.shop import DECLINED, THREE_D_SECURE, TIMEOUT_S, Json, card, order, wallet_order

_LONG_LEASE_S = 100.0

End = tuple[str, int, int]
"""A payment's state, and what was captured and refunded of it in minor units."""
DisputeEnd = tuple[str, int, int]
"""A dispute's state, and what was withdrawn and is held for it in minor units."""
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
        dispute: How the payment's dispute must end, where it has one.
        goes_on: The customer acts and the merchant confirms once everything is healed.
    """

    name: str
    prepare: Callable[[World], Deed]
    ends: tuple[End, ...]
    at_once: bool = False
    goes_on: bool = False
    dispute: DisputeEnd | None = None


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


def _overtaking(world: World) -> Deed:
    """The event of a charge whose own call is under way still: its process is gone, and its lease is not."""
    transaction = lost(world, _create()(world), "authorize.after", _LONG_LEASE_S)
    payment = render_id(Prefix.PAYMENT, transaction[1])
    intents = [one for one in _intents(world) if one["metadata"].get("kassa_payment") == str(transaction[1])]
    return delivery(world, "payment_intent.succeeded", payment, intents[0]["id"])


def _intents(world: World) -> list[Json]:
    books = requests.get(f"{world.shop.sandbox_url}/books", timeout=TIMEOUT_S).json()["accounts"]
    return [entry for account in books for entry in account["payments"] if "metadata" in entry]


_HELD = {"capture_method": "MANUAL"}
OPENED: DisputeEnd = ("NEEDS_RESPONSE", 1999, 0)
HELD: DisputeEnd = ("NEEDS_RESPONSE", 0, 1999)
LOST: DisputeEnd = ("LOST", 1999, 0)
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
    Scenario("event, a dashboard refund", event("refund.created", dashboard_refund), (("COMPLETED", 1999, 500),)),
    Scenario("event, a bank debit succeeds", event("payment_intent.succeeded", bank_debit), (TAKEN,)),
    Scenario("event, a refund fails later", event("refund.failed", failing_refund), (TAKEN,)),
    Scenario("event, it overtakes its call", _overtaking, (TAKEN,)),
    Scenario("recovery, an authorization", recovery(_create(), "authorize.after"), (TAKEN,)),
    Scenario(
        "recovery, a refund",
        recovery(_operation("RefundPayment", {"amount": 700}), "refund.after"),
        (("COMPLETED", 1999, 700),),
    ),
    Scenario("event, the network warns", event("radar.early_fraud_warning.created", warned), (TAKEN,)),
    Scenario("event, a customer disputes", event(disputes.CREATED, disputes.disputed), (TAKEN,), dispute=OPENED),
    Scenario("event, a customer disputes at PayPal", disputes.told_by_paypal, (TAKEN,), dispute=HELD),
    Scenario("event, a dispute is won", event("charge.dispute.closed", disputes.won), (TAKEN,), dispute=("WON", 0, 0)),
    Scenario("accept a dispute", disputes.answer(None), (TAKEN,), dispute=LOST),
    Scenario("accept a dispute, PayPal", disputes.accept_at_paypal, (TAKEN,), dispute=LOST),
    Scenario("submit evidence", disputes.answer(EVIDENCE), (TAKEN,), dispute=("UNDER_REVIEW", 1999, 0)),
    Scenario(
        "recovery, an answer to a dispute, refused once",
        recovery(disputes.refused_once, "answer_dispute.before"),
        (TAKEN,),
        dispute=LOST,
    ),
    Scenario("recovery, a dispute is lost", disputes.decided, (TAKEN,), dispute=LOST),
    Scenario("worker, a dispute that no event told of", disputes.untold, (TAKEN,), dispute=OPENED),
    Scenario("create, held for review", _create(**HELD_FOR_REVIEW), (("IN_REVIEW", 0, 0), NEVER_SENT)),
    Scenario("approve a review", decision("ApproveReview"), (TAKEN,)),
    Scenario("approve a review, manual capture", decision("ApproveReview", **_HELD), (("AUTHORIZED", 0, 0),)),
    Scenario("reject a review", decision("RejectReview"), (("CANCELLED", 0, 0),)),
    Scenario("worker, a review is overdue", overdue, (("CANCELLED", 0, 0),)),
    Scenario("worker, a late fee", late_fee, (TAKEN,)),
    Scenario("worker, a hold expires", expiry(**_HELD), (("CANCELLED", 0, 0),)),
)
