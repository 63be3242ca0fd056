"""The server around the services: health, reflection, and a stop that loses nothing."""

import asyncio
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from kassa.v1 import payment_service_pb2 as pb

from server.domain.ids import Prefix, new_id, render_id
from server.rpc.server import SERVICES
from tests.factories import make_payment
from tests.rpc.conftest import METADATA, Pacemaker, Stack, create_request, make_server, make_use_cases

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
_FLOODED = (
    "/kassa.v1.PaymentService/CreatePayment",
    "/kassa.v1.WebhookService/ReceiveStripeEvent",
    "/kassa.v1.WebhookService/ReceivePayPalEvent",
)
GET = pb.GetPaymentRequest(payment_id=render_id(Prefix.PAYMENT, new_id()))


@pytest.mark.parametrize("service", ["", *SERVICES])
async def test_every_service_is_healthy_without_a_key(rpc: Stack, service: str) -> None:
    assert (await _health(rpc).Check(health_pb2.HealthCheckRequest(service=service))).status == SERVING


async def test_health_follows_what_the_server_is_told(rpc: Stack) -> None:
    await rpc.server.tell_health(False)
    request = health_pb2.HealthCheckRequest(service="kassa.v1.PaymentService")
    assert (await _health(rpc).Check(request)).status == NOT_SERVING
    await rpc.server.tell_health(True)
    assert (await _health(rpc).Check(request)).status == SERVING


async def test_reflection_lists_every_service(rpc: Stack) -> None:
    stub: Any = reflection_pb2_grpc.ServerReflectionStub
    call = stub(rpc.channel).ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
    [answer] = [answer async for answer in call]
    assert set(SERVICES) <= {service.name for service in answer.list_services_response.service}


async def test_stopping_says_so_first_then_ends_calls_then_drains(rpc: Stack) -> None:
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> Any:
        arrived.set()
        await go_on.wait()
        rpc.drained.append("answered")
        return make_payment()

    rpc.use_cases["get"].answer = slow
    call = rpc.payments.GetPayment(GET, metadata=METADATA)
    answer = asyncio.ensure_future(_result(call))
    await arrived.wait()
    watch = _health(rpc).Watch(health_pb2.HealthCheckRequest(service=SERVICES[0]))
    assert (await watch.read()).status == SERVING
    stopping = asyncio.create_task(rpc.server.stop())
    assert (await watch.read()).status == NOT_SERVING
    watch.cancel()
    assert rpc.drained == []
    go_on.set()
    assert (await answer).currency == "USD"
    await stopping
    assert rpc.drained == ["answered", "drained"]


async def test_two_servers_never_share_an_address(rpc: Stack) -> None:
    """Envoy would send everything to one of them."""
    other = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    with pytest.raises(RuntimeError):
        other.add_insecure_port(f"127.0.0.1:{rpc.server.port}")
    await other.start()
    await other.stop(None)  # grpc logs itself, half gone, where one that never stopped is forgotten


