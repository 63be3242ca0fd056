"""A real gRPC server and channel around use cases that only remember and answer."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import grpc
import grpc.aio
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status
from kassa.v1 import (
    attention_service_pb2_grpc,
    dispute_service_pb2_grpc,
    fraud_service_pb2_grpc,
    payment_service_pb2_grpc,
    webhook_service_pb2_grpc,
)
from kassa.v1 import payment_service_pb2 as pb

from server.domain.errors import KassaError, Reason
from server.rpc.attention_service import AttentionUseCases
from server.rpc.dispute_service import DisputeUseCases
from server.rpc.fraud_service import FraudUseCases
from server.rpc.merchant_service import MerchantUseCases
from server.rpc.payment_service import PaymentUseCases
from server.rpc.server import RpcServer, UseCases
from server.rpc.webhook_service import ReceivesEvents
from server.usecases.answers import Answer, Caller
from server.usecases.authenticate import Platform, Principal
from server.usecases.decide_review import DecideReview
from server.usecases.read_ledger import ReadLedger
from tests.factories import make_payment

MERCHANT = Caller(uuid4(), test_mode=True, time_zone="Europe/Paris")
MERCHANT_KEY, PLATFORM_KEY = "sk_test_merchant", "sk_platform_us"
PAYMENTS = ("create", "capture", "cancel", "confirm", "refund", "get", "list", "list_transactions", "timeline")
DISPUTES = ("answer", "get", "list")
FRAUD = {
    "desk": ("list", "get", "claim", "release", "add_note"),
    "decisions": ("get", "list", "label", "statistics"),
    "lists": ("add", "remove", "list"),
    "snoozes": ("add", "end"),
    "find_snoozes": ("list",),
}
METADATA = (("authorization", f"Bearer {MERCHANT_KEY}"), ("idempotency-key", "order-1001"))


async def authenticate(secret: str) -> Principal:
    """Knows two keys."""
    known: Mapping[str, Principal] = {MERCHANT_KEY: MERCHANT, PLATFORM_KEY: Platform()}
    if secret not in known:
        raise KassaError(Reason.API_KEY_INVALID, "The API key is unknown or was revoked.")
    return known[secret]


class StandIn:
    """A use case: remembers how it was called; answers, raises, or awaits what `answer` is."""

    def __init__(self, answer: Any) -> None:
        self.answer, self.calls = answer, list[tuple[Any, ...]]()

    async def __call__(self, *arguments: Any) -> Any:
        self.calls.append(arguments)
        if isinstance(self.answer, Exception):
            raise self.answer
        return await self.answer() if callable(self.answer) else self.answer


@dataclass
class Stack:
    """The server under test."""

    server: RpcServer
    channel: Any  # grpc.aio's, whose stubs know neither untyped calls nor health
    use_cases: dict[str, StandIn]
    drained: list[str] = field(default_factory=list)

    @property
    def payments(self) -> Any:
        return payment_service_pb2_grpc.PaymentServiceStub(self.channel)

    @property
    def attention(self) -> Any:
        return attention_service_pb2_grpc.AttentionServiceStub(self.channel)

    @property
    def disputes(self) -> Any:
        return dispute_service_pb2_grpc.DisputeServiceStub(self.channel)

    @property
    def fraud(self) -> Any:
        return fraud_service_pb2_grpc.FraudServiceStub(self.channel)

    @property
    def webhooks(self) -> Any:
        return webhook_service_pb2_grpc.WebhookServiceStub(self.channel)


class Pacemaker:
    """Lets new work wait at the door while a test says so."""

    crowded: "asyncio.Event | None" = None
    many = 1

    def wanted(self) -> int:
        return 0 if self.crowded is not None else self.many

    async def room(self) -> None:
        if self.crowded is not None:
            await self.crowded.wait()

    @classmethod
    def wait(cls) -> None:
        cls.crowded = asyncio.Event()

    @classmethod
    def go_on(cls) -> None:
        if cls.crowded is not None:
            cls.crowded.set()
        cls.crowded = None


def make_server(use_cases: Mapping[str, StandIn], drained: list[str]) -> RpcServer:
    """A server on a free port that has not started yet."""

    async def drain() -> None:
        drained.append("drained")

    payments: dict[str, Any] = {name: stand_in for name, stand_in in use_cases.items() if name in PAYMENTS}
    disputes: dict[str, Any] = {name: use_cases[f"{name}_dispute"] for name in DISPUTES}
    return RpcServer(
        UseCases(
            authenticate=authenticate,
            payments=PaymentUseCases(**payments),
            disputes=DisputeUseCases(**disputes),
            # MerchantService is tested over a real database, in tests/merchants.
            merchants=cast(MerchantUseCases, _NoMerchants()),
            attention=AttentionUseCases(list=use_cases["list_attention"], resolve=use_cases["resolve_attention"]),
            fraud=fraud_use_cases(use_cases),
            ledger=cast(ReadLedger, None),  # over a real database, in tests/ledger
            receive_event=cast(ReceivesEvents, use_cases["receive_event"]),
        ),
        listen="127.0.0.1:0",
        pace=Pacemaker(),
        supported_currencies=frozenset({"USD", "EUR", "JPY"}),
        refusal=lambda: BUSY[0] if BUSY else None,
        pause_s=0,
        grace_s=5,
        drain=drain,
    )


def fraud_use_cases(use_cases: Mapping[str, StandIn]) -> FraudUseCases:
    """What FraudService calls, `desk.get` and so on."""
    parts: dict[str, Any] = {
        part: SimpleNamespace(**{name: use_cases[f"{part}.{name}"] for name in names}) for part, names in FRAUD.items()
    }
    return FraudUseCases(decide=cast(DecideReview, use_cases["decide_review"]), **parts)


def make_use_cases() -> dict[str, StandIn]:
    """Use cases that answer with a payment each."""
    answer = Answer(make_payment(merchant_id=MERCHANT.merchant_id))
    disputes = (f"{name}_dispute" for name in DISPUTES)
    fraud = (f"{part}.{name}" for part, names in FRAUD.items() for name in names)
    others = ("receive_event", "list_attention", "resolve_attention", "decide_review")
    return {name: StandIn(answer) for name in (*PAYMENTS, *disputes, *fraud, *others)}


BUSY: list[KassaError] = []
"""What new work is refused with; empty where it is welcome."""


@pytest.fixture
async def rpc() -> AsyncIterator[Stack]:
    """A running server; each test sets what its use cases answer."""
    use_cases, drained = make_use_cases(), list[str]()
    server = make_server(use_cases, drained)
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield Stack(server, channel, use_cases, drained)
    BUSY.clear()
    await server.stop()
    Pacemaker.go_on()


class _NoMerchants:
    merchants = api_keys = processor_accounts = None


@dataclass(frozen=True)
class Seen:
    """A refused call, as a client sees it."""

    code: grpc.StatusCode
    message: str
    initial: dict[str, str | bytes]
    trailing: dict[str, str | bytes]
    status: Status

    def detail(self, kind: type[Any]) -> Any:
        """The detail of this type, None where there is none."""
        for packed in self.status.details:
            message = kind()
            if packed.Unpack(message):
                return message
        return None

    @property
    def reason(self) -> str:
        return str(self.detail(ErrorInfo).reason)

    @property
    def field(self) -> str:
        violations = self.detail(BadRequest).field_violations
        assert len(violations) == 1
        return str(violations[0].field)


async def refused(call: Any) -> Seen:
    """Awaits a call that must fail, and returns what the client sees of it."""
    initial = dict(await call.initial_metadata())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    trailing = dict(caught.value.trailing_metadata() or ())
    status = Status.FromString(cast(bytes, trailing["grpc-status-details-bin"]))
    return Seen(caught.value.code(), caught.value.details() or "", initial, trailing, status)


def create_request(**changes: Any) -> pb.CreatePaymentRequest:
    """A good CreatePayment of 19.99 USD by card; what changes replaces what stands."""
    values: dict[str, Any] = {
        "amount": 1999,
        "currency": "USD",
        "method": pb.Payment.CREDIT_CARD,
        "card": pb.Card(number="4242424242424242", exp_month=12, exp_year=2035, cvc="123", holder="Ada Byron"),
        "customer": pb.Customer(id="cus_42", email="ada@example.com", ip="203.0.113.7"),
        "billing_address": pb.Address(country="US"),
        "description": "Order 1001",
        "metadata": {"order": "1001"},
    }
    return pb.CreatePaymentRequest(**{name: value for name, value in (values | changes).items() if value is not None})
