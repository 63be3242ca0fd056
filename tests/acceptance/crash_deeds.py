"""What a process that is to die is asked to do, and how its clients ask: by gRPC, again and again with one key."""

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import grpc
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from kassa.v1 import (
    dispute_service_pb2_grpc,
    fraud_service_pb2_grpc,
    payment_service_pb2_grpc,
    webhook_service_pb2_grpc,
)
from kassa.v1 import webhook_service_pb2 as webhook_pb

from tests.acceptance.shop import Json, Shop
from tests.acceptance.stacks import OwnAccount, Platform, merchant_uuid
from tests.acceptance.victims import Job, Nursery, Victim
from tests.acceptance.webhook_catcher import Catcher

PATIENCE_S = 120.0
_MAY_PASS = {grpc.StatusCode.ABORTED, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED}


@dataclass(frozen=True)
class World:
    """Where scenarios take place.

    Attributes:
        regular: A customer who has bought so much today that the rules block a large order to another country.
        late: A shop whose processor tells its fees a second late.
        wallets: A shop with a PayPal account of its own, and Kassa's id of that.
        catcher: Gets what PayPal says of disputes at that account.
        merchants: All that take part, as the database holds their ids.
        alone: Who does what takes the first of a queue holds it, for there must be no other.
    """

    platform: Platform
    shop: Shop
    nursery: Nursery
    regular: str
    late: Shop
    wallets: tuple[Shop, str]
    catcher: Catcher
    merchants: list[str]
    alone: threading.Lock = field(default_factory=threading.Lock)

    def own_account(self) -> tuple[Shop, OwnAccount]:
        """Opens a shop that has a Stripe account of its own."""
        shop = self.platform.new_shop()
        self.merchants.append(merchant_uuid(shop))
        return shop, self.platform.stripe_account(shop)


@dataclass(frozen=True)
class Deed:
    """What a victim is asked to do.

    Attributes:
        rpc: A method of the contract, of any service but MerchantService; empty where the victim does a `job`.
        payment: Kassa's id of the payment that it is about; None where the deed makes one.
        job: What the victim does instead of serving.
        queue: The table whose first row the job takes; it takes this payment's.
        stage: Says how far our books have come, as SQL that takes the payment's id, where no client waits for it.
        heals: Who brings the deed to its end, by what `stage` says.
        shop: Whose it is; None: the world's.
        webhook_secret: What Stripe signs the event with.
        signature: What PayPal sent with the event.
        label: In the metadata of the payment that the deed makes.
    """

    rpc: str
    request: Message | None = None
    payment: str | None = None
    job: Job | None = None
    queue: str = ""
    stage: str = ""
    heals: Mapping[str, str] = field(default_factory=dict)
    shop: Shop | None = None
    key: str = field(default_factory=lambda: str(uuid4()))
    label: str = ""

    webhook_secret: str = ""
    signature: Mapping[str, str] = field(default_factory=dict)

    @property
    def event_id(self) -> str:
        """The processor's id of the event, or nothing where the deed is none."""
        if not isinstance(self.request, webhook_pb.ReceiveStripeEventRequest | webhook_pb.ReceivePayPalEventRequest):
            return ""
        return str(json.loads(self.request.raw.data)["id"])

    def headers(self, world: World) -> list[tuple[str, str]]:
        """What goes with the call; Stripe signs anew each time it sends an event."""
        if self.signature:
            return [*self.signature.items()]
        if isinstance(self.request, webhook_pb.ReceiveStripeEventRequest):
            moment, secret = int(time.time()), self.webhook_secret
            signed = f"{moment}.".encode() + self.request.raw.data
            mac = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
            return [("stripe-signature", f"t={moment},v1={mac}")]
        return [("authorization", f"Bearer {(self.shop or world.shop).api_key}"), ("idempotency-key", self.key)]


@dataclass(frozen=True)
class Answer:
    """What a call was told."""

    body: Json
    replayed: bool


def send(world: World, victim: Victim, deed: Deed) -> Answer | None:
    """Asks a victim, which may die of it: None where no answer came."""
    with victim.channel() as channel:
        try:
            return _ask(world, channel, deed)
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.UNAVAILABLE, error
            return None


def _ask(world: World, channel: grpc.Channel, deed: Deed) -> Answer:
    stubs = {
        "Dispute": dispute_service_pb2_grpc.DisputeServiceStub,
        "Review": fraud_service_pb2_grpc.FraudServiceStub,
        "Event": webhook_service_pb2_grpc.WebhookServiceStub,
    }
    made = [stub for part, stub in stubs.items() if part in deed.rpc] or [payment_service_pb2_grpc.PaymentServiceStub]
    service: Any = made[0](channel)
    answer, call = getattr(service, deed.rpc).with_call(
        deed.request, metadata=deed.headers(world), timeout=PATIENCE_S, wait_for_ready=True
    )
    body = MessageToDict(answer, preserving_proto_field_name=True)
    return Answer(body, dict(call.initial_metadata()).get("idempotent-replayed") == "true")


def repeat(world: World, deed: Deed) -> Answer:
    """Repeats a call at a server that lives, as the contract tells clients to: in flight, too much waits, or away."""
    port = world.platform.stack.site.ports["server-1"]
    deadline = time.monotonic() + PATIENCE_S
    with grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.enable_http_proxy", 0)]) as channel:
        while True:
            try:
                return _ask(world, channel, deed)
            except grpc.RpcError as error:
                if error.code() not in _MAY_PASS or time.monotonic() > deadline:
                    raise
            time.sleep(0.2)
