"""The load generator's clients read what real servers say, however it is cut into pieces."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import grpc
import pytest
from aiohttp import web

from bench.load.http1 import Http1Connection
from bench.load.http2 import Http2Connection, frame, header_block
from tests.bench.grpc_server import BIG

Answer = tuple[int, bytes]


class Wire:
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        self.written, self.closing = b"", False

    def write(self, data: bytes) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closing


def wired(connection: asyncio.Protocol) -> Wire:
    connection.connection_made(cast(asyncio.Transport, wire := Wire()))
    return wire


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_an_http1_answer_may_come_in_pieces(size: int) -> None:
    connection, found = Http1Connection(), list[Answer]()
    wired(connection)
    for status, body in ((b"201 Created", b'{"id":"1"}'), (b"429 Too Many Requests", b"")):
        connection.send(b"GET / HTTP/1.1\r\n\r\n", lambda *answer: found.append(answer))
        head = b"HTTP/1.1 " + status + b"\r\nX-Content-Length: 3\r\nContent-Length: %d\r\n\r\n" % len(body)
        for at in range(0, len(whole := head + body), size):
            assert len(found) == (status[0] == ord("4"))
            connection.data_received(whole[at : at + size])
    assert found == [(201, b'{"id":"1"}'), (429, b"")]


def test_a_lost_http1_connection_answers_with_nothing() -> None:
    connection, found = Http1Connection(), list[Answer]()
    wired(connection)
    connection.send(b"GET / HTTP/1.1\r\n\r\n", lambda *answer: found.append(answer))
    connection.data_received(b"HTTP/1.1 200 OK\r\n")
    connection.connection_lost(None)
    assert found == [(0, b"")]
    assert not connection.is_open


def test_an_http1_answer_without_a_length_is_refused() -> None:
    connection = Http1Connection()
    wired(connection)
    connection.send(b"GET / HTTP/1.1\r\n\r\n", lambda *answer: None)
    with pytest.raises(ValueError, match="without a length"):
        connection.data_received(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")


async def test_http1_speaks_with_a_real_server() -> None:
    async def echo(request: web.Request) -> web.Response:
        return web.Response(status=202, body=await request.read())

    app = web.Application()
    app.router.add_post("/echo", echo)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    _, port = runner.addresses[0][:2]
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(Http1Connection, "127.0.0.1", port)
    for body in (b"one", BIG):
        answer: asyncio.Future[Answer] = loop.create_future()
        request = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
        connection.send(request + body, lambda *got, to=answer: to.set_result(got))
        assert await asyncio.wait_for(answer, 10) == (202, body)
    connection.close()
    await runner.cleanup()


def headers(path: bytes) -> bytes:
    return header_block(
        [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"x"), (b":path", path),
         (b"te", b"trailers"), (b"content-type", b"application/grpc"), (b"long", b"y" * 300)]
    )  # fmt: skip


@asynccontextmanager
async def grpc_connection(port: int) -> AsyncIterator[Http2Connection]:
    _, connection = await asyncio.get_running_loop().create_connection(Http2Connection, "127.0.0.1", port)
    yield connection
    connection.close()
    while connection.is_open:  # until the loop has let go of it
        await asyncio.sleep(0)


def send(connection: Http2Connection, path: bytes, message: bytes) -> asyncio.Future[Answer]:
    answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
    connection.send(headers(path), message, lambda *got: answer.set_result(got))
    return answer


async def test_http2_speaks_with_grpcs_server(grpc_port: int) -> None:
    async with grpc_connection(grpc_port) as connection:
        sent = [send(connection, b"/x/echo", b"message %d" % number) for number in range(50)]
        answers = await asyncio.wait_for(asyncio.gather(*sent), 10)
        assert answers == [(0, b"message %d" % number) for number in range(50)]
        assert await asyncio.wait_for(send(connection, b"/x/big", b""), 10) == (0, BIG)
        status, _ = await asyncio.wait_for(send(connection, b"/x/refuse", b""), 10)
        assert status == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]


async def test_http2_sends_no_more_than_the_servers_window_takes(grpc_port: int) -> None:
    """Twenty times 15 kB at once are more than its first window; a server ends the connection of who sends more."""
    async with grpc_connection(grpc_port) as connection:
        sent = [send(connection, b"/x/echo", bytes([number]) * 15_000) for number in range(20)]
        answers = await asyncio.wait_for(asyncio.gather(*sent), 10)
        assert answers == [(0, bytes([number]) * 15_000) for number in range(20)]


def test_http2_waits_for_a_larger_window() -> None:
    connection = Http2Connection()
    wire = wired(connection)
    for _ in range(5):
        connection.send(headers(b"/x/echo"), b"z" * 16_000, lambda *answer: None)
    assert wire.written.count(b"z" * 16_000) == 4
    connection.data_received(frame(8, 0, 0, struct.pack(">I", 16_000)))
    assert wire.written.count(b"z" * 16_000) == 5


def test_http2_answers_settings_and_pings() -> None:
    connection = Http2Connection()
    wire = wired(connection)
    wire.written = b""
    connection.data_received(frame(4, 0, 0, b"") + frame(6, 0, 0, b"12345678"))
    assert wire.written == frame(4, 1, 0, b"") + frame(6, 1, 0, b"12345678")


def begun(calls: int) -> tuple[Http2Connection, list[Answer]]:
    """A connection with so many large calls, of which the first window takes four; and what is answered."""
    connection, found = Http2Connection(), list[Answer]()
    wired(connection)
    for _ in range(calls):
        connection.send(headers(b"/x/echo"), b"z" * 16_000, lambda *answer: found.append(answer))
    return connection, found


def test_calls_on_a_lost_connection_get_no_answer() -> None:
    connection, found = begun(5)
    connection.connection_lost(None)
    assert found == [(-1, b"")] * 5
    assert not connection.is_open


def test_a_server_that_goes_away_still_answers_what_it_has_begun() -> None:
    connection, found = begun(5)
    connection.data_received(frame(7, 0, 0, struct.pack(">II", 7, 0)))
    assert found == [(-1, b"")]
    assert not connection.is_open
    message = frame(0, 0, 3, b"\x00\x00\x00\x00\x02ok")
    connection.data_received(message + frame(1, 5, 3, header_block([(b"grpc-status", b"0")])))
    assert found[1:] == [(0, b"ok")]


def test_a_status_is_not_looked_for_in_other_trailers() -> None:
    connection, found = begun(1)
    trailers = header_block([(b"grpc-status-details-bin", b"AAE"), (b"grpc-status", b"14"), (b"a", b"b")])
    connection.data_received(frame(1, 5, 1, trailers))
    assert found == [(14, b"")]


def test_a_call_that_the_server_resets_gets_no_answer() -> None:
    connection, found = begun(1)
    connection.data_received(frame(3, 0, 1, struct.pack(">I", 8)))
    assert found == [(-1, b"")]
