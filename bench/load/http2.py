"""A lean client of unary gRPC for the load generator: prepared bytes out, status and message back, many at a time.

It speaks as much of HTTP/2 (RFC 9113) as one peer on the same machine needs: requests are smaller than a frame and than
a stream's window, so only the connection's window is watched; and it tells the peer to compress no header with a table,
so that a status can be read as it lies there. grpc's own client costs about as much for a call as the server does, and
would halve what is measured.
"""

import asyncio
import struct
from collections import deque
from collections.abc import Callable, Sequence
from typing import cast

Answered = Callable[[int, bytes], None]
"""Told gRPC's status code and the message of an answer; -1 where the connection ended without one."""

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_FIRST_WINDOW, _LARGEST_WINDOW = 65_535, 2**31 - 1
_LARGEST_FRAME = 16_384
_STATUS_NAMES = (b"\x0bgrpc-status", b"\x88\x9a\xca\xc8\xb2\x12\x34\xda\x8f")
"""With their length: as grpc writes it, and as Envoy does, in Huffman's code (RFC 7541, appendix B)."""
_TOP_UP = 1 << 24
_FRAME_HEAD = 9


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Writes one frame."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def header_block(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Writes headers as literals that nobody indexes (RFC 7541, 6.2.2), so that connections share the bytes."""
    return b"".join(b"\x00" + _text(name) + _text(value) for name, value in headers)


def _text(value: bytes) -> bytes:
    length = len(value)
    if length < 127:
        return bytes((length,)) + value
    rest, encoded = length - 127, b"\x7f"
    while rest >= 128:
        encoded += bytes((rest % 128 + 128,))
        rest //= 128
    return encoded + bytes((rest,)) + value


class Http2Connection(asyncio.Protocol):
    """One connection to one server."""

    is_open = True

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answered: dict[int, Answered] = {}
        self._bodies: dict[int, bytes] = {}
        self._waiting: deque[tuple[bytes, bytes, Answered]] = deque()
        self._window = _FIRST_WINDOW
        self._next = 1
        self._buffer = b""
        self._received = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's inherits nothing
        settings = struct.pack(">HIHIHI", 1, 0, 2, 0, 4, _LARGEST_WINDOW)  # no header table, no push, window
        window = struct.pack(">I", _LARGEST_WINDOW - _FIRST_WINDOW)
        self._transport.write(_PREFACE + frame(_SETTINGS, 0, 0, settings) + frame(_WINDOW, 0, 0, window))

    def send(self, headers: bytes, message: bytes, answered: Answered) -> None:
        """Sends one call as soon as the peer's window lets it; `answered` is called once.

        Args:
            headers: As `header_block` writes them.
            message: Serialized, smaller than a frame (16 kB).
        """
        body = b"\x00" + struct.pack(">I", len(message)) + message
        assert len(body) <= _LARGEST_FRAME, "requests are small"
        self._waiting.append((headers, body, answered))
        self._send_waiting()

    def _send_waiting(self) -> None:
        while self._waiting and len(self._waiting[0][1]) <= self._window:
            headers, body, answered = self._waiting.popleft()
            stream, self._next = self._next, self._next + 2
            self._answered[stream] = answered
            self._window -= len(body)
            self._write(frame(_HEADERS, _END_HEADERS, stream, headers) + frame(_DATA, _END_STREAM, stream, body))

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        buffer = self._buffer + data if self._buffer else data
        at = 0
        while len(buffer) - at >= _FRAME_HEAD:
            length = int.from_bytes(buffer[at : at + 3], "big")
            end = at + _FRAME_HEAD + length
            if len(buffer) < end:
                break
            kind, flags = buffer[at + 3], buffer[at + 4]
            stream = int.from_bytes(buffer[at + 5 : at + 9], "big")
            self._read(kind, flags, stream, buffer[at + _FRAME_HEAD : end])
            at = end
        self._buffer = buffer[at:]

    def _read(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _DATA:
            self._bodies[stream] = self._bodies.get(stream, b"") + payload
            self._received += len(payload)
            if self._received > _TOP_UP:
                self._write(frame(_WINDOW, 0, 0, struct.pack(">I", self._received)))
                self._received = 0
        elif kind == _HEADERS and flags & _END_STREAM:
            self._answer(stream, _status(payload))
        elif kind == _RESET:
            self._answer(stream, -1)
        elif kind == _SETTINGS and not flags & _ACK:
            self._write(frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            self._write(frame(_PING, _ACK, 0, payload))
        elif kind == _WINDOW and stream == 0:
            self._window += int.from_bytes(payload, "big")
            self._send_waiting()
        elif kind == _GOAWAY:
            self.is_open = False
            self._give_up_waiting()

    def _write(self, data: bytes) -> None:
        assert self._transport is not None, "connected"
        self._transport.write(data)

    def _answer(self, stream: int, status: int) -> None:
        answered, body = self._answered.pop(stream, None), self._bodies.pop(stream, b"")
        if answered is not None:
            answered(status, body[5:])

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio."""
        self.is_open = False
        for stream in list(self._answered):
            self._answer(stream, -1)
        self._give_up_waiting()

    def _give_up_waiting(self) -> None:
        while self._waiting:
            self._waiting.popleft()[2](-1, b"")

    def close(self) -> None:
        """Lets go of the connection."""
        if self._transport is not None:
            self._transport.close()


def _status(trailers: bytes) -> int:
    """Finds `grpc-status` among literal headers; its value is one or two digits, which Huffman's code makes no shorter.

    Returns -1 where there is none, as in an answer of HTTP's own.
    """
    for name in _STATUS_NAMES:
        if (at := trailers.find(name)) >= 0:
            at += len(name)
            return int(trailers[at + 1 : at + 1 + trailers[at]])
    return -1
