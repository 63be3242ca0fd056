"""Servers that die under requests: what may be repeated is repeated on another, and nothing else is."""

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from kassa.v1 import payment_service_pb2, payment_service_pb2_grpc

from sandbox.local.ports import free_port
from tests.edge.conftest import Answer, Edge, healthy, wait_until
from tests.edge.upstream import Upstream

UPSTREAM = Path(__file__).with_name("upstream.py")


@dataclass(slots=True)
class Server:
    """A server process; `lines` are what it prints: `ready`, then the id of each request."""

    port: int = field(default_factory=free_port)
    lines: "queue.Queue[str]" = field(default_factory=queue.Queue)
    process: "subprocess.Popen[str] | None" = None

    def start(self) -> None:
        command = [sys.executable, str(UPSTREAM), str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"PATH": os.defpath})
        self.lines = queue.Queue()
        threading.Thread(target=read, args=(self.process, self.lines), daemon=True).start()
        assert self.lines.get(timeout=30) == "ready"

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(30)
            self.process = None


def read(process: "subprocess.Popen[str]", lines: "queue.Queue[str]") -> None:
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            lines.put(line.strip())


@pytest.fixture
def servers() -> Iterator[list[Server]]:
    pair = [Server(), Server()]
    for server in pair:
        server.start()
    yield pair
    for server in pair:
        server.kill()


@pytest.fixture
def pair_edge(start_edge: Callable[..., Edge], servers: list[Server]) -> Edge:
    return start_edge(*(server.port for server in servers))


@pytest.fixture
def in_background() -> Iterator[Callable[..., "Future[Answer]"]]:
    with ThreadPoolExecutor() as pool:
        yield pool.submit


def kill_the_one_that_got_it(servers: list[Server]) -> Server:
    """Waits until one of two servers has got a request, kills that one, and returns the other."""
    wait_until(lambda: any(not server.lines.empty() for server in servers))
    victim = next(server for server in servers if not server.lines.empty())
    victim.kill()
    (survivor,) = [server for server in servers if server is not victim]
    return survivor


@pytest.mark.parametrize(
    ("request_line", "headers"),
    [(("GET", "/v1/payments/pay_1"), {}), (("POST", "/v1/payments"), {"idempotency-key": "order-1"})],
    ids=["read", "write with an idempotency key"],
)
def test_a_request_that_may_be_repeated_survives_its_server(
    pair_edge: Edge,
    servers: list[Server],
    in_background: Callable[..., Any],
    request_line: tuple[str, str],
    headers: dict[str, str],
) -> None:
    sent = in_background(pair_edge.send, *request_line, headers=headers, reply={"seconds": 4})
    survivor = kill_the_one_that_got_it(servers)
    answer = sent.result(30)
    assert answer.status == 200
    assert survivor.lines.get(timeout=30) == answer.headers["x-request-id"]


def test_a_write_without_a_key_is_not_repeated(
    pair_edge: Edge, servers: list[Server], in_background: Callable[..., Any]
) -> None:
    sent = in_background(pair_edge.send, "POST", "/v1/payments", {}, reply={"seconds": 20})
    survivor = kill_the_one_that_got_it(servers)
    answer = sent.result(30)
    assert (answer.status, answer.error["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert survivor.lines.empty()


def test_no_read_fails_while_servers_die_and_come_back(pair_edge: Edge, servers: list[Server]) -> None:
    statuses = []
    for number in range(90):
        if number % 30 == 10:
            servers[0].kill()
        if number % 30 == 20:
            servers[0].start()
        statuses.append(pair_edge.send("GET", "/v1/payments/pay_1").status)
    assert statuses == [200] * 90


def test_healthz_follows_the_servers(pair_edge: Edge, servers: list[Server]) -> None:
    servers[0].kill()
    assert healthy(pair_edge)
    servers[1].kill()
    wait_until(lambda: not healthy(pair_edge))
    answer = pair_edge.send("GET", "/v1/payments/pay_1")
    assert (answer.status, answer.error["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert native_error(pair_edge) == (grpc.StatusCode.UNAVAILABLE, "no healthy upstream")
    servers[1].start()
    wait_until(lambda: healthy(pair_edge))
    # Envoy's threads learn of it one after the other.
    wait_until(lambda: pair_edge.send("GET", "/v1/payments/pay_1").status == 200)


def test_a_server_that_drains_gets_nothing_more(start_edge: Callable[..., Edge]) -> None:
    draining = Upstream()
    draining.start()
    edge = start_edge(draining.port)
    draining.set_health(health_pb2.HealthCheckResponse.NOT_SERVING)
    wait_until(lambda: not healthy(edge))
    wait_until(lambda: edge.send("GET", "/v1/payments/pay_1").status == 503)
    received = len(draining.calls)
    assert edge.send("GET", "/v1/payments/pay_1").error["code"] == "SERVICE_UNAVAILABLE"
    assert len(draining.calls) == received
    draining.stop()


def native_error(edge: Edge) -> tuple[grpc.StatusCode, str]:
    with grpc.insecure_channel(f"127.0.0.1:{edge.port}") as channel:
        stub = payment_service_pb2_grpc.PaymentServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refusal:
            stub.GetPayment(payment_service_pb2.GetPaymentRequest(), timeout=20)
    error: Any = refusal.value
    return error.code(), error.details()
