"""Disputes as deeds: told by an event, found by asking, answered by the merchant, decided by the bank."""

from collections.abc import Callable
from uuid import UUID

from google.protobuf.json_format import ParseDict
from kassa.v1 import dispute_service_pb2 as pb

from server.domain.ids import Prefix, parse_id
from tests.acceptance.crash_deeds import Deed, World, repeat
from tests.acceptance.crash_events import caught, delivery
from tests.acceptance.crash_sweeps import DONE, recovering
from tests.acceptance.disputes import arrived, decide, dispute, dispute_at_paypal
from tests.acceptance.shop import Json, Shop, wallet_order
from tests.acceptance.stacks import OwnAccount, merchant_uuid, payment_uuid
from tests.acceptance.victims import Job, find_disputes

CREATED = "charge.dispute.created"
_UNTOLD = "nothing of the dispute"
_FOUND = f"SELECT CASE WHEN count(*) = 0 THEN '{_UNTOLD}' ELSE '{DONE}' END FROM disputes WHERE payment_id = %s::uuid"

Own = tuple[Shop, OwnAccount]


def disputed(world: World, own: Own | None = None) -> Json:
    """A customer disputes a payment, of which Kassa is told nothing yet."""
    shop = own[0] if own else world.shop
    payment = shop.paid()
    dispute(shop, payment)
    return payment


def known(world: World, own: Own | None = None) -> tuple[Json, Json]:
    """A customer disputes a payment, and its first event is handled; returns the payment and the dispute."""
    payment = disputed(world, own)
    repeat(world, delivery(world, CREATED, payment["id"], payment["processor_payment_id"], own))
    return payment, arrived(own[0] if own else world.shop, payment)


def won(world: World) -> Json:
    """The bank decides for the merchant; only the event of it is to be handled."""
    payment, one = known(world)
    decide(world.shop, one["processor_dispute_id"], "won")
    return payment


def told_by_paypal(world: World) -> Deed:
    """A customer opens a case at PayPal."""
    shop, _ = world.wallets
    payment = shop.pay(wallet_order()).json()
    shop.act(payment)
    assert shop.post(payment, "confirm").status_code == 200
    return caught(world, "CUSTOMER.DISPUTE.CREATED", payment["id"], dispute_at_paypal(shop, payment))


def accept_at_paypal(world: World) -> Deed:
    """The merchant gives in to a claim."""
    shop, _ = world.wallets
    event = told_by_paypal(world)
    repeat(world, event)
    payment = {"id": event.payment}
    return _answering(payment, arrived(shop, payment), None, shop)


def answer(evidence: Json | None) -> Callable[[World], Deed]:
    """The merchant submits evidence, or accepts the dispute where there is none."""

    def prepare(world: World) -> Deed:
        payment, one = known(world)
        return _answering(payment, one, evidence)

    return prepare


def _answering(payment: Json, one: Json, evidence: Json | None, shop: Shop | None = None) -> Deed:
    if evidence is None:
        return Deed("AcceptDispute", pb.AcceptDisputeRequest(dispute_id=one["id"]), payment["id"], shop=shop)
    body = {"dispute_id": one["id"], "evidence": evidence}
    request = ParseDict(body, pb.SubmitDisputeEvidenceRequest())
    return Deed("SubmitDisputeEvidence", request, payment["id"], shop=shop)


def refused_once(world: World) -> Deed:
    """The merchant accepts a dispute; the first time that the processor is told, it fails."""
    own = world.own_account()
    payment, one = known(world, own)
    once = {"operation": "stripe.disputes.close", "account": own[1].at_processor, "times": 1}
    world.platform.fault(kind="error", status=500, **once)
    return _answering(payment, one, None, own[0])


def decided(world: World) -> Deed:
    """The bank decides for the customer, no event tells of it, and the dispute is to be read again."""
    payment, one = known(world)
    decide(world.shop, one["processor_dispute_id"], "lost")
    mine = "SELECT transaction_id FROM disputes WHERE id = %s::uuid"
    ((transaction,),) = world.platform.query(mine, str(parse_id(Prefix.DISPUTE, one["id"], "dispute_id")))
    about = (UUID(merchant_uuid(world.shop)), payment_uuid(payment["id"]), UUID(str(transaction)))
    return recovering(world, Deed(""), about)


def untold(world: World) -> Deed:
    """No event tells of a dispute; the worker asks for new ones."""
    own = world.own_account()
    payment = disputed(world, own)
    heals = {_UNTOLD: "the next look for disputes"}
    return Deed("", None, payment["id"], Job(find_disputes, (own[1].uuid,)), "", _FOUND, heals, shop=own[0])
