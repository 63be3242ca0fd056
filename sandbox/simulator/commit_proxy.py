"""Stands between the gateway and Postgres, and loses connections during COMMIT on command. A process of its own.

`python -m sandbox.simulator.commit_proxy --listen PORT --postgres PORT`. SIGUSR1: the next COMMIT never reaches
Postgres. SIGUSR2: the next COMMIT is done, and its answer is lost. Each cut is told in a line on standard output.
"""

import argparse
import asyncio
import signal
from collections import deque
from enum import StrEnum
from typing import Final, cast

import uvloop

from sandbox.local.ports import LOOPBACK

# https://www.postgresql.org/docs/current/protocol-message-formats.html: Query. Drivers send it as a segment of its own.
COMMIT: Final = b"Q\x00\x00\x00\x0bCOMMIT\x00"


class Cut(StrEnum):
    """Where a connection is lost."""

    BEFORE = "before"
    AFTER = "after"


class CommitProxy:
    """Forwards connections; `order` cuts the next COMMIT that comes by, whosever it is."""

    def __init__(self, postgres_port: int) -> None:
        self.postgres_port = postgres_port
        self._ordered: deque[Cut] = deque()

    def order(self, cut: Cut) -> None:
        """Cuts one COMMIT, after those that were ordered before."""
        self._ordered.append(cut)

    def next_cut(self) -> Cut | None:
        """Takes the order that the COMMIT at hand is to fulfil."""
        if not self._ordered:
            return None
        cut = self._ordered.popleft()
        print(f"cut {cut.value} COMMIT", flush=True)
        return cut

    async def start(self, port: int) -> asyncio.Server:
        """Listens on a port of the loopback address; 0 takes a free one."""
        return await asyncio.get_running_loop().create_server(lambda: _Client(self), LOOPBACK, port, backlog=512)


class _Client(asyncio.Protocol):
    """The gateway's side of one connection."""

    def __init__(self, proxy: CommitProxy) -> None:
        self._proxy = proxy
        self._early: list[bytes] = []
        self._server: _Server | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none of asyncio's classes
        self._connecting = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        loop, port = asyncio.get_running_loop(), self._proxy.postgres_port
        try:
            _, server = await loop.create_connection(lambda: _Server(self), LOOPBACK, port)
        except OSError:  # Postgres is down, and so it shall look
            self.abort()
            return
        self._server = server
        for data in self._early:
            self.data_received(data)
        self._early.clear()

    def data_received(self, data: bytes) -> None:
        server = self._server
        if server is None:
            self._early.append(data)
            return
        if data.endswith(COMMIT) and (cut := self._proxy.next_cut()) is not None:
            if cut is Cut.BEFORE:
                server.abort()
                self.abort()
                return
            server.deaf = True
        server.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        # After a COMMIT whose answer shall be lost, Postgres must have done it before its connection ends.
        if self._server is not None and not self._server.deaf:
            self._server.close()

    def write(self, data: bytes) -> None:
        """Passes Postgres' words on."""
        if self.transport is not None:
            self.transport.write(data)

    def close(self) -> None:
        """Ends once all is written."""
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Ends at once."""
        if self.transport is not None:
            self.transport.abort()


class _Server(asyncio.Protocol):
    """Postgres' side; `deaf`: its next answer is lost, and the connection with it."""

    def __init__(self, client: _Client) -> None:
        self._client = client
        self._transport: asyncio.Transport | None = None
        self.deaf = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.deaf:
            self.abort()
            self._client.abort()
            return
        self._client.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._client.close()

    def write(self, data: bytes) -> None:
        """Passes the gateway's words on."""
        if self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        """Ends once all is written."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Ends at once."""
        if self._transport is not None:
            self._transport.abort()


async def serve(listen: int, postgres_port: int) -> None:
    """Serves until SIGTERM."""
    proxy, told, loop = CommitProxy(postgres_port), asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, proxy.order, Cut.BEFORE)
    loop.add_signal_handler(signal.SIGUSR2, proxy.order, Cut.AFTER)
    loop.add_signal_handler(signal.SIGTERM, told.set)
    server = await proxy.start(listen)
    await told.wait()
    server.close()


def main() -> None:
    """Reads the command line."""
    arguments = argparse.ArgumentParser(prog="python -m sandbox.simulator.commit_proxy", description=__doc__)
    arguments.add_argument("--listen", type=int, required=True)
    arguments.add_argument("--postgres", type=int, required=True)
    options = arguments.parse_args()
    uvloop.run(serve(options.listen, options.postgres))


if __name__ == "__main__":
    main()
