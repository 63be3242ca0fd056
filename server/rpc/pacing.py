"""Lets new work wait at grpc's door, where waiting costs nothing, until the server gets to it (decision record 116).

grpc.aio takes up every call as soon as the event loop turns; its one limit refuses instead of waiting. So the one
method is overridden that asks for the next call. Calls beyond `grpc.server.max_pending_requests` are ended by grpc.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Collection, Sequence
from typing import Any, Protocol, cast

import grpc.aio
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # it has no stubs

assert hasattr(cygrpc.AioServer, "_make_request_call_future"), "grpc asks for calls in another way now"


class Pace(Protocol):
    """Says when work should be taken up."""

    def wanted(self) -> int:
        """How many calls to ask for now."""

    async def room(self) -> None:
        """Returns once any is wanted."""


class _PacedCore(cygrpc.AioServer):  # type: ignore[misc]  # it has no stubs
    """A server of grpc's that asks for as many calls of some methods as are wanted."""

    def keep(self, pace: Pace, methods: Collection[str]) -> None:
        self._pace, self._paced = pace, frozenset(one.encode() for one in methods)
        self._asked: dict[bytes, deque[asyncio.Future[Any]]] = defaultdict(deque)
        """Calls of each method that grpc was asked for, besides the one that its loop waits for. It hands calls out in
        the order in which it was asked for them."""

    def _make_request_call_future(self, method: bytes | None) -> "asyncio.Future[Any]":
        if method not in self._paced:
            return self._ask(method)
        asked = self._asked[method]
        # Several when there is nothing else to do: a burst comes faster than the event loop turns.
        while len(asked) < self._pace.wanted():
            asked.append(self._ask(method))
        return asked.popleft() if asked else asyncio.ensure_future(self._take_later(method))

    def _ask(self, method: bytes | None) -> "asyncio.Future[Any]":
        future: asyncio.Future[Any] = super()._make_request_call_future(method)
        future.add_done_callback(_retrieve)
        return future

    async def _take_later(self, method: bytes) -> Any:
        await self._pace.room()
        return await self._request_registered_call(method)


def _retrieve(future: "asyncio.Future[Any]") -> None:
    """Knows of the error of a call that nobody waits for any more, since the server ends."""
    if not future.cancelled():
        future.exception()


def paced_server(options: Sequence[tuple[str, Any]], methods: Collection[str], pace: Pace) -> grpc.aio.Server:
    """Makes a server like `grpc.aio.server`.

    Args:
        options: Of the channel; see grpc.
        methods: Full names of methods that are registered by name, which it takes up at their pace.
    """
    server: Any = grpc.aio.server(options=options)
    core = _PacedCore(server._loop, None, (), (), options, None)
    core.keep(pace, methods)
    server._server = core  # the one that it made never starts
    return cast("grpc.aio.Server", server)
