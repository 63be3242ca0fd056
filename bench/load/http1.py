"""A lean HTTP/1.1 client for the load generator: prepared bytes out, status and body back, one call at a time.

General clients cost several times what the gateway's edge does for a call, and would measure themselves.
"""

import asyncio
from collections.abc import Callable
from typing import cast

Answered = Callable[[int, bytes], None]
"""Told the status and the body of an answer; status 0 where the connection ended without one."""
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length:"


class Http1Connection(asyncio.Protocol):
    """One keep-alive connection. `send` may be called when no call is under way."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answered: Answered | None = None
        self._buffer = b""
        self._needed = 0

    @property
    def is_open(self) -> bool:
        """Whether calls can still be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's inherits nothing

    def send(self, request: bytes, answered: Answered) -> None:
        """Sends one request; `answered` is called once."""
        assert self._transport is not None and self._answered is None, "one call at a time"
        self._answered, self._buffer, self._needed = answered, b"", 0
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self._buffer = self._buffer + data if self._buffer else data
        if not self._needed:
            end = self._buffer.find(_HEAD_END)
            if end < 0:
                return
            self._needed = end + len(_HEAD_END) + _length(self._buffer[:end].lower())
        if len(self._buffer) < self._needed:
            return
        head, _, body = self._buffer.partition(_HEAD_END)
        if b"connection: close" in head.lower():
            self.close()  # what is sent on it from now on would be lost
        status = int(self._buffer[len(b"HTTP/1.1 ") :][:3])
        self._answer(status, body)

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio."""
        self._transport = None
        self._answer(0, b"")

    def _answer(self, status: int, body: bytes) -> None:
        answered, self._answered = self._answered, None
        if answered is not None:
            answered(status, body)

    def close(self) -> None:
        """Lets go of the connection."""
        if self._transport is not None:
            self._transport.close()


def _length(head: bytes) -> int:
    """Finds the body's length in a head of small letters; what these clients talk to sends no chunks.

    Raises:
        ValueError: There is none; the connection ends with it.
    """
    at = head.find(_LENGTH)
    if at < 0:
        raise ValueError(f"an answer without a length: {head!r}")
    return int(head[at + len(_LENGTH) :].partition(b"\r")[0])
