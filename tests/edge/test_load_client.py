"""The load generator's client of gRPC reads what Envoy answers: servers' answers, their errors, and Envoy's own."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from kassa.v1 import payment_service_pb2 as pb

from bench.load.http2 import Http2Connection, header_block
from bench.load.shoppers import Requests
from tests.edge.conftest import Edge

REQUESTS = Requests("get", ["sk_test_1"], [(0, "pay_1")], unique="", seed=1)


@asynccontextmanager
async def connected(edge: Edge) -> AsyncIterator[Http2Connection]:
    _, connection = await asyncio.get_running_loop().create_connection(Http2Connection, "127.0.0.1", edge.port)
    try:
        yield connection
    finally:
        connection.close()
    while connection.is_open:  # until the loop has let go of it
        await asyncio.sleep(0)


async def answer(connection: Http2Connection, reply: dict[str, Any], more: bytes = b"") -> tuple[int, bytes]:
    got: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
    call = REQUESTS.grpc()
    asks = header_block([(b"x-reply", json.dumps(reply).encode())])
    connection.send(call.headers + asks + more, call.body, lambda *answered: got.set_result(answered))
    return await asyncio.wait_for(got, 20)


async def test_an_answer_passes(edge: Edge) -> None:
    async with connected(edge) as connection:
        status, message = await answer(connection, {})
    assert (status, pb.Payment.FromString(message).id) == (0, "pay_1")


@pytest.mark.parametrize("code", ["NOT_FOUND", "FAILED_PRECONDITION", "UNAUTHENTICATED"])
async def test_a_servers_error_has_its_status(edge: Edge, code: str) -> None:
    async with connected(edge) as connection:
        status, _ = await answer(connection, {"code": code, "message": "no"})
    assert status == grpc.StatusCode[code].value[0]


async def test_what_a_server_has_let_go_of_may_be_repeated(edge: Edge) -> None:
    async with connected(edge) as connection:
        status, _ = await answer(connection, {"code": "CANCELLED", "message": "CANCELLED"})
    assert status == grpc.StatusCode.UNAVAILABLE.value[0]


async def test_envoys_own_refusal_has_a_status(edge: Edge) -> None:
    """A deadline that Envoy keeps for the server."""
    async with connected(edge) as connection:
        status, _ = await answer(connection, {"seconds": 30}, header_block([(b"grpc-timeout", b"200m")]))
    assert status == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
