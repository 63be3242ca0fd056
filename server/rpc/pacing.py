"""Lets new work wait at grpc's door, where waiting costs nothing, until the server gets to it (decision record 116).

grpc.aio takes up every call as soon as the event loop turns; its one limit refuses instead of waiting. So the
method is overridden that asks for the next call, and the one that ends the server. Calls beyond
`grpc.server.max_pending_requests` are ended by grpc.
"""

import asyncio
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, cast

import grpc.aio
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # it has no stubs

for _name in ("_make_request_call_future", "_start_shutting_down"):
    assert hasattr(cygrpc.AioServer, _name), "grpc takes up calls in another way now"
_LOOK_AGAIN_S = 0.1


class Pace(Protocol):
    """Says when work should be taken up."""

    def wanted(self) -> int:
        """How many calls to ask for now."""

    async def room(self) -> None:
        """Returns once any is wanted."""


@dataclass(slots=True)
class _Door:
    """Where calls of one method come in.

    Attributes:
        asked: How many grpc was asked for that have not come.
        came: Those that nobody has taken up.
        waiting: Whom the next one is for: grpc's own loop, which takes up one after the other.
    """

    asked: int = 0
    came: "deque[asyncio.Future[Any]]" = field(default_factory=deque)
    waiting: "asyncio.Future[Any] | None" = None

    def hand_over(self) -> None:
        """Gives a call that came to whoever waits for one."""
        if self.waiting is None or self.waiting.done() or not self.came:
            return
        call = self.came.popleft()
        error = call.exception()
        if error is None:
            self.waiting.set_result(call.result())
        else:
            self.waiting.set_exception(error)


class _PacedCore(cygrpc.AioServer):  # type: ignore[misc]  # it has no stubs
    """A server of grpc's that asks for as many calls of some methods as are wanted."""

    def keep(self, loop: asyncio.AbstractEventLoop, pace: Pace, methods: Collection[str]) -> None:
        self._kept_loop, self._pace = loop, pace
        self._doors = {one.encode(): _Door() for one in methods}
        self._looking_again: asyncio.TimerHandle | None = None
        self._waiting_for_room: asyncio.Task[None] | None = None

    def _make_request_call_future(self, method: bytes | None) -> "asyncio.Future[Any]":
        door = None if method is None else self._doors.get(method)
        if door is None:
            future: asyncio.Future[Any] = super()._make_request_call_future(method)
            return future
        door.waiting = self._kept_loop.create_future()
        self._ask_for_what_is_wanted()
        door.hand_over()
        return door.waiting

    def _ask_for_what_is_wanted(self) -> None:
        wanted = self._pace.wanted()
        for method, door in self._doors.items():
            while door.asked < wanted:
                door.asked += 1
                super()._make_request_call_future(method).add_done_callback(partial(self._come, door))
        if wanted == 0 and self._waiting_for_room is None:
            self._waiting_for_room = self._kept_loop.create_task(self._wait_for_room())
        elif wanted == 1:
            self._look_again_soon()

    def _come(self, door: _Door, call: "asyncio.Future[Any]") -> None:
        door.asked -= 1
        if not call.cancelled():
            call.exception()  # known now, though nobody may wait for it any more
            if self.is_running():
                door.came.append(call)
                door.hand_over()

    def _look_again_soon(self) -> None:
        if self._looking_again is None:
            self._looking_again = self._kept_loop.call_later(_LOOK_AGAIN_S, self._look_again)

    def _look_again(self) -> None:
        """Asks for many once there is nothing else to do, for a burst comes faster than the event loop turns."""
        self._looking_again = None
        if self.is_running():
            self._ask_for_what_is_wanted()

    async def _wait_for_room(self) -> None:
        try:
            await self._pace.room()
        finally:
            self._waiting_for_room = None
            if self.is_running():
                self._look_again_soon()  # nothing else would open the doors again if that failed
        if self.is_running():
            self._ask_for_what_is_wanted()

    async def _start_shutting_down(self) -> None:
        await super()._start_shutting_down()
        for door in self._doors.values():  # grpc ends what nobody holds, so its client repeats it
            door.came.clear()


def paced_server(options: Sequence[tuple[str, Any]], methods: Collection[str], pace: Pace) -> grpc.aio.Server:
    """Makes a server like `grpc.aio.server`.

    Args:
        options: Of the channel; see grpc.
        methods: Full names of methods that are registered by name, which it takes up at their pace.
    """
    server: Any = grpc.aio.server(options=options)
    core = _PacedCore(server._loop, None, (), (), options, None)
    core.keep(server._loop, pace, methods)
    server._server = core  # the one that it made never starts
    return cast("grpc.aio.Server", server)
