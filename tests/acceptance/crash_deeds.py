"""What a process that is to die is asked to do, and how its clients ask: by gRPC, again and again with one key."""

import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import grpc
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from kassa.v1 import payment_service_pb2_grpc, webhook_service_pb2_grpc
from kassa.v1 import webhook_service_pb2 as webhook_pb

from tests.acceptance.shop import Json, Shop
from tests.acceptance.stacks import Platform
from tests.acceptance.victims import Nursery, OpenTransaction, Victim

PATIENCE_S = 60.0
_MAY_PASS = {grpc.StatusCode.ABORTED, grpc.StatusCode.UNAVAILABLE}


@dataclass(frozen=True)
class World:
    """Where scenarios take place.

    Attributes:
        regular: A customer who has bought so much today that the rules block a large order to another country.
    """

    platform: Platform
    shop: Shop
    nursery: Nursery
    regular: str


@dataclass(frozen=True)
class Deed:
    """What a victim is asked to do.

    Attributes:
        rpc: A method of PaymentService or WebhookService; empty where the victim recovers `transaction`.
        payment: Kassa's id of the payment that it is about; None where the deed makes one.
        label: In the metadata of the payment that the deed makes.
    """

    rpc: str
    request: Message | None = None
    payment: str | None = None
    transaction: OpenTransaction | None = None
    key: str = field(default_factory=lambda: str(uuid4()))
    label: str = ""

    @property
    def event_id(self) -> str:
        """The processor's id of the event, or nothing where the deed is none."""
        if not isinstance(self.request, webhook_pb.ReceiveStripeEventRequest):
            return ""
        return str(json.loads(self.request.raw.data)["id"])

    def headers(self, world: World) -> list[tuple[str, str]]:
        """What goes with the call; a processor signs anew each time it sends an event."""
        if isinstance(self.request, webhook_pb.ReceiveStripeEventRequest):
            moment, secret = int(time.time()), world.platform.stripe_webhook_secret
            signed = f"{moment}.".encode() + self.request.raw.data
            mac = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
            return [("stripe-signature", f"t={moment},v1={mac}")]
        return [("authorization", f"Bearer {world.shop.api_key}"), ("idempotency-key", self.key)]


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
    service: Any = payment_service_pb2_grpc.PaymentServiceStub(channel)
    if deed.event_id:
        service = webhook_service_pb2_grpc.WebhookServiceStub(channel)
    answer, call = getattr(service, deed.rpc).with_call(
        deed.request, metadata=deed.headers(world), timeout=PATIENCE_S, wait_for_ready=True
    )
    body = MessageToDict(answer, preserving_proto_field_name=True)
    return Answer(body, dict(call.initial_metadata()).get("idempotent-replayed") == "true")


def repeat(world: World, deed: Deed) -> Answer:
    """Repeats a call at a server that lives, as the contract tells clients to: while it is in flight or away."""
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
