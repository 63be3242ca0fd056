"""The client for asyncio, against a server in the same loop."""

from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
import kassa
import pytest
from kassa.v1 import payment_service_pb2 as pb
from kassa.v1 import payment_service_pb2_grpc as pb_grpc

from tests.clients.details import details


class Gateway(pb_grpc.PaymentServiceServicer):
    """Refuses once where told to, then answers."""

    def __init__(self) -> None:
        self.keys: list[str | None] = []
        self.refusals: list[tuple[grpc.StatusCode, tuple[str, bytes]]] = []

    async def _take(self, context: Any) -> None:
        metadata = dict(context.invocation_metadata())
        assert metadata["authorization"] == "Bearer sk_test_1"
        self.keys.append(metadata.get("idempotency-key"))
        if self.refusals:
            status, trailing = self.refusals.pop(0)
            await context.send_initial_metadata((("x-request-id", "req-0"),))
            await context.abort(status, "No.", (trailing,))

    async def CreatePayment(self, request: pb.CreatePaymentRequest, context: Any) -> pb.Payment:
        await self._take(context)
        return pb.Payment(id="pay_1", amount=request.amount)

    async def ListPayments(self, request: pb.ListPaymentsRequest, context: Any) -> pb.ListPaymentsResponse:
        await self._take(context)
        if request.page_token:
            return pb.ListPaymentsResponse(payments=[pb.Payment(id="b")])
        return pb.ListPaymentsResponse(payments=[pb.Payment(id="a")], next_page_token="t")

    async def GetPaymentTimeline(self, request: pb.GetPaymentTimelineRequest, context: Any) -> pb.PaymentTimeline:
        await self._take(context)
        entry = pb.TimelineEntry(event=pb.TimelineEntry.Event(id=request.page_token))
        return pb.PaymentTimeline(entries=[entry], next_page_token="" if request.page_token else "t")


@pytest.fixture
async def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[kassa.AsyncClient]:
    server = grpc.aio.server()
    pb_grpc.add_PaymentServiceServicer_to_server(gateway, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with kassa.AsyncClient(f"127.0.0.1:{port}", "sk_test_1", timeout=10) as client:
        yield client
    await server.stop(None)


async def test_a_payment_is_repeated_with_the_same_key(client: kassa.AsyncClient, gateway: Gateway) -> None:
    gateway.refusals = [(grpc.StatusCode.ABORTED, details("REQUEST_IN_FLIGHT", retry_after=0.001))] * 2
    payment = await client.payments.create(amount=5, currency="USD", method="DIGITAL_WALLET", wallet={})
    assert payment == kassa.Payment(id="pay_1", amount=5)
    assert len(gateway.keys) == 3 and len(set(gateway.keys)) == 1 and gateway.keys[0]


async def test_a_refusal_is_raised(client: kassa.AsyncClient, gateway: Gateway) -> None:
    gateway.refusals = [(grpc.StatusCode.INVALID_ARGUMENT, details("INVALID_FIELD", field="amount"))]
    with pytest.raises(kassa.KassaError) as refusal:
        await client.payments.create(amount=-5, currency="USD", method="CREDIT_CARD")
    assert (refusal.value.reason, refusal.value.field, refusal.value.request_id) == (
        "INVALID_FIELD",
        "amount",
        "req-1",
    )
    assert len(gateway.keys) == 1


async def test_a_timeline_is_iterated(client: kassa.AsyncClient, gateway: Gateway) -> None:
    assert [entry.event.id async for entry in client.payments.timeline("pay_1")] == ["", "t"]
    assert gateway.keys == [None, None]


async def test_a_list_is_iterated(client: kassa.AsyncClient, gateway: Gateway) -> None:
    assert [payment.id async for payment in client.payments.list()] == ["a", "b"]
    assert gateway.keys == [None, None]
