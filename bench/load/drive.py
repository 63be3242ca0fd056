"""Drives calls in a closed loop (so many clients, each with one call) or an open one (so many calls a second).

An open loop counts latency from when a call was due, not from when it could be sent, so that a server that falls behind
cannot hide it (coordinated omission: http://www.azulsystems.com/sites/default/files/images/HowNotToMeasureLatency_LLSummit_NYC_12Nov2013.pdf).
"""

import asyncio
import random
import time
from array import array
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from kassa.v1 import payment_service_pb2 as pb

from bench.load.http1 import Http1Connection
from bench.load.http2 import Http2Connection
from bench.load.shoppers import Requests

# Statuses of what may be called again; the first is grpc's own for calls beyond those that a server takes up.
_CANCELLED, _RESOURCE_EXHAUSTED, _UNAVAILABLE = 1, 8, 14
_TICK_S = 0.002
_CONNECTIONS_OF_A_TARGET = 4
_OPENING_AT_ONCE = 64
_RETRY_AFTER_S = 1.0
_LONGEST_WAIT_S = 20.0
Done = Callable[[str], None]
"""Told what became of a call: `ok`, `refused` (try again later), or another word."""


@dataclass(slots=True)
class Tally:
    """What was measured between two moments, seconds since 1970.

    Attributes:
        by_due: Whether calls count that were due in between (an open loop: those that the server was late for count
            too), or those that ended in between (a closed one).
        outcomes: Of the calls that count.
        latencies_s: Of those of them that ended well.
        completed: Calls that ended well in between, whenever they began.
    """

    begins: float
    ends: float
    by_due: bool = False
    outcomes: Counter[str] = field(default_factory=Counter)
    latencies_s: "array[float]" = field(default_factory=lambda: array("f"))
    completed: int = 0

    def note(self, outcome: str, since: float) -> None:
        """Notes the end of a call that began, or was due, at `since`."""
        now = time.time()
        if outcome == "ok" and self.holds(now):
            self.completed += 1
        if self.holds(since if self.by_due else now):
            self.outcomes[outcome] += 1
            if outcome == "ok":
                self.latencies_s.append(now - since)

    def holds(self, moment: float) -> bool:
        """Tells whether a moment lies in between."""
        return self.begins <= moment < self.ends


class Rest:
    """Calls over HTTP/1.1: a connection for each call under way."""

    def __init__(self, requests: Requests, targets: Sequence[tuple[str, int]], expected: str) -> None:
        self._requests, self._targets, self._expected = requests, targets, expected.encode()
        self._idle: deque[Http1Connection] = deque()
        self._waiting: deque[Done] = deque()
        self._tasks: set[asyncio.Future[None]] = set()
        self._opening = 0
        self._turn = 0

    async def open(self, connections: int) -> None:
        """Opens connections before the first call."""
        for _ in range(connections):
            await self._connect()

    def call(self, done: Done) -> None:
        """Makes one call, as soon as there is a connection for it."""
        while self._idle:
            connection = self._idle.popleft()
            if connection.is_open:
                return self._send(connection, done)
        self._waiting.append(done)
        if self._opening < _OPENING_AT_ONCE:
            self._opening += 1
            self._tasks.add(task := asyncio.ensure_future(self._connect_one_more()))
            task.add_done_callback(self._tasks.discard)
        return None

    async def _connect_one_more(self) -> None:
        try:
            await self._connect()
        except OSError:
            if self._waiting:
                self._waiting.popleft()("no connection")
        finally:
            self._opening -= 1

    async def _connect(self) -> None:
        host, port = self._targets[self._turn % len(self._targets)]
        self._turn += 1
        _, connection = await asyncio.get_running_loop().create_connection(Http1Connection, host, port)
        self._free(connection)

    def _send(self, connection: Http1Connection, done: Done) -> None:
        def answered(status: int, body: bytes) -> None:
            self._free(connection)
            done(self._judge(status, body))

        connection.send(self._requests.rest().body, answered)

    def _free(self, connection: Http1Connection) -> None:
        if self._waiting and connection.is_open:
            asyncio.get_running_loop().call_soon(self._take_waiting, connection)
        else:
            self._idle.append(connection)

    def _take_waiting(self, connection: Http1Connection) -> None:
        if self._waiting:
            self._send(connection, self._waiting.popleft())
        else:
            self._idle.append(connection)

    def _judge(self, status: int, body: bytes) -> str:
        if status in (200, 201):
            return "ok" if self._expected in body else "not completed"
        if status == 0:
            return "no answer"
        return "refused" if status in (429, 503) else f"status {status}"


class Grpc:
    """Calls over gRPC: a few connections with many calls each."""

    def __init__(self, requests: Requests, targets: Sequence[tuple[str, int]], expected: str) -> None:
        self._requests, self._targets, self._expected = requests, targets, expected
        self._connections: list[Http2Connection] = []
        self._turn = 0

    async def open(self, connections: int) -> None:
        """Opens connections before the first call."""
        loop = asyncio.get_running_loop()
        for host, port in list(self._targets) * min(connections, _CONNECTIONS_OF_A_TARGET):
            _, connection = await loop.create_connection(Http2Connection, host, port)
            self._connections.append(connection)

    def call(self, done: Done) -> None:
        """Makes one call."""
        self._turn += 1
        connection = self._connections[self._turn % len(self._connections)]
        if not connection.is_open:
            return done("no connection")
        call = self._requests.grpc()
        connection.send(call.headers, call.body, lambda status, message: done(self._judge(status, message)))
        return None

    def _judge(self, status: int, message: bytes) -> str:
        if status == 0:
            if not self._expected:
                return "ok"
            completed = pb.Payment.FromString(message).state == pb.Payment.COMPLETED
            return "ok" if completed else "not completed"
        if status < 0:
            return "no answer"
        return "refused" if status in (_CANCELLED, _RESOURCE_EXHAUSTED, _UNAVAILABLE) else f"status {status}"


async def closed(calls: Rest | Grpc, clients: int, tally: Tally) -> None:
    """Keeps as many calls under way as there are clients, until the tally's end."""

    def again() -> None:
        since = time.time()
        if since >= tally.ends:
            return

        def done(outcome: str) -> None:
            tally.note(outcome, since)
            if outcome == "ok":
                again()
            else:  # a client that is refused comes back when `retry-after` says, or somewhat later
                asyncio.get_running_loop().call_later(_RETRY_AFTER_S * random.uniform(1.0, 1.5), again)

        calls.call(done)

    for _ in range(clients):
        again()
    await asyncio.sleep(tally.ends - time.time() + 0.2)


async def open_loop(calls: Rest | Grpc, rate: float, starts: float, tally: Tally) -> None:
    """Makes `rate` calls a second at even distances, whether or not earlier ones have ended.

    At the end it waits up to 20 s for answers; what is not there by then is `no answer`.
    """
    made, due = 0, starts
    under_way: set[float] = set()

    def begin(due: float) -> None:
        under_way.add(due)

        def done(outcome: str) -> None:
            under_way.discard(due)
            tally.note(outcome, due)

        calls.call(done)

    # Also what became due while this process could not run, even at the end, is called.
    while due < tally.ends:
        if due > time.time():
            await asyncio.sleep(_TICK_S)
            continue
        begin(due)
        made += 1
        due = starts + made / rate
    deadline = time.time() + _LONGEST_WAIT_S
    while under_way and time.time() < deadline:
        await asyncio.sleep(0.05)
    for due in under_way:
        tally.note("no answer", due)
