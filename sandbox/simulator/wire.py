"""Sends calls to both servers as merchants do: straight over gRPC, with a key, again until there is an answer."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, Final

import grpc.aio
from kassa.errors import read_error
from kassa.v1 import payment_service_pb2 as pb
from kassa.v1.payment_service_pb2_grpc import PaymentServiceStub

from sandbox.simulator.plan import Manners
from sandbox.simulator.told import Answer, Call

_TIMEOUT_S: Final = 6.0
_LEAVES_AFTER_S: Final = (0.002, 0.15)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 1.0
_PATIENCE_S: Final = 60.0
_REPEATABLE: Final = frozenset(
    {
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNAVAILABLE,
    }
)
# A server that was killed is back soon, and clients shall notice.
_OPTIONS: Final = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.enable_http_proxy", 0),
)

Message = pb.Payment | pb.Refund
Answered = Message | pb.ListTransactionsResponse
Send = Callable[[PaymentServiceStub, float], Awaitable[Any]]


class Wire:
    """Both servers' channels; belongs to one event loop."""

    def __init__(self, targets: list[str]) -> None:
        self._channels = [grpc.aio.insecure_channel(target, _OPTIONS) for target in targets]
        self._stubs = [PaymentServiceStub(channel) for channel in self._channels]
        self.attempts = 0

    async def close(self) -> None:
        """Ends the connections."""
        for channel in self._channels:
            await channel.close()

    async def ask(self, call: Call, send: Send, manners: Manners, random: Random) -> Message | None:
        """Makes a call and notes each answer; None where it was refused or the client has left."""
        server = random.randrange(len(self._stubs))
        if manners is Manners.LEAVES:
            return await self._attempt(call, send, server, random.uniform(*_LEAVES_AFTER_S))
        if manners is Manners.RACES:
            twins = (self._attempt(call, send, number, _TIMEOUT_S) for number in range(len(self._stubs)))
            found = [message for message in await asyncio.gather(*twins) if message is not None]
            if found and not _may_change(found[0]):
                return found[0]
        return await self._repeat(call, send, server, random)

    async def read(self, send: Send, random: Random) -> Answered | None:
        """Reads something that no call of the oracle's is about; None where nobody answered."""
        try:
            found: Answered = await send(random.choice(self._stubs), _TIMEOUT_S)
        except grpc.aio.AioRpcError:
            return None
        return found

    async def _repeat(self, call: Call, send: Send, server: int, random: Random) -> Message | None:
        pause_s, loop = _FIRST_PAUSE_S, asyncio.get_running_loop()
        until = loop.time() + _PATIENCE_S
        while loop.time() < until:
            message = await self._attempt(call, send, server, _TIMEOUT_S)
            if message is not None and not _may_change(message):
                return message
            if message is None and call.answers and call.answers[-1].reason not in _PASSING:
                return None
            server = (server + 1) % len(self._stubs)
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
            pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)
        return None

    async def _attempt(self, call: Call, send: Send, server: int, timeout_s: float) -> Message | None:
        self.attempts += 1
        try:
            message: Message = await send(self._stubs[server], timeout_s)
        except grpc.aio.AioRpcError as error:
            call.answers.append(Answer(reason=_reason(error)))
            return None
        call.answers.append(_answer(message))
        return message


_PASSING: Final = frozenset(
    {
        *(status.name for status in _REPEATABLE),
        "REQUEST_IN_FLIGHT",
        "OPERATION_IN_PROGRESS",
        "PROCESSOR_UNAVAILABLE",
        "OVERLOADED",
        "SERVICE_UNAVAILABLE",
        "CANCELLED",
    }
)
"""Reasons that a repeat with the same key may see gone."""


def _reason(error: grpc.aio.AioRpcError) -> str:
    return read_error(error, None).reason


def _answer(message: Message) -> Answer:
    failure = pb.Failure.Code.Name(message.failure.code) if message.HasField("failure") else ""
    kind: Any = type(message)
    return Answer(message.id, kind.State.Name(message.state), failure)


def _may_change(message: Message) -> bool:
    """Whether the same call shall be made again: its fate is not known yet, or nothing was done."""
    if isinstance(message, pb.Payment):
        unavailable = message.failure.code == pb.Failure.PROCESSOR_UNAVAILABLE
        return message.state == pb.Payment.PROCESSING or unavailable
    return message.state == pb.Refund.UNKNOWN
