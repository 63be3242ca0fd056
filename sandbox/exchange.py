"""One request on its way through the faults; the routes of both processors answer through `Exchange.answer`."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

from sandbox.faults import Fault, Faults, Kind
from sandbox.store import Store

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer before it is sent: JSON as bytes (empty: no body)."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, status: int, body: Json, headers: Mapping[str, str] | None = None) -> "Reply":
        """An answer with a JSON body."""
        return cls(status, orjson.dumps(body), headers or {})


Delay = Callable[[], Awaitable[None]]


class Exchange:
    """Applies the faults in force to requests, and keeps the file ahead of the answers."""

    def __init__(self, faults: Faults, store: Store) -> None:
        self._faults = faults
        self._store = store

    async def answer(
        self,
        request: web.Request,
        operation: tuple[str, str],
        act: Callable[[Delay], Awaitable[Reply]],
        fail: Callable[[int], Reply],
    ) -> web.StreamResponse:
        """Lets a request be acted upon and answers it.

        Args:
            operation: Its name, and the account that it is made for.
            act: Does it; awaits its argument once the request counts as begun, which is where latency strikes.
            fail: Makes the processor's own error body for a status.
        """
        drawn = self._faults.draw(*operation)
        if _first(drawn, Kind.LOST_REQUEST):
            return _hang_up(request)
        error = _first(drawn, Kind.ERROR)
        if error and not error.rule.booked:
            return respond(fail(error.rule.status))
        reply = await act(lambda: _wait(drawn))
        self._store.flush()
        if _first(drawn, Kind.LOST_REPLY):
            return _hang_up(request)
        if error:
            return respond(fail(error.rule.status))
        strange = _first(drawn, Kind.UNKNOWN_STATUS)
        return respond(_with_status(reply, strange.rule.value) if strange else reply)


def respond(reply: Reply) -> web.Response:
    """Turns an answer into aiohttp's response."""
    content_type = "application/json" if reply.body else None
    return web.Response(status=reply.status, body=reply.body, headers=reply.headers, content_type=content_type)


def _first(drawn: tuple[Fault, ...], kind: Kind) -> Fault | None:
    return next((fault for fault in drawn if fault.rule.kind is kind), None)


async def _wait(drawn: tuple[Fault, ...]) -> None:
    seconds = sum(fault.seconds() for fault in drawn if fault.rule.kind is Kind.LATENCY)
    if seconds:
        await asyncio.sleep(seconds)


def _hang_up(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


def _with_status(reply: Reply, value: str) -> Reply:
    body = orjson.loads(reply.body) if reply.body else {}
    return Reply.json(reply.status, {**body, "status": value}, reply.headers) if "status" in body else reply
