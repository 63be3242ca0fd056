"""Lets new work wait at grpc's door, where waiting costs nothing, until the server gets to it (decision record 116).

grpc.aio takes up every call as soon as the event loop turns; its one limit refuses instead of waiting. So the one
method is overridden that asks for the next call. Calls beyond `grpc.server.max_pending_requests` are ended by grpc.
"""

import asyncio
from collections.abc import Collection, Sequence
from typing import Any, Protocol, cast

import grpc.aio
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # it has no stubs

assert hasattr(cygrpc.AioServer, "_make_request_call_future"), "grpc asks for calls in another way now"


class Pace(Protocol):
    """Says when work should be taken up."""

    def is_crowded(self) -> bool:
        """Whether no more should be taken up now."""

    async def room(self) -> None:
        """Returns once it is not crowded any more."""


class _PacedCore(cygrpc.AioServer):  # type: ignore[misc]  # it has no stubs
    """A server of grpc's that asks for the next call of some methods only when it is not crowded."""

    def keep(self, pace: Pace, methods: Collection[str]) -> None:
        self._pace, self._paced = pace, frozenset(one.encode() for one in methods)

    def _make_request_call_future(self, method: bytes | None) -> "asyncio.Future[Any]":
        if method in self._paced and self._pace.is_crowded():
            return asyncio.ensure_future(self._take_later(method))
        future: asyncio.Future[Any] = super()._make_request_call_future(method)
        return future

    async def _take_later(self, method: bytes) -> Any:
        await self._pace.room()
        return await self._request_registered_call(method)


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
