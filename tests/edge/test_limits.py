"""How much the edge takes: body sizes, request rates, calls at once."""

import asyncio
import http.client
import json
from collections import Counter
from collections.abc import Callable
from contextlib import closing

import aiohttp
import grpc
import pytest
from kassa.v1 import payment_service_pb2, payment_service_pb2_grpc

from tests.edge.conftest import Answer, Edge
from tests.edge.upstream import Call, Upstream

Received = Callable[[Answer], list[Call]]


@pytest.mark.parametrize(
    ("path", "size", "status"),
    [
        ("/v1/payments", 65_000, 400),
        ("/v1/payments", 66_000, 413),
        ("/v1/webhooks/stripe", 524_000, 200),
        ("/v1/webhooks/stripe", 525_000, 413),
    ],
)
def test_bodies_are_limited(edge: Edge, received: Received, path: str, size: int, status: int) -> None:
    answer = edge.send("POST", path, b"x" * size)
    assert answer.status == status
    if status == 413:
        assert (answer.error["type"], answer.error["code"]) == ("invalid_request_error", "REQUEST_TOO_LARGE")
        assert received(answer) == []


@pytest.fixture(scope="module")
def strict_edge(start_edge: Callable[..., Edge], upstream: Upstream) -> Edge:
    return start_edge(upstream.port, requests_per_key=2, requests_per_address=1000)


def until_refused(edge: Edge, key: str) -> Answer:
    for _ in range(200):
        answer = edge.send("GET", "/v1/payments/pay_1", headers={"authorization": f"Bearer {key}"})
        if answer.status != 200:
            return answer
    raise AssertionError("200 requests went through")


def test_a_key_is_limited_and_another_is_not(strict_edge: Edge) -> None:
    refused = until_refused(strict_edge, "sk_test_busy")
    assert (refused.status, refused.headers["retry-after"]) == (429, "1")
    assert (refused.error["type"], refused.error["code"]) == ("rate_limit_error", "RATE_LIMITED")
    other = strict_edge.send("GET", "/v1/payments/pay_1", headers={"authorization": "Bearer sk_test_calm"})
    assert other.status == 200


def test_a_connection_outlives_a_refused_request_with_a_body(strict_edge: Edge) -> None:
    headers = {"authorization": "Bearer sk_test_keeps", "content-type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", strict_edge.port, timeout=60)
    with closing(connection):
        statuses = []
        for _ in range(200):
            connection.request("POST", "/v1/payments", body=b'{"description": "%s"}' % (b"x" * 20_000), headers=headers)
            with connection.getresponse() as answer:
                assert answer.getheader("connection") != "close"
                answer.read()
            statuses.append(answer.status)
            if statuses[-2:] == [429, 429]:
                return
    raise AssertionError(f"nothing was refused: {statuses}")


def test_a_native_client_that_is_limited_gets_resource_exhausted(strict_edge: Edge) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{strict_edge.port}") as channel:
        stub = payment_service_pb2_grpc.PaymentServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refusal:
            for _ in range(200):
                stub.GetPayment(
                    payment_service_pb2.GetPaymentRequest(), metadata=(("authorization", "Bearer native"),), timeout=20
                )
    assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_inventing_keys_does_not_help(start_edge: Callable[..., Edge], upstream: Upstream) -> None:
    edge = start_edge(upstream.port, requests_per_key=100, requests_per_address=3)
    statuses = [
        edge.send("GET", "/v1/payments/pay_1", headers={"authorization": f"Bearer sk_{number}"}).status
        for number in range(100)
    ]
    assert 429 in statuses


async def test_more_payments_wait_at_once_than_envoy_lets_by_default(edge: Edge) -> None:
    at_once = 1_100
    reply = {"x-reply": json.dumps({"together": at_once})}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{edge.port}", connector=connector) as session:

        async def send() -> int:
            async with session.post("/v1/payments", headers=reply) as answer:
                return answer.status

        assert Counter(await asyncio.gather(*(send() for _ in range(at_once)))) == {200: at_once}