async def test_a_method_that_is_none_is_unimplemented(rpc: Stack) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await rpc.channel.unary_unary("/kassa.v1.PaymentService/Nope")(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_message_beyond_the_limit_is_refused(rpc: Stack) -> None:
    request = pb.GetPaymentRequest(payment_id="x" * (1 << 20))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await rpc.payments.GetPayment(request, metadata=METADATA)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("flooded", [*_FLOODED, "/kassa.v1.PaymentService/GetPayment"])
async def test_a_flood_is_let_go_of_and_neither_health_checks_nor_reads_are(rpc: Stack, flooded: str) -> None:
    """A server that is only busy must not look dead, nor refuse merchants what processors flood it with."""
    rpc.use_cases["get"].answer = make_payment()
    spared: list[tuple[str, bytes]] = [("/grpc.health.v1.Health/Check", b"")]
    if flooded in _FLOODED:
        spared.append(("/kassa.v1.PaymentService/GetPayment", GET.SerializeToString()))
    sent = threading.Event()

    def flood() -> tuple[Counter[grpc.StatusCode], list[grpc.StatusCode]]:
        with grpc.insecure_channel(f"127.0.0.1:{rpc.server.port}", [("grpc.enable_http_proxy", 0)]) as channel:
            grpc.channel_ready_future(channel).result(20)
            method: Any = channel.unary_unary(flooded)
            calls = [method.future(b"", metadata=METADATA, timeout=20) for _ in range(300)]
            others = [_send(channel, *one) for one in spared]
            time.sleep(0.2)
            sent.set()
            return Counter(call.code() for call in calls), [call.code() for call in others]

    flooding = asyncio.create_task(asyncio.to_thread(flood))
    await asyncio.sleep(0)
    sent.wait(20)  # the loop stands still
    time.sleep(0.2)
    codes, others = await flooding
    assert codes[grpc.StatusCode.CANCELLED] >= 150
    assert others == [grpc.StatusCode.OK] * len(spared)


def _send(channel: grpc.Channel, method: str, request: bytes) -> Any:
    call: Any = channel.unary_unary(method)
    return call.future(request, metadata=METADATA, timeout=20)


async def test_new_work_waits_at_the_door_of_a_crowded_server_and_all_else_goes_on(rpc: Stack) -> None:
    rpc.use_cases["get"].answer = make_payment()
    await _result(_create(rpc))
    Pacemaker.wait()
    # One call was asked for before; whoever comes after it waits.
    calls = [asyncio.ensure_future(_result(_create(rpc))) for _ in range(5)]
    await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    await rpc.payments.GetPayment(GET, metadata=METADATA)
    assert (await _health(rpc).Check(health_pb2.HealthCheckRequest())).status == SERVING
    assert len(rpc.use_cases["create"].calls) == 2
    Pacemaker.go_on()
    await asyncio.gather(*calls)
    assert len(rpc.use_cases["create"].calls) == 6


async def test_the_door_opens_again_though_waiting_for_room_failed(rpc: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(pacemaker: Pacemaker) -> None:
        raise RuntimeError("nobody knows how much room there is")

    await _result(_create(rpc))
    with monkeypatch.context() as trouble:
        trouble.setattr(Pacemaker, "room", fail)
        Pacemaker.wait()
        await _result(_create(rpc))  # which was asked for before
        waits = asyncio.ensure_future(_result(_create(rpc)))
        assert not (await asyncio.wait([waits], timeout=0.3))[0]
    Pacemaker.go_on()
    await asyncio.wait_for(waits, 10)


@pytest.mark.parametrize("many", [1, 64])
async def test_a_burst_is_taken_up_as_far_as_calls_are_wanted(
    rpc: Stack, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    """grpc ends what is beyond its own queue, of at most 60 calls, and beyond what it was asked for before."""
    await _result(_create(rpc))
    monkeypatch.setattr(Pacemaker, "many", many)
    await asyncio.sleep(0.3)  # it has looked again
    codes = await _burst(rpc, 90, ended=29 if many == 1 else 0)
    taken = codes.pop(grpc.StatusCode.OK)
    assert taken == 90 if many == 64 else 30 <= taken <= 61
    assert codes.keys() <= {grpc.StatusCode.CANCELLED}


async def test_each_of_many_calls_is_answered_when_it_comes(rpc: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """However grpc hands calls out, also after some have left before anybody took them up."""
    monkeypatch.setattr(Pacemaker, "many", 8)
    for _ in range(5):
        await asyncio.wait_for(asyncio.gather(*(_result(_create(rpc)) for _ in range(20))), 5)
        await _burst(rpc, 60, cancelled=30)
        for _ in range(10):
            await asyncio.wait_for(_result(_create(rpc)), 5)


async def test_a_server_that_stops_waits_for_no_call_that_nobody_took_up(
    rpc: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pacemaker, "many", 64)
    await _result(_create(rpc))
    took_s: list[float] = []

    async def stop() -> None:
        began = time.monotonic()
        await rpc.server._server.stop(10)
        took_s.append(time.monotonic() - began)

    codes = await _burst(rpc, 40, at_once=stop)
    assert took_s[0] < 8
    assert sum(codes.values()) == 40
    assert codes.keys() <= {grpc.StatusCode.OK, grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE}


async def test_what_waits_at_the_door_of_a_server_that_stops_was_never_begun(rpc: Stack) -> None:
    Pacemaker.wait()
    calls = [asyncio.ensure_future(_result(_create(rpc))) for _ in range(3)]
    await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    await rpc.server.stop()
    ends = await asyncio.gather(*calls, return_exceptions=True)
    codes = [one.code() for one in ends if isinstance(one, grpc.aio.AioRpcError)]
    assert codes == [grpc.StatusCode.CANCELLED] * 2
    assert len(rpc.use_cases["create"].calls) == 1


async def test_sigterm_stops_the_server_and_drains_it() -> None:
    drained: list[str] = []
    server = make_server(make_use_cases(), drained)
    running = asyncio.create_task(server.run())
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        # Serving, so its signal handler is in place.
        await channel.channel_ready()
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(running, 10)
    assert drained == ["drained"]


def _create(rpc: Stack) -> Any:
    return rpc.payments.CreatePayment(create_request(), metadata=METADATA)


async def _nothing() -> None:
    pass


async def _burst(
    rpc: Stack, calls: int, *, cancelled: int = 0, ended: int = 0, at_once: Callable[[], Awaitable[None]] = _nothing
) -> Counter[grpc.StatusCode]:
    """Makes calls that all come before the event loop, which stands still meanwhile, sees the first of them.

    Args:
        cancelled: How many of them leave again before it goes on.
        ended: How many of them grpc has ended by then, at least.
        at_once: Begun as soon as it goes on.
    """
    sent = threading.Event()
    create = "/kassa.v1.PaymentService/CreatePayment"

    def burst() -> Counter[grpc.StatusCode]:
        request = create_request().SerializeToString()
        with grpc.insecure_channel(f"127.0.0.1:{rpc.server.port}", [("grpc.enable_http_proxy", 0)]) as channel:
            grpc.channel_ready_future(channel).result(20)
            method: Any = channel.unary_unary(create)
            made = [method.future(request, metadata=METADATA, timeout=20) for _ in range(calls)]
            time.sleep(0.2)
            until = time.monotonic() + 20
            while sum(one.done() for one in made) < ended and time.monotonic() < until:
                time.sleep(0.01)
            for one in made[:cancelled]:
                one.cancel()
            sent.set()
            return Counter(one.code() for one in made)

    bursting = asyncio.ensure_future(asyncio.to_thread(burst))
    await asyncio.sleep(0)
    sent.wait(20)
    time.sleep(0.2)
    await at_once()
    return await bursting


def _health(rpc: Stack) -> Any:
    return health_pb2_grpc.HealthStub(rpc.channel)


async def _result(call: Any) -> pb.Payment:
    payment: pb.Payment = await call
    return payment
