"""What the edge does when servers let go of much of the new work that it sends them."""

import http.client
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing

import grpc
import pytest
from kassa.v1 import payment_service_pb2 as pb
from kassa.v1 import payment_service_pb2_grpc

from tests.edge.conftest import Edge, wait_until
from tests.edge.upstream import Upstream

LET_GO = json.dumps({"code": "CANCELLED", "message": "CANCELLED"})
SENT = 300


@pytest.fixture
def own_edge(start_edge: Callable[..., Edge], upstream: Upstream) -> Edge:
    """An Envoy that no other test has sent anything."""
    return start_edge(upstream.port)


@pytest.fixture
def client(own_edge: Edge) -> Iterator[http.client.HTTPConnection]:
    """One connection, since each of Envoy's threads judges by what it has seen itself."""
    with closing(http.client.HTTPConnection("127.0.0.1", own_edge.port, timeout=60)) as connection:
        yield connection


def pay(client: http.client.HTTPConnection, times: int, let_go_of_each: int) -> Counter[tuple[int, str | None]]:
    """Sends payments one after the other; the server lets go of one, and so of every so many."""
    seen: Counter[tuple[int, str | None]] = Counter()
    for number in range(times):
        headers = {"idempotency-key": f"key-{number}"}
        if number % let_go_of_each == 0:
            headers["x-reply"] = LET_GO
        client.request("POST", "/v1/payments", body=b'{"amount": 1}', headers=headers)
        with client.getresponse() as answer:
            seen[answer.status, answer.getheader("retry-after")] += 1
            answer.read()
    return seen


def test_a_flood_is_refused_at_the_edge_and_reads_go_on(
    own_edge: Edge, client: http.client.HTTPConnection, upstream: Upstream
) -> None:
    pay(client, SENT, let_go_of_each=1)
    before, began = len(upstream.calls), time.monotonic()
    assert pay(client, SENT, let_go_of_each=1) == {(503, "1"): SENT}
    # Four fifths are refused, so that Envoy learns when servers keep up again; none of the first twenty of a second.
    let_by = 20 * (int(time.monotonic() - began) + 2)
    assert 0 < len(upstream.calls) - before < min(SENT, 0.35 * SENT + let_by)
    refused = [
        own_edge.send("POST", "/v1/payments", {"amount": 1}, headers={"idempotency-key": "k", "x-reply": LET_GO})
        for _ in range(10)
    ]
    assert {(one.error["type"], one.error["code"]) for one in refused} == {("api_error", "SERVICE_UNAVAILABLE")}
    for _ in range(30):
        assert own_edge.send("GET", "/v1/payments/pay_1").status == 200
        assert own_edge.send("POST", "/v1/webhooks/stripe", b"{}").status == 200


def test_a_flood_that_is_over_is_forgotten(client: http.client.HTTPConnection) -> None:
    pay(client, SENT, let_go_of_each=1)

    def all_pass() -> bool:
        time.sleep(0.1)
        return pay(client, 10, let_go_of_each=100) == {(200, None): 9, (503, "1"): 1}

    wait_until(all_pass)


def test_some_that_a_server_lets_go_of_are_no_flood(client: http.client.HTTPConnection, upstream: Upstream) -> None:
    before = len(upstream.calls)
    assert pay(client, SENT, let_go_of_each=3) == {(200, None): SENT * 2 / 3, (503, "1"): SENT / 3}
    assert len(upstream.calls) - before == SENT


def test_few_calls_a_second_are_no_flood(client: http.client.HTTPConnection, upstream: Upstream) -> None:
    before = len(upstream.calls)
    pay(client, 15, let_go_of_each=1)
    assert len(upstream.calls) - before == 15


def test_native_calls_that_are_refused_may_be_repeated(own_edge: Edge, upstream: Upstream) -> None:
    codes: Counter[grpc.StatusCode] = Counter()
    before = len(upstream.calls)
    with grpc.insecure_channel(f"127.0.0.1:{own_edge.port}") as channel:
        stub = payment_service_pb2_grpc.PaymentServiceStub(channel)
        for _ in range(SENT):
            with pytest.raises(grpc.RpcError) as refusal:
                stub.CreatePayment(pb.CreatePaymentRequest(), metadata=(("x-reply", LET_GO),), timeout=20)
            codes[refusal.value.code()] += 1
    assert codes == {grpc.StatusCode.UNAVAILABLE: SENT}
    assert len(upstream.calls) - before < SENT
